//! What the simulated platform does from which release on: `tests/tables/release-rules.json`, with which the tests of
//! the product compare it too.

use std::sync::LazyLock;

use anyhow::{Context, Result};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::Release;

/// The rules by release. A rule that the table lacks, or has beside these, is an error.
#[expect(clippy::expect_used, reason = "the table is part of the program")]
pub(crate) static RULES: LazyLock<ReleaseRules> =
    LazyLock::new(|| read().expect("a table of rules"));

fn read() -> Result<ReleaseRules> {
    #[derive(Deserialize)]
    struct Table {
        rules: ReleaseRules,
    }
    let text = include_str!("../../tables/release-rules.json");
    let table: Table = serde_json::from_str(text).context("tests/tables/release-rules.json")?;
    Ok(table.rules)
}

/// The releases that do something.
#[derive(Debug, Deserialize)]
pub(crate) struct Span {
    #[serde(deserialize_with = "release")]
    from: Release,
    #[serde(default, deserialize_with = "later_release")]
    until: Option<Release>,
}

impl Span {
    /// Whether this release does it.
    pub(crate) fn includes(&self, release: Release) -> bool {
        self.from <= release && self.until.is_none_or(|end| release < end)
    }
}

fn release<'de, D: Deserializer<'de>>(from: D) -> Result<Release, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(D::Error::custom)
}

fn later_release<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Release>, D::Error> {
    release(from).map(Some)
}

/// What each rule is stands in the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReleaseRules {
    pub(crate) refuses_schema_and_repeated_fields: Span,
    pub(crate) checks_markings: Span,
    pub(crate) reports_each_object: Span,
    pub(crate) deletes: Span,
    pub(crate) deletes_without_an_error: Span,
    pub(crate) needs_no_applicant: Span,
    pub(crate) splits_messages: Span,
    pub(crate) announces_what_it_splits: Span,
    pub(crate) honours_no_split: Span,
    pub(crate) drops_unknown_types: Span,
    pub(crate) reports_unknown_types: Span,
    pub(crate) pushes_into_a_work: Span,
    pub(crate) splits_pushed_bundles: Span,
    pub(crate) sets_ends_at_creation: Span,
    pub(crate) sets_ends_only_at_creation: Span,
    pub(crate) refuses_set_references: Span,
    pub(crate) phases_have_a_right: Span,
    pub(crate) refuses_large_objects: Span,
    pub(crate) drops_messages_of_dead_works: Span,
    pub(crate) checks_works_with_each_object: Span,
    pub(crate) completes_at_more_than_expected: Span,
    pub(crate) deletes_counters_when_done: Span,
    pub(crate) done_never_completes: Span,
    pub(crate) deletes_counters_when_forced: Span,
    pub(crate) keeps_labels: Span,
    pub(crate) informs_consumers_of_lag: Span,
}
