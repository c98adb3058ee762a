//! The files of each connector for those who run it: sample, compose file, documents, manifests, and what the
//! platform's catalogue reads. They are written from the table of its settings, or checked against it:
//! `WRITE_FILES=1 cargo test --test catalogue` writes them anew.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "clippy allows them in test functions, but not in what those share"
)]

#[path = "catalogue/compose.rs"]
mod compose;
#[path = "catalogue/connector.rs"]
mod connector;
#[path = "catalogue/document.rs"]
mod document;
#[path = "settings/made_up.rs"]
#[expect(dead_code, reason = "other tests look at what was read")]
mod made_up;
#[path = "catalogue/manifests.rs"]
mod manifests;
#[path = "catalogue/metadata.rs"]
mod metadata;
#[path = "catalogue/misp_types.rs"]
mod misp_types;
#[path = "catalogue/sample.rs"]
mod sample;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use connector::{Connector, connectors, write};
use made_up::{Follower, MadeUp};
use opencti_connectors::settings::{ConnectorType, Fallback, Section};

/// A connector that follows a live stream; its files are nowhere.
fn follower() -> Connector {
    Connector::of::<Follower>(Path::new("/nonexistent"))
}

/// Writes the files of a connector that is not there yet into a folder, and checks them as those of all others.
fn prove<S: Section + Debug>() {
    let folder = tempfile::tempdir().unwrap();
    let connector = Connector::of::<S>(folder.path());
    write(&connector.sample, &sample::sample(&connector));
    write(&connector.compose, &compose::first(&connector));
    write(&connector.document, &document::first(&connector));
    let schema = connector
        .folder
        .join("__metadata__/connector_config_schema.json");
    write(&schema, &format!("{:#}\n", connector.schema));
    let manifest = connector
        .folder
        .join("__metadata__/connector_manifest.json");
    let first = metadata::first_manifest(&connector);
    write(&manifest, &format!("{first:#}\n"));
    for (place, text) in manifests::first(&connector) {
        let foreign: &[&str] = match S::TYPE {
            ConnectorType::ExternalImport => &["netmanageit"],
            ConnectorType::Stream => &["netmanageit", "mq_host", "broker", "queue", "567"],
        };
        let text_of_another = foreign
            .iter()
            .filter(|words| text.to_lowercase().contains(**words));
        assert_eq!(text_of_another.collect::<Vec<_>>(), Vec::<&&str>::new());
        write(&connector.folder.join("deploy").join(place), &text);
    }
    let checks: [fn(&Connector); 6] = [
        sample::check,
        compose::check,
        document::check,
        metadata::check_schema,
        metadata::check_manifest,
        manifests::check,
    ];
    for check in checks {
        check(&connector);
    }
    // The files of another table are refused by each.
    let other = connectors().remove(0).with_files_of(&connector);
    for check in checks {
        let refused = catch_unwind(AssertUnwindSafe(|| check(&other)));
        assert!(refused.is_err());
    }
}

#[test]
fn a_connector_with_a_setting_of_every_kind_has_good_files() {
    prove::<MadeUp>();
}

#[test]
fn a_connector_that_follows_a_stream_has_good_files() {
    prove::<Follower>();
}

#[test]
fn every_table_is_sound() {
    let made_up = Connector::of::<MadeUp>(Path::new("/nonexistent"));
    for connector in connectors().into_iter().chain([follower(), made_up]) {
        for setting in connector.own {
            assert!(connector.sections.contains(&setting.section()), "{setting}");
        }
        for (key, aliases) in connector.standard_aliases {
            let mut standard = connector.table.iter();
            let setting = standard.find(|setting| setting.key == *key);
            assert_eq!(
                setting.map(|setting| setting.aliases),
                Some(*aliases),
                "{key}"
            );
        }
        let mut names = BTreeSet::new();
        for setting in &connector.table {
            for name in setting.keys().chain(setting.variables()) {
                assert!(names.insert(name), "{name} is the name of two settings");
            }
            assert!(!setting.name().is_empty(), "{setting}");
            assert!(
                !setting.doc.is_empty() && !setting.doc.ends_with('.'),
                "{setting}"
            );
            let has_value = matches!(setting.default, Fallback::Value(_));
            assert!(!(setting.secret && has_value), "{setting}: a known secret");
        }
    }
}
