//! The GraphQL schema of any release, narrowed from the project's marked schema.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use anyhow::{Context, Result, anyhow};
use apollo_compiler::ast::{Definition, DirectiveList, Document, FieldDefinition};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Node, Schema};

use crate::types::FUTURE_TYPE;
use crate::{Release, lock};

/// The schema with its `@since` marks.
const MARKED: &str = include_str!("../../../src/schema.graphql");
/// What is asked for beside it.
const BEYOND: &str = include_str!("beyond.graphql");
const CORE: &str = "StixCoreObject";
const DOMAIN: &str = "StixDomainObject";
const MARK: &str = "since";
/// For the platform's own client, whose requests are not ours. Its schema is that of one release.
const CLIENT: &str = include_str!("client.graphql");
/// From here on platforms have a type that the project's schema does not have, as some day they will.
pub(crate) const FUTURE: Release = Release::new(7, 270_101, 0);
/// It is like this one, by another name.
const LIKE_FUTURE: &str = "type Text ";
/// What relationships connect.
const UNION: &str = "StixObjectOrStixRelationshipOrCreator";

/// The schema that a platform of this release has, as far as the project uses it.
pub fn schema(release: Release) -> Result<Valid<Schema>> {
    Schema::parse_and_validate(sdl(release)?, "schema.graphql")
        .map_err(|broken| anyhow!("the schema of {release} is not valid:\n{}", broken.errors))
}

/// The same schema as text, without marks.
pub fn sdl(release: Release) -> Result<String> {
    let mut document = marked()?;
    let gone = gone_types(&document, release)?;
    let mut kept = Vec::with_capacity(document.definitions.len());
    for mut definition in std::mem::take(&mut document.definitions) {
        if is_kept(&definition, &gone) {
            narrow(&mut definition, release, &gone)?;
            kept.push(definition);
        }
    }
    document.definitions = kept;
    let mut text = document.to_string();
    if release == Release::LATEST {
        text.push_str(CLIENT);
    }
    if release < FUTURE {
        return Ok(text);
    }
    let future = future_type(&text).context("there is no type like the future one")?;
    let member = format!("extend union {} = {}", UNION, FUTURE_TYPE.typename);
    Ok(format!("{text}\n{future}\n{member}\n"))
}

/// The project's schema with what is beyond it.
fn marked() -> Result<Document> {
    let mut document = Document::parse(MARKED, "src/schema.graphql")
        .map_err(|broken| anyhow!("src/schema.graphql cannot be parsed:\n{}", broken.errors))?;
    let beyond = Document::parse(BEYOND, "beyond.graphql")
        .map_err(|broken| anyhow!("beyond.graphql cannot be parsed:\n{}", broken.errors))?;
    document.definitions.iter_mut().for_each(generalise);
    for definition in beyond.definitions {
        let mut known = document.definitions.iter_mut();
        match known.find(|known| known.name() == definition.name()) {
            Some(known) => extend(known, &definition),
            None => document.definitions.push(definition),
        }
    }
    Ok(document)
}

/// Lets observables, indicators and identities be what all objects are, as far as the project's schema does not
/// say so itself.
fn generalise(definition: &mut Definition) {
    let Definition::ObjectTypeDefinition(object) = definition else {
        return;
    };
    let implements = |interface: &str| {
        object
            .implements_interfaces
            .iter()
            .any(|name| name == interface)
    };
    let is_observable = implements("StixCyberObservable");
    let is_domain_object = implements("Identity") || object.name == "Indicator";
    let general = [
        (is_observable || is_domain_object).then_some(CORE),
        is_domain_object.then_some(DOMAIN),
    ];
    let lacking = general.into_iter().flatten();
    let lacking = lacking.filter(|interface| !implements(interface));
    // Both are valid names.
    let lacking: Vec<Name> = lacking
        .filter_map(|name| Name::new_static(name).ok())
        .collect();
    object.make_mut().implements_interfaces.extend(lacking);
}

/// Adds the members that a definition does not have yet.
fn extend(known: &mut Definition, further: &Definition) {
    match (known, further) {
        (Definition::ObjectTypeDefinition(known), Definition::ObjectTypeDefinition(further)) => {
            let known = known.make_mut();
            for interface in &further.implements_interfaces {
                if !known.implements_interfaces.contains(interface) {
                    known.implements_interfaces.push(interface.clone());
                }
            }
            for field in &further.fields {
                match known
                    .fields
                    .iter_mut()
                    .find(|known| known.name == field.name)
                {
                    Some(known) => extend_field(known, field),
                    None => known.fields.push(field.clone()),
                }
            }
        }
        (Definition::EnumTypeDefinition(known), Definition::EnumTypeDefinition(further)) => {
            let values = &mut known.make_mut().values;
            for value in &further.values {
                if values.iter().all(|known| known.value != value.value) {
                    values.push(value.clone());
                }
            }
        }
        _ => {}
    }
}

fn extend_field(known: &mut Node<FieldDefinition>, further: &FieldDefinition) {
    for argument in &further.arguments {
        if known
            .arguments
            .iter()
            .all(|known| known.name != argument.name)
        {
            known.make_mut().arguments.push(argument.clone());
        }
    }
}

fn future_type(sdl: &str) -> Option<String> {
    let (_, rest) = sdl.split_once(LIKE_FUTURE)?;
    let (body, _) = rest.split_once("\n}")?;
    Some(format!("type {} {body}\n}}\n", FUTURE_TYPE.typename))
}

/// True where the release has a type of this name.
pub(crate) fn has_type(release: Release, typename: &str) -> bool {
    static GONE: LazyLock<Mutex<HashMap<Release, Vec<String>>>> = LazyLock::new(Mutex::default);
    if typename == FUTURE_TYPE.typename {
        return release >= FUTURE;
    }
    let mut known = lock(&GONE);
    let gone = known.entry(release).or_insert_with(|| {
        // A schema that cannot be read has been reported by then: no platform starts with it.
        marked()
            .ok()
            .and_then(|document| gone_types(&document, release).ok())
            .unwrap_or_default()
    });
    !gone.iter().any(|gone| gone == typename)
}

/// The types that the release does not have.
fn gone_types(document: &Document, release: Release) -> Result<Vec<String>> {
    let mut gone = Vec::new();
    for definition in &document.definitions {
        if let Some(name) = definition.name()
            && !is_there(definition.directives(), release)?
        {
            gone.push(name.to_string());
        }
    }
    Ok(gone)
}

fn is_kept(definition: &Definition, gone: &[String]) -> bool {
    let is_mark = definition
        .as_directive_definition()
        .is_some_and(|directive| directive.name == MARK);
    let is_gone = definition
        .name()
        .is_some_and(|name| gone.iter().any(|gone| gone == name.as_str()));
    !is_mark && !is_gone
}

/// Removes the members that the release does not have, and all marks.
fn narrow(definition: &mut Definition, release: Release, gone: &[String]) -> Result<()> {
    match definition {
        Definition::ObjectTypeDefinition(object) => {
            let object = object.make_mut();
            unmark(&mut object.directives);
            narrow_fields(&mut object.fields, release)?;
        }
        Definition::InterfaceTypeDefinition(interface) => {
            let interface = interface.make_mut();
            unmark(&mut interface.directives);
            narrow_fields(&mut interface.fields, release)?;
        }
        Definition::InputObjectTypeDefinition(input) => {
            let input = input.make_mut();
            unmark(&mut input.directives);
            narrow_members(&mut input.fields, release, |field| &mut field.directives)?;
        }
        Definition::EnumTypeDefinition(choice) => {
            let choice = choice.make_mut();
            unmark(&mut choice.directives);
            narrow_members(&mut choice.values, release, |value| &mut value.directives)?;
        }
        Definition::UnionTypeDefinition(union) => {
            union
                .make_mut()
                .members
                .retain(|member| !gone.iter().any(|gone| gone == member.as_str()));
        }
        _ => {}
    }
    Ok(())
}

fn narrow_fields(fields: &mut Vec<Node<FieldDefinition>>, release: Release) -> Result<()> {
    narrow_members(fields, release, |field| &mut field.directives)?;
    for field in fields {
        narrow_members(&mut field.make_mut().arguments, release, |argument| {
            &mut argument.directives
        })?;
    }
    Ok(())
}

fn narrow_members<T: Clone>(
    members: &mut Vec<Node<T>>,
    release: Release,
    directives: impl Fn(&mut T) -> &mut DirectiveList,
) -> Result<()> {
    let mut kept = Vec::with_capacity(members.len());
    for mut member in std::mem::take(members) {
        let marks = directives(member.make_mut());
        if is_there(marks, release)? {
            unmark(marks);
            kept.push(member);
        }
    }
    *members = kept;
    Ok(())
}

/// True without a mark, and where one of the marks covers the release.
fn is_there(directives: &DirectiveList, release: Release) -> Result<bool> {
    let mut marked = false;
    for mark in directives.get_all(MARK) {
        marked = true;
        let bound = |name| {
            let text = mark
                .specified_argument_by_name(name)
                .and_then(|value| value.as_str());
            text.map(str::parse::<Release>).transpose()
        };
        let since = bound("release")?.context("a @since mark without a release")?;
        let until = bound("until")?;
        if since <= release && until.is_none_or(|until| release < until) {
            return Ok(true);
        }
    }
    Ok(!marked)
}

fn unmark(directives: &mut DirectiveList) {
    directives.0.retain(|directive| directive.name != MARK);
}

#[cfg(test)]
mod tests {
    use apollo_compiler::ExecutableDocument;

    use super::*;

    #[test]
    fn the_schema_of_6_0_0_refuses_what_came_later() {
        let schema = schema(Release::FIRST).unwrap();
        let is_valid =
            |text: &str| ExecutableDocument::parse_and_validate(&schema, text, "query").is_ok();
        assert!(is_valid(
            "query { stixCyberObservables(first: 1) { edges { node { id ... on Url { value } } } } }"
        ));
        assert!(!is_valid(
            "query { stixCyberObservables { edges { node { ... on Persona { persona_name } } } } }"
        ));
        assert!(!is_valid(
            "mutation { stixBundlePush(connectorId: \"a\", bundle: \"b\") }"
        ));
        assert!(!is_valid(
            "query { connector(id: \"a\") { connector_queue_details { messages_size } } }"
        ));
    }

    #[test]
    fn every_range_of_a_mark_counts() {
        let has_imei = |release| schema(release).unwrap().types.contains_key("IMEI");
        let patch = |patch| Release::new(6, 9, patch);
        let found = [
            patch(10),
            patch(11),
            patch(12),
            Release::new(7, 260_326, 0),
            Release::LATEST,
        ]
        .map(has_imei);
        assert_eq!(found, [false, true, false, true, true]);
    }

    /// The full schemas are too large for the tree: they are read from the folder named by
    /// `OPENCTI_SCHEMAS`, and without it nothing is compared.
    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a setting of this test, not of the product"
    )]
    fn platforms_have_what_the_sandbox_has() {
        let Ok(folder) = std::env::var("OPENCTI_SCHEMAS") else {
            println!("no OPENCTI_SCHEMAS: nothing to compare with");
            return;
        };
        let mut compared = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let Some(release) = name.strip_prefix("opencti-") else {
                continue;
            };
            let release: Release = release.parse().unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            let full = Schema::parse_and_validate(text, &path).unwrap();
            let own = Document::parse(narrowed(release).unwrap(), "own").unwrap();
            for definition in &own.definitions {
                compare(definition, &full, release);
            }
            compared += 1;
        }
        assert!(compared > 0);
    }

    /// Without what is there for the platform's own client.
    fn narrowed(release: Release) -> Result<String> {
        Ok(sdl(release)?.replace(CLIENT, ""))
    }

    fn compare(definition: &Definition, full: &Schema, release: Release) {
        match definition {
            Definition::ObjectTypeDefinition(own) => {
                let known = full.get_object(&own.name);
                let known = known.unwrap_or_else(|| panic!("{release}: no type {}", own.name));
                for interface in &own.implements_interfaces {
                    let has = known.implements_interfaces.contains(interface);
                    assert!(has, "{release}: {} is no {interface}", own.name);
                }
                for field in &own.fields {
                    let path = format!("{release}: {}.{}", own.name, field.name);
                    let known = known.fields.get(&field.name);
                    compare_field(field, known.unwrap_or_else(|| panic!("{path}")), &path);
                }
            }
            Definition::EnumTypeDefinition(own) => {
                let known = full.get_enum(&own.name).unwrap();
                for value in &own.values {
                    assert!(
                        known.values.contains_key(&value.value),
                        "{release}: {}",
                        value.value
                    );
                }
            }
            _ => {}
        }
    }

    fn compare_field(own: &FieldDefinition, known: &FieldDefinition, path: &str) {
        assert_eq!(
            own.ty.inner_named_type(),
            known.ty.inner_named_type(),
            "{path}"
        );
        for argument in &own.arguments {
            let known = known
                .arguments
                .iter()
                .find(|known| known.name == argument.name);
            let known = known.unwrap_or_else(|| panic!("{path}({})", argument.name));
            assert_eq!(argument.ty, known.ty, "{path}({})", argument.name);
        }
    }
}
