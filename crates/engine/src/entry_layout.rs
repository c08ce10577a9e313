//! Whether the commands of an entry that another node sent hold to their layout: hosts read them
//! word by word and rely on it. ARCHITECTURE.md has the tables.

use crate::frames::{
    BATCH_HEADER_BYTES, ENTRY_HEADER_BYTES, ENTRY_VERSION, KEY_LENGTH_MASK, RECORD_HEADER_BYTES,
    word,
};
use crate::limits::NUMBER_END;

/// Whether an entry holds to its layout, with keys within their records and numbers within 2^53.
pub(crate) fn is_whole(entry: &[u8]) -> bool {
    if entry.len() < ENTRY_HEADER_BYTES || word(entry, 0) != ENTRY_VERSION {
        return false;
    }
    let mut rest = &entry[ENTRY_HEADER_BYTES..];
    for _ in 0..word(entry, 4) {
        let Some((batch, later)) = split(rest, BATCH_HEADER_BYTES) else {
            return false;
        };
        if !is_whole_batch(batch) {
            return false;
        }
        rest = later;
    }
    rest.is_empty()
}

fn is_whole_batch(batch: &[u8]) -> bool {
    let (node, number, acknowledged) = (long(batch, 4), long(batch, 16), long(batch, 24));
    if node >= NUMBER_END || number >= NUMBER_END || acknowledged >= NUMBER_END {
        return false;
    }
    let mut records = &batch[BATCH_HEADER_BYTES..];
    for _ in 0..word(batch, BATCH_HEADER_BYTES - 4) {
        let Some((record, later)) = split(records, RECORD_HEADER_BYTES) else {
            return false;
        };
        let key_bytes = (word(record, 20) & KEY_LENGTH_MASK) as usize;
        let request = acknowledged + u64::from(word(record, 8));
        if key_bytes > record.len() - RECORD_HEADER_BYTES || request >= NUMBER_END {
            return false;
        }
        records = later;
    }
    records.is_empty()
}

fn long(bytes: &[u8], offset: usize) -> u64 {
    u64::from(word(bytes, offset)) | u64::from(word(bytes, offset + 4)) << 32
}

fn split(bytes: &[u8], least: usize) -> Option<(&[u8], &[u8])> {
    if bytes.len() < least {
        return None;
    }
    let length = word(bytes, 0) as usize;
    if length < least || !length.is_multiple_of(4) {
        return None;
    }
    bytes.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RECORD: usize = ENTRY_HEADER_BYTES + BATCH_HEADER_BYTES;

    fn entry() -> Vec<u8> {
        let mut entry = vec![0; RECORD + RECORD_HEADER_BYTES];
        let mut put = |offset: usize, value: usize| {
            entry[offset..offset + 4].copy_from_slice(&(value as u32).to_le_bytes());
        };
        put(0, 1);
        put(4, 1);
        put(ENTRY_HEADER_BYTES, BATCH_HEADER_BYTES + RECORD_HEADER_BYTES);
        put(RECORD - 4, 1);
        put(RECORD, RECORD_HEADER_BYTES);
        entry
    }

    #[test]
    fn entries_that_do_not_hold_are_refused() {
        let entry = entry();
        assert!(is_whole(&entry));
        for length in 0..entry.len() {
            assert!(!is_whole(&entry[..length]), "cut at {length}");
        }
        for offset in [0, 4, ENTRY_HEADER_BYTES, RECORD - 4, RECORD] {
            for value in [2_u32, 3, u32::MAX] {
                let mut bad = entry.clone();
                bad[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
                assert!(!is_whole(&bad), "{value} at {offset}");
            }
        }
    }

    #[test]
    fn keys_beyond_their_record_and_numbers_beyond_all_are_refused() {
        for (offset, value, what) in [
            (RECORD + 20, 1, "a key"),
            (ENTRY_HEADER_BYTES + 8, 1 << 21, "a node"),
            (ENTRY_HEADER_BYTES + 20, 1 << 21, "a batch's number"),
            (ENTRY_HEADER_BYTES + 28, 1 << 21, "an acknowledgement"),
        ] {
            let mut bad = entry();
            bad[offset..offset + 4].copy_from_slice(&u32::to_le_bytes(value));
            assert!(!is_whole(&bad), "{what}");
        }
        let mut last = entry();
        let acknowledged = ENTRY_HEADER_BYTES + 24;
        last[acknowledged..acknowledged + 8].copy_from_slice(&(NUMBER_END - 1).to_le_bytes());
        assert!(is_whole(&last));
        last[RECORD + 8] = 1;
        assert!(!is_whole(&last), "a request");
    }

    proptest! {
        #[test]
        fn any_words_are_looked_at_without_harm(
            words in proptest::collection::vec(prop_oneof![0_u32..100, any::<u32>()], 0..60)
        ) {
            let mut bytes: Vec<u8> = words.iter().flat_map(|value| value.to_le_bytes()).collect();
            is_whole(&bytes);
            if bytes.len() >= 4 {
                bytes[..4].copy_from_slice(&ENTRY_VERSION.to_le_bytes());
                is_whole(&bytes);
            }
        }

        #[test]
        fn damaged_entries_are_looked_at_without_harm(
            at in any::<proptest::sample::Index>(), value: u8
        ) {
            let mut bytes = entry();
            let at = at.index(bytes.len());
            bytes[at] = value;
            is_whole(&bytes);
        }
    }
}
