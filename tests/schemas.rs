//! Our schema, marks included, against the full schemas of the platform's releases, and our
//! operations against both.
//!
//! The full schemas are too large for the tree: they are read from the folder that `OPENCTI_SCHEMAS`
//! names, as `opencti-<release>.graphql`. Without it the comparison is skipped, and says so.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use apollo_compiler::ast::{Directive, FieldDefinition, InputValueDefinition, Type};
use apollo_compiler::collections::IndexSet;
use apollo_compiler::schema::{Component, ComponentName, ExtendedType};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};

const OURS: &str = "src/schema.graphql";
const MARK: &str = "since";
const SKIPPED: &str = "skipped: OPENCTI_SCHEMAS names no folder with full schemas";

/// The parts of a release number; lists compare part by part.
type Release = Vec<u32>;

/// All members of a schema by their path: `Work`, `Work.status`, `Query.work(id)`, `State.wait`,
/// `Label implements BasicObject`.
type Members = BTreeMap<String, Member>;

/// What can come with one release and go with another.
struct Member {
    kind: &'static str,
    /// The members that this one cannot be without: what it stands in, what it names.
    needs: Vec<String>,
    /// Of fields, arguments and input fields.
    ty: Option<Type>,
    /// An argument or input field that a request may not leave out.
    required: bool,
    /// When it is there; empty: always.
    ranges: Vec<Range>,
}

impl Member {
    fn new(kind: &'static str, needs: &[&str], ranges: Vec<Range>) -> Self {
        let needs = needs.iter().map(|&path| path.to_owned()).collect();
        Self {
            kind,
            needs,
            ty: None,
            required: false,
            ranges,
        }
    }

    fn is_input(&self) -> bool {
        matches!(self.kind, "argument" | "input field")
    }
}

/// From `since` on, up to but without `until`.
struct Range {
    since: Release,
    until: Option<Release>,
}

impl Range {
    fn has(&self, release: &Release) -> bool {
        *release >= self.since && self.until.as_ref().is_none_or(|until| release < until)
    }
}

// ---- reading ------------------------------------------------------------------------------------

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn parse_schema(path: &Path) -> Result<Valid<Schema>> {
    Schema::parse_and_validate(read(path)?, path)
        .map_err(|broken| anyhow!("{} is not valid:\n{}", path.display(), broken.errors))
}

fn parse_release(text: &str) -> Result<Release> {
    let parts: Result<Release, _> = text.split('.').map(str::parse).collect();
    let release = parts.with_context(|| format!("{text:?} is not a release"))?;
    ensure!(
        release.len() == 3,
        "{text:?} is not a release of three parts"
    );
    Ok(release)
}

fn schema_folder() -> Option<PathBuf> {
    let folder = std::env::var_os("OPENCTI_SCHEMAS").filter(|folder| !folder.is_empty());
    folder.map(PathBuf::from)
}

/// The full schemas with their releases, oldest first; none when no folder is named.
fn full_schemas() -> Result<Vec<(Release, Valid<Schema>)>> {
    let Some(folder) = schema_folder() else {
        return Ok(Vec::new());
    };
    let mut schemas = Vec::new();
    for path in graphql_files(&folder)? {
        let name = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        if let Some(release) = name.strip_prefix("opencti-") {
            schemas.push((parse_release(release)?, parse_schema(&path)?));
        }
    }
    schemas.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(schemas)
}

/// Every `.graphql` file in a folder and below it, in order.
fn graphql_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(graphql_files(&path)?);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "graphql")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

// ---- members ------------------------------------------------------------------------------------

fn members(schema: &Schema) -> Result<Members> {
    let mut members = Members::new();
    for (name, definition) in &schema.types {
        if !definition.is_built_in() {
            add_type(&mut members, name, definition)
                .with_context(|| format!("the marks of {name} are wrong"))?;
        }
    }
    Ok(members)
}

fn add_type(members: &mut Members, name: &str, definition: &ExtendedType) -> Result<()> {
    let marked = ranges(definition.directives().get_all(MARK))?;
    members.insert(name.to_owned(), Member::new(kind(definition), &[], marked));
    match definition {
        ExtendedType::Object(object) => {
            add_interfaces(members, name, &object.implements_interfaces);
            add_fields(members, name, object.fields.values())
        }
        ExtendedType::Interface(interface) => {
            add_interfaces(members, name, &interface.implements_interfaces);
            add_fields(members, name, interface.fields.values())
        }
        ExtendedType::InputObject(input) => {
            for field in input.fields.values() {
                add_input(
                    members,
                    name,
                    format!("{name}.{}", field.name),
                    "input field",
                    field,
                )?;
            }
            Ok(())
        }
        ExtendedType::Enum(values) => {
            for value in values.values.values() {
                let marked = ranges(value.directives.get_all(MARK))?;
                let member = Member::new("enum value", &[name], marked);
                members.insert(format!("{name}.{}", value.value), member);
            }
            Ok(())
        }
        ExtendedType::Union(union) => {
            for one in &union.members {
                let member = Member::new("union member", &[name, one.as_str()], Vec::new());
                members.insert(format!("{name} = {one}"), member);
            }
            Ok(())
        }
        ExtendedType::Scalar(_) => Ok(()),
    }
}

fn add_interfaces(members: &mut Members, name: &str, interfaces: &IndexSet<ComponentName>) {
    for interface in interfaces {
        let member = Member::new("implementation", &[name, interface.as_str()], Vec::new());
        members.insert(format!("{name} implements {interface}"), member);
    }
}

fn add_fields<'a>(
    members: &mut Members,
    owner: &str,
    fields: impl Iterator<Item = &'a Component<FieldDefinition>>,
) -> Result<()> {
    for field in fields {
        let path = format!("{owner}.{}", field.name);
        let marked = ranges(field.directives.get_all(MARK))?;
        let mut member = Member::new("field", &[owner], marked);
        member.ty = Some(field.ty.clone());
        members.insert(path.clone(), member);
        for argument in &field.arguments {
            add_input(
                members,
                &path,
                format!("{path}({})", argument.name),
                "argument",
                argument,
            )?;
        }
    }
    Ok(())
}

fn add_input(
    members: &mut Members,
    owner: &str,
    path: String,
    kind: &'static str,
    input: &InputValueDefinition,
) -> Result<()> {
    let mut member = Member::new(kind, &[owner], ranges(input.directives.get_all(MARK))?);
    member.ty = Some((*input.ty).clone());
    member.required = input.is_required();
    members.insert(path, member);
    Ok(())
}

fn kind(definition: &ExtendedType) -> &'static str {
    match definition {
        ExtendedType::Scalar(_) => "scalar",
        ExtendedType::Object(_) => "type",
        ExtendedType::Interface(_) => "interface",
        ExtendedType::Union(_) => "union",
        ExtendedType::Enum(_) => "enum",
        ExtendedType::InputObject(_) => "input",
    }
}

// ---- marks --------------------------------------------------------------------------------------

/// The ranges that the marks of one member name: each of them sane, one after the other.
fn ranges<'a, D: AsRef<Directive> + 'a>(marks: impl Iterator<Item = &'a D>) -> Result<Vec<Range>> {
    let ranges: Vec<Range> = marks
        .map(|mark| range(mark.as_ref()))
        .collect::<Result<_>>()?;
    for (earlier, later) in ranges.iter().zip(ranges.iter().skip(1)) {
        let Some(until) = &earlier.until else {
            bail!("a mark follows one that never ends")
        };
        ensure!(
            until < &later.since,
            "the mark since {:?} begins too early",
            later.since
        );
    }
    Ok(ranges)
}

fn range(mark: &Directive) -> Result<Range> {
    let argument = |name| {
        mark.specified_argument_by_name(name)
            .and_then(|value| value.as_str())
    };
    let since = parse_release(argument("release").context("a mark has no release")?)?;
    let until = argument("until").map(parse_release).transpose()?;
    ensure!(
        since > vec![6, 0, 0],
        "a mark for {since:?}, the first release, says nothing"
    );
    if let Some(until) = &until {
        ensure!(
            since < *until,
            "a mark ends ({until:?}) before it begins ({since:?})"
        );
    }
    Ok(Range { since, until })
}

/// Whether a release has a member: by its own marks, and by those of all that it needs.
fn is_in(members: &Members, path: &str, release: &Release) -> bool {
    members.get(path).is_some_and(|member| {
        let by_marks =
            member.ranges.is_empty() || member.ranges.iter().any(|range| range.has(release));
        by_marks
            && member
                .needs
                .iter()
                .all(|needed| is_in(members, needed, release))
    })
}

// ---- differences --------------------------------------------------------------------------------

/// Everything in which our schema, as the marks narrow it to a release, is wrong about the release.
fn differences(ours: &Members, theirs: &Members, release: &Release) -> Vec<String> {
    let about_ours = ours.iter().filter_map(|(path, our)| {
        let problem = match (is_in(ours, path, release), theirs.get(path)) {
            (true, None) => Some("is not there".to_owned()),
            (false, Some(_)) => Some("is there, against the marks".to_owned()),
            (false, None) => None,
            (true, Some(their)) => mismatch(our, their),
        };
        problem.map(|problem| format!("{release:?}: {path} {problem}"))
    });
    let about_theirs = theirs.iter().filter_map(|(path, their)| {
        let is_asked =
            their.required && their.needs.iter().all(|owner| is_in(ours, owner, release));
        let is_lacking = is_asked && !is_in(ours, path, release);
        is_lacking.then(|| format!("{release:?}: {path} is required there, we do not know it"))
    });
    about_ours.chain(about_theirs).collect()
}

/// In what a member of ours is another than the release's member of the same path.
fn mismatch(our: &Member, their: &Member) -> Option<String> {
    if our.kind != their.kind {
        return Some(format!("is no {} but {}", our.kind, their.kind));
    }
    let (our_type, their_type) = (our.ty.as_ref()?, their.ty.as_ref()?);
    // What they answer has to fit what we expect, what we send has to fit what they take.
    let fits = if our.is_input() {
        takes(their_type, our_type)
    } else {
        takes(our_type, their_type)
    };
    (!fits).then(|| format!("has the type {their_type}, we say {our_type}"))
}

/// Whether every value of the one type is a value of the wider one too.
fn takes(wider: &Type, narrower: &Type) -> bool {
    if wider.is_non_null() && !narrower.is_non_null() {
        return false;
    }
    match (wider, narrower) {
        (
            Type::Named(one) | Type::NonNullNamed(one),
            Type::Named(other) | Type::NonNullNamed(other),
        ) => one == other,
        (
            Type::List(one) | Type::NonNullList(one),
            Type::List(other) | Type::NonNullList(other),
        ) => takes(one, other),
        _ => false,
    }
}

// ---- the tests ----------------------------------------------------------------------------------

#[test]
fn our_schema_is_right_about_every_release() -> Result<()> {
    let ours = members(&*parse_schema(&root().join(OURS))?)?;
    let schemas = full_schemas()?;
    if schemas.is_empty() {
        println!("{SKIPPED}");
    }
    let mut all = Vec::new();
    for (release, schema) in &schemas {
        all.extend(differences(&ours, &members(schema)?, release));
    }
    assert!(
        all.is_empty(),
        "{} differences:\n{}",
        all.len(),
        all.join("\n")
    );
    Ok(())
}

#[test]
fn our_operations_are_valid() -> Result<()> {
    let mut schemas = vec![parse_schema(&root().join(OURS))?];
    match full_schemas()?.pop() {
        Some((_, newest)) => schemas.push(newest),
        None => println!("{SKIPPED}"),
    }
    let mut operations = graphql_files(&root().join("src"))?;
    operations.retain(|path| !path.ends_with(OURS));
    assert!(!operations.is_empty(), "no operations found");
    let mut errors = Vec::new();
    for path in &operations {
        let text = read(path)?;
        for schema in &schemas {
            if let Err(broken) = ExecutableDocument::parse_and_validate(schema, &text, path) {
                errors.push(broken.errors.to_string());
            }
        }
    }
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    Ok(())
}

/// The comparison itself finds what it is there for.
#[test]
fn differences_are_found() -> Result<()> {
    let cases = [
        ("type Query { a: Int }", "type Query { a: Int! }", ""),
        (
            "type Query { a: Int! }",
            "type Query { a: Int }",
            "has the type Int, we say Int!",
        ),
        (
            "type Query { a: [Int!] }",
            "type Query { a: [Int] }",
            "has the type [Int], we say [Int!]",
        ),
        (
            "type Query { a(b: Int!): Int }",
            "type Query { a(b: Int): Int }",
            "",
        ),
        (
            "type Query { a(b: Int): Int }",
            "type Query { a(b: Int!): Int }",
            "we say Int",
        ),
        (
            "type Query { a: Int }",
            "type Query { a(b: Int!): Int }",
            "is required there",
        ),
        (
            "type Query { a: Int }",
            "type Query { a(b: Int! = 1): Int }",
            "",
        ),
        (
            "type Query { a: Int b: Int }",
            "type Query { a: Int }",
            "Query.b is not there",
        ),
        (
            r#"type Query { a: Int b: Int @since(release: "6.4.0") }"#,
            "type Query { a: Int }",
            "",
        ),
        (
            r#"type Query { a: Int b: Int @since(release: "6.4.0") }"#,
            "type Query { a: Int b: Int }",
            "Query.b is there, against the marks",
        ),
        (
            r#"type Query { a: Int b: Int @since(release: "6.0.1", until: "6.3.0") }"#,
            "type Query { a: Int }",
            "",
        ),
        (
            "type Query { a: E } enum E { x y }",
            "type Query { a: E } enum E { x z }",
            "E.y is not there",
        ),
        (
            r#"type Query { a: U } union U = A | B type A { x: Int }
               type B @since(release: "6.4.0") { x: Int }"#,
            "type Query { a: U } union U = A type A { x: Int }",
            "",
        ),
        (
            "type Query implements I { a: Int } interface I { a: Int }",
            "type Query { a: Int } interface I { a: Int }",
            "Query implements I is not there",
        ),
        (
            "type Query { a: T } scalar T",
            "type Query { a: T } enum T { x }",
            "is no scalar but enum",
        ),
    ];
    let release = parse_release("6.3.0")?;
    for (ours, theirs, expected) in cases {
        let found = differences(&small(ours)?, &small(theirs)?, &release).join("\n");
        assert_eq!(
            found.is_empty(),
            expected.is_empty(),
            "{ours} against {theirs}: {found}"
        );
        assert!(found.contains(expected), "{ours} against {theirs}: {found}");
    }
    Ok(())
}

/// Marks that contradict themselves are refused.
#[test]
fn wrong_marks_are_refused() {
    let cases = [
        r#"@since(release: "six")"#,
        r#"@since(release: "6.4")"#,
        r#"@since(release: "6.0.0")"#,
        r#"@since(release: "6.4.0", until: "6.4.0")"#,
        r#"@since(release: "6.4.0") @since(release: "6.5.0")"#,
        r#"@since(release: "6.4.0", until: "6.6.0") @since(release: "6.5.0")"#,
    ];
    for marks in cases {
        assert!(
            small(&format!("type Query {{ a: Int {marks} }}")).is_err(),
            "{marks}"
        );
    }
}

fn small(text: &str) -> Result<Members> {
    let mark =
        "directive @since(release: String!, until: String) repeatable on FIELD_DEFINITION | OBJECT";
    let schema = Schema::parse_and_validate(format!("{mark} {text}"), "small.graphql")
        .map_err(|broken| anyhow!("{text} is not valid:\n{}", broken.errors))?;
    members(&schema)
}
