//! The secrets that this process knows, so that no text for people shows one: whoever answers may quote what was sent to
//! it, and its words come into logs, on terminals, and into the works of another platform.
//!
//! They are kept for the whole process, as the texts of one connection are shown by the code of another: the words of the
//! source in the message of a work at the destination.
//!
//! **Invariant.** [`super::safe_text::safe`] hides them before anything is cut, so that no part of one is left over.

use std::borrow::Cow;
use std::sync::{Once, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded;

/// What stands in the place of a secret. None is as short, so that it holds none.
const MASK: &str = "***";
/// A shorter one stands in too many words to be hidden, in bytes.
const SHORTEST: usize = 6;
/// A longer one is none that anything takes, in bytes.
const LONGEST: usize = 16 * 1024;
/// Forms of secrets that are known at most. A platform answers with a password, and may answer with another one each time.
const MOST: usize = 256;

/// That there are more is said once.
static IS_FULL: Once = Once::new();

/// The longest first: one may be a part of another.
static KNOWN: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// Has a secret hidden from now on: as it is, and in the forms in which it is sent or quoted (URL, JSON, Base64). One of
/// fewer than six bytes is not hidden.
pub fn hide(secret: &SecretString) {
    let secret = secret.expose_secret().trim();
    if !(SHORTEST..=LONGEST).contains(&secret.len()) {
        return;
    }
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    let mut is_full = false;
    for form in forms(secret) {
        if known.contains(&form) {
            continue;
        }
        is_full = known.len() >= MOST;
        if !is_full {
            known.push(form);
        }
    }
    known.sort_by_key(|form| std::cmp::Reverse(form.len()));
    // What is logged is masked, which reads the register.
    drop(known);
    if is_full {
        IS_FULL.call_once(|| {
            tracing::warn!(
                known = MOST,
                "there are more secrets than are hidden: a text of another system may show a later one; does the platform answer another password of the broker each time?"
            );
        });
    }
}

/// How a secret is written. Base64 is without what fills up its end, which may be there or not.
fn forms(secret: &str) -> Vec<String> {
    let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let quoted = serde_json::Value::from(secret).to_string();
    vec![
        secret.to_owned(),
        form.replace('+', "%20"),
        form,
        quoted.trim_matches('"').to_owned(),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
    ]
}

/// The text with a mask in the place of each secret.
pub(super) fn mask(text: &str) -> Cow<'_, str> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let mut masked = Cow::Borrowed(text);
    for secret in known.iter() {
        if masked.contains(secret) {
            masked = Cow::Owned(masked.replace(secret, MASK));
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::super::safe_text::{clean, safe};
    use super::*;

    /// The register is of the whole process, so that no other test may have such words.
    const SECRET: &str = "pa\"ss/w+rd of secrets.rs";

    fn hide(secret: &str) {
        super::hide(&SecretString::from(secret.to_owned()));
    }

    #[test]
    fn a_secret_is_hidden_in_every_form_in_which_it_is_quoted() {
        hide(SECRET);
        for quoted in [
            SECRET,
            "pa%22ss%2Fw%2Brd+of+secrets.rs",
            "pa%22ss%2Fw%2Brd%20of%20secrets.rs",
            "pa\\\"ss/w+rd of secrets.rs",
            // printf 'pa"ss/w+rd of secrets.rs' | base64
            "cGEic3Mvdytyc",
        ] {
            let text = format!("authorization: Bearer {quoted}, twice: {quoted}");
            let shown = safe(&text, 512);
            assert!(!shown.contains("of") && !shown.contains("rs"), "{shown}");
        }
        let encoded = STANDARD_NO_PAD.encode(SECRET);
        assert_eq!(safe(&format!("Basic {encoded}=="), 512), "Basic ***==");
        assert_eq!(safe(&format!("<{SECRET}>"), 512), "<***>");
    }

    #[test]
    fn no_part_of_a_secret_is_left_where_a_text_is_cut() {
        let secret = "f0c1f0c1-aaaa-4bbb-8ccc-secrets.rs-1";
        hide(secret);
        let text = format!("{}{secret}{}", "x".repeat(70), "y".repeat(1000));
        for limit in 64..200 {
            assert!(!safe(&text, limit).contains("f0"), "{limit}");
        }
    }

    #[test]
    fn the_longer_of_two_secrets_is_hidden_whole() {
        hide("first of secrets.rs-2");
        hide("first of secrets.rs-2 and more");
        assert_eq!(safe("<first of secrets.rs-2 and more>", 512), "<***>");
        assert_eq!(safe("<first of secrets.rs-2>", 512), "<***>");
    }

    #[test]
    fn what_is_short_and_what_is_no_text_for_people_stays() {
        hide("guest");
        assert_eq!(safe("guest", 512), "guest");
        hide("work_of_secrets.rs-3");
        assert_eq!(clean("work_of_secrets.rs-3", 512), "work_of_secrets.rs-3");
    }

    #[test]
    fn a_text_without_a_secret_is_not_copied() {
        assert!(matches!(mask("nothing to hide here"), Cow::Borrowed(_)));
    }
}
