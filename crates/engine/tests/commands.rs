//! Commands come back as entries, or refused: each once, in order, as they were sent.

mod support;

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::test_runner::{Config, TestRunner};
use raft_kv_engine::{EngineOptions, Location};
use support::{Command, GroupView, Node, add, frame, to_group};

fn in_memory() -> EngineOptions {
    EngineOptions::new(Location::Memory, "test")
}

async fn with_groups(options: EngineOptions, groups: &[u32]) -> Node {
    let node = Node::open(options);
    for group in groups {
        let created = node
            .engine
            .create_group(*group, Bytes::from_static(b"d"))
            .await;
        assert!(created.is_ok(), "{created:?}");
    }
    node
}

/// One command of a tick through keyspace 9, and what the host must be given for it.
fn keyed(node: &Node, frame: &mut Vec<u8>, tick: u64, offset: u32, request: u64) -> (u32, Command) {
    let key = format!("key {tick} {offset}");
    add(frame, 9, offset, key.as_bytes(), &request.to_le_bytes());
    let hash = node
        .engine
        .hash_key(9, key.as_bytes())
        .expect("the keyspace has routes");
    let group = node
        .engine
        .find_group(9, hash.hash)
        .expect("every hash has a group");
    let mut body = [key.as_bytes(), &request.to_le_bytes()].concat();
    body.resize(body.len().next_multiple_of(4), 0);
    (
        group,
        Command {
            request,
            hash: hash.hash,
            fingerprint: hash.fingerprint,
            body,
        },
    )
}

fn check_batches(node: &Node, known: &GroupView) -> Vec<u64> {
    let identity = node.engine.identity();
    assert!(
        known.entries.is_sorted_by(|one, next| one.0 + 1 == next.0),
        "{:?}",
        known.entries
    );
    assert!(
        known
            .batches
            .iter()
            .all(|it| it.node == identity.node && it.incarnation == 1)
    );
    assert!(
        known
            .batches
            .is_sorted_by_key(|batch| (batch.number, batch.acknowledged))
    );
    assert!(
        known
            .stamps
            .iter()
            .all(|(clock, _)| *clock > 1.5e12 && clock.fract() == 0.0)
    );
    known.batches.iter().map(|batch| batch.number).collect()
}

/// Waits until the limits have back what was taken of them: a moment after the last event.
async fn wait_until_released(node: &Node) {
    while node.engine.statistics().pending_commands > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(node.engine.statistics().pending_bytes, 0);
}

#[tokio::test]
async fn commands_come_back_in_order_with_their_bytes_and_hashes() {
    let node = with_groups(in_memory(), &[2, 3]).await;
    node.engine
        .set_routes(9, "things", &[0, 1 << 26], &[2, 3])
        .unwrap();
    let mut expected: BTreeMap<u32, Vec<Command>> = BTreeMap::new();
    let first = 1_u64 << 40;
    for tick in 0..200_u64 {
        let acknowledged = first + tick;
        let mut records = Vec::new();
        for offset in 0..5_u32 {
            let request = acknowledged + u64::from(offset);
            let (group, command) = keyed(&node, &mut records, tick, offset, request);
            expected.entry(group).or_default().push(command);
        }
        node.engine.submit(&records, acknowledged).unwrap();
    }
    node.host.wait("all commands", |view| {
        view.requests(2).len() + view.requests(3).len() == 1000
    });
    let mut numbers = Vec::new();
    for group in [2, 3] {
        let known = node.host.view().groups[&group].clone();
        assert_eq!(known.commands, expected[&group]);
        numbers.extend(check_batches(&node, &known));
    }
    numbers.sort_unstable();
    assert!(
        numbers.iter().copied().eq(1..=numbers.len() as u64),
        "numbered without a gap"
    );
    assert!(node.host.view().refusals.is_empty());
    node.engine.close().await.unwrap();
}

#[tokio::test]
async fn a_hash_given_by_the_sender_stays_on_a_group_route() {
    let node = with_groups(in_memory(), &[2]).await;
    let mut records = frame(2, 5, 1, 8);
    records[12..20].copy_from_slice(&[1, 2, 3, 0, 5, 6, 7, 8]);
    node.engine.submit(&records, 0).unwrap();
    node.host
        .wait("the command", |view| view.requests(2) == [5]);
    let command = node.host.view().groups[&2].commands[0].clone();
    assert_eq!(
        (command.hash, command.fingerprint),
        (0x0003_0201, 0x0807_0605)
    );
}

#[tokio::test]
async fn commands_for_nowhere_are_refused_by_name_and_the_others_taken() {
    let node = with_groups(in_memory(), &[2, 4]).await;
    node.engine
        .set_routes(9, "things", &[1 << 26], &[2])
        .unwrap();
    node.engine.close_group(4).await.unwrap();
    let low = (0..)
        .map(|number| format!("{number}"))
        .find(|key| node.engine.hash_key(9, key.as_bytes()).unwrap().hash < 1 << 26);
    let mut records = frame(2, 0, 1, 0);
    add(&mut records, to_group(3), 1, b"", b"");
    add(&mut records, 8, 2, b"", b"");
    add(&mut records, 9, 3, low.unwrap().as_bytes(), b"");
    add(&mut records, to_group(4), 4, b"", b"");
    records.extend(frame(2, 5, 1, 0));
    node.engine.submit(&records, 100).unwrap();
    node.host.wait("all", |view| {
        view.requests(2).len() == 2 && view.refusals.len() == 4
    });
    {
        let view = node.host.view();
        assert_eq!(view.requests(2), [100, 105]);
        let refused: Vec<u64> = view
            .refusals
            .iter()
            .map(|refusal| refusal.request)
            .collect();
        assert_eq!(refused, [101, 102, 103, 104]);
        assert!(
            view.refusals
                .iter()
                .all(|refusal| refusal.reason == 2 && !refusal.unknown)
        );
    }
    wait_until_released(&node).await;
    assert_eq!(node.engine.statistics().commands_refused, 4);
}

#[tokio::test]
async fn a_full_queue_holds_back_and_beyond_the_limits_whole_frames_are_refused() {
    let options = EngineOptions {
        event_queue_bytes_max: 2000,
        pending_commands_max: 500,
        ..in_memory()
    };
    let node = with_groups(options, &[2]).await;
    node.host.pause(true);
    let mut taken = Vec::new();
    let mut refused = 0;
    for tick in 0..200_u32 {
        let records = frame(2, tick * 10, 10, 100);
        match node.engine.submit(&records, 0) {
            Ok(()) => taken.extend((tick * 10..tick * 10 + 10).map(u64::from)),
            Err(error) => {
                assert_eq!(error.code(), "OVERLOADED");
                refused += 1;
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        let statistics = node.engine.statistics();
        assert!(statistics.pending_commands <= 500);
        // Up to one entry beyond the limit: the one that found the queue just not full.
        assert!(
            statistics.event_bytes < 2000 + 300_000,
            "{}",
            statistics.event_bytes
        );
    }
    assert!(
        refused > 0 && taken.len() >= 500,
        "{refused} refused, {} taken",
        taken.len()
    );
    node.host.pause(false);
    node.host.wait("all that was taken", |view| {
        view.requests(2).len() >= taken.len()
    });
    assert_eq!(node.host.view().requests(2), taken);
    let records = frame(2, 5000, 10, 100);
    node.engine.submit(&records, 0).unwrap();
    node.host.wait("what came later", |view| {
        view.requests(2).len() == taken.len() + 10
    });
    wait_until_released(&node).await;
}

#[tokio::test]
async fn malformed_frames_are_refused_whole_and_harm_nothing() {
    let node = with_groups(in_memory(), &[2]).await;
    let good = frame(2, 0, 3, 10);
    for length in 1..good.len() {
        if length % (good.len() / 3) != 0 {
            let error = node.engine.submit(&good[..length], 0).unwrap_err();
            assert_eq!(error.code(), "MALFORMED_FRAME");
        }
    }
    let mut runner = TestRunner::new(Config {
        cases: 500,
        ..Config::default()
    });
    let bytes = proptest::collection::vec(proptest::num::u8::ANY, 1..100);
    let result = runner.run(&bytes, |bytes| {
        if node.engine.submit(&bytes, 0).is_ok() {
            proptest::prop_assert_eq!(bytes.len() % 4, 0);
        }
        Ok(())
    });
    result.unwrap();
    let before = node.host.view().requests(2).len();
    node.engine.submit(&good, 1 << 30).unwrap();
    node.host.wait("the good frame", |view| {
        view.requests(2).len() == before + 3
    });
    assert!(node.engine.set_routes(1, "x", &[5, 5], &[2, 2]).is_err());
    assert!(node.engine.set_routes(1, "x", &[5], &[]).is_err());
}

#[tokio::test]
async fn closing_settles_every_command_that_was_taken() {
    let node = with_groups(in_memory(), &[2, 3]).await;
    let mut taken = 0;
    for tick in 0..300 {
        node.engine.submit(&frame(2, tick * 10, 5, 50), 0).unwrap();
        node.engine
            .submit(&frame(3, tick * 10 + 5, 5, 50), 0)
            .unwrap();
        taken += 10;
    }
    node.engine.close().await.unwrap();
    node.engine.close().await.unwrap();
    assert_eq!(
        node.engine
            .submit(&frame(2, 0, 1, 0), 0)
            .unwrap_err()
            .code(),
        "CLOSED"
    );
    assert_eq!(
        node.engine.open_group(2).await.unwrap_err().code(),
        "CLOSED"
    );
    node.host.wait("all settled", |view| {
        view.requests(2).len() + view.requests(3).len() + view.refusals.len() >= taken
    });
    let view = node.host.view();
    let mut settled = [view.requests(2), view.requests(3)].concat();
    settled.extend(view.refusals.iter().map(|refusal| refusal.request));
    settled.sort_unstable();
    assert!(settled.iter().copied().eq(0..taken as u64), "each once");
}
