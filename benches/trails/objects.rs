//! The views of a commit as objects.

use opencti_connectors::connectors::maltrail::mapping::{ListPages, Mapper, Occasion, Written};
use opencti_connectors::connectors::maltrail::settings::MaltrailSettings;
use opencti_connectors::connectors::maltrail::trails::family::Families;
use opencti_connectors::connectors::maltrail::trails::merged::View;
use opencti_connectors::connectors::maltrail::trails::survey::ThreatFacts;
use opencti_connectors::settings::{Settings, read};
use opencti_connectors::stix::Timestamp;

const ID: &str = "7f9c2d34-5b1e-4a6f-8c0d-2e3f4a5b6c7d";

/// What is written of a commit where nothing is set.
pub(crate) struct Objects {
    mapper: Mapper,
    moment: Timestamp,
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

impl Objects {
    pub(crate) fn new(families: &Families, facts: &ThreatFacts) -> Self {
        let required = [
            ("OPENCTI_URL", "http://opencti:8080"),
            ("OPENCTI_TOKEN", ID),
            ("CONNECTOR_ID", ID),
        ];
        let settings: Settings<MaltrailSettings> =
            read("/nonexistent/config.yml".as_ref(), required).unwrap();
        let MaltrailSettings {
            host,
            repository,
            branch,
            path,
            mapping,
            ..
        } = settings.section;
        let pages = ListPages::new(&host.api_base_url, &repository, &branch, &path);
        let threats = facts.threats(families);
        Self {
            mapper: Mapper::new(&mapping, &pages, families, threats).unwrap(),
            moment: Timestamp::read("2026-08-22T21:01:36Z").unwrap(),
            count: 0,
            bytes: 0,
        }
    }

    pub(crate) fn write(&mut self, view: &View<'_>) {
        let Written { objects, .. } = self.mapper.write(view, Occasion::Listed, self.moment);
        self.count += objects.len();
        self.bytes += objects
            .iter()
            .map(|object| object.json.len())
            .sum::<usize>();
    }
}
