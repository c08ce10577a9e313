//! The layout of what crosses between the engine and its host; ARCHITECTURE.md has the tables.
//! `ts/native/frames.ts` holds the same numbers.
//!
//! All integers are little-endian, all records and events start at multiples of 4 bytes.

use crate::limits::{NUMBER_END, RECORD_BYTES_MAX};

/// Bytes of a command record's header.
pub(crate) const RECORD_HEADER_BYTES: usize = 24;
/// Bytes of an entry's header.
pub(crate) const ENTRY_HEADER_BYTES: usize = 24;
/// Bytes of a batch's header.
pub(crate) const BATCH_HEADER_BYTES: usize = 36;
/// Format version of entries.
pub(crate) const ENTRY_VERSION: u32 = 1;
/// Offset of the key's hash in a record; its fingerprint is behind it.
pub(crate) const RECORD_HASH_OFFSET: usize = 12;

const ROUTE_GROUP: u32 = 0x8000_0000;

/// The bits of a record's key word that tell the key's length; the others are flags.
pub(crate) const KEY_LENGTH_MASK: u32 = 0x00ff_ffff;

/// Types of events.
pub(crate) mod event_type {
    pub(crate) const ENTRY: u32 = 1;
    pub(crate) const LEADER_CHANGED: u32 = 2;
    pub(crate) const LEADER_READY: u32 = 3;
    pub(crate) const BEGIN_SNAPSHOT: u32 = 4;
    pub(crate) const INSTALL_SNAPSHOT: u32 = 5;
    pub(crate) const SNAPSHOT_CHUNK: u32 = 6;
    pub(crate) const SNAPSHOT_INSTALLED: u32 = 7;
    pub(crate) const COMMANDS_REFUSED: u32 = 8;
    pub(crate) const STORAGE_FAILED: u32 = 9;
    pub(crate) const LOG_LINE: u32 = 10;
    pub(crate) const SNAPSHOT_MAY_CONTINUE: u32 = 11;
    pub(crate) const READ_READY: u32 = 12;
    pub(crate) const MEMBER_WANTED: u32 = 13;
    pub(crate) const MEMBER_REMOVED: u32 = 14;
    pub(crate) const RESULTS_WANTED: u32 = 15;
    pub(crate) const RESULTS: u32 = 16;
    pub(crate) const CALL: u32 = 17;
    pub(crate) const PEER_CHANGED: u32 = 18;
    pub(crate) const STREAM_REFUSED: u32 = 19;
    pub(crate) const PASSED_BY: u32 = 20;
}

/// Where a command is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// To this group.
    Group(u32),
    /// To the group of this keyspace that serves the key.
    Keyspace(u32),
}

/// One command record of a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// The whole record.
    pub(crate) bytes: &'a [u8],
    /// Where it is to go.
    pub(crate) route: Route,
    /// Its request number.
    pub(crate) request: u64,
    /// The bytes of its key.
    pub(crate) key: &'a [u8],
}

/// Why a frame holds no records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record at byte {offset}: {what}")]
pub(crate) struct FrameError {
    offset: usize,
    what: &'static str,
}

/// The records of a frame, checked one by one.
pub(crate) struct Records<'a> {
    frame: &'a [u8],
    offset: usize,
    acknowledged: u64,
}

impl<'a> Records<'a> {
    /// The records of `frame`, whose request numbers count from `acknowledged`.
    pub(crate) fn new(frame: &'a [u8], acknowledged: u64) -> Self {
        Self {
            frame,
            offset: 0,
            acknowledged,
        }
    }

    fn parse(&self) -> Result<Record<'a>, &'static str> {
        let rest = &self.frame[self.offset..];
        if rest.len() < RECORD_HEADER_BYTES {
            return Err("the frame ends within a record's header");
        }
        let length = word(rest, 0) as usize;
        if length < RECORD_HEADER_BYTES || !length.is_multiple_of(4) {
            return Err("a record's length is a multiple of 4, header included");
        }
        if length > RECORD_BYTES_MAX {
            return Err("the record is too long");
        }
        let Some(bytes) = rest.get(..length) else {
            return Err("the frame ends within a record");
        };
        let key_length = (word(bytes, 20) & KEY_LENGTH_MASK) as usize;
        let Some(key) = bytes[RECORD_HEADER_BYTES..].get(..key_length) else {
            return Err("the key is longer than its record");
        };
        let request = self.acknowledged.saturating_add(u64::from(word(bytes, 8)));
        if request >= NUMBER_END {
            return Err("the request number is 2^53 or more");
        }
        let route = word(bytes, 4);
        let route = if route & ROUTE_GROUP == 0 {
            Route::Keyspace(route)
        } else {
            Route::Group(route & !ROUTE_GROUP)
        };
        Ok(Record {
            bytes,
            route,
            request,
            key,
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.offset == self.frame.len() {
            return None;
        }
        match self.parse() {
            Ok(record) => {
                self.offset += record.bytes.len();
                Some(Ok(record))
            }
            Err(what) => {
                let offset = self.offset;
                self.offset = self.frame.len();
                Some(Err(FrameError { offset, what }))
            }
        }
    }
}

/// The 32-bit word at a byte offset that is known to be within `bytes`.
pub(crate) fn word(bytes: &[u8], offset: usize) -> u32 {
    let mut four = [0_u8; 4];
    four.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(four)
}

/// Writes the parts of an event, and its length at the end.
pub(crate) struct EventWriter<'a> {
    into: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> EventWriter<'a> {
    /// Begins an event of this type and group.
    pub(crate) fn begin(into: &'a mut Vec<u8>, event_type: u32, group: u32) -> Self {
        let start = into.len();
        let mut writer = Self { into, start };
        writer.word(0);
        writer.word(event_type);
        writer.word(group);
        writer
    }

    /// Adds a 32-bit word.
    pub(crate) fn word(&mut self, value: u32) {
        self.into.extend_from_slice(&value.to_le_bytes());
    }

    /// Adds a 64-bit number, low word first.
    pub(crate) fn number(&mut self, value: u64) {
        self.into.extend_from_slice(&value.to_le_bytes());
    }

    /// Adds bytes.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.into.extend_from_slice(bytes);
    }

    /// Pads the event and writes its length.
    pub(crate) fn end(self) {
        while !(self.into.len() - self.start).is_multiple_of(4) {
            self.into.push(0);
        }
        let length = (self.into.len() - self.start) as u32;
        self.into[self.start..self.start + 4].copy_from_slice(&length.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(route: u32, offset: u32, key: &[u8], argument: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let length = (24 + key.len() + argument.len()).next_multiple_of(4) as u32;
        for value in [length, route, offset, 0, 0, key.len() as u32 | 1 << 24] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(argument);
        bytes.resize(length as usize, 0);
        bytes
    }

    fn parse(frame: &[u8], acknowledged: u64) -> Result<Vec<Record<'_>>, FrameError> {
        Records::new(frame, acknowledged).collect()
    }

    #[test]
    fn a_record_has_these_bytes() {
        let bytes = record(0x8000_0007, 3, b"key", b"argument");
        let golden = [
            36, 0, 0, 0, 7, 0, 0, 128, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 1, b'k', b'e',
            b'y', b'a', b'r', b'g', b'u', b'm', b'e', b'n', b't', 0,
        ];
        assert_eq!(bytes, golden);
        let records = parse(&golden, 1 << 40).unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].route, Route::Group(7));
        assert_eq!(records[0].request, (1 << 40) + 3);
        assert_eq!(records[0].key, b"key");
        assert_eq!(records[0].bytes, golden);
    }

    #[test]
    fn frames_that_do_not_hold_are_refused() {
        let good = record(5, 0, b"key", b"");
        assert_eq!(parse(&good, 0).unwrap()[0].route, Route::Keyspace(5));
        assert!(parse(&[], 0).unwrap().is_empty());
        for length in 1..good.len() {
            assert!(parse(&good[..length], 0).is_err(), "cut at {length}");
        }
        for length in [0_u32, 4, 23, 25, 27, 32, u32::MAX, u32::MAX - 3] {
            let mut bad = good.clone();
            bad[..4].copy_from_slice(&length.to_le_bytes());
            assert!(parse(&bad, 0).is_err(), "length {length}");
        }
        let mut bad = good.clone();
        bad[20] = 5;
        assert!(parse(&bad, 0).is_err(), "key longer than the record");
        assert!(parse(&good, NUMBER_END).is_err());
        assert!(parse(&good, u64::MAX).is_err());
        let both = [good.clone(), good[..20].to_vec()].concat();
        assert_eq!(parse(&both, 0).unwrap_err().offset, 28);
    }

    #[test]
    fn an_event_has_these_bytes() {
        let mut bytes = vec![9];
        let mut writer = EventWriter::begin(&mut bytes, event_type::SNAPSHOT_CHUNK, 7);
        writer.word(3);
        writer.number(1 << 33);
        writer.bytes(&[1, 2, 3]);
        writer.end();
        let golden = [
            9, 28, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 2, 3, 0,
        ];
        assert_eq!(bytes, golden);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_harm(
            frame in proptest::collection::vec(any::<u8>(), 0..200), acknowledged: u64
        ) {
            if let Ok(records) = parse(&frame, acknowledged) {
                let total: usize = records.iter().map(|record| record.bytes.len()).sum();
                prop_assert_eq!(total, frame.len());
            }
        }

        #[test]
        fn any_words_are_parsed_without_harm(
            words in proptest::collection::vec(prop_oneof![0_u32..64, any::<u32>()], 0..60)
        ) {
            let frame: Vec<u8> = words.iter().flat_map(|value| value.to_le_bytes()).collect();
            if let Ok(records) = parse(&frame, 0) {
                prop_assert!(records.iter().all(|record| record.key.len() <= record.bytes.len()));
            }
        }
    }
}
