//! Cuts an operation down to what a server knows: one operation per purpose serves every release.
//!
//! Pure: text in, text out. The operations are written against the newest schema; whatever the
//! server does not have (a field, an argument, a type that a fragment is for) is taken out, together
//! with the variables and fragments that nothing uses any more.

use std::collections::{BTreeSet, HashMap, HashSet};

use graphql_parser::query::{
    Definition, Document, Field, FragmentDefinition, InlineFragment, OperationDefinition,
    Selection, SelectionSet, TypeCondition, Value, VariableDefinition, parse_query,
};

use super::schema::{OwnSchema, named_type};

/// What a server knows.
pub trait Vocabulary {
    /// Whether it has the type.
    fn has_type(&self, type_name: &str) -> bool;
    /// Whether it has the field of the type; also asked of the fields of input objects.
    fn has_field(&self, type_name: &str, field: &str) -> bool;
    /// Whether it has the argument of the field.
    fn has_argument(&self, type_name: &str, field: &str, argument: &str) -> bool;
}

/// Why an operation cannot be narrowed.
#[derive(Debug, thiserror::Error)]
pub enum NarrowError {
    /// The operation's text is not GraphQL: a defect of this program, found by its tests.
    #[error("an operation in this program is not valid GraphQL")]
    Syntax(#[source] graphql_parser::query::ParseError),
    /// Nothing is left: the server does not know the operation at all.
    #[error("this release does not know {0}")]
    NothingLeft(String),
}

/// An operation as one server understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Narrowed {
    /// The text to send.
    pub query: String,
    /// What was removed, such as `Software.x_opencti_product`, in order and once.
    pub removed: Vec<String>,
    /// The variables that are left, with the named type of each.
    pub variables: HashMap<String, String>,
}

/// Narrows the one operation of `document`.
///
/// # Errors
/// [`NarrowError`] when the text is not GraphQL or nothing of it is left.
pub fn narrow(
    schema: &OwnSchema,
    known: &dyn Vocabulary,
    document: &str,
) -> Result<Narrowed, NarrowError> {
    let mut document = parse(document)?;
    let mut cutter = Cutter {
        schema,
        known,
        dropped_fragments: HashSet::new(),
        removed: BTreeSet::new(),
    };
    cutter.cut_fragments(&mut document);
    for definition in &mut document.definitions {
        if let Definition::Operation(operation) = definition {
            let (root, selection_set) = root_of(operation);
            cutter.cut_selections(root, selection_set);
            if selection_set.items.is_empty() {
                let names: Vec<String> = cutter.removed.into_iter().collect();
                return Err(NarrowError::NothingLeft(names.join(", ")));
            }
        }
    }
    drop_unused_fragments(&mut document);
    let variables = drop_unused_variables(&mut document);
    Ok(Narrowed {
        query: document.to_string(),
        removed: cutter.removed.into_iter().collect(),
        variables,
    })
}

/// The names of our schema's types whose members an operation uses: those to ask a server about.
///
/// # Errors
/// [`NarrowError::Syntax`] when the text is not GraphQL.
pub fn mentioned_types(
    schema: &OwnSchema,
    document: &str,
) -> Result<BTreeSet<String>, NarrowError> {
    let mut document = parse(document)?;
    let everything = Everything {
        seen: std::cell::RefCell::default(),
    };
    let mut walk = Cutter {
        schema,
        known: &everything,
        dropped_fragments: HashSet::new(),
        removed: BTreeSet::new(),
    };
    walk.cut_fragments(&mut document);
    for definition in &mut document.definitions {
        if let Definition::Operation(operation) = definition {
            for variable in variables_of(operation) {
                everything.see_input(schema, &named_type(&variable.var_type));
            }
            let (root, selection_set) = root_of(operation);
            walk.cut_selections(root, selection_set);
        }
    }
    Ok(everything.seen.into_inner())
}

/// Takes out of the variables what the narrowed operation no longer declares, and of input objects
/// the fields that the server does not know.
pub fn prune_variables(
    schema: &OwnSchema,
    known: &dyn Vocabulary,
    narrowed: &Narrowed,
    variables: serde_json::Value,
) -> serde_json::Value {
    let serde_json::Value::Object(variables) = variables else {
        return variables;
    };
    let kept = variables.into_iter().filter_map(|(name, value)| {
        let type_name = narrowed.variables.get(&name)?;
        Some((name, prune_input(schema, known, type_name, value)))
    });
    serde_json::Value::Object(kept.collect())
}

fn prune_input(
    schema: &OwnSchema,
    known: &dyn Vocabulary,
    type_name: &str,
    value: serde_json::Value,
) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Json::Array(items) => Json::Array(
            items
                .into_iter()
                .map(|item| prune_input(schema, known, type_name, item))
                .collect(),
        ),
        Json::Object(fields) if schema.get(type_name).is_some_and(|own| own.is_input) => {
            let kept = fields
                .into_iter()
                .filter(|(name, _)| known.has_field(type_name, name));
            let pruned = kept.map(|(name, value)| {
                let inner = schema
                    .field(type_name, &name)
                    .map_or("", |field| &field.type_name);
                let value = prune_input(schema, known, inner, value);
                (name, value)
            });
            Json::Object(pruned.collect())
        }
        other => other,
    }
}

fn parse(document: &str) -> Result<Document<'static, String>, NarrowError> {
    parse_query::<String>(document)
        .map(Document::into_static)
        .map_err(NarrowError::Syntax)
}

type ParsedOperation = OperationDefinition<'static, String>;
type Selections = SelectionSet<'static, String>;

fn root_of(operation: &mut ParsedOperation) -> (&'static str, &mut Selections) {
    match operation {
        OperationDefinition::SelectionSet(selection_set) => ("Query", selection_set),
        OperationDefinition::Query(query) => ("Query", &mut query.selection_set),
        OperationDefinition::Mutation(mutation) => ("Mutation", &mut mutation.selection_set),
        OperationDefinition::Subscription(subscription) => {
            ("Subscription", &mut subscription.selection_set)
        }
    }
}

fn variables_of(operation: &ParsedOperation) -> &[VariableDefinition<'static, String>] {
    match operation {
        OperationDefinition::SelectionSet(_) => &[],
        OperationDefinition::Query(query) => &query.variable_definitions,
        OperationDefinition::Mutation(mutation) => &mutation.variable_definitions,
        OperationDefinition::Subscription(subscription) => &subscription.variable_definitions,
    }
}

fn condition_name<'a>(condition: &'a TypeCondition<'static, String>) -> &'a str {
    let TypeCondition::On(name) = condition;
    name
}

struct Cutter<'a> {
    schema: &'a OwnSchema,
    known: &'a dyn Vocabulary,
    dropped_fragments: HashSet<String>,
    removed: BTreeSet<String>,
}

impl Cutter<'_> {
    /// Fragments first, until no further one falls away: one may spread another that is gone.
    fn cut_fragments(&mut self, document: &mut Document<'static, String>) {
        loop {
            let dropped_before = self.dropped_fragments.len();
            document
                .definitions
                .retain_mut(|definition| match definition {
                    Definition::Fragment(fragment) => self.keeps_fragment(fragment),
                    Definition::Operation(_) => true,
                });
            if self.dropped_fragments.len() == dropped_before {
                return;
            }
        }
    }

    fn keeps_fragment(&mut self, fragment: &mut FragmentDefinition<'static, String>) -> bool {
        let keeps = self.keeps_condition(
            condition_name(&fragment.type_condition),
            &mut fragment.selection_set,
        );
        if !keeps {
            self.dropped_fragments.insert(fragment.name.clone());
        }
        keeps
    }

    fn keeps_condition(&mut self, type_name: &str, selection_set: &mut Selections) -> bool {
        if !self.known.has_type(type_name) {
            self.removed.insert(type_name.to_owned());
            return false;
        }
        self.cut_selections(type_name, selection_set);
        !selection_set.items.is_empty()
    }

    fn cut_selections(&mut self, parent: &str, selection_set: &mut Selections) {
        selection_set.items.retain_mut(|selection| match selection {
            Selection::Field(field) => self.keeps_field(parent, field),
            Selection::InlineFragment(fragment) => self.keeps_inline_fragment(parent, fragment),
            Selection::FragmentSpread(spread) => {
                !self.dropped_fragments.contains(&spread.fragment_name)
            }
        });
    }

    fn keeps_inline_fragment(
        &mut self,
        parent: &str,
        fragment: &mut InlineFragment<'static, String>,
    ) -> bool {
        let condition = fragment
            .type_condition
            .as_ref()
            .map_or(parent, condition_name)
            .to_owned();
        self.keeps_condition(&condition, &mut fragment.selection_set)
    }

    fn keeps_field(&mut self, parent: &str, field: &mut Field<'static, String>) -> bool {
        if field.name == "__typename" {
            return true;
        }
        if !self.known.has_field(parent, &field.name) {
            self.removed.insert(format!("{parent}.{}", field.name));
            return false;
        }
        let (known, removed) = (self.known, &mut self.removed);
        field.arguments.retain(|(argument, _)| {
            let keeps = known.has_argument(parent, &field.name, argument);
            if !keeps {
                removed.insert(format!("{parent}.{}({argument}:)", field.name));
            }
            keeps
        });
        if field.selection_set.items.is_empty() {
            return true;
        }
        let inner = self
            .schema
            .field(parent, &field.name)
            .map_or("", |own| &own.type_name);
        self.cut_selections(inner, &mut field.selection_set);
        !field.selection_set.items.is_empty()
    }
}

fn drop_unused_fragments(document: &mut Document<'static, String>) {
    loop {
        let mut used = HashSet::new();
        for definition in &document.definitions {
            match definition {
                Definition::Fragment(fragment) => {
                    collect_spreads(&fragment.selection_set, &mut used);
                }
                Definition::Operation(operation) => {
                    collect_spreads(selections_of(operation), &mut used);
                }
            }
        }
        let before = document.definitions.len();
        document.definitions.retain(|definition| match definition {
            Definition::Fragment(fragment) => used.contains(&fragment.name),
            Definition::Operation(_) => true,
        });
        if document.definitions.len() == before {
            return;
        }
    }
}

fn selections_of(operation: &ParsedOperation) -> &Selections {
    match operation {
        OperationDefinition::SelectionSet(selection_set) => selection_set,
        OperationDefinition::Query(query) => &query.selection_set,
        OperationDefinition::Mutation(mutation) => &mutation.selection_set,
        OperationDefinition::Subscription(subscription) => &subscription.selection_set,
    }
}

fn collect_spreads(selection_set: &Selections, used: &mut HashSet<String>) {
    for selection in &selection_set.items {
        match selection {
            Selection::Field(field) => collect_spreads(&field.selection_set, used),
            Selection::InlineFragment(fragment) => collect_spreads(&fragment.selection_set, used),
            Selection::FragmentSpread(spread) => {
                used.insert(spread.fragment_name.clone());
            }
        }
    }
}

fn drop_unused_variables(document: &mut Document<'static, String>) -> HashMap<String, String> {
    let mut used = HashSet::new();
    for definition in &document.definitions {
        match definition {
            Definition::Fragment(fragment) => collect_variables(&fragment.selection_set, &mut used),
            Definition::Operation(operation) => {
                collect_variables(selections_of(operation), &mut used);
            }
        }
    }
    let mut types = HashMap::new();
    for definition in &mut document.definitions {
        let declared = match definition {
            Definition::Operation(OperationDefinition::Query(query)) => {
                &mut query.variable_definitions
            }
            Definition::Operation(OperationDefinition::Mutation(mutation)) => {
                &mut mutation.variable_definitions
            }
            Definition::Operation(_) | Definition::Fragment(_) => continue,
        };
        declared.retain(|variable| used.contains(&variable.name));
        types.extend(
            declared
                .iter()
                .map(|variable| (variable.name.clone(), named_type(&variable.var_type))),
        );
    }
    types
}

fn collect_variables(selection_set: &Selections, used: &mut HashSet<String>) {
    for selection in &selection_set.items {
        match selection {
            Selection::Field(field) => {
                let conditions = field
                    .directives
                    .iter()
                    .flat_map(|directive| &directive.arguments);
                let arguments = field.arguments.iter().chain(conditions);
                arguments.for_each(|(_, value)| collect_variables_of_value(value, used));
                collect_variables(&field.selection_set, used);
            }
            Selection::InlineFragment(fragment) => collect_variables(&fragment.selection_set, used),
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn collect_variables_of_value(value: &Value<'static, String>, used: &mut HashSet<String>) {
    match value {
        Value::Variable(name) => {
            used.insert(name.clone());
        }
        Value::List(items) => items
            .iter()
            .for_each(|item| collect_variables_of_value(item, used)),
        Value::Object(fields) => fields
            .values()
            .for_each(|value| collect_variables_of_value(value, used)),
        _ => {}
    }
}

/// Knows everything, and remembers which types it was asked about.
struct Everything {
    seen: std::cell::RefCell<BTreeSet<String>>,
}

impl Everything {
    fn see(&self, type_name: &str) {
        self.seen.borrow_mut().insert(type_name.to_owned());
    }

    fn see_input(&self, schema: &OwnSchema, type_name: &str) {
        let Some(own) = schema.get(type_name).filter(|own| own.is_input) else {
            return;
        };
        if self.seen.borrow_mut().insert(type_name.to_owned()) {
            own.fields
                .values()
                .for_each(|field| self.see_input(schema, &field.type_name));
        }
    }
}

impl Vocabulary for Everything {
    fn has_type(&self, type_name: &str) -> bool {
        self.see(type_name);
        true
    }

    fn has_field(&self, type_name: &str, _field: &str) -> bool {
        self.see(type_name);
        true
    }

    fn has_argument(&self, _type_name: &str, _field: &str, _argument: &str) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCHEMA: &str = r#"
        directive @since(release: String!, until: String) repeatable on OBJECT | FIELD_DEFINITION
        type Query { list(first: Int, filters: In): Page  gone: Int }
        input In { a: Int  b: In2 }
        input In2 { c: Int }
        interface Node { id: ID }
        type Page { node: Node  total: Int  author: Author }
        type Author { name: String }
        type X implements Node { id: ID  x: Int  y: Int }
        type Y implements Node @since(release: "2.0") { id: ID  y: Int }
    "#;
    const DOCUMENT: &str = "query List($first: Int, $filters: In) {
        list(first: $first, filters: $filters) {
            total
            author { ...Who }
            node { __typename id ... on X { x y } ... on Y { y } }
        }
    }
    fragment Who on Author { name }";

    /// Knows all but the listed members.
    struct Without(HashSet<String>);

    impl Without {
        fn members(names: &[&str]) -> Self {
            Self(names.iter().map(|name| (*name).to_owned()).collect())
        }
    }

    impl Vocabulary for Without {
        fn has_type(&self, type_name: &str) -> bool {
            !self.0.contains(type_name)
        }
        fn has_field(&self, type_name: &str, field: &str) -> bool {
            self.has_type(type_name) && !self.0.contains(&format!("{type_name}.{field}"))
        }
        fn has_argument(&self, type_name: &str, field: &str, argument: &str) -> bool {
            !self
                .0
                .contains(&format!("{type_name}.{field}({argument}:)"))
        }
    }

    fn check(missing: &[&str]) -> Result<Narrowed, NarrowError> {
        narrow(
            &OwnSchema::read(SCHEMA).unwrap(),
            &Without::members(missing),
            DOCUMENT,
        )
    }

    fn compact(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn nothing_missing_changes_nothing() {
        let narrowed = check(&[]).unwrap();
        assert_eq!(narrowed.query, parse(DOCUMENT).unwrap().to_string());
        assert!(narrowed.removed.is_empty());
        assert_eq!(narrowed.variables["filters"], "In");
    }

    #[test]
    fn an_unknown_argument_takes_its_variable_along() {
        let narrowed = check(&["Query.list(filters:)"]).unwrap();
        assert!(
            compact(&narrowed.query).starts_with("query List($first: Int) { list(first: $first)"),
            "{}",
            narrowed.query
        );
        assert_eq!(narrowed.removed, ["Query.list(filters:)"]);
        assert!(!narrowed.variables.contains_key("filters"));
    }

    #[test]
    fn an_unknown_type_takes_its_fragment_along() {
        let narrowed = check(&["Y"]).unwrap();
        assert!(!narrowed.query.contains("on Y"));
        assert!(narrowed.query.contains("on X"));
    }

    #[test]
    fn a_field_whose_whole_selection_goes_is_gone_with_its_fragment() {
        let narrowed = check(&["Author.name"]).unwrap();
        assert!(!narrowed.query.contains("author"), "{}", narrowed.query);
        assert!(!narrowed.query.contains("Who"), "{}", narrowed.query);
    }

    #[test]
    fn an_operation_that_is_not_known_at_all_is_an_error() {
        let error = check(&["Query.list"]).unwrap_err();
        assert_eq!(error.to_string(), "this release does not know Query.list");
    }

    #[test]
    fn input_objects_lose_what_is_not_known() {
        let schema = OwnSchema::read(SCHEMA).unwrap();
        let known = Without::members(&["In2.c", "Query.list(first:)"]);
        let narrowed = narrow(&schema, &known, DOCUMENT).unwrap();
        let variables = serde_json::json!({"first": 1, "filters": {"a": 1, "b": {"c": 2}}});
        let pruned = prune_variables(&schema, &known, &narrowed, variables);
        assert_eq!(pruned, serde_json::json!({"filters": {"a": 1, "b": {}}}));
    }

    #[test]
    fn the_types_to_ask_about_are_those_with_members_in_use() {
        let types = mentioned_types(&OwnSchema::read(SCHEMA).unwrap(), DOCUMENT).unwrap();
        let types: Vec<&str> = types.iter().map(String::as_str).collect();
        assert_eq!(
            types,
            ["Author", "In", "In2", "Node", "Page", "Query", "X", "Y"]
        );
    }

    const MEMBERS: &[&str] = &[
        "Y",
        "X",
        "Author",
        "X.x",
        "X.y",
        "Y.y",
        "Author.name",
        "Page.total",
        "Page.author",
        "Page.node",
        "Query.list(first:)",
        "Query.list(filters:)",
        "Node.id",
    ];

    proptest! {
        /// Whatever is missing: what is left asks for nothing of it, declares only what it uses, is
        /// valid GraphQL, and narrowing it again changes nothing.
        #[test]
        fn what_is_left_is_known_and_stable(missing in proptest::sample::subsequence(MEMBERS, 0..MEMBERS.len())) {
            let schema = OwnSchema::read(SCHEMA).unwrap();
            let known = Without::members(&missing);
            let Ok(narrowed) = narrow(&schema, &known, DOCUMENT) else { return Ok(()) };
            for name in &missing {
                if let Some((_, field)) = name.split_once('.').filter(|(_, field)| ["x", "total", "author"].contains(field)) {
                    prop_assert!(!narrowed.query.split_whitespace().any(|word| word == field), "{} in {}", name, narrowed.query);
                }
            }
            for variable in narrowed.variables.keys() {
                let uses = narrowed.query.matches(&format!("${variable}")).count();
                prop_assert_eq!(uses, 2, "declared and used: {}", narrowed.query);
            }
            let again = narrow(&schema, &known, &narrowed.query).unwrap();
            prop_assert_eq!(&again.query, &narrowed.query);
            prop_assert!(again.removed.is_empty());
        }
    }
}
