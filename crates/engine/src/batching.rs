//! Commands of one group on their way into a log entry.
//!
//! All that waits for a group becomes one entry, up to [`ENTRY_BYTES_MAX`] and
//! [`ENTRY_COMMANDS_MAX`]. The entry is built in place, behind the room that its stored form needs
//! for a header, so that its bytes are not copied again before the journal takes them.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use raft_kv_routing::KeyHash;

use crate::frames::{
    BATCH_HEADER_BYTES, ENTRY_HEADER_BYTES, ENTRY_VERSION, RECORD_HASH_OFFSET, Record,
};
use crate::limits::{ENTRY_BYTES_MAX, ENTRY_COMMANDS_MAX};
use crate::raft::codec::STORED_HEADER_BYTES;
use crate::world::World;

/// Who sends commands: this node in this incarnation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    /// The node.
    pub(crate) node: u64,
    /// Its incarnation.
    pub(crate) incarnation: u32,
}

/// An entry that is ready to be proposed.
#[derive(Debug)]
pub(crate) struct Proposal {
    /// Room for the stored header, then the entry.
    pub(crate) stored: Bytes,
    /// The request numbers of its commands.
    pub(crate) requests: Vec<u64>,
    /// What its records add to the bytes under way.
    pub(crate) record_bytes: usize,
}

struct Builder {
    buffer: BytesMut,
    requests: Vec<u64>,
    record_bytes: usize,
    batches: u32,
    batch: usize,
    batch_records: u32,
    batch_acknowledged: u64,
}

impl Builder {
    fn new(capacity: usize) -> Self {
        let mut buffer = BytesMut::with_capacity(capacity);
        buffer.resize(STORED_HEADER_BYTES + ENTRY_HEADER_BYTES, 0);
        Self {
            buffer,
            requests: Vec::new(),
            record_bytes: 0,
            batches: 0,
            batch: 0,
            batch_records: 0,
            batch_acknowledged: 0,
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.requests.is_empty()
            || (self.requests.len() < ENTRY_COMMANDS_MAX
                && self.buffer.len() + bytes <= ENTRY_BYTES_MAX)
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.buffer[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn begin_batch(&mut self, session: Session, number: u64, acknowledged: u64) {
        self.end_batch();
        self.batch = self.buffer.len();
        self.batches += 1;
        self.batch_records = 0;
        self.batch_acknowledged = acknowledged;
        self.buffer.extend_from_slice(&[0; 4]);
        self.buffer.extend_from_slice(&session.node.to_le_bytes());
        self.buffer
            .extend_from_slice(&session.incarnation.to_le_bytes());
        self.buffer.extend_from_slice(&number.to_le_bytes());
        self.buffer.extend_from_slice(&acknowledged.to_le_bytes());
        self.buffer.extend_from_slice(&[0; 4]);
    }

    fn end_batch(&mut self) {
        if self.batches > 0 {
            let length = (self.buffer.len() - self.batch) as u32;
            self.put(self.batch, &length.to_le_bytes());
            let records = self.batch_records;
            self.put(self.batch + BATCH_HEADER_BYTES - 4, &records.to_le_bytes());
        }
    }

    fn push(&mut self, record: &Record<'_>, hash: Option<KeyHash>) {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(record.bytes);
        if let Some(hash) = hash {
            self.put(start + RECORD_HASH_OFFSET, &hash.hash.to_le_bytes());
            self.put(
                start + RECORD_HASH_OFFSET + 4,
                &hash.fingerprint.to_le_bytes(),
            );
        }
        self.batch_records += 1;
        self.record_bytes += record.bytes.len();
        self.requests.push(record.request);
    }

    fn finish(mut self, world: &World) -> Proposal {
        self.end_batch();
        let now_ms = world.time_of_day_ms();
        let entry = STORED_HEADER_BYTES;
        self.put(entry, &ENTRY_VERSION.to_le_bytes());
        let batches = self.batches;
        self.put(entry + 4, &batches.to_le_bytes());
        self.put(entry + 8, &now_ms.to_le_bytes());
        self.put(entry + 16, &world.random().to_le_bytes());
        Proposal {
            stored: self.buffer.freeze(),
            requests: self.requests,
            record_bytes: self.record_bytes,
        }
    }
}

/// What waits for one group.
pub(crate) struct Pending {
    world: World,
    full: VecDeque<Proposal>,
    open: Option<Builder>,
    capacity: usize,
}

/// Where a command comes from, for the batch that it goes into.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// Who sends it.
    pub(crate) session: Session,
    /// The lowest request number that is not settled.
    pub(crate) acknowledged: u64,
}

impl Pending {
    /// Nothing yet.
    pub(crate) fn new(world: World) -> Self {
        Self {
            world,
            full: VecDeque::new(),
            open: None,
            capacity: 0,
        }
    }

    /// Adds a command; `next_batch` numbers a batch if one has to be begun.
    pub(crate) fn push(
        &mut self,
        record: &Record<'_>,
        hash: Option<KeyHash>,
        origin: Origin,
        next_batch: impl FnOnce() -> u64,
    ) {
        if self
            .open
            .as_ref()
            .is_some_and(|builder| !builder.has_room(record.bytes.len()))
        {
            let full = self.open.take();
            self.full.extend(full.map(|it| it.finish(&self.world)));
        }
        let capacity = self.capacity;
        let builder = self.open.get_or_insert_with(|| Builder::new(capacity));
        if builder.batches == 0 || builder.batch_acknowledged != origin.acknowledged {
            builder.begin_batch(origin.session, next_batch(), origin.acknowledged);
        }
        builder.push(record, hash);
    }

    /// Takes the next entry to propose.
    pub(crate) fn take(&mut self) -> Option<Proposal> {
        let proposal = match self.full.pop_front() {
            Some(proposal) => proposal,
            None => self.open.take()?.finish(&self.world),
        };
        self.capacity = proposal.stored.len().min(ENTRY_BYTES_MAX);
        Some(proposal)
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.full.is_empty() && self.open.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{Records, word};

    fn frame(count: u32, argument: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in 0..count {
            let length = (24 + 4 + argument).next_multiple_of(4) as u32;
            for value in [length, 1, number, 0, 0, 4] {
                bytes.extend_from_slice(&value.to_le_bytes());
            }
            bytes.extend_from_slice(&number.to_le_bytes());
            bytes.resize(bytes.len() + length as usize - 28, 7);
        }
        bytes
    }

    fn fill(pending: &mut Pending, frame: &[u8], acknowledged: u64, batches: &mut u64) {
        let session = Session {
            node: 0x1_0000_0002,
            incarnation: 3,
        };
        let hash = Some(KeyHash {
            hash: 0xaa,
            fingerprint: 0xbb,
        });
        for record in Records::new(frame, acknowledged) {
            pending.push(
                &record.unwrap(),
                hash,
                Origin {
                    session,
                    acknowledged,
                },
                || {
                    *batches += 1;
                    *batches
                },
            );
        }
    }

    #[test]
    fn an_entry_has_these_bytes() {
        let mut pending = Pending::new(World::default());
        let mut batches = 0;
        fill(&mut pending, &frame(2, 0), 5, &mut batches);
        fill(&mut pending, &frame(1, 0), 6, &mut batches);
        let proposal = pending.take().unwrap();
        assert!(pending.is_empty() && pending.take().is_none());
        assert_eq!(proposal.requests, [5, 6, 6]);
        assert_eq!(proposal.record_bytes, 84);
        let entry = &proposal.stored[STORED_HEADER_BYTES..];
        assert_eq!(&entry[..8], [1, 0, 0, 0, 2, 0, 0, 0]);
        let golden_batch = [
            92, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0,
            0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xaa, 0, 0, 0, 0xbb, 0, 0, 0,
            4, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(&entry[24..24 + golden_batch.len()], golden_batch);
        let second = &entry[24 + 92..];
        assert_eq!(
            [word(second, 0), word(second, 16), word(second, 24)],
            [64, 2, 6]
        );
        assert_eq!(entry.len(), 24 + 92 + 64);
    }

    #[test]
    fn entries_are_bounded_in_bytes_and_commands() {
        let mut pending = Pending::new(World::default());
        fill(&mut pending, &frame(100, ENTRY_BYTES_MAX / 10), 0, &mut 0);
        let mut requests = Vec::new();
        while let Some(proposal) = pending.take() {
            assert!(proposal.stored.len() <= ENTRY_BYTES_MAX);
            requests.extend(proposal.requests);
        }
        assert!(requests.iter().copied().eq(0..100), "{requests:?}");

        fill(&mut pending, &frame(2, 2 * ENTRY_BYTES_MAX), 0, &mut 0);
        assert_eq!(pending.take().unwrap().requests, [0]);
        assert_eq!(pending.take().unwrap().requests, [1]);

        fill(
            &mut pending,
            &frame(ENTRY_COMMANDS_MAX as u32 + 1, 0),
            0,
            &mut 0,
        );
        assert_eq!(pending.take().unwrap().requests.len(), ENTRY_COMMANDS_MAX);
        assert_eq!(pending.take().unwrap().requests.len(), 1);
    }
}
