//! First members, and what becomes of a group when creators or a majority of members are lost.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes, BytesMut};
use raft_kv_engine::{Engine, Role};
use support::frame;
use support::router::{Cluster, GROUP, until};

/// A call of a leader's engine that has a member at the called node.
fn wanted() -> Bytes {
    let mut body = BytesMut::new();
    body.put_u32_le(GROUP);
    body.put_bytes(0, 25);
    body.put_slice(b"machine");
    body.freeze()
}

async fn has(cluster: &Cluster, place: usize, count: usize) {
    let host = cluster.node(place).host.clone();
    until(&format!("{count} commands at {place}"), || async {
        host.view().requests(GROUP).len() == count
    })
    .await;
}

/// Ends nodes as if they were killed, cut off from all others so that they hand nothing over, and
/// has the survivors give them up.
async fn lose(cluster: &mut Cluster, places: &[usize]) {
    let ids: Vec<u64> = places.iter().map(|place| cluster.ids[*place]).collect();
    let all = cluster.ids.clone();
    let cut = |cluster: &Cluster, cut: bool| {
        for one in &ids {
            for other in all.iter().filter(|other| *other != one) {
                cluster.router.cut(*one, *other, cut);
            }
        }
    };
    cut(cluster, true);
    for place in places {
        cluster.stop_node(*place).await;
    }
    cut(cluster, false);
    for node in cluster.nodes.iter().flatten() {
        node.engine.give_up_nodes(ids.clone()).await.unwrap();
    }
}

async fn term(engine: &Engine) -> u64 {
    engine.group_status(GROUP).await.unwrap().term
}

/// What the survivor's host does once the membership is written.
async fn open_again(cluster: &Cluster, place: usize) {
    let node = cluster.node(place);
    node.host.view().groups.clear();
    node.engine.bind_group(GROUP).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_group_goes_on_with_one_survivor_of_three_and_grows_again() {
    let mut cluster = Cluster::start(5, 41, |_| {});
    cluster.create(&[0, 1, 2]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    let engine = cluster.node(leader).engine.clone();
    engine.submit(&frame(GROUP, 0, 50, 100), 0).unwrap();
    has(&cluster, 2, 50).await;
    let known = term(&engine).await;
    lose(&mut cluster, &[0, 1]).await;
    let survivor = cluster.node(2).engine.clone();
    let before = survivor.group_status(GROUP).await.unwrap();
    assert!(before.role != Role::Leader && before.last_term == known);
    let members = vec![cluster.member(2)];
    let index = survivor
        .recover_group(GROUP, known, members.clone())
        .await
        .unwrap();
    assert_eq!(index, before.last_index + 1);
    // As if the host was killed before it went on: once more does no harm.
    let again = survivor.recover_group(GROUP, known, members).await;
    assert_eq!(again.unwrap(), index + 1);
    open_again(&cluster, 2).await;
    assert_eq!(cluster.leader(&[2]).await, 2);
    has(&cluster, 2, 50).await;
    survivor.submit(&frame(GROUP, 50, 10, 100), 0).unwrap();
    has(&cluster, 2, 60).await;
    for place in [3, 4] {
        let member = cluster.member(place);
        survivor.add_learner(GROUP, member).await.unwrap();
        cluster.bind_wanted(place).await;
        let id = cluster.ids[place];
        survivor.wait_for_member(GROUP, id).await.unwrap();
    }
    let voters: BTreeSet<u64> = cluster.ids[2..].iter().copied().collect();
    survivor
        .change_members(GROUP, voters, BTreeSet::new())
        .await
        .unwrap();
    survivor.submit(&frame(GROUP, 60, 10, 100), 0).unwrap();
    for place in 2..5 {
        has(&cluster, place, 70).await;
    }
    cluster.stop_node(2).await;
    cluster.start_node(2);
    open_again(&cluster, 2).await;
    has(&cluster, 2, 70).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_other_survivor_follows_the_one_with_the_newest_log() {
    let mut cluster = Cluster::start(5, 42, |_| {});
    cluster.create(&[0, 1, 2, 3, 4]).await;
    let leader = cluster.leader(&[0, 1, 2, 3, 4]).await;
    let engine = cluster.node(leader).engine.clone();
    if leader != 0 {
        let to = cluster.ids[0];
        engine.transfer_leader(GROUP, to).await.unwrap();
        cluster.leader(&[0]).await;
    }
    let engine = cluster.node(0).engine.clone();
    engine.submit(&frame(GROUP, 0, 20, 100), 0).unwrap();
    has(&cluster, 4, 20).await;
    // The last entries are acknowledged, and not known to node 4.
    let ids = cluster.ids.clone();
    for other in 0..4 {
        cluster.router.cut(ids[4], ids[other], true);
    }
    engine.submit(&frame(GROUP, 20, 20, 100), 0).unwrap();
    has(&cluster, 3, 40).await;
    let known = term(&engine).await;
    lose(&mut cluster, &[0, 1, 2]).await;
    cluster.router.cut(ids[4], ids[3], false);
    let (best, other) = (cluster.node(3).engine.clone(), &cluster.node(4).engine);
    let (ahead, behind) = (
        best.group_status(GROUP).await.unwrap(),
        other.group_status(GROUP).await.unwrap(),
    );
    assert!(
        (ahead.last_term, ahead.last_index) > (behind.last_term, behind.last_index),
        "the survivors' logs differ"
    );
    let members = vec![cluster.member(3), cluster.member(4)];
    best.recover_group(GROUP, known, members).await.unwrap();
    open_again(&cluster, 3).await;
    assert_eq!(cluster.leader(&[3]).await, 3);
    has(&cluster, 4, 40).await;
    let status = best.group_status(GROUP).await.unwrap();
    assert_eq!(status.voter_sets, [[ids[3]]]);
    best.wait_for_member(GROUP, ids[4]).await.unwrap();
    let voters = BTreeSet::from([ids[3], ids[4]]);
    best.change_members(GROUP, voters, BTreeSet::new())
        .await
        .unwrap();
    best.submit(&frame(GROUP, 40, 5, 100), 0).unwrap();
    has(&cluster, 4, 45).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn lost_nodes_that_come_back_cannot_take_the_group_over() {
    let mut cluster = Cluster::start(3, 43, |_| {});
    cluster.create(&[0, 1, 2]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    let engine = cluster.node(leader).engine.clone();
    engine.submit(&frame(GROUP, 0, 10, 100), 0).unwrap();
    has(&cluster, 2, 10).await;
    let known = term(&engine).await;
    lose(&mut cluster, &[0, 1]).await;
    let members = vec![cluster.member(2)];
    let survivor = cluster.node(2).engine.clone();
    survivor.recover_group(GROUP, known, members).await.unwrap();
    // What it refuses is durable.
    drop(survivor);
    cluster.stop_node(2).await;
    for place in 0..3 {
        cluster.start_node(place);
    }
    for place in [0, 1] {
        open_again(&cluster, place).await;
    }
    // They are a majority of the group as they knew it, and lead it in ever newer terms.
    cluster.leader(&[0, 1]).await;
    open_again(&cluster, 2).await;
    assert_eq!(cluster.leader(&[2]).await, 2);
    let survivor = cluster.node(2).engine.clone();
    survivor.submit(&frame(GROUP, 10, 10, 100), 0).unwrap();
    has(&cluster, 2, 20).await;
    let asked = |before: u64| {
        let router = cluster.router.clone();
        move || {
            let now = router.appends.load(std::sync::atomic::Ordering::SeqCst);
            async move { now > before + 20 }
        }
    };
    let before = cluster
        .router
        .appends
        .load(std::sync::atomic::Ordering::SeqCst);
    until("they have sent it heartbeats", asked(before)).await;
    assert_eq!(cluster.leader(&[2]).await, 2);
    let refused = survivor.answer_call(cluster.ids[0], 1, wanted()).await;
    assert_eq!(refused.unwrap_err().code(), "NODE_LOST");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_only_voter_leads_again_after_a_learner_knew_of_a_later_term() {
    let cluster = Cluster::start(2, 44, |_| {});
    cluster.create(&[0]).await;
    let engine = cluster.node(0).engine.clone();
    let learner = cluster.node(1).engine.clone();
    learner.answer_call(77, 1, wanted()).await.unwrap();
    learner.bind_group(GROUP).await.unwrap();
    let vote = raft_kv_engine::network::Vote {
        term: 90,
        node: 5,
        committed: false,
    };
    let request = raft_kv_engine::network::VoteRequest {
        vote,
        last_log: None,
        leadership_transfer: false,
    };
    let request = raft_kv_engine::network::Request::Vote(request);
    learner.deliver(77, GROUP, request).await;
    engine.add_learner(GROUP, cluster.member(1)).await.unwrap();
    until("a later term", || async { term(&engine).await > 90 }).await;
    cluster.leader(&[0]).await;
    engine.submit(&frame(GROUP, 0, 10, 100), 0).unwrap();
    has(&cluster, 1, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_creator_that_was_killed_before_it_began_does_not_begin_by_itself() {
    let mut cluster = Cluster::start(3, 45, |_| {});
    cluster.stop_node(0).await;
    cluster.store_descriptor(0);
    let members = vec![cluster.member(1), cluster.member(0), cluster.member(2)];
    let descriptor = Bytes::from_static(b"machine");
    let second = cluster.node(1).engine.clone();
    let created = second.create_group_with(GROUP, descriptor, members);
    created.await.unwrap();
    cluster.start_node(0);
    // It neither leads nor keeps the group from the one that began it.
    open_again(&cluster, 0).await;
    assert_ne!(
        cluster
            .node(0)
            .engine
            .group_status(GROUP)
            .await
            .unwrap()
            .role,
        Role::Leader
    );
    cluster.bind_wanted(2).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    let engine = cluster.node(leader).engine.clone();
    engine.submit(&frame(GROUP, 0, 10, 100), 0).unwrap();
    for place in 0..3 {
        has(&cluster, place, 10).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn another_creator_begins_where_members_wait_for_one_that_is_lost() {
    let mut cluster = Cluster::start(3, 46, |_| {});
    for place in [1, 2] {
        let engine = &cluster.node(place).engine;
        engine.answer_call(77, 1, wanted()).await.unwrap();
        engine.bind_group(GROUP).await.unwrap();
    }
    let lost = cluster.member(0);
    cluster.stop_node(0).await;
    let members = vec![cluster.member(1), lost, cluster.member(2)];
    let descriptor = Bytes::from_static(b"machine");
    let second = cluster.node(1).engine.clone();
    let created = second.create_group_with(GROUP, descriptor.clone(), members.clone());
    created.await.unwrap();
    let leader = cluster.leader(&[1, 2]).await;
    let engine = cluster.node(leader).engine.clone();
    engine.submit(&frame(GROUP, 0, 10, 100), 0).unwrap();
    has(&cluster, 1, 10).await;
    has(&cluster, 2, 10).await;
    // Said again, later, it changes nothing.
    let again = second.create_group_with(GROUP, descriptor, members);
    again.await.unwrap();
    has(&cluster, 1, 10).await;
    assert_eq!(engine.group_status(GROUP).await.unwrap().members.len(), 3);
}
