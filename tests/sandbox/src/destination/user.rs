//! The user on whose behalf the workers import, and what it may do (docs/protocol.md#rights).

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// What the importing user may do.
#[derive(Debug, Clone)]
pub struct User {
    /// Its capabilities by their names; the default are those of the stock role "Connector".
    pub capabilities: Vec<String>,
    /// The definitions of markings that it may not set.
    pub barred_markings: BTreeSet<String>,
    /// Whether it may set a marking that an import makes.
    pub may_set_new_markings: bool,
    /// The platform keeps new markings under ids of its own, and what it remembers of the user does not
    /// have their other ids yet.
    pub lacks_other_ids: bool,
    /// The confidence that it can give at most; none, and it can create nothing.
    pub max_confidence: Option<i64>,
}

impl Default for User {
    fn default() -> Self {
        let capabilities = [
            "KNOWLEDGE_KNUPDATE_KNDELETE",
            "CONNECTORAPI",
            "MODULES_MODMANAGE",
            "SETTINGS_SETMARKINGS",
            "SETTINGS_SETLABELS",
            "SETTINGS_SETKILLCHAINPHASES",
            "TAXIIAPI",
        ];
        Self {
            capabilities: capabilities.map(str::to_owned).into(),
            barred_markings: BTreeSet::new(),
            may_set_new_markings: true,
            lacks_other_ids: false,
            max_confidence: Some(100),
        }
    }
}

impl User {
    /// Whether it has a capability, by its name or that of a narrower one.
    pub(crate) fn may(&self, capability: &str) -> bool {
        let mut names = self.capabilities.iter();
        names.any(|name| name == "BYPASS" || name.contains(capability))
    }

    /// The answer to `me`, with these markings that it may set.
    pub(crate) fn to_json(&self, allowed: &[Value]) -> Value {
        let capabilities = self.capabilities.iter();
        let capabilities: Vec<Value> = capabilities.map(|name| json!({ "name": name })).collect();
        let confidence = self
            .max_confidence
            .map(|max_confidence| json!({ "max_confidence": max_confidence }));
        json!({
            "id": super::APPLICANT,
            "name": "[C] Import",
            "capabilities": capabilities,
            "effective_confidence_level": confidence,
            "allowed_marking": allowed,
        })
    }
}
