//! The words of an event's reports: Markdown, with references to attributes, objects and tags.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::connectors::misp_feed::mapping::uuid_key;

/// `@[attribute](UUID)`, `@[object](UUID)`, `@[tag](NAME)`, `@[match](TEXT)`, each also with `!` behind the `@`, which
/// wants it shown in full.
#[expect(clippy::expect_used, reason = "it is compiled by a test")]
static MENTION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"@!?\[(attribute|object|tag|match)\]\(([^()\n]+(?:\([^()\n]*\))?[^()\n]*)\)")
        .expect("an expression")
});
/// The longest value that stands in a text, in characters.
const LONGEST_VALUE: usize = 1_000;

/// The attributes and objects that a text mentions.
pub(super) fn mentioned(text: &str) -> impl Iterator<Item = u128> {
    MENTION.captures_iter(text).filter_map(|mention| {
        let is_of_event = matches!(mention.get(1)?.as_str(), "attribute" | "object");
        uuid_key(mention.get(2)?.as_str().trim()).filter(|_| is_of_event)
    })
}

/// The text with what it mentions written out: values in code spans, by what `value` knows of them.
pub(super) fn written_out<'v>(text: &str, value: impl Fn(u128) -> Option<&'v str>) -> String {
    let text = MENTION.replace_all(text, |mention: &Captures<'_>| {
        let word = |place| mention.get(place).map_or("", |word| word.as_str());
        let (kind, target) = (word(1), word(2).trim());
        match kind {
            "attribute" | "object" => {
                let value = uuid_key(target).and_then(&value).unwrap_or(target);
                let value: String = value.chars().take(LONGEST_VALUE).collect();
                // A code span ends at the next mark of its kind, and on no other line.
                format!("`{}`", value.replace('`', "'").replace(['\n', '\r'], " "))
            }
            _ => target.to_owned(),
        }
    });
    text.into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "5be1e65d-8198-497b-bdf5-5ec20a016219";

    #[test]
    fn what_is_mentioned_is_written_out() {
        let text = format!(
            "See @[attribute]({UUID}) and @![object]({UUID}), @[tag](misp-galaxy:rat=\"A (B)\"), @[match](x), @[other](y), @[attribute](z)"
        );
        let known = mentioned(&text).collect::<Vec<_>>();
        assert_eq!(known, [uuid_key(UUID).unwrap(); 2]);
        let written = written_out(&text, |uuid| known.contains(&uuid).then_some("a`b\nc"));
        assert_eq!(
            written,
            "See `a'b c` and `a'b c`, misp-galaxy:rat=\"A (B)\", x, @[other](y), `z`"
        );
    }

    proptest! {
        #[test]
        fn any_text_can_be_written_out(text in "(@!?\\[(attribute|tag|match)\\]\\(|[a-f0-9-]{0,36}|\\)|.){0,30}") {
            mentioned(&text).count();
            written_out(&text, |_| Some("value"));
        }
    }
}
