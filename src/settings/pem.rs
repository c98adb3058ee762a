//! Certificates and keys in PEM form, given as a path or as the text itself.
//!
//! **Invariant:** what passes was read completely and is of the asked kind; none of it is ever
//! shown.

use std::fmt;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

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
    let content = std::fs::read_to_string(value)
        .map_err(|cause| format!("cannot be read as a file: {cause}; give a path or PEM text"))?;
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
