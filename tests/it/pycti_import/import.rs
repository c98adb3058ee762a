//! What a release of the client would create, read from the calls that it sends.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use super::source::{EXTERNAL_REFERENCE, PHASE, Properties, is_nothing, text_of};

/// Arguments that say how to create an object, and nothing of the object.
const MANNER: &[&str] = &["stix_id", "update", "customFieldValues"];

/// What a client would create, by the ids that the platform would answer.
#[derive(Default)]
pub(super) struct Import {
    created: HashMap<String, Properties>,
    /// The same ids by the objects' STIX ids.
    answers: HashMap<String, String>,
    /// References to objects that were not imported before: the platform refuses them.
    pub(super) early: Vec<String>,
    /// Files of external references.
    pub(super) reference_files: BTreeSet<ReferenceFile>,
}

/// A file of an external reference, each part as JSON: the reference's URL, the file's name, type, content
/// and markings.
pub(super) type ReferenceFile = [String; 5];

pub(super) fn reference_file(url: &Value, file: &Value, markings: &Value) -> ReferenceFile {
    let markings = match markings {
        Value::Array(_) => json!(strings(markings).collect::<BTreeSet<_>>()),
        other => other.clone(),
    };
    let parts = [url, &file["name"], &file["mime"], &file["data"], &markings];
    parts.map(Value::to_string)
}

impl Import {
    pub(super) fn of(calls: &Value) -> Self {
        let mut import = Self::default();
        for call in calls.as_array().expect("calls") {
            let variables = &call["variables"];
            match call["operation"].as_str().expect("a name") {
                "stixRefRelationshipAdd" => import.refer(&variables["input"]),
                "stixCyberObservableEdit" => import.upload(variables),
                "externalReferenceEdit" => import.upload_to_reference(variables),
                operation => import.create(operation, variables, call),
            }
        }
        import
    }

    fn refer(&mut self, input: &Value) {
        let [from, to, relation] =
            ["fromId", "toId", "relationship_type"].map(|name| text(&input[name]));
        self.check_order(to);
        let holder = self.created.get_mut(from).expect("its object is created");
        add_reference(holder, relation, to);
    }

    fn upload(&mut self, variables: &Value) {
        let holder = self.created.get_mut(text(&variables["id"]));
        let holder = holder.expect("its object is created");
        add_file(holder, &variables["file"], &variables["fileMarkings"]);
    }

    fn upload_to_reference(&mut self, variables: &Value) {
        let id = text(&variables["id"]);
        let reference = self.created.get(id).or_else(|| self.object(id));
        let url = &reference.expect("it is created")["url"];
        let file = reference_file(url, &variables["file"], &variables["fileMarkings"]);
        self.reference_files.insert(file);
    }

    fn create(&mut self, operation: &str, variables: &Value, call: &Value) {
        let input = match &variables["input"] {
            Value::Null => variables,
            input => input,
        };
        let mut properties = self.properties(input);
        if operation == "externalReferenceAdd" {
            let files = properties.remove("files").unwrap_or_default();
            for (number, file) in files.as_array().into_iter().flatten().enumerate() {
                let markings = &input["filesMarkings"][number];
                let file = reference_file(&input["url"], file, markings);
                self.reference_files.insert(file);
            }
        }
        // From 6.9.7 on files are uploaded with the object.
        if let Some(files) = properties.remove("files") {
            let markings = properties.get("filesMarkings").cloned();
            let markings = markings.unwrap_or_default();
            add_file(&mut properties, &files[0], &markings[0]);
        }
        for manner in ["filesMarkings", "noTriggerImport", "embedded"] {
            properties.remove(manner);
        }
        properties.insert("operation".to_owned(), json!(operation));
        if operation == "labelAdd" && input["stix_id"].is_null() {
            // Made by an object that uses it, so without its colour.
            self.early.push(text(&input["value"]).to_owned());
        }
        let answer = text(&call["answer"]).to_owned();
        if let Some(standard_id) = call["standard_id"].as_str() {
            self.answers.insert(standard_id.to_owned(), answer.clone());
        }
        // An object that comes once more keeps its references.
        let external = "externalReferences";
        let before = self.created.get(&answer);
        if let Some(known) = before.and_then(|before| before.get(external)) {
            let now = properties.get(external).cloned().unwrap_or(json!([]));
            let all: BTreeSet<&str> = strings(known).chain(strings(&now)).collect();
            properties.insert(external.to_owned(), json!(all));
        }
        let before = self.created.get(&answer).map(references);
        for (relation, to) in before.into_iter().flatten() {
            add_reference(&mut properties, &relation, &to);
        }
        self.created.insert(answer, properties);
    }

    /// The arguments of a creation, without those that are not set and those for its manner.
    fn properties(&mut self, input: &Value) -> Properties {
        let mut properties = Properties::new();
        for (name, value) in input.as_object().expect("arguments") {
            match (name.as_str(), value) {
                _ if is_nothing(value) || MANNER.contains(&name.as_str()) => {}
                ("createIndicator", Value::Bool(false)) => {}
                ("networkSrc" | "networkDst", to) => {
                    self.check_order(text(to));
                    let relation = name.trim_start_matches("network").to_lowercase();
                    add_reference(&mut properties, &relation, text(to));
                }
                ("objectLabel" | "externalReferences" | "killChainPhases", value) => {
                    properties.insert(name.clone(), self.resolved(value));
                }
                ("objectMarking", value) => {
                    let ids: BTreeSet<&str> = strings(value).collect();
                    for id in &ids {
                        self.check_order(id);
                    }
                    properties.insert(name.clone(), json!(ids));
                }
                ("createdBy" | "fromId" | "toId", value) => {
                    self.check_order(text(value));
                    properties.insert(name.clone(), value.clone());
                }
                // The fields of an observable's type stand in an argument of their own.
                (_, Value::Object(_)) => properties.extend(self.properties(value)),
                _ => {
                    properties.insert(name.clone(), value.clone());
                }
            }
        }
        properties
    }

    /// What these ids stand for: labels by their text, all else by its fields.
    fn resolved(&self, ids: &Value) -> Value {
        let texts: BTreeSet<String> = strings(ids)
            .map(|id| {
                let made = self.created.get(id).or_else(|| self.object(id));
                let made = made.unwrap_or_else(|| panic!("{id} was not created, of {ids}"));
                match made.get("value") {
                    Some(value) => text(value).to_owned(),
                    None => text_of(
                        [EXTERNAL_REFERENCE, PHASE]
                            .concat()
                            .into_iter()
                            .map(|name| (name, made.get(name))),
                    ),
                }
            })
            .collect();
        json!(texts)
    }

    fn check_order(&mut self, stix_id: &str) {
        if !self.answers.contains_key(stix_id) {
            self.early.push(stix_id.to_owned());
        }
    }

    pub(super) fn object(&self, stix_id: &str) -> Option<&Properties> {
        self.created.get(self.answers.get(stix_id)?)
    }
}

/// Content is a file of its object: what it is called, and its own markings.
fn add_file(holder: &mut Properties, file: &Value, markings: &Value) {
    let put = |(name, value): (&str, Value)| (name.to_owned(), value);
    let parts = [
        ("payload_bin", file["data"].clone()),
        ("fileName", file["name"].clone()),
    ];
    holder.extend(parts.map(put));
    if !is_nothing(markings) {
        let markings: BTreeSet<&str> = strings(markings).collect();
        holder.insert("fileMarkings".to_owned(), json!(markings));
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().expect("a list").iter().map(text)
}

/// The references that were added, in pairs of relation and target.
fn references(properties: &Properties) -> Vec<(String, String)> {
    let relations = properties.get("references").and_then(Value::as_object);
    let relations = relations.into_iter().flatten();
    let pairs = relations.flat_map(|(relation, targets)| {
        strings(targets).map(|target| (relation.clone(), target.to_owned()))
    });
    pairs.collect()
}

fn add_reference(holder: &mut Properties, relation: &str, target: &str) {
    let mut pairs: BTreeSet<(String, String)> = references(holder).into_iter().collect();
    pairs.insert((relation.to_owned(), target.to_owned()));
    let mut relations: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (relation, target) in pairs {
        relations.entry(relation).or_default().insert(target);
    }
    holder.insert("references".to_owned(), json!(relations));
}
