//! No two nodes may answer reads by themselves at one time. Each test fails without its guard.

#![allow(clippy::disallowed_methods, reason = "tests look at the real clock")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use raft_kv_engine::Engine;
use support::frame;
use support::router::{Cluster, GROUP, PATIENCE, runs, until};
use tokio::task::JoinHandle;

const ELECTION_TIMEOUT: Duration = Duration::from_millis(600);

/// Looks all the time, on a thread of its own, whether two nodes hold a lease at once.
struct Watcher {
    stop: Arc<AtomicBool>,
    looks: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<Vec<String>>>,
}

impl Watcher {
    fn start(engines: Vec<(Engine, u32)>) -> Watcher {
        let stop = Arc::new(AtomicBool::new(false));
        let looks = Arc::new(AtomicU64::new(0));
        let (stopped, counted) = (stop.clone(), looks.clone());
        let thread = std::thread::spawn(move || {
            let mut overlaps = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                let holders: Vec<usize> = (0..engines.len())
                    .filter(|place| runs(&engines[*place].0, engines[*place].1))
                    .collect();
                // Looked at once more in the other order: both held at the same time only if the
                // first still does after the second was seen to.
                if holders.len() > 1 {
                    let again = |place: &usize| runs(&engines[*place].0, engines[*place].1);
                    if holders.iter().all(again) {
                        overlaps.push(format!("{holders:?}"));
                    }
                }
                counted.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(200));
            }
            overlaps
        });
        Watcher {
            stop,
            looks,
            thread: Some(thread),
        }
    }

    /// Ends the watch; there may have been no overlap.
    fn finish(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let thread = self.thread.take().expect("it was started");
        let overlaps = thread.join().expect("it does not panic");
        assert!(self.looks.load(Ordering::SeqCst) > 0);
        assert!(
            overlaps.is_empty(),
            "{} looks: {overlaps:?}",
            overlaps.len()
        );
    }
}

async fn watch(cluster: &Cluster, places: &[usize]) -> Watcher {
    let mut engines = Vec::new();
    for place in places {
        let engine = cluster.node(*place).engine.clone();
        engines.push((engine, cluster.slot(*place).await));
    }
    Watcher::start(engines)
}

/// Proposes at a node all the time, so that its lease is renewed by more than heartbeats.
fn load(engine: Engine) -> JoinHandle<()> {
    tokio::spawn(async move {
        for round in 0.. {
            if engine.submit(&frame(GROUP, round, 1, 50), 0).is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
}

async fn let_lease_pass() {
    let start = Instant::now();
    until("a lease has passed", || async {
        start.elapsed() > ELECTION_TIMEOUT * 5 / 4
    })
    .await;
}

/// L keeps its lease by node 2 alone; node 2 forgets that by a restart; then node 3 stands.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_restarted_voter_does_not_elect_another_within_the_lease_that_it_acknowledged() {
    for round in 0..3 {
        let mut cluster = Cluster::start(3, round, |_| {});
        cluster.create(&[0, 1, 2]).await;
        let leader = cluster.leader(&[0, 1, 2]).await;
        let [second, third] = [(leader + 1) % 3, (leader + 2) % 3];
        let ids = cluster.ids.clone();
        cluster.router.cut(ids[leader], ids[third], true);
        cluster.router.cut(ids[second], ids[third], true);
        let_lease_pass().await;
        assert!(cluster.lease_runs(leader).await);
        cluster.router.cut(ids[leader], ids[second], true);
        let slot = cluster.slot(leader).await;
        let old = cluster.node(leader).engine.clone();
        assert!(runs(&old, slot), "still within the lease");
        cluster.stop_node(second).await;
        cluster.start_node(second);
        cluster.node(second).engine.open_group(GROUP).await.unwrap();
        let watcher = watch(&cluster, &[leader, second, third]).await;
        cluster.router.cut(ids[second], ids[third], false);
        cluster.leader(&[second, third]).await;
        watcher.finish();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_leader_that_hands_over_ends_its_lease_first() {
    let cluster = Cluster::start(3, 4, |_| {});
    cluster.create(&[0, 1, 2]).await;
    let watcher = watch(&cluster, &[0, 1, 2]).await;
    let mut leader = cluster.leader(&[0, 1, 2]).await;
    for _ in 0..5 {
        let next = (leader + 1) % 3;
        let loading = load(cluster.node(leader).engine.clone());
        // Nobody tells the old leader that another leads: it hears of nothing but answers.
        deafen(&cluster, leader, true);
        let engine = cluster.node(leader).engine.clone();
        let heir = cluster.ids[next];
        let moving = tokio::spawn(async move { engine.transfer_leader(GROUP, heir).await });
        cluster.leader(&[next]).await;
        let_lease_pass().await;
        loading.abort();
        deafen(&cluster, leader, false);
        moving.await.unwrap().unwrap();
        leader = next;
    }
    watcher.finish();
}

/// Loses what others ask of a node, but not their answers.
fn deafen(cluster: &Cluster, place: usize, deaf: bool) {
    for other in (0..3).filter(|other| *other != place) {
        let ids = &cluster.ids;
        cluster.router.cut_towards(ids[other], ids[place], deaf);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_transfer_goes_only_to_a_voter_that_answers() {
    let cluster = Cluster::start(3, 5, |_| {});
    cluster.create(&[0, 1, 2]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    let engine = cluster.node(leader).engine.clone();
    let follower = cluster.node((leader + 1) % 3).engine.clone();
    let own = follower.transfer_leader(GROUP, cluster.ids[leader]).await;
    assert_eq!(own.unwrap_err().code(), "NOT_LEADER");
    let stranger = engine.transfer_leader(GROUP, 77).await.unwrap_err();
    assert_eq!(stranger.code(), "INVALID_ARGUMENT");
    let silent = (leader + 2) % 3;
    let ids = &cluster.ids;
    cluster.router.cut(ids[leader], ids[silent], true);
    let refused = engine.transfer_leader(GROUP, ids[silent]).await;
    assert_eq!(refused.unwrap_err().code(), "TIMED_OUT");
    assert!(cluster.lease_runs(leader).await, "it leads on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_leader_that_leaves_the_group_ends_its_lease_first() {
    let cluster = Cluster::start(3, 6, |_| {});
    cluster.create(&[0, 1, 2]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    let watcher = watch(&cluster, &[0, 1, 2]).await;
    let loading = load(cluster.node(leader).engine.clone());
    let rest: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
    let voters: BTreeSet<u64> = rest.iter().map(|place| cluster.ids[*place]).collect();
    deafen(&cluster, leader, true);
    let engine = cluster.node(leader).engine.clone();
    let without = voters.clone();
    let moving =
        tokio::spawn(async move { engine.change_members(GROUP, without, BTreeSet::new()).await });
    let heir = cluster.leader(&rest).await;
    let_lease_pass().await;
    deafen(&cluster, leader, false);
    let moved = moving.await.unwrap();
    assert_eq!(moved.unwrap_err().code(), "NOT_LEADER");
    let engine = cluster.node(heir).engine.clone();
    engine
        .change_members(GROUP, voters, BTreeSet::new())
        .await
        .unwrap();
    let host = cluster.node(leader).host.clone();
    until("told that it was removed", || async {
        host.view().removed == [GROUP]
    })
    .await;
    loading.abort();
    watcher.finish();
    assert!(cluster.node(leader).engine.stored_groups().is_empty());
    assert_eq!(engine.group_status(GROUP).await.unwrap().members.len(), 2);
}

/// The leader stands still with messages under way; what comes late must not renew its lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn late_answers_do_not_renew_a_lease() {
    let cluster = Cluster::start(3, 7, |_| {});
    cluster.create(&[0, 1, 2]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    let rest: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
    let watcher = watch(&cluster, &[0, 1, 2]).await;
    let loading = load(cluster.node(leader).engine.clone());
    cluster.router.hold_answers(cluster.ids[leader], true);
    cluster.node(leader).engine.pause_timer(true);
    for place in &rest {
        // Neither hears of the other's requests; answers to what was sent before are on their way.
        let (old, other) = (cluster.ids[leader], cluster.ids[*place]);
        cluster.router.cut_towards(old, other, true);
        cluster.router.cut_towards(other, old, true);
    }
    cluster.leader(&rest).await;
    loading.abort();
    cluster.router.hold_answers(cluster.ids[leader], false);
    cluster.node(leader).engine.pause_timer(false);
    let_lease_pass().await;
    watcher.finish();
}

/// The same without a lease: answers to what was sent before a read began do not confirm it.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn late_answers_do_not_confirm_a_read() {
    for seed in 0..5 {
        let cluster = Cluster::start(3, 20 + seed, |_| {});
        cluster.create(&[0, 1, 2]).await;
        let leader = cluster.leader(&[0, 1, 2]).await;
        let rest: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
        let loading = load(cluster.node(leader).engine.clone());
        cluster.router.hold_answers(cluster.ids[leader], true);
        cluster.node(leader).engine.pause_timer(true);
        tokio::time::sleep(Duration::from_millis(50)).await;
        loading.abort();
        for place in &rest {
            let (old, other) = (cluster.ids[leader], cluster.ids[*place]);
            cluster.router.cut_towards(old, other, true);
            cluster.router.cut_towards(other, old, true);
        }
        cluster.leader(&rest).await;
        let engine = cluster.node(leader).engine.clone();
        let reading = tokio::spawn(async move { engine.read_index(GROUP, 1).await });
        tokio::time::sleep(Duration::from_millis(20)).await;
        cluster.router.hold_answers(cluster.ids[leader], false);
        let read = tokio::time::timeout(Duration::from_secs(2), reading).await;
        assert!(!matches!(read, Ok(Ok(Ok(())))), "seed {seed}: {read:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_follower_that_stood_still_hears_its_leader_before_it_stands_for_election() {
    let cluster = Cluster::start(3, 10, |options| {
        options.heartbeat_interval_ms = 400;
        options.election_timeout_ms = 1600;
    });
    cluster.create(&[0, 1, 2]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    let follower = (leader + 1) % 3;
    let (from, to) = (cluster.ids[leader], cluster.ids[follower]);
    let engine = &cluster.node(follower).engine;
    // As if its process stood still: it takes nothing, and its timer does nothing.
    cluster.router.cut_towards(from, to, true);
    engine.pause_timer(true);
    // Far longer than until it would have stood.
    tokio::time::sleep(Duration::from_millis(4000)).await;
    cluster.router.stood(to);
    cluster.router.cut_towards(from, to, false);
    engine.pause_timer(false);
    let leading = &cluster.node(leader).engine;
    leading.submit(&frame(GROUP, 0, 1, 50), 0).unwrap();
    let host = cluster.node(follower).host.clone();
    until("heard", || async { host.view().requests(GROUP).len() == 1 }).await;
    assert_eq!(cluster.router.stood(to), 0);
    // The guard is for late timers only: a dead leader is replaced.
    cluster.router.cut_towards(from, to, true);
    until("stands", || async { cluster.router.stood(to) > 0 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_paused_leader_has_no_lease_when_another_leads() {
    let cluster = Cluster::start(3, 8, |_| {});
    cluster.create(&[0, 1, 2]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    let rest: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
    let watcher = watch(&cluster, &[0, 1, 2]).await;
    cluster.node(leader).engine.pause_timer(true);
    let next = cluster.leader(&rest).await;
    cluster.node(leader).engine.pause_timer(false);
    let engine = cluster.node(leader).engine.clone();
    let heir = cluster.ids[next];
    until("the old leader knows the new one", || async {
        engine.group_status(GROUP).await.unwrap().leader == heir
    })
    .await;
    watcher.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_lease_is_renewed_while_idle_and_ends_without_a_quorum() {
    let cluster = Cluster::start(3, 9, |_| {});
    cluster.create(&[0, 1, 2]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    let_lease_pass().await;
    assert!(cluster.lease_runs(leader).await, "renewed by heartbeats");
    let engine = cluster.node(leader).engine.clone();
    engine.read_index(GROUP, 1).await.unwrap();
    let host = cluster.node(leader).host.clone();
    until("read", || async { host.view().reads == [(GROUP, 1)] }).await;
    let follower = cluster.node((leader + 1) % 3).engine.clone();
    let refused = follower.read_index(GROUP, 2).await.unwrap_err();
    assert_eq!(refused.code(), "NOT_LEADER");
    for other in 0..3 {
        if other != leader {
            cluster
                .router
                .cut(cluster.ids[leader], cluster.ids[other], true);
        }
    }
    until("the lease is over", || async {
        !cluster.lease_runs(leader).await
    })
    .await;
    let refused = engine.read_index(GROUP, 3).await.unwrap_err();
    assert!(["NOT_LEADER", "TIMED_OUT"].contains(&refused.code()));
    assert_eq!(host.view().reads, [(GROUP, 1)]);
}

/// A follower can answer its callers from an entry as soon as it is told that it is committed: a
/// leader whose host has not got there may not answer reads, and sees it by the slot's index.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn no_follower_is_given_an_entry_before_the_leaders_slot_shows_its_index() {
    // Entries of a leader that is deposed because the machine is busy may never come.
    let cluster = Cluster::start(3, 9, |options| options.election_timeout_ms = 2000);
    cluster.create(&[0, 1, 2]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    let slot = cluster.slot(leader).await as usize;
    let engine = &cluster.node(leader).engine;
    let slots = engine.lease_slots();
    let shown = || slots[slots.len() / 2 + slot].load(Ordering::SeqCst) as u64;
    for round in 1..=100_usize {
        engine
            .submit(&frame(GROUP, round as u32, 1, 50), 0)
            .unwrap();
        for follower in [(leader + 1) % 3, (leader + 2) % 3] {
            let host = &cluster.node(follower).host;
            let given = || host.view().groups[&GROUP].entries.get(round - 1).copied();
            let begun = Instant::now();
            // Without a pause: what counts is the moment in which the follower has it.
            let (index, _) = loop {
                if let Some(entry) = given() {
                    break entry;
                }
                let refusals = host.view().refusals.len();
                let waited = begun.elapsed();
                assert!(waited < PATIENCE, "{round}: {refusals} refusals");
                tokio::task::yield_now().await;
            };
            assert!(shown() >= index, "entry {index}, shown {}", shown());
        }
    }
}
