//! Trails: everything from the bytes of Maltrail's lists to what all of them say about a value. Pure: no network, no
//! clock, no files.
//!
//! [`lines`] cuts pieces of bytes into lines; [`comment`] and [`value`] read a line; [`family`] says what a file is named
//! after, and [`whitelist`] what is never reported; [`reader`] puts these together and hands out what a file says.
//!
//! A value may stand on many lines, and becomes one object with what all of them say. So the files of a commit are read
//! three times:
//!
//! | pass | reads | keeps |
//! | --- | --- | --- |
//! | 1 [`survey`] | all | the [`index`] of values, which blocks of references are large, what is said about threats |
//! | 2 [`merged::Merger`] | all | what values say that stand on several lines |
//! | 3 [`merged::Merged::view`] | all, or from where a run goes on | nothing: each value goes out at its first line |
//!
//! What changed between two commits is found by passes 1 and 2 over each ([`index::Index::changes_since`]); then pass 3
//! reads the later one for what is new or changed, and the earlier one for what is gone.
//!
//! # How memory stays flat
//!
//! The lists have 50 MB, and what is made of them has 5 GB. None of it is held:
//!
//! - **Files are never held.** They come in pieces of any size; of a file there is one line (at most 16 KiB) and the current
//!   block of references (at most 100 of 2 KiB, however many trails it has; real ones have one to three).
//! - **Values are never held.** The index has 12 bytes for each: a keyed hash of 64 bits, 30 bits of a digest of all that is
//!   said about it, and two flags: it stands on several lines, it becomes an indicator. It lies in 256 buckets that grow by a
//!   quarter each time, so that nothing is ever there twice; lines that repeat a value are thrown together before a bucket
//!   grows, so that it grows with values, not with lines. A first import drops the index after pass 1, but for the hashes of
//!   values that stand on several lines.
//! - **Four of five values stand on one line.** Their view is what the line and its block say, made in pass 3 and dropped. Only
//!   for the others (81,000 values on 440,000 lines of Maltrail's) pass 2 keeps something: 28 bytes for each combination
//!   of value, file, block, note and port, and their blocks, whose texts all values of a block share. Pass 3 decides by its
//!   first place whether a value goes out, so that nothing is to be remembered of what went out, and a run can go on
//!   anywhere.
//! - **How large a block is** is only known at its end; pass 1 notes the few that are over the limit, by file and line.
//! - **What grows has an end**: 30 million values and 8 million combinations, twenty times what there is; more is an error,
//!   not a process that the system kills. Aliases, notes, references and entries of the whitelist have their own limits,
//!   and what is over them is counted.
//!
//! Equal hashes: of 1.5 million values two share 64 bits once in 16 million imports, and nobody can look for such a pair,
//! because the key is random. Even then both go out: where lines are merged, 32 further bits are compared. Only
//! the comparison of two commits would take them for one value. That a change does not show in the digest happens once in a
//! billion changes.
//!
//! `cargo bench --bench trails` measures all this with lists of Maltrail's size and shape.

pub mod comment;
mod digest;
pub mod family;
pub mod hash;
pub mod index;
pub mod lines;
pub mod merged;
pub mod reader;
pub mod reference;
pub mod survey;
pub mod value;
pub mod whitelist;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tree;
