//! Clusters of galaxies as servers export them.

use super::*;

#[test]
fn a_cluster_is_an_entity_with_all_that_it_says() {
    let mut file = event(json!([]), json!([]));
    file["Event"]["Tag"] = json!([{ "name": "misp-galaxy:threat-actor=\"APT 28\"" }]);
    file["Event"]["Galaxy"] = json!([
        { "type": "threat-actor", "GalaxyCluster": [{
            "type": "threat-actor", "value": "APT 28", "tag_name": "misp-galaxy:threat-actor=\"APT 28\"", "description": "A group.",
            "meta": { "synonyms": ["Sofacy", "APT28", "Fancy Bear"], "external_id": ["G0007"] },
        }] },
        { "type": "mitre-attack-pattern", "GalaxyCluster": [{
            "value": "Masquerading", "description": "They hide.", "meta": { "external_id": "T1036" },
        }] },
        { "type": "country", "GalaxyCluster": [{ "value": "france", "meta": { "ISO": ["FR"] } }] },
        // By the tag alone.
        { "GalaxyCluster": [{ "tag_name": "misp-galaxy:rat=\"Zorb\"", "meta": { "synonyms": "Zorber" } }] },
        "nothing", { "GalaxyCluster": [7, {}] },
    ]);
    let objects = convert(&file, &everything());
    let group = of_type(&objects, "intrusion-set");
    assert_eq!(group.len(), 1);
    let group = group[0];
    assert_eq!(
        (&group["name"], &group["description"]),
        (&json!("APT28"), &json!("A group."))
    );
    assert_eq!(group["aliases"], json!(["Sofacy", "Fancy Bear"]));
    assert_eq!(group["external_references"][0]["external_id"], "G0007");
    let technique = of_type(&objects, "attack-pattern")[0];
    assert_eq!(
        (&technique["x_mitre_id"], &technique["description"]),
        (&json!("T1036"), &json!("They hide."))
    );
    let country = of_type(&objects, "location")[0];
    assert_eq!(
        (&country["name"], &country["country"]),
        (&json!("France"), &json!("FR"))
    );
    let malware = of_type(&objects, "malware")[0];
    assert_eq!(
        (&malware["name"], &malware["aliases"]),
        (&json!("Zorb"), &json!(["Zorber"]))
    );
    let members = of_type(&objects, "report")[0]["object_refs"]
        .as_array()
        .unwrap();
    for entity in [group, technique, country, malware] {
        assert!(members.contains(&entity["id"]), "{entity}");
    }
    assert_eq!(
        relationships(&objects),
        ["malware:Zorb uses attack-pattern:Masquerading"]
    );
}

#[test]
fn a_cluster_of_an_attribute_is_tied_to_it() {
    let galaxy =
        json!([{ "type": "rat", "GalaxyCluster": [{ "value": "Zorb", "description": "A RAT." }] }]);
    let attributes =
        json!([{ "type": "domain", "value": "evil.example", "to_ids": true, "Galaxy": galaxy }]);
    let objects = convert(&event(attributes, json!([])), &everything());
    assert_eq!(of_type(&objects, "malware")[0]["description"], "A RAT.");
    let expected = [
        "domain-name:evil.example related-to malware:Zorb",
        "indicator:evil.example based-on domain-name:evil.example",
        "indicator:evil.example indicates malware:Zorb",
    ];
    assert_eq!(relationships(&objects), expected);
}
