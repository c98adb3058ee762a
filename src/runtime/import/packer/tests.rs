//! What holds for every unit, however its objects hang together.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use proptest::prelude::*;
use rstest::rstest;

use super::closed::bytes_of;
use super::*;
use crate::connector::Position;
use crate::runtime::import::admission::Rejected;
use crate::settings::QueueProtocol;
use crate::stix::{Handling, Need, ObjectReference, ObjectWriter, StixId};

fn id(number: usize) -> String {
    format!("url--00000000-0000-5000-8000-{number:012}")
}

fn stix_id(number: usize) -> StixId {
    StixId::of("url", &id(number)).unwrap()
}

fn object(number: usize) -> StixObject {
    ObjectWriter::new(stix_id(number)).finish("Url").unwrap()
}

fn unit_of(objects: Vec<StixObject>, referenced: Vec<StixObject>) -> Converted {
    Converted {
        position: Some(Position {
            variant: None,
            cursor: "c".into(),
            as_of: None,
        }),
        objects: objects.into_iter().map(Arc::new).collect(),
        referenced: referenced.into_iter().map(Arc::new).collect(),
        ..Converted::new("observables", 1, 0)
    }
}

/// Three units of twenty objects. Each may depend on some of five markings; those of the first two
/// units may refer to objects of their unit and to referenced objects, those of the last one connect objects of
/// the first unit together.
#[derive(Debug, Clone)]
struct UnitShapes {
    points: Vec<(usize, usize)>,
    referenced: Vec<(usize, usize)>,
    imported: Vec<(usize, usize)>,
    marked: Vec<(usize, usize)>,
}

const UNIT_SIZE: usize = 20;
const UNITS: usize = 3;
const MARKING: usize = 1000;
const COMPANION: usize = 2000;

fn shapes() -> impl Strategy<Value = UnitShapes> {
    let pairs = |to: usize| prop::collection::vec((0..UNIT_SIZE * UNITS, 0..to), 0..40);
    (pairs(UNIT_SIZE), pairs(5), pairs(UNIT_SIZE), pairs(5)).prop_map(
        |(points, referenced, imported, marked)| UnitShapes {
            points,
            referenced,
            imported,
            marked,
        },
    )
}

fn units(shape: &UnitShapes) -> Vec<Converted> {
    let markings: Vec<Arc<StixObject>> = (0..5)
        .map(|number| Arc::new(object(MARKING + number)))
        .collect();
    let mut author = object(MARKING + 9);
    author.embedded.push(Arc::clone(&markings[0]));
    let author = Arc::new(author);
    (0..UNITS)
        .map(|number| nth_unit(shape, number, &markings, &author))
        .collect()
}

fn nth_unit(
    shape: &UnitShapes,
    number: usize,
    markings: &[Arc<StixObject>],
    author: &Arc<StixObject>,
) -> Converted {
    let own = number * UNIT_SIZE..(number + 1) * UNIT_SIZE;
    let mut referenced = HashSet::new();
    let objects = own.clone().map(|at| {
        let mut written = object(at);
        // Only backwards within the unit: circles are cut before.
        let dependents = number + 1 == UNITS;
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
            written = written.referring_to(vec![ObjectReference {
                property: "contains_refs",
                is_many: true,
                need: Need::Embedded,
                targets,
            }]);
        }
        let imported = shape
            .imported
            .iter()
            .filter(|(from, _)| dependents && *from == at);
        written.imported = imported.map(|(_, to)| stix_id(*to)).collect();
        let marked = shape.marked.iter().filter(|(from, _)| *from == at);
        written.embedded = marked.map(|(_, to)| Arc::clone(&markings[*to])).collect();
        written.embedded.push(Arc::clone(author));
        written
    });
    let objects = objects.collect();
    unit_of(objects, referenced.into_iter().map(object).collect())
}

/// Everything that has to be imported before the object itself.
fn needs(object: &StixObject) -> Vec<StixId> {
    let embedded = object
        .embedded
        .iter()
        .map(|embedded_object| embedded_object.id.clone());
    embedded
        .chain(object.targets().map(|id| StixId::of("url", id).unwrap()))
        .chain(object.imported.iter().cloned())
        .collect()
}

/// Workers that are through with messages only when the test says so.
#[derive(Default)]
struct Workers {
    sent: HashSet<StixId>,
    on_their_way: HashSet<StixId>,
}

impl Workers {
    /// Takes messages; fails over an object that comes twice, or before what it needs.
    fn take(&mut self, wave: &Wave) {
        let here = wave.batches.iter().map(|batch| {
            let mut here: HashSet<StixId> = HashSet::new();
            for object in batch {
                for needed in needs(object) {
                    let is_there =
                        self.sent.contains(&needed) && !self.on_their_way.contains(&needed);
                    assert!(
                        is_there || here.contains(&needed),
                        "{} needs {needed}",
                        object.id
                    );
                }
                assert!(
                    here.insert(object.id.clone()),
                    "{} twice in a message",
                    object.id
                );
            }
            here
        });
        for id in here.collect::<Vec<_>>().into_iter().flatten() {
            assert!(self.sent.insert(id.clone()), "{id} twice");
            self.on_their_way.insert(id);
        }
    }

    /// All that they have taken is imported.
    fn finish(&mut self) {
        self.on_their_way.clear();
    }
}

proptest! {
    #[test]
    fn closed_messages_hold_all_that_their_objects_need(shape in shapes(), batch_size in 1_usize..30) {
        let mut run = Packer::new(Packing::Closed { batch_size });
        let mut sent: HashSet<StixId> = HashSet::new();
        let mut last_message: HashMap<StixId, usize> = HashMap::new();
        let mut message = 0;
        for unit in units(&shape) {
            let own: HashSet<StixId> = unit.objects.iter().map(|object| object.id.clone()).collect();
            let packed = run.pack(&unit);
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
                    let rides_along = object.without_references.is_none() && sent.contains(&object.id);
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
        prop_assert_eq!(sent.len(), UNIT_SIZE * UNITS, "every object arrives");
    }

    /// Whatever is imported when: nothing goes before what it needs is there, nothing goes twice, everything goes.
    #[test]
    fn what_waits_goes_once_behind_what_it_needs(
        shape in shapes(),
        batch_size in 1_usize..30,
        imported in prop::collection::vec(any::<bool>(), UNITS),
    ) {
        let mut run = Packer::new(Packing::Closed { batch_size });
        run.hold_back(true);
        let mut workers = Workers::default();
        for (unit, imported) in units(&shape).iter().zip(imported) {
            let packed = run.pack(unit);
            prop_assert!(packed.deferred.is_empty());
            for wave in &packed.waves {
                prop_assert!(!wave.waits);
                workers.take(wave);
            }
            if imported {
                workers.finish();
                run.note_imported();
            }
        }
        let mut rounds = 0;
        while run.held() > 0 {
            workers.finish();
            run.note_imported();
            workers.take(&run.release());
            rounds += 1;
            prop_assert!(rounds < UNIT_SIZE, "it waits for ever");
        }
        let own = (0..UNIT_SIZE * UNITS).filter(|number| workers.sent.contains(&stix_id(*number)));
        prop_assert_eq!(own.count(), UNIT_SIZE * UNITS, "every object arrives");
    }

    #[test]
    fn waves_never_need_what_may_still_be_on_its_way(shape in shapes(), batch_size in 1_usize..5) {
        let mut run = Packer::new(Packing::Waves { batch_size });
        let mut settled: HashSet<StixId> = HashSet::new();
        let mut on_its_way: HashSet<StixId> = HashSet::new();
        for unit in units(&shape) {
            for wave in run.pack(&unit).waves {
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
        let own = (0..UNIT_SIZE * UNITS).filter(|number| {
            let id = stix_id(*number);
            settled.contains(&id) || on_its_way.contains(&id)
        });
        prop_assert_eq!(own.count(), UNIT_SIZE * UNITS, "every object arrives");
    }
}

#[test]
fn a_hundred_plain_objects_a_message() {
    let mut run = Packer::new(Packing::Closed { batch_size: 100 });
    let packed = run.pack(&unit_of((0..1000).map(object).collect(), Vec::new()));
    let sizes: Vec<usize> = packed.waves[0].batches.iter().map(Vec::len).collect();
    assert_eq!(sizes, [100; 10]);
}

#[test]
fn a_relationship_whose_end_is_deferred_is_deferred_by_name() {
    let mut relationship = object(1);
    relationship
        .imported
        .push(StixId::of_observable("ipv4-addr--00000000-0000-5000-8000-000000000099").unwrap());
    let tied = unit_of(vec![relationship], Vec::new());
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
        relationship.imported.push(stix_id(end));
        unit_of(vec![relationship], Vec::new())
    };
    for (counts_as, sent) in [(Some("object with files"), 1), (None, 0)] {
        let mut run = Packer::new(Packing::Closed { batch_size: 100 });
        let mut again = unit_of(Vec::new(), Vec::new());
        again.parts.counts_as = counts_as;
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
    run.pack(&unit_of(
        (0..=RECENT_BATCHES).map(object).collect(),
        Vec::new(),
    ));
    let dependent = |number: usize, end: usize| {
        let mut relationship = object(number);
        relationship.imported.push(stix_id(end));
        relationship
    };
    let packed = run.pack(&unit_of(
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

/// An object that changed while the source was read is on two units, and a third has something that depends on it.
#[rstest]
#[case(Packing::Closed { batch_size: 100 })]
#[case(Packing::Waves { batch_size: 100 })]
fn a_changed_object_is_never_overwritten_by_its_older_version(#[case] packing: Packing) {
    let scored = |score: u8| {
        let mut writer = ObjectWriter::new(stix_id(1));
        writer.put("x_opencti_score", &score);
        writer.finish("Url").unwrap()
    };
    let dependent = |number: usize| {
        let mut relationship = object(number);
        relationship.imported.push(stix_id(1));
        relationship
    };
    let mut run = Packer::new(packing);
    let waits = |packed: &Packed| packed.waves.iter().any(|wave| wave.waits);
    assert!(!waits(&run.pack(&unit_of(vec![scored(47)], Vec::new()))));
    assert!(waits(&run.pack(&unit_of(vec![scored(48)], Vec::new()))));
    assert!(!waits(&run.pack(&unit_of(vec![object(2)], Vec::new()))));
    let tied = run.pack(&unit_of(vec![dependent(3)], Vec::new()));
    let riding = tied.waves.iter().flat_map(|wave| &wave.batches).flatten();
    let mut riding = riding.filter(|object| *object.id == id(1));
    assert!(riding.all(|object| *object.json == *scored(48).json));
    // What came along with others lacks something, and has not changed for that.
    let referring = object(4).referring_to(vec![ObjectReference {
        property: "x_refs",
        is_many: true,
        need: Need::Embedded,
        targets: vec![stix_id(1)],
    }]);
    let mut run = Packer::new(packing);
    run.pack(&unit_of(vec![referring], vec![object(1)]));
    assert!(!waits(&run.pack(&unit_of(vec![scored(47)], Vec::new()))));
}

fn is_barrier(packed: &Packed) -> bool {
    packed.waves.iter().any(|wave| wave.waits)
}

/// An object that others refer to, one that nothing refers to, and one too large to be kept for riding along.
#[rstest]
#[case::entity(10, None)]
#[case::relationship(10, Some(2))]
#[case::large(REMEMBERED_BYTES * 2, None)]
fn what_comes_again_as_it_was_needs_no_barrier(#[case] bytes: usize, #[case] end: Option<usize>) {
    let object = |letter: &str| {
        let mut writer = ObjectWriter::new(stix_id(1));
        writer.put("value", &letter.repeat(bytes));
        let mut object = writer.finish("Text").unwrap();
        object.imported.extend(end.map(stix_id));
        unit_of(vec![object], Vec::new())
    };
    let mut run = Packer::new(Packing::Closed { batch_size: 100 });
    let barriers = ["x", "x", "y", "y", "x"].map(|letter| is_barrier(&run.pack(&object(letter))));
    assert_eq!(barriers, [false, false, true, false, true]);
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
        let packed = Packer::new(packing).pack(&unit_of(objects.clone(), Vec::new()));
        let sizes: Vec<usize> = packed.waves[0].batches.iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 2], "{packing:?}");
        assert_eq!(packed.deferred[0].reason, "larger than a message may be");
    }
}

#[test]
fn what_objects_depend_on_comes_along_until_it_is_sure_to_exist() {
    let embedded_object = Arc::new(object(500));
    let used = |number: usize| {
        let mut object = object(number);
        object.embedded = vec![Arc::clone(&embedded_object)];
        object
    };
    let ids_of_one = |run: &mut Packer, number| -> Vec<String> {
        let packed = run.pack(&unit_of(vec![used(number)], Vec::new()));
        let batch = packed.waves[0].batches[0].iter();
        batch.map(|object| object.id.to_string()).collect()
    };
    let mut run = Packer::new(Packing::Closed { batch_size: 1 });
    let packed = run.pack(&unit_of(
        (0..=RECENT_BATCHES).map(used).collect(),
        Vec::new(),
    ));
    let sizes = packed.waves[0].batches.iter().map(Vec::len);
    assert_eq!(sizes.collect::<Vec<_>>(), [2; RECENT_BATCHES + 1]);
    // From here on it is sure, but not for ever.
    run.pack(&unit_of(
        (1000..1000 + COMES_AGAIN - 1).map(used).collect(),
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
        object.embedded = vec![Arc::clone(&marking)];
        object
    };
    let mut run = Packer::new(Packing::Closed { batch_size: 1 });
    run.pack(&unit_of(
        (0..=RECENT_BATCHES).map(used).collect(),
        Vec::new(),
    ));
    let size = |run: &mut Packer| {
        let packed = run.pack(&unit_of(vec![used(98)], Vec::new()));
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
        .pack(&unit_of(objects, Vec::new()));
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
    run.pack(&unit_of(vec![sized(1, 20_000)], Vec::new()));
    run.begin_again(Some(limit(QueueProtocol::Api, 5_000, 10_000)));
    let mut dependent = object(2);
    dependent.imported = vec![stix_id(1)];
    let packed = run.pack(&unit_of(vec![dependent], Vec::new()));
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
    marked.embedded = vec![Arc::new(sized(97, LIMIT))];
    objects.push(marked);
    let packed = Packer::new(packing)
        .up_to(Some(limit))
        .pack(&unit_of(objects, Vec::new()));
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

/// A marked report of these objects, by their numbers.
fn report(number: usize, members: impl IntoIterator<Item = usize>) -> StixObject {
    report_of(number, members, Need::Imported)
}

fn report_of(number: usize, members: impl IntoIterator<Item = usize>, need: Need) -> StixObject {
    let mut report = object(number);
    report.embedded.push(Arc::new(object(MARKING)));
    let targets = members.into_iter().map(stix_id).collect();
    let reference = ObjectReference {
        property: "object_refs",
        is_many: true,
        need,
        targets,
    };
    report.referring_to(vec![reference])
}

/// The members that a copy of a container refers to.
fn members(object: &StixObject) -> Vec<String> {
    let json: serde_json::Value = serde_json::from_str(&object.json).unwrap();
    let members = json["object_refs"].as_array().cloned().unwrap_or_default();
    let members = members
        .iter()
        .map(|member| member.as_str().unwrap().to_owned());
    members.collect()
}

const REPORT: usize = 900_000;

fn messages(packed: &Packed) -> Vec<&Batch> {
    packed.waves.iter().flat_map(|wave| &wave.batches).collect()
}

/// Each message has a copy of the report that refers to what it brings, behind it; together they refer to everything.
#[rstest]
#[case::whole(Packing::Closed { batch_size: 100 })]
#[case::taken_apart(Packing::Waves { batch_size: 1 })]
fn a_container_comes_in_copies_that_refer_to_what_is_there(#[case] packing: Packing) {
    let mut run = Packer::new(packing);
    let mut objects: Vec<StixObject> = (0..1200).map(object).collect();
    objects.insert(0, report(REPORT, 0..1200));
    let packed = run.pack(&unit_of(objects, Vec::new()));
    assert!(packed.deferred.is_empty() && packed.links_lost.is_empty());
    let (mut sent, mut referred) = (HashSet::new(), Vec::new());
    for wave in &packed.waves {
        for message in &wave.batches {
            let ids: HashSet<&str> = message.iter().map(|object| &*object.id).collect();
            assert_eq!(ids.len(), message.len(), "an id twice in a message");
            sent.extend(ids);
            let copies = message.iter().filter(|object| *object.id == id(REPORT));
            for copy in copies {
                let members = members(copy);
                assert!(!members.is_empty() && members.len() <= 500);
                let is_there = |member: &String| sent.contains(member.as_str());
                assert!(members.iter().all(is_there), "a member that was not sent");
                referred.extend(members);
            }
        }
    }
    referred.sort();
    let mut all: Vec<String> = (0..1200).map(id).collect();
    all.sort();
    assert_eq!(referred, all);
}

#[test]
fn a_container_refers_to_members_of_earlier_units_in_copies_of_their_own() {
    let mut run = Packer::new(Packing::Closed { batch_size: 100 });
    run.pack(&unit_of((0..700).map(object).collect(), Vec::new()));
    let packed = run.pack(&unit_of(vec![report(REPORT, 0..700)], Vec::new()));
    let copies = messages(&packed).into_iter().map(|message| {
        let copy = message.iter().find(|object| *object.id == id(REPORT));
        let here: HashSet<&str> = message.iter().map(|object| &*object.id).collect();
        let members = members(copy.unwrap());
        // What was sent a moment ago rides along: its own message may not be through.
        assert!(members.iter().all(|member| here.contains(member.as_str())));
        members.len()
    });
    assert_eq!(copies.collect::<Vec<_>>(), [500, 200]);
}

#[test]
fn a_container_without_members_goes_alone() {
    let mut run = Packer::new(Packing::Closed { batch_size: 100 });
    run.note_not_sent([id(1).as_str()]);
    let packed = run.pack(&unit_of(vec![report(REPORT, [1])], Vec::new()));
    let [message] = messages(&packed)[..] else {
        panic!("{:?}", packed.waves);
    };
    let ids: Vec<&str> = message.iter().map(|object| &*object.id).collect();
    assert_eq!(ids, [id(MARKING), id(REPORT)]);
    assert!(members(&message[1]).is_empty());
    // It is named, and comes once more when the member has come.
    assert_eq!(packed.links_lost.len(), 1);
    let [waiting] = &packed.dependents[..] else {
        panic!("{:?}", packed.dependents);
    };
    assert!(waiting.is_part && waiting.needs.as_deref() == Some(&*id(1)));
}

#[test]
fn a_member_that_no_message_can_hold_is_left_out_of_its_container() {
    let mut run = Packer::new(Packing::Closed { batch_size: 100 });
    let large = {
        let mut writer = ObjectWriter::new(stix_id(1));
        writer.put("value", &"x".repeat(LARGEST_BATCH_BYTES));
        writer.finish("Text").unwrap()
    };
    let packed = run.pack(&unit_of(
        vec![large, object(2), report(REPORT, [1, 2])],
        Vec::new(),
    ));
    let copies = messages(&packed).into_iter().flatten();
    let copies = copies.filter(|object| *object.id == id(REPORT));
    let referred: Vec<String> = copies.flat_map(|copy| members(copy)).collect();
    assert_eq!(referred, [id(2)]);
    assert_eq!(packed.deferred.len(), 1);
}

fn grouped(number: usize, group: u32) -> StixObject {
    object(number).handled(Handling {
        group: Some(group),
        ..Handling::default()
    })
}

#[test]
fn a_group_is_never_torn_apart() {
    let mut run = Packer::new(Packing::Closed { batch_size: 10 });
    let objects = (0..70).map(|number| grouped(number, u32::try_from(number / 7).unwrap()));
    let packed = run.pack(&unit_of(objects.collect(), Vec::new()));
    let messages = messages(&packed);
    assert!(
        messages.iter().all(|message| message.len() == 7),
        "{messages:?}"
    );
    assert_eq!(messages.len(), 10);
}

fn of_row(number: usize, row: u64) -> StixObject {
    object(number).handled(Handling {
        row: Some(row),
        ..Handling::default()
    })
}

#[rstest::rstest]
#[case::closed(Packing::Closed { batch_size: 10 })]
#[case::waves(Packing::Waves { batch_size: 10 })]
fn a_message_holds_so_many_rows_whatever_came_of_each(#[case] packing: Packing) {
    let mut run = Packer::new(packing);
    // Three objects of each row, and five that count alone.
    let rows = (0..75).map(|number| of_row(number, number as u64 / 3));
    let objects = rows.chain((75..80).map(object)).collect();
    let packed = run.pack(&unit_of(objects, Vec::new()));
    let sizes: Vec<usize> = messages(&packed)
        .iter()
        .map(|message| message.len())
        .collect();
    assert_eq!(sizes, [30, 30, 20]);
}

/// A host that many alerts refer to.
#[test]
fn what_units_share_is_sent_once_and_again_only_when_it_changes() {
    const HOST: usize = 800_000;
    let host = |score: u8| {
        let mut writer = ObjectWriter::new(stix_id(HOST));
        writer.put("x_opencti_score", &score);
        Arc::new(writer.finish("System").unwrap())
    };
    let mut run = Packer::new(Packing::Closed { batch_size: 1 });
    let mut times_sent = |from: usize, score: u8| {
        let objects = (from..from + 200).map(|number| {
            let mut alert = object(number);
            alert.imported.push(stix_id(HOST));
            alert
        });
        let unit = Converted {
            shared: vec![host(score)],
            ..unit_of(objects.collect(), Vec::new())
        };
        let packed = run.pack(&unit);
        let messages = messages(&packed);
        assert_eq!(messages.len(), 200);
        let with_host = |message: &&&Batch| message.iter().any(|object| *object.id == id(HOST));
        messages.iter().filter(with_host).count()
    };
    // As long as another worker may still be at the message that brought it.
    let while_recent = RECENT_BATCHES..RECENT_BATCHES + 3;
    assert!(while_recent.contains(&times_sent(0, 1)));
    assert_eq!(times_sent(200, 1), 0);
    assert!(while_recent.contains(&times_sent(400, 2)));
    assert_eq!(times_sent(600, 2), 0);
}

/// A rule that many alerts refer to, and that refers to a technique itself.
#[test]
fn what_units_share_goes_whole_and_settles() {
    const RULE: usize = 800_000;
    const TECHNIQUE: usize = 800_001;
    let rule = report_of(RULE, [TECHNIQUE], Need::Embedded);
    let (rule, technique) = (Arc::new(rule), Arc::new(object(TECHNIQUE)));
    let mut run = Packer::new(Packing::Closed { batch_size: 1 });
    let mut messages_with_rule = |from: usize| {
        let objects = (from..from + 200).map(|number| {
            let mut alert = object(number);
            alert.imported.push(stix_id(RULE));
            alert
        });
        let unit = Converted {
            shared: vec![Arc::clone(&rule), Arc::clone(&technique)],
            ..unit_of(objects.collect(), Vec::new())
        };
        let packed = run.pack(&unit);
        let place = |message: &Batch, number: usize| {
            message.iter().position(|object| *object.id == id(number))
        };
        let messages = messages(&packed).into_iter();
        let with_rule = messages.filter_map(|message| Some((message, place(message, RULE)?)));
        with_rule
            .inspect(|(message, rule)| {
                assert_eq!(members(&message[*rule]), [id(TECHNIQUE)]);
                assert!(place(message, TECHNIQUE).unwrap() < *rule);
            })
            .count()
    };
    assert!((RECENT_BATCHES..RECENT_BATCHES + 3).contains(&messages_with_rule(0)));
    assert_eq!(messages_with_rule(200), 0);
}

/// A report of three hundred objects, of which this many bytes are its description and this many a file.
fn report_with_file(description: usize, file: usize) -> StixObject {
    let mut writer = ObjectWriter::new(stix_id(REPORT));
    writer.put("description", &"d".repeat(description));
    let file = serde_json::json!({"name": "a.pdf", "data": "f".repeat(file)});
    writer.put("x_opencti_files", &[file]);
    let report = writer.finish("Report").unwrap();
    report.referring_to(vec![ObjectReference {
        property: "object_refs",
        is_many: true,
        need: Need::Imported,
        targets: (0..300).map(stix_id).collect(),
    }])
}

#[rstest]
#[case::small(100, 100, 3)]
#[case::large_file(100, LARGEST_BATCH_BYTES / 2, 4)]
#[case::file_that_fills_a_message(100, LARGEST_BATCH_BYTES - 30_000, 4)]
#[case::large_text(100_000, 100, 1)]
fn the_body_of_a_container_is_not_sent_with_each_message(
    #[case] description: usize,
    #[case] file: usize,
    #[case] copies: usize,
) {
    let mut objects = vec![report_with_file(description, file)];
    objects.extend((0..300).map(object));
    let mut run = Packer::new(Packing::Closed { batch_size: 100 });
    let packed = run.pack(&unit_of(objects, Vec::new()));
    assert!(packed.deferred.is_empty(), "{:?}", packed.deferred);
    let messages = messages(&packed);
    for message in &messages {
        assert!(bytes_of(message.iter()) <= LARGEST_BATCH_BYTES);
    }
    let reports = messages.iter().copied().flatten();
    let reports: Vec<_> = reports.filter(|object| *object.id == id(REPORT)).collect();
    assert_eq!(reports.len(), copies);
    let with_files = reports.iter().filter(|copy| copy.json.contains("a.pdf"));
    assert_eq!(with_files.count(), 1);
    let mut members: Vec<String> = reports.iter().flat_map(|copy| members(copy)).collect();
    members.sort();
    assert_eq!(members, (0..300).map(id).collect::<Vec<_>>());
    // All copies without the file have one body between them.
    let bodies = reports.iter().filter(|copy| !copy.json.contains("a.pdf"));
    let bodies: HashSet<_> = bodies
        .map(|copy| Arc::as_ptr(copy.form_without_references()))
        .collect();
    assert!(bodies.len() <= 1);
}

/// A file that no message can hold costs the file, and not the report.
#[rstest]
#[case::ours(None, LARGEST_BATCH_BYTES)]
#[case::brokers(Some(limit(QueueProtocol::Amqp, 200_000, 200_000)), 150_000)]
fn a_container_goes_without_files_that_no_message_can_hold(
    #[values(Packing::Closed { batch_size: 100 }, Packing::Waves { batch_size: 100 })]
    packing: Packing,
    #[case] limit: Option<MessageLimit>,
    #[case] file: usize,
) {
    let mut objects = vec![report_with_file(100, file)];
    objects.extend((0..300).map(object));
    let mut unit = unit_of(objects, Vec::new());
    let mut run = Packer::new(packing).up_to(limit);
    let lost = run.drop_large_files(&mut unit);
    let [lost] = lost.as_slice() else {
        panic!("{lost:?}");
    };
    assert_eq!(lost.id, format!("a.pdf of {}", id(REPORT)));
    assert_eq!(lost.kind, "File");
    assert!(lost.reason.starts_with("larger than "), "{}", lost.reason);
    let packed = run.pack(&unit);
    assert!(packed.deferred.is_empty(), "{:?}", packed.deferred);
    let reports = messages(&packed).into_iter().flatten();
    let reports: Vec<_> = reports.filter(|object| *object.id == id(REPORT)).collect();
    assert!(reports.iter().all(|copy| !copy.json.contains("a.pdf")));
    let members: HashSet<String> = reports.iter().flat_map(|copy| members(copy)).collect();
    assert_eq!(members.len(), 300);
}

/// The file alone would fit, and beside the author it does not.
#[test]
fn a_container_goes_without_files_that_fit_only_beside_nothing() {
    let report = Arc::new(report_with_file(100, LARGEST_BATCH_BYTES - 30_000));
    let mut form = StixObject::clone(report.form_without_references());
    form.embedded = vec![Arc::new(sized(7_000, 60_000))];
    let mut objects = vec![StixObject::of_form(
        &Arc::new(form),
        report.references.clone(),
    )];
    objects.extend((0..300).map(object));
    let mut unit = unit_of(objects, Vec::new());
    let mut run = Packer::new(Packing::Closed { batch_size: 100 });
    assert_eq!(run.drop_large_files(&mut unit), []);
    // The author comes along.
    let packed = run.pack(&unit);
    assert!(packed.deferred.is_empty(), "{:?}", packed.deferred);
    let [lost] = packed.links_lost.as_slice() else {
        panic!("{:?}", packed.links_lost);
    };
    assert_eq!(lost.id, format!("a.pdf of {}", id(REPORT)));
    let reports = messages(&packed).into_iter().flatten();
    let reports: Vec<_> = reports.filter(|object| *object.id == id(REPORT)).collect();
    let members: HashSet<String> = reports.iter().flat_map(|copy| members(copy)).collect();
    assert_eq!(members.len(), 300);
}

/// What comes only to bring its files would bring nothing without them.
#[test]
fn files_that_come_by_themselves_are_refused_as_they_are() {
    let mut unit = unit_of(vec![report_with_file(100, LARGEST_BATCH_BYTES)], Vec::new());
    unit.parts.counts_as = Some("File");
    let mut run = Packer::new(Packing::Closed { batch_size: 100 });
    assert_eq!(run.drop_large_files(&mut unit), []);
    assert_eq!(run.pack(&unit).deferred.len(), 1);
}

/// A report that comes again as it was is no other for the copies that it goes in.
#[test]
fn a_container_that_comes_again_needs_no_barrier() {
    let mut run = Packer::new(Packing::Closed { batch_size: 100 });
    let mut barrier = |description| {
        let mut objects = vec![report_with_file(description, 10)];
        objects.extend((0..300).map(object));
        is_barrier(&run.pack(&unit_of(objects, Vec::new())))
    };
    assert_eq!([10, 10, 11].map(&mut barrier), [false, false, true]);
}

/// Members ride along with the last copies: where all are too many for one message, copies have fewer members.
#[test]
fn a_container_of_large_members_goes_in_copies_that_messages_can_hold() {
    let mut objects: Vec<StixObject> = (0..300).map(|number| sized(number, 60_000)).collect();
    objects.insert(0, report_with_file(100_000, 10));
    let mut run = Packer::new(Packing::Closed { batch_size: 100 });
    let packed = run.pack(&unit_of(objects, Vec::new()));
    assert!(packed.deferred.is_empty(), "{:?}", packed.deferred);
    let reports = messages(&packed).into_iter().flatten();
    let reports = reports.filter(|object| *object.id == id(REPORT));
    let mut members: Vec<String> = reports.flat_map(|copy| members(copy)).collect();
    members.sort();
    assert_eq!(members, (0..300).map(id).collect::<Vec<_>>());
}

fn scored(number: usize, score: u8) -> StixObject {
    let mut writer = ObjectWriter::new(stix_id(number));
    writer.put("x_opencti_score", &score);
    writer.finish("System").unwrap()
}

fn tied(number: usize, to: usize) -> StixObject {
    let mut relationship = object(number);
    relationship.imported.push(stix_id(to));
    relationship
}

fn sharing(objects: Vec<StixObject>, shared: Vec<StixObject>) -> Converted {
    Converted {
        shared: shared.into_iter().map(Arc::new).collect(),
        ..unit_of(objects, Vec::new())
    }
}

fn waits(packed: &Packed) -> bool {
    packed.waves.iter().any(|wave| wave.waits)
}

fn times(packed: &Packed, number: usize) -> usize {
    let sent = messages(packed).into_iter().flatten();
    sent.filter(|object| *object.id == id(number)).count()
}

/// A host that many alerts refer to, for workers that take messages apart.
#[test]
fn what_units_share_goes_again_by_waves_when_it_has_changed() {
    const HOST: usize = 800_000;
    let mut run = Packer::new(Packing::Waves { batch_size: 10 });
    let mut hosts = |from: usize, score: u8| {
        let alerts = (from..from + 20).map(|number| tied(number, HOST));
        let packed = run.pack(&sharing(alerts.collect(), vec![scored(HOST, score)]));
        let host = packed.waves.iter().position(|wave| {
            let mut objects = wave.batches.iter().flatten();
            objects.any(|object| *object.id == id(HOST))
        });
        (
            times(&packed, HOST),
            host.map(|number| packed.waves[number].waits),
        )
    };
    assert_eq!(hosts(0, 1), (1, Some(false)));
    assert_eq!(hosts(100, 1), (0, None));
    // The wave with the alerts has waited for the host, so that its older form is imported.
    assert_eq!(hosts(200, 2), (1, Some(false)));
    assert_eq!(hosts(300, 2), (0, None));
}

#[rstest]
#[case(Packing::Closed { batch_size: 100 })]
#[case(Packing::Waves { batch_size: 100 })]
fn what_units_share_is_never_overwritten_by_its_older_version(#[case] packing: Packing) {
    let mut run = Packer::new(packing);
    let alone = |score: u8| sharing(Vec::new(), vec![scored(5, score)]);
    let first = match packing {
        // Only with what refers to it.
        Packing::Closed { .. } => run.pack(&sharing(vec![tied(1, 5)], vec![scored(5, 1)])),
        Packing::Waves { .. } => run.pack(&alone(1)),
    };
    assert!(times(&first, 5) > 0 && !first.waves[0].waits);
    let same = run.pack(&alone(1));
    assert!(!waits(&same));
    let changed = run.pack(&sharing(vec![tied(2, 5)], vec![scored(5, 2)]));
    assert!(times(&changed, 5) > 0 && changed.waves[0].waits);
    // Unless both add up.
    let adds_up = |object: StixObject| {
        let handling = Handling {
            adds_up: true,
            ..object.handling
        };
        object.handled(handling)
    };
    let (own, shared) = (adds_up(scored(5, 4)), adds_up(scored(5, 3)));
    // By waves, a relationship waits for its end in any case.
    let is_closed = matches!(packing, Packing::Closed { .. });
    let ties = is_closed.then(|| tied(3, 5)).into_iter().collect();
    assert!(!waits(&run.pack(&sharing(ties, vec![shared]))));
    let own = run.pack(&unit_of(vec![own], Vec::new()));
    assert!(times(&own, 5) > 0 && !waits(&own));
    // An object that a unit brings itself waits for its shared form as well.
    let mut run = Packer::new(packing);
    run.pack(&sharing(vec![tied(1, 5)], vec![scored(5, 1)]));
    let own = run.pack(&unit_of(vec![scored(5, 2)], Vec::new()));
    assert_eq!(waits(&own), matches!(packing, Packing::Closed { .. }));
}

#[test]
fn what_is_shared_and_comes_itself_goes_once_by_waves() {
    let mut run = Packer::new(Packing::Waves { batch_size: 100 });
    let mut unit = sharing(vec![object(5), object(6)], vec![scored(5, 1), object(7)]);
    unit.referenced = vec![Arc::new(object(7))];
    let packed = run.pack(&unit);
    assert_eq!([5, 6, 7].map(|number| times(&packed, number)), [1, 1, 1]);
}

/// A run before has deferred it, or this one could not send it as it was.
#[rstest]
#[case(Packing::Closed { batch_size: 100 })]
#[case(Packing::Waves { batch_size: 100 })]
fn what_is_shared_goes_when_it_can_though_it_was_not_sent_before(#[case] packing: Packing) {
    let mut run = Packer::new(packing);
    run.note_not_sent([&*id(5)]);
    assert_eq!(
        run.pack(&unit_of(vec![tied(1, 5)], Vec::new()))
            .deferred
            .len(),
        1
    );
    let packed = run.pack(&sharing(vec![tied(2, 5)], vec![object(5)]));
    assert!(packed.deferred.is_empty() && times(&packed, 5) == 1);
    let later = run.pack(&unit_of(vec![tied(1, 5)], Vec::new()));
    assert!(later.deferred.is_empty());
}

#[rstest]
#[case(Packing::Closed { batch_size: 100 })]
#[case(Packing::Waves { batch_size: 100 })]
fn what_is_shared_and_too_large_goes_in_no_message(#[case] packing: Packing) {
    let limit = limit(QueueProtocol::Amqp, 20_000, 20_000);
    let mut run = Packer::new(packing).up_to(Some(limit));
    let packed = run.pack(&sharing(
        vec![tied(1, 5), object(2)],
        vec![sized(5, 20_000)],
    ));
    let deferred: Vec<&str> = packed.deferred.iter().map(|left| &*left.id).collect();
    assert_eq!(deferred, [&*id(1)]);
    assert_eq!([1, 2, 5].map(|number| times(&packed, number)), [0, 1, 0]);
}

fn deletion(number: usize) -> StixObject {
    StixObject::deletion(stix_id(number), "Url").unwrap()
}

#[rstest]
#[case(Packing::Closed { batch_size: 100 })]
#[case(Packing::Waves { batch_size: 100 })]
fn a_deletion_never_comes_along_and_nothing_depends_on_it(#[case] packing: Packing) {
    let mut run = Packer::new(packing);
    run.pack(&unit_of(vec![object(1), object(2)], Vec::new()));
    let unit = unit_of(
        vec![deletion(1), tied(3, 1), report(REPORT, [1, 2]), tied(4, 2)],
        Vec::new(),
    );
    let packed = run.pack(&unit);
    let deferred: Vec<&str> = packed.deferred.iter().map(|left| &*left.id).collect();
    assert_eq!(deferred, [&*id(3)]);
    let sent = messages(&packed).into_iter().flatten();
    let copies = sent.filter(|object| *object.id == id(REPORT));
    let referred: Vec<String> = copies.flat_map(|copy| members(copy)).collect();
    assert_eq!(referred, [id(2)]);
    assert_eq!(packed.links_lost.len(), 1, "the member is named");
    assert_eq!(times(&packed, 1), 1, "only the deletion");
    // Neither in a later unit, until it is made again.
    let later = run.pack(&unit_of(vec![tied(5, 1)], Vec::new()));
    assert_eq!((later.deferred.len(), times(&later, 1)), (1, 0));
    run.pack(&unit_of(vec![object(1)], Vec::new()));
    let later = run.pack(&unit_of(vec![tied(5, 1)], Vec::new()));
    assert!(later.deferred.is_empty());
}

/// How an object is sent beside others.
#[derive(Debug, Clone, Copy)]
enum Role {
    Own,
    Referenced,
    Shared,
    Embedded,
}

fn in_role(role: Role, number: usize) -> Converted {
    let mut holder = tied(number, 1);
    match role {
        Role::Own => unit_of(vec![object(1)], Vec::new()),
        Role::Referenced => unit_of(vec![holder], vec![object(1)]),
        Role::Shared => sharing(vec![holder], vec![object(1)]),
        Role::Embedded => {
            holder.imported.clear();
            holder.embedded.push(Arc::new(object(1)));
            unit_of(vec![holder], Vec::new())
        }
    }
}

/// Else it would come back, or go, with what the workers import later.
#[rstest]
fn a_deletion_and_what_it_deletes_wait_for_each_other(
    #[values(Packing::Closed { batch_size: 100 }, Packing::Waves { batch_size: 100 })]
    packing: Packing,
    #[values(Role::Own, Role::Referenced, Role::Shared, Role::Embedded)] role: Role,
) {
    let gone = || unit_of(vec![deletion(1)], Vec::new());
    let mut run = Packer::new(packing);
    let sent = run.pack(&in_role(role, 10));
    assert_eq!(times(&sent, 1), 1);
    // By waves, what refers to it has waited for it.
    let is_through = matches!(packing, Packing::Waves { .. }) && waits(&sent);
    assert_eq!(waits(&run.pack(&gone())), !is_through);
    let again = run.pack(&in_role(role, 11));
    assert_eq!(times(&again, 1), 1, "what was deleted is made again");
    assert!(again.waves[0].waits);
    // In another run, a deletion waits for nothing, and neither does a second one.
    let mut run = Packer::new(packing);
    assert!(!waits(&run.pack(&gone())));
    let unrelated = run.pack(&unit_of(vec![deletion(2), object(3)], Vec::new()));
    assert!(!waits(&unrelated));
}

/// What came long ago is not sent with each unit, but is made again when it was deleted.
#[test]
fn what_was_deleted_is_not_taken_for_settled() {
    let mut run = Packer::new(Packing::Closed { batch_size: 1 });
    let many = (10..10 + 2 * RECENT_BATCHES).map(|number| tied(number, 1));
    run.pack(&sharing(many.collect(), vec![object(1)]));
    let settled = run.pack(&sharing(vec![tied(3, 1)], vec![object(1)]));
    assert_eq!(times(&settled, 1), 0);
    run.pack(&unit_of(vec![deletion(1)], Vec::new()));
    let made = run.pack(&sharing(vec![tied(4, 1)], vec![object(1)]));
    assert_eq!(times(&made, 1), 1);
}

#[test]
fn deletions_stay_under_the_brokers_limit_and_in_their_group() {
    let limit = limit(QueueProtocol::Amqp, 20_000, 20_000);
    let mut run = Packer::new(Packing::Closed { batch_size: 1000 }).up_to(Some(limit));
    let in_group = |number: usize, group: u32| {
        deletion(number).handled(Handling {
            group: Some(group),
            ..deletion(number).handling
        })
    };
    let objects = (0..500).map(|number| in_group(number, u32::try_from(number / 5).unwrap()));
    let packed = run.pack(&unit_of(objects.collect(), Vec::new()));
    let messages = messages(&packed);
    assert!(messages.len() > 1);
    for message in &messages {
        assert!(limit.body_bytes(bytes_of(message.iter())) <= 20_000);
        assert_eq!(message.len() % 5, 0, "a group is torn apart");
    }
    assert_eq!(
        messages.iter().map(|message| message.len()).sum::<usize>(),
        500
    );
}

/// A unit whose relationship connects what the unit before it brought.
fn unit_tying(number: usize, ends: [usize; 2]) -> Converted {
    let mut relationship = object(number);
    relationship.imported = ends.map(stix_id).to_vec();
    unit_of(vec![relationship], Vec::new())
}

fn ids_of(wave: &Wave) -> Vec<Vec<String>> {
    let ids = |batch: &Batch| batch.iter().map(|object| object.id.to_string()).collect();
    wave.batches.iter().map(ids).collect()
}

fn holding() -> Packer {
    let mut run = Packer::new(Packing::Closed { batch_size: 100 });
    run.hold_back(true);
    run
}

#[test]
fn a_relationship_waits_for_its_ends_and_what_needs_nothing_goes_on() {
    let mut run = holding();
    run.pack(&unit_of(vec![object(1), object(2)], Vec::new()));
    assert!(run.pack(&unit_tying(10, [1, 2])).waves.is_empty());
    assert_eq!(run.held(), 1);
    let packed = run.pack(&unit_of(vec![object(3)], Vec::new()));
    assert_eq!(ids_of(&packed.waves[0]), [[id(3)]]);
    assert!(run.release().batches.is_empty());
    run.note_imported();
    assert_eq!(ids_of(&run.release()), [[id(10)]]);
    assert_eq!(run.held(), 0);
}

#[test]
fn a_relationship_goes_as_soon_as_the_destination_has_its_ends() {
    let mut run = holding();
    run.pack(&unit_of(vec![object(1), object(2)], Vec::new()));
    run.pack(&unit_tying(10, [1, 2]));
    assert_eq!(run.waited_for(), [stix_id(1), stix_id(2)]);
    run.note_arrived([&stix_id(1)]);
    assert!(run.release().batches.is_empty());
    assert_eq!(run.waited_for(), [stix_id(2)]);
    run.note_arrived([&stix_id(2)]);
    assert_eq!(ids_of(&run.release()), [[id(10)]]);
}

/// A unit with members of a report that wait.
fn holding_a_report() -> Packer {
    let mut run = holding();
    run.pack(&unit_of(vec![object(1), object(2)], Vec::new()));
    let mut tying = unit_tying(10, [1, 2]);
    tying.objects.push(Arc::new(report(REPORT, [10])));
    run.pack(&tying);
    assert_eq!(run.held(), 2);
    run
}

/// Parts of one event have one report.
#[test]
fn what_says_the_same_as_what_waits_does_not_hurry_it() {
    let mut run = holding_a_report();
    let next_part = unit_of(vec![object(3), report(REPORT, [3])], Vec::new());
    let sent = run.pack(&next_part);
    assert_eq!([3, REPORT].map(|here| times(&sent, here)), [1, 1]);
    assert_eq!([1, 2, 10].map(|before| times(&sent, before)), [0, 0, 0]);
    assert_eq!(run.held(), 2);
}

/// The older one must not come behind it.
#[test]
fn another_version_of_what_waits_hurries_it_unless_both_add_up() {
    let other = |adds_up| {
        let mut report = scored(REPORT, 5).referring_to(report(REPORT, [3]).references);
        report.handling.adds_up = adds_up;
        unit_of(vec![object(3), report], Vec::new())
    };
    let mut run = holding_a_report();
    let sent = run.pack(&other(false));
    assert!(times(&sent, 10) > 0);
    assert_eq!(run.held(), 0);
    let mut run = holding_a_report();
    let sent = run.pack(&other(true));
    assert_eq!(times(&sent, 10), 0);
    assert_eq!(run.held(), 2);
}

/// Another page may lead to what waits: that does not hurry it.
#[test]
fn what_leads_to_what_waits_waits_with_it() {
    let mut run = holding();
    run.pack(&unit_of(vec![object(1), object(2)], Vec::new()));
    run.pack(&unit_tying(10, [1, 2]));
    let leading = unit_of(vec![tied(11, 10)], vec![object(10)]);
    assert!(run.pack(&leading).waves.is_empty());
    run.note_imported();
    assert_eq!(ids_of(&run.release()), [[id(10), id(11)]]);
}

/// Their ids are made of their value alone: one UUID, two objects.
#[rstest]
#[case(Packing::Closed { batch_size: 100 })]
#[case(Packing::Waves { batch_size: 100 })]
fn a_domain_name_and_a_hostname_of_one_value_both_go(#[case] packing: Packing) {
    let ids = ["domain-name", "hostname"].map(|kind| {
        let id = format!("{kind}--01020304-0506-5708-890a-0b0c0d0e0f10");
        StixId::of(kind, &id).unwrap()
    });
    let objects = ids
        .clone()
        .map(|id| ObjectWriter::new(id).finish("Url").unwrap());
    let packed = Packer::new(packing).pack(&unit_of(objects.into(), Vec::new()));
    let batches = packed.waves.iter().flat_map(|wave| &wave.batches);
    let sent: Vec<&StixId> = batches.flatten().map(|object| &object.id).collect();
    assert_eq!(sent, ids.iter().collect::<Vec<_>>());
}

/// An address of a later page comes along whole with what leads to it; its own page has nothing to add.
#[rstest]
#[case(Packing::Closed { batch_size: 100 })]
#[case(Packing::Waves { batch_size: 100 })]
#[case::taken_apart(Packing::Waves { batch_size: 1 })]
fn what_came_along_whole_does_not_go_once_more(#[case] packing: Packing) {
    let mut run = Packer::new(packing);
    let leading = || unit_of(vec![tied(10, 1), tied(11, 2)], vec![object(1), object(2)]);
    run.pack(&leading());
    assert!(
        run.pack(&unit_of(vec![object(1)], Vec::new()))
            .waves
            .is_empty()
    );
    let changed = run.pack(&unit_of(vec![scored(1, 9)], Vec::new()));
    assert_eq!((times(&changed, 1), waits(&changed)), (1, true));
    let back = run.pack(&unit_of(vec![object(1)], Vec::new()));
    assert_eq!((times(&back, 1), waits(&back)), (1, true));
    // With what it leads to itself, it was not sent yet.
    let reference = ObjectReference {
        property: "resolves_to_refs",
        is_many: true,
        need: Need::Embedded,
        targets: vec![stix_id(1)],
    };
    let leading_on = object(2).referring_to(vec![reference]);
    let whole = run.pack(&unit_of(vec![leading_on], Vec::new()));
    assert_eq!(times(&whole, 2), 1);
    let mut run = Packer::new(packing);
    run.pack(&leading());
    run.pack(&unit_of(vec![deletion(1)], Vec::new()));
    let made = run.pack(&unit_of(vec![object(1)], Vec::new()));
    assert_eq!(times(&made, 1), 1);
}

/// Reports may count a message twice: it is through once its last object is there, and no earlier.
#[test]
fn of_each_message_that_may_be_at_work_the_last_object_is_known() {
    let mut run = holding();
    run.pack(&unit_of(vec![object(1), object(2)], Vec::new()));
    run.pack(&unit_of(vec![object(3), deletion(4)], Vec::new()));
    run.pack(&unit_tying(10, [1, 3]));
    assert_eq!(run.last_of_messages(), [stix_id(2), stix_id(3)]);
    run.note_arrived([&stix_id(2)]);
    assert!(run.has_news());
    run.release();
    run.note_arrived([&stix_id(2)]);
    assert!(!run.has_news(), "it was there before");
    run.note_imported();
    assert_eq!(ids_of(&run.release()), [[id(10)]]);
    assert_eq!(run.last_of_messages(), [stix_id(10)]);
}

/// What came along could land ahead of the version before it.
#[test]
fn what_came_along_beside_another_version_goes_with_its_own_unit() {
    let mut run = Packer::new(Packing::Closed { batch_size: 100 });
    run.pack(&unit_of(vec![scored_url(1, 1)], Vec::new()));
    run.pack(&unit_of(vec![tied(10, 1)], vec![scored_url(1, 2)]));
    let own = run.pack(&unit_of(vec![scored_url(1, 2)], Vec::new()));
    assert_eq!(times(&own, 1), 1);
}

#[test]
fn what_was_deleted_goes_along_again_with_what_waits() {
    let mut run = holding();
    run.pack(&unit_of(vec![object(1)], Vec::new()));
    run.note_imported();
    run.pack(&unit_of(vec![deletion(1)], Vec::new()));
    run.note_imported();
    run.pack(&unit_of(vec![object(4)], Vec::new()));
    let mut tying = unit_tying(10, [1, 4]);
    tying.referenced = vec![Arc::new(object(1))];
    assert!(run.pack(&tying).waves.is_empty());
    run.note_imported();
    assert_eq!(ids_of(&run.release()), [[id(1), id(10)]]);
}

fn leading_to(number: usize, to: usize) -> StixObject {
    object(number).referring_to(vec![ObjectReference {
        property: "contains_refs",
        is_many: true,
        need: Need::Embedded,
        targets: vec![stix_id(to)],
    }])
}

/// A folder and its file lead to each other, from two pages: in one message, the workers would cut that. The file came
/// along before, or comes with the folder.
#[rstest]
fn a_circle_of_two_units_stands_in_no_message(#[values(false, true)] came_before: bool) {
    let author = Arc::new(object(500));
    let by_author = |mut written: StixObject| {
        written.embedded.push(Arc::clone(&author));
        written
    };
    let folder = || by_author(leading_to(10, 11));
    let file = || by_author(leading_to(11, 10));
    let mut run = holding();
    let mut sent: Vec<Batch> = Vec::new();
    let mut pack = |run: &mut Packer, unit: &Converted| {
        sent.extend(messages(&run.pack(unit)).into_iter().cloned());
    };
    pack(&mut run, &unit_of(vec![by_author(object(1))], Vec::new()));
    if came_before {
        run.note_imported();
        let along = by_author(object(11));
        pack(&mut run, &unit_of(vec![leading_to(12, 11)], vec![along]));
    }
    pack(
        &mut run,
        &unit_of(vec![folder()], vec![by_author(object(11))]),
    );
    assert_eq!(run.held(), 1, "it waits");
    pack(
        &mut run,
        &unit_of(vec![file()], vec![by_author(object(10))]),
    );
    while run.held() > 0 {
        run.note_imported();
        sent.extend(run.release().batches);
    }
    let whole = |number: usize| {
        let is_it =
            |object: &Arc<StixObject>| *object.id == id(number) && !object.references.is_empty();
        sent.iter().position(|batch| batch.iter().any(is_it))
    };
    assert!(whole(10).is_some() && whole(11).is_some() && whole(10) != whole(11));
}

/// What leads on to something else does not hurry what waits.
#[test]
fn what_closes_no_circle_waits_with_what_it_leads_to() {
    let mut run = holding();
    run.pack(&unit_of(vec![object(1), object(2)], Vec::new()));
    run.pack(&unit_of(vec![leading_to(10, 1)], Vec::new()));
    run.pack(&unit_of(
        vec![leading_to(11, 10), leading_to(12, 11)],
        Vec::new(),
    ));
    assert_eq!(run.held(), 3);
}

/// Only what it deletes has to go ahead of it.
#[test]
fn a_deletion_of_something_else_hurries_nothing() {
    let mut run = holding();
    run.pack(&unit_of(vec![object(1), object(2)], Vec::new()));
    run.pack(&unit_tying(10, [1, 2]));
    let packed = run.pack(&unit_of(vec![deletion(7)], Vec::new()));
    assert_eq!(ids_of(&packed.waves[0]), [[id(7)]]);
    assert_eq!(run.held(), 1);
}

#[test]
fn without_workers_what_waits_goes_with_what_it_needs() {
    let mut run = holding();
    run.pack(&unit_of(vec![object(1), object(2)], Vec::new()));
    run.pack(&unit_tying(10, [1, 2]));
    run.hold_back(false);
    assert_eq!(ids_of(&run.release_all()), [[id(1), id(2), id(10)]]);
    // From then on nothing waits.
    let packed = run.pack(&unit_tying(11, [1, 2]));
    assert_eq!(ids_of(&packed.waves[0]), [[id(1), id(2), id(11)]]);
}

/// Else the older version would come behind the newer one, or an end behind its deletion.
#[test]
fn what_waits_goes_ahead_of_its_newer_version_and_of_a_deletion() {
    let deletion = StixObject::deletion(stix_id(1), "Url").unwrap();
    for later in [unit_tying(10, [1, 3]), unit_of(vec![deletion], Vec::new())] {
        let mut run = holding();
        run.pack(&unit_of(vec![object(1), object(2), object(3)], Vec::new()));
        run.pack(&unit_tying(10, [1, 2]));
        let waves = run.pack(&later).waves;
        assert_eq!(ids_of(&waves[0]), [[id(1), id(2), id(10)]]);
        assert!(!waves[0].waits);
    }
}

/// Messages differ in size: behind one of many objects, a few small ones are soon done.
#[test]
fn a_large_message_is_waited_for_longer_than_so_many_small_ones() {
    let mut run = holding();
    run.pack(&unit_of((0..25).map(object).collect(), Vec::new()));
    run.pack(&unit_tying(5000, [0, 1]));
    for number in 0..=RECENT_BATCHES {
        run.pack(&unit_of(vec![object(100 + number)], Vec::new()));
        assert_eq!(run.held(), 1, "{number}");
    }
    let objects = (1000..1000 + 25 * RECENT_BATCHES).map(object).collect();
    run.pack(&unit_of(objects, Vec::new()));
    run.pack(&unit_of(vec![object(9000)], Vec::new()));
    assert_eq!(run.held(), 0);
}

/// The first messages are small, so that several workers share a small import.
#[test]
fn the_first_messages_of_a_run_that_has_workers_are_small() {
    let mut run = holding();
    let packed = run.pack(&unit_of((0..1000).map(object).collect(), Vec::new()));
    let sizes: Vec<usize> = packed.waves[0].batches.iter().map(Vec::len).collect();
    assert_eq!(sizes[..32], [25; 32]);
    assert_eq!(sizes[32..], [100; 2]);
}

/// An author goes ahead of a unit that does not fit into one message; nothing brings it again.
#[test]
fn what_objects_embed_goes_once_ahead_of_them() {
    let mut run = holding();
    let author = Arc::new(object(500));
    let by_author = |number: usize| {
        let mut written = object(number);
        written.embedded.push(Arc::clone(&author));
        written
    };
    let packed = run.pack(&unit_of((0..60).map(by_author).collect(), Vec::new()));
    assert_eq!(ids_of(&packed.waves[0]), [[id(500)]]);
    assert_eq!(run.held(), 60);
    run.note_imported();
    let released = run.release();
    let sizes: Vec<usize> = released.batches.iter().map(Vec::len).collect();
    assert_eq!(sizes, [25, 25, 10]);
    let all = ids_of(&released).into_iter().flatten();
    assert!(!all.into_iter().any(|sent| sent == id(500)));
}

/// What the destination has as it would be sent is not sent, until that counts no more.
#[test]
fn what_the_destination_has_is_not_sent() {
    for packing in [
        Packing::Closed { batch_size: 100 },
        Packing::Waves { batch_size: 100 },
    ] {
        let mut run = Packer::new(packing);
        let author = Arc::new(object(500));
        let by_author = |number: usize| {
            let mut written = object(number);
            written.embedded.push(Arc::clone(&author));
            unit_of(vec![written], Vec::new())
        };
        run.note_there([&author]);
        let sent = |packed: Packed| -> Vec<String> {
            packed.waves.iter().flat_map(ids_of).flatten().collect()
        };
        assert_eq!(sent(run.pack(&by_author(1))), [id(1)]);
        run.forget_there([author.key]);
        assert_eq!(sent(run.pack(&by_author(2))), [id(500), id(2)]);
    }
}

/// A container waits for its members where one message does not hold them all.
#[test]
fn a_container_waits_for_members_of_other_messages() {
    let mut run = holding();
    run.pack(&unit_of((0..30).map(object).collect(), Vec::new()));
    let report = object(900).referring_to(vec![ObjectReference {
        property: "object_refs",
        is_many: true,
        need: Need::Imported,
        targets: (0..30).map(stix_id).collect(),
    }]);
    assert!(
        run.pack(&unit_of(vec![report], Vec::new()))
            .waves
            .is_empty()
    );
    run.note_imported();
    let released = run.release();
    assert_eq!(ids_of(&released), [[id(900)]]);
    assert_eq!(released.batches[0][0].targets().count(), 30);
}

/// The workers take out a reference that closes a circle within a message.
#[test]
fn what_closes_a_circle_is_in_no_message_with_the_rest_of_it() {
    let referring = |number: usize, to: usize| {
        object(number).referring_to(vec![ObjectReference {
            property: "x_refs",
            is_many: true,
            need: Need::Embedded,
            targets: vec![stix_id(to)],
        }])
    };
    let mut run = holding();
    let author = Arc::new(object(500));
    let by_author = |mut written: StixObject| {
        written.embedded.push(Arc::clone(&author));
        written
    };
    // The author is on its way, so that all of the circle waits.
    run.pack(&unit_of(vec![by_author(object(9))], Vec::new()));
    let mut circle = unit_of(
        vec![by_author(object(1)), by_author(referring(2, 1))],
        Vec::new(),
    );
    circle.second_pass = vec![Arc::new(by_author(referring(1, 2)))];
    assert!(run.pack(&circle).waves.is_empty());
    let mut messages = Vec::new();
    while run.held() > 0 {
        run.note_imported();
        messages.push(ids_of(&run.release()));
    }
    assert_eq!(messages, [vec![vec![id(1), id(2)]], vec![vec![id(1)]]]);
}

/// Parts of an object that waits come behind it, and are not taken for it.
#[test]
fn parts_of_what_waits_come_behind_it() {
    let with_files = |files: &str| {
        let mut writer = ObjectWriter::new(stix_id(1));
        writer.put("x_opencti_files", files);
        let mut written = writer.finish("Url").unwrap();
        written.embedded.push(Arc::new(object(500)));
        written
    };
    let mut run = holding();
    let mut first = object(9);
    first.embedded.push(Arc::new(object(500)));
    run.pack(&unit_of(vec![first], Vec::new()));
    run.pack(&unit_of(vec![with_files("first")], Vec::new()));
    let mut parts = unit_of(vec![with_files("second")], Vec::new());
    parts.parts.counts_as = Some("object with files");
    assert!(run.pack(&parts).waves.is_empty());
    run.note_imported();
    let released = run.release().batches;
    let files: Vec<bool> = released
        .iter()
        .map(|batch| batch.iter().any(|object| object.json.contains("second")))
        .collect();
    assert_eq!(files, [false, true]);
}

fn scored_url(number: usize, score: u8) -> StixObject {
    let mut writer = ObjectWriter::new(stix_id(number));
    writer.put("x_opencti_score", &score);
    writer.finish("Url").unwrap()
}

/// A unit that waits for all before it, and of which everything waits for something else besides.
#[test]
fn a_barrier_stays_also_where_nothing_goes_behind_it() {
    let mut run = holding();
    run.pack(&unit_of(vec![scored_url(1, 1), object(2)], Vec::new()));
    run.pack(&unit_tying(10, [2, 2]));
    let report = scored_url(1, 2).referring_to(vec![ObjectReference {
        property: "object_refs",
        is_many: true,
        need: Need::Imported,
        targets: vec![stix_id(10)],
    }]);
    let waves = run.pack(&unit_of(vec![report], Vec::new())).waves;
    assert_eq!(waves.len(), 1);
    assert!(waves[0].waits && waves[0].batches.is_empty());
    // Nobody has waited yet.
    assert!(run.release().batches.is_empty());
    run.note_imported_until(waves[0].after);
    assert_eq!(ids_of(&run.release()), [[id(10)]]);
}

/// A stop comes while a unit waits for all before it: what goes for it brings along what may not be there.
#[test]
fn what_a_barrier_will_bring_is_not_taken_for_there_before() {
    let mut run = holding();
    run.pack(&unit_of(vec![scored_url(1, 1), object(2)], Vec::new()));
    run.pack(&unit_tying(10, [2, 2]));
    let waves = run.pack(&unit_of(vec![scored_url(1, 2)], Vec::new())).waves;
    assert!(waves[0].waits);
    assert_eq!(ids_of(&run.release_all_until(2)), [[id(2), id(10)]]);
}

/// The ends of units go as far as nothing of them waits.
#[test]
fn it_is_known_of_which_units_something_waits() {
    let mut run = holding();
    run.pack(&unit_of(vec![object(1), object(2)], Vec::new()));
    assert_eq!((run.last_unit(), run.first_held_unit()), (1, None));
    run.pack(&unit_tying(10, [1, 1]));
    run.pack(&unit_of(vec![object(3)], Vec::new()));
    run.pack(&unit_tying(11, [3, 3]));
    assert_eq!((run.last_unit(), run.first_held_unit()), (4, Some(2)));
    run.note_arrived([&stix_id(1)]);
    run.release();
    assert_eq!(run.first_held_unit(), Some(4));
}

/// What comes along with what waits is never older than what was sent since.
#[test]
fn what_comes_along_with_what_waits_is_the_newest_of_it() {
    let sharing = |number: usize, shared: StixObject| {
        let mut relationship = object(number);
        relationship.imported = vec![stix_id(1), stix_id(50)];
        let mut unit = unit_of(vec![relationship], Vec::new());
        unit.shared = vec![Arc::new(shared)];
        unit
    };
    let mut run = holding();
    run.pack(&unit_of(vec![object(1)], Vec::new()));
    run.pack(&sharing(10, scored_url(50, 1)));
    let mut newer = sharing(11, scored_url(50, 2));
    newer.objects = vec![Arc::new({
        let mut relationship = object(11);
        relationship.imported = vec![stix_id(50), stix_id(50)];
        relationship
    })];
    let mut sent: Vec<String> = Vec::new();
    let mut note = |wave: &Wave| {
        let shared = wave.batches.iter().flatten();
        let shared = shared.filter(|object| *object.id == id(50));
        sent.extend(shared.map(|object| object.json.to_string()));
    };
    for wave in &run.pack(&newer).waves {
        note(wave);
    }
    while run.held() > 0 {
        run.note_imported();
        note(&run.release());
    }
    assert_eq!(sent, [scored_url(50, 2).json.to_string()]);
}

/// An author whose import failed comes along with what needs it, as long as any worker may be at it.
#[test]
fn an_author_that_is_not_there_after_its_import_comes_along_again() {
    let identity =
        StixId::of("identity", "identity--00000000-0000-4000-8000-000000000001").unwrap();
    let author = Arc::new(
        ObjectWriter::new(identity.clone())
            .finish("author")
            .unwrap(),
    );
    let by_author = |number: usize| {
        let mut written = object(number);
        written.embedded.push(Arc::clone(&author));
        unit_of(vec![written], Vec::new())
    };
    let mut run = holding();
    run.pack(&by_author(1));
    assert!(run.take_imported_identities().is_empty());
    run.note_imported();
    assert_eq!(
        run.take_imported_identities(),
        std::slice::from_ref(&identity)
    );
    assert!(run.take_imported_identities().is_empty());
    assert_eq!(ids_of(&run.pack(&by_author(2)).waves[0]), [[id(2)]]);
    run.note_missing(&identity);
    for number in 3..6 {
        let packed = run.pack(&by_author(number));
        assert_eq!(
            ids_of(&packed.waves[0]),
            [[identity.to_string(), id(number)]]
        );
    }
}

/// An object that is too large with what it needs goes with what it embeds at least: never without its marking.
#[test]
fn what_goes_alone_brings_what_it_embeds() {
    let marking = StixId::of(
        "marking-definition",
        "marking-definition--00000000-0000-4000-8000-000000000001",
    );
    let marking = Arc::new(
        ObjectWriter::new(marking.unwrap())
            .finish("marking")
            .unwrap(),
    );
    let large = |number: usize| {
        let mut writer = ObjectWriter::new(stix_id(number));
        writer.put("x_text", &"x".repeat(REMEMBERED_BYTES - 1000));
        writer.finish("Url").unwrap()
    };
    let limit = MessageLimit {
        protocol: QueueProtocol::Amqp,
        several: 4 * REMEMBERED_BYTES,
        one: 4 * REMEMBERED_BYTES,
    };
    let mut run = holding().up_to(Some(limit));
    run.pack(&unit_of(vec![large(1), large(2)], Vec::new()));
    let mut relationship = large(10);
    relationship.imported = vec![stix_id(1), stix_id(2)];
    relationship.embedded.push(Arc::clone(&marking));
    assert!(
        run.pack(&unit_of(vec![relationship], Vec::new()))
            .waves
            .is_empty()
    );
    run.hold_back(false);
    let sent = ids_of(&run.release_all());
    let with = sent.iter().find(|ids| ids.contains(&id(10))).unwrap();
    assert!(with.contains(&marking.id.to_string()), "{sent:?}");
}
