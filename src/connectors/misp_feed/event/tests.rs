//! Files of every shape, and what is none.

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::hostile;

const EVENT: &str = r##"{"uuid":"5BE1E65D-8198-497b-bdf5-5ec20a016219","info":"Zorb campaign","Attribute":[{"type":"md5"},{"type":"text"}],
    "date":"2024-05-06","timestamp":"1715000000","threat_level_id":"3","extends_uuid":"","Orgc":{"uuid":"x","name":" Zorb CERT "},
    "Object":[{"name":"file"}],"Galaxy":[],"Tag":[{"name":"tlp:green","colour":"#339900"},{"name":" "},7,{"name":"tlp:green"}],
    "EventReport":[{"name":"Summary","content":"text","timestamp":1715000001},{"content":""},{"content":"x","deleted":"1"}]}"##;

fn read(text: &str) -> Result<EventFile, EventFileError> {
    EventFile::read(Bytes::copy_from_slice(text.as_bytes()))
}

#[rstest]
#[case("{\"Event\":EVENT}", 1)]
#[case("\u{feff} {\"Event\" : EVENT }\n", 1)]
#[case("[{\"Event\":EVENT},{\"Event\":EVENT}]", 2)]
#[case("{\"response\":[{\"Event\":EVENT},{\"Event\":EVENT}]}", 2)]
#[case("{\"response\":{\"Event\":EVENT}}", 1)]
#[case("{\"response\":[EVENT]}", 1)]
#[case("EVENT", 1)]
#[case("[EVENT,EVENT]", 2)]
#[case("{\"Event\":[EVENT,EVENT]}", 2)]
#[case("{\"Event\":{}}", 1)]
#[case(
    "{\"errors\":[],\"response\":[{\"Event\":EVENT},5,null,{\"message\":\"x\"}]}",
    1
)]
fn all_shapes_of_files_are_read(#[case] file: &str, #[case] events: usize) {
    let file = read(&file.replace("EVENT", EVENT)).unwrap();
    assert_eq!(file.events().len(), events);
}

#[test]
fn what_is_no_event_beside_events_is_counted() {
    let file = read("[{\"Event\":{\"info\":\"x\"}},5,{\"message\":\"x\"}]").unwrap();
    assert_eq!((file.events().len(), file.odd()), (1, 2));
}

#[rstest]
#[case("", "empty")]
#[case(" \n", "empty")]
#[case("<!DOCTYPE html><html></html>", "HTML")]
#[case("{\"Event\":{\"info\":\"x\"", "no JSON")]
#[case("{\"Event\":{}} x", "no JSON")]
#[case("{\"message\":\"Authentication failed\"}", "no event")]
#[case("[]", "no event")]
#[case("7", "no event")]
#[case("null", "no event")]
fn another_file_is_an_error(#[case] file: &str, #[case] reason: &str) {
    let error = read(file).unwrap_err().to_string();
    assert!(error.contains(reason), "{error}");
}

#[test]
fn a_file_that_is_no_text_is_an_error() {
    let error = EventFile::read(Bytes::from_static(b"{\"Event\":\"\xff\"}")).unwrap_err();
    assert!(matches!(error, EventFileError::NotUtf8(_)));
}

#[test]
fn a_file_has_a_hundred_levels() {
    let nested = |levels: usize| {
        let (begin, end) = ("[".repeat(levels), "]".repeat(levels));
        format!("{{\"Event\":{{\"info\":\"[[\\\"[[\",\"x\":{begin}{end}}}}}")
    };
    assert!(read(&nested(DEEPEST - 2)).is_ok());
    let error = read(&nested(DEEPEST - 1)).unwrap_err();
    assert!(matches!(error, EventFileError::TooDeep));
    let error = read(&nested(1_000_000)).unwrap_err();
    assert!(matches!(error, EventFileError::TooDeep));
}

#[test]
fn the_head_is_read_wherever_it_stands() {
    let file = read(EVENT).unwrap();
    let event = file.events().next().unwrap();
    let head = &event.head;
    assert_eq!(
        head.uuid.as_deref(),
        Some("5be1e65d-8198-497b-bdf5-5ec20a016219")
    );
    assert_eq!(head.info, "Zorb campaign");
    assert_eq!(head.date.unwrap().to_string(), "2024-05-06T00:00:00.000Z");
    assert_eq!(
        head.timestamp.unwrap().to_string(),
        "2024-05-06T12:53:20.000Z"
    );
    assert_eq!(head.threat_level, Some(3));
    assert_eq!(head.creator.as_deref(), Some("Zorb CERT"));
    assert_eq!(head.extends, None);
    let tags: Vec<_> = head
        .tags
        .iter()
        .map(|tag| (tag.name.as_str(), tag.colour.as_deref()))
        .collect();
    assert_eq!(tags, [("tlp:green", Some("#339900"))]);
    assert_eq!(head.odd.iter().collect::<Vec<_>>(), [("Tag", 1)]);
    assert_eq!(event.attributes().count(), 2);
    assert_eq!(event.objects().count(), 1);
    let reports: Vec<_> = event
        .reports()
        .filter_map(EventReport::read)
        .map(|report| report.name.into_owned())
        .collect();
    assert_eq!(reports, ["Summary"]);
}

#[test]
fn members_of_another_shape_are_named_and_the_rest_is_read() {
    let text = r#"{"info":["x"],"date":7,"timestamp":"soon","threat_level_id":{},"Orgc":"x","Tag":"x","Galaxy":5,"uuid":"x","Attribute":"x","Object":[]}"#;
    let file = read(text).unwrap();
    let event = file.events().next().unwrap();
    let names: Vec<_> = event.head.odd.iter().map(|(name, _)| name).collect();
    let expected = [
        "Attribute",
        "Galaxy",
        "Orgc",
        "Tag",
        "date",
        "info",
        "threat_level_id",
        "timestamp",
        "uuid",
    ];
    assert_eq!(names, expected);
}

#[test]
fn numbers_and_texts_are_the_same() {
    let texts = r#"{"uuid":"5be1e65d-8198-497b-bdf5-5ec20a016219","type":"port","value":"53","to_ids":"1","timestamp":"1715000000","deleted":"0",
        "Sighting":[{"type":"1","date_sighting":"1715000000","Organisation":{"name":"Zorb"}}]}"#;
    let numbers = r#"{"uuid":"5be1e65d-8198-497b-bdf5-5ec20a016219","type":"port","value":53,"to_ids":true,"timestamp":1715000000,"deleted":false,
        "Sighting":[{"type":1,"date_sighting":1715000000,"Organisation":{"name":"Zorb"}}]}"#;
    let read = |text| format!("{:?}", Attribute::read(text).unwrap());
    assert_eq!(read(texts), read(numbers));
    assert!(Attribute::read(r#"{"type":"md5","deleted":true}"#).is_none());
    assert!(Attribute::read("[]").is_none());
}

#[test]
fn values_are_texts_or_numbers() {
    let value = |value: &str| {
        let text = format!("{{\"value\":{value}}}");
        Attribute::read(&text).map(|attribute| match attribute.value {
            AttributeValue::Text(text) => text.into_owned(),
            other => format!("{other:?}"),
        })
    };
    let expected = [
        ("\"a\\u0041\"", "aA"),
        ("1.50", "1.50"),
        ("\" \"", "Absent"),
        ("null", "Absent"),
        ("{}", "Odd"),
        ("true", "Odd"),
        ("\"\\ud800\"", "Odd"),
    ];
    for (text, read) in expected {
        assert_eq!(value(text).as_deref(), Some(read), "{text}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        if let Ok(file) = EventFile::read(bytes.into()) {
            file.events().count();
        }
    }

    #[test]
    fn any_values_are_read(value in hostile::values(), other in hostile::values()) {
        let text = serde_json::json!({ "Event": {
            "uuid": value, "info": other, "date": value, "timestamp": other, "Orgc": { "name": value }, "Tag": [value, { "name": other }],
            "Galaxy": [{ "GalaxyCluster": [value, { "value": other, "meta": { "synonyms": value } }] }], "Attribute": value, "Object": other,
            "EventReport": [value, { "content": other }],
        }});
        let file = read(&text.to_string()).unwrap();
        for event in file.events() {
            event.attributes().filter_map(Attribute::read).count();
            event.objects().filter_map(Object::read).map(|object| object.references().filter_map(Reference::read).count()).sum::<usize>();
            event.reports().filter_map(EventReport::read).count();
        }
    }
}
