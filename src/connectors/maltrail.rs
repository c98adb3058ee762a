//! Maltrail: imports the IPv4 addresses of a text file, until it does something else.

pub mod git_host;

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::connector::{
    Checks, Connector, Context, Converted, Converter, Importer, Position, Resume, Skipped, Source,
    SourceError,
};
use crate::settings::{Fallback, Kind, Reader, Section, Setting, Settings};
use crate::stix::make_id::{self, ValueType};
use crate::stix::typed::{Common, Content, MarkingDefinition, Observable, TypedObject};
use crate::stix::{StixId, StixObject};
use serde_json::{Value, json};

/// The one stream of this source.
const STREAM: &str = "addresses";
/// Lines in one page.
const PAGE_LINES: usize = 1000;
/// How many addresses go into one message.
const BATCH_SIZE: usize = 100;

/// The connector's own settings, checked.
#[derive(Debug, Clone)]
pub struct MaltrailSettings {
    file: PathBuf,
}

const PATH: Setting = Setting::new(
    "maltrail.path",
    "MALTRAIL_PATH",
    Kind::Text { min_chars: 1 },
    Fallback::Required,
    "path of a text file with one IPv4 address a line",
);

impl Section for MaltrailSettings {
    const SLUG: &'static str = "maltrail";
    const NAME: &'static str = "Maltrail";
    const SCOPE: &'static str = "maltrail";
    const SETTINGS: &'static [Setting] = &[PATH];
    const SECTIONS: &'static [&'static str] = &["maltrail"];
    const ENV_PREFIX: &'static str = "MALTRAIL_";

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let file = reader.text(&PATH);
        Some(Self { file: file?.into() })
    }
}

/// Imports the addresses of a file.
pub struct Maltrail {
    file: PathBuf,
}

impl Connector for Maltrail {
    type Section = MaltrailSettings;
    const PROGRAM: &'static str = "maltrail-connector";
    const ABOUT: &'static str = "Imports the IPv4 addresses of a text file";

    fn new(settings: &Settings<MaltrailSettings>, _: &Context) -> Result<Self, SourceError> {
        let file = settings.section.file.clone();
        Ok(Self { file })
    }

    async fn check(&self, checks: &mut Checks<'_>) {
        match MaltrailSource::open(&self.file).and_then(MaltrailSource::count) {
            Ok(lines) => checks.count_rows(STREAM, Some(lines)),
            Err(error) => checks.fail_with("source", &error),
        }
    }
}

impl Importer for Maltrail {
    type Source = MaltrailSource;

    fn subject(&self) -> String {
        "IPv4 addresses".to_owned()
    }

    fn batch_size(&self) -> usize {
        BATCH_SIZE
    }

    fn streams(&self) -> Vec<&'static str> {
        vec![STREAM]
    }

    fn cooldown(&self) -> Duration {
        Duration::ZERO
    }

    fn source(&self) -> String {
        self.file.display().to_string()
    }

    async fn open(&self, resume: Resume) -> Result<MaltrailSource, SourceError> {
        let behind = match resume.cursors.get(STREAM) {
            Some(cursor) => cursor.get("lines").and_then(Value::as_u64),
            None => Some(0),
        };
        let again = resume.again.into_iter().map(|deferred| deferred.id);
        let mut source = MaltrailSource::open(&self.file)?;
        if let Some(behind) = behind
            && source.skip(behind, &again.collect())?
        {
            return Ok(source);
        }
        tracing::warn!("the file has not what was read of it: it is read from its beginning");
        MaltrailSource::open(&self.file)
    }
}

/// A line of the file.
struct Line {
    /// From 1.
    number: u64,
    text: String,
}

/// Lines of the file.
pub struct Page {
    number: u64,
    lines: Vec<Line>,
    position: Option<Position>,
}

/// Reads the file once, from its beginning to its end.
pub struct MaltrailSource {
    path: PathBuf,
    file: BufReader<File>,
    /// Lines read so far.
    read: u64,
    pages: u64,
    /// Lines of earlier runs whose addresses were deferred and may be sent now.
    again: Vec<Line>,
    common: Common,
}

impl MaltrailSource {
    fn open(path: &Path) -> Result<Self, SourceError> {
        let file = File::open(path).map_err(|error| unreadable(path, error))?;
        let green = MarkingDefinition::of("TLP", "TLP:GREEN", None);
        let green = green
            .write(&Common::default())
            .map_err(|error| SourceError::because("the marking cannot be written", error))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufReader::new(file),
            read: 0,
            pages: 0,
            again: Vec::new(),
            common: Common {
                markings: vec![Arc::new(green)],
                ..Common::default()
            },
        })
    }

    /// How many lines there are.
    fn count(mut self) -> Result<u64, SourceError> {
        while self.next_line()?.is_some() {}
        Ok(self.read)
    }

    /// Goes on behind so many lines, and keeps those of them that are wanted once more; false where the file
    /// has not so many.
    fn skip(&mut self, lines: u64, again: &HashSet<String>) -> Result<bool, SourceError> {
        while self.read < lines {
            let Some(line) = self.next_line()? else {
                return Ok(false);
            };
            let address = line.text.parse().ok();
            if address.is_some_and(|address| again.contains(id_of(address).as_str())) {
                self.again.push(line);
            }
        }
        Ok(true)
    }

    /// The next line; none at the end. A line that somebody is still writing has no end yet.
    fn next_line(&mut self) -> Result<Option<Line>, SourceError> {
        let mut text = String::new();
        self.file
            .read_line(&mut text)
            .map_err(|error| unreadable(&self.path, error))?;
        if !text.ends_with('\n') {
            return Ok(None);
        }
        self.read += 1;
        Ok(Some(Line {
            number: self.read,
            text: text.trim().to_owned(),
        }))
    }

    fn page(&mut self, lines: Vec<Line>, position: Option<Position>) -> Page {
        self.pages += 1;
        Page {
            number: self.pages,
            lines,
            position,
        }
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> SourceError {
    let what = format!(
        "cannot read {} (maltrail.path, MALTRAIL_PATH)",
        path.display()
    );
    SourceError::because(what, error)
}

impl Source for MaltrailSource {
    type Unit = Page;
    type Converter = MaltrailConverter;

    fn converter(&self) -> MaltrailConverter {
        MaltrailConverter {
            common: self.common.clone(),
        }
    }

    // A file answers at once. Whoever waits for a network does it here.
    async fn next_unit(&mut self) -> Result<Option<Page>, SourceError> {
        if !self.again.is_empty() {
            let lines = std::mem::take(&mut self.again);
            return Ok(Some(self.page(lines, None)));
        }
        let mut lines = Vec::new();
        while lines.len() < PAGE_LINES
            && let Some(line) = self.next_line()?
        {
            lines.push(line);
        }
        if lines.is_empty() {
            return Ok(None);
        }
        let position = Position {
            variant: None,
            cursor: json!({ "lines": self.read }),
            as_of: None,
        };
        Ok(Some(self.page(lines, Some(position))))
    }
}

/// Writes addresses as STIX objects.
pub struct MaltrailConverter {
    /// What all addresses have in common: their marking.
    common: Common,
}

impl Converter for MaltrailConverter {
    type Unit = Page;

    fn convert(&mut self, page: Page) -> Converted {
        let rows = page.lines.len();
        let (mut objects, mut skipped) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for line in page.lines {
            match self.object(&line) {
                Ok(object) if seen.insert(object.key) => objects.push(Arc::new(object)),
                Ok(_) => {}
                Err(reason) => skipped.push(Skipped {
                    id: format!("line {}", line.number),
                    kind: "IPv4-Addr".to_owned(),
                    reason,
                }),
            }
        }
        Converted {
            is_again: page.position.is_none(),
            position: page.position,
            objects,
            skipped,
            ..Converted::new(STREAM, page.number, rows)
        }
    }
}

impl MaltrailConverter {
    /// The address of a line, or why there is none.
    fn object(&self, line: &Line) -> Result<StixObject, String> {
        let address = line.text.parse();
        let address: Ipv4Addr = address.map_err(|_| "it is no IPv4 address".to_owned())?;
        let address = address.to_string();
        let observable = Observable::new(Content::Value(ValueType::Ipv4Addr, &address));
        let written = observable.write(&self.common);
        written.map_err(|error| error.to_string())
    }
}

/// The id that STIX gives an address, and that the platform works out as well: the same address has the same
/// id in every run.
fn id_of(address: Ipv4Addr) -> StixId {
    make_id::value(ValueType::Ipv4Addr, &address.to_string())
}
