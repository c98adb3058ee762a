//! What files say about the threats that they are named after.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::super::family::{Families, FileId, Threat, ThreatId};
use super::super::reference::{Block, MOST_REFERENCES, Reference};

/// The most aliases of all files; Maltrail has some 5000.
const MOST_ALIASES: usize = 200_000;

/// What the files of a commit say about their threats.
#[derive(Debug, Clone, Default)]
pub struct ThreatFacts {
    files: BTreeMap<FileId, FileFacts>,
    aliases: usize,
}

#[derive(Debug, Clone, Default)]
struct FileFacts {
    trails: u64,
    aliases: Vec<Box<str>>,
    large: Vec<Arc<Block>>,
}

/// All that the files of a commit say about a threat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreatView<'a> {
    /// Which it is.
    pub id: ThreatId,
    /// Its type and name.
    pub threat: &'a Threat,
    /// Its files with trails, by path.
    pub files: Vec<FileId>,
    /// How many lines with trails they have.
    pub trails: u64,
    /// Its other names, each once, in the files' order.
    pub aliases: Vec<&'a str>,
    /// The references of its large blocks, each address once, in the files' order; at most [`MOST_REFERENCES`].
    pub references: Vec<&'a Reference>,
    /// How many more there are.
    pub references_left_out: usize,
}

impl ThreatFacts {
    pub(super) fn add_trail(&mut self, file: FileId) {
        self.files.entry(file).or_default().trails += 1;
    }

    pub(super) fn add_aliases(&mut self, file: FileId, names: &[Cow<'_, str>]) {
        let room = MOST_ALIASES.saturating_sub(self.aliases);
        let names = names.iter().take(room);
        let aliases = &mut self.files.entry(file).or_default().aliases;
        let before = aliases.len();
        aliases.extend(names.map(|name| Box::from(name.as_ref())));
        self.aliases += aliases.len() - before;
    }

    pub(super) fn add_references(&mut self, block: Arc<Block>) {
        let file = self.files.entry(block.id.file).or_default();
        file.large.push(block);
    }

    /// The threats whose files have trails, in order.
    pub fn threats<'a>(&'a self, families: &'a Families) -> impl Iterator<Item = ThreatView<'a>> {
        let mut files: BTreeMap<ThreatId, Vec<FileId>> = BTreeMap::new();
        for (file, facts) in &self.files {
            if let Some(threat) = families.threat_of(*file)
                && facts.trails > 0
            {
                files.entry(threat).or_default().push(*file);
            }
        }
        files
            .into_iter()
            .filter_map(|(id, files)| Some(self.view(id, families.threat(id)?, files)))
    }

    fn view<'a>(&'a self, id: ThreatId, threat: &'a Threat, files: Vec<FileId>) -> ThreatView<'a> {
        let facts: Vec<&FileFacts> = files
            .iter()
            .filter_map(|file| self.files.get(file))
            .collect();
        let mut seen = HashSet::new();
        let aliases = facts.iter().flat_map(|facts| &facts.aliases);
        let aliases = aliases.map(AsRef::as_ref).filter(|name| seen.insert(*name));
        let aliases = aliases.collect();
        let blocks = || facts.iter().flat_map(|facts| &facts.large);
        let mut seen = HashSet::new();
        let mut references: Vec<&Reference> = blocks()
            .flat_map(|block| &block.references)
            .filter(|reference| seen.insert(reference.address()))
            .collect();
        let more: usize = blocks().map(|block| block.left_out as usize).sum();
        let references_left_out = more + references.len().saturating_sub(MOST_REFERENCES);
        references.truncate(MOST_REFERENCES);
        let trails = facts.iter().map(|facts| facts.trails).sum();
        ThreatView {
            id,
            threat,
            files,
            trails,
            aliases,
            references,
            references_left_out,
        }
    }
}
