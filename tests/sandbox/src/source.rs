//! The platform that is read from.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use anyhow::Result;
use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use axum::body::Bytes;
use serde_json::{Value, json};

use crate::data::{DataSet, Shape};
use crate::fault::Faults;
use crate::graphql::objects::{Tree, resolve_list};
use crate::graphql::{Executor, Prepared};
use crate::lists::{Catalogue, List};
use crate::server::{Platform, Request, Server, runtime};
use crate::{Release, lock};

/// The platform's hard limit of a page, `elasticsearch:max_pagination_result`.
pub const PAGE_CAP: usize = 5000;

/// How a source is.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// Its release.
    pub release: Release,
    /// The token that it accepts.
    pub token: String,
    /// Its content; observables of types that the release does not have are left out.
    pub data: DataSet,
    /// The largest page.
    pub page_cap: usize,
    /// Keeps rendered answers, so that a benchmark does not measure the sandbox.
    pub cached_answers: bool,
    /// Whether `__type(name:)` is answered.
    pub probing: bool,
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            release: Release::LATEST,
            token: "5f2c6c1e-2f0b-4a5e-9d9f-3f6f7f1d9c01".to_owned(),
            data: DataSet::generate(&Shape::default()),
            page_cap: PAGE_CAP,
            cached_answers: false,
            probing: true,
        }
    }
}

/// A running source; dropping it stops it.
pub struct Source {
    server: Server,
    content: Arc<Content>,
}

impl Source {
    /// Starts a source on a free port.
    pub fn start(options: SourceOptions) -> Result<Self> {
        let executor = Arc::new(Executor::new(options.release, options.probing)?);
        let mut data = options.data;
        data.keep_types_of(executor.schema());
        let catalogue = RwLock::new(Catalogue::new(data));
        let content = Arc::new(Content {
            catalogue,
            files: Mutex::default(),
            release: options.release,
            page_cap: options.page_cap,
        });
        let platform: Arc<dyn Platform> = Arc::<Content>::clone(&content);
        let (runtime, _) = runtime()?;
        let server = Server::start(
            runtime,
            platform,
            executor,
            &options.token,
            options.cached_answers,
        )?;
        Ok(Self { server, content })
    }

    /// Its address, without `/graphql`.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// The token that it accepts.
    pub fn token(&self) -> &str {
        self.server.token()
    }

    /// All requests so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// How many requests of an operation came so far.
    pub fn count(&self, operation: &str) -> usize {
        self.server.count(operation)
    }

    /// Goes away, as when its machine is restarted: connections are reset, and new ones refused.
    pub async fn go_offline(&self) {
        self.server.set_online(false).await;
    }

    /// Is there again, at the same address and with all that it had.
    pub async fn go_online(&self) {
        self.server.set_online(true).await;
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Faults {
        self.server.faults()
    }

    /// A copy of the content.
    pub fn data(&self) -> DataSet {
        self.content.read(|catalogue| catalogue.data().clone())
    }

    /// Changes the content while the source runs.
    pub fn edit<T>(&self, change: impl FnOnce(&mut DataSet) -> T) -> T {
        self.write(|catalogue| catalogue.edit(change))
    }

    /// Stores a file for download under its id; the objects that it belongs to say so themselves, in
    /// `importFiles`.
    pub fn store_file(&self, id: &str, content: impl Into<Bytes>) {
        lock(&self.content.files).insert(id.to_owned(), content.into());
    }

    /// Lets the lists count the row with this standard id without answering it, as with a search index
    /// that is damaged.
    pub fn hide(&self, standard_id: &str) {
        self.write(|catalogue| catalogue.hide(standard_id));
    }

    fn write<T>(&self, change: impl FnOnce(&mut Catalogue) -> T) -> T {
        let mut catalogue = self
            .content
            .catalogue
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let answer = change(&mut catalogue);
        drop(catalogue);
        self.server.forget_answers();
        answer
    }
}

struct Content {
    catalogue: RwLock<Catalogue>,
    files: Mutex<HashMap<String, Bytes>>,
    release: Release,
    page_cap: usize,
}

impl Content {
    fn read<T>(&self, look: impl FnOnce(&Catalogue) -> T) -> T {
        look(
            &self
                .catalogue
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

impl Platform for Content {
    fn file(&self, id: &str) -> Option<Bytes> {
        lock(&self.files).get(id).cloned()
    }

    fn run(&self, request: &Prepared<'_>) -> Value {
        self.read(|catalogue| {
            request.run(&Root {
                catalogue,
                release: self.release,
                page_cap: self.page_cap,
            })
        })
    }
}

/// The root fields: a source answers lists and its release, and takes no changes.
struct Root<'a> {
    catalogue: &'a Catalogue,
    release: Release,
    page_cap: usize,
}

impl ObjectValue for Root<'_> {
    fn type_name(&self) -> &'static str {
        "Query"
    }

    fn resolve_field<'a>(
        &'a self,
        info: &'a ResolveInfo<'a>,
    ) -> Result<ResolvedValue<'a>, FieldError> {
        let field = info.field_name();
        if let Some(list) = List::of_field(field) {
            return resolve_list(self.catalogue, list, self.page_cap, info);
        }
        match field {
            "about" => {
                let about = json!({ "version": self.release.to_string() });
                Ok(ResolvedValue::object(Tree::new("AppInfo", about)))
            }
            "connector" | "work" => Ok(ResolvedValue::null()),
            "isWorkAlive" => Ok(ResolvedValue::leaf(false)),
            _ => Err(crate::graphql::PlatformError::new(
                "FORBIDDEN_ACCESS",
                "You are not allowed to do this.",
            )
            .into()),
        }
    }
}
