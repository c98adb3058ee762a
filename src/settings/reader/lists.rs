//! Settings that take several values at once.
//!
//! **Invariant:** as that of the reader; no list that is answered is empty.

use super::super::Globs;
use super::super::given::Given;
use super::super::kind::Kind;
use super::super::problem::shown;
use super::super::table::Setting;
use super::{Reader, split};

/// The most letters of a word that is not in the table.
const WORD_CHARS: usize = 64;

impl Reader<'_> {
    /// Texts: separated by commas, or a YAML list.
    pub fn list(&mut self, setting: &Setting) -> Option<Vec<String>> {
        let texts = match self.values.get(setting) {
            Given::List(texts) => texts,
            _ => split(&self.written(setting)?),
        };
        if texts.is_empty() {
            self.problem(
                setting,
                "holds nothing but commas; write at least one entry",
            );
            return None;
        }
        Some(
            texts
                .into_iter()
                .map(|text| text.trim().to_owned())
                .collect(),
        )
    }

    /// Patterns, of which one has to match.
    pub fn globs(&mut self, setting: &Setting) -> Option<Globs> {
        let patterns = self.list(setting)?;
        self.all_or_problem(setting, Globs::new(patterns))
    }

    /// Some of the words in `options`, in any case, as the values that stand beside them; each once, in the order
    /// in which they were written. Blanks around a word do not count.
    pub fn choices<T: Copy + PartialEq>(
        &mut self,
        setting: &Setting,
        options: &[(&str, T)],
    ) -> Option<Vec<T>> {
        let words = self.list(setting)?;
        let known = |word: &str| {
            let mut all = options.iter();
            let found = all.find(|(option, _)| word.eq_ignore_ascii_case(option));
            found.map(|(_, value)| *value).ok_or_else(|| {
                let known: Vec<&str> = options.iter().map(|(option, _)| *option).collect();
                format!(
                    "{} is not known here; write {}",
                    shown(word),
                    known.join(", ")
                )
            })
        };
        let values = each_once(words.iter().map(|word| known(word)));
        self.all_or_problem(setting, values)
    }

    /// Words of letters, digits and `_`, in lower case, each once. One that the table does not name is noticed.
    pub fn words(&mut self, setting: &Setting) -> Option<Vec<String>> {
        let known = match setting.kind {
            Kind::Words(words) => words,
            _ => &[],
        };
        let given = self.list(setting)?;
        let words = each_once(given.iter().map(|text| word(text)));
        let words = self.all_or_problem(setting, words)?;
        let is_unknown = |word: &&str| !known.iter().any(|known| word.eq_ignore_ascii_case(known));
        let unknown: Vec<&str> = words
            .iter()
            .map(String::as_str)
            .filter(is_unknown)
            .collect();
        if !unknown.is_empty() {
            let (unknown, known) = (unknown.join(", "), known.join(", "));
            self.notice(format!(
                "{setting}: {unknown} is taken as it is, and could be mistyped: known here are {known}"
            ));
        }
        Some(words)
    }

    /// Pairs of a key that the table names, as it stands there, and of what `parse` makes of the value; it answers
    /// what is wrong as the rest of a sentence that begins with the value. Every key comes at most once.
    pub fn pairs<T>(
        &mut self,
        setting: &Setting,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<(&'static str, T)>> {
        let Kind::Pairs { separator, keys } = setting.kind else {
            self.problem(setting, "is not made of pairs; report this defect");
            return None;
        };
        let pairs = self.list(setting)?;
        let pair = |text: &String| {
            let (key, value) = text
                .split_once(separator)
                .ok_or_else(|| format!("{} is no pair; write KEY{separator}VALUE", shown(text)))?;
            let mut known = keys.iter();
            let key = known
                .find(|known| key.trim().eq_ignore_ascii_case(known))
                .ok_or_else(|| {
                    let known = keys.join(", ");
                    format!("{} is not known here; write {known}", shown(key.trim()))
                })?;
            let value = value.trim();
            let parsed = parse(value).map_err(|reason| format!("{} {reason}", shown(value)))?;
            Ok((*key, parsed))
        };
        let pairs: Result<Vec<_>, String> = pairs.iter().map(pair).collect();
        let pairs = self.all_or_problem(setting, pairs)?;
        for (index, (key, _)) in pairs.iter().enumerate() {
            if pairs.iter().skip(index + 1).any(|(other, _)| other == key) {
                self.problem(setting, &format!("names {key} twice; write it once"));
                return None;
            }
        }
        Some(pairs)
    }

    fn all_or_problem<T>(&mut self, setting: &Setting, read: Result<T, String>) -> Option<T> {
        read.map_err(|reason| self.problem(setting, &reason)).ok()
    }
}

fn word(text: &str) -> Result<String, String> {
    let is_word = text.chars().count() <= WORD_CHARS
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_word {
        return Ok(text.to_ascii_lowercase());
    }
    Err(format!(
        "{} is no word of letters, digits and _",
        shown(text)
    ))
}

fn each_once<T: PartialEq>(
    values: impl Iterator<Item = Result<T, String>>,
) -> Result<Vec<T>, String> {
    let mut once = Vec::new();
    for value in values {
        let value = value?;
        if !once.contains(&value) {
            once.push(value);
        }
    }
    Ok(once)
}
