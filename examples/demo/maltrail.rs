//! The Maltrail connector at work: some lists of the real repository, in two commits a week apart, from a simulated git
//! host into a simulated platform.
//!
//! Three runs: the first import, the week's changes, and one that finds nothing new.

use std::process::ExitCode;

use anyhow::Result;
use chrono::{TimeDelta, Utc};
use opencti_connectors::connectors::maltrail::Maltrail;
use opencti_connectors::runtime::End;
use sandbox::{GitHost, GitHostOptions};

use crate::acts::{self, Stage};
use crate::notes::Notes;
use crate::print_line;

#[path = "maltrail/lists.rs"]
mod lists;
#[path = "maltrail/report.rs"]
mod report;

/// Plays all acts; the exit code says whether they went well.
pub(crate) async fn demo(arguments: &acts::Arguments) -> Result<ExitCode> {
    acts::demo(arguments, "a git host", play).await
}

async fn play(stage: &Stage, notes: &Notes) -> Result<bool> {
    let host = GitHost::start(GitHostOptions::default())?;
    let what = "stamparm/maltrail, simulated, with some of its real lists";
    print_line(&stage.introduction("git host", what));
    let (before, mut after) = (lists::before()?, lists::after()?);
    lists::take_out(&mut after);
    let now = Utc::now();
    let mut acts = Vec::new();
    for (title, commit) in [
        (
            format!("1. The first import: {}", report::lists_of(&before)),
            Some((now - TimeDelta::days(8), before.clone())),
        ),
        (
            format!("2. A week later: {}", report::changes(&before, &after)),
            Some((now - TimeDelta::days(1), after)),
        ),
        ("3. Nothing new".to_owned(), None),
    ] {
        if let Some((date, files)) = commit {
            host.commit_at(date, files);
        }
        host.forget_requests();
        let settings = stage.settings(&[
            ("MALTRAIL_API_BASE_URL", host.api_url()),
            ("MALTRAIL_RAW_BASE_URL", host.raw_url()),
        ])?;
        let requests = || host.requests().len();
        let act = stage.perform::<Maltrail>(title, settings, &requests);
        let act = act.await?;
        let requests = report::requests(&host.requests());
        print_line(&acts::report::of_act(stage, &act, &requests));
        let went_well = act.end == End::RanOnce;
        acts.push(act);
        if !went_well {
            break;
        }
    }
    let (text, is_good) = report::verdict(stage, &acts, notes);
    print_line(&text);
    Ok(is_good)
}
