//! What presence leaves, and what becomes of the links to it.

use super::*;
use crate::stix::{Handling, ObjectWriter};

fn id(number: usize) -> StixId {
    let id = format!("url--00000000-0000-5000-8000-{number:012}");
    StixId::of("url", &id).unwrap()
}

fn object(number: usize) -> StixObject {
    ObjectWriter::new(id(number)).finish("Url").unwrap()
}

fn handled(number: usize, presence: Presence, group: Option<u32>) -> StixObject {
    object(number).handled(Handling {
        presence,
        group,
        ..Handling::default()
    })
}

fn tied(number: usize, to: usize) -> StixObject {
    let mut object = object(number);
    object.imported.push(id(to));
    object
}

fn referring_to(number: usize, need: Need, targets: &[usize]) -> StixObject {
    object(number).referring_to(vec![ObjectReference {
        property: "x_refs",
        is_many: true,
        need,
        targets: targets.iter().map(|target| id(*target)).collect(),
    }])
}

fn list(objects: Vec<StixObject>) -> Vec<Arc<StixObject>> {
    objects.into_iter().map(Arc::new).collect()
}

fn unit_of(objects: Vec<StixObject>) -> Converted {
    Converted {
        objects: list(objects),
        ..Converted::new("alerts", 1, 0)
    }
}

/// Leaves what presence keeps away; the destination has these.
fn leave(links: &mut Links, unit: &mut Converted, there: &[usize]) -> LeftAsIs {
    let has = |asked: &str| there.iter().any(|number| *id(*number) == *asked);
    links.leave(unit, has)
}

fn ids<'a>(objects: impl IntoIterator<Item = &'a Arc<StixObject>>) -> Vec<String> {
    let ids = objects.into_iter().map(|object| object.id.to_string());
    ids.collect()
}

fn texts(numbers: &[usize]) -> Vec<String> {
    numbers
        .iter()
        .map(|number| id(*number).to_string())
        .collect()
}

fn named(left: &LeftAsIs) -> Vec<(&str, &str)> {
    let named = left.named.iter();
    let mut named: Vec<_> = named
        .map(|left| (left.id.as_str(), left.reason.as_str()))
        .collect();
    named.sort_unstable();
    named
}

/// A report without content has its author as its member.
#[test]
fn what_an_object_embeds_is_there_for_its_references() {
    let marking = Arc::new(object(1));
    let mut author = object(2);
    author.embedded.push(marking);
    let mut report = referring_to(3, Need::Imported, &[1, 2, 4]);
    report.embedded.push(Arc::new(author));
    let unit = unit_of(vec![report]);
    let links = Links::default();
    let in_doubt: Vec<&str> = links.references_in_doubt(&unit).into_iter().collect();
    assert_eq!(in_doubt, texts(&[4]));
}

#[test]
fn presence_holds_for_all_lists_and_each_that_is_left_is_named() {
    let (only_if_there, only_if_absent) = (Presence::OnlyIfThere, Presence::OnlyIfAbsent);
    let mut unit = unit_of(vec![
        handled(1, only_if_there, Some(1)),
        handled(2, Presence::Any, Some(1)),
        handled(3, only_if_absent, None),
        object(4),
    ]);
    unit.shared = list(vec![handled(5, only_if_absent, None), object(6)]);
    unit.referenced = list(vec![handled(7, only_if_there, None), object(8)]);
    unit.second_pass = list(vec![object(3), object(4)]);
    let left = leave(&mut Links::default(), &mut unit, &[3, 5]);
    assert_eq!(ids(unit.all()), texts(&[4, 8, 6]));
    assert_eq!(ids(&unit.second_pass), texts(&[4]));
    let all = texts(&[1, 2, 3, 5, 7]);
    let expected = [
        (all[0].as_str(), "it is not there"),
        (&all[1], "what it goes with is not there"),
        (&all[2], "it is there"),
        (&all[3], "it is there"),
        (&all[4], "it is not there"),
    ];
    assert_eq!(named(&left), expected);
    assert!(unit.skipped.is_empty(), "nothing is lost");
}

#[test]
fn what_units_share_and_is_left_is_named_once_a_run() {
    let mut links = Links::default();
    let with_host = || Converted {
        shared: list(vec![handled(1, Presence::OnlyIfThere, None)]),
        ..unit_of(vec![object(2)])
    };
    let named = [1, 2, 3].map(|_| leave(&mut links, &mut with_host(), &[]).named.len());
    assert_eq!(named, [1, 0, 0]);
}

/// The destination answers for what the workers are through with; what this run has sent or deleted counts.
#[test]
fn what_this_run_has_sent_is_there_and_what_it_has_deleted_is_not() {
    let mut links = Links::default();
    let deletion = StixObject::deletion(id(2), "Url").unwrap();
    links.note_sent(&unit_of(vec![object(1), deletion]));
    let mut unit = unit_of(vec![
        handled(1, Presence::OnlyIfThere, None),
        handled(2, Presence::OnlyIfAbsent, None),
    ]);
    leave(&mut links, &mut unit, &[2]);
    assert_eq!(ids(&unit.objects), texts(&[1, 2]));
    // An object that goes only once is sent by one unit, and no loss for the next.
    let mut links = Links::default();
    let with_host = || Converted {
        shared: list(vec![handled(1, Presence::OnlyIfAbsent, None)]),
        ..unit_of(Vec::new())
    };
    let mut first = with_host();
    leave(&mut links, &mut first, &[]);
    links.note_sent(&first);
    let mut second = with_host();
    let left = leave(&mut links, &mut second, &[]);
    assert_eq!((first.shared.len(), second.shared.len()), (1, 0));
    assert!(left.named.is_empty());
}

#[test]
fn nothing_refers_to_what_was_left_and_is_not_there() {
    let mut unit = unit_of(vec![
        handled(1, Presence::OnlyIfThere, None),
        handled(2, Presence::OnlyIfAbsent, None),
        tied(3, 1),
        tied(4, 2),
        referring_to(5, Need::Imported, &[1, 2]),
        referring_to(6, Need::Embedded, &[1, 2]),
    ]);
    let mut links = Links::default();
    let left = leave(&mut links, &mut unit, &[2]);
    let missing: TextSet<Box<str>> = left.lacking().map(Into::into).collect();
    remove_missing(&mut unit, &missing);
    assert_eq!(ids(&unit.objects), texts(&[4, 5, 6]));
    for object in &unit.objects[1..] {
        let targets: Vec<&str> = object.targets().collect();
        assert_eq!(targets, [&*id(2)]);
    }
    // What is there is no end in doubt any more.
    assert!(links.references_in_doubt(&unit).is_empty());
    let lost = unit.skipped.iter().map(|lost| lost.id.clone());
    let to = |from: usize| format!("{} to {}", id(from), id(1));
    let expected = [id(3).to_string(), to(5), to(6)];
    assert_eq!(lost.collect::<Vec<_>>(), expected);
    assert_eq!(unit.deferred.len(), 3);
}

/// Nobody has asked whether what goes with something is there.
#[test]
fn what_was_left_with_its_group_is_an_end_in_doubt() {
    let mut unit = unit_of(vec![
        handled(1, Presence::OnlyIfThere, Some(1)),
        handled(2, Presence::Any, Some(1)),
        tied(3, 2),
    ]);
    let mut links = Links::default();
    let left = leave(&mut links, &mut unit, &[]);
    assert!(left.is_in_doubt(&id(2)) && left.is_lacking(&id(1)));
    assert_eq!(
        links
            .references_in_doubt(&unit)
            .into_iter()
            .collect::<Vec<_>>(),
        [&*id(2)]
    );
}

/// The destination may have it as long as the workers are not through with the deletion.
#[test]
fn nothing_refers_to_what_this_run_deletes() {
    let deletion = |number: usize| StixObject::deletion(id(number), "Url").unwrap();
    let mut links = Links::default();
    links.note_sent(&unit_of(vec![object(1), object(2)]));
    links.note_sent(&unit_of(vec![deletion(1)]));
    let mut unit = unit_of(vec![
        deletion(2),
        tied(3, 1),
        tied(4, 2),
        referring_to(5, Need::Embedded, &[1, 2, 6]),
        object(6),
    ]);
    unit.shared = list(vec![object(2)]);
    remove_deleted(&mut unit);
    let deleted = links.deleted_targets(&unit);
    remove_missing(&mut unit, &deleted);
    assert_eq!(ids(unit.all()), texts(&[2, 5, 6]));
    assert_eq!(unit.objects[1].targets().collect::<Vec<_>>(), [&*id(6)]);
    assert_eq!(unit.skipped.len(), 4, "each link is named");
    // Made again, it can be referred to again.
    let made_again = unit_of(vec![object(1), tied(3, 1)]);
    assert!(links.deleted_targets(&made_again).is_empty());
    links.note_sent(&made_again);
    assert!(links.deleted_targets(&unit_of(vec![tied(4, 1)])).is_empty());
}
