//! Half-open ranges of hashes: `[start, end)`, never empty.

use crate::hash::HASH_SPACE;

/// A range that may not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("[{start}, {end}) is not a range of hashes: start < end <= {HASH_SPACE} must hold")]
pub struct RangeError {
    /// The start that was given.
    pub start: u32,
    /// The end that was given.
    pub end: u32,
}

/// The hashes from `start` up to, but without, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HashRange {
    start: u32,
    end: u32,
}

impl HashRange {
    /// The whole hash space.
    pub const FULL: Self = Self {
        start: 0,
        end: HASH_SPACE,
    };

    /// A range; refused when it is empty or leaves the hash space.
    pub fn new(start: u32, end: u32) -> Result<Self, RangeError> {
        if start < end && end <= HASH_SPACE {
            Ok(Self { start, end })
        } else {
            Err(RangeError { start, end })
        }
    }

    /// The first hash of the range.
    #[must_use]
    pub fn start(&self) -> u32 {
        self.start
    }

    /// The first hash behind the range.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.end
    }

    /// How many hashes the range holds; at least one.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.end - self.start
    }

    /// Whether the range holds this hash.
    #[must_use]
    pub fn contains(&self, hash: u32) -> bool {
        self.start <= hash && hash < self.end
    }

    /// Whether the two ranges share a hash.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Where the range splits into two halves; `None` for a range of a single hash.
    #[must_use]
    pub fn midpoint(&self) -> Option<u32> {
        (self.width() > 1).then(|| self.start + self.width() / 2)
    }

    /// The two parts of the range around `at`; `None` when one of them would be empty.
    #[must_use]
    pub fn split(&self, at: u32) -> Option<(Self, Self)> {
        (self.start < at && at < self.end).then_some((
            Self {
                start: self.start,
                end: at,
            },
            Self {
                start: at,
                end: self.end,
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_empty_or_outside() {
        assert!(HashRange::new(3, 3).is_err());
        assert!(HashRange::new(4, 3).is_err());
        assert!(HashRange::new(0, HASH_SPACE + 1).is_err());
        assert_eq!(HashRange::new(0, HASH_SPACE), Ok(HashRange::FULL));
        assert_eq!(HashRange::new(7, 8).unwrap().midpoint(), None);
    }

    proptest! {
        #[test]
        fn halves_tile_the_range(
            start in 0..HASH_SPACE, width in 2..HASH_SPACE, hash in 0..HASH_SPACE
        ) {
            let start = start.min(HASH_SPACE - 2);
            let range = HashRange::new(start, HASH_SPACE.min(start + width)).unwrap();
            let (low, high) = range.split(range.midpoint().unwrap()).unwrap();
            prop_assert_eq!(low.start(), range.start());
            prop_assert_eq!(low.end(), high.start());
            prop_assert_eq!(high.end(), range.end());
            prop_assert!(high.width().abs_diff(low.width()) <= 1);
            prop_assert!(!low.overlaps(&high) && range.overlaps(&low));
            prop_assert_eq!(range.contains(hash), low.contains(hash) ^ high.contains(hash));
        }
    }
}
