//! The route table of one keyspace: which group serves a hash.

use crate::hash::HASH_SPACE;

/// A table that may not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Each start needs its group.
    #[error("{starts} starts but {groups} groups")]
    LengthsDiffer {
        /// How many starts were given.
        starts: usize,
        /// How many groups were given.
        groups: usize,
    },
    /// Starts must rise.
    #[error("start number {position} is not above the one before it")]
    NotRising {
        /// Which start, counted from 0.
        position: usize,
    },
    /// Starts are hashes.
    #[error("start number {position} is outside the hash space")]
    OutsideSpace {
        /// Which start, counted from 0.
        position: usize,
    },
}

/// Rising starts of ranges, each with its group; a range ends where the next one starts, the last
/// at the end of the hash space. Hashes below the first start have no group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteTable {
    starts: Box<[u32]>,
    groups: Box<[u32]>,
}

impl RouteTable {
    /// A table of these starts and their groups.
    pub fn new(starts: &[u32], groups: &[u32]) -> Result<Self, RouteError> {
        if starts.len() != groups.len() {
            return Err(RouteError::LengthsDiffer {
                starts: starts.len(),
                groups: groups.len(),
            });
        }
        for (position, &start) in starts.iter().enumerate() {
            if start >= HASH_SPACE {
                return Err(RouteError::OutsideSpace { position });
            }
            if position > 0 && starts[position - 1] >= start {
                return Err(RouteError::NotRising { position });
            }
        }
        Ok(Self {
            starts: starts.into(),
            groups: groups.into(),
        })
    }

    /// The group that serves this hash.
    #[must_use]
    pub fn find(&self, hash: u32) -> Option<u32> {
        if hash >= HASH_SPACE {
            return None;
        }
        let behind = self.starts.partition_point(|&start| start <= hash);
        behind.checked_sub(1).map(|position| self.groups[position])
    }

    /// How many ranges the table has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether the table has no range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_no_table() {
        assert_eq!(
            RouteTable::new(&[0, 1], &[9]),
            Err(RouteError::LengthsDiffer {
                starts: 2,
                groups: 1
            })
        );
        assert_eq!(
            RouteTable::new(&[0, 5, 5], &[1, 2, 3]),
            Err(RouteError::NotRising { position: 2 })
        );
        assert_eq!(
            RouteTable::new(&[HASH_SPACE], &[1]),
            Err(RouteError::OutsideSpace { position: 0 })
        );
    }

    #[test]
    fn finds_nothing_below_the_first_start_or_outside_the_space() {
        let table = RouteTable::new(&[10, 20], &[1, 2]).unwrap();
        assert_eq!(
            [9, 10, 19, 20].map(|hash| table.find(hash)),
            [None, Some(1), Some(1), Some(2)]
        );
        assert_eq!(table.find(HASH_SPACE - 1), Some(2));
        assert_eq!(table.find(HASH_SPACE), None);
        assert_eq!(RouteTable::default().find(0), None);
    }

    proptest! {
        #[test]
        fn agrees_with_a_search_from_the_front(
            starts in proptest::collection::btree_set(0..HASH_SPACE, 0..50), hash in 0..HASH_SPACE
        ) {
            let starts: Vec<u32> = starts.into_iter().collect();
            let groups: Vec<u32> = (100..).take(starts.len()).collect();
            let expected = starts.iter().rposition(|start| *start <= hash)
                .map(|position| groups[position]);
            prop_assert_eq!(RouteTable::new(&starts, &groups).unwrap().find(hash), expected);
        }
    }
}
