//! One marking, as an object. An object that cannot be given just the marking that it had waits for it to be
//! corrected at the source.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::error::ConvertError;
use crate::connector::Skipped;
use crate::stix::tlp::{self, Tlp};
use crate::stix::{ObjectWriter, StixId, StixObject, read_time};

/// OpenCTI's extension of STIX objects (docs/protocol.md#import).
const OPENCTI_EXTENSION: &str = "extension-definition--ea279b3e-5c71-4632-ac08-831c66a786ba";

/// Why it is not certain which marking is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadMarking {
    #[error("the source does not say which markings it or its author has")]
    NotSaid,
    #[error("its marking has no id of a marking")]
    NoId,
    #[error("its marking has no definition")]
    NoDefinition,
    #[error(
        "the source does not say the order of its marking, without which it would be the weakest of its type ({0})"
    )]
    NoOrder(String),
    #[error(
        "the id and the definition of its marking are those of different markings; correct the marking at the source (id of {id}, definition {definition})"
    )]
    Disagrees {
        id: &'static str,
        definition: String,
    },
    #[error(
        "the source gives two definitions for one id of a marking; correct the markings at the source ({first}, {second})"
    )]
    TwoDefinitions { first: String, second: String },
}

#[derive(Deserialize)]
struct SourceMarking {
    standard_id: String,
    #[serde(default)]
    x_opencti_stix_ids: Option<Vec<String>>,
    created: Option<String>,
    definition_type: Option<String>,
    definition: Option<String>,
    x_opencti_order: Option<i64>,
    x_opencti_color: Option<String>,
}

/// A marking that is written.
pub(super) struct WrittenMarking {
    pub(super) object: StixObject,
    /// Its ids, with those that it had before.
    pub(super) ids: Vec<StixId>,
    /// What it is: type and definition.
    pub(super) meaning: String,
}

/// Writes a marking in the form that both the platform's client and the STIX validator take: the type in the
/// platform's spelling, the definition as the name, order and colour in the platform's extension.
pub(super) fn write(
    text: &RawValue,
    skipped: &mut Vec<Skipped>,
) -> Result<WrittenMarking, ConvertError> {
    // An entry that is null is a marking all the same.
    let marking: Option<SourceMarking> = serde_json::from_str(text.get())?;
    let marking = marking.ok_or(BadMarking::NotSaid)?;
    let own_id = StixId::of("marking-definition", &marking.standard_id);
    let own_id = own_id.map_err(|_| BadMarking::NoId)?;
    let definition = marking.definition.unwrap_or_default();
    if definition.trim().is_empty() {
        return Err(BadMarking::NoDefinition.into());
    }
    let former = former_ids(&own_id, marking.x_opencti_stix_ids, skipped);
    let tlp = tlp::meant(marking.definition_type.as_deref(), &definition);
    check_ids(std::iter::once(&own_id).chain(&former), tlp, &definition)?;
    // The protocol's own are at every destination, with their order.
    if tlp.is_none() && marking.x_opencti_order.is_none() {
        return Err(BadMarking::NoOrder(definition).into());
    }
    let (id, definition_type, definition) = match tlp {
        Some(tlp) => (tlp.id(), Some("TLP"), tlp.definition),
        None => (
            own_id,
            marking.definition_type.as_deref(),
            definition.as_str(),
        ),
    };
    let mut object = ObjectWriter::new(id.clone());
    let created = marking.created.as_deref();
    let is_time = |text: &&str| read_time(text).is_some();
    object.put_some("created", created.filter(is_time));
    object.put_some("definition_type", definition_type);
    object.put("name", definition);
    // STIX has statements of its own, with a definition of their own (STIX 2.1 §7.2.1.3).
    if definition_type == Some("statement") {
        object.put(
            "definition",
            &serde_json::json!({ "statement": definition }),
        );
    }
    let extension = extension(marking.x_opencti_order, marking.x_opencti_color, &former);
    object.put(
        "extensions",
        &serde_json::json!({ OPENCTI_EXTENSION: extension }),
    );
    let meaning = format!("{}: {definition}", definition_type.unwrap_or_default());
    Ok(WrittenMarking {
        object: object.finish("marking")?,
        ids: std::iter::once(id).chain(former).collect(),
        meaning,
    })
}

/// What the platform's extension says of a marking.
fn extension(order: Option<i64>, color: Option<String>, former: &[StixId]) -> Map<String, Value> {
    let mut extension = Map::new();
    extension.insert("extension_type".to_owned(), "property-extension".into());
    if let Some(order) = order {
        extension.insert("order".to_owned(), order.into());
    }
    if let Some(color) = color {
        extension.insert("color".to_owned(), color.into());
    }
    if !former.is_empty() {
        let ids: Vec<&str> = former.iter().map(StixId::as_str).collect();
        extension.insert("stix_ids".to_owned(), ids.into());
    }
    extension
}

fn former_ids(own: &StixId, ids: Option<Vec<String>>, skipped: &mut Vec<Skipped>) -> Vec<StixId> {
    let mut former = Vec::new();
    for id in ids.unwrap_or_default() {
        match StixId::of("marking-definition", &id) {
            Ok(id) => former.push(id),
            Err(reason) => skipped.push(Skipped {
                id: own.to_string(),
                kind: "former id of a marking".to_owned(),
                reason: reason.to_string(),
            }),
        }
    }
    former
}

/// Every id, an earlier one too, makes this the marking that has it at the destination: none may be that of
/// another marking of the protocol.
fn check_ids<'a>(
    mut ids: impl Iterator<Item = &'a StixId>,
    meant: Option<Tlp>,
    definition: &str,
) -> Result<(), BadMarking> {
    let other = ids.find_map(|id| tlp::of_id(id).filter(|of_id| Some(*of_id) != meant));
    match other {
        None => Ok(()),
        Some(other) => Err(BadMarking::Disagrees {
            id: other.definition,
            definition: definition.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    const OWN: &str = "marking-definition--00000000-0000-4000-8000-000000000001";
    const CLEAR: &str = "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9";
    const RED: &str = "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed";

    fn written(marking: &Value) -> Result<Value, ConvertError> {
        let text = RawValue::from_string(marking.to_string()).unwrap();
        let written = write(&text, &mut Vec::new())?;
        Ok(serde_json::from_str(&written.object.json).unwrap())
    }

    fn marking(id: &str, kind: &str, definition: &str) -> Value {
        json!({"standard_id": id, "definition_type": kind, "definition": definition, "x_opencti_order": 1})
    }

    #[rstest]
    #[case("TLP:AMBER+СТРОГО")]
    #[case("TLP:GREEN（社外秘）")]
    #[case("TLP:CLEAR禁止")]
    #[case("TLP:AMBER+")]
    #[case("TLP:ＣＬＥＡＲ")]
    #[case("TLP:CLEAR\u{200b}")]
    #[case("TLP:CLEAR\u{202e}")]
    #[case("TLP:EX:CHR")]
    #[case("TLP:GREEN-INTERNAL")]
    fn another_letter_makes_another_marking(#[case] definition: &str) {
        let written = written(&marking(OWN, "TLP", definition)).unwrap();
        assert_eq!(written["id"], OWN);
        assert_eq!(written["name"], definition);
        assert_eq!(written["definition_type"], "TLP");
    }

    #[rstest]
    #[case(RED, "TLP", "TLP:CLEAR", "TLP:RED")]
    #[case(CLEAR, "statement", "SECRET", "TLP:CLEAR")]
    #[case(CLEAR, "TLP", "TLP:CLEAR禁止", "TLP:CLEAR")]
    #[case(CLEAR, "PAP", "TLP:CLEAR", "TLP:CLEAR")]
    fn an_id_and_a_definition_that_disagree_are_both_named(
        #[case] id: &str,
        #[case] kind: &str,
        #[case] definition: &str,
        #[case] of_id: &str,
    ) {
        let error = written(&marking(id, kind, definition)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(definition) && text.contains(of_id), "{text}");
    }

    #[test]
    fn a_former_id_of_another_marking_disagrees_too() {
        let mut secret = marking(OWN, "statement", "SECRET");
        secret["x_opencti_stix_ids"] = json!([CLEAR]);
        assert!(matches!(
            written(&secret),
            Err(ConvertError::Marking(BadMarking::Disagrees { .. }))
        ));
        secret["x_opencti_stix_ids"] = json!([OWN.replace("01", "02"), "nonsense"]);
        let ids = &written(&secret).unwrap()["extensions"][OPENCTI_EXTENSION]["stix_ids"];
        assert_eq!(*ids, json!([OWN.replace("01", "02")]));
    }

    #[rstest]
    #[case(json!({"standard_id": "identity--00000000-0000-4000-8000-000000000001", "definition": "X"}))]
    #[case(json!({"standard_id": "marking-definition--x", "definition": "X"}))]
    #[case(json!({"standard_id": OWN}))]
    #[case(json!({"standard_id": OWN, "definition": " "}))]
    #[case(json!({"standard_id": OWN, "definition": ["TLP:RED"]}))]
    #[case(json!({"definition": "TLP:RED"}))]
    #[case(json!("TLP:RED"))]
    #[case(json!(null))]
    fn what_is_no_marking_is_none(#[case] text: Value) {
        assert!(written(&text).is_err());
    }

    /// Without its order the destination makes it the weakest of its type, which everybody may read who may read
    /// another one.
    #[test]
    fn a_marking_without_its_order_is_none_but_for_those_of_the_protocol() {
        let mut own = marking(OWN, "statement", "SECRET");
        let mut red = marking(RED, "TLP", "TLP:RED");
        for marking in [&mut own, &mut red] {
            marking["x_opencti_order"] = Value::Null;
        }
        let error = written(&own).unwrap_err();
        assert!(
            matches!(&error, ConvertError::Marking(BadMarking::NoOrder(name)) if name == "SECRET")
        );
        assert_eq!(written(&red).unwrap()["id"], RED);
    }

    /// The ids of each of the protocol's markings, with its name.
    const WELL_KNOWN: [(&str, &str); 10] = [
        (CLEAR, "TLP:CLEAR"),
        (
            "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
            "TLP:CLEAR",
        ),
        (
            "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
            "TLP:GREEN",
        ),
        (
            "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
            "TLP:GREEN",
        ),
        (
            "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82",
            "TLP:AMBER",
        ),
        (
            "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
            "TLP:AMBER",
        ),
        (
            "marking-definition--826578e1-40ad-459f-bc73-ede076f81f37",
            "TLP:AMBER+STRICT",
        ),
        (
            "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
            "TLP:AMBER+STRICT",
        ),
        (RED, "TLP:RED"),
        (
            "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
            "TLP:RED",
        ),
    ];

    /// The exact spellings: a list, in upper case, where the program reads letter by letter.
    fn spelled(definition: &str) -> Option<&'static str> {
        let mut flat = format!(" {} ", definition.to_ascii_uppercase());
        flat = flat.split_whitespace().collect::<Vec<_>>().join(" ");
        for separator in [":", "-", "_", "+"] {
            let (before, behind) = (format!(" {separator}"), format!("{separator} "));
            flat = flat.replace(&before, separator).replace(&behind, separator);
        }
        let colours = [
            ("CLEAR", "TLP:CLEAR"),
            ("WHITE", "TLP:CLEAR"),
            ("GREEN", "TLP:GREEN"),
            ("AMBER", "TLP:AMBER"),
            ("RED", "TLP:RED"),
            ("AMBER+STRICT", "TLP:AMBER+STRICT"),
            ("AMBER-STRICT", "TLP:AMBER+STRICT"),
            ("AMBER_STRICT", "TLP:AMBER+STRICT"),
            ("AMBER STRICT", "TLP:AMBER+STRICT"),
            ("AMBERSTRICT", "TLP:AMBER+STRICT"),
        ];
        let is_it = |colour: &str| {
            let separated = [":", "-", "_", " "].iter();
            let mut separated = separated.map(|separator| format!("TLP{separator}{colour}"));
            flat == colour || separated.any(|spelling| flat == spelling)
        };
        colours
            .iter()
            .find(|(colour, _)| is_it(colour))
            .map(|(_, name)| *name)
    }

    /// Spellings of the protocol's markings in any case, with blanks and separators, and often with something in them
    /// that is not theirs.
    fn spellings() -> impl Strategy<Value = String> {
        let blank = || prop_oneof![6 => Just(""), 1 => Just(" "), 1 => Just("\u{a0}\t")];
        let separator = prop_oneof![
            8 => prop::sample::select(vec![":", "-", "_", " ", "+"]),
            1 => prop::sample::select(vec!["", "::", ":-", ".", "/", "\u{ff1a}", "\u{2013}", "=", ";", "\n", "\u{200b}"]),
        ];
        let colour = prop::sample::select(vec![
            "CLEAR",
            "WHITE",
            "GREEN",
            "AMBER",
            "RED",
            "AMBER+STRICT",
            "AMBER-STRICT",
            "AMBER STRICT",
            "AMBER_STRICT",
            "AMBERSTRICT",
            "AMBER.STRICT",
            "AMBER+",
            "STRICT",
            "PAP",
            "",
        ]);
        let head =
            prop_oneof![5 => Just("TLP"), 1 => Just(""), 1 => Just("PAP"), 1 => Just("TLPv2")];
        let parts = (blank(), head, blank(), separator, blank(), colour, blank());
        let whole = parts.prop_map(|(a, head, b, separator, c, colour, d)| {
            [a, head, b, separator, c, colour, d].concat()
        });
        let unknown_type = prop_oneof![
            prop::sample::select(vec![
                "С", "ｅ", "ſ", "\u{202e}", "\u{200b}", "\u{301}", "禁", "!", "\0", "N", "NOT ",
                "+", "\"", "\u{130}",
            ])
            .prop_map(str::to_owned),
            "\\PC{1,2}",
        ];
        let unknown_type =
            prop::option::weighted(0.5, (any::<prop::sample::Index>(), unknown_type));
        (
            whole,
            prop::collection::vec(any::<bool>(), 40),
            unknown_type,
        )
            .prop_map(|(whole, lower, unknown_type)| {
                let letters = whole.chars().zip(lower);
                let letters = letters.map(|(letter, is_lower)| {
                    if is_lower {
                        letter.to_ascii_lowercase()
                    } else {
                        letter
                    }
                });
                let mut letters: Vec<char> = letters.collect();
                if let Some((place, unknown_type)) = unknown_type {
                    let at = place.index(letters.len() + 1);
                    letters.splice(at..at, unknown_type.chars());
                }
                letters.into_iter().collect()
            })
    }

    #[rstest]
    #[case("TLP:RED", Some("TLP:RED"))]
    #[case(" tlp - amber _ strict", Some("TLP:AMBER+STRICT"))]
    #[case("TLP:R ED", None)]
    #[case("TLP::RED", None)]
    #[case("xTLP:RED", None)]
    fn the_list_of_spellings_is_one(#[case] text: &str, #[case] name: Option<&str>) {
        assert_eq!(spelled(text), name);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        /// An exact spelling is the marking of the protocol, under its id; any other is itself, under its own. Where an
        /// id of the protocol says another marking, nothing is written.
        #[test]
        fn only_exact_spellings_are_markings_of_the_protocol(
            definition in spellings(),
            id in prop_oneof![1 => Just(OWN), 2 => prop::sample::select(WELL_KNOWN.map(|(id, _)| id).to_vec())],
            is_former in any::<bool>(),
        ) {
            let mut row = marking(id, "TLP", &definition);
            if is_former {
                row["standard_id"] = json!(OWN);
                row["x_opencti_stix_ids"] = json!([id]);
            }
            let of_id = WELL_KNOWN.iter().find(|(known, _)| *known == id).map(|(_, name)| *name);
            let meant = spelled(&definition);
            let written = written(&row);
            if definition.trim().is_empty() || of_id.is_some_and(|of_id| Some(of_id) != meant) {
                prop_assert!(written.is_err(), "{definition:?} by {id}");
                return Ok(());
            }
            let written = written.unwrap();
            let id_of = |name: &str| WELL_KNOWN.iter().find(|(_, known)| *known == name).map(|(id, _)| *id);
            let expected = meant.map_or((definition.as_str(), OWN), |name| (name, id_of(name).unwrap()));
            prop_assert_eq!((written["name"].as_str().unwrap(), written["id"].as_str().unwrap()), expected);
        }
    }

    proptest! {
        /// Whatever its spelling and its ids: what is written is the marking that was meant, or itself, or
        /// nothing at all.
        #[test]
        fn no_spelling_lands_with_less(
            colour in prop::sample::select(vec!["CLEAR", "WHITE", "GREEN", "AMBER", "AMBER+STRICT", "RED", "PAP", ""]),
            added in "[\\PC]{0,4}",
            id in prop::sample::select(vec![OWN, CLEAR, RED]),
            kind in prop::sample::select(vec!["TLP", "tlp", "PAP", "statement"]),
        ) {
            let definition = format!("TLP:{colour}{added}");
            if let Ok(written) = written(&marking(id, kind, &definition)) {
                let name = written["name"].as_str().unwrap();
                let blanks_only = added.chars().all(char::is_whitespace);
                let is_same = |colour: &str| colour == "CLEAR" || colour == "WHITE";
                let itself = name == definition && written["id"] == OWN;
                let meant = name == format!("TLP:{colour}")
                    || (is_same(colour) && name == "TLP:CLEAR");
                let is_strict = name == "TLP:AMBER+STRICT" && colour == "AMBER+STRICT";
                prop_assert!(itself || ((blanks_only || is_strict) && meant), "{definition:?} as {name:?}");
                let well_known = [CLEAR, RED].contains(&id);
                prop_assert!(!well_known || written["id"] == id, "{definition:?} left {id}");
            }
        }
    }
}
