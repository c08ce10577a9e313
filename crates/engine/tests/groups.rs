//! Groups are created, opened, closed and removed; their leases follow.

#![allow(clippy::disallowed_methods, reason = "tests look at the real clock")]

mod support;

use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures::future::join_all;
use raft_kv_engine::{EngineOptions, LEASE_FOREVER, Location};
use support::{Node, frame};
use tempfile::TempDir;

fn in_memory() -> EngineOptions {
    EngineOptions::new(Location::Memory, "test")
}

#[tokio::test]
async fn creating_is_idempotent_and_bound_to_the_descriptor() {
    let node = Node::open(in_memory());
    let slot = node
        .engine
        .create_group(5, Bytes::from_static(b"a"))
        .await
        .unwrap();
    assert_eq!(
        node.engine
            .create_group(5, Bytes::from_static(b"a"))
            .await
            .unwrap(),
        slot
    );
    let other = node
        .engine
        .create_group(5, Bytes::from_static(b"b"))
        .await
        .unwrap_err();
    assert_eq!(other.code(), "ALREADY_ADDED");
    node.engine.close_group(5).await.unwrap();
    node.engine.close_group(5).await.unwrap();
    node.engine
        .create_group(5, Bytes::from_static(b"a"))
        .await
        .unwrap();
    assert_eq!(
        node.engine.open_group(6).await.unwrap_err().code(),
        "NO_SUCH_GROUP"
    );
    for number in [0, 1 << 31, u32::MAX] {
        let error = node
            .engine
            .create_group(number, Bytes::new())
            .await
            .unwrap_err();
        assert_eq!(error.code(), "INVALID_ARGUMENT");
    }
    let together = (0..8).map(|_| node.engine.create_group(9, Bytes::from_static(b"c")));
    let slots: Vec<u32> = join_all(together)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert!(slots.iter().all(|slot| *slot == slots[0]));
    node.engine.close().await.unwrap();
}

#[tokio::test]
async fn a_lease_waits_for_the_host_and_ends_with_the_group() {
    let node = Node::open(in_memory());
    node.host.answer_ready.store(false, Ordering::SeqCst);
    let slot = node.engine.create_group(5, Bytes::new()).await.unwrap();
    node.host.wait("ready", |view| {
        view.groups
            .get(&5)
            .is_some_and(|known| known.ready_terms.len() == 1)
    });
    let known = node.host.view().groups[&5].clone();
    assert_eq!(known.leaders, [node.engine.identity().node]);
    let term = known.ready_terms[0];
    assert_eq!(node.lease(slot), 0);
    node.engine.host_ready(5, term + 1);
    node.engine.host_ready(6, term);
    assert_eq!(node.lease(slot), 0);
    node.engine.host_ready(5, term);
    assert_eq!(node.lease(slot), LEASE_FOREVER);
    node.engine.close_group(5).await.unwrap();
    assert_eq!(node.lease(slot), 0);
    node.engine.host_ready(5, term);
    assert_eq!(node.lease(slot), 0);
    let again = node.engine.open_group(5).await.unwrap();
    node.engine.host_ready(5, term);
    assert_eq!(node.lease(again), 0, "ready for a term that is over");
}

#[tokio::test]
async fn removing_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    let location = Location::Directory(directory.path().join("data"));
    let options = EngineOptions {
        snapshot_log_bytes_min: 1000,
        ..EngineOptions::new(location.clone(), "test")
    };
    let node = Node::open(options);
    node.engine.create_group(5, Bytes::new()).await.unwrap();
    node.engine.create_group(6, Bytes::new()).await.unwrap();
    node.engine.submit(&frame(5, 0, 100, 100), 0).unwrap();
    node.host.wait("all", |view| view.requests(5).len() == 100);
    node.engine.remove_group(5).await.unwrap();
    node.engine.remove_group(5).await.unwrap();
    node.engine.remove_group(50).await.unwrap();
    assert_eq!(
        node.engine.open_group(5).await.unwrap_err().code(),
        "NO_SUCH_GROUP"
    );
    let stored: Vec<u32> = node
        .engine
        .stored_groups()
        .iter()
        .map(|it| it.group)
        .collect();
    assert_eq!(stored, [6]);
    node.engine.close().await.unwrap();
    drop(node);
    let options = raft_kv_journal::JournalOptions::new(location);
    let journal = raft_kv_journal::Journal::open(options).unwrap();
    let state = journal.group(5).state();
    assert!(
        state.committed.is_none() && state.snapshot.is_none() && state.next_index == 0,
        "{state:?}"
    );
    assert_eq!(journal.groups(), [6]);
}

#[tokio::test]
async fn many_groups_open_and_close_again_and_again() {
    let node = Node::open(in_memory());
    let groups = 1..301;
    let create = groups
        .clone()
        .map(|group| node.engine.create_group(group, Bytes::new()));
    let mut slots: Vec<u32> = join_all(create)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    for round in 0..3_u32 {
        assert_eq!(node.engine.statistics().groups, 300);
        node.host.wait("leases", |_| {
            slots.iter().all(|slot| node.lease(*slot) != 0)
        });
        let mut records = Vec::new();
        for group in groups.clone() {
            support::add(&mut records, support::to_group(group), round, b"key", b"");
        }
        node.engine.submit(&records, 0).unwrap();
        node.host.wait("a command each", |view| {
            groups
                .clone()
                .all(|group| view.requests(group).last() == Some(&u64::from(round)))
        });
        join_all(groups.clone().map(|group| node.engine.close_group(group))).await;
        assert_eq!(node.engine.statistics().groups, 0);
        assert!(slots.iter().all(|slot| node.lease(*slot) == 0));
        let open = groups.clone().map(|group| node.engine.open_group(group));
        slots = join_all(open)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
    }
    node.engine.close().await.unwrap();
    assert!(slots.iter().all(|slot| node.lease(*slot) == 0));
}

#[tokio::test]
async fn closing_the_engine_gets_an_opening_out_of_a_full_queue() {
    let options = EngineOptions {
        event_queue_bytes_max: 500,
        ..in_memory()
    };
    let node = Node::open(options);
    node.engine.create_group(5, Bytes::new()).await.unwrap();
    for request in 0..50 {
        node.engine.submit(&frame(5, request, 1, 100), 0).unwrap();
        node.host
            .wait("it", |view| view.requests(5).len() == request as usize + 1);
    }
    node.engine.close_group(5).await.unwrap();
    node.host.pause(true);
    let engine = node.engine.clone();
    let opening = tokio::spawn(async move { engine.open_group(5).await });
    while node.engine.statistics().event_bytes < 500 {
        tokio::task::yield_now().await;
    }
    node.engine.close().await.unwrap();
    assert!(opening.await.unwrap().is_err());
}
