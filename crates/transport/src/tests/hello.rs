//! The rules of who may talk to whom.

use crate::error::RefusalReason;
use crate::hello::Introduction;
use crate::limits::{PROTOCOL_MAX, PROTOCOL_MIN};
use crate::options::Identity;
use crate::wire;

pub(super) fn introduction(node: u64) -> Introduction {
    Introduction {
        identity: Identity {
            cluster_name: "tests".to_owned(),
            cluster: 77,
            node,
            incarnation: 3,
        },
        instance: node + 1000,
        format_version: 4,
        address: format!("host{node}:1"),
    }
}

fn refused(change: impl FnOnce(&mut wire::Hello), expected: u64) -> Option<RefusalReason> {
    let mut hello = introduction(2).hello(1);
    change(&mut hello);
    let refusal = introduction(1).examine(&hello, expected).err()?;
    assert!(refusal.by_this_node);
    assert!(!refusal.text.is_empty());
    Some(refusal.reason)
}

#[test]
fn a_member_is_let_in_as_what_it_says_it_is() {
    let peer = introduction(1)
        .examine(&introduction(2).hello(1), 2)
        .unwrap();
    assert_eq!((peer.node, peer.incarnation, peer.cluster), (2, 3, 77));
    assert_eq!(&*peer.address, "host2:1");
    assert_eq!((peer.protocol, peer.format_version), (PROTOCOL_MAX, 4));
}

#[test]
fn strangers_are_told_apart() {
    assert_eq!(
        refused(|hello| hello.cluster_name.push('x'), 0),
        Some(RefusalReason::OtherName)
    );
    assert_eq!(
        refused(|hello| hello.cluster = 78, 0),
        Some(RefusalReason::OtherCluster)
    );
    assert_eq!(
        refused(|hello| hello.node = 1, 0),
        Some(RefusalReason::DuplicateNode)
    );
    let itself = introduction(1);
    let refusal = itself.examine(&itself.hello(0), 0).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::OwnNode);
    assert_eq!(
        refused(|hello| hello.expected_node = 9, 0),
        Some(RefusalReason::OtherNode)
    );
    assert_eq!(refused(|_| (), 9), Some(RefusalReason::OtherNode));
    assert_eq!(
        refused(|hello| hello.node = 0, 0),
        Some(RefusalReason::Malformed)
    );
    assert_eq!(
        refused(|hello| hello.address = "x".repeat(1000), 0),
        Some(RefusalReason::Malformed)
    );
}

#[test]
fn nodes_without_a_cluster_are_let_in() {
    assert_eq!(refused(|hello| hello.cluster = 0, 0), None);
    let mut own = introduction(1);
    own.identity.cluster = 0;
    assert!(own.examine(&introduction(2).hello(0), 0).is_ok());
}

#[test]
fn versions_that_overlap_get_along() {
    let version = |least, most| {
        refused(
            |hello| {
                hello.protocol_min = least;
                hello.protocol_max = most;
            },
            0,
        )
    };
    assert_eq!(version(PROTOCOL_MIN, PROTOCOL_MAX + 5), None);
    assert_eq!(version(0, PROTOCOL_MIN), None);
    assert_eq!(
        version(PROTOCOL_MAX + 1, PROTOCOL_MAX + 5),
        Some(RefusalReason::NoCommonVersion)
    );
    assert_eq!(
        version(0, PROTOCOL_MIN - 1),
        Some(RefusalReason::NoCommonVersion)
    );
    assert_eq!(version(5, 4), Some(RefusalReason::Malformed));
}

#[test]
fn an_unknown_reason_is_another_one() {
    let wire = wire::Refusal {
        reason: 4_000_000,
        text: "é".repeat(2000),
    };
    let refusal = crate::hello::refusal_from_wire(wire);
    assert_eq!(refusal.reason, RefusalReason::Other);
    assert!(refusal.text.len() <= crate::limits::TEXT_BYTES_MAX);
    assert!(!refusal.by_this_node);
    for number in 0..10 {
        assert_eq!(RefusalReason::from_number(number) as u32, number);
    }
}
