//! Certificates and keys in PEM form, given as a path or as the text itself.
//!
//! **Invariant:** what passes was read completely and is of the asked kind; none of it is ever
//! shown.

use std::fmt;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::bounded_file;

/// The largest file that is read, in bytes: all authorities that a system knows are a quarter.
const LIMIT: u64 = 1024 * 1024;
/// The first characters of every PEM block.
const BEGIN: &str = "-----BEGIN ";

/// The content of a PEM file. `Debug` shows only its length.
#[derive(Clone, PartialEq, Eq)]
pub struct Pem(Vec<u8>);

impl Pem {
    /// The content: PEM blocks, lines ended by `\n`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem({} bytes)", self.0.len())
    }
}

/// Certificates from a path or from the text itself, or what is wrong with them.
pub(super) fn certificates(value: &str) -> Result<Pem, String> {
    let pem = content(value)?;
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        certificate
            .map_err(|_| "holds a broken certificate; copy the PEM file again".to_owned())?;
        count += 1;
    }
    if count == 0 {
        return Err("holds no certificate (-----BEGIN CERTIFICATE-----)".to_owned());
    }
    Ok(pem)
}

/// A private key from a path or from the text itself, or what is wrong.
pub(super) fn private_key(value: &str) -> Result<Pem, String> {
    let pem = content(value)?;
    let is_key = |line: &str| line.starts_with(BEGIN) && line.ends_with("PRIVATE KEY-----");
    let text = String::from_utf8_lossy(pem.as_bytes());
    if text.contains("ENCRYPTED") {
        return Err("is encrypted; give the key without a passphrase".to_owned());
    }
    if !text.lines().any(|line| is_key(line.trim_end())) {
        return Err("holds no private key (-----BEGIN PRIVATE KEY-----)".to_owned());
    }
    Ok(pem)
}

fn content(value: &str) -> Result<Pem, String> {
    if value.contains(BEGIN) {
        return Ok(Pem(with_plain_line_ends(value).into_bytes()));
    }
    let content = bounded_file::read(Path::new(value), LIMIT)
        .map_err(|unread| format!("{unread}; give a path or PEM text"))?;
    Ok(Pem(with_plain_line_ends(&content).into_bytes()))
}

/// Compose and `.env` files often carry line ends as the two characters `\n`.
fn with_plain_line_ends(text: &str) -> String {
    let mut text = text
        .replace("\\n", "\n")
        .replace("\r\n", "\n")
        .trim()
        .to_owned();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::endless("/dev/zero", "is not a file; give a path or PEM text")]
    #[case::folder("/", "is not a file; give a path or PEM text")]
    #[case::absent("/nonexistent/ca.pem", "cannot be read: ")]
    fn what_is_no_file_is_not_read(#[case] path: &str, #[case] reason: &str) {
        assert!(certificates(path).unwrap_err().starts_with(reason));
    }

    #[test]
    fn a_file_is_read_up_to_a_limit_and_without_what_an_editor_puts_before_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let key = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";
        std::fs::write(path, format!("\u{feff}{key}")).unwrap();
        assert_eq!(private_key(path).unwrap().as_bytes(), key.as_bytes());
        std::fs::write(path, vec![b'#'; 1024 * 1024 + 1]).unwrap();
        let error = certificates(path).unwrap_err();
        assert!(error.starts_with("is larger than 1024 KiB"), "{error}");
    }
}
