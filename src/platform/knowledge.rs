//! What a platform's schema knows: asked type by type, remembered, and what operations are cut down to.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::Platform;
use super::error::PlatformError;
use super::shape::{KnownShape, ProbeAnswer, TypeShape};
use super::tries::{Tries, is_of_the_moment};
use crate::graphql::{
    AnswerLimit, NarrowError, Narrowed, OwnSchema, RequestError, Vocabulary, mentioned_types,
    narrow,
};
use crate::telemetry::logs::Chain;

const PROBE: &str = include_str!("probe.graphql");

/// What has been learnt of the platform's schema so far.
#[derive(Debug, Default)]
pub(super) struct Knowledge {
    pub(super) shapes: HashMap<String, Option<TypeShape>>,
    pub(super) probing_refused: bool,
    pub(super) narrowed: HashMap<&'static str, Arc<Narrowed>>,
    pub(super) thoroughly_probed: BTreeSet<&'static str>,
}

impl Platform {
    /// Whether the platform does not have an entity type such as "SSH-Key". Names of relationships,
    /// which begin with a small letter, are none of its business: the answer is no. A type that our
    /// schema file does not have counts as lacking where the platform refuses to be asked.
    ///
    /// # Errors
    /// [`PlatformError`] when the platform does not answer.
    pub async fn lacks_entity_type(&self, entity_type: &str) -> Result<bool, PlatformError> {
        // IPv4-Addr is IPv4Addr in GraphQL (docs/protocol.md#types).
        let type_name = entity_type.replace('-', "");
        let is_known = self.schema.has_fields(&type_name);
        let is_everywhere = is_known && self.schema.type_marks(&type_name).is_empty();
        if is_everywhere || !entity_type.starts_with(|first: char| first.is_ascii_uppercase()) {
            return Ok(false);
        }
        if !is_known {
            self.probe_all(std::iter::once(type_name.clone()).collect())
                .await?;
            let has_it = self.learn(|known| matches!(known.shapes.get(&type_name), Some(Some(_))));
            return Ok(!has_it);
        }
        let asked = std::iter::once(type_name.clone()).collect();
        self.probe_all(worth_a_probe(self.schema, &asked)).await?;
        Ok(!self.with_known(|known| known.has_type(&type_name)))
    }

    /// The operation as this platform understands it: probed and cut at first use, then remembered.
    pub(super) async fn narrowed(
        &self,
        operation: &'static str,
        document: &'static str,
    ) -> Result<Arc<Narrowed>, PlatformError> {
        if let Some(narrowed) = self.learn(|knowledge| knowledge.narrowed.get(operation).cloned()) {
            return Ok(narrowed);
        }
        let mentioned = mentioned_types(self.schema, document)
            .map_err(|source| self.unknown(operation, source))?;
        self.probe_all(worth_a_probe(self.schema, &mentioned))
            .await?;
        self.narrow_and_remember(operation, document)
    }

    /// After a refusal: asks about every type that the operation touches, not only about those known
    /// to have changed, and cuts again. None when that leaves what was sent as it was.
    pub(super) async fn narrow_thoroughly(
        &self,
        operation: &'static str,
        document: &'static str,
        sent: &Narrowed,
    ) -> Result<Option<Arc<Narrowed>>, PlatformError> {
        if !self.learn(|knowledge| knowledge.thoroughly_probed.contains(operation)) {
            let mentioned = mentioned_types(self.schema, document)
                .map_err(|source| self.unknown(operation, source))?;
            let with_fields = mentioned
                .into_iter()
                .filter(|name| self.schema.has_fields(name));
            self.probe_all(with_fields.collect()).await?;
            self.narrow_and_remember(operation, document)?;
            self.learn(|knowledge| knowledge.thoroughly_probed.insert(operation));
        }
        let narrower = self.learn(|knowledge| knowledge.narrowed.get(operation).cloned());
        Ok(narrower.filter(|narrower| **narrower != *sent))
    }

    fn narrow_and_remember(
        &self,
        operation: &'static str,
        document: &str,
    ) -> Result<Arc<Narrowed>, PlatformError> {
        let narrowed = self
            .with_known(|known| narrow(self.schema, known, document))
            .map_err(|source| self.unknown(operation, source))?;
        if !narrowed.removed.is_empty() {
            tracing::info!(
                platform = self.client.platform(),
                operation,
                left_out = narrowed.removed.join(", "),
                "this release does not know everything that could be asked"
            );
        }
        let narrowed = Arc::new(narrowed);
        self.learn(|knowledge| knowledge.narrowed.insert(operation, Arc::clone(&narrowed)));
        Ok(narrowed)
    }

    pub(super) fn with_known<T>(&self, use_it: impl FnOnce(&KnownShape<'_>) -> T) -> T {
        let knowledge = self
            .knowledge
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        use_it(&KnownShape {
            schema: self.schema,
            release: &self.release,
            shapes: &knowledge.shapes,
        })
    }

    pub(super) fn learn<T>(&self, change: impl FnOnce(&mut Knowledge) -> T) -> T {
        change(
            &mut self
                .knowledge
                .write()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }

    fn unknown(&self, operation: &'static str, source: NarrowError) -> PlatformError {
        PlatformError::Unknown {
            platform: self.client.platform().to_owned(),
            release: self.release.clone(),
            operation,
            source: Box::new(source),
        }
    }

    async fn probe_all(&self, type_names: BTreeSet<String>) -> Result<(), PlatformError> {
        for type_name in type_names {
            let settled =
                self.learn(|known| known.probing_refused || known.shapes.contains_key(&type_name));
            if !settled {
                self.probe(type_name).await?;
            }
        }
        Ok(())
    }

    /// Learns what the platform has of a type. Only the platform's own refusal means that it answers nothing about its
    /// schema: what it fails at for the moment is waited for.
    async fn probe(&self, type_name: String) -> Result<(), PlatformError> {
        let policy = self.probing;
        let variables = serde_json::json!({ "name": type_name });
        let mut tries = Tries::new(&self.client, policy);
        loop {
            let asking = self
                .client
                .post("Probe", PROBE, &variables, AnswerLimit::Many, policy);
            match asking.await?.decode::<ProbeAnswer>() {
                Ok(answer) => {
                    self.learn(|knowledge| knowledge.shapes.insert(type_name, answer.shape()));
                    return Ok(());
                }
                Err(error) if error.refuses_introspection() => {
                    tracing::info!(
                        platform = self.client.platform(),
                        error = %Chain(&error),
                        "the platform does not answer questions about its schema; its release decides what it is asked"
                    );
                    self.learn(|knowledge| knowledge.probing_refused = true);
                    return Ok(());
                }
                Err(error)
                    if is_of_the_moment(&error) || matches!(error, RequestError::Shape { .. }) =>
                {
                    tries.wait_after(error).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The types that changed over the releases, and the interfaces that list which types there are.
fn worth_a_probe(schema: &OwnSchema, mentioned: &BTreeSet<String>) -> BTreeSet<String> {
    let mut worth = BTreeSet::new();
    for type_name in mentioned {
        if schema.has_marked_members(type_name) {
            worth.insert(type_name.clone());
        }
        if !schema.type_marks(type_name).is_empty() {
            match schema.interfaces(type_name).last() {
                Some(interface) => worth.insert(interface.clone()),
                None => worth.insert(type_name.clone()),
            };
        }
    }
    worth
}
