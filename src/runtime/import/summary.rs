//! The message about a run that people read on the connector's page.

use crate::connector::Tally;

/// Kinds and reasons named in one message; the rest is added up.
const NAMED: usize = 20;

/// The message: what was sent, by type, and what was not, or was left as it is, by reason.
pub(super) fn summary(tally: &Tally) -> String {
    let mut text = format!("Sent {} objects", tally.sent_total());
    let mut sent: Vec<(&str, u64)> = tally
        .sent
        .iter()
        .map(|(kind, count)| (kind.as_str(), *count))
        .collect();
    sent.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
    list(
        &mut text,
        sent.into_iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect(),
    );
    let causes = [
        ("Not sent", tally.skipped_total(), &tally.skipped),
        (
            "Left as they are at the destination",
            tally.left_total(),
            &tally.left,
        ),
    ];
    for (what, total, causes) in causes.into_iter().filter(|(_, total, _)| *total > 0) {
        let mut causes: Vec<_> = causes.iter().collect();
        causes.sort_by(|one, other| other.1.cmp(one.1).then(one.0.cmp(other.0)));
        text.extend([". ", what, ": ", &total.to_string()]);
        let named = |((kind, reason), count): (&(String, String), &u64)| {
            format!("{count} {kind} ({reason})")
        };
        list(&mut text, causes.into_iter().map(named).collect());
    }
    text.push('.');
    text
}

fn list(text: &mut String, items: Vec<String>) {
    let more = items.len().saturating_sub(NAMED);
    let mut named: Vec<String> = items.into_iter().take(NAMED).collect();
    if more > 0 {
        named.push(format!("{more} more kinds"));
    }
    if !named.is_empty() {
        text.push_str(": ");
        text.push_str(&named.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_come_first_and_what_is_missing_has_its_reason() {
        let mut tally = Tally::default();
        tally.sent.insert("Url".into(), 2);
        tally.sent.insert("IPv4-Addr".into(), 40);
        tally
            .skipped
            .insert(("Directory".into(), "it has no path".into()), 1);
        assert_eq!(
            summary(&tally),
            "Sent 42 objects: 40 IPv4-Addr, 2 Url. Not sent: 1: 1 Directory (it has no path)."
        );
        tally.skipped.clear();
        tally
            .left
            .insert(("Incident".into(), "it is there".into()), 3);
        assert_eq!(
            summary(&tally),
            "Sent 42 objects: 40 IPv4-Addr, 2 Url. Left as they are at the destination: 3: 3 Incident (it is there)."
        );
        assert_eq!(summary(&Tally::default()), "Sent 0 objects.");
    }
}
