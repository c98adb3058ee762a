//! Files of attachments and packed samples: read one after the other, when their turn comes, so that however many an event
//! or one object has, one of them is in memory at a time.

use super::{EventPart, EventParts, Located, MOST_FILE_BYTES};
use crate::connectors::misp_feed::event::Attribute;
use crate::connectors::misp_feed::mapping::{Attached, Draft, Facts};

/// An attribute whose file is not read yet, as it is written.
#[derive(Debug)]
pub(super) enum Waiting<'a> {
    /// A file of the report.
    File(&'a str),
    /// A packed sample, what is said about it, and the file that it is.
    Sample(&'a str, Box<Facts>, Option<Located>),
}

impl<'a> EventParts<'a> {
    /// Reads a file whose turn has come.
    pub(super) fn read_waiting(&mut self, part: &mut EventPart, waiting: Waiting<'a>) {
        match waiting {
            Waiting::File(text) => {
                let file = Attribute::read(text).map(|attribute| self.planner().file(&attribute));
                match file {
                    Some(Ok(attached)) => self.add_file(part, attached),
                    Some(Err(skipped)) => self.skip(part, skipped),
                    None => {}
                }
            }
            Waiting::Sample(text, facts, file) => {
                // Rows only grow: it counts as the last attribute that was read.
                part.row = Some(self.rows.saturating_sub(1));
                let sample = Attribute::read(text);
                match sample.map(|attribute| self.planner().sample(&attribute, *facts)) {
                    Some(Ok(draft)) => self.add_sample(part, &draft, file),
                    Some(Err(skipped)) => self.skip(part, skipped),
                    None => {}
                }
            }
        }
    }

    /// Adds a file of the report; a large one has a part of its own.
    pub(super) fn add_file(&mut self, part: &mut EventPart, attached: Attached) {
        let is_alone = part.members.is_empty() && part.files.is_empty();
        let fits = part.file_bytes + attached.size <= MOST_FILE_BYTES;
        if fits || is_alone {
            part.file_bytes += attached.size;
            part.files.push(attached.file);
        } else {
            self.held = Some(attached);
            part.has_waiting_file = true;
        }
    }

    fn add_sample(&mut self, part: &mut EventPart, draft: &Draft, file: Option<Located>) {
        self.add_draft(part, draft);
        if let Some(file) = file.filter(|_| self.sent.contains(draft.key)) {
            let marks = self.marks_of(draft).stricter(&file.marks);
            let ends = ("related-to", &draft.id, &file.id);
            let about = (&marks, draft.facts.timestamp);
            self.add_relationship(part, ends, draft.facts.comment.as_deref(), about);
        }
    }
}
