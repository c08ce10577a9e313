//! Members come, catch up, go, and are told so; commands find the leader from any node.

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use raft_kv_engine::Role;
use support::frame;
use support::router::{Cluster, GROUP, until};

async fn has(cluster: &Cluster, place: usize, count: usize) {
    let host = cluster.node(place).host.clone();
    until(&format!("{count} commands at {place}"), || async {
        host.view().requests(GROUP).len() == count
    })
    .await;
}

async fn settled(cluster: &Cluster, place: usize) {
    let engine = cluster.node(place).engine.clone();
    until("settled", || async {
        engine.statistics().pending_commands == 0
    })
    .await;
}

fn ids(cluster: &Cluster, places: &[usize]) -> BTreeSet<u64> {
    places.iter().map(|place| cluster.ids[*place]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_group_of_one_grows_to_three_and_shrinks_to_another_one() {
    let cluster = Cluster::start(3, 11, |_| {});
    cluster.create(&[0]).await;
    let engine = cluster.node(0).engine.clone();
    engine.submit(&frame(GROUP, 0, 50, 100), 0).unwrap();
    has(&cluster, 0, 50).await;
    for place in [1, 2] {
        let member = cluster.member(place);
        engine.add_learner(GROUP, member).await.unwrap();
        cluster.bind_wanted(place).await;
        let id = cluster.ids[place];
        engine.wait_for_member(GROUP, id).await.unwrap();
        has(&cluster, place, 50).await;
        let learner = cluster.node(place).engine.group_status(GROUP).await;
        assert_eq!(learner.unwrap().role, Role::Learner);
    }
    engine
        .change_members(GROUP, ids(&cluster, &[0, 1, 2]), BTreeSet::new())
        .await
        .unwrap();
    assert!(cluster.lease_runs(0).await || cluster.leader(&[0]).await == 0);
    engine.submit(&frame(GROUP, 50, 50, 100), 0).unwrap();
    for place in 0..3 {
        has(&cluster, place, 100).await;
    }
    let last = ids(&cluster, &[2]);
    let moved = engine
        .change_members(GROUP, last.clone(), BTreeSet::new())
        .await
        .unwrap_err();
    assert_eq!(moved.code(), "NOT_LEADER");
    cluster.leader(&[2]).await;
    let heir = cluster.node(2).engine.clone();
    heir.change_members(GROUP, last, BTreeSet::new())
        .await
        .unwrap();
    for place in [0, 1] {
        let host = cluster.node(place).host.clone();
        until("removed", || async { host.view().removed == [GROUP] }).await;
        assert!(cluster.node(place).engine.stored_groups().is_empty());
    }
    heir.submit(&frame(GROUP, 100, 50, 100), 0).unwrap();
    has(&cluster, 2, 150).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_member_that_was_removed_may_come_back_again_and_again() {
    let cluster = Cluster::start(2, 15, |_| {});
    cluster.create(&[0]).await;
    let engine = cluster.node(0).engine.clone();
    let id = cluster.ids[1];
    let host = cluster.node(1).host.clone();
    for round in 0..3 {
        engine.add_learner(GROUP, cluster.member(1)).await.unwrap();
        until("wanted", || async { host.view().wanted.len() == round + 1 }).await;
        cluster.node(1).engine.bind_group(GROUP).await.unwrap();
        engine.wait_for_member(GROUP, id).await.unwrap();
        if round % 2 == 1 {
            let both = ids(&cluster, &[0, 1]);
            engine
                .change_members(GROUP, both, BTreeSet::new())
                .await
                .unwrap();
        }
        engine
            .change_members(GROUP, ids(&cluster, &[0]), BTreeSet::new())
            .await
            .unwrap();
        until("removed", || async {
            host.view().removed.len() == round + 1
        })
        .await;
        assert!(cluster.node(1).engine.stored_groups().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_member_that_was_away_when_it_was_removed_deletes_itself_later() {
    let mut cluster = Cluster::start(3, 12, |_| {});
    cluster.create(&[0, 1, 2]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    let away = (leader + 1) % 3;
    let stays = (leader + 2) % 3;
    cluster.stop_node(away).await;
    let engine = cluster.node(leader).engine.clone();
    engine
        .change_members(GROUP, ids(&cluster, &[leader, stays]), BTreeSet::new())
        .await
        .unwrap();
    cluster.start_node(away);
    cluster.node(away).engine.open_group(GROUP).await.unwrap();
    let host = cluster.node(away).host.clone();
    until("removed", || async { host.view().removed == [GROUP] }).await;
    assert!(cluster.lease_runs(leader).await, "nobody was disturbed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_new_member_gets_a_snapshot_and_goes_on_where_it_was_interrupted() {
    let cluster = Cluster::start(2, 13, |options| options.snapshot_log_bytes_min = 50_000);
    cluster.create(&[0]).await;
    let engine = cluster.node(0).engine.clone();
    for round in 0..40 {
        engine
            .submit(&frame(GROUP, round * 50, 50, 100), 0)
            .unwrap();
        has(&cluster, 0, (round as usize + 1) * 50).await;
    }
    until("purged", || async { engine.statistics().snapshots > 0 }).await;
    cluster.router.disturb(0.05, Duration::ZERO);
    engine.add_learner(GROUP, cluster.member(1)).await.unwrap();
    cluster.bind_wanted(1).await;
    has(&cluster, 1, 2000).await;
    assert!(cluster.node(1).host.view().groups[&GROUP].snapshots_installed > 0);
    assert!(cluster.router.pieces.load(Ordering::SeqCst) > 0);
    let expected: Vec<u64> = (0..2000).collect();
    assert_eq!(cluster.node(1).host.view().requests(GROUP), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn commands_find_the_leader_from_any_member_and_keep_their_session() {
    // A leader that is deposed because the machine is busy refuses commands, and so does a node that
    // does not know it yet.
    let cluster = Cluster::start(3, 14, |options| options.election_timeout_ms = 2000);
    cluster.create(&[0, 1, 2]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    for place in 0..3 {
        let engine = &cluster.node(place).engine;
        until("the leader is known", || async {
            engine.group_status(GROUP).await.unwrap().leader == cluster.ids[leader]
        })
        .await;
    }
    for place in 0..3_u32 {
        let engine = &cluster.node(place as usize).engine;
        engine
            .submit(&frame(GROUP, 100 * place, 100, 50), 0)
            .unwrap();
    }
    for place in 0..3 {
        has(&cluster, place, 300).await;
        settled(&cluster, place).await;
        assert!(cluster.node(place).host.view().refusals.is_empty());
    }
    let view = cluster.node(leader).host.view().groups[&GROUP].clone();
    let sessions: BTreeSet<u64> = view.batches.iter().map(|batch| batch.node).collect();
    assert_eq!(sessions, cluster.ids.iter().copied().collect());
    let next = (leader + 1) % 3;
    let engine = cluster.node(leader).engine.clone();
    engine
        .transfer_leader(GROUP, cluster.ids[next])
        .await
        .unwrap();
    engine.submit(&frame(GROUP, 300, 10, 50), 0).unwrap();
    has(&cluster, leader, 310).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_without_a_member_sends_commands_on_and_gets_their_results() {
    let cluster = Cluster::start(3, 15, |_| {});
    cluster.create(&[0, 1]).await;
    let caller = cluster.node(2).engine.clone();
    let members = vec![cluster.member(1), cluster.member(0)];
    caller.set_members_elsewhere(GROUP, members).await.unwrap();
    caller.submit(&frame(GROUP, 0, 20, 50), 0).unwrap();
    settled(&cluster, 2).await;
    let host = cluster.node(2).host.clone();
    until("results", || async { !host.view().results.is_empty() }).await;
    assert!(host.view().refusals.is_empty());
    let results: Vec<u8> = host.view().results.concat();
    let expected: Vec<u8> = (0..20_u64).flat_map(u64::to_le_bytes).collect();
    assert_eq!(results, expected);
    caller
        .set_members_elsewhere(GROUP, Vec::new())
        .await
        .unwrap();
    caller.submit(&frame(GROUP, 20, 1, 50), 0).unwrap();
    until("refused", || async { host.view().refusals.len() == 1 }).await;
    assert!(!host.view().refusals[0].unknown);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn commands_that_may_have_been_proposed_are_refused_as_unknown() {
    let cluster = Cluster::start(3, 16, |_| {});
    cluster.create(&[0, 1, 2]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    let follower = (leader + 1) % 3;
    let ids = &cluster.ids;
    cluster.router.cut(ids[leader], ids[follower], true);
    let engine = cluster.node(follower).engine.clone();
    engine.submit(&frame(GROUP, 0, 5, 50), 0).unwrap();
    let host = cluster.node(follower).host.clone();
    until("refused", || async { host.view().refusals.len() == 5 }).await;
    assert!(
        host.view()
            .refusals
            .iter()
            .all(|it| it.unknown && it.reason == 1)
    );
    settled(&cluster, follower).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_dead_leader_is_no_reason_to_refuse_when_another_is_found() {
    let mut cluster = Cluster::start(3, 17, |_| {});
    cluster.create(&[0, 1]).await;
    let caller = cluster.node(2).engine.clone();
    // The first to be asked was never there.
    let absent = raft_kv_engine::network::Member {
        node: 99,
        address: "nowhere".into(),
    };
    let members = vec![absent, cluster.member(0), cluster.member(1)];
    caller.set_members_elsewhere(GROUP, members).await.unwrap();
    caller.submit(&frame(GROUP, 0, 3, 50), 0).unwrap();
    settled(&cluster, 2).await;
    let host = cluster.node(2).host.clone();
    until("results", || async { !host.view().results.is_empty() }).await;
    assert!(host.view().refusals.is_empty());
    assert_eq!(host.view().results.concat().len(), 24);
    cluster.stop_node(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_that_closes_hands_over_what_it_leads() {
    let mut cluster = Cluster::start(3, 31, |_| {});
    cluster.create(&[0, 1, 2]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    let engine = cluster.node(leader).engine.clone();
    engine.submit(&frame(GROUP, 0, 10, 100), 0).unwrap();
    settled(&cluster, leader).await;
    let others: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
    // They do not stand by themselves.
    for place in &others {
        cluster.node(*place).engine.pause_timer(true);
    }
    engine.close().await.unwrap();
    cluster.nodes[leader] = None;
    for place in &others {
        let status = cluster.node(*place).engine.group_status(GROUP).await;
        let known = status.unwrap().leader;
        assert!(others.iter().any(|other| cluster.ids[*other] == known));
        cluster.node(*place).engine.pause_timer(false);
    }
    let heir = cluster.leader(&others).await;
    let engine = cluster.node(heir).engine.clone();
    engine.submit(&frame(GROUP, 0, 10, 100), 0).unwrap();
    has(&cluster, heir, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn closing_without_a_majority_waits_for_nobody() {
    let cluster = Cluster::start(3, 32, |_| {});
    cluster.create(&[0, 1, 2]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    let ids = cluster.ids.clone();
    for other in (0..3).filter(|place| *place != leader) {
        cluster.router.cut(ids[leader], ids[other], true);
    }
    let closing = cluster.node(leader).engine.close();
    let closed = tokio::time::timeout(Duration::from_secs(30), closing).await;
    closed.unwrap().unwrap();
}
