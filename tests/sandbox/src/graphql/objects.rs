//! Objects of the schema over JSON and over the records of a content.

use apollo_compiler::ast::Type;
use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use apollo_compiler::schema::ExtendedType;
use serde_json::{Value, json};

use crate::data::Record;
use crate::lists::{Arguments, Catalogue, List, Page, Row};

use super::{PlatformError, plain};

/// An object whose fields are plain JSON.
pub(crate) struct Tree {
    typename: String,
    fields: Value,
}

impl Tree {
    pub(crate) fn new(typename: impl Into<String>, fields: Value) -> Self {
        Self {
            typename: typename.into(),
            fields,
        }
    }
}

impl ObjectValue for Tree {
    fn type_name(&self) -> &str {
        &self.typename
    }

    fn resolve_field<'a>(
        &'a self,
        info: &'a ResolveInfo<'a>,
    ) -> Result<ResolvedValue<'a>, FieldError> {
        let value = self.fields.get(info.field_name()).unwrap_or(&Value::Null);
        resolve(&self.typename, value, info, None)
    }
}

/// A record of a content; where a field holds ids, the objects behind them.
struct Node<'a> {
    record: &'a Record,
    catalogue: &'a Catalogue,
}

impl ObjectValue for Node<'_> {
    fn type_name(&self) -> &str {
        self.record.typename()
    }

    fn resolve_field<'a>(
        &'a self,
        info: &'a ResolveInfo<'a>,
    ) -> Result<ResolvedValue<'a>, FieldError> {
        let value = self.record.get(info.field_name()).unwrap_or(&Value::Null);
        // The platform's own joins find nothing, and say that with an empty list.
        let ty = &info.field_definition().ty;
        if value.is_null() && ty.is_list() && is_composite(ty, info) {
            return Ok(ResolvedValue::list(std::iter::empty()));
        }
        resolve(self.record.typename(), value, info, Some(self.catalogue))
    }
}

/// Resolves one of the lists with its arguments.
pub(crate) fn resolve_list<'a>(
    catalogue: &'a Catalogue,
    list: List,
    cap: usize,
    info: &'a ResolveInfo<'a>,
) -> Result<ResolvedValue<'a>, FieldError> {
    let arguments: Arguments = serde_json::from_value(plain(info.arguments()))
        .map_err(|error| PlatformError::functional(format!("arguments not understood: {error}")))?;
    let (catalogue, list) = catalogue.of_list(list);
    let page = catalogue.page(list, &arguments, cap)?;
    let typename = info.field_definition().ty.inner_named_type().as_str();
    Ok(ResolvedValue::object(Connection {
        typename,
        page,
        catalogue,
    }))
}

struct Connection<'a> {
    typename: &'a str,
    page: Page<'a>,
    catalogue: &'a Catalogue,
}

impl ObjectValue for Connection<'_> {
    fn type_name(&self) -> &str {
        self.typename
    }

    fn resolve_field<'a>(
        &'a self,
        info: &'a ResolveInfo<'a>,
    ) -> Result<ResolvedValue<'a>, FieldError> {
        let typename = info.field_definition().ty.inner_named_type().as_str();
        match info.field_name() {
            "pageInfo" => {
                let cursor =
                    |row: Option<&Row<'_>>| row.map(|row| row.cursor.clone()).unwrap_or_default();
                let fields = json!({
                    "startCursor": cursor(self.page.rows.first()),
                    "endCursor": cursor(self.page.rows.last()),
                    "hasNextPage": self.page.has_next,
                    "hasPreviousPage": false,
                    "globalCount": self.page.total,
                });
                Ok(ResolvedValue::object(Tree::new(typename, fields)))
            }
            "edges" => {
                let edge = |row| {
                    ResolvedValue::object(Edge {
                        typename,
                        row,
                        catalogue: self.catalogue,
                    })
                };
                Ok(ResolvedValue::list(self.page.rows.iter().map(edge)))
            }
            _ => Err(self.unknown_field_error(info)),
        }
    }
}

struct Edge<'a> {
    typename: &'a str,
    row: &'a Row<'a>,
    catalogue: &'a Catalogue,
}

impl ObjectValue for Edge<'_> {
    fn type_name(&self) -> &str {
        self.typename
    }

    fn resolve_field<'a>(
        &'a self,
        info: &'a ResolveInfo<'a>,
    ) -> Result<ResolvedValue<'a>, FieldError> {
        match info.field_name() {
            "cursor" => Ok(ResolvedValue::leaf(self.row.cursor.as_str())),
            "node" => self.resolve_node(info),
            _ => Err(self.unknown_field_error(info)),
        }
    }
}

impl Edge<'_> {
    /// A type that the schema does not have makes the row an error.
    fn resolve_node<'a>(&'a self, info: &ResolveInfo<'a>) -> Result<ResolvedValue<'a>, FieldError> {
        let typename = self.row.record.typename();
        if info.schema().get_object(typename).is_none() {
            let expected = info.field_definition().ty.inner_named_type();
            let message = format!(
                "Abstract type \"{expected}\" was resolved to a type \"{typename}\" that does not exist inside the schema."
            );
            return Err(PlatformError::internal(message).into());
        }
        Ok(ResolvedValue::object(Node {
            record: self.row.record,
            catalogue: self.catalogue,
        }))
    }
}

/// A field's value: leaves by the rules of the schema, ids as the objects behind them.
fn resolve<'a>(
    typename: &str,
    value: &'a Value,
    info: &'a ResolveInfo<'a>,
    catalogue: Option<&'a Catalogue>,
) -> Result<ResolvedValue<'a>, FieldError> {
    let definition = info.field_definition();
    if value.is_null() && definition.ty.is_non_null() {
        let message = format!(
            "Cannot return null for non-nullable field {typename}.{}.",
            definition.name
        );
        return Err(PlatformError::internal(message).into());
    }
    complete(value, &definition.ty, info, catalogue)
}

fn complete<'a>(
    value: &'a Value,
    ty: &'a Type,
    info: &'a ResolveInfo<'a>,
    catalogue: Option<&'a Catalogue>,
) -> Result<ResolvedValue<'a>, FieldError> {
    if value.is_null() {
        return Ok(ResolvedValue::null());
    }
    if let (Type::List(_) | Type::NonNullList(_), Value::Array(values)) = (ty, value) {
        // An id that leads nowhere is left out, as the platform's own joins do.
        let known = values
            .iter()
            .filter(move |value| leads_somewhere(value, ty, info, catalogue));
        return Ok(ResolvedValue::List(Box::new(known.map(move |value| {
            complete(value, ty.item_type(), info, catalogue)
        }))));
    }
    if is_composite(ty, info) {
        return Ok(object(value, ty, catalogue));
    }
    leaf(value, ty)
}

fn is_composite(ty: &Type, info: &ResolveInfo<'_>) -> bool {
    let definition = info.schema().types.get(ty.inner_named_type());
    matches!(
        definition,
        Some(ExtendedType::Object(_) | ExtendedType::Interface(_) | ExtendedType::Union(_))
    )
}

fn leads_somewhere(
    value: &Value,
    ty: &Type,
    info: &ResolveInfo<'_>,
    catalogue: Option<&Catalogue>,
) -> bool {
    match (value, catalogue) {
        (Value::String(id), Some(catalogue)) => {
            !is_composite(ty, info) || catalogue.find(id).is_some()
        }
        _ => true,
    }
}

fn object<'a>(value: &'a Value, ty: &Type, catalogue: Option<&'a Catalogue>) -> ResolvedValue<'a> {
    if let (Value::String(id), Some(catalogue)) = (value, catalogue) {
        let found = catalogue.find(id);
        return ResolvedValue::nullable_object(found.map(|record| Node { record, catalogue }));
    }
    // Of an interface, the value says which type it is.
    let own = value.get("__typename").and_then(Value::as_str);
    let typename = own.unwrap_or(ty.inner_named_type().as_str());
    ResolvedValue::object(Tree::new(typename, value.clone()))
}

fn leaf<'a>(value: &Value, ty: &Type) -> Result<ResolvedValue<'a>, FieldError> {
    match (ty.inner_named_type().as_str(), value) {
        ("Int", Value::Number(number))
            if number
                .as_i64()
                .is_none_or(|number| i32::try_from(number).is_err()) =>
        {
            let message = format!("Int cannot represent non 32-bit signed integer value: {number}");
            Err(PlatformError::internal(message).into())
        }
        ("Float", Value::Number(number)) => Ok(ResolvedValue::leaf(number.as_f64())),
        _ => Ok(ResolvedValue::leaf(value.clone())),
    }
}
