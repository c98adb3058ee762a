//! Our own schema file, read for two questions: of what type is a field, and with which releases
//! did a member come and go.

use std::collections::HashMap;

use graphql_parser::schema::{
    Definition, Directive, Field, InputValue, Type, TypeDefinition, Value, parse_schema,
};

/// Why our own schema file cannot be used: a defect of this program, found by its tests.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The file is not GraphQL.
    #[error("the schema in this program is not valid GraphQL")]
    Syntax(#[source] graphql_parser::schema::ParseError),
    /// A `@since` without a `release`.
    #[error("a @since in the schema in this program has no release")]
    Mark,
}

/// A range of releases that have a member; the member's `@since`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The first release that has it.
    pub since: String,
    /// The release in which it is gone again.
    pub until: Option<String>,
}

/// The types of our schema file.
#[derive(Debug)]
pub struct OwnSchema {
    types: HashMap<String, OwnType>,
}

/// One type: object, interface, union or input object.
#[derive(Debug, Default)]
pub(super) struct OwnType {
    pub(super) fields: HashMap<String, OwnField>,
    pub(super) implements: Vec<String>,
    pub(super) marks: Vec<Mark>,
    pub(super) is_input: bool,
}

/// One field of a type, or of an input object.
#[derive(Debug)]
pub(super) struct OwnField {
    /// The named type under lists and non-nulls.
    pub(super) type_name: String,
    pub(super) arguments: HashMap<String, Vec<Mark>>,
    pub(super) marks: Vec<Mark>,
}

impl OwnSchema {
    /// Reads the schema file.
    ///
    /// # Errors
    /// [`SchemaError`] when the text is not a schema.
    pub fn read(text: &str) -> Result<Self, SchemaError> {
        let document = parse_schema::<String>(text).map_err(SchemaError::Syntax)?;
        let mut types = HashMap::new();
        for definition in &document.definitions {
            if let Definition::TypeDefinition(definition) = definition
                && let Some((name, own)) = read_type(definition)?
            {
                types.insert(name, own);
            }
        }
        Ok(Self { types })
    }

    pub(super) fn get(&self, type_name: &str) -> Option<&OwnType> {
        self.types.get(type_name)
    }

    pub(super) fn field(&self, type_name: &str, field: &str) -> Option<&OwnField> {
        self.get(type_name)?.fields.get(field)
    }

    /// The marks of a type; none when it has always been there.
    pub fn type_marks(&self, type_name: &str) -> &[Mark] {
        self.get(type_name).map_or(&[], |own| &own.marks)
    }

    /// The marks of a field.
    pub fn field_marks(&self, type_name: &str, field: &str) -> &[Mark] {
        self.field(type_name, field)
            .map_or(&[], |field| &field.marks)
    }

    /// The marks of a field's argument.
    pub fn argument_marks(&self, type_name: &str, field: &str, argument: &str) -> &[Mark] {
        let field = self.field(type_name, field);
        field
            .and_then(|field| field.arguments.get(argument))
            .map_or(&[], Vec::as_slice)
    }

    /// The interfaces that a type implements.
    pub fn interfaces(&self, type_name: &str) -> &[String] {
        self.get(type_name).map_or(&[], |own| &own.implements)
    }

    /// Whether anything of the type came or went with a release: such a type is worth a probe.
    pub fn has_marked_members(&self, type_name: &str) -> bool {
        let marked = |field: &OwnField| {
            !field.marks.is_empty() || field.arguments.values().any(|marks| !marks.is_empty())
        };
        self.get(type_name)
            .is_some_and(|own| own.fields.values().any(marked))
    }

    /// Whether the type is an object, interface or input object of ours, and so has fields to ask for.
    pub fn has_fields(&self, type_name: &str) -> bool {
        self.get(type_name)
            .is_some_and(|own| !own.fields.is_empty())
    }
}

type SchemaField<'a> = Field<'a, String>;

fn read_type(
    definition: &TypeDefinition<'_, String>,
) -> Result<Option<(String, OwnType)>, SchemaError> {
    let (name, own) = match definition {
        TypeDefinition::Object(object) => {
            let marks = read_marks(&object.directives)?;
            let implements = object.implements_interfaces.clone();
            (
                &object.name,
                OwnType {
                    fields: read_fields(&object.fields)?,
                    implements,
                    marks,
                    is_input: false,
                },
            )
        }
        TypeDefinition::Interface(interface) => {
            let fields = read_fields(&interface.fields)?;
            (
                &interface.name,
                OwnType {
                    fields,
                    ..OwnType::default()
                },
            )
        }
        TypeDefinition::Union(union) => (&union.name, OwnType::default()),
        TypeDefinition::InputObject(input) => {
            let fields = input
                .fields
                .iter()
                .map(read_input)
                .collect::<Result<_, _>>()?;
            let marks = read_marks(&input.directives)?;
            (
                &input.name,
                OwnType {
                    fields,
                    marks,
                    is_input: true,
                    ..OwnType::default()
                },
            )
        }
        TypeDefinition::Scalar(_) | TypeDefinition::Enum(_) => return Ok(None),
    };
    Ok(Some((name.clone(), own)))
}

fn read_fields(fields: &[SchemaField<'_>]) -> Result<HashMap<String, OwnField>, SchemaError> {
    fields.iter().map(read_field).collect()
}

fn read_field(field: &SchemaField<'_>) -> Result<(String, OwnField), SchemaError> {
    let arguments = field
        .arguments
        .iter()
        .map(|argument| Ok((argument.name.clone(), read_marks(&argument.directives)?)))
        .collect::<Result<_, SchemaError>>()?;
    let marks = read_marks(&field.directives)?;
    Ok((
        field.name.clone(),
        OwnField {
            type_name: named_type(&field.field_type),
            arguments,
            marks,
        },
    ))
}

fn read_input(input: &InputValue<'_, String>) -> Result<(String, OwnField), SchemaError> {
    let marks = read_marks(&input.directives)?;
    let type_name = named_type(&input.value_type);
    Ok((
        input.name.clone(),
        OwnField {
            type_name,
            arguments: HashMap::new(),
            marks,
        },
    ))
}

fn read_marks(directives: &[Directive<'_, String>]) -> Result<Vec<Mark>, SchemaError> {
    directives
        .iter()
        .filter(|directive| directive.name == "since")
        .map(read_mark)
        .collect()
}

fn read_mark(directive: &Directive<'_, String>) -> Result<Mark, SchemaError> {
    let argument = |name: &str| {
        directive
            .arguments
            .iter()
            .find_map(|(key, value)| match value {
                Value::String(text) if key == name => Some(text.clone()),
                _ => None,
            })
    };
    Ok(Mark {
        since: argument("release").ok_or(SchemaError::Mark)?,
        until: argument("until"),
    })
}

/// The named type under lists and non-nulls.
pub(super) fn named_type(written: &Type<'_, String>) -> String {
    match written {
        Type::NamedType(name) => name.clone(),
        Type::ListType(inner) | Type::NonNullType(inner) => named_type(inner),
    }
}
