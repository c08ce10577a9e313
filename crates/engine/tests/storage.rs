//! What was acknowledged is there after a restart, from the log or from a snapshot; a storage that
//! fails stops the engine's service and says so.

mod support;

use std::sync::Arc;

use bytes::Bytes;
use raft_kv_engine::{Engine, EngineOptions, Location, StateMachineHost, StoredGroup};
use raft_kv_journal::{Journal, JournalOptions, SimulatedDisk};
use support::{Node, SnapshotMode, View, frame};
use tempfile::TempDir;

fn in_directory(directory: &TempDir) -> EngineOptions {
    EngineOptions::new(Location::Directory(directory.path().join("data")), "test")
}

struct DeafHost;

impl StateMachineHost for DeafHost {
    fn wake(&self) {}
}

fn is_ready(view: &View, group: u32) -> bool {
    view.groups
        .get(&group)
        .is_some_and(|known| !known.ready_terms.is_empty())
}

async fn fill(node: &Node, group: u32, first: u32, frames: u32, argument: usize) {
    let before = node.host.view().requests(group).len();
    for tick in 0..frames {
        let taken = node
            .engine
            .submit(&frame(group, first + tick * 10, 10, argument), 0);
        assert!(taken.is_ok(), "{taken:?}");
        tokio::task::yield_now().await;
    }
    let all = before + 10 * frames as usize;
    node.host
        .wait("all commands", |view| view.requests(group).len() == all);
}

/// Killed in the middle of its work, again and again: what a host was told is there each time.
#[tokio::test]
async fn an_engine_that_is_killed_loses_nothing_that_was_told_and_frees_its_directory() {
    let directory = TempDir::new().unwrap();
    let mut told = Vec::new();
    for life in 0..4_u32 {
        let node = Node::open(in_directory(&directory));
        if life == 0 {
            let descriptor = Bytes::from_static(b"seven");
            node.engine.create_group(7, descriptor).await.unwrap();
        } else {
            node.engine.open_group(7).await.unwrap();
        }
        node.host.wait("ready", |view| is_ready(view, 7));
        let before = node.host.view().requests(7);
        assert_eq!(before[..told.len()], told);
        for tick in 0..40 {
            let first = life * 1_000 + tick * 10;
            node.engine.submit(&frame(7, first, 10, 50), 0).unwrap();
        }
        let some = before.len() + 20;
        node.host
            .wait("some commands", |view| view.requests(7).len() >= some);
        told = node.host.view().requests(7);
        node.engine.kill().await.unwrap();
        node.engine.kill().await.unwrap();
        node.engine.close().await.unwrap();
        assert!(node.engine.submit(&frame(7, 9_000, 1, 1), 0).is_err());
    }
}

#[tokio::test]
async fn a_restart_gives_everything_again() {
    let directory = TempDir::new().unwrap();
    let node = Node::open(in_directory(&directory));
    let first = node.engine.identity();
    assert_eq!(first.incarnation, 1);
    node.engine
        .create_group(7, Bytes::from_static(b"seven"))
        .await
        .unwrap();
    fill(&node, 7, 0, 50, 20).await;
    let before = node.host.view().groups[&7].clone();
    node.engine.close().await.unwrap();
    drop(node);

    let node = Node::open(in_directory(&directory));
    let identity = node.engine.identity();
    assert_eq!(
        (identity.node, identity.cluster),
        (first.node, first.cluster)
    );
    assert_eq!(identity.incarnation, 2);
    let stored = StoredGroup {
        group: 7,
        descriptor: Bytes::from_static(b"seven"),
    };
    assert_eq!(node.engine.stored_groups(), [stored]);
    node.engine.open_group(7).await.unwrap();
    node.host
        .wait("the host is ready", |view| is_ready(view, 7));
    let after = node.host.view().groups[&7].clone();
    assert_eq!(after.commands, before.commands);
    assert_eq!(after.entries, before.entries);
    assert_eq!(
        after.ready_terms.len(),
        1,
        "only for the term in which it leads now"
    );
    assert!(after.ready_terms[0] > before.ready_terms[0]);
    fill(&node, 7, 500, 1, 20).await;
    let again = node.engine.open_group(7).await.unwrap_err();
    assert_eq!(again.code(), "ALREADY_ADDED");
    node.engine.close_group(7).await.unwrap();
    let slot = node.engine.open_group(7).await.unwrap();
    node.host.wait("its lease", |_| node.lease(slot) != 0);
    let twice = node.host.view().requests(7);
    assert_eq!(twice.len(), 2 * 510, "the whole log once more");
    node.engine.close().await.unwrap();
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_power_fails() {
    let disk = SimulatedDisk::new();
    let options = || EngineOptions::new(Location::Simulated(disk.clone()), "test");
    let node = Node::open(options());
    node.engine.create_group(7, Bytes::new()).await.unwrap();
    fill(&node, 7, 0, 30, 20).await;
    let acknowledged = node.host.view().requests(7);
    disk.crash(0, 0);
    drop(node);

    let node = Node::open(options());
    node.engine.open_group(7).await.unwrap();
    node.host.wait("all", |view| is_ready(view, 7));
    assert_eq!(node.host.view().requests(7), acknowledged);
}

#[tokio::test]
async fn a_snapshot_takes_the_place_of_the_log() {
    let directory = TempDir::new().unwrap();
    let options = EngineOptions {
        snapshot_log_bytes_min: 20_000,
        ..in_directory(&directory)
    };
    let node = Node::open(options.clone());
    node.engine.create_group(7, Bytes::new()).await.unwrap();
    for frame in 0..200 {
        fill(&node, 7, frame * 10, 1, 100).await;
    }
    while node.engine.statistics().snapshots < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    fill(&node, 7, 2000, 1, 100).await;
    let before = node.host.view().groups[&7].commands.clone();
    node.engine.close().await.unwrap();
    drop(node);

    let location = Location::Directory(directory.path().join("data"));
    let journal = Journal::open(JournalOptions::new(location)).unwrap();
    let state = journal.group(7).state();
    assert!(state.snapshot.is_some());
    assert!(state.first_index > 0, "entries below the snapshot are gone");
    journal.close().unwrap();
    drop(journal);

    let node = Node::open(options);
    node.engine.open_group(7).await.unwrap();
    node.host.wait("ready", |view| is_ready(view, 7));
    let view = node.host.view();
    assert_eq!(view.groups[&7].snapshots_installed, 1);
    assert_eq!(view.groups[&7].commands, before);
    assert!(
        view.groups[&7].entries.len() < 200,
        "the rest came from the snapshot"
    );
}

#[tokio::test]
async fn a_snapshot_that_the_host_cannot_give_changes_nothing() {
    let options = EngineOptions {
        snapshot_log_bytes_min: 5_000,
        ..EngineOptions::new(Location::Memory, "test")
    };
    let node = Node::open(options);
    node.host.on_snapshot(SnapshotMode::Fail);
    node.engine.create_group(7, Bytes::new()).await.unwrap();
    let begun = || {
        let view = node.host.view();
        view.groups
            .get(&7)
            .map_or(0, |known| known.snapshots_begun.len())
    };
    while begun() < 2 {
        let first = node.host.view().requests(7).len() as u32;
        fill(&node, 7, first, 10, 100).await;
    }
    assert_eq!(node.engine.statistics().snapshots, 0);
    node.host.on_snapshot(SnapshotMode::Give);
    while node.engine.statistics().snapshots == 0 {
        let first = node.host.view().requests(7).len() as u32;
        fill(&node, 7, first, 10, 100).await;
    }
    let requests = node.host.view().requests(7);
    assert!(requests.iter().copied().eq(0..requests.len() as u64));
}

#[tokio::test]
async fn pieces_wait_within_bounds_and_the_host_is_told_to_go_on() {
    let options = EngineOptions {
        snapshot_log_bytes_min: 1,
        ..EngineOptions::new(Location::Memory, "test")
    };
    let node = Node::open(options);
    node.host.on_snapshot(SnapshotMode::Ignore);
    node.engine.create_group(7, Bytes::new()).await.unwrap();
    fill(&node, 7, 0, 1, 100).await;
    node.host.wait("asked", |view| {
        view.groups
            .get(&7)
            .is_some_and(|known| !known.snapshots_begun.is_empty())
    });
    let number = node.host.view().groups[&7].snapshots_begun[0];
    let piece = vec![1; 1 << 20];
    let mut pieces = 0;
    while node.engine.snapshot_piece(7, number, &piece).unwrap() {
        pieces += 1;
        assert!(pieces < 100_000, "nobody says stop");
    }
    node.host
        .wait("told", |view| view.groups[&7].may_continue == [number]);
    assert!(node.engine.snapshot_piece(7, number, &piece).unwrap());
    assert!(node.engine.snapshot_piece(7, number + 1, &piece).is_err());
    assert!(node.engine.snapshot_piece(8, number, &piece).is_err());
    node.engine.finish_snapshot(7, number);
    assert!(node.engine.snapshot_piece(7, number, &piece).is_err());
    while node.engine.statistics().snapshots == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_storage_that_fails_ends_leases_and_refuses_everything() {
    let disk = SimulatedDisk::new();
    let node = Node::open(EngineOptions::new(
        Location::Simulated(disk.clone()),
        "test",
    ));
    let mut slots = Vec::new();
    for group in 2..10 {
        slots.push(node.engine.create_group(group, Bytes::new()).await.unwrap());
    }
    node.host.wait("leases", |_| {
        slots.iter().all(|slot| node.lease(*slot) != 0)
    });
    disk.fail_writes_after(20, true);
    let mut taken = Vec::new();
    for request in 0.. {
        let group = 2 + request % 8;
        match node.engine.submit(&frame(group, request, 1, 100), 0) {
            Ok(()) => taken.push(u64::from(request)),
            Err(error) => {
                assert_eq!(error.code(), "STORAGE_FULL");
                break;
            }
        }
        tokio::time::sleep(std::time::Duration::from_micros(200)).await;
    }
    assert!(slots.iter().all(|slot| node.lease(*slot) == 0));
    node.host
        .wait("the failure", |view| view.storage_failed.len() == 1);
    assert_eq!(node.host.view().storage_failed[0].0, 1, "the disk is full");
    node.host.wait("all settled", |view| {
        let given: usize = (2..10).map(|group| view.requests(group).len()).sum();
        given + view.refusals.len() >= taken.len()
    });
    let mut settled: Vec<u64> = Vec::new();
    for group in 2..10 {
        settled.extend(node.host.view().requests(group));
    }
    let refusals = node.host.view().refusals.clone();
    assert!(!refusals.is_empty() && refusals.iter().all(|refusal| refusal.reason == 3));
    settled.extend(refusals.iter().map(|refusal| refusal.request));
    settled.sort_unstable();
    assert_eq!(settled, taken, "each once");
    assert_eq!(
        node.engine
            .create_group(20, Bytes::new())
            .await
            .unwrap_err()
            .code(),
        "STORAGE_FULL"
    );
    assert!(node.engine.close().await.is_err());
}

#[tokio::test]
async fn a_directory_belongs_to_one_engine_and_one_cluster() {
    let directory = TempDir::new().unwrap();
    let node = Node::open(in_directory(&directory));
    let error = Engine::open(in_directory(&directory), Arc::new(DeafHost))
        .err()
        .unwrap();
    assert_eq!(error.code(), "DATA_DIR_LOCKED");
    node.engine.close().await.unwrap();
    let other = EngineOptions {
        cluster_name: "other".into(),
        ..in_directory(&directory)
    };
    let error = Engine::open(other, Arc::new(DeafHost)).err().unwrap();
    assert_eq!(error.code(), "CLUSTER_MISMATCH");
    let engine = Engine::open(in_directory(&directory), Arc::new(DeafHost)).unwrap();
    assert_eq!(
        engine.identity().incarnation,
        2,
        "a refused opening does not count"
    );
    engine.close().await.unwrap();
}
