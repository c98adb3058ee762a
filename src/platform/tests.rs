//! What any platform can be asked, and what it is asked for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use apollo_compiler::{ExecutableDocument, Schema};

use super::shape::KnownShape;
use super::*;
use crate::graphql::narrow;

fn own_schema() -> &'static OwnSchema {
    OWN_SCHEMA.as_ref().unwrap()
}

fn operations(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(operations(&path));
        } else if path.extension().is_some_and(|ending| ending == "graphql") {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    found.retain(|(name, _)| name != "schema.graphql" && name != "probe.graphql");
    found
}

fn full_schemas() -> Vec<(Release, PathBuf)> {
    let named = std::env::var_os("OPENCTI_SCHEMAS").filter(|folder| !folder.is_empty());
    let Some(folder) = named.map(PathBuf::from) else {
        println!("skipped: OPENCTI_SCHEMAS names no folder with schemas");
        return Vec::new();
    };
    let entries = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    let release = |path: &Path| {
        let name = path.file_stem()?.to_str()?;
        name.strip_prefix("opencti-")?.parse().ok()
    };
    paths
        .filter_map(|path| Some((release(&path)?, path)))
        .collect()
}

/// Where no probe is answered, the marks alone cut every operation to what the release takes.
#[test]
fn every_operation_narrowed_by_the_marks_is_valid_at_its_release() {
    let operations = operations(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(operations.len() > 10);
    for (release, path) in full_schemas() {
        let text = std::fs::read_to_string(&path).unwrap();
        let schema =
            apollo_compiler::validation::Valid::assume_valid(Schema::parse(text, &path).unwrap());
        let known = KnownShape {
            schema: own_schema(),
            release: &release,
            shapes: &HashMap::new(),
        };
        for (name, document) in &operations {
            match narrow(own_schema(), &known, document) {
                Ok(narrowed) => {
                    let checked =
                        ExecutableDocument::parse_and_validate(&schema, &narrowed.query, name);
                    assert!(
                        checked.is_ok(),
                        "{name} at {release}: {}",
                        checked.unwrap_err().errors
                    );
                }
                Err(error) => {
                    // Their callers ask for the release first.
                    let came_later = match name.as_str() {
                        "push_bundle.graphql" => !release.is_at_least(6, 2, 6),
                        "work_alive.graphql" => !release.is_at_least(6, 8, 7),
                        _ => false,
                    };
                    assert!(came_later, "{name} at {release}: {error}");
                }
            }
        }
    }
}

/// A source that answers this operation at first with these faults.
fn source(operation: &str, faults: Vec<sandbox::Fault>) -> (sandbox::Source, GraphqlClient) {
    let options = sandbox::SourceOptions {
        release: sandbox::Release::new(7, 270_101, 0),
        ..sandbox::SourceOptions::default()
    };
    let source = sandbox::Source::start(options).unwrap();
    for fault in faults {
        source.faults().add_for(operation, fault);
    }
    let url = format!("{}/graphql", source.url()).parse().unwrap();
    let token = source.token().to_owned().into();
    let client = GraphqlClient::new(crate::http::Site::new("the source", url), &token).unwrap();
    (source, client)
}

fn refusal(name: &str) -> sandbox::Fault {
    sandbox::Fault::GraphqlError {
        name: name.to_owned(),
        message: "no".to_owned(),
        times: 1,
    }
}

fn body(status: u16, body: &str) -> sandbox::Fault {
    sandbox::Fault::Body {
        status,
        body: body.to_owned(),
        above: None,
        times: 1,
    }
}

/// What fails for the moment, in each of its forms.
fn faults() -> Vec<sandbox::Fault> {
    let busy = r#"{"errors":[{"message":"Too many requests, please try again later.","extensions":{"code":"TOO_MANY_REQUESTS"}}],"data":null}"#;
    vec![
        refusal("TOO_MANY_REQUESTS"),
        refusal("DATABASE_ERROR"),
        refusal("LOCK_ERROR"),
        refusal("INTERNAL_SERVER_ERROR"),
        body(429, busy),
        body(503, busy),
    ]
}

/// Waits as it does, but not as long.
const SOON: RetryPolicy = RetryPolicy {
    first: std::time::Duration::from_millis(1),
    longest: std::time::Duration::from_millis(5),
    total: None,
};

#[tokio::test]
async fn a_transient_failure_does_not_keep_a_platform_from_being_connected() {
    let (source, client) = source("About", faults());
    let platform = Platform::connect(client, SOON).await.unwrap();
    assert_eq!(source.count("About"), faults().len() + 1);
    let refused = refusal("FORBIDDEN_ACCESS");
    source.faults().add_for("About", refused);
    let error = platform.is_same_release(SOON).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
}

#[tokio::test]
async fn without_retries_the_reason_of_a_failed_connection_is_returned() {
    let (_source, client) = source("About", vec![refusal("INTERNAL_SERVER_ERROR")]);
    let error = Platform::connect(client, RetryPolicy::NEVER)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("INTERNAL_SERVER_ERROR"));
}

#[tokio::test]
async fn only_a_refusal_settles_what_a_platform_tells_about_its_schema() {
    let mut faults = faults();
    faults.push(body(200, r#"{"data":{}}"#));
    faults.push(body(200, r#"{"data":null}"#));
    let (source, client) = source("Probe", faults.clone());
    let platform = Platform {
        probing: SOON,
        ..Platform::connect(client, SOON).await.unwrap()
    };
    // A type that our schema file does not have: only the platform knows.
    assert!(!platform.lacks_entity_type("Quantum-Key").await.unwrap());
    assert_eq!(source.count("Probe"), faults.len() + 1);
    assert!(platform.lacks_entity_type("Nothing-Like-It").await.unwrap());
    source
        .faults()
        .add_for("Probe", refusal("RESOURCE_NOT_FOUND"));
    assert!(platform.lacks_entity_type("Other-Key").await.unwrap());
    assert!(platform.learn(|knowledge| knowledge.probing_refused));
}

#[test]
fn a_type_that_came_and_went_and_came_again() {
    let knows = |release: &str| {
        let release: Release = release.parse().unwrap();
        let known = KnownShape {
            schema: own_schema(),
            release: &release,
            shapes: &HashMap::new(),
        };
        crate::graphql::Vocabulary::has_type(&known, "IMEI")
    };
    let answers = ["6.9.10", "6.9.11", "6.9.12", "7.260318.0", "7.260326.0"].map(knows);
    assert_eq!(answers, [false, true, false, false, true]);
}
