//! Groups of several voters: entries reach all members, whatever the network does.

#![allow(clippy::disallowed_methods, reason = "tests look at the real clock")]

mod support;

use std::time::Duration;

use raft_kv_engine::Role;
use support::frame;
use support::router::{Cluster, GROUP, until};

async fn all_have(cluster: &Cluster, places: &[usize], count: usize) {
    for place in places {
        let host = cluster.node(*place).host.clone();
        until(&format!("{count} commands at {place}"), || async {
            host.view().requests(GROUP).len() == count
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn entries_reach_all_members_in_one_order() {
    let cluster = Cluster::start(3, 1, |_| {});
    cluster.create(&[0, 1, 2]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    assert_eq!(leader, 0, "the node that creates a group leads it first");
    let engine = &cluster.node(leader).engine;
    for round in 0..50 {
        engine
            .submit(&frame(GROUP, round * 10, 10, 100), 0)
            .unwrap();
        tokio::task::yield_now().await;
    }
    all_have(&cluster, &[0, 1, 2], 500).await;
    let expected: Vec<u64> = (0..500).collect();
    for place in 0..3 {
        assert_eq!(cluster.node(place).host.view().requests(GROUP), expected);
    }
    let status = engine.group_status(GROUP).await.unwrap();
    assert_eq!(status.role, Role::Leader);
    assert_eq!(status.leader, cluster.ids[leader]);
    assert_eq!(status.members.len(), 3);
    assert!(status.members.iter().all(|it| it.voter));
    assert!(status.bound && status.voter_sets.len() == 1);
    let follower = cluster.node(1).engine.group_status(GROUP).await.unwrap();
    assert_eq!(follower.role, Role::Follower);
    assert_eq!(follower.leader, cluster.ids[leader]);
    assert_eq!(follower.members[0].member.address.len(), "node-0".len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn another_leads_when_the_leader_dies_and_the_whole_cluster_comes_back() {
    let mut cluster = Cluster::start(3, 2, |_| {});
    cluster.create(&[0, 1, 2]).await;
    let first = cluster.leader(&[0, 1, 2]).await;
    let engine = cluster.node(first).engine.clone();
    engine.submit(&frame(GROUP, 0, 20, 100), 0).unwrap();
    all_have(&cluster, &[0, 1, 2], 20).await;
    cluster.stop_node(first).await;
    let rest: Vec<usize> = (0..3).filter(|place| *place != first).collect();
    let second = cluster.leader(&rest).await;
    let engine = cluster.node(second).engine.clone();
    engine.submit(&frame(GROUP, 20, 20, 100), 0).unwrap();
    all_have(&cluster, &rest, 40).await;
    cluster.start_node(first);
    cluster.node(first).engine.open_group(GROUP).await.unwrap();
    all_have(&cluster, &[0, 1, 2], 40).await;
    for place in 0..3 {
        cluster.stop_node(place).await;
    }
    for place in 0..3 {
        cluster.start_node(place);
        cluster.node(place).engine.open_group(GROUP).await.unwrap();
    }
    let third = cluster.leader(&[0, 1, 2]).await;
    let engine = &cluster.node(third).engine;
    engine.submit(&frame(GROUP, 40, 20, 100), 0).unwrap();
    all_have(&cluster, &[0, 1, 2], 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_committed_is_lost_or_doubled_in_a_bad_network() {
    let seed = std::env::var("SEED").ok().and_then(|it| it.parse().ok());
    let cluster = Cluster::start(3, seed.unwrap_or_else(rand::random), |_| {});
    cluster.create(&[0, 1, 2]).await;
    cluster.router.disturb(0.02, Duration::from_millis(3));
    let mut sent = 0;
    for _ in 0..40 {
        let leader = cluster.leader(&[0, 1, 2]).await;
        let engine = &cluster.node(leader).engine;
        engine.submit(&frame(GROUP, sent, 25, 300), 0).unwrap();
        sent += 25;
    }
    cluster.router.disturb(0.0, Duration::ZERO);
    let ended = || async {
        let views: Vec<Vec<u64>> = (0..3)
            .map(|place| cluster.node(place).host.view().requests(GROUP))
            .collect();
        let unanswered: usize = (0..3)
            .map(|place| cluster.node(place).engine.statistics().pending_commands as usize)
            .sum();
        unanswered == 0 && views.iter().all(|view| *view == views[0])
    };
    until("all settled and equal", ended).await;
    let mut applied = cluster.node(0).host.view().requests(GROUP);
    let mut refused: Vec<u64> = Vec::new();
    for place in 0..3 {
        let host = &cluster.node(place).host;
        refused.extend(host.view().refusals.iter().map(|it| it.request));
    }
    applied.sort_unstable();
    let count = applied.len();
    applied.dedup();
    assert_eq!(count, applied.len(), "applied once each");
    let lost = (0..u64::from(sent)).find(|it| !applied.contains(it) && !refused.contains(it));
    assert_eq!(lost, None, "neither applied nor refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_member_without_the_code_stores_and_neither_applies_nor_leads() {
    let mut cluster = Cluster::start(3, 3, |_| {});
    cluster.create(&[0, 1, 2]).await;
    cluster.stop_node(2).await;
    cluster.start_node(2);
    let engine = cluster.node(2).engine.clone();
    engine.open_unbound(GROUP).await.unwrap();
    let leader = cluster.leader(&[0, 1]).await;
    let leading = cluster.node(leader).engine.clone();
    leading.submit(&frame(GROUP, 0, 30, 100), 0).unwrap();
    all_have(&cluster, &[0, 1], 30).await;
    let last = leading.group_status(GROUP).await.unwrap().last_index;
    until("stored", || async {
        engine.group_status(GROUP).await.unwrap().last_index >= last
    })
    .await;
    assert!(cluster.node(2).host.view().requests(GROUP).is_empty());
    let status = engine.group_status(GROUP).await.unwrap();
    assert!(!status.bound && status.role == Role::Follower);
    // It is not handed a group that it could not lead, and the leader leads on.
    let refused = leading.transfer_leader(GROUP, cluster.ids[2]).await;
    assert_eq!(refused.unwrap_err().code(), "TIMED_OUT");
    assert!(cluster.lease_runs(leader).await, "it leads on");
    // Of two that are left, the one without the code lets the other lead, also when it is behind.
    cluster.stop_node(leader).await;
    let other = cluster.leader(&[1 - leader]).await;
    let leading = cluster.node(other).engine.clone();
    leading.submit(&frame(GROUP, 30, 30, 100), 0).unwrap();
    all_have(&cluster, &[other], 60).await;
    assert!(cluster.node(2).host.view().requests(GROUP).is_empty());
    engine.bind_group(GROUP).await.unwrap();
    all_have(&cluster, &[2], 60).await;
}
