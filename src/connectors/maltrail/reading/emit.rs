//! What is handed out: units of some hundred values, each with where it ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::super::cursor::{Cursor, Imported, Step, UnderWay, UpTo};
use super::super::git_host::RepositoryPath;
use super::super::listing::Lists;
use super::super::mapping::Written;
use super::super::trails::reader::Place;
use super::ReadingError;
use crate::connector::{Deferred, Skipped};
use crate::stix::{Handling, StixId, StixObject};

/// Values of one unit.
const UNIT_VALUES: usize = 300;
/// Lines of one unit that are not sent.
const UNIT_SKIPPED: usize = 1000;

/// What goes to the platform at once.
#[derive(Debug, Default)]
pub struct TrailUnit {
    /// From 1; 0 for what is sent again.
    pub(in super::super) number: u64,
    /// How many values it has.
    pub(in super::super) values: usize,
    pub(in super::super) objects: Vec<Arc<StixObject>>,
    /// Threats that these refer to.
    pub(in super::super) threats: BTreeMap<StixId, Arc<StixObject>>,
    pub(in super::super) skipped: Vec<Skipped>,
    /// What was to be sent again, and still is.
    pub(in super::super) deferred: Vec<Deferred>,
    /// How many values the run sends.
    pub(in super::super) total: Option<u64>,
    /// Where it ends; none for what is sent again.
    pub(in super::super) cursor: Option<Cursor>,
    /// Up to when changes of the lists lie before its end.
    pub(in super::super) as_of: Option<DateTime<Utc>>,
}

impl TrailUnit {
    /// One that sends nothing, and only notes that a commit is imported.
    pub(in super::super) fn noting(imported: Imported) -> Self {
        Self {
            number: 1,
            as_of: Some(imported.date.moment()),
            cursor: Some(Cursor {
                imported: Some(imported),
                under_way: None,
            }),
            ..Self::default()
        }
    }
}

/// Where units end.
#[derive(Debug, Clone)]
pub(super) struct Ends {
    /// As the state stands until everything is sent.
    pub(super) before: Cursor,
    /// Of what is under way: everything but the line.
    pub(super) under_way: UnderWay,
    /// As the state stands once everything is sent.
    pub(super) done: Cursor,
    /// The date of the commit that is imported by then.
    pub(super) as_of: Option<DateTime<Utc>>,
}

/// Collects values into units, and hands them out.
pub(super) struct Emitter<E> {
    ends: Ends,
    emit: E,
    unit: TrailUnit,
    number: u64,
    total: u64,
    /// How many values were added.
    added: u64,
    /// The line of the last value.
    last: Option<Place>,
    has_ended: bool,
}

impl<E: FnMut(TrailUnit) -> bool> Emitter<E> {
    pub(super) fn new(ends: Ends, emit: E) -> Self {
        Self {
            ends,
            emit,
            unit: TrailUnit::default(),
            number: 0,
            total: 0,
            added: 0,
            last: None,
            has_ended: false,
        }
    }

    /// How many values come in all.
    pub(super) fn expect(&mut self, values: u64) {
        self.total = values;
    }

    /// Whether nobody takes units any more.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Adds threats: they go ahead of all values.
    pub(super) fn add_threats(&mut self, threats: impl IntoIterator<Item = Arc<StixObject>>) {
        self.unit.objects.extend(threats);
    }

    /// Adds what a value became. A unit ends between two lines: two values of one line stay together.
    pub(super) fn add(&mut self, (step, lists): (Step, &Lists), place: Place, written: Written) {
        if self.unit.values >= UNIT_VALUES && self.last != Some(place) {
            self.end_step(step, lists);
        }
        self.last = Some(place);
        self.add_again(written);
    }

    /// Hands out what there is up to the last value.
    pub(super) fn end_step(&mut self, step: Step, lists: &Lists) {
        // What has no path in the tree has no place: it goes with what follows.
        let place = self.last.take();
        let path = place.map(|place| RepositoryPath::parse(lists.families.path(place.file)));
        let (Some(place), Some(Ok(path))) = (place, path) else {
            return;
        };
        let up_to = UpTo {
            step,
            path,
            line: place.line,
        };
        let under_way = UnderWay {
            up_to: Some(up_to),
            ..self.ends.under_way.clone()
        };
        self.hand_out_with(Cursor {
            under_way: Some(under_way),
            ..self.ends.before.clone()
        });
    }

    /// Adds a line that is not sent. A list may have millions of them: they go with units, too.
    pub(super) fn add_skipped_line(
        &mut self,
        (step, lists): (Step, &Lists),
        place: Place,
        skipped: Skipped,
    ) {
        if self.unit.skipped.len() >= UNIT_SKIPPED && self.last != Some(place) {
            self.end_step(step, lists);
        }
        self.last = Some(place);
        self.add_skipped(skipped);
    }

    /// Adds what is not sent.
    pub(super) fn add_skipped(&mut self, skipped: Skipped) {
        self.unit.skipped.push(skipped);
    }

    /// Adds what a value became, whatever its place. A message holds so many values, however many objects each has.
    pub(super) fn add_again(&mut self, written: Written) {
        self.added += 1;
        let of_this_value = |object: StixObject| {
            let handling = Handling {
                row: Some(self.added),
                ..object.handling
            };
            Arc::new(object.handled(handling))
        };
        let unit = &mut self.unit;
        unit.values += 1;
        unit.skipped.extend(written.skipped);
        unit.objects
            .extend(written.objects.into_iter().map(of_this_value));
        for threat in written.threats {
            unit.threats.insert(threat.id.clone(), threat);
        }
    }

    /// Adds what is to be sent again, and may stand in a list that cannot be read now.
    pub(super) fn defer_again(&mut self, deferred: impl IntoIterator<Item = Deferred>) {
        self.unit.deferred.extend(deferred);
    }

    /// Hands out what is sent again, if it is enough for a unit, or all of it.
    pub(super) fn hand_out_again(&mut self, is_all: bool) {
        let has_some = self.unit.values > 0 || !self.unit.deferred.is_empty();
        if self.unit.values >= UNIT_VALUES || (is_all && has_some) {
            let unit = std::mem::take(&mut self.unit);
            self.hand_out(unit);
        }
    }

    /// The last unit: with it everything is sent.
    ///
    /// # Errors
    /// [`ReadingError::Ended`] where nobody has taken all of it.
    pub(super) fn end(mut self) -> Result<(), ReadingError> {
        let cursor = self.ends.done.clone();
        self.hand_out_with(cursor);
        if self.has_ended {
            return Err(ReadingError::Ended);
        }
        Ok(())
    }

    fn hand_out_with(&mut self, cursor: Cursor) {
        self.number += 1;
        let unit = TrailUnit {
            number: self.number,
            total: Some(self.total),
            as_of: self.ends.as_of.filter(|_| cursor.under_way.is_none()),
            cursor: Some(cursor),
            ..std::mem::take(&mut self.unit)
        };
        self.hand_out(unit);
    }

    fn hand_out(&mut self, unit: TrailUnit) {
        if !self.has_ended {
            self.has_ended = !(self.emit)(unit);
        }
    }
}
