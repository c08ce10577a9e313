//! What stays of a member that was removed, in place of its vote.
//!
//! A member that comes back to this node under the same node id is held to what it promised before:
//! it keeps its vote, and gives no vote to a candidate whose log is older than its own was. Without
//! that a candidate that missed the removal could be elected by a member that forgot the log.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::raft::codec::{damaged, decode_vote, encode_vote, get_log_id, put_log_id};
use crate::raft::types::{LogId, Vote};

/// A vote, and the log id behind it.
const VERSION_WITH_FLOOR: u8 = 2;
/// The same, and why the member was removed.
const VERSION_REMAINS: u8 = 3;
const VOTE_BYTES: usize = 18;
const LOG_ID_BYTES: usize = 25;
const GONE: u8 = 1;
const LEFT_OUT: u8 = 2;

/// Why a member was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// The group is no more.
    Gone,
    /// A membership left it out.
    LeftOut(Option<LogId>),
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remains {
    pub(crate) vote: Vote,
    /// The last entry of its log.
    pub(crate) last_log: Option<LogId>,
    pub(crate) removal: Removal,
}

fn put_optional(into: &mut BytesMut, log_id: Option<&LogId>) {
    into.put_u8(u8::from(log_id.is_some()));
    match log_id {
        Some(log_id) => put_log_id(into, log_id),
        None => into.put_bytes(0, LOG_ID_BYTES - 1),
    }
}

fn get_optional(from: &mut Bytes) -> Option<LogId> {
    let some = from.get_u8() == 1;
    let log_id = get_log_id(from);
    some.then_some(log_id)
}

fn with_version(vote: &Vote, version: u8) -> BytesMut {
    let mut bytes = BytesMut::from(&encode_vote(vote)[..]);
    bytes[0] = version;
    bytes
}

impl Remains {
    /// As it is stored.
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = with_version(&self.vote, VERSION_REMAINS);
        put_optional(&mut bytes, self.last_log.as_ref());
        match &self.removal {
            Removal::Gone => {
                bytes.put_u8(GONE);
                put_optional(&mut bytes, None);
            }
            Removal::LeftOut(membership) => {
                bytes.put_u8(LEFT_OUT);
                put_optional(&mut bytes, membership.as_ref());
            }
        }
        bytes.freeze()
    }

    /// Reads what is stored in place of a vote; `None` where it is a vote.
    pub(crate) fn decode(stored: Bytes) -> io::Result<Option<Self>> {
        if stored.first() != Some(&VERSION_REMAINS) {
            return Ok(None);
        }
        if stored.len() != VOTE_BYTES + 2 * LOG_ID_BYTES + 1 {
            return Err(damaged("vote of a removed member"));
        }
        let vote = decode_stored_vote(stored.clone())?;
        let mut rest = stored.slice(VOTE_BYTES..);
        let last_log = get_optional(&mut rest);
        let gone = rest.get_u8() == GONE;
        let membership = get_optional(&mut rest);
        let removal = if gone {
            Removal::Gone
        } else {
            Removal::LeftOut(membership)
        };
        Ok(Some(Self {
            vote,
            last_log,
            removal,
        }))
    }

    /// Whether a leader's membership shows that it has a member here again.
    pub(crate) fn may_return(&self, membership: Option<u64>) -> bool {
        match &self.removal {
            Removal::Gone => false,
            Removal::LeftOut(left) => {
                let left = left.as_ref().map_or(0, |left| left.index);
                membership.is_some_and(|index| index > left)
            }
        }
    }
}

/// Stores a vote, with the log id that candidates must have if there is one.
pub(crate) fn encode_stored_vote(vote: &Vote, floor: Option<&LogId>) -> Bytes {
    let Some(floor) = floor else {
        return encode_vote(vote);
    };
    let mut bytes = with_version(vote, VERSION_WITH_FLOOR);
    put_optional(&mut bytes, Some(floor));
    bytes.freeze()
}

/// Reads the vote of what is stored.
pub(crate) fn decode_stored_vote(stored: Bytes) -> io::Result<Vote> {
    match stored.first() {
        Some(&VERSION_WITH_FLOOR | &VERSION_REMAINS) if stored.len() >= VOTE_BYTES => {
            let mut bytes = BytesMut::from(&stored[..VOTE_BYTES]);
            bytes[0] = encode_vote(&Vote::new(0, 0))[0];
            decode_vote(bytes.freeze())
        }
        _ => decode_vote(stored),
    }
}

/// The log id that candidates must have for this member's vote.
pub(crate) fn decode_floor(stored: &Bytes) -> Option<LogId> {
    let versions = [VERSION_WITH_FLOOR, VERSION_REMAINS];
    let has_floor = stored.first().is_some_and(|it| versions.contains(it));
    if !has_floor || stored.len() < VOTE_BYTES + LOG_ID_BYTES {
        return None;
    }
    get_optional(&mut stored.slice(VOTE_BYTES..))
}

/// Whether a log that ends with `last` is older than one that ends with `floor`.
pub(crate) fn is_older(last: Option<(u64, u64)>, floor: &LogId) -> bool {
    last < Some((floor.leader_id.term, floor.index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use openraft::impls::leader_id_adv::LeaderId;

    fn log_id(term: u64, index: u64) -> LogId {
        let leader_id = LeaderId { term, node_id: 9 };
        LogId { leader_id, index }
    }

    #[test]
    fn what_stays_comes_back_as_it_was_and_is_a_vote_too() {
        let vote = Vote::new(7, 1 << 40);
        for last_log in [None, Some(log_id(6, 40))] {
            for removal in [
                Removal::Gone,
                Removal::LeftOut(None),
                Removal::LeftOut(Some(log_id(6, 39))),
            ] {
                let remains = Remains {
                    vote,
                    last_log,
                    removal,
                };
                let stored = remains.encode();
                assert_eq!(Remains::decode(stored.clone()).unwrap(), Some(remains));
                assert_eq!(decode_stored_vote(stored.clone()).unwrap(), vote);
                assert_eq!(decode_floor(&stored), last_log);
                for length in 1..stored.len() {
                    assert!(Remains::decode(stored.slice(..length)).is_err());
                }
            }
        }
        let plain = encode_stored_vote(&vote, None);
        assert_eq!(plain, encode_vote(&vote));
        assert_eq!(decode_floor(&plain), None);
        let held = encode_stored_vote(&vote, Some(&log_id(1, 2)));
        assert_eq!(decode_stored_vote(held.clone()).unwrap(), vote);
        assert_eq!(decode_floor(&held), Some(log_id(1, 2)));
        assert_eq!(Remains::decode(held).unwrap(), None);
    }

    #[test]
    fn a_member_returns_only_by_a_newer_membership() {
        let remains = |removal| Remains {
            vote: Vote::new(1, 2),
            last_log: None,
            removal,
        };
        assert!(!remains(Removal::Gone).may_return(Some(100)));
        let left = remains(Removal::LeftOut(Some(log_id(1, 10))));
        assert!(!left.may_return(Some(10)) && !left.may_return(None));
        assert!(left.may_return(Some(11)));
        assert!(is_older(Some((2, 9)), &log_id(2, 10)) && is_older(None, &log_id(0, 0)));
        assert!(!is_older(Some((3, 1)), &log_id(2, 10)));
    }
}
