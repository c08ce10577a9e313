//! Where the next record goes: the file's two halves are filled in turn, each from its beginning.
//!
//! A half is filled again only when every round in it is durably at home.

use super::record::{BLOCK_BYTES, HEADER_BYTES};

/// See the module.
#[derive(Debug)]
pub(super) struct Halves {
    half_bytes: usize,
    filling: usize,
    used: usize,
    /// The last round in each half, 0 if there is none.
    last: [u64; 2],
}

impl Halves {
    /// Bytes of each half of a file of about `file_bytes`: whole blocks, at least four of them.
    pub(super) fn half_bytes(file_bytes: usize) -> usize {
        let half = file_bytes.saturating_sub(HEADER_BYTES) / 2;
        (half - half % BLOCK_BYTES).max(4 * BLOCK_BYTES)
    }

    /// Two empty halves.
    pub(super) fn new(half_bytes: usize) -> Halves {
        Halves {
            half_bytes,
            filling: 0,
            used: 0,
            last: [0, 0],
        }
    }

    /// Whether a record of `bytes` fits into the half that is being filled.
    pub(super) fn fits(&self, bytes: usize) -> bool {
        self.used + bytes <= self.half_bytes
    }

    /// The last round in the half that was filled before, 0 if there is none. It has to be at home
    /// before `turn`.
    pub(super) fn filled(&self) -> u64 {
        self.last[1 - self.filling]
    }

    /// Begins to fill the other half.
    pub(super) fn turn(&mut self) {
        self.filling = 1 - self.filling;
        self.used = 0;
        self.last[self.filling] = 0;
    }

    /// Takes the place of a record, which fits, and returns its offset in the file.
    pub(super) fn take(&mut self, round: u64, bytes: usize) -> u64 {
        let offset = HEADER_BYTES + self.filling * self.half_bytes + self.used;
        self.used += bytes;
        self.last[self.filling] = round;
        offset as u64
    }
}
