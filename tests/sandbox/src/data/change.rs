//! How a source changes while it is read: rows touched, added, and appearing late.
//!
//! Changes are made through [`crate::Source::edit`]. **Invariant**: what is added has the ids that
//! the platform would give it, and an `updated_at` later than everything, unless a test says else.

use std::time::Duration;

use serde_json::json;

use super::content;
use super::random::Random;
use super::{DataSet, NO_START, NO_STOP, Record};
use crate::types::ObservableType;
use crate::{ids, time};

/// Between the newest row and the next one that changes.
const STEP: i64 = 1000;

impl DataSet {
    /// The latest `updated_at` of observables, indicators and relationships.
    pub fn newest(&self) -> String {
        time::iso(self.newest_milliseconds())
    }

    /// Gives a record an `updated_at` later than everything, as any change of it does; answers it.
    /// None for an id, internal or standard, that no record has.
    pub fn touch(&mut self, id: &str) -> Option<String> {
        let now = time::iso(self.newest_milliseconds() + STEP);
        self.record_mut(id)?.set("updated_at", now.clone());
        Some(now)
    }

    /// Gives a record an `updated_at` so much earlier than the newest one, as a row has that another
    /// server wrote earlier and that becomes visible only now; answers it.
    pub fn backdate(&mut self, id: &str, by: Duration) -> Option<String> {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let then = time::iso(self.newest_milliseconds().saturating_sub(by));
        self.record_mut(id)?.set("updated_at", then.clone());
        Some(then)
    }

    /// Gives all observables, indicators and relationships the same `updated_at`, as after an import
    /// or a migration.
    pub fn set_all_updated(&mut self, updated_at: &str) {
        let lists = [
            &mut self.observables,
            &mut self.indicators,
            &mut self.relationships,
        ];
        for record in lists.into_iter().flatten() {
            record.set("updated_at", updated_at);
        }
    }

    /// Adds an observable like the first one of this GraphQL type, with a value that no other has;
    /// answers its standard id. None where there is no observable of the type.
    pub fn add_observable(&mut self, typename: &str) -> Option<String> {
        let kind = ObservableType::by_typename(typename)?;
        let model = self.observable_mut(typename)?.clone();
        let mut number = u32::try_from(self.observables.len()).unwrap_or(u32::MAX);
        loop {
            let mut record = model.clone();
            let mut random = self.renew(&mut record);
            content::fill(&mut record, number, &mut random);
            let id = ids::observable_id(kind, &record);
            if self.record_mut(&id).is_none() {
                record.set("standard_id", id.clone());
                self.observables.push(record);
                return Some(id);
            }
            number += 1;
        }
    }

    /// Adds an indicator like the first one, with a pattern that no other has; answers its standard
    /// id. None where there is no indicator.
    pub fn add_indicator(&mut self) -> Option<String> {
        let mut record = self.indicators.first()?.clone();
        let mut random = self.renew(&mut record);
        let name = random.hex(16);
        let pattern = format!("[domain-name:value = '{name}.example']");
        let id = ids::indicator_id(&pattern);
        record
            .set("standard_id", id.clone())
            .set("name", format!("Indicator {name}"))
            .set("pattern", pattern)
            .set("pattern_type", "stix")
            .set("x_opencti_main_observable_type", "Domain-Name")
            .set("x_opencti_stix_ids", json!([]));
        self.indicators.push(record);
        Some(id)
    }

    /// Adds a based-on relationship between an indicator and an observable, given by their internal
    /// or standard ids; answers its standard id. Neither end's `updated_at` moves. None where one of
    /// the ends is missing, or there is such a relationship between them.
    pub fn add_relationship(&mut self, indicator: &str, observable: &str) -> Option<String> {
        let ends = |record: &mut Record| (record.id().to_owned(), record.standard_id().to_owned());
        let (from, source) = self.record_mut(indicator).map(ends)?;
        let (to, target) = self.record_mut(observable).map(ends)?;
        let mut record = Record::new("StixCoreRelationship");
        self.renew(&mut record);
        let id = ids::relationship_id("based-on", &source, &target);
        if self.record_mut(&id).is_some() {
            return None;
        }
        let created = record.text("created_at").to_owned();
        record
            .set("standard_id", id.clone())
            .set("entity_type", "based-on")
            .set("relationship_type", "based-on")
            .set("from", from)
            .set("to", to)
            .set("start_time", NO_START)
            .set("stop_time", NO_STOP)
            .set("revoked", false)
            .set("confidence", 75)
            .set("created", created.clone())
            .set("modified", created)
            .set("objectMarking", json!([]))
            .set("objectLabel", json!([]));
        self.relationships.push(record);
        Some(id)
    }

    fn newest_milliseconds(&self) -> i64 {
        let lists = [&self.observables, &self.indicators, &self.relationships];
        let times = lists
            .into_iter()
            .flatten()
            .filter_map(|record| time::milliseconds(record.text("updated_at")));
        times.max().unwrap_or(content::EPOCH)
    }

    /// Makes a record one that was created just now; gives the randomness for the rest of it.
    fn renew(&self, record: &mut Record) -> Random {
        let now = self.newest_milliseconds() + STEP;
        let mut random = Random::new(now.unsigned_abs());
        // A record may have been made of this moment and then backdated.
        let mut id = random.uuid();
        while self.all().any(|known| known.id() == id) {
            id = random.uuid();
        }
        record
            .set("id", id)
            .set("created_at", time::iso(now))
            .set("updated_at", time::iso(now));
        random
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::Shape;
    use crate::types::OBSERVABLE_TYPES;

    fn ids_of(data: &DataSet) -> Vec<String> {
        let ids = data
            .all()
            .flat_map(|record| [record.id().to_owned(), record.standard_id().to_owned()]);
        ids.collect()
    }

    #[test]
    fn what_is_added_has_ids_of_its_own_and_comes_last() {
        let mut data = DataSet::generate(&Shape {
            seed: 5,
            observables: 60,
            indicators: 10,
            ..Shape::default()
        });
        let mut newest = data.newest();
        for kind in OBSERVABLE_TYPES.iter().chain(&OBSERVABLE_TYPES) {
            let id = data.add_observable(kind.typename).unwrap();
            let record = data.observables.last().unwrap();
            assert_eq!(record.standard_id(), id);
            assert!(id.starts_with(&kind.stix_type()), "{id}");
            assert!(record.text("updated_at") > newest.as_str());
            newest = data.newest();
        }
        let indicator = data.add_indicator().unwrap();
        let observable = data.observables[0].standard_id().to_owned();
        let relationship = data.add_relationship(&indicator, &observable).unwrap();
        assert_eq!(
            data.relationships.last().unwrap().text("updated_at"),
            data.newest()
        );
        assert_eq!(
            relationship,
            ids::relationship_id("based-on", &indicator, &observable)
        );
        assert_ne!(data.add_indicator().unwrap(), indicator);
        let ids = ids_of(&data);
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        assert_eq!(data.add_relationship(&indicator, "nobody"), None);
        assert_eq!(data.add_relationship(&indicator, &observable), None);
        assert_eq!(data.add_observable("Hologram"), None);
    }

    #[test]
    fn rows_move_to_the_end_or_appear_before_it() {
        let mut data = DataSet::generate(&Shape::default());
        let id = data.indicators[4].standard_id().to_owned();
        let before = data.newest();
        let touched = data.touch(&id).unwrap();
        assert!(touched > before);
        assert_eq!(data.newest(), touched);
        let late = data.add_observable("Url").unwrap();
        let hour = Duration::from_hours(1);
        let then = data.backdate(&late, hour).unwrap();
        assert!(then < touched);
        assert_eq!(data.record_mut(&late).unwrap().text("updated_at"), then);
        let another = data.add_observable("Url").unwrap();
        let id = |data: &mut DataSet, id: &str| data.record_mut(id).unwrap().id().to_owned();
        assert_ne!(id(&mut data, &late), id(&mut data, &another));
        data.set_all_updated("2026-05-01T00:00:00.000Z");
        assert_eq!(data.newest(), "2026-05-01T00:00:00.000Z");
        assert_eq!(data.touch("nobody"), None);
    }
}
