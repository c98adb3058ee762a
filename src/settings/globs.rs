//! Lists of patterns for names and paths.
//!
//! **Invariant:** a match takes time linear in the text, whatever the patterns.

use std::fmt;

use regex::{RegexSet, RegexSetBuilder};

/// The most patterns in one list, and the most characters of them all: what a person writes is far below.
const MOST_PATTERNS: usize = 1000;
const MOST_CHARS: usize = 20_000;
const TOO_LARGE: &str = "holds too many or too long patterns; write fewer and shorter ones with *";

/// Patterns of which one has to match: `*` stands for any text, slashes included, `?` for any one character, all
/// else for itself. A pattern matches the whole text, and capital letters are others than small ones.
#[derive(Clone)]
pub struct Globs {
    patterns: Vec<String>,
    matcher: RegexSet,
}

impl Globs {
    /// The list of these patterns; an empty list matches nothing.
    ///
    /// # Errors
    ///
    /// As the end of a sentence, when the list is larger than anybody needs.
    pub fn new(patterns: Vec<String>) -> Result<Self, String> {
        let chars: usize = patterns.iter().map(|text| text.chars().count()).sum();
        if patterns.len() > MOST_PATTERNS || chars > MOST_CHARS {
            return Err(TOO_LARGE.to_owned());
        }
        // `regex` takes time linear in the text for every expression.
        let expressions = patterns.iter().map(|pattern| expression(pattern));
        // Nothing but their size can be wrong with expressions that are made here.
        let matcher = RegexSetBuilder::new(expressions)
            .build()
            .map_err(|_| TOO_LARGE.to_owned())?;
        Ok(Self { patterns, matcher })
    }

    /// Whether one of the patterns matches the whole text.
    pub fn matches(&self, text: &str) -> bool {
        self.matcher.is_match(text)
    }

    /// The patterns as they were written.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }
}

impl PartialEq for Globs {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl Eq for Globs {}

impl fmt::Debug for Globs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.patterns).finish()
    }
}

fn expression(pattern: &str) -> String {
    let mut expression = String::from(r"(?s)\A");
    let mut last = None;
    for letter in pattern.chars() {
        match letter {
            // One more would only make the matcher larger.
            '*' if last == Some('*') => {}
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            other => expression.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
        last = Some(letter);
    }
    expression.push_str(r"\z");
    expression
}

#[cfg(test)]
mod tests {
    use super::Globs;

    fn globs(patterns: &[&str]) -> Globs {
        Globs::new(patterns.iter().map(|text| (*text).to_owned()).collect()).unwrap()
    }

    #[rstest::rstest]
    #[case("*", "", true)]
    #[case("*", "a/b/c.txt", true)]
    #[case("malware/*", "malware/a/b.txt", true)]
    #[case("malware/*", "suspicious/malware/a", false)]
    #[case("*.txt", "a.txt.gz", false)]
    #[case("apt_?.txt", "apt_a.txt", true)]
    #[case("apt_?.txt", "apt_ü.txt", true)]
    #[case("apt_?.txt", "apt_.txt", false)]
    #[case("a.txt", "abtxt", false)]
    #[case("[a]{1}(b)|c", "[a]{1}(b)|c", true)]
    #[case("a", "A", false)]
    #[case("a\nb", "a\nb", true)]
    #[case("a*b", "a\nb", true)]
    #[case("", "", true)]
    #[case("", "a", false)]
    fn a_pattern_matches_the_whole_text(
        #[case] pattern: &str,
        #[case] text: &str,
        #[case] is_match: bool,
    ) {
        assert_eq!(globs(&[pattern]).matches(text), is_match);
    }

    #[test]
    fn one_of_the_patterns_is_enough() {
        let globs = globs(&["a*", "*z"]);
        assert!(globs.matches("ab") && globs.matches("yz") && !globs.matches("b"));
        assert!(!self::globs(&[]).matches(""));
    }

    /// By the words of the definition, however long it takes.
    fn matches_by_definition(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, rest) => rest.is_none(),
            (Some(('*', pattern)), _) => {
                (0..=text.len()).any(|skipped| matches_by_definition(pattern, &text[skipped..]))
            }
            (Some(('?', pattern)), Some((_, text))) => matches_by_definition(pattern, text),
            (Some((letter, pattern)), Some((other, text))) => {
                letter == other && matches_by_definition(pattern, text)
            }
            (Some(_), None) => false,
        }
    }

    proptest::proptest! {
        #[test]
        fn a_pattern_matches_what_it_says(pattern in "[a./*?ü\\[]{0,6}", text in "[a./ü\\[\n]{0,6}") {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = matches_by_definition(&letters(&pattern), &letters(&text));
            proptest::prop_assert_eq!(globs(&[&pattern]).matches(&text), expected);
        }
    }

    /// A matcher that tries again after every `*` would not end with these.
    #[test]
    fn no_pattern_makes_a_match_endless() {
        let pattern = "*a".repeat(200) + "b";
        let text = "a".repeat(10_000);
        assert!(!globs(&[&pattern]).matches(&text));
        assert!(globs(&[&"*".repeat(1000)]).matches(&text));
    }

    #[test]
    fn lists_are_bounded() {
        assert!(Globs::new(vec!["a".to_owned(); 1001]).is_err());
        assert!(Globs::new(vec!["a".repeat(20_001)]).is_err());
        assert!(Globs::new(vec!["a".repeat(20_000)]).is_ok());
        let error = Globs::new(vec!["?".repeat(20_000)]).unwrap_err();
        assert!(error.contains("too long patterns"), "{error}");
    }
}
