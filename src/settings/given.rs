//! What was given for a setting, not yet understood.
//!
//! **Invariant:** what is blank is nothing, and an unfilled placeholder is no value.

use config::{Value, ValueKind};

/// What sample files carry where an operator must write something.
const PLACEHOLDER: &str = "changeme";

/// What was given for one setting. Not `Debug`, for it may be a secret.
#[derive(Clone, PartialEq)]
pub(super) enum Given {
    Nothing,
    /// The placeholder of the sample file.
    Placeholder,
    Text(String),
    /// A YAML number or boolean, whose original spelling is lost.
    Unquoted(String),
    List(Vec<String>),
    /// A mapping, or a list of other than single values.
    Nested,
    /// Something that cannot be used, about which there is a problem already.
    Refused,
}

impl Given {
    /// A value of the YAML file.
    pub(super) fn of_yaml(value: &ValueKind) -> Self {
        match value {
            ValueKind::Nil => Self::Nothing,
            ValueKind::String(text) => Self::of_text(text),
            ValueKind::Table(_) => Self::Nested,
            ValueKind::Array(entries) => Self::of_list(entries),
            ValueKind::Boolean(_)
            | ValueKind::I64(_)
            | ValueKind::I128(_)
            | ValueKind::U64(_)
            | ValueKind::U128(_)
            | ValueKind::Float(_) => Self::Unquoted(value.to_string()),
        }
    }

    /// A value of a variable, or in quotes.
    pub(super) fn of_text(text: &str) -> Self {
        if text.trim().is_empty() {
            Self::Nothing
        } else if is_placeholder(text) {
            Self::Placeholder
        } else {
            Self::Text(text.to_owned())
        }
    }

    fn of_list(entries: &[Value]) -> Self {
        let mut texts = Vec::new();
        for entry in entries {
            match Self::of_yaml(&entry.kind) {
                Self::Nothing => {}
                Self::Placeholder => return Self::Placeholder,
                Self::Text(text) | Self::Unquoted(text) => texts.push(text),
                Self::List(_) | Self::Nested | Self::Refused => return Self::Nested,
            }
        }
        if texts.is_empty() {
            Self::Nothing
        } else {
            Self::List(texts)
        }
    }

    /// The name in a place to be filled in, such as `${NAME}`, that stands where a value belongs.
    pub(super) fn template(&self) -> Option<&str> {
        match self {
            Self::Text(text) => template(text.trim()),
            Self::List(texts) => texts.iter().find_map(|text| template(text.trim())),
            _ => None,
        }
    }

    /// The value in one line; none where there is none.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) | Self::Unquoted(text) => Some(text.trim().to_owned()),
            Self::List(texts) => Some(texts.join(",")),
            Self::Nothing | Self::Placeholder | Self::Nested | Self::Refused => None,
        }
    }
}

/// Whether the text is what sample files carry where a value belongs.
pub(super) fn is_placeholder(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case(PLACEHOLDER)
}

/// The name of the variable that the text is and nothing else, written as for a shell or for Compose. What would
/// stand for it by default could be a secret.
fn template(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("${")?.strip_suffix('}')?;
    let name = inner.split_once(':').map_or(inner, |(name, _)| name);
    let is_name = name
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    (is_name && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::Given;

    #[rstest::rstest]
    #[case("${GITHUB_TOKEN}", Some("GITHUB_TOKEN"))]
    #[case(" ${A_1} ", Some("A_1"))]
    #[case("${A:-hunter2}", Some("A"))]
    #[case("${}", None)]
    #[case("${a b}", None)]
    #[case("$GITHUB_TOKEN", None)]
    #[case("a${B}", None)]
    #[case("${A}${B}", None)]
    fn a_template_is_a_name_in_braces(#[case] text: &str, #[case] name: Option<&str>) {
        assert_eq!(Given::of_text(text).template(), name);
    }
}
