//! What lists are named after.

use rstest::rstest;
use serde_json::json;

use super::super::super::settings::Aliases;
use super::*;

fn threats(settings: &MappingSettings) -> Vec<Value> {
    let families = families();
    let posts = [
        reference("https://www.large.example/posts/1", "(Korean)"),
        reference("https://large.example/posts/1", ""),
    ];
    let mut views = threat_views(families);
    for view in &mut views {
        match &*view.threat.name {
            "kimsuky" => {
                view.aliases = vec![
                    "Kimsuky",
                    "Velvet Chollima",
                    "apt37",
                    "Reaper",
                    "velvet chollima",
                    "x",
                    "<b>K</b>",
                ];
                view.references = posts.iter().collect();
                view.references_left_out = 2;
            }
            "APT37" => view.aliases = vec!["Reaper", "ScarCruft"],
            _ => {}
        }
    }
    let mapper = Mapper::new(settings, &pages(), families, views).unwrap();
    assert_eq!(mapper.skipped_threats(), []);
    mapper.threats().map(|(_, object)| json(object)).collect()
}

fn named<'t>(threats: &'t [Value], name: &str) -> &'t Value {
    threats
        .iter()
        .find(|threat| threat["name"] == name)
        .unwrap()
}

#[test]
fn a_threat_is_what_a_list_is_named_after() {
    let threats = threats(&mapping());
    let names: Vec<_> = threats
        .iter()
        .map(|threat| {
            (
                threat["type"].as_str().unwrap(),
                threat["name"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("tool", "havoc"),
        ("intrusion-set", "APT37"),
        ("intrusion-set", "kimsuky"),
        ("malware", "asyncrat"),
    ];
    assert_eq!(names, expected);
    insta::assert_json_snapshot!(threats);
}

#[test]
fn nothing_is_made_where_no_threats_are_wanted() {
    let mut settings = mapping();
    settings.threats = false;
    assert_eq!(threats(&settings), Vec::<Value>::new());
}

#[rstest]
#[case(Aliases::Description, None, true)]
#[case(Aliases::None, None, false)]
// One is its own name, one the name of another of its type, one an alias of another.
#[case(Aliases::Aliases, Some(json!(["Velvet Chollima", "<b>K</b>"])), false)]
fn other_names_go_where_they_are_wanted(
    #[case] aliases: Aliases,
    #[case] expected: Option<Value>,
    #[case] is_described: bool,
) {
    let mut settings = mapping();
    settings.aliases = aliases;
    let threats = threats(&settings);
    let kimsuky = named(&threats, "kimsuky");
    assert_eq!(kimsuky.get("aliases"), expected.as_ref());
    let description = kimsuky["description"].as_str().unwrap();
    let also = "Also listed as: Velvet Chollima, apt37, Reaper, `<b>K</b>`.";
    assert_eq!(description.contains(also), is_described, "{description}");
}

#[test]
fn a_name_that_no_platform_takes_is_named_and_its_values_come_without_it() {
    let lists = [
        ("malware/x.txt".to_owned(), FileUse::Full),
        (format!("malware/{}.txt", "y".repeat(300)), FileUse::Full),
        ("malware/\u{202e}\u{200b}.txt".to_owned(), FileUse::Full),
        ("malware/<b>\u{202e}z.txt".to_owned(), FileUse::Full),
    ];
    let families = Families::new(lists, &ThreatTable::built_in().unwrap());
    let views = threat_views(&families);
    let mapper = Mapper::new(&mapping(), &pages(), &families, views).unwrap();
    let skipped: Vec<_> = mapper
        .skipped_threats()
        .iter()
        .map(|skipped| skipped.reason.as_str())
        .collect();
    assert_eq!(skipped.len(), 3, "{skipped:?}");
    let names: Vec<Value> = mapper
        .threats()
        .map(|(_, object)| json(object)["name"].clone())
        .collect();
    assert_eq!(names, ["<b>z"]);
    let file = families.file("malware/x.txt").unwrap();
    let value = TrailValue::Domain("evil.example".into());
    let view = View {
        families: families.family_of(file).into_iter().collect(),
        threats: families.threat_of(file).into_iter().collect(),
        ..view(&value, true)
    };
    let written = write(&mapper, &view);
    assert_eq!(written.objects.len(), 3);
    assert!(written.threats.is_empty());
}

#[test]
fn a_thousand_lists_and_names_stay_within_bounds() {
    let lists = (0..300).map(|at| (format!("malware/apt_xy-{at}.txt"), FileUse::Full));
    let lists = lists.chain([("malware/apt_xy.txt".to_owned(), FileUse::Full)]);
    let families = Families::new(lists, &ThreatTable::built_in().unwrap());
    let file = families.file("malware/apt_xy.txt").unwrap();
    let aliases: Vec<String> = (0..200)
        .map(|at| format!("{at}{}", "é".repeat(197)))
        .collect();
    let posts: Vec<Reference> = (0..200)
        .map(|at| reference(&format!("https://e.example/{at}"), ""))
        .collect();
    let threat = families.threat_of(file).unwrap();
    let mut views = threat_views(&families);
    for view in views.iter_mut().filter(|view| view.id == threat) {
        view.aliases = aliases.iter().map(String::as_str).collect();
        view.references = posts.iter().collect();
        view.references_left_out = 50;
    }
    let mapper = Mapper::new(&mapping(), &pages(), &families, views).unwrap();
    let (_, object) = mapper.threats().find(|(id, _)| *id == threat).unwrap();
    let object = json(object);
    assert_eq!(object["external_references"].as_array().unwrap().len(), 100);
    let description = object["description"].as_str().unwrap();
    assert!(description.chars().count() <= 10_000);
    // Of 250 posts 80 are attached beside 20 pages.
    assert!(
        description.ends_with("170 more references in the lists."),
        "{description}"
    );
    assert!(description.contains(" more. "), "{description}");
}

#[test]
fn posts_are_left_out_where_no_references_are_wanted() {
    let mut settings = mapping();
    settings.references = false;
    let threats = threats(&settings);
    let kimsuky = named(&threats, "kimsuky");
    let references = kimsuky["external_references"].as_array().unwrap();
    // The pages of its list and of what continues it.
    assert_eq!(references.len(), 2);
    let description = kimsuky["description"].as_str().unwrap();
    assert!(!description.contains("more reference"), "{description}");
}
