//! A process of its own, and what it took: time, processor, memory. What it logs goes into a file, as it
//! does where it runs for good.

use std::io::{Read, Seek, SeekFrom};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// Between two looks at the memory of a process; the system itself keeps the peak.
const LOOK: Duration = Duration::from_millis(10);

/// What a process took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// From its start to its end.
    pub(crate) wall: Duration,
    /// Processor time, its own and the system's for it.
    pub(crate) cpu: Duration,
    /// The most memory that it ever held, in bytes.
    pub(crate) peak_bytes: u64,
}

/// Runs a process to its end. Only one at a time: the processor time of the one that has ended is
/// told from that of the others by nothing else.
pub(crate) async fn run(command: &mut Command) -> Result<Measured> {
    let name = command.get_program().to_string_lossy().into_owned();
    let before = children_cpu()?;
    let began = Instant::now();
    let mut log = tempfile::tempfile()?;
    let mut child = command
        .stderr(log.try_clone()?)
        .spawn()
        .with_context(|| format!("{name} does not start"))?;
    let mut peak_bytes = 0;
    let status: ExitStatus = loop {
        peak_bytes = peak(child.id()).unwrap_or_default().max(peak_bytes);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        tokio::time::sleep(LOOK).await;
    };
    let wall = began.elapsed();
    if !status.success() {
        let mut text = String::new();
        log.seek(SeekFrom::Start(0))?;
        log.read_to_string(&mut text)?;
        let last: Vec<&str> = text.lines().rev().take(5).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        bail!("{name} failed: {status}\n{}", last.join("\n"));
    }
    Ok(Measured {
        wall,
        cpu: children_cpu()?.saturating_sub(before),
        peak_bytes,
    })
}

/// The processor time of all children that have ended.
fn children_cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.try_into()?))
}

/// The peak of the memory that a process holds, as Linux tells it.
fn peak(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
