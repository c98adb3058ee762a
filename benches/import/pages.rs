//! A source that takes its time for each page: what the connector does meanwhile must not cost any.

use std::time::Duration;

use anyhow::Result;
use sandbox::Fault;

use crate::measured::run;
use crate::stage::{self, Stage};
use crate::table::{Table, goal, say, seconds};

/// How long the source takes for a page.
const PAGE: Duration = Duration::from_millis(200);
/// How many readers, and how much longer than their pages a run may take: several readers begin with the
/// second page of each list.
const GOALS: [(u32, f64); 3] = [(1, 1.10), (2, 1.30), (4, 1.60)];

/// How much content.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Observables of the source, and as many indicators
    #[arg(long, default_value_t = Self::default().objects)]
    objects: usize,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { objects: 20_000 }
    }
}

pub(crate) async fn measure(arguments: &Arguments) -> Result<()> {
    let (source, from) = stage::source(arguments.objects, arguments.objects)?;
    let data = source.data();
    let pages: usize = [&data.observables, &data.indicators, &data.relationships]
        .map(|list| list.len().div_ceil(1000))
        .iter()
        .sum();
    say(&format!(
        "\n## A source with {} milliseconds for each of {pages} pages\n",
        PAGE.as_millis()
    ));
    let stage = Stage::set_up().await?;
    let warm_up = "5d0f7c4e-2f4f-4c0a-9d06-6a4f3cf0c001";
    run(&mut stage.connector(warm_up, &from)).await?;
    for operation in ["Observables", "Indicators", "Relationships"] {
        source.faults().add_for(operation, Fault::Delay(PAGE));
    }
    let mut table = Table::new(&["readers", "seconds", "seconds of the pages", "ratio"]);
    let mut goals = Vec::new();
    for (readers, most) in GOALS {
        let id = format!("5d0f7c4e-2f4f-4c0a-9d06-6a4f3cf0c01{readers}");
        let mut command = stage.connector(&id, &from);
        command.env("OPENCTI_NETMANAGEIT_PARALLEL_READERS", readers.to_string());
        let measured = run(&mut command).await?;
        let least = PAGE * u32::try_from(pages)? / readers;
        let ratio = measured.wall.as_secs_f64() / least.as_secs_f64();
        table.row([
            readers.to_string(),
            seconds(measured.wall),
            seconds(least),
            format!("{ratio:.2}"),
        ]);
        goals.push(goal(
            &format!(
                "{readers} readers: {ratio:.2} times as long as their pages alone (goal: {most:.2})"
            ),
            ratio <= most,
        ));
    }
    say(&table.text());
    say("");
    say(&goals.join("\n"));
    Ok(())
}
