//! The hash of a key within its keyspace.
//!
//! One 64-bit xxh3, seeded by the name of the keyspace, gives both halves of a [`KeyHash`] from
//! bits that do not overlap: keys that share a shard do not thereby share a fingerprint.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Bits of a key's hash.
pub const HASH_BITS: u32 = 27;

/// Number of hash values; hashes are below it, and a range may end at it.
pub const HASH_SPACE: u32 = 1 << HASH_BITS;

/// The hash of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash {
    /// Place in the hash space, below [`HASH_SPACE`]: decides the shard.
    pub hash: u32,
    /// 32 further bits of the same hash, independent of `hash`.
    pub fingerprint: u32,
}

/// Hashes the keys of one keyspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyspaceHasher {
    seed: u64,
}

impl KeyspaceHasher {
    /// The hasher of the keyspace with this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            seed: xxh3_64(name.as_bytes()),
        }
    }

    /// Hashes the encoded bytes of a key.
    #[must_use]
    pub fn hash(&self, key: &[u8]) -> KeyHash {
        let bits = xxh3_64_with_seed(key, self.seed);
        KeyHash {
            hash: (bits & u64::from(HASH_SPACE - 1)) as u32,
            fingerprint: (bits >> 32) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn golden(name: &str, key: &[u8]) -> (u32, u32) {
        let hash = KeyspaceHasher::new(name).hash(key);
        (hash.hash, hash.fingerprint)
    }

    #[test]
    fn golden_vectors_never_change() {
        let long: Vec<u8> = (0..1000_u32).map(|index| (index % 251) as u8).collect();
        let got = [
            golden("", b""),
            golden("", b"a"),
            golden("accounts", b""),
            golden("accounts", b"a"),
            golden("accounts", b"user-1"),
            golden("accounts", b"user-2"),
            golden("sessions", b"user-1"),
            golden("accounts", &[0_u8; 17]),
            golden("accounts", &long[..129]),
            golden("accounts", &long[..241]),
            golden("accounts", &long),
            golden("Schl\u{fc}ssel", "\u{20ac}".as_bytes()),
        ];
        assert_eq!(got, GOLDEN);
    }

    const GOLDEN: [(u32, u32); 12] = [
        (16783347, 1093603957),
        (69875425, 2036106098),
        (61002596, 1438985489),
        (104640162, 489249016),
        (9874434, 3186277091),
        (58952705, 523789524),
        (75071809, 116083715),
        (94335530, 2590353539),
        (20532435, 2050093355),
        (55363359, 970637027),
        (27303229, 84212600),
        (125068969, 218594436),
    ];

    #[test]
    fn keys_spread_evenly_over_the_space() {
        let hasher = KeyspaceHasher::new("spread");
        let mut buckets = [0_u32; 64];
        for number in 0..64_000_u32 {
            let hash = hasher.hash(format!("key-{number}").as_bytes()).hash;
            buckets[(hash >> (HASH_BITS - 6)) as usize] += 1;
        }
        assert!(
            buckets.iter().all(|&count| (800..1200).contains(&count)),
            "{buckets:?}"
        );
    }

    proptest! {
        #[test]
        fn hashes_stay_in_the_space_and_depend_on_name_and_key_alone(
            name in ".{0,20}", key in proptest::collection::vec(any::<u8>(), 0..600)
        ) {
            let first = KeyspaceHasher::new(&name).hash(&key);
            prop_assert!(first.hash < HASH_SPACE);
            prop_assert_eq!(first, KeyspaceHasher::new(&name).hash(&key));
        }
    }
}
