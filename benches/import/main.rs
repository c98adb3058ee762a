//! The whole line against its measures, on this machine: `scripts/bench`, or one part of it with
//! `cargo bench --bench import -- comparison | growth | pages | workers | maltrail | misp-feed`.
//!
//! The platforms run in this process, the contestants are processes of their own: the connector as it
//! is delivered, a connector on the platform's own Python client that does the same import, and a bare
//! publisher with the very same messages. Whatever is printed was measured in this one run.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod comparison;
mod drain;
mod growth;
#[expect(
    clippy::unwrap_used,
    clippy::many_single_char_names,
    reason = "what a measurement makes up may fail, and has no better names"
)]
#[path = "../trails/lists.rs"]
mod lists;
mod maltrail;
mod measured;
mod misp_feed;
mod pages;
mod publisher;
mod stage;
mod stream;
mod table;
mod workers;

/// Measures the import of one platform into another.
#[derive(Debug, Parser)]
#[command(name = "import")]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// Set by `cargo bench`.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// The connector beside one on the platform's own client, and beside a bare publisher
    Comparison(comparison::Arguments),
    /// Memory and time by the size of the source
    Growth(growth::Arguments),
    /// A source that takes its time for each page
    Pages(pages::Arguments),
    /// What the platform's workers have to do for the messages
    Workers(workers::Arguments),
    /// The Maltrail connector with lists of Maltrail's size, beside one on the platform's own client
    Maltrail(maltrail::Arguments),
    /// The MISP Feed connector with events like those of a vendor, beside one on the platform's own client
    MispFeed(misp_feed::Arguments),
    /// The bare publisher itself, a process of its own
    #[command(hide = true)]
    Publish {
        address: String,
        queue: String,
        messages: PathBuf,
    },
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let measured = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(measure(Arguments::parse().part)));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            table::say(&format!("The benchmark cannot run: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn measure(part: Option<Part>) -> Result<()> {
    match part {
        None => {
            comparison::measure(&comparison::Arguments::default()).await?;
            pages::measure(&pages::Arguments::default()).await?;
            growth::measure(&growth::Arguments::default()).await
        }
        Some(Part::Comparison(arguments)) => comparison::measure(&arguments).await,
        Some(Part::Growth(arguments)) => growth::measure(&arguments).await,
        Some(Part::Pages(arguments)) => pages::measure(&arguments).await,
        Some(Part::Workers(arguments)) => workers::measure(&arguments).await,
        Some(Part::Maltrail(arguments)) => maltrail::measure(&arguments).await,
        Some(Part::MispFeed(arguments)) => misp_feed::measure(&arguments).await,
        Some(Part::Publish {
            address,
            queue,
            messages,
        }) => publisher::publish(&address, &queue, &messages).await,
    }
}
