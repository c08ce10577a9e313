//! Groups with nothing to do: silent, watched by their leader's node, and awake at once.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::sync::atomic::Ordering;

use raft_kv_engine::Role;
use support::frame;
use support::router::{Cluster, GROUP, until};

async fn start(seed: u64) -> (Cluster, usize) {
    let cluster = Cluster::start(3, seed, |options| options.sleep_after_ms = 300);
    cluster.create(&[0, 1, 2]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    (cluster, leader)
}

/// Waits until the leader says many times that it lives without sending anything to its group.
async fn asleep(cluster: &Cluster) {
    let appends = || cluster.router.appends.load(Ordering::SeqCst);
    let calls = || cluster.router.calls.load(Ordering::SeqCst);
    let seen = parking_lot::Mutex::new((appends(), calls()));
    until("asleep", || async {
        let mut seen = seen.lock();
        if appends() != seen.0 {
            *seen = (appends(), calls());
        }
        calls() > seen.1 + 20
    })
    .await;
}

async fn has(cluster: &Cluster, place: usize, count: usize) {
    let host = cluster.node(place).host.clone();
    until(&format!("{count} commands at {place}"), || async {
        host.view().requests(GROUP).len() == count
    })
    .await;
}

async fn leads(cluster: &Cluster, place: usize) -> bool {
    let engine = &cluster.node(place).engine;
    engine.group_status(GROUP).await.unwrap().role == Role::Leader
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_sleeping_group_wakes_for_commands_from_anywhere_and_for_reads() {
    let (cluster, leader) = start(31).await;
    asleep(&cluster).await;
    assert!(!cluster.lease_runs(leader).await, "nobody confirms it");
    let engine = cluster.node(leader).engine.clone();
    engine.submit(&frame(GROUP, 0, 3, 50), 0).unwrap();
    for place in 0..3 {
        has(&cluster, place, 3).await;
    }
    assert!(cluster.lease_runs(leader).await);
    asleep(&cluster).await;
    let follower = cluster.node((leader + 1) % 3).engine.clone();
    for request in 10..110 {
        follower.submit(&frame(GROUP, request, 1, 50), 0).unwrap();
        tokio::task::yield_now().await;
    }
    for place in 0..3 {
        has(&cluster, place, 103).await;
    }
    let in_order: Vec<u64> = (0..3).chain(10..110).collect();
    let given = cluster.node(leader).host.view().requests(GROUP);
    assert_eq!(given, in_order, "also those that met it asleep");
    asleep(&cluster).await;
    engine.read_index(GROUP, 5).await.unwrap();
    let host = cluster.node(leader).host.clone();
    until("read", || async { host.view().reads == [(GROUP, 5)] }).await;
    asleep(&cluster).await;
    let heir = (leader + 2) % 3;
    let to = cluster.ids[heir];
    engine.transfer_leader(GROUP, to).await.unwrap();
    assert_eq!(cluster.leader(&[heir]).await, heir);
    for place in 0..3 {
        assert!(cluster.node(place).host.view().refusals.is_empty());
        let leaders = &cluster.node(place).host.view().groups[&GROUP]
            .leaders
            .clone();
        let changes = leaders.iter().filter(|it| **it != 0).count();
        assert!(changes <= 2, "nobody stood but the heir: {leaders:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn another_leads_a_sleeping_group_when_its_leaders_node_dies() {
    let (mut cluster, leader) = start(32).await;
    asleep(&cluster).await;
    cluster.stop_node(leader).await;
    let rest: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
    let next = cluster.leader(&rest).await;
    cluster.start_node(leader);
    cluster.node(leader).engine.open_group(GROUP).await.unwrap();
    let engine = cluster.node(next).engine.clone();
    engine.submit(&frame(GROUP, 0, 3, 50), 0).unwrap();
    for place in 0..3 {
        has(&cluster, place, 3).await;
    }
    asleep(&cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_sleeping_group_that_its_node_no_longer_leads_is_led_by_another() {
    let (cluster, leader) = start(33).await;
    asleep(&cluster).await;
    // The node lives, and goes on saying so.
    let engine = cluster.node(leader).engine.clone();
    engine.close_group(GROUP).await.unwrap();
    let rest: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
    cluster.leader(&rest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_follower_that_starts_anew_finds_the_leader_of_a_sleeping_group() {
    let (mut cluster, leader) = start(34).await;
    asleep(&cluster).await;
    let follower = (leader + 1) % 3;
    cluster.stop_node(follower).await;
    cluster.start_node(follower);
    let engine = cluster.node(follower).engine.clone();
    engine.open_group(GROUP).await.unwrap();
    let id = cluster.ids[leader];
    until("it knows the leader", || async {
        engine.group_status(GROUP).await.unwrap().leader == id
    })
    .await;
    asleep(&cluster).await;
    assert!(leads(&cluster, leader).await, "nobody was deposed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_member_that_is_away_keeps_nobody_awake_and_is_brought_up_to_date_when_it_is_back() {
    let (mut cluster, leader) = start(35).await;
    let away = (leader + 1) % 3;
    cluster.stop_node(away).await;
    asleep(&cluster).await;
    let engine = cluster.node(leader).engine.clone();
    engine.submit(&frame(GROUP, 0, 3, 50), 0).unwrap();
    has(&cluster, (leader + 2) % 3, 3).await;
    // What the member has not got is sent towards it now and then, but nobody confirms the leader.
    until("asleep with entries that one has not got", || async {
        !cluster.lease_runs(leader).await
    })
    .await;
    cluster.start_node(away);
    cluster.node(away).engine.open_group(GROUP).await.unwrap();
    has(&cluster, away, 3).await;
    asleep(&cluster).await;
    assert!(leads(&cluster, leader).await, "nobody was deposed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_group_without_a_majority_stays_awake() {
    let (mut cluster, leader) = start(37).await;
    for place in (0..3).filter(|place| *place != leader) {
        cluster.stop_node(place).await;
    }
    let before = cluster.router.appends.load(Ordering::SeqCst);
    until("it beats on", || async {
        cluster.router.appends.load(Ordering::SeqCst) > before + 40
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_group_that_rests_is_heard_less_often_and_keeps_its_leader_and_lease() {
    let cluster = Cluster::start(3, 38, |options| {
        options.heartbeat_interval_ms = 50;
        options.election_timeout_ms = 2000;
    });
    cluster.create(&[0, 1, 2]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    let engine = cluster.node(leader).engine.clone();
    engine.submit(&frame(GROUP, 0, 3, 50), 0).unwrap();
    for place in 0..3 {
        has(&cluster, place, 3).await;
    }
    // Thirty rounds of heartbeats to two members would be sixty, one in twenty is few.
    until("it rests", || async {
        let before = cluster.router.appends.load(Ordering::SeqCst);
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        cluster.router.appends.load(Ordering::SeqCst) - before <= 8
    })
    .await;
    assert!(cluster.lease_runs(leader).await);
    engine.submit(&frame(GROUP, 3, 3, 50), 0).unwrap();
    for place in 0..3 {
        has(&cluster, place, 6).await;
    }
    assert!(leads(&cluster, leader).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_follower_that_is_cut_off_from_a_sleeping_leader_does_not_depose_it() {
    let (cluster, leader) = start(36).await;
    asleep(&cluster).await;
    let (follower, third) = ((leader + 1) % 3, (leader + 2) % 3);
    let ids = &cluster.ids;
    cluster.router.cut(ids[leader], ids[follower], true);
    cluster.router.stood(ids[follower]);
    let stood = std::sync::atomic::AtomicU64::new(0);
    until("it stands again and again", || async {
        let more = cluster.router.stood(ids[follower]);
        stood.fetch_add(more, Ordering::SeqCst) > 10
    })
    .await;
    assert!(leads(&cluster, leader).await);
    let engine = &cluster.node(third).engine;
    let status = engine.group_status(GROUP).await.unwrap();
    assert_eq!(status.leader, ids[leader]);
}
