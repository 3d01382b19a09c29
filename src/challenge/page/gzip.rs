//! The page as gzip (RFC 1952): what all visits have in common is compressed once, and what a request brings is put between
//! as it is.
//!
//! That costs next to nothing, and what a client sent has no part in how long the rest gets.

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use std::io::Write;
use std::sync::OnceLock;

/// No time of change, no name, of an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// An empty block, the last one.
const END: [u8; 5] = [1, 0, 0, 0xff, 0xff];
/// What a stored block holds at most.
const STORED: usize = u16::MAX as usize;

/// A part of the page that is the same for all visits.
#[derive(Debug)]
pub(super) struct Fixed {
    /// As it is.
    pub text: String,
    deflated: OnceLock<Vec<u8>>,
}

impl Fixed {
    pub fn new(text: String) -> Self {
        Fixed { text, deflated: OnceLock::new() }
    }

    /// Whole blocks, after which other ones may follow at the next byte.
    fn deflated(&self) -> &[u8] {
        self.deflated.get_or_init(|| {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
            // Nothing is written but to memory.
            let written = encoder.write_all(self.text.as_bytes()).and_then(|()| encoder.flush());
            written.map_or_else(|_| Vec::new(), |()| encoder.get_ref().clone())
        })
    }
}

/// A page that is being put together.
pub(super) struct Gzip {
    bytes: Vec<u8>,
    crc: Crc,
}

impl Gzip {
    pub fn new() -> Self {
        let mut bytes = Vec::with_capacity(16 << 10);
        bytes.extend(HEADER);
        Gzip { bytes, crc: Crc::new() }
    }

    pub fn fixed(&mut self, part: &Fixed) {
        self.crc.update(part.text.as_bytes());
        self.bytes.extend(part.deflated());
    }

    pub fn plain(&mut self, text: &str) {
        self.crc.update(text.as_bytes());
        for block in text.as_bytes().chunks(STORED) {
            // It fits, by the size of chunks.
            let length = block.len() as u16;
            self.bytes.push(0);
            self.bytes.extend(length.to_le_bytes());
            self.bytes.extend((!length).to_le_bytes());
            self.bytes.extend(block);
        }
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend(END);
        self.bytes.extend(self.crc.sum().to_le_bytes());
        self.bytes.extend(self.crc.amount().to_le_bytes());
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    #[test]
    fn parts_of_both_kinds_come_out_as_they_went_in() {
        let long = "what a request brings, ".repeat(9000);
        let fixed = [Fixed::new("the same for all ".repeat(500)), Fixed::new(String::new()), Fixed::new("x".into())];
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            let (mut gzip, mut expected) = (Gzip::new(), String::new());
            for at in order {
                for text in ["", "a", &long] {
                    gzip.plain(text);
                    gzip.fixed(&fixed[at]);
                    expected += text;
                    expected += &fixed[at].text;
                }
            }
            let mut text = String::new();
            GzDecoder::new(&gzip.finish()[..]).read_to_string(&mut text).unwrap();
            assert!(text == expected);
        }
    }
}
