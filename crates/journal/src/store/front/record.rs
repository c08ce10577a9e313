//! What stands in the front file, block by block, and its checks.
//!
//! Two blocks hold the *header*, in turn; the newer valid one counts. It begins an *epoch*: all
//! that stands in the file from before is void, and every round up to `home` is durably at home.
//! All other blocks hold *records*, one round each, from the beginning of a block on.
//!
//! Header, little-endian: format version (4 bytes), CRC-32 of the rest (4), epoch (8), salt (8),
//! home (8), bytes of each half (8). Record: format version (4), CRC-32 of the rest with the
//! payload (4), epoch (8), salt (8), offset in the file (8), round (8), home (8), synced (8),
//! length of the payload (4), chunks (4). Its payload: each chunk of the round, after its length
//! (4). The salt is drawn for each epoch, so that what users store cannot pass for a record.

use crate::error::JournalError;
use crate::limits::FRONT_FORMAT_VERSION;

/// No block that holds something acknowledged is written again before it is at home, so blocks are
/// what disks and file systems write as one.
pub(crate) const BLOCK_BYTES: usize = 4096;

/// Bytes of the file before the first half.
pub(super) const HEADER_BYTES: usize = 2 * BLOCK_BYTES;

/// The epoch of a file that was just made.
pub(super) const FIRST_EPOCH: u64 = 1;

const HEADER_USED: usize = 40;
const RECORD_HEADER_BYTES: usize = 64;

/// Begins an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub epoch: u64,
    pub salt: u64,
    /// All rounds up to this one were durably at home when the epoch began.
    pub home: u64,
    pub half_bytes: u64,
}

/// What a record says besides its round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    /// All rounds up to this one were durably at home.
    pub home: u64,
    /// All rounds up to this one were durable, so they may have been acknowledged.
    pub synced: u64,
}

/// A round as it is kept in memory: the bytes of its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RoundRecord {
    pub round: u64,
    pub chunks: u32,
    bytes: Vec<u8>,
}

/// What stands at the beginning of a block.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing of this epoch.
    Nothing,
    /// A record whose checksum does not fit: torn or damaged.
    Unfinished(u64),
    /// A record of a later epoch than the header's.
    Later,
    /// A whole record.
    Whole(RoundRecord, Claims),
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from(word(bytes, at)) | u64::from(word(bytes, at + 4)) << 32
}

fn put(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

impl Header {
    /// The block that holds it.
    pub(super) fn encode(&self) -> [u8; BLOCK_BYTES] {
        let mut block = [0; BLOCK_BYTES];
        block[..4].copy_from_slice(&FRONT_FORMAT_VERSION.to_le_bytes());
        put(&mut block, 8, self.epoch);
        put(&mut block, 16, self.salt);
        put(&mut block, 24, self.home);
        put(&mut block, 32, self.half_bytes);
        let checksum = crc32fast::hash(&block[8..HEADER_USED]);
        block[4..8].copy_from_slice(&checksum.to_le_bytes());
        block
    }

    /// Whether it was written when the file was made.
    pub(super) fn is_first(&self) -> bool {
        self.epoch == FIRST_EPOCH
    }

    /// Where it belongs: two headers that follow each other never share a block.
    pub(super) fn offset(&self) -> u64 {
        self.epoch % 2 * BLOCK_BYTES as u64
    }

    /// The newer valid header at the beginning of `file`.
    pub(super) fn find(file: &[u8]) -> Option<Header> {
        let blocks = file.get(..HEADER_BYTES)?.chunks_exact(BLOCK_BYTES);
        let headers = blocks.filter_map(|block| {
            let valid = word(block, 0) == FRONT_FORMAT_VERSION
                && word(block, 4) == crc32fast::hash(&block[8..HEADER_USED]);
            valid.then(|| Header {
                epoch: long(block, 8),
                salt: long(block, 16),
                home: long(block, 24),
                half_bytes: long(block, 32),
            })
        });
        headers.max_by_key(|header| header.epoch)
    }
}

impl RoundRecord {
    /// A round without chunks.
    pub(super) fn new(round: u64) -> RoundRecord {
        RoundRecord {
            round,
            chunks: 0,
            bytes: vec![0; RECORD_HEADER_BYTES],
        }
    }

    /// Adds the next chunk of the round.
    pub(super) fn push(
        &mut self,
        round: u64,
        chunk: u32,
        value: &[u8],
    ) -> Result<(), JournalError> {
        if (round, chunk) != (self.round, self.chunks) {
            return Err(JournalError::failed(format!(
                "chunk {chunk} of round {round} does not follow chunk {} of round {}",
                self.chunks, self.round
            )));
        }
        self.chunks += 1;
        self.bytes.reserve(4 + value.len());
        self.bytes
            .extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(value);
        Ok(())
    }

    /// Bytes that the record takes in the file: whole blocks.
    pub(super) fn file_bytes(&self) -> usize {
        self.bytes.len().next_multiple_of(BLOCK_BYTES)
    }

    /// The record as it is written at `offset`, in whole blocks.
    pub(super) fn seal(&mut self, header: &Header, offset: u64, claims: Claims) -> &[u8] {
        let payload = (self.bytes.len() - RECORD_HEADER_BYTES) as u32;
        let bytes = &mut self.bytes;
        bytes[..4].copy_from_slice(&FRONT_FORMAT_VERSION.to_le_bytes());
        put(bytes, 8, header.epoch);
        put(bytes, 16, header.salt);
        put(bytes, 24, offset);
        put(bytes, 32, self.round);
        put(bytes, 40, claims.home);
        put(bytes, 48, claims.synced);
        bytes[56..60].copy_from_slice(&payload.to_le_bytes());
        bytes[60..64].copy_from_slice(&self.chunks.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[8..]);
        bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
        bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        bytes
    }

    /// What stands at `offset` of the file, in the epoch of `header`.
    pub(super) fn find(header: &Header, file: &[u8], offset: usize) -> Found {
        let Some(bytes) = file.get(offset..).filter(|it| it.len() >= BLOCK_BYTES) else {
            return Found::Nothing;
        };
        let epoch = long(bytes, 8);
        if word(bytes, 0) != FRONT_FORMAT_VERSION
            || long(bytes, 24) != offset as u64
            || epoch < header.epoch
        {
            return Found::Nothing;
        }
        let end = RECORD_HEADER_BYTES + word(bytes, 56) as usize;
        let whole = bytes
            .get(..end)
            .filter(|record| crc32fast::hash(&record[8..]) == word(bytes, 4));
        if epoch > header.epoch {
            return whole.map_or(Found::Nothing, |_| Found::Later);
        }
        if long(bytes, 16) != header.salt {
            return Found::Nothing;
        }
        let round = long(bytes, 32);
        let Some(record) = whole else {
            return Found::Unfinished(round);
        };
        let record = RoundRecord {
            round,
            chunks: word(bytes, 60),
            bytes: record.to_vec(),
        };
        let claims = Claims {
            home: long(bytes, 40),
            synced: long(bytes, 48),
        };
        Found::Whole(record, claims)
    }

    /// The chunks in their order.
    pub(super) fn values(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.bytes[RECORD_HEADER_BYTES..];
        (0..self.chunks).map_while(move |_| {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let (value, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = after;
            Some(value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        epoch: 5,
        salt: 77,
        home: 3,
        half_bytes: 4 * BLOCK_BYTES as u64,
    };
    const CLAIMS: Claims = Claims { home: 3, synced: 6 };

    fn file_with(offset: usize) -> (RoundRecord, Vec<u8>) {
        let mut record = RoundRecord::new(7);
        record.push(7, 0, &[1; 5000]).unwrap();
        record.push(7, 1, b"").unwrap();
        record.push(7, 2, b"last").unwrap();
        assert!(record.push(7, 4, b"").is_err());
        assert!(record.push(8, 3, b"").is_err());
        let mut file = vec![0; HEADER_BYTES + 4 * BLOCK_BYTES];
        let written = record.seal(&HEADER, offset as u64, CLAIMS).to_vec();
        file[offset..offset + written.len()].copy_from_slice(&written);
        (record, file)
    }

    #[test]
    fn a_record_comes_back_where_it_was_written_in_its_epoch_alone() {
        let offset = HEADER_BYTES + BLOCK_BYTES;
        let (record, file) = file_with(offset);
        let values: Vec<&[u8]> = vec![&[1; 5000], b"", b"last"];
        assert_eq!(record.values().collect::<Vec<_>>(), values);
        let Found::Whole(found, claims) = RoundRecord::find(&HEADER, &file, offset) else {
            panic!("not found");
        };
        assert_eq!((found.round, found.chunks, claims), (7, 3, CLAIMS));
        assert_eq!(found.values().collect::<Vec<_>>(), values);
        let nothing =
            |header: Header| matches!(RoundRecord::find(&header, &file, offset), Found::Nothing);
        assert!(nothing(Header { epoch: 6, ..HEADER }));
        assert!(nothing(Header { salt: 78, ..HEADER }));
        let earlier = Header { epoch: 4, ..HEADER };
        assert!(matches!(
            RoundRecord::find(&earlier, &file, offset),
            Found::Later
        ));
        let mut moved = file.clone();
        moved.copy_within(offset..offset + 2 * BLOCK_BYTES, HEADER_BYTES);
        assert!(matches!(
            RoundRecord::find(&HEADER, &moved, HEADER_BYTES),
            Found::Nothing
        ));
    }

    #[test]
    fn every_flipped_bit_of_a_record_and_a_header_is_found() {
        let offset = HEADER_BYTES;
        let (_, file) = file_with(offset);
        for bit in (0..80 * 8).chain(5000 * 8..5100 * 8) {
            let mut damaged = file.clone();
            damaged[offset + bit / 8] ^= 1 << (bit % 8);
            let found = RoundRecord::find(&HEADER, &damaged, offset);
            let is_whole = matches!(found, Found::Whole(..) | Found::Later);
            let is_padding = bit / 8 >= RECORD_HEADER_BYTES + 5000 + 3 * 4 + 4;
            assert_eq!(is_whole, is_padding, "bit {bit}");
        }
        let block = HEADER.encode();
        let mut file = [block, [0; BLOCK_BYTES]].concat();
        assert_eq!(Header::find(&file), Some(HEADER));
        for bit in 0..HEADER_USED * 8 {
            file[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::find(&file), None, "bit {bit}");
            file[bit / 8] ^= 1 << (bit % 8);
        }
        let next = Header { epoch: 6, ..HEADER };
        assert_ne!(next.offset(), HEADER.offset());
        file[..BLOCK_BYTES].copy_from_slice(&next.encode());
        file[BLOCK_BYTES..].copy_from_slice(&HEADER.encode());
        assert_eq!(Header::find(&file), Some(next));
    }
}
