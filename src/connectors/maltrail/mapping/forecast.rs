//! How much an import brings, before it begins.

use std::fmt;

use super::super::settings::MappingSettings;
use super::super::trails::family::Families;
use super::super::trails::merged::{Repeated, View};
use super::super::trails::reader::Occurrence;
use super::super::trails::value::TrailForm;
use crate::connector::WorkerPace;

/// What there is to import, whatever is made of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ValueCounts {
    /// Different values of which something can be made.
    pub values: u64,
    /// Those of them that can be observables: no paths, no expressions, no suffixes, no network traffic.
    pub observables: u64,
    /// Those that become indicators.
    pub indicators: u64,
    /// Indicators of values that have an observable, or an address that has one.
    pub based_on: u64,
    /// Indicators counted once for each threat of their lists.
    pub indicates: u64,
    /// Threats of the lists that are taken in full.
    pub threats: u64,
}

/// How much an import brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// The different values that are read, and what of them is sent.
    pub sent: ValueCounts,
    /// Messages to the workers.
    pub messages: u64,
}

impl ValueCounts {
    /// Counts a value.
    pub fn count(&mut self, view: &View<'_>) {
        self.count_one(view.value.form(), view.is_indicator, view.threats.len());
    }

    /// Counts the value of a line that no other line has.
    pub fn count_single(&mut self, families: &Families, occurrence: &Occurrence<'_>) {
        let threat = families.threat_of(occurrence.place.file);
        let threats = threat.into_iter().count();
        self.count_one(occurrence.value.form(), occurrence.is_indicator, threats);
    }

    /// Counts a value that several lines have.
    pub fn count_repeated(&mut self, repeated: Repeated) {
        self.count_one(repeated.form, repeated.is_indicator, repeated.threats);
    }

    fn count_one(&mut self, form: TrailForm, is_indicator: bool, threats: usize) {
        let has_observable = has_observable(form);
        self.values += u64::from(has_observable || is_indicator);
        self.observables += u64::from(has_observable);
        if is_indicator {
            self.indicators += 1;
            self.based_on += u64::from(has_observable || form == TrailForm::Traffic);
            self.indicates += u64::try_from(threats).unwrap_or(u64::MAX);
        }
    }
}

/// Whether a value of this form has an observable of its own.
fn has_observable(form: TrailForm) -> bool {
    match form {
        TrailForm::Domain
        | TrailForm::Ipv4
        | TrailForm::Ipv6
        | TrailForm::Url
        | TrailForm::Range => true,
        TrailForm::Traffic | TrailForm::Path | TrailForm::Expression | TrailForm::Suffix => false,
    }
}

impl Forecast {
    /// What these settings make of these values, with so many of them in a message.
    pub fn new(counts: &ValueCounts, settings: &MappingSettings, batch_size: usize) -> Self {
        let when = |is_made: bool, count: u64| if is_made { count } else { 0 };
        let (has_observables, has_indicators) =
            (settings.create_observables, settings.create_indicators);
        let batch_size = u64::try_from(batch_size).unwrap_or(u64::MAX).max(1);
        let values = match (has_observables, has_indicators) {
            (true, true) => counts.values,
            // A value that nothing is made of takes no room in a message.
            (true, false) => counts.observables,
            (false, true) => counts.indicators,
            (false, false) => 0,
        };
        let sent = ValueCounts {
            values: counts.values,
            observables: when(has_observables, counts.observables),
            indicators: when(has_indicators, counts.indicators),
            based_on: when(has_observables && has_indicators, counts.based_on),
            indicates: when(has_indicators && settings.threats, counts.indicates),
            threats: when(settings.threats, counts.threats),
        };
        Self {
            sent,
            messages: values.div_ceil(batch_size),
        }
    }

    /// All objects but the author and the marking.
    pub fn objects(&self) -> u64 {
        let sent = &self.sent;
        sent.observables + sent.indicators + sent.based_on + sent.indicates + sent.threats
    }

    /// One line for people: what is coming, and how long the workers need for it at a pace that is known, or else by what
    /// is usual.
    pub fn announcement(&self, pace: Option<WorkerPace>) -> String {
        match self.objects() {
            0 => self.to_string(),
            objects => format!("{self}; {}", WorkerPace::forecast(pace, objects)),
        }
    }
}

impl fmt::Display for Forecast {
    /// What is coming, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, messages } = self;
        let ValueCounts {
            values,
            observables,
            indicators,
            based_on,
            indicates,
            threats,
        } = sent;
        let objects = self.objects();
        write!(
            f,
            "{values} values in the lists become {objects} objects in some {messages} messages: {observables} observables, {indicators} indicators, {based_on} based-on, {indicates} indicates, {threats} threats"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{mapping, view};
    use super::*;

    /// The snapshot of 2026-08-23 as a whole.
    const COUNTS: ValueCounts = ValueCounts {
        values: 1_480_000,
        observables: 1_390_178,
        indicators: 1_470_626,
        based_on: 1_378_105,
        indicates: 1_139_306,
        threats: 2_869,
    };

    #[test]
    fn the_whole_is_announced_in_one_line() {
        let forecast = Forecast::new(&COUNTS, &mapping(), 100);
        assert_eq!(
            forecast.to_string(),
            "1480000 values in the lists become 5381084 objects in some 14800 messages: 1390178 observables, 1470626 indicators, 1378105 based-on, 1139306 indicates, 2869 threats"
        );
        let pace = WorkerPace::an_hour(72_000);
        let long =
            "; at the 20 objects a second that the workers showed last, they need about 4 days";
        assert_eq!(forecast.announcement(pace), format!("{forecast}{long}"));
        let unknown = forecast.announcement(None);
        assert!(
            unknown.contains("is not known yet: at 10 to 50 objects a second"),
            "{unknown}"
        );
        let nothing = Forecast::new(&ValueCounts::default(), &mapping(), 100);
        assert_eq!(nothing.announcement(pace), nothing.to_string());
    }

    #[test]
    fn less_is_wanted_and_less_is_announced() {
        let mut settings = mapping();
        settings.create_observables = false;
        let forecast = Forecast::new(&COUNTS, &settings, 100);
        assert_eq!((forecast.sent.observables, forecast.sent.based_on), (0, 0));
        assert_eq!(forecast.messages, 14_707);
        settings.threats = false;
        let forecast = Forecast::new(&COUNTS, &settings, 1);
        assert_eq!(forecast.objects(), 1_470_626);
        let mut settings = mapping();
        settings.create_indicators = false;
        let forecast = Forecast::new(&COUNTS, &settings, 1000);
        assert_eq!(forecast.objects(), 1_390_178 + 2_869);
        assert_eq!(forecast.messages, 1391);
    }

    /// Nothing is announced that is not written, and nothing written that is not announced.
    #[rstest::rstest]
    #[case(true, true)]
    #[case(true, false)]
    #[case(false, true)]
    fn it_counts_what_is_written(#[case] observables: bool, #[case] indicators: bool) {
        let mut settings = mapping();
        settings.create_observables = observables;
        settings.create_indicators = indicators;
        let mapper = super::super::tests::mapper(&settings);
        for value in super::super::tests::values() {
            for is_indicator in [true, false] {
                let view = view(&value, is_indicator);
                let mut counts = ValueCounts::default();
                counts.count(&view);
                let forecast = Forecast::new(&counts, &settings, 1);
                let written = super::super::tests::write(&mapper, &view);
                assert_eq!(
                    forecast.objects(),
                    written.objects.len() as u64,
                    "{value:?}"
                );
                let is_sent = !written.objects.is_empty();
                assert_eq!(
                    forecast.messages,
                    u64::from(is_sent),
                    "{value:?} {is_indicator}"
                );
            }
        }
    }
}
