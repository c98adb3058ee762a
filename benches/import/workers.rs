//! What the platform's workers have to do for a content: imports that they report, and requests that
//! the import code of several releases of the platform's client sends for our messages, beside those for
//! the same objects cut into one message each.
//!
//! Counts, not times: they are the same on each machine.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use sandbox::{Broker, DataSet, Destination, DestinationOptions, Record, Release, Shape, Worker};
use serde_json::{Value, json};

use crate::measured::run;
use crate::stage::{self, From, Stage};
use crate::table::{Table, count, goal, say};

mod client;
mod elapsed;

use client::{Client, Count, clients};

/// Imports that workers report, for each object of the source, into a platform that has nothing.
const IMPORTS_GOAL: f64 = 1.05;
/// The same where it has the labels, authors and markings already.
const SETTLED_IMPORTS_GOAL: f64 = 1.01;
/// Requests of one worker for each object of the source, into a platform that has nothing.
const REQUESTS_GOAL: f64 = 2.9;

/// Longer than the workers take for any content here.
const LIMIT: Duration = Duration::from_mins(10);
const LOOK: Duration = Duration::from_millis(50);
/// The markings that every platform brings.
const USUAL_MARKINGS: [&str; 2] = ["TLP", "PAP"];

/// How much content, and who imports it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Observables of the source
    #[arg(long, default_value_t = 300)]
    observables: usize,
    /// Its indicators, each with about two relationships
    #[arg(long, default_value_t = 200)]
    indicators: usize,
    /// A release of the platform and its client, several times for several; without it, all of
    /// tests/oracle
    #[arg(long)]
    release: Vec<Release>,
    /// How many workers take the messages in turn, beside the count for one
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=64))]
    workers: u32,
    /// How messages go to the platform: amqp or api (6.5.7 and later)
    #[arg(long, default_value = "amqp")]
    protocol: String,
    /// Counts only the imports that simulated workers report, for a content of many objects
    #[arg(long)]
    imports_only: bool,
    /// Prints the requests by operation for each release, not for the newest alone
    #[arg(long)]
    operations: bool,
}

/// What the destination has before the first message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    LabelsAuthorsMarkings,
}

/// One line of the table.
struct Row {
    contestant: &'static str,
    release: Release,
    before: Before,
    /// Objects of the source that arrived.
    objects: u64,
    /// Labels that the connector made itself, by a request each.
    labels: u64,
    count: Count,
}

/// What a run sends to the destination.
struct Sent {
    /// The messages, in the order in which a worker takes them.
    messages: Vec<Value>,
    /// The labels that it made by requests of its own, as objects.
    labels: Vec<Value>,
}

const OURS: &str = "ours";
const CUT: &str = "cut by pycti's splitter";

pub(crate) async fn measure(arguments: &Arguments) -> Result<()> {
    let (source, from) = stage::source_of(DataSet::generate(&Shape {
        observables: arguments.observables,
        indicators: arguments.indicators,
        relationships_of_the_first: 20,
        labels: 50,
        percent_with_references: 40,
        ..Shape::default()
    }))?;
    let data = source.data();
    say(&heading(&data));
    if arguments.imports_only {
        let mut line = elapsed::Line {
            release: arguments
                .release
                .first()
                .copied()
                .unwrap_or(Release::LATEST),
            protocol: &arguments.protocol,
            from: &from,
            broker: Some(Broker::start().await.context("RabbitMQ does not start")?),
        };
        let objects = own_ids(&data).len() as u64;
        say(&line.count(objects, SETTLED_IMPORTS_GOAL).await?);
        return Ok(());
    }
    let mut counting = Counting {
        arguments,
        from,
        settled: data.labels_and_authors(),
        ids: own_ids(&data),
        broker: Some(Broker::start().await.context("RabbitMQ does not start")?),
        rows: Vec::new(),
    };
    for client in clients(&arguments.release)? {
        counting.count(&client).await?;
    }
    say(&table(&counting.rows));
    let last = counting.rows.last().map(|row| row.release);
    let releases: BTreeSet<Release> = counting.rows.iter().map(|row| row.release).collect();
    for release in releases {
        if arguments.operations || Some(release) == last {
            say(&operations(&counting.rows, release));
        }
    }
    say(&goals(&counting.rows));
    let mut line = elapsed::Line {
        release: last.unwrap_or(Release::LATEST),
        protocol: &arguments.protocol,
        from: &counting.from,
        broker: counting.broker.take(),
    };
    say(&line.compare().await?);
    Ok(())
}

fn heading(data: &DataSet) -> String {
    let [observables, indicators, relationships] =
        [&data.observables, &data.indicators, &data.relationships].map(Vec::len);
    let of = |relation: &str| {
        let is_such = |reference: &&Record| reference.text("relationship_type") == relation;
        data.references.iter().filter(is_such).count()
    };
    let external = of("external-reference");
    let is_label = |record: &&Record| record.typename() == "Label";
    format!(
        "\n## What the workers have to do\n\n{observables} observables, {indicators} indicators, \
         {relationships} relationships; {} labels, {external} times an external reference, {} other \
         references\n",
        data.shared.iter().filter(is_label).count(),
        data.references.len() - external,
    )
}

/// The ids of the objects that the source lists.
fn own_ids(data: &DataSet) -> BTreeSet<String> {
    let lists = [&data.observables, &data.indicators, &data.relationships];
    let records = lists.into_iter().flatten();
    records
        .map(|record| record.standard_id().to_owned())
        .collect()
}

// ---- the runs -----------------------------------------------------------------------------------

struct Counting<'a> {
    arguments: &'a Arguments,
    from: From,
    /// The labels and authors of the source.
    settled: Vec<Value>,
    ids: BTreeSet<String>,
    /// None while a stage has it.
    broker: Option<Broker>,
    rows: Vec<Row>,
}

impl Counting<'_> {
    /// Counts for one release: into a platform that has nothing, and into one that has what objects
    /// refer to.
    async fn count(&mut self, client: &Client) -> Result<()> {
        for before in [Before::Nothing, Before::LabelsAuthorsMarkings] {
            let sent = self.sent(client.release, before).await?;
            self.count_messages(client, before, &sent)?;
        }
        Ok(())
    }

    /// What is there before the first message, but markings.
    fn settled(&self, before: Before) -> &[Value] {
        match before {
            Before::Nothing => &[],
            Before::LabelsAuthorsMarkings => &self.settled,
        }
    }

    /// What one run sends.
    async fn sent(&mut self, release: Release, before: Before) -> Result<Sent> {
        let broker = self.broker.take().context("the broker is in use")?;
        let destination = Destination::start(DestinationOptions {
            release,
            broker: Some(broker.address().clone()),
            recording: true,
            markings: markings(before),
            ..DestinationOptions::default()
        })?;
        destination.put(&json!(self.settled(before)))?;
        let stage = Stage {
            broker,
            destination,
        };
        let sent = self.run(&stage).await;
        self.broker = Some(stage.broker);
        sent.with_context(|| format!("the import into {release}"))
    }

    async fn run(&self, stage: &Stage) -> Result<Sent> {
        let workers = Worker::start(&stage.destination, 1)?;
        let id = uuid::Uuid::new_v4().to_string();
        let mut command = stage.connector(&id, &self.from);
        command.env("CONNECTOR_QUEUE_PROTOCOL", &self.arguments.protocol);
        run(&mut command).await?;
        until_done(stage).await?;
        for work in stage.destination.works() {
            // Some releases refuse what they have set themselves (docs/protocol.md).
            for error in &work.errors {
                say(&format!("  an error of the work: {}", error.message));
            }
        }
        Ok(Sent {
            messages: workers.taken(),
            labels: stage.destination.labels_made(),
        })
    }

    fn count_messages(&mut self, client: &Client, before: Before, sent: &Sent) -> Result<()> {
        let Sent { messages, labels } = sent;
        let arrived = messages.iter().flat_map(objects_of);
        let arrived: BTreeSet<String> = arrived.map(|object| text(&object, "id")).collect();
        let objects = arrived.intersection(&self.ids).count() as u64;
        let numbers = [1, self.arguments.workers];
        for contestant in [OURS, CUT] {
            let made = if contestant == OURS {
                labels.as_slice()
            } else {
                &[]
            };
            let settled = [self.settled(before), made].concat();
            let counts = client.count(messages, &settled, &numbers, contestant == CUT)?;
            self.rows.extend(counts.into_iter().map(|count| Row {
                contestant,
                release: client.release,
                before,
                objects,
                labels: made.len() as u64,
                count,
            }));
        }
        Ok(())
    }
}

/// Waits until all works are complete.
async fn until_done(stage: &Stage) -> Result<()> {
    let done = async {
        let is_open = |work: &sandbox::Work| work.completed.is_none();
        while stage.destination.works().iter().any(is_open) {
            tokio::time::sleep(LOOK).await;
        }
    };
    let done = tokio::time::timeout(LIMIT, done).await;
    done.context("the workers do not get through")
}

fn markings(before: Before) -> Vec<Record> {
    let mut markings = DataSet::usual_markings();
    if before == Before::Nothing {
        markings.retain(|marking| USUAL_MARKINGS.contains(&marking.text("definition_type")));
    }
    markings
}

/// The objects of a message's bundle.
fn objects_of(message: &Value) -> Vec<Value> {
    use base64::Engine as _;
    let content = message.get("content").and_then(Value::as_str);
    let content = base64::engine::general_purpose::STANDARD.decode(content.unwrap_or_default());
    let bundle: Value = serde_json::from_slice(&content.unwrap_or_default()).unwrap_or_default();
    let objects = bundle.get("objects").and_then(Value::as_array);
    objects.cloned().unwrap_or_default()
}

fn text(object: &Value, name: &str) -> String {
    let text = object.get(name).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

// ---- what is printed ----------------------------------------------------------------------------

impl Before {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::LabelsAuthorsMarkings => "labels, authors, markings",
        }
    }
}

impl Row {
    fn imports_for_each(&self) -> f64 {
        ratio(self.count.imports, self.objects)
    }

    fn requests_for_each(&self) -> f64 {
        ratio(self.count.all_requests(), self.objects)
    }
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn ratio(number: u64, objects: u64) -> f64 {
    number as f64 / objects.max(1) as f64
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new(&[
        "contestant",
        "release",
        "the destination has",
        "workers",
        "objects of the source",
        "messages",
        "imports reported",
        "for each",
        "requests of the workers",
        "for each",
        "labels made by ours",
    ]);
    for row in rows {
        table.row([
            row.contestant.to_owned(),
            row.release.to_string(),
            row.before.name().to_owned(),
            row.count.workers.to_string(),
            count(row.objects),
            count(row.count.messages),
            count(row.count.imports),
            format!("{:.2}", row.imports_for_each()),
            count(row.count.all_requests()),
            format!("{:.2}", row.requests_for_each()),
            count(row.labels),
        ]);
    }
    table.text()
}

/// Requests by operation, for one worker.
fn operations(rows: &[Row], release: Release) -> String {
    let is_shown = |row: &&Row| row.release == release && row.count.workers == 1;
    let rows: Vec<&Row> = rows.iter().filter(is_shown).collect();
    let heading: Vec<String> = rows
        .iter()
        .map(|row| match row.before {
            Before::Nothing => row.contestant.to_owned(),
            Before::LabelsAuthorsMarkings => format!("{}, destination has", row.contestant),
        })
        .collect();
    let first = format!("requests of one worker, {release}");
    let heading: Vec<&str> = std::iter::once(first.as_str())
        .chain(heading.iter().map(String::as_str))
        .collect();
    let mut table = Table::new(&heading);
    let names: BTreeSet<&String> = rows
        .iter()
        .flat_map(|row| row.count.requests.keys())
        .collect();
    for name in names {
        let numbers = rows.iter().map(|row| row.count.requests.get(name));
        let numbers = numbers.map(|number| number.map_or_else(|| "-".to_owned(), |n| count(*n)));
        table.row(std::iter::once(name.clone()).chain(numbers));
    }
    format!("\n{}", table.text())
}

/// Ours, on the release where each is worst.
fn goals(rows: &[Row]) -> String {
    let worst = |before: Before, of: fn(&Row) -> f64| {
        let ours = rows.iter().filter(|row| row.contestant == OURS);
        let ours = ours.filter(|row| row.before == before && row.count.workers == 1);
        ours.max_by(|one, other| of(one).total_cmp(&of(other)))
    };
    let line = |what: &str, before: Before, of: fn(&Row) -> f64, most: f64| {
        worst(before, of).map(|row| {
            let found = of(row);
            let text = format!("{what}: {found:.3} on {} (goal: {most})", row.release);
            goal(&text, found <= most)
        })
    };
    let settled = Before::LabelsAuthorsMarkings;
    let lines = [
        line(
            "imports for each object, into a platform that has nothing",
            Before::Nothing,
            Row::imports_for_each,
            IMPORTS_GOAL,
        ),
        line(
            "imports for each object, where labels, authors and markings are there",
            settled,
            Row::imports_for_each,
            SETTLED_IMPORTS_GOAL,
        ),
        line(
            "requests for each object, into a platform that has nothing",
            Before::Nothing,
            Row::requests_for_each,
            REQUESTS_GOAL,
        ),
    ];
    let lines: Vec<String> = lines.into_iter().flatten().collect();
    format!("\n{}", lines.join("\n"))
}
