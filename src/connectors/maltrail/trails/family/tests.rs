//! Tests of families.

use rstest::rstest;

use super::*;

fn families(paths: &[&str]) -> Families {
    let files = paths.iter().map(|path| ((*path).to_owned(), FileUse::Full));
    Families::new(files, &ThreatTable::built_in().unwrap())
}

fn threat<'a>(families: &'a Families, path: &str) -> Option<(ThreatKind, &'a str)> {
    let file = families.file(path).unwrap();
    let threat = families.threat(families.threat_of(file)?).unwrap();
    Some((threat.kind, &threat.name))
}

use ThreatKind::{IntrusionSet, Malware, Tool};

#[rstest]
#[case("malware/asyncrat.txt", Some((Malware, "asyncrat")))]
#[case("malware/apt_37.txt", Some((IntrusionSet, "APT37")))]
#[case("malware/apt_23.txt", Some((IntrusionSet, "APT-C-23")))]
#[case("malware/apt_sidewinder.txt", Some((IntrusionSet, "sidewinder")))]
#[case("malware/apt_hidden_cobra.txt", Some((IntrusionSet, "hidden cobra")))]
#[case("malware/apt_pegasus.txt", Some((Malware, "pegasus")))]
#[case("malware/apt_unclassified.txt", None)]
#[case("malware/android_ynrk.txt", Some((Malware, "ynrk")))]
#[case("malware/android_ransomware.txt", None)]
#[case("malware/dysphor1a_ransomware.txt", Some((Malware, "dysphor1a ransomware")))]
#[case("malware/some_injector.txt", None)]
#[case("malware/generic_stealer.txt", None)]
#[case("malware/sinkhole_certpl.txt", None)]
#[case("malware/hacked_npmrepos.txt", None)]
#[case("malware/2026.txt", Some((Malware, "2026")))]
#[case("malware/deep/x_y.txt", Some((Malware, "x y")))]
#[case("malicious/havoc.txt", Some((Tool, "havoc")))]
#[case("malicious/havoc2.txt", None)]
#[case("malicious/android_hiddad.txt", Some((Malware, "hiddad")))]
#[case("malicious/wp_inject.txt", None)]
#[case("suspicious/onion.txt", None)]
#[case("mass_scanner.txt", None)]
#[case("other/asyncrat.txt", None)]
#[case("malware/apt_.txt", Some((IntrusionSet, "apt ")))]
fn a_file_is_the_threat_of_the_first_rule_that_fits(
    #[case] path: &str,
    #[case] expected: Option<(ThreatKind, &str)>,
) {
    assert_eq!(threat(&families(&[path]), path), expected);
}

#[test]
fn a_prefix_stays_where_the_name_without_it_is_taken() {
    let both = families(&["malware/elf_mirai.txt", "malware/mirai.txt"]);
    assert_eq!(
        threat(&both, "malware/elf_mirai.txt"),
        Some((Malware, "elf mirai"))
    );
    // Of another folder, and a name that only begins like it: not taken.
    let apart = families(&[
        "malware/elf_mirai.txt",
        "malicious/mirai.txt",
        "malware/mirais.txt",
    ]);
    assert_eq!(
        threat(&apart, "malware/elf_mirai.txt"),
        Some((Malware, "mirai"))
    );
}

#[rstest]
#[case(&["a/x.txt", "a/x-1.txt", "a/x-22.txt"], "a/x-22.txt", "x")]
// Nothing that it continues: the number belongs to the name.
#[case(&["a/apt_c-36.txt"], "a/apt_c-36.txt", "apt_c-36")]
#[case(&["b/x.txt", "a/x-1.txt"], "a/x-1.txt", "x-1")]
#[case(&["a/x.txt", "a/x-.txt"], "a/x-.txt", "x-")]
#[case(&["a/x.txt", "a/x-0.txt"], "a/x-0.txt", "x-0")]
#[case(&["a/x.txt", "a/x-1a.txt"], "a/x-1a.txt", "x-1a")]
#[case(&["x.txt", "x-1.txt"], "x-1.txt", "x")]
fn a_continuation_shares_the_family_of_the_file_that_exists(
    #[case] paths: &[&str],
    #[case] path: &str,
    #[case] stem: &str,
) {
    let families = families(paths);
    let family = families
        .family_of(families.file(path).unwrap())
        .and_then(|family| families.family(family));
    assert_eq!(family.unwrap().stem(), stem);
}

#[test]
fn a_file_that_is_left_out_still_is_the_one_that_others_continue() {
    let files = [
        ("malware/x.txt", FileUse::LeftOut),
        ("malware/x-1.txt", FileUse::Full),
    ];
    let files = files.map(|(path, usage)| (path.to_owned(), usage));
    let families = Families::new(files, &ThreatTable::built_in().unwrap());
    assert_eq!(threat(&families, "malware/x-1.txt"), Some((Malware, "x")));
    assert_eq!(families.families().count(), 1);
}

#[rstest]
#[case("malware/x.txt", Some("malware"), Severity::Malware, "malware/x")]
#[case(
    "malicious/x.txt",
    Some("malicious"),
    Severity::Malicious,
    "malicious/x"
)]
#[case(
    "suspicious/a/x.txt",
    Some("suspicious"),
    Severity::Suspicious,
    "suspicious/a/x"
)]
#[case("custom/x.txt", Some("custom"), Severity::Suspicious, "custom/x")]
#[case("x.txt", None, Severity::Suspicious, "x")]
fn the_first_folder_is_the_category(
    #[case] path: &str,
    #[case] category: Option<&str>,
    #[case] severity: Severity,
    #[case] list: &str,
) {
    let families = families(&[path]);
    let (_, family) = families.families().next().unwrap();
    assert_eq!(family.category(), category);
    assert_eq!(family.severity(), severity);
    assert_eq!(family.list_name(), list);
}

#[test]
fn files_that_are_one_threat_share_its_id() {
    // Drops the same prefix twice: both are "x", neither name is taken.
    let families = families(&["malware/elf_x.txt", "malware/osx_x.txt", "malware/x-1.txt"]);
    let of = |path| families.threat_of(families.file(path).unwrap());
    assert_eq!(of("malware/elf_x.txt"), of("malware/osx_x.txt"));
    assert_ne!(of("malware/elf_x.txt"), of("malware/x-1.txt"));
    assert_eq!(families.threats().count(), 2);
}

#[test]
fn files_are_in_the_order_of_their_paths() {
    let families = families(&["b.txt", "a/c.txt", "a.txt"]);
    let paths: Vec<&str> = families.files().map(|file| families.path(file)).collect();
    assert_eq!(paths, ["a.txt", "a/c.txt", "b.txt"]);
    assert_eq!(families.file("c.txt"), None);
}
