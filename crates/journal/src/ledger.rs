//! The ledger: how much of each round is still needed, and which rounds may go.
//!
//! Rounds go from the oldest on, without gaps, so that a record is never gone while an older one
//! that it overrules is still there.

use std::collections::VecDeque;

use crate::chunk::chunk_count;
use crate::record::Place;

#[derive(Clone, Copy, Debug, Default)]
struct RoundUse {
    bytes: u32,
    live_bytes: u32,
    live_records: u32,
}

/// A round that is needed no more: its number and its chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retired {
    pub round: u64,
    pub chunks: u32,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Ledger {
    first: u64,
    rounds: VecDeque<RoundUse>,
    bytes: u64,
    live_bytes: u64,
    retired: VecDeque<Retired>,
}

impl Ledger {
    /// The ledger of a journal whose oldest needed round is `first`.
    pub(crate) fn new(first: u64) -> Ledger {
        Ledger {
            first,
            rounds: VecDeque::new(),
            bytes: 0,
            live_bytes: 0,
            retired: VecDeque::new(),
        }
    }

    fn at(&mut self, round: u64) -> &mut RoundUse {
        let position = (round - self.first) as usize;
        while self.rounds.len() <= position {
            self.rounds.push_back(RoundUse::default());
        }
        &mut self.rounds[position]
    }

    /// The record at `place` is needed.
    pub(crate) fn add(&mut self, place: Place) {
        let bytes = place.record_bytes();
        let round = self.at(place.round);
        round.live_bytes += bytes as u32;
        round.live_records += 1;
        self.live_bytes += bytes;
    }

    /// The record at `place` is needed no more.
    pub(crate) fn release(&mut self, place: Place) {
        let bytes = place.record_bytes();
        let round = self.at(place.round);
        round.live_bytes -= bytes as u32;
        round.live_records -= 1;
        self.live_bytes -= bytes;
    }

    /// `round` is complete and has `bytes` of records.
    pub(crate) fn seal(&mut self, round: u64, bytes: usize) {
        self.at(round).bytes = bytes as u32;
        self.bytes += bytes as u64;
    }

    /// Retires the oldest rounds that nothing needs, up to but without `limit`, and returns the
    /// oldest that is left.
    pub(crate) fn retire(&mut self, limit: u64) -> u64 {
        while let Some(front) = self.rounds.front() {
            if self.first >= limit || front.live_records > 0 {
                break;
            }
            self.bytes -= u64::from(front.bytes);
            let chunks = chunk_count(u64::from(front.bytes));
            self.retired.push_back(Retired {
                round: self.first,
                chunks,
            });
            self.rounds.pop_front();
            self.first += 1;
        }
        self.first
    }

    /// Notes a round found in the store that was needed no more before.
    pub(crate) fn note_retired(&mut self, retired: Retired) {
        self.retired.push_back(retired);
    }

    /// Takes the oldest retired round, if it is below `limit`.
    pub(crate) fn take_retired(&mut self, limit: u64) -> Option<Retired> {
        if self.retired.front()?.round >= limit {
            return None;
        }
        self.retired.pop_front()
    }

    /// Whether a retired round below `limit` waits to be removed.
    pub(crate) fn has_retired(&self, limit: u64) -> bool {
        self.retired
            .front()
            .is_some_and(|retired| retired.round < limit)
    }

    /// Bytes of the needed records.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Bytes of the records in rounds that have to stay, although nothing needs the records.
    pub(crate) fn dead_bytes(&self) -> u64 {
        // The round that is being filled counts its live records before its size is known.
        self.bytes.saturating_sub(self.live_bytes)
    }

    /// Bytes of the oldest rounds that could be retired, counted up to `enough`.
    pub(crate) fn retirable_bytes(&self, limit: u64, enough: u64) -> u64 {
        let mut bytes = 0;
        let numbered = (self.first..limit).zip(&self.rounds);
        for (_, round) in numbered.take_while(|(_, round)| round.live_records == 0) {
            bytes += u64::from(round.bytes);
            if bytes >= enough {
                break;
            }
        }
        bytes
    }

    /// The oldest rounds up to `limit` that still hold something needed, with their sizes.
    pub(crate) fn oldest_live(&self, limit: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        (self.first..=limit)
            .zip(&self.rounds)
            .filter(|(_, round)| round.live_records > 0)
            .map(|(number, round)| (number, u64::from(round.bytes)))
    }
}
