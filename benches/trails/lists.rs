//! Lists with the figures of Maltrail's in August 2026: 3110 files, 1.83 million trails, 150,000 references, a block of
//! 200,000 trails, 81,000 values on several lines.

use std::fmt::Write as _;

const FILES: u64 = 3110;
/// Trails of the largest file; the others have ever fewer.
const LARGEST: u64 = 273_000;
/// The one file with a block of its own size.
const LARGE_BLOCK: u64 = 200_000;
/// Values that stand on several lines, and how many of a hundred lines hold one of them.
const REPEATED: u64 = 81_000;
const REPEATED_PERCENT: u64 = 24;

/// The lists of a day; those of the next have some lines more and some less.
pub(crate) struct Lists {
    pub(crate) day: u64,
}

impl Lists {
    /// Where they are.
    pub(crate) fn paths() -> impl Iterator<Item = String> {
        (0..FILES).map(|file| match file % 25 {
            0 => format!("malicious/kit_{file}.txt"),
            1..=3 => format!("malware/apt_group{file}.txt"),
            _ => format!("malware/family{file}.txt"),
        })
    }

    /// Writes a list, in pieces of about so many bytes.
    pub(crate) fn write(&self, path: &str, piece_bytes: usize, mut each: impl FnMut(&[u8])) {
        let digits = path
            .trim_end_matches(".txt")
            .rsplit(|c: char| !c.is_ascii_digit());
        let file: u64 = digits.take(1).next().unwrap().parse().unwrap();
        let mut writer = Writer {
            piece: String::with_capacity(2 * piece_bytes),
            piece_bytes,
            random: Random(file),
        };
        writer.head(file);
        let trails = match file {
            7 => LARGE_BLOCK,
            _ => LARGEST / (file + 8),
        };
        let mut left = trails;
        while left > 0 {
            let block = if file == 7 {
                LARGE_BLOCK
            } else {
                writer.block_size()
            };
            writer.references();
            for _ in 0..block.min(left) {
                writer.trail();
                writer.flush(&mut each);
            }
            left -= block.min(left);
        }
        self.edit(file, &mut writer);
        writer.end(&mut each);
    }

    /// What a day brings and takes: 65 files a week.
    fn edit(&self, file: u64, writer: &mut Writer) {
        if file.is_multiple_of(300) {
            writer.random = Random(file * 1000 + self.day);
            writer.references();
            for _ in 0..150 {
                writer.trail();
            }
        }
    }
}

struct Writer {
    piece: String,
    piece_bytes: usize,
    random: Random,
}

impl Writer {
    fn head(&mut self, file: u64) {
        self.piece.push_str(
            "# Copyright (c) 2014-2026 Maltrail developers (https://github.com/stamparm/maltrail/)\n\
             # See the file 'LICENSE' for copying permission\n",
        );
        if file.is_multiple_of(3) {
            writeln!(self.piece, "\n# Aliases: name{file}, other{file} stealer").unwrap();
        }
    }

    /// One block of 250 is large.
    fn block_size(&mut self) -> u64 {
        match self.random.below(250) {
            0 => 1000 + self.random.below(3000),
            _ => 1 + self.random.below(8),
        }
    }

    fn references(&mut self) {
        self.piece.push('\n');
        for _ in 0..=self.random.below(5) / 3 {
            let (id, text) = (self.random.next(), self.random.next());
            let line = match id % 3 {
                0 => format!(
                    "https://twitter.com/analyst{}/status/{}",
                    id % 1000,
                    text >> 3
                ),
                1 => format!(
                    "https://www.virustotal.com/gui/file/{id:016x}{text:016x}{id:016x}{text:016x}/detection"
                ),
                _ => format!(
                    "https://otx.alienvault.com/pulse/{text:016x}{:08x} (Korean)",
                    id % (1 << 32)
                ),
            };
            writeln!(self.piece, "# Reference: {line}").unwrap();
        }
        self.piece.push('\n');
    }

    fn trail(&mut self) {
        let value = if self.random.below(100) < REPEATED_PERCENT {
            // Some stand on many lines, most on a few.
            let (a, b) = (self.random.below(REPEATED), self.random.below(REPEATED));
            Random(1 << 40 | a.min(b)).next()
        } else {
            self.random.next()
        };
        write_value(&mut self.piece, value);
    }

    fn flush(&mut self, each: &mut impl FnMut(&[u8])) {
        if self.piece.len() >= self.piece_bytes {
            each(self.piece.as_bytes());
            self.piece.clear();
        }
    }

    fn end(self, each: &mut impl FnMut(&[u8])) {
        each(self.piece.as_bytes());
    }
}

/// Of a thousand trails 748 are names, 156 addresses with ports, 51 paths, 36 addresses by HTTP and 9 URLs.
fn write_value(text: &mut String, value: u64) {
    let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
    let number = u32::from_be_bytes([e, f, g, h]);
    let port = 1 + u16::from_be_bytes([c, d]) % 50_000;
    let written = match u16::from_be_bytes([a, b]) % 1000 {
        0..748 => writeln!(text, "{}{number:x}.example{}.com", word(c), d % 50),
        748..904 => writeln!(text, "{e}.{f}.{g}.{h}:{port}"),
        904..955 => writeln!(text, "/{}/{number:x}/gate.php?id={d}", word(c)),
        955..991 => writeln!(text, "http://{e}.{f}.{g}.{h}"),
        _ => writeln!(text, "{}{number:x}.example.com/{d}/panel.php", word(c)),
    };
    written.unwrap();
}

fn word(byte: u8) -> &'static str {
    const WORDS: [&str; 8] = [
        "update", "secure-", "cdn", "login.", "api", "mail", "static-", "x",
    ];
    WORDS.get(usize::from(byte) % WORDS.len()).unwrap_or(&"x")
}

/// Splitmix64: the same numbers in every pass.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
