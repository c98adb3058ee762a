//! Tags as labels.

use std::borrow::Cow;

use super::LONGEST_TAG;
use super::machine_tag::MachineTag;
use crate::connectors::misp_feed::mapping_settings::{LabelStyle, MappingSettings};
use crate::stix::text::{NAME_CHARS, clean};

/// A label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelText {
    /// What it says.
    pub value: String,
    /// Its colour, such as `#339900`.
    pub colour: Option<String>,
}

impl LabelText {
    /// The label of a tag; none where nothing is left of it.
    pub(super) fn of(tag: &str, colour: Option<&str>, settings: &MappingSettings) -> Option<Self> {
        let is_kept = settings
            .keep_original_tags
            .iter()
            .any(|begin| !begin.is_empty() && tag.starts_with(begin.as_str()));
        let text = match settings.label_style {
            LabelStyle::Value if !is_kept => MachineTag::read(tag).said(),
            _ => Cow::Borrowed(tag),
        };
        let label = Self::plain(&text)?;
        let colour = colour.map(str::trim).filter(|colour| is_colour(colour));
        Some(Self {
            colour: colour.map(str::to_ascii_lowercase),
            ..label
        })
    }

    /// A label that says this.
    pub fn plain(text: &str) -> Option<Self> {
        let is_short = text.chars().nth(LONGEST_TAG).is_none();
        let value = clean(text, NAME_CHARS).into_owned();
        (is_short && !value.is_empty()).then_some(Self {
            value,
            colour: None,
        })
    }
}

fn is_colour(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or_default();
    digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}
