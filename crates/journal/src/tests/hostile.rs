//! Rounds of any content, under a checksum that fits: recovery ends with a journal or says what is
//! damaged. It neither panics nor takes memory out of proportion.

use proptest::prelude::*;

use crate::JournalError;
use crate::chunk::{CHUNK_CONTENT_BYTES, chunk_count, encode_chunk};
use crate::limits::{ENTRY_GAP_MAX, INDEX_END};
use crate::record::{RecordKind, encode_record};
use crate::recovery::recover;
use crate::store::RoundStore;
use crate::store::memory::MemoryStore;

const KINDS: [RecordKind; 9] = [
    RecordKind::Entry,
    RecordKind::Truncate,
    RecordKind::Purge,
    RecordKind::Vote,
    RecordKind::Committed,
    RecordKind::Descriptor,
    RecordKind::Snapshot,
    RecordKind::Removed,
    RecordKind::Identity,
];

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0_u64..6,
        INDEX_END - 2..INDEX_END + 2,
        u64::MAX - 2..=u64::MAX,
        any::<u64>(),
    ]
}

/// Rounds of records of any kind, in any order, with any numbers.
fn rounds() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let content = proptest::collection::vec(any::<u8>(), 0..20);
    let record =
        (0..KINDS.len(), 0_u32..3, number(), content).prop_map(|(kind, group, number, content)| {
            let mut bytes = Vec::new();
            encode_record(&mut bytes, KINDS[kind], group, number, &[&content]);
            bytes
        });
    let records = proptest::collection::vec(record, 0..12).prop_map(|records| records.concat());
    let bytes = proptest::collection::vec(any::<u8>(), 0..60);
    proptest::collection::vec(prop_oneof![4 => records, 1 => bytes], 1..4)
}

fn stored(rounds: &[Vec<u8>], floor: u64) -> MemoryStore {
    let store = MemoryStore::default();
    for (at, bytes) in rounds.iter().enumerate() {
        let round = at as u64 + 1;
        let chunks = chunk_count(bytes.len() as u64);
        for chunk in 0..chunks {
            let from = chunk as usize * CHUNK_CONTENT_BYTES;
            let content = &bytes[from..bytes.len().min(from + CHUNK_CONTENT_BYTES)];
            let mut value = Vec::new();
            encode_chunk(&mut value, round, chunk, chunks, floor, content);
            store.write(round, chunk, &value).unwrap();
        }
    }
    store
}

proptest! {
    #[test]
    fn rounds_of_any_records_are_recovered_or_refused(rounds in rounds(), floor in 0_u64..5) {
        match recover(&stored(&rounds, floor)).map(drop) {
            Ok(()) | Err(JournalError::Corrupted { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn chunks_of_any_bytes_are_refused(
        value in proptest::collection::vec(any::<u8>(), 0..100), round in 0_u64..3, chunk in 0_u32..3
    ) {
        let store = MemoryStore::default();
        store.write(round, chunk, &value).unwrap();
        // One that is too short is a torn tail, and dropped.
        if let Err(error) = recover(&store).map(drop) {
            prop_assert!(
                matches!(error, JournalError::Corrupted { .. } | JournalError::FormatVersion { .. }),
                "{:?}", error
            );
        }
    }
}

#[test]
fn entries_that_are_too_far_apart_are_damage() {
    let entries = |indices: &[u64]| {
        let mut bytes = Vec::new();
        for index in indices {
            encode_record(&mut bytes, RecordKind::Entry, 1, *index, &[b"entry"]);
        }
        recover(&stored(&[bytes], 1)).map(drop)
    };
    entries(&[5, 6, 4]).unwrap();
    let far = 7 + 2 * ENTRY_GAP_MAX;
    for indices in [&[5, far][..], &[far, 5], &[INDEX_END], &[u64::MAX, 1]] {
        let error = entries(indices).unwrap_err();
        assert!(error.to_string().contains("impossible index"), "{error}");
    }
}
