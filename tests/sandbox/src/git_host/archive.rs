//! Archives of commits, as the host packs them.

use std::io::Write as _;

use axum::body::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use super::objects::{Commit, GitFile};

/// A block of a tar.
const BLOCK: usize = 512;
/// Git fills archives up to a multiple of so many blocks.
const RECORD: usize = 20 * BLOCK;

/// An entry of an archive that no commit makes: written as it is, behind the global header and before the files.
#[derive(Debug, Clone)]
pub struct TarEntry {
    name: Vec<u8>,
    kind: u8,
    link: Vec<u8>,
    content: Bytes,
    size: Option<u64>,
}

impl TarEntry {
    /// An entry of a kind (`b'0'` a file, `b'1'` a link, `b'2'` a symbolic link, `b'3'` a device, `b'5'` a folder,
    /// `b'S'` a sparse file, `b'x'` what stands for the next entry, `b'L'` its long name). `TOP` at the beginning of a
    /// name becomes the archive's own folder.
    pub fn new(kind: u8, name: impl Into<Vec<u8>>, content: impl Into<Bytes>) -> Self {
        Self {
            name: name.into(),
            kind,
            link: Vec::new(),
            content: content.into(),
            size: None,
        }
    }

    /// A file.
    pub fn file(name: impl Into<Vec<u8>>, content: impl Into<Bytes>) -> Self {
        Self::new(b'0', name, content)
    }

    /// Leads to this path, as a link.
    #[must_use]
    pub fn to(mut self, path: &str) -> Self {
        self.link = path.as_bytes().to_vec();
        self
    }

    /// Claims to be of this size, whatever it holds.
    #[must_use]
    pub fn claiming(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }

    fn write(&self, top: &str, into: &mut Vec<u8>) {
        let name = match self.name.strip_prefix(b"TOP") {
            Some(rest) => [top.as_bytes(), rest].concat(),
            None => self.name.clone(),
        };
        let size = self.size.unwrap_or(self.content.len() as u64);
        write_header(&name, &self.link, (self.kind, 0o644), size, into);
        write_content(&self.content, into);
    }
}

/// How an archive differs from that of its commit.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    /// What it says to be the commit; none for the commit's own name, an empty one for nothing at all.
    pub(super) comment: Option<String>,
    pub(super) entries: Vec<TarEntry>,
    pub(super) damage: Option<Damage>,
    /// Paths that are left out.
    pub(super) without: Vec<String>,
}

/// What is wrong with the tar within an archive that is packed well.
#[derive(Debug, Clone, Copy)]
pub(super) enum Damage {
    /// It ends behind so many hundredths.
    CutAt(usize),
    /// It has no end: its last blocks are missing.
    NoEnd,
    /// A header in its middle is none.
    Header,
}

/// The archive of a commit, packed.
pub(super) fn pack(sha: &str, commit: &Commit, top: &str, shape: &Shape) -> Bytes {
    let mut tar = Vec::new();
    match shape.comment.as_deref() {
        Some("") => {}
        comment => write_comment(comment.unwrap_or(sha), &mut tar),
    }
    for entry in &shape.entries {
        entry.write(top, &mut tar);
    }
    write_header(
        format!("{top}/").as_bytes(),
        b"",
        (b'5', 0o775),
        0,
        &mut tar,
    );
    let mut folders = Vec::new();
    let mut middle = None;
    let files = commit.files.iter();
    let files = files.filter(|(path, _)| !shape.without.contains(path));
    for (number, (path, file)) in files.enumerate() {
        write_folders(path, top, &mut folders, &mut tar);
        if number == commit.files.len() / 2 {
            middle = Some(tar.len());
        }
        write_file(&format!("{top}/{path}"), file, &mut tar);
    }
    let content = tar.len();
    let end = (content + 2 * BLOCK).next_multiple_of(RECORD);
    tar.resize(end, 0);
    match (shape.damage, middle) {
        (Some(Damage::CutAt(hundredths)), _) => tar.truncate(content * hundredths / 100),
        (Some(Damage::NoEnd), _) => tar.truncate(content),
        (Some(Damage::Header), Some(at)) => {
            if let Some(header) = tar.get_mut(at..at + BLOCK) {
                header.fill(b'?');
            }
        }
        (Some(Damage::Header) | None, _) => {}
    }
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    // Memory takes whatever is written.
    packer.write_all(&tar).ok();
    packer.finish().unwrap_or_default().into()
}

/// The global header that names the commit.
fn write_comment(comment: &str, into: &mut Vec<u8>) {
    let record = record("comment", comment.as_bytes());
    let size = record.len() as u64;
    write_header(b"pax_global_header", b"", (b'g', 0o666), size, into);
    write_content(&record, into);
}

/// A record of a pax header: its own length, a name, a value.
fn record(name: &str, value: &[u8]) -> Vec<u8> {
    let rest = name.len() + value.len() + 3;
    let mut length = rest;
    while length.to_string().len() + rest > length {
        length += 1;
    }
    let mut record = format!("{length} {name}=").into_bytes();
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}

fn write_folders<'a>(path: &'a str, top: &str, known: &mut Vec<&'a str>, into: &mut Vec<u8>) {
    for (at, _) in path.match_indices('/') {
        let Some(folder) = path.get(..at) else {
            continue;
        };
        if !known.contains(&folder) {
            known.push(folder);
            let name = format!("{top}/{folder}/");
            write_named(name.as_bytes(), b"", (b'5', 0o775), b"", into);
        }
    }
}

fn write_file(name: &str, file: &GitFile, into: &mut Vec<u8>) {
    let name = name.as_bytes();
    match file.mode {
        "120000" => write_named(name, &file.content, (b'2', 0o777), b"", into),
        "160000" => write_named(&[name, b"/"].concat(), b"", (b'5', 0o775), b"", into),
        "100755" => write_named(name, b"", (b'0', 0o775), &file.content, into),
        _ => write_named(name, b"", (b'0', 0o664), &file.content, into),
    }
}

/// An entry whose name may be too long for its header.
fn write_named(name: &[u8], link: &[u8], kind: (u8, u32), content: &[u8], into: &mut Vec<u8>) {
    if name.len() > 100 {
        let record = record("path", name);
        let size = record.len() as u64;
        write_header(b"a.paxheader", b"", (b'x', 0o666), size, into);
        write_content(&record, into);
    }
    let short = name.get(..100).unwrap_or(name);
    write_header(short, link, kind, content.len() as u64, into);
    write_content(content, into);
}

fn write_header(name: &[u8], link: &[u8], (kind, mode): (u8, u32), size: u64, into: &mut Vec<u8>) {
    let mut header = Header::new_ustar();
    let fields = header.as_old_mut();
    put(&mut fields.name, name);
    put(&mut fields.linkname, link);
    header.set_entry_type(EntryType::new(kind));
    header.set_mode(mode);
    header.set_size(size);
    header.set_cksum();
    into.extend_from_slice(header.as_bytes());
}

fn put(field: &mut [u8], value: &[u8]) {
    for (place, byte) in field.iter_mut().zip(value) {
        *place = *byte;
    }
}

fn write_content(content: &[u8], into: &mut Vec<u8>) {
    into.extend_from_slice(content);
    into.resize(into.len().next_multiple_of(BLOCK), 0);
}
