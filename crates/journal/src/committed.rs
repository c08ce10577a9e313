//! Committed marks: they ride along with the next round and never start one by themselves.

use std::collections::HashMap;

use bytes::Bytes;

use crate::ledger::Ledger;
use crate::record::{Place, RecordKind, encode_record};
use crate::round::Round;

#[derive(Clone, Debug)]
struct Committed {
    value: Bytes,
    /// Where the value, or an older one, was written.
    place: Option<Place>,
    waits: bool,
}

/// The committed marks of all groups.
#[derive(Debug, Default)]
pub(crate) struct CommittedMarks {
    marks: HashMap<u32, Committed>,
    waiting: Vec<u32>,
}

impl CommittedMarks {
    /// The mark of a group.
    pub(crate) fn get(&self, group: u32) -> Option<Bytes> {
        self.marks.get(&group).map(|mark| mark.value.clone())
    }

    /// Where the mark of a group was written, for the cleaning of old rounds.
    pub(crate) fn place(&self, group: u32) -> Option<Place> {
        self.marks.get(&group).and_then(|mark| mark.place)
    }

    /// Whether a mark waits for a round.
    pub(crate) fn any_waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes a mark found at opening.
    pub(crate) fn restore(&mut self, group: u32, value: Bytes, place: Place) {
        self.marks.insert(
            group,
            Committed {
                value,
                place: Some(place),
                waits: false,
            },
        );
    }

    /// Sets the mark of a group; it goes into the next round.
    pub(crate) fn set(&mut self, group: u32, value: Bytes) {
        let mark = self.marks.entry(group).or_insert_with(|| Committed {
            value: Bytes::new(),
            place: None,
            waits: false,
        });
        mark.value = value;
        if !mark.waits {
            mark.waits = true;
            self.waiting.push(group);
        }
    }

    /// Has the mark written again, because its round is to go.
    pub(crate) fn renew(&mut self, group: u32) {
        if let Some(mark) = self.marks.get(&group) {
            let value = mark.value.clone();
            self.set(group, value);
        }
    }

    /// Forgets the mark of a removed group.
    pub(crate) fn forget(&mut self, group: u32, ledger: &mut Ledger) {
        if let Some(place) = self.marks.remove(&group).and_then(|mark| mark.place) {
            ledger.release(place);
        }
        self.waiting.retain(|waiting| *waiting != group);
    }

    /// Adds the marks that wait to `round`.
    pub(crate) fn write_into(&mut self, round: &mut Round, ledger: &mut Ledger) {
        for group in self.waiting.drain(..) {
            let Some(mark) = self.marks.get_mut(&group) else {
                continue;
            };
            let place = Place {
                round: round.number,
                offset: round.bytes.len() as u32,
                bytes: mark.value.len() as u32,
            };
            encode_record(
                &mut round.bytes,
                RecordKind::Committed,
                group,
                0,
                &[&mark.value],
            );
            round.records += 1;
            ledger.add(place);
            if let Some(old) = mark.place.replace(place) {
                ledger.release(old);
            }
            mark.waits = false;
        }
    }

    /// Every written mark, to count what is needed at opening.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.marks.values().filter_map(|mark| mark.place)
    }
}
