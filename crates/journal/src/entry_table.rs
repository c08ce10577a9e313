//! Where a group's entries are: a place in the rounds for each, and the newest ones in memory.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::record::Place;

/// The entries of one group, without gaps. Those in memory are always the newest.
#[derive(Debug, Default)]
pub(crate) struct EntryTable {
    first: u64,
    places: VecDeque<Place>,
    cached: VecDeque<Bytes>,
    bytes: u64,
    cached_bytes: u64,
}

impl EntryTable {
    /// Entries found at opening, none of them in memory.
    pub(crate) fn restored(first: u64, places: VecDeque<Place>) -> EntryTable {
        let bytes = places.iter().map(|place| u64::from(place.bytes)).sum();
        EntryTable {
            first,
            places,
            cached: VecDeque::new(),
            bytes,
            cached_bytes: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Index of the oldest entry.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Index after the newest entry.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.places.len() as u64
    }

    /// Bytes of all entries.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of the entries in memory.
    pub(crate) fn cached_bytes(&self) -> u64 {
        self.cached_bytes
    }

    fn position(&self, index: u64) -> Option<usize> {
        let position = index.checked_sub(self.first)? as usize;
        (position < self.places.len()).then_some(position)
    }

    /// Where the entry at `index` is.
    pub(crate) fn place(&self, index: u64) -> Option<Place> {
        self.position(index).map(|position| self.places[position])
    }

    /// The entry at `index`, if it is in memory.
    pub(crate) fn cached(&self, index: u64) -> Option<&Bytes> {
        let position = self.position(index)?;
        self.cached
            .get(position.checked_sub(self.places.len() - self.cached.len())?)
    }

    /// Adds the entry at `index`, which is the end, or anything if the table is empty.
    pub(crate) fn push(&mut self, index: u64, place: Place, entry: Bytes) {
        if self.places.is_empty() {
            self.first = index;
        }
        self.bytes += entry.len() as u64;
        self.cached_bytes += entry.len() as u64;
        self.places.push_back(place);
        self.cached.push_back(entry);
    }

    /// The entry at `index` is at `place` now.
    pub(crate) fn relocate(&mut self, index: u64, place: Place) {
        if let Some(position) = self.position(index) {
            self.places[position] = place;
        }
    }

    /// Drops the newest entry, if its index is at least `index`, and returns where it was.
    pub(crate) fn pop_back_from(&mut self, index: u64) -> Option<Place> {
        if self.end() <= index {
            return None;
        }
        let place = self.places.pop_back()?;
        self.bytes -= u64::from(place.bytes);
        if let Some(entry) = self.cached.pop_back() {
            self.cached_bytes -= entry.len() as u64;
        }
        Some(place)
    }

    /// Drops the oldest entry, if its index is at most `index`, and returns where it was.
    pub(crate) fn pop_front_to(&mut self, index: u64) -> Option<Place> {
        if self.first > index {
            return None;
        }
        if self.cached.len() == self.places.len() {
            self.drop_oldest_cached();
        }
        let place = self.places.pop_front()?;
        self.bytes -= u64::from(place.bytes);
        self.first += 1;
        Some(place)
    }

    fn drop_oldest_cached(&mut self) {
        if let Some(entry) = self.cached.pop_front() {
            self.cached_bytes -= entry.len() as u64;
        }
    }

    /// Lets go of the entries in memory below `end` that are in round `written` or older. Returns
    /// whether some below `end` had to stay.
    pub(crate) fn uncache(&mut self, end: u64, written: u64) -> bool {
        while !self.cached.is_empty() {
            let position = self.places.len() - self.cached.len();
            if self.first + position as u64 >= end {
                return false;
            }
            if self.places[position].round > written {
                return true;
            }
            self.drop_oldest_cached();
        }
        false
    }

    /// Where all entries are.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.places.iter().copied()
    }
}
