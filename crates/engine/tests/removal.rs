//! What a node that was removed from a group still owes it: its promises outlive its log.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use bytes::{BufMut, Bytes, BytesMut};
use raft_kv_engine::network::{LogId, Request, Response, Vote, VoteRequest};
use raft_kv_engine::{Engine, Role};
use support::frame;
use support::router::{Cluster, GROUP, until};

async fn lead(cluster: &Cluster, place: usize) -> Engine {
    let leader = cluster.leader(&[0, 1, 2]).await;
    let engine = cluster.node(leader).engine.clone();
    let to = cluster.ids[place];
    engine.transfer_leader(GROUP, to).await.unwrap();
    cluster.leader(&[place]).await;
    cluster.node(place).engine.clone()
}

async fn change(engine: &Engine, cluster: &Cluster, places: &[usize]) {
    let voters = places.iter().map(|place| cluster.ids[*place]).collect();
    let none = BTreeSet::new();
    engine.change_members(GROUP, voters, none).await.unwrap();
}

async fn removed(cluster: &Cluster, place: usize) {
    let node = cluster.node(place);
    until("removed", || async {
        node.engine.stored_groups().is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_member_comes_back_to_a_node_that_it_left() {
    let mut cluster = Cluster::start(3, 21, |_| {});
    cluster.create(&[0, 1, 2]).await;
    let engine = lead(&cluster, 0).await;
    for round in 0..3_u32 {
        change(&engine, &cluster, &[0, 1]).await;
        removed(&cluster, 2).await;
        if round == 1 {
            cluster.stop_node(2).await;
            cluster.start_node(2);
        }
        let first = 10 * round;
        engine.submit(&frame(GROUP, first, 10, 50), 0).unwrap();
        {
            let mut view = cluster.node(2).host.view();
            view.wanted.clear();
            view.groups.clear();
        }
        engine.add_learner(GROUP, cluster.member(2)).await.unwrap();
        cluster.bind_wanted(2).await;
        engine.wait_for_member(GROUP, cluster.ids[2]).await.unwrap();
        change(&engine, &cluster, &[0, 1, 2]).await;
        let host = cluster.node(2).host.clone();
        let count = first as usize + 10;
        until("caught up", || async {
            host.view().requests(GROUP).len() == count
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_removed_member_does_not_help_one_that_missed_the_removal_to_lead() {
    let mut cluster = Cluster::start(4, 22, |_| {});
    cluster.create(&[0, 1, 2]).await;
    let engine = lead(&cluster, 0).await;
    engine.add_learner(GROUP, cluster.member(3)).await.unwrap();
    cluster.bind_wanted(3).await;
    engine.wait_for_member(GROUP, cluster.ids[3]).await.unwrap();
    let ids = cluster.ids.clone();
    for other in [0, 2, 3] {
        cluster.router.cut(ids[1], ids[other], true);
    }
    change(&engine, &cluster, &[0, 3]).await;
    removed(&cluster, 2).await;
    // What is known in memory alone is gone with the process.
    cluster.stop_node(2).await;
    cluster.start_node(2);
    for other in [0, 3] {
        cluster.router.cut(ids[2], ids[other], true);
    }
    cluster.router.cut(ids[1], ids[2], false);
    let before = cluster.router.requests.load(Ordering::SeqCst);
    let asked = || async { cluster.router.requests.load(Ordering::SeqCst) > before + 60 };
    // Those who are cut off from each other are asked as well, so it is many times.
    until("it has stood again and again", asked).await;
    let missed = &cluster.node(1).engine;
    let status = missed.group_status(GROUP).await.unwrap();
    assert_eq!(status.role, Role::Follower);
    assert!(cluster.node(2).engine.stored_groups().is_empty());
    assert!(cluster.lease_runs(0).await || cluster.lease_runs(3).await);
}

/// A call of a leader's engine that has a member at the called node, by a membership of this index.
fn wanted(index: u64) -> Bytes {
    wanted_of(GROUP, index)
}

fn wanted_of(group: u32, index: u64) -> Bytes {
    let mut body = BytesMut::new();
    body.put_u32_le(group);
    body.put_u8(1);
    body.put_u64_le(9);
    body.put_u64_le(1);
    body.put_u64_le(index);
    body.put_slice(b"machine");
    body.freeze()
}

fn candidate(term: u64, node: u64, last_log: (u64, u64)) -> Request {
    let vote = Vote {
        term,
        node,
        committed: false,
    };
    let (term, index) = last_log;
    let last_log = Some(LogId { term, node, index });
    Request::Vote(VoteRequest {
        vote,
        last_log,
        leadership_transfer: false,
    })
}

/// A member of which nothing was heard any more: it got neither the entry that removed it nor word of
/// that, and does not vote, so it never asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_removed_member_that_was_not_told_hears_of_it_with_its_next_command() {
    let cluster = Cluster::start(3, 24, |_| {});
    cluster.create(&[0, 1, 2]).await;
    let engine = lead(&cluster, 0).await;
    let voters = BTreeSet::from([cluster.ids[0], cluster.ids[1]]);
    let learners = BTreeSet::from([cluster.ids[2]]);
    engine
        .change_members(GROUP, voters, learners)
        .await
        .unwrap();
    engine.wait_for_member(GROUP, cluster.ids[2]).await.unwrap();
    cluster
        .router
        .cut_towards(cluster.ids[0], cluster.ids[2], true);
    change(&engine, &cluster, &[0, 1]).await;
    let node = cluster.node(2);
    assert!(
        !node.engine.stored_groups().is_empty(),
        "it knows nothing of it"
    );
    node.engine.submit(&frame(GROUP, 1, 1, 50), 0).unwrap();
    let refused = |view: &support::View| view.refusals.iter().any(|it| it.request == 1);
    node.host.wait("refused", refused);
    removed(&cluster, 2).await;
}

async fn is_granted(engine: &Engine, request: &Request) -> bool {
    let from = 77;
    match engine.deliver(from, GROUP, request.clone()).await {
        Response::Vote(vote) => vote.granted,
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_member_that_comes_back_keeps_its_vote_and_knows_how_far_its_log_reached() {
    let mut cluster = Cluster::start(3, 23, |_| {});
    cluster.create(&[0, 1, 2]).await;
    let engine = lead(&cluster, 0).await;
    engine.submit(&frame(GROUP, 0, 10, 50), 0).unwrap();
    let host = cluster.node(2).host.clone();
    until("applied", || async {
        host.view().requests(GROUP).len() == 10
    })
    .await;
    let term = engine.group_status(GROUP).await.unwrap().term;
    let had = cluster.node(2).engine.group_status(GROUP).await.unwrap();
    let floor = had.last_index;
    change(&engine, &cluster, &[0, 1]).await;
    removed(&cluster, 2).await;
    cluster.router.cut(cluster.ids[0], cluster.ids[2], true);
    cluster.router.cut(cluster.ids[1], cluster.ids[2], true);
    for restarts in 0..2 {
        let engine = cluster.node(2).engine.clone();
        // A leader that missed the removal, and one that came later.
        let late = engine.answer_call(77, 1, wanted(1)).await;
        assert_eq!(late.is_err(), restarts == 0);
        engine
            .answer_call(77, 1, wanted(floor + 100))
            .await
            .unwrap();
        if restarts > 0 {
            engine.open_unbound(GROUP).await.unwrap();
        }
        let status = engine.group_status(GROUP).await.unwrap();
        assert_eq!(status.last_index, 0, "its log is empty");
        let newer = candidate(term + 2 + restarts, 50, (term, floor + 5));
        until("the guard is over", || is_granted(&engine, &newer)).await;
        let other = candidate(term + 2 + restarts, 49, (term, floor + 5));
        assert!(!is_granted(&engine, &other).await, "given to another");
        let past = candidate(term, 51, (term, floor + 5));
        assert!(!is_granted(&engine, &past).await, "a term that is over");
        let older = candidate(term + 9, 52, (term, floor - 1));
        assert!(!is_granted(&engine, &older).await, "an older log");
        cluster.stop_node(2).await;
        cluster.start_node(2);
    }
}

/// What removed groups leave is bounded: the host says which groups exist, and the rest is forgotten.
/// A late message of a leader that missed the removal brings back none of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_removed_groups_left_is_forgotten_and_they_stay_gone() {
    let mut cluster = Cluster::start(1, 25, |_| {});
    let machine = || Bytes::from_static(b"machine");
    let left_over = |cluster: &Cluster| cluster.node(0).engine.statistics().groups_left_over;
    for restarts in 0..2_u32 {
        let engine = cluster.node(0).engine.clone();
        let first = 100 * restarts + 2;
        for group in first..first + 20 {
            engine.create_group(group, machine()).await.unwrap();
            if group % 4 == 0 {
                engine.remove_group(group).await.unwrap();
            }
        }
        assert_eq!(left_over(&cluster), 5);
        let existing = (2..first + 20).filter(|group| group % 4 != 0 || *group > first + 10);
        let existing: Vec<u32> = existing.collect();
        engine.forget_removed(first + 15, existing).await.unwrap();
        assert_eq!(
            left_over(&cluster),
            2,
            "two were said to exist, or not spoken of"
        );
        engine.forget_removed(first, vec![4, 8]).await.unwrap();
        engine
            .forget_removed(
                first + 20,
                (2..first + 20).filter(|it| it % 4 != 0).collect(),
            )
            .await
            .unwrap();
        assert_eq!(left_over(&cluster), 0);
        cluster.stop_node(0).await;
        cluster.start_node(0);
        let engine = &cluster.node(0).engine;
        for group in (first..first + 20).filter(|group| group % 4 == 0) {
            let wanted = engine.answer_call(77, 1, wanted_of(group, 1000)).await;
            assert!(wanted.is_err(), "group {group}");
            let created = engine.create_group(group, machine()).await.unwrap_err();
            assert_eq!(created.code(), "ALREADY_ADDED");
            let answer = engine.deliver(77, group, candidate(9, 77, (9, 99))).await;
            let gone = Response::GroupRemoved { membership: None };
            assert_eq!(format!("{answer:?}"), format!("{gone:?}"));
        }
        let new = first + 50;
        engine.answer_call(77, 1, wanted_of(new, 1)).await.unwrap();
        // A group that the host does not know to be gone may be removed, and leaves what it promised.
        engine.remove_group(new).await.unwrap();
        assert_eq!(left_over(&cluster), 1);
        engine
            .forget_removed(new + 1, (2..new).collect())
            .await
            .unwrap();
        assert_eq!(left_over(&cluster), 0);
        let known = engine.stored_groups().len();
        assert_eq!(known as u32, 15 * (restarts + 1), "what is stored stays");
    }
}
