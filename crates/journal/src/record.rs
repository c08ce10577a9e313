//! Records: the single changes that a round is made of, and their encoding.
//!
//! Every record has the same shape: kind (1 byte), group (4), number (8), length (4), then the
//! bytes; integers are little-endian. Its checksum is that of the chunk around it.

use crate::error::JournalError;

/// Bytes of a record before its content.
pub(crate) const RECORD_HEADER_BYTES: usize = 17;

/// What a record changes. The comment tells what number and bytes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum RecordKind {
    /// number = index, bytes = entry. Written again when its old round is cleaned away.
    Entry = 1,
    /// number = first index that is dropped.
    Truncate = 2,
    /// number = last purged index, bytes = its log id.
    Purge = 3,
    /// bytes = vote.
    Vote = 4,
    /// bytes = committed mark.
    Committed = 5,
    /// bytes = descriptor.
    Descriptor = 6,
    /// number = snapshot number, bytes = size (u64) and meta.
    Snapshot = 7,
    /// All that earlier records say of the group is void.
    Removed = 8,
    /// bytes = the node's identity; group is 0.
    Identity = 9,
}

impl RecordKind {
    fn from_byte(byte: u8) -> Option<RecordKind> {
        Some(match byte {
            1 => RecordKind::Entry,
            2 => RecordKind::Truncate,
            3 => RecordKind::Purge,
            4 => RecordKind::Vote,
            5 => RecordKind::Committed,
            6 => RecordKind::Descriptor,
            7 => RecordKind::Snapshot,
            8 => RecordKind::Removed,
            9 => RecordKind::Identity,
            _ => return None,
        })
    }
}

/// Where a record is: its round, its offset among the round's records, the bytes of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub round: u64,
    pub offset: u32,
    pub bytes: u32,
}

impl Place {
    /// Bytes that the record takes in its round.
    pub(crate) fn record_bytes(self) -> u64 {
        u64::from(self.bytes) + RECORD_HEADER_BYTES as u64
    }
}

/// A record as it stands in a round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub kind: RecordKind,
    pub group: u32,
    pub number: u64,
    pub content: &'a [u8],
    pub offset: u32,
}

/// Puts a record, whose content is `parts` one after the other, at the end of `buffer`.
pub(crate) fn encode_record(
    buffer: &mut Vec<u8>,
    kind: RecordKind,
    group: u32,
    number: u64,
    parts: &[&[u8]],
) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    buffer.reserve(RECORD_HEADER_BYTES + length);
    buffer.push(kind as u8);
    buffer.extend_from_slice(&group.to_le_bytes());
    buffer.extend_from_slice(&number.to_le_bytes());
    buffer.extend_from_slice(&(length as u32).to_le_bytes());
    for part in parts {
        buffer.extend_from_slice(part);
    }
}

/// The records of a whole round, in order.
pub(crate) struct Records<'a> {
    round: u64,
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Records<'a> {
    /// Reads the records in `bytes`, the joined contents of the chunks of `round`.
    pub(crate) fn new(round: u64, bytes: &'a [u8]) -> Records<'a> {
        Records {
            round,
            bytes,
            offset: 0,
        }
    }

    fn read(&mut self) -> Option<Record<'a>> {
        let rest = &self.bytes[self.offset..];
        let header = rest.first_chunk::<RECORD_HEADER_BYTES>()?;
        let kind = RecordKind::from_byte(header[0])?;
        let group = u32::from_le_bytes([header[1], header[2], header[3], header[4]]);
        let number = u64::from_le_bytes(*header[5..].first_chunk()?);
        let length = u32::from_le_bytes(*header[13..].first_chunk()?) as usize;
        let content = rest.get(RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + length)?;
        let offset = self.offset as u32;
        self.offset += RECORD_HEADER_BYTES + length;
        Some(Record {
            kind,
            group,
            number,
            content,
            offset,
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.offset >= self.bytes.len() {
            return None;
        }
        let offset = self.offset;
        Some(self.read().ok_or_else(|| {
            self.offset = self.bytes.len();
            let place = format!("round {}, offset {offset}", self.round);
            JournalError::corrupted("a record cannot be read", place)
        }))
    }
}
