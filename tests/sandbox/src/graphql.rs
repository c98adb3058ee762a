//! Answers GraphQL requests the way the platform does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use apollo_compiler::executable::{OperationType, Selection};
use apollo_compiler::resolvers::{Execution, FieldError, ObjectValue};
use apollo_compiler::response::{ExecutionResponse, GraphQLError, JsonMap, serde_json_bytes};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::lists::List;
use crate::release_rules::RULES;
use crate::{Release, lock, schema};

pub(crate) mod objects;

/// Parts a code from the words in the one text that a resolver's error has.
const SEPARATOR: char = '\u{1f}';
const OTHER_ERROR: &str = "INTERNAL_SERVER_ERROR";

/// A request's body.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RequestBody {
    pub(crate) query: String,
    #[serde(default)]
    pub(crate) variables: Option<Map<String, Value>>,
    #[serde(default)]
    pub(crate) operation_name: Option<String>,
}

impl RequestBody {
    /// The size of the page that is asked for, by the variable `first`.
    pub(crate) fn rows(&self) -> Option<i64> {
        self.variables.as_ref()?.get("first")?.as_i64()
    }
}

/// An error with the platform's name for it.
#[derive(Debug, Clone)]
pub(crate) struct PlatformError {
    code: String,
    message: String,
}

impl PlatformError {
    pub(crate) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }

    pub(crate) fn functional(message: impl Into<String>) -> Self {
        Self::new("FUNCTIONAL_ERROR", message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(OTHER_ERROR, message)
    }

    /// The request's whole answer when it is refused before anything ran.
    pub(crate) fn refusal(&self) -> Value {
        json!({ "errors": [{ "message": self.message, "name": self.code, "extensions": { "code": self.code } }] })
    }
}

impl From<PlatformError> for FieldError {
    fn from(error: PlatformError) -> Self {
        Self {
            message: format!("{}{SEPARATOR}{}", error.code, error.message),
        }
    }
}

/// A request that passed all checks.
pub(crate) struct Prepared<'a> {
    executor: &'a Executor,
    document: Arc<Valid<ExecutableDocument>>,
    operation_name: Option<&'a str>,
    variables: JsonMap,
}

/// Checks and runs requests against the schema of one release.
pub(crate) struct Executor {
    schema: Valid<Schema>,
    release: Release,
    probing: bool,
    documents: Mutex<HashMap<String, Arc<Valid<ExecutableDocument>>>>,
}

impl Executor {
    pub(crate) fn new(release: Release, probing: bool) -> Result<Self> {
        Ok(Self {
            schema: schema::schema(release)?,
            release,
            probing,
            documents: Mutex::default(),
        })
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Checks a request.
    pub(crate) fn prepare<'a>(
        &'a self,
        body: &'a RequestBody,
    ) -> Result<Prepared<'a>, PlatformError> {
        self.check_introspection(&body.query)?;
        let document = self.document(&body.query)?;
        let variables = body.variables.clone().unwrap_or_default();
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Ok(Prepared {
            executor: self,
            document,
            operation_name: body.operation_name.as_deref(),
            variables,
        })
    }

    /// The platform only looks for the text.
    fn check_introspection(&self, query: &str) -> Result<(), PlatformError> {
        let asks_schema = query.contains("__schema")
            && RULES
                .refuses_schema_and_repeated_fields
                .includes(self.release);
        if asks_schema || (!self.probing && query.contains("__type(")) {
            return Err(PlatformError::new(
                "RESOURCE_NOT_FOUND",
                "GraphQL introspection not authorized!",
            ));
        }
        Ok(())
    }

    fn document(&self, query: &str) -> Result<Arc<Valid<ExecutableDocument>>, PlatformError> {
        if let Some(known) = lock(&self.documents).get(query) {
            return Ok(Arc::clone(known));
        }
        let refused = |message: String| PlatformError::new("GRAPHQL_VALIDATION_FAILED", message);
        let document =
            ExecutableDocument::parse_and_validate(&self.schema, query, "request.graphql")
                .map_err(|broken| refused(broken.errors.to_string()))?;
        if RULES
            .refuses_schema_and_repeated_fields
            .includes(self.release)
        {
            check_aliases(&document).map_err(refused)?;
        }
        let document = Arc::new(document);
        lock(&self.documents).insert(query.to_owned(), Arc::clone(&document));
        Ok(document)
    }
}

impl Prepared<'_> {
    /// True where the document asks for one of the lists.
    pub(crate) fn asks_for_lists(&self) -> bool {
        let selections = self
            .document
            .operations
            .iter()
            .flat_map(|operation| &operation.selection_set.selections);
        selections
            .filter_map(Selection::as_field)
            .any(|field| List::of_field(&field.name).is_some())
    }

    /// Runs the operation on these root resolvers and gives the answer's body.
    pub(crate) fn run(&self, root: &dyn ObjectValue) -> Value {
        let execution = Execution::new(&self.executor.schema, &self.document)
            .enable_schema_introspection(true)
            .raw_variable_values(&self.variables)
            .operation_name(self.operation_name);
        let response = execution.and_then(|execution| execution.execute_sync(root));
        match response {
            Ok(response) => answer(&response),
            Err(error) => {
                PlatformError::new("BAD_USER_INPUT", error.message().to_string()).refusal()
            }
        }
    }
}

/// At most two calls of a query field and one of a mutation field.
fn check_aliases(document: &ExecutableDocument) -> Result<(), String> {
    for operation in document.operations.iter() {
        let limit = if operation.operation_type == OperationType::Mutation {
            1
        } else {
            2
        };
        let mut calls: HashMap<&str, usize> = HashMap::new();
        for selection in &operation.selection_set.selections {
            let Selection::Field(field) = selection else {
                continue;
            };
            let count = calls.entry(field.name.as_str()).or_default();
            *count += 1;
            if *count > limit {
                return Err(format!(
                    "Allowed number of calls to '{}' has been exceeded (max: {limit})",
                    field.name
                ));
            }
        }
    }
    Ok(())
}

fn answer(response: &ExecutionResponse) -> Value {
    let data = serde_json::to_value(&response.data).unwrap_or_default();
    if response.errors.is_empty() {
        return json!({ "data": data });
    }
    let errors: Vec<Value> = response.errors.iter().map(error).collect();
    json!({ "errors": errors, "data": data })
}

/// One entry of `errors`, in the words of the platform's GraphQL library.
fn error(error: &GraphQLError) -> Value {
    let text = error
        .message
        .strip_prefix("resolver error: ")
        .unwrap_or(&error.message);
    let (code, message) = text.split_once(SEPARATOR).unwrap_or((OTHER_ERROR, text));
    json!({
        "message": message,
        "name": code,
        "path": error.path,
        "locations": error.locations,
        "extensions": { "code": code },
    })
}

/// A resolver's arguments as plain JSON.
pub(crate) fn plain(arguments: &JsonMap) -> Value {
    serde_json_bytes::serde_json::to_value(arguments).unwrap_or_default()
}
