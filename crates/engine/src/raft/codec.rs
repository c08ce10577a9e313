//! How votes, log ids, members and entries are stored: a format of our own, versioned, that does
//! not change when openraft's types do.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::BasicNode;
use openraft::impls::leader_id_adv::LeaderId;
use openraft::vote::RaftVote;

use crate::raft::types::{
    Commands, Entry, LogId, Membership, Payload, SnapshotMeta, StoredMembership, Vote,
};

/// Bytes before the payload of a stored entry; a multiple of 8, so that the payload stays aligned.
pub(crate) const STORED_HEADER_BYTES: usize = 32;

const VERSION: u8 = 1;
/// Version of a snapshot's meta since members have addresses.
const META_VERSION: u8 = 2;
const KIND_BLANK: u8 = 0;
const KIND_COMMANDS: u8 = 1;
const KIND_MEMBERS_WITHOUT_ADDRESSES: u8 = 2;
const KIND_MEMBERSHIP: u8 = 3;

/// Bytes that do not hold to their format.
pub(crate) fn damaged(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a stored {what} does not decode"),
    )
}

/// Writes a log id.
pub(crate) fn put_log_id(into: &mut impl BufMut, log_id: &LogId) {
    into.put_u64_le(log_id.leader_id.term);
    into.put_u64_le(log_id.leader_id.node_id);
    into.put_u64_le(log_id.index);
}

/// Reads a log id of 24 bytes that are there.
pub(crate) fn get_log_id(from: &mut impl Buf) -> LogId {
    let term = from.get_u64_le();
    let node_id = from.get_u64_le();
    LogId {
        leader_id: LeaderId { term, node_id },
        index: from.get_u64_le(),
    }
}

/// Checks the version and that `bytes` follow it.
fn open(bytes: &mut impl Buf, least: usize, what: &str) -> io::Result<()> {
    if bytes.remaining() > least && bytes.get_u8() == VERSION {
        Ok(())
    } else {
        Err(damaged(what))
    }
}

/// Stores a vote.
pub(crate) fn encode_vote(vote: &Vote) -> Bytes {
    let mut bytes = BytesMut::with_capacity(18);
    bytes.put_u8(VERSION);
    bytes.put_u8(u8::from(vote.is_committed()));
    bytes.put_u64_le(vote.leader_id().term);
    bytes.put_u64_le(vote.leader_id().node_id);
    bytes.freeze()
}

/// Reads a stored vote.
pub(crate) fn decode_vote(mut bytes: Bytes) -> io::Result<Vote> {
    open(&mut bytes, 17, "vote")?;
    let committed = bytes.get_u8() == 1;
    let term = bytes.get_u64_le();
    let leader_id = LeaderId {
        term,
        node_id: bytes.get_u64_le(),
    };
    Ok(Vote::from_leader_id(leader_id, committed))
}

/// Stores a log id, or that there is none.
pub(crate) fn encode_log_id(log_id: Option<&LogId>) -> Bytes {
    let mut bytes = BytesMut::with_capacity(26);
    bytes.put_u8(VERSION);
    put_optional_log_id(&mut bytes, log_id);
    bytes.freeze()
}

/// Reads a stored log id.
pub(crate) fn decode_log_id(mut bytes: Bytes) -> io::Result<Option<LogId>> {
    open(&mut bytes, 1, "log id")?;
    get_optional_log_id(&mut bytes)
}

fn put_optional_log_id(into: &mut BytesMut, log_id: Option<&LogId>) {
    into.put_u8(u8::from(log_id.is_some()));
    if let Some(log_id) = log_id {
        put_log_id(into, log_id);
    }
}

fn get_optional_log_id(bytes: &mut Bytes) -> io::Result<Option<LogId>> {
    match bytes.try_get_u8() {
        Ok(0) => Ok(None),
        Ok(1) if bytes.remaining() >= 24 => Ok(Some(get_log_id(bytes))),
        _ => Err(damaged("log id")),
    }
}

fn put_membership(into: &mut BytesMut, membership: &Membership) {
    into.put_u32_le(membership.get_joint_config().len() as u32);
    for voters in membership.get_joint_config() {
        into.put_u32_le(voters.len() as u32);
        voters.iter().for_each(|voter| into.put_u64_le(*voter));
    }
    into.put_u32_le(membership.nodes().count() as u32);
    for (node, member) in membership.nodes() {
        into.put_u64_le(*node);
        into.put_u32_le(member.addr.len() as u32);
        into.put_slice(member.addr.as_bytes());
    }
}

fn get_nodes(bytes: &mut Bytes) -> io::Result<Vec<u64>> {
    let count = bytes.try_get_u32_le().map_err(|_| damaged("membership"))? as usize;
    if bytes.remaining() / 8 < count {
        return Err(damaged("membership"));
    }
    Ok((0..count).map(|_| bytes.get_u64_le()).collect())
}

fn get_members(bytes: &mut Bytes) -> io::Result<BTreeMap<u64, BasicNode>> {
    let count = bytes.try_get_u32_le().map_err(|_| damaged("membership"))?;
    let mut members = BTreeMap::new();
    for _ in 0..count {
        let node = bytes.try_get_u64_le().map_err(|_| damaged("membership"))?;
        let length = bytes.try_get_u32_le().map_err(|_| damaged("membership"))? as usize;
        if bytes.remaining() < length {
            return Err(damaged("membership"));
        }
        let addr = String::from_utf8(bytes.split_to(length).to_vec());
        let addr = addr.map_err(|_| damaged("membership"))?;
        members.insert(node, BasicNode { addr });
    }
    Ok(members)
}

fn get_membership(bytes: &mut Bytes, with_addresses: bool) -> io::Result<Membership> {
    let count = bytes.try_get_u32_le().map_err(|_| damaged("membership"))?;
    let mut voters: Vec<BTreeSet<u64>> = Vec::new();
    for _ in 0..count {
        voters.push(get_nodes(bytes)?.into_iter().collect());
    }
    let nodes: BTreeMap<u64, BasicNode> = if with_addresses {
        get_members(bytes)?
    } else {
        let nodes = get_nodes(bytes)?.into_iter();
        nodes.map(|node| (node, BasicNode::default())).collect()
    };
    if voters.is_empty() && nodes.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(voters, nodes).map_err(|_| damaged("membership"))
}

/// Stores what a snapshot stands for.
pub(crate) fn encode_snapshot_meta(meta: &SnapshotMeta) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(META_VERSION);
    put_optional_log_id(&mut bytes, meta.last_log_id.as_ref());
    put_optional_log_id(&mut bytes, meta.last_membership.log_id().as_ref());
    put_membership(&mut bytes, meta.last_membership.membership());
    bytes.freeze()
}

/// Reads what a stored snapshot stands for.
pub(crate) fn decode_snapshot_meta(mut bytes: Bytes) -> io::Result<SnapshotMeta> {
    let version = bytes.try_get_u8().map_err(|_| damaged("snapshot"))?;
    if version != VERSION && version != META_VERSION {
        return Err(damaged("snapshot"));
    }
    let last_log_id = get_optional_log_id(&mut bytes)?;
    let membership_log_id = get_optional_log_id(&mut bytes)?;
    let membership = get_membership(&mut bytes, version == META_VERSION)?;
    let last_membership = StoredMembership::new(membership_log_id, membership);
    Ok(SnapshotMeta {
        last_log_id,
        last_membership,
    })
}

fn entry_header(kind: u8, log_id: &LogId) -> [u8; STORED_HEADER_BYTES] {
    let mut header = [0; STORED_HEADER_BYTES];
    header[0] = VERSION;
    header[1] = kind;
    put_log_id(&mut &mut header[8..], log_id);
    header
}

/// Stores an entry. The bytes of commands are used as they are where their header is there already,
/// or where nobody else holds them.
pub(crate) fn encode_entry(entry: Entry) -> Bytes {
    let log_id = entry.log_id;
    match entry.payload {
        Payload::Blank => Bytes::copy_from_slice(&entry_header(KIND_BLANK, &log_id)),
        Payload::Membership(membership) => {
            let mut bytes = BytesMut::from(&entry_header(KIND_MEMBERSHIP, &log_id)[..]);
            put_membership(&mut bytes, &membership);
            bytes.freeze()
        }
        Payload::Normal(Commands(stored)) => {
            let header = entry_header(KIND_COMMANDS, &log_id);
            if stored.starts_with(&header) {
                return stored;
            }
            let mut bytes = stored
                .try_into_mut()
                .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
            bytes[..STORED_HEADER_BYTES].copy_from_slice(&header);
            bytes.freeze()
        }
    }
}

/// Reads a stored entry, without copying it.
pub(crate) fn decode_entry(stored: Bytes) -> io::Result<Entry> {
    if stored.len() < STORED_HEADER_BYTES || stored[0] != VERSION {
        return Err(damaged("entry"));
    }
    let log_id = get_log_id(&mut &stored[8..]);
    let payload = match stored[1] {
        KIND_BLANK => Payload::Blank,
        KIND_COMMANDS => Payload::Normal(Commands(stored)),
        kind @ (KIND_MEMBERSHIP | KIND_MEMBERS_WITHOUT_ADDRESSES) => {
            let mut bytes = stored.slice(STORED_HEADER_BYTES..);
            Payload::Membership(get_membership(&mut bytes, kind == KIND_MEMBERSHIP)?)
        }
        _ => return Err(damaged("entry")),
    };
    Ok(Entry { log_id, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_id(term: u64, node_id: u64, index: u64) -> LogId {
        LogId {
            leader_id: LeaderId { term, node_id },
            index,
        }
    }

    fn members(voters: &[&[u64]], nodes: &[u64]) -> Membership {
        let voters = voters
            .iter()
            .map(|ids| ids.iter().copied().collect())
            .collect();
        Membership::new_with_defaults(voters, nodes.iter().copied())
    }

    fn with_address(node: u64, address: &str) -> Membership {
        let nodes = BTreeMap::from([(node, BasicNode::new(address))]);
        Membership::new(vec![BTreeSet::from([node])], nodes).unwrap()
    }

    #[test]
    fn members_that_were_stored_without_addresses_are_read() {
        let mut stored = vec![0; STORED_HEADER_BYTES];
        (stored[0], stored[1]) = (VERSION, KIND_MEMBERS_WITHOUT_ADDRESSES);
        let words: [u32; 7] = [1, 1, 5, 0, 1, 5, 0];
        let mut body = Vec::new();
        words
            .iter()
            .for_each(|word| body.extend(word.to_le_bytes()));
        stored.extend(&body);
        let entry = decode_entry(stored.into()).unwrap();
        assert_eq!(entry.payload, Payload::Membership(members(&[&[5]], &[])));
        let mut meta = vec![VERSION, 0, 0];
        meta.extend(&body);
        let meta = decode_snapshot_meta(meta.into()).unwrap();
        assert_eq!(*meta.last_membership.membership(), members(&[&[5]], &[]));
    }

    #[test]
    fn votes_and_log_ids_have_these_bytes() {
        let vote = Vote::new_committed(3, 1 << 40);
        let golden = [1, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0];
        assert_eq!(encode_vote(&vote)[..], golden);
        assert_eq!(decode_vote(Bytes::copy_from_slice(&golden)).unwrap(), vote);
        let open = Vote::new(4, 5);
        assert_eq!(decode_vote(encode_vote(&open)).unwrap(), open);

        assert_eq!(encode_log_id(None)[..], [1, 0]);
        let id = log_id(2, 3, 258);
        let mut golden = vec![1, 1];
        golden.extend([
            2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0,
        ]);
        assert_eq!(encode_log_id(Some(&id))[..], golden);
        assert_eq!(decode_log_id(golden.into()).unwrap(), Some(id));
    }

    #[test]
    fn entries_have_these_bytes() {
        let mut stored = vec![0; STORED_HEADER_BYTES];
        stored.extend_from_slice(b"entry");
        let stored = Bytes::from(stored);
        let payload = Payload::Normal(Commands(stored.clone()));
        let golden = [
            1, 1, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0,
            0, 0, 0, b'e', b'n', b't', b'r', b'y',
        ];
        let shared = encode_entry(Entry {
            log_id: log_id(7, 8, 9),
            payload,
        });
        assert_eq!(shared[..], golden);
        assert_eq!(
            stored[..STORED_HEADER_BYTES],
            [0; STORED_HEADER_BYTES],
            "held by others"
        );

        let address = stored.as_ptr();
        let payload = Payload::Normal(Commands(stored));
        let alone = encode_entry(Entry {
            log_id: log_id(7, 8, 9),
            payload,
        });
        assert_eq!(alone[..], golden);
        assert_eq!(alone.as_ptr(), address, "not copied");
        let decoded = decode_entry(alone).unwrap();
        assert_eq!(decoded.log_id, log_id(7, 8, 9));
        let Payload::Normal(commands) = decoded.payload else {
            panic!("{decoded:?}")
        };
        assert_eq!(commands.entry()[..], *b"entry");
    }

    #[test]
    fn members_come_back_as_they_were() {
        for membership in [
            Membership::default(),
            members(&[&[1]], &[]),
            members(&[&[1, 2, 3], &[3, 4]], &[9, 10]),
            with_address(1, "10.0.0.1:7000"),
        ] {
            let payload = Payload::Membership(membership.clone());
            let stored = encode_entry(Entry {
                log_id: log_id(1, 2, 3),
                payload,
            });
            let decoded = decode_entry(stored).unwrap();
            assert_eq!(decoded.payload, Payload::Membership(membership.clone()));
            let meta = SnapshotMeta {
                last_log_id: Some(log_id(4, 5, 6)),
                last_membership: StoredMembership::new(Some(log_id(1, 2, 3)), membership),
            };
            assert_eq!(
                decode_snapshot_meta(encode_snapshot_meta(&meta)).unwrap(),
                meta
            );
        }
        let blank = Entry {
            log_id: log_id(1, 2, 3),
            payload: Payload::Blank,
        };
        assert_eq!(
            decode_entry(encode_entry(blank)).unwrap().payload,
            Payload::Blank
        );
    }

    #[test]
    fn cut_or_foreign_bytes_are_refused() {
        let meta = SnapshotMeta {
            last_log_id: Some(log_id(4, 5, 6)),
            last_membership: StoredMembership::new(None, members(&[&[1, 2]], &[3])),
        };
        let meta = encode_snapshot_meta(&meta);
        for length in 0..meta.len() {
            assert!(
                decode_snapshot_meta(meta.slice(..length)).is_err(),
                "{length}"
            );
        }
        let payload = Payload::Membership(members(&[&[1, 2]], &[3]));
        let entry = encode_entry(Entry {
            log_id: log_id(1, 2, 3),
            payload,
        });
        for length in 0..entry.len() {
            assert!(decode_entry(entry.slice(..length)).is_err(), "{length}");
        }
        let vote = encode_vote(&Vote::new(1, 2));
        for length in 0..vote.len() {
            assert!(decode_vote(vote.slice(..length)).is_err(), "{length}");
        }
        assert!(decode_log_id(Bytes::from_static(&[2, 0])).is_err());
        assert!(decode_log_id(Bytes::from_static(&[1, 2])).is_err());
        assert!(decode_log_id(Bytes::from_static(&[1, 1, 0])).is_err());
    }
}
