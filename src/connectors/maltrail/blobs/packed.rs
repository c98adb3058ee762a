//! One content, packed: lists shrink to a third.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

/// How much is unpacked at once.
const PIECE: usize = 64 << 10;

/// A content, packed.
#[derive(Debug)]
pub(super) struct Packed(Box<[u8]>);

/// A content while it is packed.
#[derive(Debug)]
pub(super) struct Packing {
    encoder: DeflateEncoder<Vec<u8>>,
    /// Why it cannot be packed: a defect.
    failed: Option<io::Error>,
}

impl Default for Packing {
    fn default() -> Self {
        Self {
            encoder: DeflateEncoder::new(Vec::new(), Compression::fast()),
            failed: None,
        }
    }
}

impl Packing {
    /// Takes in the next piece.
    pub(super) fn feed(&mut self, piece: &[u8]) {
        if self.failed.is_none() {
            self.failed = self.encoder.write_all(piece).err();
        }
    }

    /// The whole.
    pub(super) fn end(self) -> io::Result<Packed> {
        match self.failed {
            Some(error) => Err(error),
            None => Ok(Packed(self.encoder.finish()?.into_boxed_slice())),
        }
    }
}

impl Packed {
    /// How much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Hands out the content in pieces of at most 64 KiB.
    pub(super) fn unpack(&self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let mut content = DeflateDecoder::new(&*self.0);
        let mut piece = vec![0; PIECE];
        loop {
            let read = content.read(&mut piece)?;
            if read == 0 {
                return Ok(());
            }
            each(piece.get(..read).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_packed_comes_out(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5000), 0..40),
        ) {
            let mut packing = Packing::default();
            for piece in &pieces {
                packing.feed(piece);
            }
            let mut unpacked = Vec::new();
            packing.end().unwrap().unpack(|piece| unpacked.extend_from_slice(piece)).unwrap();
            prop_assert_eq!(unpacked, pieces.concat());
        }
    }

    #[test]
    fn a_list_shrinks() {
        let list = (0..10_000).fold(String::new(), |list, n| {
            list + &format!("host{n}.example.net\n")
        });
        let mut packing = Packing::default();
        packing.feed(list.as_bytes());
        assert!(packing.end().unwrap().bytes() * 3 < list.len());
    }
}
