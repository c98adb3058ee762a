//! What holds for every page, however its objects hang together.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::connector::Position;
use crate::runtime::import::admission::Rejected;
use crate::settings::QueueProtocol;
use crate::stix::{ObjectWriter, Pointer, StixId};

fn id(number: usize) -> String {
    format!("url--00000000-0000-5000-8000-{number:012}")
}

fn stix_id(number: usize) -> StixId {
    StixId::of("url", &id(number)).unwrap()
}

fn object(number: usize) -> StixObject {
    ObjectWriter::new(stix_id(number)).finish("Url").unwrap()
}

fn page(objects: Vec<StixObject>, referenced: Vec<StixObject>) -> Converted {
    Converted {
        position: Some(Position {
            stream: "observables",
            cursor: "c".into(),
            as_of: None,
        }),
        objects: objects.into_iter().map(Arc::new).collect(),
        referenced: referenced.into_iter().map(Arc::new).collect(),
        ..Converted::new("observables", 1, 0)
    }
}

/// Three pages of twenty objects. Each may depend on some of five markings; those of the first two
/// pages may point at objects of their page and at companions, those of the last one tie objects of
/// the first page together.
#[derive(Debug, Clone)]
struct Shape {
    points: Vec<(usize, usize)>,
    referenced: Vec<(usize, usize)>,
    ends: Vec<(usize, usize)>,
    marked: Vec<(usize, usize)>,
}

const PAGE: usize = 20;
const PAGES: usize = 3;
const MARKING: usize = 1000;
const COMPANION: usize = 2000;

fn shapes() -> impl Strategy<Value = Shape> {
    let pairs = |to: usize| prop::collection::vec((0..PAGE * PAGES, 0..to), 0..40);
    (pairs(PAGE), pairs(5), pairs(PAGE), pairs(5)).prop_map(|(points, referenced, ends, marked)| {
        Shape {
            points,
            referenced,
            ends,
            marked,
        }
    })
}

fn pages(shape: &Shape) -> Vec<Converted> {
    let markings: Vec<Arc<StixObject>> = (0..5)
        .map(|number| Arc::new(object(MARKING + number)))
        .collect();
    let mut author = object(MARKING + 9);
    author.dependencies.push(Arc::clone(&markings[0]));
    let author = Arc::new(author);
    (0..PAGES)
        .map(|number| page_of(shape, number, &markings, &author))
        .collect()
}

fn page_of(
    shape: &Shape,
    number: usize,
    markings: &[Arc<StixObject>],
    author: &Arc<StixObject>,
) -> Converted {
    let own = number * PAGE..(number + 1) * PAGE;
    let mut referenced = HashSet::new();
    let objects = own.clone().map(|at| {
        let mut written = object(at);
        // Only backwards within the page: circles are cut before.
        let dependents = number + 1 == PAGES;
        let points = shape
            .points
            .iter()
            .filter(|(from, to)| !dependents && *from == at && own.start + to < at);
        let mut targets: Vec<StixId> = points.map(|(_, to)| stix_id(own.start + to)).collect();
        for (_, to) in shape
            .referenced
            .iter()
            .filter(|(from, _)| !dependents && *from == at)
        {
            referenced.insert(COMPANION + to);
            targets.push(stix_id(COMPANION + to));
        }
        targets.sort();
        targets.dedup();
        if !targets.is_empty() {
            written = written.pointing_at(vec![Pointer {
                property: "contains_refs",
                is_many: true,
                targets,
            }]);
        }
        let ends = shape
            .ends
            .iter()
            .filter(|(from, _)| dependents && *from == at);
        written.ends = ends.map(|(_, to)| stix_id(*to)).collect();
        let marked = shape.marked.iter().filter(|(from, _)| *from == at);
        written.dependencies = marked.map(|(_, to)| Arc::clone(&markings[*to])).collect();
        written.dependencies.push(Arc::clone(author));
        written
    });
    let objects = objects.collect();
    page(objects, referenced.into_iter().map(object).collect())
}

/// Everything that has to be imported before the object itself.
fn needs(object: &StixObject) -> Vec<StixId> {
    let dependencies = object
        .dependencies
        .iter()
        .map(|dependency| dependency.id.clone());
    dependencies
        .chain(object.targets().map(|id| StixId::of("url", id).unwrap()))
        .chain(object.ends.iter().cloned())
        .collect()
}

proptest! {
    #[test]
    fn closed_messages_hold_all_that_their_objects_need(shape in shapes(), batch_size in 1_usize..30) {
        let mut run = Packer::new(Packing::Closed { batch_size });
        let mut sent: HashSet<StixId> = HashSet::new();
        let mut last_message: HashMap<StixId, usize> = HashMap::new();
        let mut message = 0;
        for page in pages(&shape) {
            let own: HashSet<StixId> = page.objects.iter().map(|object| object.id.clone()).collect();
            let packed = run.pack(&page);
            prop_assert!(packed.deferred.is_empty());
            for batch in packed.waves.iter().flat_map(|wave| &wave.batches) {
                message += 1;
                let mut here = HashSet::new();
                let mut subjects = 0;
                for object in batch {
                    for needed in needs(object) {
                        let is_long_done =
                            last_message.get(&needed).is_some_and(|then| message - then > RECENT_BATCHES);
                        prop_assert!(here.contains(&needed) || is_long_done, "{} needs {needed}", object.id);
                    }
                    prop_assert!(here.insert(object.id.clone()), "{} twice in a message", object.id);
                    let rides_along = object.bare.is_none() && sent.contains(&object.id);
                    if own.contains(&object.id) && !rides_along {
                        subjects += 1;
                        sent.insert(object.id.clone());
                    }
                }
                last_message.extend(batch.iter().map(|object| (object.id.clone(), message)));
                let closure = batch.len();
                prop_assert!(subjects <= batch_size || closure > batch_size);
            }
        }
        prop_assert_eq!(sent.len(), PAGE * PAGES, "every object arrives");
    }

    #[test]
    fn waves_never_need_what_may_still_be_on_its_way(shape in shapes(), batch_size in 1_usize..5) {
        let mut run = Packer::new(Packing::Waves { batch_size });
        let mut settled: HashSet<StixId> = HashSet::new();
        let mut on_its_way: HashSet<StixId> = HashSet::new();
        for page in pages(&shape) {
            for wave in run.pack(&page).waves {
                if wave.waits {
                    settled.extend(on_its_way.drain());
                }
                for object in wave.batches.iter().flatten() {
                    for needed in needs(object) {
                        prop_assert!(settled.contains(&needed), "{} needs {needed}", object.id);
                    }
                }
                for batch in &wave.batches {
                    prop_assert!(!batch.is_empty() && batch.len() <= batch_size);
                    for object in batch {
                        prop_assert!(on_its_way.insert(object.id.clone()), "{} twice", object.id);
                    }
                }
            }
        }
        let own = (0..PAGE * PAGES).filter(|number| {
            let id = stix_id(*number);
            settled.contains(&id) || on_its_way.contains(&id)
        });
        prop_assert_eq!(own.count(), PAGE * PAGES, "every object arrives");
    }
}

#[test]
fn a_hundred_plain_objects_a_message() {
    let mut run = Packer::new(Packing::Closed { batch_size: 100 });
    let packed = run.pack(&page((0..1000).map(object).collect(), Vec::new()));
    let sizes: Vec<usize> = packed.waves[0].batches.iter().map(Vec::len).collect();
    assert_eq!(sizes, [100; 10]);
}

#[test]
fn a_relationship_whose_end_is_held_back_is_held_back_by_name() {
    let mut relationship = object(1);
    relationship
        .ends
        .push(StixId::of_observable("ipv4-addr--00000000-0000-5000-8000-000000000099").unwrap());
    let tied = page(vec![relationship], Vec::new());
    let mut run = Packer::new(Packing::Closed { batch_size: 100 });
    run.note_not_sent(["ipv4-addr--00000000-0000-5000-8000-000000000099"]);
    let packed = run.pack(&tied);
    assert!(packed.waves.is_empty());
    assert_eq!(packed.deferred[0].id, id(1));
    assert_eq!(packed.deferred[0].reason, "its ipv4-addr is not sent");
    let mut run = Packer::new(Packing::Closed { batch_size: 100 });
    assert_eq!(
        run.pack(&tied).waves[0].batches.len(),
        1,
        "an end of an earlier run is there"
    );
}

/// An object that comes a second time, for its files, was sent, whatever becomes of it then.
#[test]
fn what_comes_a_second_time_and_does_not_go_holds_nothing_back() {
    let tied = |end: usize| {
        let mut relationship = object(9);
        relationship.ends.push(stix_id(end));
        page(vec![relationship], Vec::new())
    };
    for (counts_as, sent) in [(Some("object with files"), 1), (None, 0)] {
        let mut run = Packer::new(Packing::Closed { batch_size: 100 });
        let mut again = page(Vec::new(), Vec::new());
        again.counts_as = counts_as;
        again.skipped.push(skip(&object(1), "it cannot be read"));
        let mut rejected = Rejected::default();
        rejected.ids.insert(id(2).into());
        rejected.note_in(&mut run, &again);
        for end in [1, 2] {
            assert_eq!(run.pack(&tied(end)).waves.len(), sent, "{counts_as:?}");
        }
    }
}

#[test]
fn what_was_sent_long_ago_does_not_ride_along() {
    let mut run = Packer::new(Packing::Closed { batch_size: 1 });
    run.pack(&page(
        (0..=RECENT_BATCHES).map(object).collect(),
        Vec::new(),
    ));
    let dependent = |number: usize, end: usize| {
        let mut relationship = object(number);
        relationship.ends.push(stix_id(end));
        relationship
    };
    let packed = run.pack(&page(
        vec![dependent(500, 0), dependent(501, RECENT_BATCHES)],
        Vec::new(),
    ));
    let sizes: Vec<usize> = packed.waves[0].batches.iter().map(Vec::len).collect();
    assert_eq!(
        sizes,
        [1, 2],
        "the first end is long imported, the second rides along"
    );
}

/// An object that changed while the source was read stands on two pages, and something ties it on a third.
#[rstest]
#[case(Packing::Closed { batch_size: 100 })]
#[case(Packing::Waves { batch_size: 100 })]
fn what_has_changed_is_never_overtaken_by_what_it_was(#[case] packing: Packing) {
    let scored = |score: u8| {
        let mut writer = ObjectWriter::new(stix_id(1));
        writer.put("x_opencti_score", &score);
        writer.finish("Url").unwrap()
    };
    let dependent = |number: usize| {
        let mut relationship = object(number);
        relationship.ends.push(stix_id(1));
        relationship
    };
    let mut run = Packer::new(packing);
    let waits = |packed: &Packed| packed.waves.iter().any(|wave| wave.waits);
    assert!(!waits(&run.pack(&page(vec![scored(47)], Vec::new()))));
    assert!(waits(&run.pack(&page(vec![scored(48)], Vec::new()))));
    assert!(!waits(&run.pack(&page(vec![object(2)], Vec::new()))));
    let tied = run.pack(&page(vec![dependent(3)], Vec::new()));
    let riding = tied.waves.iter().flat_map(|wave| &wave.batches).flatten();
    let mut riding = riding.filter(|object| *object.id == id(1));
    assert!(riding.all(|object| *object.json == *scored(48).json));
    // What came along with others lacks something, and has not changed for that.
    let pointing = object(4).pointing_at(vec![Pointer {
        property: "x_refs",
        is_many: true,
        targets: vec![stix_id(1)],
    }]);
    let mut run = Packer::new(packing);
    run.pack(&page(vec![pointing], vec![object(1)]));
    assert!(!waits(
        &run.pack(&page(vec![scored(47), dependent(3)], Vec::new()))
    ));
    // What ties objects together changes as well.
    assert!(waits(&run.pack(&page(vec![dependent(3)], Vec::new()))));
}

#[test]
fn messages_stay_under_the_brokers_limit() {
    let large = |number: usize| {
        let mut writer = ObjectWriter::new(stix_id(number));
        writer.put("value", &"x".repeat(LARGEST_BATCH_BYTES / 3));
        writer.finish("Text").unwrap()
    };
    let mut too_large = ObjectWriter::new(stix_id(99));
    too_large.put("value", &"x".repeat(LARGEST_BATCH_BYTES));
    let mut objects: Vec<StixObject> = (0..4).map(large).collect();
    objects.push(too_large.finish("Text").unwrap());
    for packing in [
        Packing::Closed { batch_size: 100 },
        Packing::Waves { batch_size: 100 },
    ] {
        let packed = Packer::new(packing).pack(&page(objects.clone(), Vec::new()));
        let sizes: Vec<usize> = packed.waves[0].batches.iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 2], "{packing:?}");
        assert_eq!(packed.deferred[0].reason, "larger than a message may be");
    }
}

#[test]
fn what_objects_depend_on_comes_along_until_it_is_sure_to_exist() {
    let dependency = Arc::new(object(500));
    let used = |number: usize| {
        let mut object = object(number);
        object.dependencies = vec![Arc::clone(&dependency)];
        object
    };
    let ids_of_one = |run: &mut Packer, number| -> Vec<String> {
        let packed = run.pack(&page(vec![used(number)], Vec::new()));
        let batch = packed.waves[0].batches[0].iter();
        batch.map(|object| object.id.to_string()).collect()
    };
    let mut run = Packer::new(Packing::Closed { batch_size: 1 });
    let packed = run.pack(&page((0..=RECENT_BATCHES).map(used).collect(), Vec::new()));
    let sizes = packed.waves[0].batches.iter().map(Vec::len);
    assert_eq!(sizes.collect::<Vec<_>>(), [2; RECENT_BATCHES + 1]);
    // From here on it is sure, but not for ever.
    run.pack(&page(
        (100..100 + COMES_AGAIN - 1).map(used).collect(),
        Vec::new(),
    ));
    assert_eq!(ids_of_one(&mut run, 98), [id(500), id(98)]);
    assert_eq!(ids_of_one(&mut run, 99), [id(99)]);
}

#[test]
fn a_marking_comes_along_as_long_as_the_destination_does_not_list_it() {
    let writer = ObjectWriter::new(
        StixId::of(
            "marking-definition",
            "marking-definition--00000000-0000-4000-8000-000000000001",
        )
        .unwrap(),
    );
    let marking = Arc::new(writer.finish("marking").unwrap());
    let used = |number: usize| {
        let mut object = object(number);
        object.dependencies = vec![Arc::clone(&marking)];
        object
    };
    let mut run = Packer::new(Packing::Closed { batch_size: 1 });
    run.pack(&page((0..=RECENT_BATCHES).map(used).collect(), Vec::new()));
    let size = |run: &mut Packer| {
        let packed = run.pack(&page(vec![used(98)], Vec::new()));
        packed.waves[0].batches[0].len()
    };
    assert_eq!(size(&mut run), 2);
    run.set_listed([&*marking.id]);
    assert_eq!(size(&mut run), 1);
    run.set_listed([]);
    assert_eq!(size(&mut run), 2);
}

fn sized(number: usize, bytes: usize) -> StixObject {
    let mut writer = ObjectWriter::new(stix_id(number));
    writer.put("value", &"x".repeat(bytes));
    writer.finish("Text").unwrap()
}

fn limit(protocol: QueueProtocol, several: usize, one: usize) -> MessageLimit {
    MessageLimit {
        protocol,
        several,
        one,
    }
}

/// Where nobody names the limit, one object is tried up to the size that was refused.
#[test]
fn one_object_alone_may_be_larger_than_several() {
    let limit = limit(QueueProtocol::Api, 10_000, 19_999);
    let mut objects: Vec<StixObject> = (0..20).map(|number| sized(number, 1_500)).collect();
    objects.insert(7, sized(98, 15_000));
    objects.push(sized(99, 20_000));
    let packing = Packing::Waves { batch_size: 100 };
    let packed = Packer::new(packing)
        .up_to(Some(limit))
        .pack(&page(objects, Vec::new()));
    let batches: Vec<&Batch> = packed.waves.iter().flat_map(|wave| &wave.batches).collect();
    assert_eq!(batches.iter().map(|batch| batch.len()).sum::<usize>(), 21);
    for batch in batches {
        let most = if batch.len() == 1 { 19_999 } else { 10_000 };
        assert!(limit.body_bytes(bytes_of(batch.iter())) <= most);
    }
    let [skipped] = packed.deferred.as_slice() else {
        panic!("{:?}", packed.deferred);
    };
    assert_eq!(skipped.id, id(99));
    let reason = &skipped.reason;
    assert!(
        reason.starts_with("larger than the destination takes in one request (")
            && reason.contains("over 19999 it answers HTTP 413"),
        "{reason}"
    );
}

#[rstest]
#[case(Packing::Closed { batch_size: 100 })]
#[case(Packing::Waves { batch_size: 100 })]
fn what_was_not_sent_is_not_sent_either_when_a_run_begins_again(#[case] packing: Packing) {
    let mut run = Packer::new(packing).up_to(Some(limit(QueueProtocol::Api, 10_000, 20_000)));
    run.pack(&page(vec![sized(1, 20_000)], Vec::new()));
    run.begin_again(Some(limit(QueueProtocol::Api, 5_000, 10_000)));
    let mut dependent = object(2);
    dependent.ends = vec![stix_id(1)];
    let packed = run.pack(&page(vec![dependent], Vec::new()));
    assert_eq!((packed.waves.len(), packed.dependents.len()), (0, 1));
}

#[rstest]
#[case(Packing::Closed { batch_size: 100 })]
#[case(Packing::Waves { batch_size: 100 })]
fn what_goes_ahead_and_is_too_large_is_named(#[case] packing: Packing) {
    let limit = limit(QueueProtocol::Amqp, 20_000, 20_000);
    let ahead = Packer::new(packing)
        .up_to(Some(limit))
        .pack_ahead(vec![Arc::new(sized(1, 20_000)), Arc::new(sized(2, 10))]);
    let ids: Vec<&str> = ahead.wave.batches[0]
        .iter()
        .map(|object| &*object.id)
        .collect();
    assert_eq!(ids, [id(2)]);
    let [(object, reason)] = ahead.too_large.as_slice() else {
        panic!("{:?}", ahead.too_large);
    };
    assert_eq!(*object.id, *id(1));
    assert!(
        reason.starts_with("larger than the broker takes ("),
        "{reason}"
    );
}

/// Where the broker has refused larger messages, they are packed into smaller ones, and what no such message can
/// hold is named with what it needs.
#[rstest]
#[case(Packing::Closed { batch_size: 100 })]
#[case(Packing::Waves { batch_size: 100 })]
fn messages_stay_under_what_the_broker_takes(#[case] packing: Packing) {
    const LIMIT: usize = 20_000;
    let limit = limit(QueueProtocol::Amqp, LIMIT, LIMIT);
    let mut objects: Vec<StixObject> = (0..40).map(|number| sized(number, 1_500)).collect();
    objects.push(sized(98, LIMIT));
    let mut marked = object(99);
    marked.dependencies = vec![Arc::new(sized(97, LIMIT))];
    objects.push(marked);
    let packed = Packer::new(packing)
        .up_to(Some(limit))
        .pack(&page(objects, Vec::new()));
    let batches: Vec<&Batch> = packed.waves.iter().flat_map(|wave| &wave.batches).collect();
    assert_eq!(batches.iter().map(|batch| batch.len()).sum::<usize>(), 40);
    for batch in batches {
        assert!(limit.body_bytes(bytes_of(batch.iter())) <= LIMIT);
    }
    let reasons: Vec<(&str, &str)> = packed
        .deferred
        .iter()
        .map(|skipped| (skipped.id.as_str(), skipped.reason.as_str()))
        .collect();
    let (alone, with_marking) = (id(98), id(99));
    assert_eq!(reasons[0].0, alone);
    assert!(reasons[0].1.starts_with("larger than the broker takes ("));
    assert_eq!(reasons[1].0, with_marking);
    assert!(
        reasons[1]
            .1
            .starts_with("larger than the broker takes, with what it needs (")
    );
    assert!(
        reasons[1]
            .1
            .ends_with("its limit is 20000: raise its max_message_size, then reset the connector)")
    );
}
