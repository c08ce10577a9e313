//! Chunks: the values in which a round is stored, each with a header of its own.
//!
//! Header, little-endian: format version (4 bytes), length of the content (4), round (8), chunk
//! (4), number of chunks in the round (4), floor (8), CRC-32 of header and content (4). The floor
//! is the oldest round that was still needed when this one was written: older ones may be gone,
//! this one and all in between must be there.

use crate::limits::{CHUNK_BYTES_MAX, FORMAT_VERSION};

/// Bytes of a chunk before its content.
pub(crate) const CHUNK_HEADER_BYTES: usize = 36;

/// Bytes of content of every chunk of a round but the last.
pub(crate) const CHUNK_CONTENT_BYTES: usize = CHUNK_BYTES_MAX - CHUNK_HEADER_BYTES;

const CHECKSUM_AT: usize = CHUNK_HEADER_BYTES - 4;

/// What is wrong with a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkFault {
    /// It is shorter than it says: a write that was not completed.
    Short,
    /// Its checksum does not fit.
    Damaged,
    /// It was written by another version.
    Version(u32),
    /// It is a whole chunk of another place.
    Misplaced,
}

/// A chunk that was checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk<'a> {
    pub chunks: u32,
    pub floor: u64,
    pub content: &'a [u8],
}

/// How many chunks a round of `bytes` takes. An empty one takes one.
pub(crate) fn chunk_count(bytes: u64) -> u32 {
    bytes.div_ceil(CHUNK_CONTENT_BYTES as u64).max(1) as u32
}

/// Writes chunk `chunk` of a round into `value`, replacing what it held.
pub(crate) fn encode_chunk(
    value: &mut Vec<u8>,
    round: u64,
    chunk: u32,
    chunks: u32,
    floor: u64,
    content: &[u8],
) {
    value.clear();
    value.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    value.extend_from_slice(&(content.len() as u32).to_le_bytes());
    value.extend_from_slice(&round.to_le_bytes());
    value.extend_from_slice(&chunk.to_le_bytes());
    value.extend_from_slice(&chunks.to_le_bytes());
    value.extend_from_slice(&floor.to_le_bytes());
    let checksum = checksum(value, content);
    value.extend_from_slice(&checksum.to_le_bytes());
    value.extend_from_slice(content);
}

/// Checks the value stored as chunk `chunk` of `round`.
pub(crate) fn decode_chunk(round: u64, chunk: u32, value: &[u8]) -> Result<Chunk<'_>, ChunkFault> {
    let Some((header, content)) = value.split_at_checked(CHUNK_HEADER_BYTES) else {
        return Err(ChunkFault::Short);
    };
    let word = |at: usize| {
        u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    let length = word(4) as usize;
    if content.len() < length && length <= CHUNK_CONTENT_BYTES {
        return Err(ChunkFault::Short);
    }
    if content.len() != length || checksum(&header[..CHECKSUM_AT], content) != word(CHECKSUM_AT) {
        return Err(ChunkFault::Damaged);
    }
    if word(0) != FORMAT_VERSION {
        return Err(ChunkFault::Version(word(0)));
    }
    let chunks = word(20);
    if long(8) != round || word(16) != chunk || chunk >= chunks {
        return Err(ChunkFault::Misplaced);
    }
    Ok(Chunk {
        chunks,
        floor: long(24),
        content,
    })
}

fn checksum(header: &[u8], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(content);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let mut value = Vec::new();
        encode_chunk(&mut value, 7, 1, 3, 5, b"some content");
        let whole = decode_chunk(7, 1, &value).unwrap();
        assert_eq!(
            (whole.chunks, whole.floor, whole.content),
            (3, 5, &b"some content"[..])
        );
        for bit in 0..value.len() * 8 {
            let mut damaged = value.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_chunk(7, 1, &damaged).is_err(), "bit {bit}");
        }
        for length in 0..value.len() {
            assert_eq!(
                decode_chunk(7, 1, &value[..length]).unwrap_err(),
                ChunkFault::Short
            );
        }
        assert_eq!(
            decode_chunk(8, 1, &value).unwrap_err(),
            ChunkFault::Misplaced
        );
        assert_eq!(
            decode_chunk(7, 0, &value).unwrap_err(),
            ChunkFault::Misplaced
        );
    }
}
