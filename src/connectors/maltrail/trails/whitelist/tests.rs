//! Tests of the whitelist.

use rstest::rstest;

use super::*;

fn whitelist() -> Whitelist {
    let mut whitelist = Whitelist::default();
    let lists = [
        (
            List::Whitelist,
            "# names\n\nexample.com\nCDN.Example.net # note\n198.18.5.5\n2001:db8::5\n8.8.8.0/24\nlocalhost\n",
        ),
        (List::Bogons, "10.0.0.0/8\n224.0.0.0/3\n"),
        (
            List::Cdns,
            "104.16.0.0/13\n104.24.0.0/14\n104.20.0.0/24\n# 1.0.0.0/8\n",
        ),
    ];
    for (list, text) in lists {
        let mut reader = ListReader::new(list);
        for piece in text.as_bytes().chunks(7) {
            reader.feed(piece);
        }
        whitelist.add(reader);
    }
    whitelist
}

#[rstest]
#[case("example.com", Some(List::Whitelist))]
#[case("EXAMPLE.com.", Some(List::Whitelist))]
#[case("cdn.example.net", Some(List::Whitelist))]
#[case("198.18.5.5", Some(List::Whitelist))]
#[case("2001:DB8:0::5", Some(List::Whitelist))]
#[case("8.8.8.8", Some(List::Whitelist))]
// Not literally, or not bare.
#[case("a.example.com", None)]
#[case("example.com/", None)]
#[case("http://example.com", None)]
#[case("example.com:80", None)]
#[case("example.com/a", None)]
#[case("8.8.8.8:53", None)]
#[case("8.8.9.8", None)]
// Any trail whose host is in a range.
#[case("10.255.255.255", Some(List::Bogons))]
#[case("10.0.0.0:80", Some(List::Bogons))]
#[case("http://10.1.2.3/a", Some(List::Bogons))]
#[case("10.1.0.0/16", Some(List::Bogons))]
#[case("255.255.255.255", Some(List::Bogons))]
#[case("104.23.255.255:443", Some(List::Cdns))]
#[case("104.27.255.255", Some(List::Cdns))]
#[case("104.28.0.0", None)]
#[case("11.0.0.0", None)]
#[case("9.255.255.255", None)]
#[case("1.2.3.4", None)]
#[case("/10.1.2.3", None)]
fn trails_are_found_in_the_lists(#[case] text: &str, #[case] expected: Option<List>) {
    let trail = Trail::parse(text).unwrap();
    assert_eq!(whitelist().list_of(&trail, "malware/x.txt"), expected);
    // Without lists nothing is held back.
    assert_eq!(Whitelist::default().list_of(&trail, "malware/x.txt"), None);
}

#[rstest]
#[case("malware/sinkhole_x.txt", "10.1.2.3", None)]
#[case("suspicious/parking_site.txt", "104.16.1.1", None)]
#[case("sinkhole/x.txt", "10.1.2.3", Some(List::Bogons))]
#[case("malware/sinkhole_x.txt", "example.com", Some(List::Whitelist))]
fn lists_of_sinkholes_and_parking_sites_name_such_hosts_on_purpose(
    #[case] path: &str,
    #[case] text: &str,
    #[case] expected: Option<List>,
) {
    let trail = Trail::parse(text).unwrap();
    assert_eq!(whitelist().list_of(&trail, path), expected);
}

#[test]
fn lists_that_are_missing_are_told() {
    assert_eq!(whitelist().missing(), []);
    let mut whitelist = Whitelist::default();
    whitelist.add(ListReader::new(List::Bogons));
    assert_eq!(whitelist.missing(), [List::Whitelist, List::Cdns]);
}

#[test]
fn entries_are_bounded_and_counted() {
    let mut reader = ListReader::new(List::Whitelist);
    for number in 0..=MOST_ENTRIES {
        reader.feed(format!("a{number}.example\n").as_bytes());
    }
    reader.feed("x".repeat(20_000).as_bytes());
    reader.feed(b"\nlocalhost\n");
    let mut whitelist = Whitelist::default();
    whitelist.add(reader);
    assert_eq!(whitelist.unusable(List::Whitelist), 3);
    let last = format!("a{}.example", MOST_ENTRIES - 1);
    let trail = Trail::parse(&last).unwrap();
    assert_eq!(whitelist.list_of(&trail, ""), Some(List::Whitelist));
}
