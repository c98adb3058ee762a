//! Which relationship the platform takes between what objects became.

/// Kinds of source and target, and what there may be between them (OpenCTI 7.260817.0). `related-to` is taken between any
/// two.
#[rustfmt::skip]
const TAKEN: &[(&str, &str, &[&str])] = &[
    ("Artifact", "Artifact", &["derived-from", "interpreted-by"]),
    ("Artifact", "Domain-Name", &["communicates-with"]),
    ("Artifact", "IPv4-Addr", &["communicates-with"]),
    ("Artifact", "IPv6-Addr", &["communicates-with"]),
    ("Artifact", "StixFile", &["interpreted-by"]),
    ("Bank-Account", "Bank-Account", &["transferred-to"]),
    ("Domain-Name", "Domain-Name", &["derived-from", "resolves-to"]),
    ("Domain-Name", "Hostname", &["derived-from", "resolves-to"]),
    ("Domain-Name", "IPv4-Addr", &["resolves-to"]),
    ("Domain-Name", "IPv6-Addr", &["resolves-to"]),
    ("Hostname", "Artifact", &["drops"]),
    ("Hostname", "Domain-Name", &["communicates-with", "resolves-to"]),
    ("Hostname", "Hostname", &["derived-from"]),
    ("Hostname", "IPv4-Addr", &["communicates-with", "resolves-to"]),
    ("Hostname", "IPv6-Addr", &["communicates-with", "resolves-to"]),
    ("Hostname", "StixFile", &["drops"]),
    ("IPv4-Addr", "Autonomous-System", &["belongs-to"]),
    ("IPv4-Addr", "IPv4-Addr", &["communicates-with", "derived-from"]),
    ("IPv4-Addr", "Mac-Addr", &["resolves-to"]),
    ("IPv6-Addr", "Autonomous-System", &["belongs-to"]),
    ("IPv6-Addr", "IPv6-Addr", &["derived-from"]),
    ("IPv6-Addr", "Mac-Addr", &["resolves-to"]),
    ("Indicator", "Indicator", &["derived-from"]),
    ("Software", "Software", &["derived-from"]),
    ("StixFile", "Artifact", &["interpreted-by"]),
    ("StixFile", "Domain-Name", &["communicates-with"]),
    ("StixFile", "IPv4-Addr", &["communicates-with"]),
    ("StixFile", "IPv6-Addr", &["communicates-with"]),
    ("StixFile", "StixFile", &["derived-from", "downloads", "drops", "interpreted-by"]),
    ("Text", "Text", &["derived-from"]),
    ("Url", "Url", &["derived-from"]),
    ("User-Account", "User-Account", &["derived-from"]),
];

/// What people write for another word of the platform, and whether it is the same the other way round.
const SYNONYMS: &[(&str, &str, bool)] = &[
    ("resolved-to", "resolves-to", false),
    ("dropped-by", "drops", true),
    ("downloaded-by", "downloads", true),
    ("communicated-with", "communicates-with", false),
];

/// The relationship for a word of MISP between two kinds, and whether it goes from the second to the first.
pub(super) fn relation(word: &str, from: &str, to: &str) -> (&'static str, bool) {
    let word = word.trim().to_ascii_lowercase();
    if let Some(taken) = taken(&word, from, to) {
        return (taken, false);
    }
    let mut synonyms = SYNONYMS.iter().filter(|(synonym, _, _)| *synonym == word);
    let meant = synonyms.find_map(|(_, meant, is_turned)| {
        let (from, to) = if *is_turned { (to, from) } else { (from, to) };
        Some((taken(meant, from, to)?, *is_turned))
    });
    meant.unwrap_or(("related-to", false))
}

fn taken(word: &str, from: &str, to: &str) -> Option<&'static str> {
    let mut rows = TAKEN.iter();
    let (_, _, words) = rows.find(|(source, target, _)| *source == from && *target == to)?;
    words.iter().find(|taken| **taken == word).copied()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("drops", "StixFile", "StixFile", ("drops", false))]
    #[case("Drops ", "StixFile", "StixFile", ("drops", false))]
    #[case("dropped-by", "StixFile", "StixFile", ("drops", true))]
    #[case("communicates-with", "StixFile", "IPv4-Addr", ("communicates-with", false))]
    #[case("communicates-with", "IPv4-Addr", "StixFile", ("related-to", false))]
    #[case("resolved-to", "Domain-Name", "IPv6-Addr", ("resolves-to", false))]
    #[case("derived-from", "StixFile", "StixFile", ("derived-from", false))]
    #[case("downloaded-from", "StixFile", "Url", ("related-to", false))]
    #[case("'; DROP", "StixFile", "Indicator", ("related-to", false))]
    fn a_word_is_kept_where_the_platform_takes_it(
        #[case] word: &str,
        #[case] from: &str,
        #[case] to: &str,
        #[case] expected: (&str, bool),
    ) {
        assert_eq!(relation(word, from, to), expected);
    }
}
