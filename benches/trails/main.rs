//! Lists of Maltrail's size and shape, read in three passes, and compared with those of a day before: `cargo bench
//! --bench trails`. Time of one core, and memory as the system sees it; the lists are made on the way and never held.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::many_single_char_names,
    reason = "a measurement shows what it measures"
)]

mod lists;

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use opencti_connectors::connectors::maltrail::trails;
use trails::family::{Families, FileUse, ThreatTable};
use trails::hash::ValueHasher;
use trails::index::{Changes, Index};
use trails::merged::{Merged, Merger};
use trails::reader::{FileReader, Found, Occurrence, Selection, TrailOptions};
use trails::survey::{LargeBlocks, Survey};

use lists::Lists;

/// Trails in a block over which its references belong to the threat.
const MAX_REFERENCE_TRAILS: u64 = 1000;
/// Bytes that come at once.
const PIECE_BYTES: usize = 16 * 1024;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let today = Commit::new(Lists { day: 1 });
    let hasher = ValueHasher::new();
    today.measure("making the lists", Commit::make);
    let (index, large) = today.measure("pass 1", |commit| commit.survey(&hasher));
    let repeated = index.repeated();
    println!(
        "    {} values, {} on several lines, {} large blocks",
        index.len(),
        repeated.len(),
        large.len()
    );
    drop(index);
    let merged = today.measure("pass 2", |commit| commit.merge(&hasher, large, repeated));
    let views = today.measure("pass 3", |commit| commit.views(&merged, &hasher, None));
    println!("    {views} views");
    drop(merged);

    let changes = today.measure("comparing with the day before", |commit| {
        let before = Commit::new(Lists { day: 0 }).index(&hasher);
        commit.index(&hasher).changes_since(&before)
    });
    println!(
        "    {} new, {} changed, {} gone",
        changes.new_values().len(),
        changes.changed().len(),
        changes.gone().len()
    );
}

/// The lists of a commit.
struct Commit {
    lists: Lists,
    families: Families,
}

impl Commit {
    fn new(lists: Lists) -> Self {
        let paths = Lists::paths().map(|path| (path, FileUse::Full));
        Self {
            families: Families::new(paths, &ThreatTable::built_in().unwrap()),
            lists,
        }
    }

    /// Does it, and shows what it takes.
    fn measure<T>(&self, what: &str, work: impl FnOnce(&Self) -> T) -> T {
        let (wall, cpu) = (Instant::now(), cpu_time());
        let done = work(self);
        let (wall, cpu) = (wall.elapsed(), cpu_time().saturating_sub(cpu));
        println!(
            "{what}: {:.2} s, {:.2} s of a core; at most {:.0} MB so far",
            wall.as_secs_f64(),
            cpu.as_secs_f64(),
            peak_bytes() as f64 / 1e6
        );
        done
    }

    /// What making the lists takes by itself.
    fn make(&self) {
        let (mut bytes, mut lines) = (0, 0);
        for file in self.families.files() {
            self.lists
                .write(self.families.path(file), PIECE_BYTES, |piece| {
                    bytes += piece.len();
                    lines += piece.split(|byte| *byte == b'\n').count() - 1;
                });
        }
        println!(
            "    {bytes} bytes in {lines} lines of {} files",
            self.families.files().count()
        );
    }

    fn read(&self, mut each: impl FnMut(Found<'_>)) {
        let selection = Selection {
            families: &self.families,
            options: TrailOptions {
                addresses: true,
                traffic: false,
                paths: true,
                expressions: true,
                suffixes: false,
                references: true,
            },
            whitelist: None,
        };
        for file in self.families.files() {
            let mut reader = FileReader::new(file);
            self.lists
                .write(self.families.path(file), PIECE_BYTES, |piece| {
                    reader.feed(&selection, piece, &mut each);
                });
            reader.end(&selection, &mut each);
        }
    }

    fn trails(&self, mut each: impl FnMut(&Occurrence<'_>)) {
        self.read(|found| {
            if let Found::Trail(occurrence) = found {
                each(&occurrence);
            }
        });
    }

    fn survey(&self, hasher: &ValueHasher) -> (Index, LargeBlocks) {
        let mut survey = Survey::new(hasher.clone(), MAX_REFERENCE_TRAILS);
        self.read(|found| survey.take(&self.families, &found));
        let surveyed = survey.finish(&self.families).unwrap();
        (surveyed.index, surveyed.large)
    }

    fn merge(
        &self,
        hasher: &ValueHasher,
        large: LargeBlocks,
        repeated: Vec<trails::hash::ValueHash>,
    ) -> Merged {
        let mut merger = Merger::new(hasher.clone(), large, repeated);
        self.trails(|occurrence| {
            merger.collect(occurrence);
        });
        merger.finish().unwrap()
    }

    fn index(&self, hasher: &ValueHasher) -> Index {
        let (mut index, large) = self.survey(hasher);
        let merged = self.merge(hasher, large, index.repeated());
        index.refine(&merged, &self.families);
        index
    }

    fn views(&self, merged: &Merged, hasher: &ValueHasher, changes: Option<&Changes>) -> usize {
        let mut views = 0;
        self.trails(|occurrence| {
            let is_wanted =
                changes.is_none_or(|changes| changes.is_to_send(hasher.hash(&occurrence.value)));
            if is_wanted && merged.view(occurrence, &self.families).is_some() {
                views += 1;
            }
        });
        views
    }
}

fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let micros = |time: nix::sys::time::TimeVal| {
        u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap()
    };
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}

/// The most memory that this process has had resident.
fn peak_bytes() -> u64 {
    let kilobytes = getrusage(UsageWho::RUSAGE_SELF).unwrap().max_rss();
    u64::try_from(kilobytes).unwrap() * 1024
}
