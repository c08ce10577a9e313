//! A model of the journal: what it must hold after each operation.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{GroupState, Journal};

/// What a journal holds of a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ModelGroup {
    pub vote: Option<Bytes>,
    pub committed: Option<Bytes>,
    pub descriptor: Option<Bytes>,
    pub purged: Option<(u64, Bytes)>,
    pub first: u64,
    pub entries: Vec<Bytes>,
    pub snapshot: Option<(Bytes, Vec<Bytes>)>,
}

impl ModelGroup {
    pub fn next_index(&self) -> u64 {
        if self.entries.is_empty() {
            self.purged.as_ref().map_or(0, |purged| purged.0 + 1)
        } else {
            self.first + self.entries.len() as u64
        }
    }

    pub fn first_index(&self) -> u64 {
        if self.entries.is_empty() {
            self.next_index()
        } else {
            self.first
        }
    }

    pub fn append(&mut self, first: u64, entries: &[Bytes]) {
        self.truncate(first);
        if self.entries.is_empty() {
            self.first = first;
        }
        self.entries.extend_from_slice(entries);
    }

    pub fn truncate(&mut self, index: u64) {
        self.entries
            .truncate(index.saturating_sub(self.first_index()) as usize);
    }

    pub fn purge(&mut self, up_to: u64, log_id: Bytes) {
        if self.purged.as_ref().is_some_and(|purged| purged.0 >= up_to) {
            return;
        }
        let dropped = (up_to + 1).saturating_sub(self.first_index()) as usize;
        self.entries.drain(..dropped.min(self.entries.len()));
        self.purged = Some((up_to, log_id));
        self.first = up_to + 1;
    }
}

/// What a journal holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Model {
    pub identity: Option<Bytes>,
    pub groups: BTreeMap<u32, ModelGroup>,
}

impl Model {
    /// What `journal` holds, read through its public functions alone.
    pub fn read(journal: &Journal, groups: &[u32]) -> Model {
        let mut model = Model {
            identity: journal.identity(),
            ..Model::default()
        };
        for &group in groups {
            let read = read_group(journal, group);
            if read != ModelGroup::default() {
                model.groups.insert(group, read);
            }
        }
        model
    }

    /// The model without what is not stored.
    pub fn stored(&self) -> Model {
        let mut model = self.clone();
        model.groups.retain(|_, group| {
            if group.entries.is_empty() {
                group.first = 0;
            }
            *group != ModelGroup::default()
        });
        model
    }
}

fn read_group(journal: &Journal, group: u32) -> ModelGroup {
    let log = journal.group(group);
    let GroupState {
        vote,
        committed,
        descriptor,
        purged,
        first_index,
        next_index,
        snapshot,
    } = log.state();
    assert_eq!(journal.groups().contains(&group), descriptor.is_some());
    // Small answers, so that reading is resumed within chunks and across rounds.
    let mut entries = Vec::new();
    let mut index = first_index;
    while index < next_index {
        let read = log.entries(index..next_index, 300).unwrap();
        assert!(
            !read.is_empty(),
            "entry {index} of group {group} is not there"
        );
        index += read.len() as u64;
        entries.extend(read);
    }
    assert_eq!(log.last_entry().unwrap(), entries.last().cloned());
    assert_eq!(
        log.log_bytes(),
        entries.iter().map(|entry| entry.len() as u64).sum::<u64>()
    );
    let first = if entries.is_empty() { 0 } else { first_index };
    let snapshot = snapshot.map(|info| {
        let mut reader = log.read_snapshot().unwrap().unwrap();
        let mut pieces = Vec::new();
        while let Some(piece) = reader.next().unwrap() {
            pieces.push(piece);
        }
        assert_eq!(
            pieces.iter().map(|piece| piece.len() as u64).sum::<u64>(),
            info.bytes
        );
        (info.meta, pieces)
    });
    ModelGroup {
        vote,
        committed,
        descriptor,
        purged,
        first,
        entries,
        snapshot,
    }
}
