use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::gone::Existing;
use crate::identity::NodeIdentity;
use crate::links::get_head;
use crate::network::Vote as WireVote;
use crate::raft::codec::{
    decode_entry, decode_log_id, decode_snapshot_meta, decode_vote, encode_entry, encode_log_id,
    encode_snapshot_meta, encode_vote,
};
use crate::raft::remains::{
    Remains, Removal, decode_floor, decode_stored_vote, encode_stored_vote,
};
use crate::raft::snapshot_wire::{Header, Joiner, Outcome, PIECE_HEADER_BYTES, frame};
use crate::raft::types::{Entry, LogId, Membership, Payload, SnapshotMeta, StoredMembership, Vote};
use openraft::impls::leader_id_adv::LeaderId;

fn log_id() -> LogId {
    let leader_id = LeaderId {
        term: 3,
        node_id: 1 << 40,
    };
    LogId {
        leader_id,
        index: 9,
    }
}

fn members() -> Membership {
    let voters = vec![[1, 2, 3].into(), [2, 3, 4].into()];
    Membership::new_with_defaults(voters, [5, 6])
}

/// One of each kind of bytes that come from a disk or from another node.
fn good() -> Vec<Bytes> {
    let vote = Vote::new_committed(3, 1 << 40);
    let identity = NodeIdentity {
        cluster: 5,
        node: 6,
        incarnation: 7,
        cluster_name: "orders".into(),
        lost: vec![8, 9],
        existing: Existing::default(),
    };
    let says_more = NodeIdentity {
        existing: Existing::new(40, vec![1, 2, 3, 7]),
        ..identity.clone()
    };
    let removal = Removal::LeftOut(Some(log_id()));
    let remains = Remains {
        vote,
        last_log: Some(log_id()),
        removal,
    };
    let meta = SnapshotMeta {
        last_log_id: Some(log_id()),
        last_membership: StoredMembership::new(Some(log_id()), members()),
    };
    let entry = |payload| Entry {
        log_id: log_id(),
        payload,
    };
    let header = Header {
        group: 7,
        vote: WireVote::default(),
        number: 9,
        meta: encode_snapshot_meta(&meta),
    };
    vec![
        encode_vote(&vote),
        encode_log_id(Some(&log_id())),
        encode_stored_vote(&vote, Some(&log_id())),
        remains.encode(),
        identity.encode(),
        says_more.encode(),
        encode_snapshot_meta(&meta),
        encode_entry(entry(Payload::Blank)),
        encode_entry(entry(Payload::Membership(members()))),
        header.encode(),
        Outcome::Installed(WireVote::default()).encode(),
        frame(b"piece"),
    ]
}

/// Gives the bytes to every decoder: a value or an error, never a panic.
fn decode_as_everything(bytes: &Bytes) {
    let _ = decode_vote(bytes.clone());
    let _ = decode_log_id(bytes.clone());
    let _ = decode_stored_vote(bytes.clone());
    let _ = Remains::decode(bytes.clone());
    let _ = decode_floor(bytes);
    let _ = decode_snapshot_meta(bytes.clone());
    let _ = NodeIdentity::decode(bytes.clone());
    let _ = Header::decode(bytes.clone());
    let _ = Outcome::decode(bytes.clone());
    let _ = crate::forwarding::Outcome::decode(bytes.clone());
    let _ = get_head(&mut bytes.clone());
    // What was read can be stored again, and reads the same.
    if let Ok(entry) = decode_entry(bytes.clone()) {
        let log_id = entry.log_id;
        assert_eq!(decode_entry(encode_entry(entry)).unwrap().log_id, log_id);
    }
    let mut joiner = Joiner::default();
    joiner.add(bytes);
    let mut given = 0;
    while let Ok(Some(piece)) = joiner.next() {
        given += PIECE_HEADER_BYTES + piece.len();
    }
    assert!(given <= bytes.len());
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        decode_as_everything(&bytes.into());
    }

    /// Each kind begins with its version: what follows one is looked at, too.
    #[test]
    fn any_bytes_behind_a_version_are_decoded_without_harm(
        version in 0_u8..4,
        kind in 0_u8..5,
        bytes in proptest::collection::vec(prop_oneof![Just(0), Just(1), any::<u8>()], 0..200),
    ) {
        decode_as_everything(&[&[version, kind], &bytes[..]].concat().into());
    }

    #[test]
    fn damaged_bytes_are_decoded_without_harm(
        of in any::<Index>(), at in any::<Index>(), value: u8, cut in any::<Index>()
    ) {
        let good = good();
        let mut bytes = good[of.index(good.len())].to_vec();
        let at = at.index(bytes.len());
        bytes[at] = value;
        decode_as_everything(&bytes[..cut.index(bytes.len())].to_vec().into());
        decode_as_everything(&bytes.into());
    }
}
