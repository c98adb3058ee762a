//! Programs as a CPE names them.

use super::content::SoftwareContent;

/// The longest vendor, name or version, in characters.
const LONGEST_PART: usize = 250;

/// The program of a CPE of version 2.2 (`cpe:/a:vendor:product:version`) or 2.3 (`cpe:2.3:a:vendor:product:version:…`).
pub(super) fn software(cpe: &str) -> Option<SoftwareContent> {
    let is_new = cpe.starts_with("cpe:2.3:");
    let rest = cpe
        .strip_prefix("cpe:2.3:")
        .or_else(|| cpe.strip_prefix("cpe:/"))?;
    let mut parts = split(rest).into_iter();
    parts.next()?;
    let mut part = || {
        let part = parts.next()?;
        let part = if is_new { part.replace('\\', "") } else { part };
        let is_one = !matches!(part.as_str(), "" | "*" | "-");
        let is_short = part.chars().count() <= LONGEST_PART;
        (is_one && is_short).then(|| part.replace('_', " ").trim().to_owned())
    };
    let (vendor, name, version) = (part(), part(), part());
    Some(SoftwareContent {
        name: name.filter(|name| !name.is_empty())?,
        cpe: cpe.to_owned(),
        vendor,
        version,
    })
}

/// The parts between colons that have no backslash in front.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut is_escaped = false;
    for c in text.chars() {
        if c == ':' && !is_escaped {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    parts
}
