//! What a run did, by family, in one sentence for people.
//!
//! **Invariant:** the sentence is bounded and on one line, whatever the lists are called; what it does not name, it counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::trails::family::{Families, Family, FamilyId};
use super::trails::reader::{Remark, SkipReason, Tally};
use crate::telemetry::safe_text::{NAME, safe};

/// How many families, new families and reasons a sentence names.
const NAMED_FAMILIES: usize = 12;
const NAMED_NEW: usize = 8;
const NAMED_REASONS: usize = 8;

/// What became of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// It was sent for the first time, or again after it was revoked.
    Added,
    /// It was sent with something else than before.
    Changed,
    /// It was revoked.
    Revoked,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunSummary {
    /// Values by what became of them: one that stands in several families counts once.
    total: Counts,
    /// The same by family; one that stands in several families counts in each.
    families: BTreeMap<Box<str>, Counts>,
    new_families: BTreeSet<Box<str>>,
    skipped: BTreeMap<Box<str>, u64>,
    whitelisted: BTreeMap<Box<str>, u64>,
    noticed: BTreeMap<Box<str>, u64>,
    references_left_out: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    added: u64,
    changed: u64,
    revoked: u64,
}

impl Counts {
    fn count(&mut self, change: Change) {
        let count = match change {
            Change::Added => &mut self.added,
            Change::Changed => &mut self.changed,
            Change::Revoked => &mut self.revoked,
        };
        *count += 1;
    }

    fn sum(&self) -> u64 {
        self.added + self.changed + self.revoked
    }
}

impl RunSummary {
    /// Counts a value that is listed by these families, or was.
    pub fn count<'f>(&mut self, change: Change, families: impl IntoIterator<Item = &'f str>) {
        self.total.count(change);
        for family in families {
            // Hardly ever a new one: no copy of the name for each value.
            if let Some(counts) = self.families.get_mut(family) {
                counts.count(change);
            } else {
                let mut counts = Counts::default();
                counts.count(change);
                self.families.insert(family.into(), counts);
            }
        }
    }

    /// Counts a value that these families list, or listed, by their stems.
    pub fn count_in(&mut self, change: Change, families: &Families, listing: &[FamilyId]) {
        let families = listing.iter().filter_map(|id| families.family(*id));
        self.count(change, families.map(Family::stem));
    }

    /// A family that no commit before had, as far as it is known.
    pub fn add_new_family(&mut self, family: &str) {
        self.new_families.insert(family.into());
    }

    /// Families that no commit before had, in the order of their names.
    pub fn new_families(&self) -> impl ExactSizeIterator<Item = &str> {
        self.new_families.iter().map(AsRef::as_ref)
    }

    /// Counts lines that are no trails, or none that are wanted, by the reason.
    pub fn count_skipped(&mut self, reason: impl fmt::Display, lines: u64) {
        *self.skipped.entry(reason.to_string().into()).or_default() += lines;
    }

    /// Counts lines that Maltrail itself never reports, by the list that says so.
    pub fn count_whitelisted(&mut self, list: impl fmt::Display, lines: u64) {
        *self.whitelisted.entry(list.to_string().into()).or_default() += lines;
    }

    /// Counts all that was remarked of lines.
    pub fn count_remarks(&mut self, tally: &Tally) {
        for (remark, lines) in tally.remarks() {
            match remark {
                Remark::Skipped(SkipReason::Whitelisted(list)) => {
                    self.count_whitelisted(list.path(), lines);
                }
                Remark::Skipped(reason) => self.count_skipped(reason, lines),
                Remark::Noticed(notice) => self.count_noticed(notice, lines),
            }
        }
    }

    /// Counts lines that are taken although something is wrong with them, by what that is.
    pub fn count_noticed(&mut self, notice: impl fmt::Display, lines: u64) {
        *self.noticed.entry(notice.to_string().into()).or_default() += lines;
    }

    /// Counts references that are not attached to anything.
    pub fn count_references_left_out(&mut self, references: usize) {
        let references = u64::try_from(references).unwrap_or(u64::MAX);
        self.references_left_out = self.references_left_out.saturating_add(references);
    }

    /// How many values were sent for the first time, or again after they were revoked.
    pub fn added(&self) -> u64 {
        self.total.added
    }

    /// How many values were sent with something else than before.
    pub fn changed(&self) -> u64 {
        self.total.changed
    }

    /// How many values were revoked.
    pub fn revoked(&self) -> u64 {
        self.total.revoked
    }

    /// How many lines were skipped, whitelisted ones not among them.
    pub fn skipped(&self) -> u64 {
        self.skipped.values().sum()
    }

    /// How many lines were left out as whitelisted.
    pub fn whitelisted(&self) -> u64 {
        self.whitelisted.values().sum()
    }

    /// How many values of the families changed most, each with all that became of them: `+812 ~3 −1 apt_kimsuky`.
    fn named_families(&self) -> Vec<String> {
        let mut families: Vec<(&str, &Counts)> = self
            .families
            .iter()
            .map(|(name, counts)| (&**name, counts))
            .collect();
        families.sort_by(|one, other| other.1.sum().cmp(&one.1.sum()).then(one.0.cmp(other.0)));
        let named = families.iter().take(NAMED_FAMILIES).map(|(name, counts)| {
            let signs = [
                ("+", counts.added),
                ("~", counts.changed),
                ("−", counts.revoked),
            ];
            let signs = signs.iter().filter(|(_, count)| *count > 0);
            let signs = signs.map(|(sign, count)| format!("{sign}{count}"));
            let signs: Vec<String> = signs.collect();
            format!("{} {}", signs.join(" "), safe(name, NAME))
        });
        let mut named: Vec<String> = named.collect();
        if let Some(more) = families
            .len()
            .checked_sub(NAMED_FAMILIES)
            .filter(|more| *more > 0)
        {
            named.push(format!("{more} more {}", families_word(more)));
        }
        named
    }

    fn named_new_families(&self) -> Option<String> {
        let count = self.new_families.len();
        if count == 0 {
            return None;
        }
        let names = self.new_families().take(NAMED_NEW);
        let names: Vec<_> = names.map(|name| safe(name, NAME)).collect();
        let more = match count.saturating_sub(NAMED_NEW) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let names = names.join(", ");
        Some(format!(
            "{count} new {} ({names}{more})",
            families_word(count)
        ))
    }
}

impl fmt::Display for RunSummary {
    /// One sentence without a full stop: `812 added, 3 changed, 1 revoked: +812 apt_kimsuky, 2 new families (x, y)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            added,
            changed,
            revoked,
        } = self.total;
        let totals = [(added, "added"), (changed, "changed"), (revoked, "revoked")];
        let totals = totals.iter().filter(|(count, _)| *count > 0);
        let totals: Vec<String> = totals
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let mut named = self.named_families();
        named.extend(self.named_new_families());
        match (totals.is_empty(), named.is_empty()) {
            (true, true) => f.write_str("nothing changed")?,
            (true, false) => f.write_str(&named.join(", "))?,
            (false, true) => f.write_str(&totals.join(", "))?,
            (false, false) => write!(f, "{}: {}", totals.join(", "), named.join(", "))?,
        }
        write_reasons(f, "skipped", &self.skipped)?;
        write_reasons(f, "whitelisted", &self.whitelisted)?;
        write_reasons(f, "with something amiss", &self.noticed)?;
        if self.references_left_out > 0 {
            let count = self.references_left_out;
            write!(
                f,
                "; {count} references not attached, as their values have too many"
            )?;
        }
        Ok(())
    }
}

/// How many lines were left out, by reason, the most frequent first.
fn write_reasons(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    reasons: &BTreeMap<Box<str>, u64>,
) -> fmt::Result {
    let total: u64 = reasons.values().sum();
    if total == 0 {
        return Ok(());
    }
    let mut reasons: Vec<(&str, u64)> = reasons
        .iter()
        .map(|(reason, count)| (&**reason, *count))
        .collect();
    reasons.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
    let named = reasons.iter().take(NAMED_REASONS);
    let mut named: Vec<String> = named
        .map(|(reason, count)| format!("{count} {}", safe(reason, NAME)))
        .collect();
    let more: u64 = reasons
        .iter()
        .skip(NAMED_REASONS)
        .map(|(_, count)| count)
        .sum();
    if more > 0 {
        named.push(format!("{more} for other reasons"));
    }
    let lines = if total == 1 { "line" } else { "lines" };
    write!(f, "; {total} {lines} {what} ({})", named.join(", "))
}

fn families_word(count: usize) -> &'static str {
    if count == 1 { "family" } else { "families" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::trails::family::{FileUse, ThreatTable};
    use super::super::trails::reader::{Found, Notice, Place, Skipped};
    use super::super::trails::value::Unusable;
    use super::super::trails::whitelist::List;
    use super::*;
    use crate::telemetry::safe_text::{SENTENCE, is_unsafe};

    fn added(summary: &mut RunSummary, family: &str, count: u64) {
        for _ in 0..count {
            summary.count(Change::Added, [family]);
        }
    }

    #[test]
    fn a_week_is_one_sentence() {
        let mut summary = RunSummary::default();
        added(&mut summary, "apt_kimsuky", 812);
        for family in ["x", "y", "z"] {
            summary.add_new_family(family);
        }
        assert_eq!(
            summary.to_string(),
            "812 added: +812 apt_kimsuky, 3 new families (x, y, z)"
        );
        summary.count(Change::Changed, ["apt_kimsuky", "remcos"]);
        summary.count(Change::Revoked, ["remcos"]);
        summary.count(Change::Revoked, []);
        summary.count_skipped("a single word", 2);
        summary.count_skipped("suffixes are not wanted", 140);
        summary.count_whitelisted("cdn_ranges.txt", 498);
        summary.count_references_left_out(7);
        assert_eq!(
            summary.to_string(),
            "812 added, 1 changed, 2 revoked: +812 ~1 apt_kimsuky, ~1 −1 remcos, 3 new families (x, y, z); 142 lines skipped (140 suffixes are not wanted, 2 a single word); 498 lines whitelisted (498 cdn_ranges.txt); 7 references not attached, as their values have too many"
        );
        assert_eq!(
            (summary.added(), summary.changed(), summary.revoked()),
            (812, 1, 2)
        );
        assert_eq!((summary.skipped(), summary.whitelisted()), (142, 498));
    }

    #[test]
    fn remarks_are_counted_by_reason() {
        let file = families().file("malware/x.txt").unwrap();
        let place = |line| Place { file, line };
        let mut tally = Tally::default();
        let reasons = [
            SkipReason::Suffix,
            SkipReason::Suffix,
            SkipReason::Whitelisted(List::Cdns),
            SkipReason::Unusable(Unusable::SingleWord),
        ];
        for (line, reason) in (1..).zip(reasons) {
            tally.count(&Found::Skipped(Skipped {
                place: place(line),
                reason,
                text: "x",
            }));
        }
        tally.count(&Found::Noticed(place(9), Notice::PortUnreadable));
        let mut summary = RunSummary::default();
        summary.count_remarks(&tally);
        assert_eq!(
            summary.to_string(),
            "nothing changed; 3 lines skipped (2 a suffix (maltrail.suffixes), 1 a single word); 1 line whitelisted (1 data/cdn_ranges.txt); 1 line with something amiss (1 a port that cannot be read; taken without it)"
        );
    }

    #[test]
    fn values_are_counted_by_the_stems_of_their_lists() {
        let families = families();
        let listing: Vec<FamilyId> = families.families().map(|(id, _)| id).collect();
        let mut summary = RunSummary::default();
        summary.count_in(Change::Added, &families, &listing);
        assert_eq!(summary.to_string(), "1 added: +1 apt_y, +1 x");
    }

    fn families() -> Families {
        let lists = ["malware/apt_y.txt", "malware/apt_y-1.txt", "malware/x.txt"];
        let lists = lists.map(|path| (path.to_owned(), FileUse::Full));
        Families::new(lists, &ThreatTable::built_in().unwrap())
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        let mut summary = RunSummary::default();
        assert_eq!(summary.to_string(), "nothing changed");
        summary.add_new_family("x");
        assert_eq!(summary.to_string(), "1 new family (x)");
        summary.count_skipped("a single word", 1);
        assert_eq!(
            summary.to_string(),
            "1 new family (x); 1 line skipped (1 a single word)"
        );
    }

    #[test]
    fn the_largest_are_named_and_the_others_counted() {
        let mut summary = RunSummary::default();
        for family in 0..2000 {
            let name = format!("family_{family}");
            added(&mut summary, &name, if family == 1234 { 2 } else { 1 });
            summary.add_new_family(&name);
            summary.count_skipped(&name, 1);
        }
        let text = summary.to_string();
        assert!(
            text.starts_with("2001 added: +2 family_1234, +1 family_0, +1 family_1, "),
            "{text}"
        );
        let new = "1988 more families, 2000 new families (family_0, family_1, ";
        assert!(text.contains(new), "{text}");
        assert!(
            text.contains(" and 1992 more); 2000 lines skipped (1 family_0, "),
            "{text}"
        );
        assert!(text.ends_with(", 1992 for other reasons)"), "{text}");
    }

    proptest! {
        #[test]
        fn whatever_lists_are_called_it_is_one_short_line(
            names in prop::collection::vec(("(.|[\n\u{1b}\u{202e}]){0,10}", 0..40_usize), 0..60),
        ) {
            let mut summary = RunSummary::default();
            for (part, times) in &names {
                let name = &*part.repeat(*times);
                summary.count(Change::Changed, [name]);
                summary.add_new_family(name);
                summary.count_skipped(name, u64::MAX / 100);
                summary.count_whitelisted(name, 1);
                summary.count_noticed(name, 1);
            }
            let text = summary.to_string();
            prop_assert!(text.len() <= 2 * SENTENCE, "{}", text.len());
            prop_assert!(!text.contains(is_unsafe));
        }
    }
}
