//! What docs/metrics.md, the dashboard and the alerts say of the metrics, against what the connector serves: the same
//! names, types and labels.

#![expect(
    clippy::unwrap_used,
    reason = "clippy allows them in test functions, but not in what those share"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use config::{Config, File, FileFormat};
use opencti_connectors::telemetry::metrics::{Fate, Metrics};
use regex::Regex;
use rstest::rstest;
use serde::Deserialize;
use serde_json::Value;

const PAGE: &str = include_str!("../docs/metrics.md");
const DASHBOARD: &str =
    include_str!("../connectors/netmanageit/deploy/grafana/netmanageit-connector.json");
const ALERTS: &str = include_str!("../connectors/netmanageit/deploy/prometheus/alerts.yml");

/// Every selector of an alert has it: names like `errors_total` are those of all connectors.
const JOB: &str = "{job=\"netmanageit-connector\"}";
/// The metric that Prometheus makes of every scrape.
const OF_PROMETHEUS: &str = "up";
/// The labels that Prometheus adds, and the one that every histogram has.
const LABELS_OF_ALL: [&str; 3] = ["job", "instance", "le"];
const OPERATORS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];

type Words = BTreeSet<String>;

/// A metric, as it is served or as the page has it.
#[derive(Debug, PartialEq, Eq)]
struct Metric {
    kind: String,
    labels: Words,
}

/// All that can be asked for.
#[derive(Default)]
struct Served {
    /// By the name that people know: with `_total`, and without `_bucket` and its like.
    metrics: BTreeMap<String, Metric>,
    series: Words,
}

/// One alert, as Prometheus reads it.
#[derive(Deserialize)]
struct Alert {
    #[serde(rename = "alert")]
    name: String,
    expr: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Alert>,
}

#[derive(Deserialize)]
struct Alerts {
    groups: Vec<Group>,
}

/// What a query names.
#[derive(Debug, Default, PartialEq, Eq)]
struct Named {
    metrics: Vec<String>,
    labels: Words,
}

// ---- what is served -----------------------------------------------------------------------------

/// Each metric that has labels, counted once: until then it is not served.
fn counted_once() -> Metrics {
    let metrics = Metrics::default();
    metrics.objects.count("Url", Fate::Sent, 1);
    metrics.objects.count_not_sent("Url", "a reason");
    let reading = &metrics.reading;
    reading.count_unit("observables", Duration::ZERO, Some(1));
    reading.note_seen("observables", SystemTime::UNIX_EPOCH);
    metrics
        .platforms
        .count_request("the source", Duration::ZERO);
    metrics.platforms.count_retry("the source");
    metrics
}

static SERVED: LazyLock<Served> = LazyLock::new(|| {
    let mut served = Served::default();
    let text = counted_once().text().unwrap();
    let mut family = String::new();
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            family = add_family(&mut served, described);
        } else if !line.starts_with('#') {
            add_sample(&mut served, &family, line);
        }
    }
    served
});

fn add_family(served: &mut Served, described: &str) -> String {
    let (name, kind) = described.split_once(' ').unwrap();
    let name = match kind {
        "counter" => format!("{name}_total"),
        _ => name.to_owned(),
    };
    let metric = Metric {
        kind: kind.to_owned(),
        labels: Words::new(),
    };
    served.metrics.insert(name.clone(), metric);
    name
}

fn add_sample(served: &mut Served, family: &str, line: &str) {
    let (series, _value) = line.rsplit_once(' ').unwrap();
    let named = named(series);
    served.series.extend(named.metrics);
    let labels = named.labels.into_iter().filter(|label| label != "le");
    let metric = served.metrics.get_mut(family).unwrap();
    metric.labels.extend(labels);
}

impl Served {
    fn has(&self, metric: &str) -> bool {
        metric == OF_PROMETHEUS || self.series.contains(metric)
    }

    fn has_label(&self, label: &str) -> bool {
        let mut metrics = self.metrics.values();
        LABELS_OF_ALL.contains(&label) || metrics.any(|metric| metric.labels.contains(label))
    }

    /// What a query names, and nobody serves.
    fn unknown(&self, query: &str) -> Vec<String> {
        let Named { metrics, labels } = named(query);
        let metrics = metrics.into_iter().filter(|metric| !self.has(metric));
        let labels = labels.into_iter().filter(|label| !self.has_label(label));
        metrics.chain(labels).collect()
    }
}

// ---- what is asked for --------------------------------------------------------------------------

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

/// Grafana's own function, for the values of a variable.
static VALUES: LazyLock<Regex> = LazyLock::new(|| regex(r"^label_values\((.*), [a-z]+\)$"));
/// Texts, and times.
static LITERALS: LazyLock<Regex> =
    LazyLock::new(|| regex(r#""(?:[^"\\]|\\.)*"|\[[^\]]*\]|\b[0-9][0-9a-z.]*"#));
static OF_LABELS: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"\{([^}]*)\}|\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
});
/// With a bracket behind it, a name is that of a function.
static NAME: LazyLock<Regex> = LazyLock::new(|| regex(r"[A-Za-z_:][A-Za-z0-9_:]*(\s*\()?"));

/// The metrics and labels that a query names: what is left of it without texts, times, numbers, functions and
/// operators.
fn named(query: &str) -> Named {
    let query = VALUES.replace(query, "$1");
    let query = LITERALS.replace_all(&query, "");
    let labels = OF_LABELS.captures_iter(&query).flat_map(|found| {
        let list = found.get(1).or(found.get(2)).unwrap();
        NAME.find_iter(list.as_str())
            .map(|name| name.as_str().to_owned())
            .collect::<Vec<_>>()
    });
    let labels = labels.collect();
    let query = OF_LABELS.replace_all(&query, " ");
    let metrics = NAME
        .captures_iter(&query)
        .filter(|found| found.get(1).is_none())
        .map(|found| found[0].to_owned())
        .filter(|name| !OPERATORS.contains(&name.as_str()))
        .collect();
    Named { metrics, labels }
}

fn dashboard() -> Value {
    serde_json::from_str(DASHBOARD).unwrap()
}

/// Every value under a key, however deep.
fn all_under<'a>(key: &str, within: &'a Value) -> Vec<&'a Value> {
    match within {
        Value::Array(values) => values.iter().flat_map(|one| all_under(key, one)).collect(),
        Value::Object(members) => {
            let deeper = members.values().flat_map(|one| all_under(key, one));
            members.get(key).into_iter().chain(deeper).collect()
        }
        _ => Vec::new(),
    }
}

/// What the panels ask for, and the variables.
fn queries(dashboard: &Value) -> Vec<&str> {
    let mut found = all_under("expr", dashboard);
    found.extend(all_under("definition", dashboard));
    // Of a variable twice: Grafana takes the second.
    found.extend(all_under("query", dashboard));
    let texts = found.into_iter().filter_map(Value::as_str);
    // The variable for the data source says only its kind.
    texts.filter(|text| *text != "prometheus").collect()
}

fn alerts() -> Vec<Alert> {
    let file = File::from_str(ALERTS, FileFormat::Yaml);
    let alerts = Config::builder().add_source(file).build().unwrap();
    let alerts: Alerts = alerts.try_deserialize().unwrap();
    alerts
        .groups
        .into_iter()
        .flat_map(|group| group.rules)
        .collect()
}

/// The tables of the page.
fn rows() -> BTreeMap<String, Metric> {
    let row = regex(r"(?m)^\| `(\w+)` \| (counter|gauge|histogram) \| ([^|]*) \|");
    let label = regex(r"`(\w+)`");
    let rows = row.captures_iter(PAGE).map(|row| {
        let labels = label
            .captures_iter(&row[3])
            .map(|label| label[1].to_owned());
        let metric = Metric {
            kind: row[2].to_owned(),
            labels: labels.collect(),
        };
        (row[1].to_owned(), metric)
    });
    rows.collect()
}

// ---- the tests ----------------------------------------------------------------------------------

#[test]
fn every_metric_has_its_row_on_the_page() {
    assert_eq!(rows(), SERVED.metrics);
}

#[test]
fn the_page_names_no_metric_that_is_not_served() {
    let name = regex(r"\b(?:opencti_connector|process)_[a-z_]*[a-z]\b|\b[a-z_]+_total\b");
    let names: Vec<&str> = name.find_iter(PAGE).map(|name| name.as_str()).collect();
    assert!(names.len() > SERVED.metrics.len() / 2, "{names:?}");
    let is_known = |name: &&str| SERVED.metrics.contains_key(*name) || SERVED.has(name);
    let unknown: Vec<_> = names.into_iter().filter(|name| !is_known(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// The comparisons would miss what [`counted_once`] misses.
#[test]
fn all_is_counted_once() {
    let registered = format!("{:?}", Metrics::default());
    let registered = registered.matches("Descriptor {").count();
    assert_eq!(SERVED.metrics.len(), registered);
}

#[test]
fn the_dashboard_asks_for_what_is_served() {
    let dashboard = dashboard();
    let queries = queries(&dashboard);
    assert!(queries.len() > 20, "{queries:#?}");
    for query in queries {
        let unknown = SERVED.unknown(query);
        assert!(unknown.is_empty(), "{unknown:?} in {query}");
    }
}

#[test]
fn the_dashboard_can_be_imported_anywhere() {
    let dashboard = dashboard();
    assert_eq!(dashboard["id"], Value::Null);
    for source in all_under("datasource", &dashboard) {
        assert_eq!(source["uid"], "${datasource}");
    }
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels
        .iter()
        .filter_map(|panel| panel["id"].as_u64())
        .collect();
    assert_eq!(ids.len(), panels.len(), "an id stands twice");
}

#[test]
fn the_alerts_ask_for_what_is_served() {
    let alerts = alerts();
    assert!(alerts.len() > 5);
    for Alert { name, expr, .. } in alerts {
        let unknown = SERVED.unknown(&expr);
        assert!(unknown.is_empty(), "{unknown:?} in {name}");
        let selectors = named(&expr).metrics.len();
        assert_eq!(expr.matches(JOB).count(), selectors, "{name}: {expr}");
    }
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    for alert in alerts() {
        let severity = alert.labels.get("severity").map(String::as_str);
        let row = format!("| {} | {} | ", alert.name, severity.unwrap_or_default());
        assert!(PAGE.contains(&row), "the page has no {row}");
        assert!(
            matches!(severity, Some("critical" | "warning")),
            "{}",
            alert.name
        );
        for text in ["summary", "description"] {
            assert!(
                alert.annotations.contains_key(text),
                "{}: {text}",
                alert.name
            );
        }
    }
}

#[test]
fn legends_and_annotations_show_labels_that_are_there() {
    let shown = regex(r"\{\{ *(?:\$labels\.)?(\w+) *\}\}");
    for text in [DASHBOARD, ALERTS] {
        let labels: Vec<_> = shown
            .captures_iter(text)
            .map(|label| label[1].to_owned())
            .collect();
        assert!(!labels.is_empty());
        for label in labels {
            assert!(SERVED.has_label(&label), "{label}");
        }
    }
}

/// The comparisons themselves find what they are there for.
#[rstest]
#[case("rate(eror_total{job=\"x\"}[5m])", &["eror_total"])]
#[case("errors{job=~\"a|b\"} > 0 or errors_total", &["errors"])]
#[case("sum by (job, flow) (rate(opencti_connector_pages_total[$__rate_interval]))", &["flow"])]
#[case("opencti_connector_lag_seconds{strem=\"up\"} > 3.6e3", &["strem"])]
#[case("opencti_connector_page_seconds > bool 0", &["opencti_connector_page_seconds"])]
#[case("label_values(build_info{job=\"$job\"}, instance)", &["build_info"])]
#[case("runs_total unless runs_totals offset 1h", &["runs_totals"])]
#[case("a and on (b) c / ignoring(d) e", &["a", "c", "e", "b", "d"])]
fn what_is_not_served_is_found(#[case] query: &str, #[case] unknown: &[&str]) {
    assert_eq!(SERVED.unknown(query), unknown);
}

#[rstest]
#[case("histogram_quantile(0.95, sum by (le) (rate(opencti_connector_page_seconds_bucket[5m])))")]
#[case("absent(up{job=\"a\"}) or time() - (process_start_time_seconds > 0) > 6 * 3600")]
#[case("state{job=\"$job\", instance=~\"$instance\", state!=\"a } b\"} == 1")]
#[case("label_values(opencti_connector_build_info, job)")]
fn what_is_served_is_not(#[case] query: &str) {
    assert_eq!(SERVED.unknown(query), Vec::<String>::new());
}
