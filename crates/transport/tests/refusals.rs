//! Strangers: each is refused for its reason, on both sides.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use bytes::Bytes;
use raft_kv_transport::{CallError, RefusalReason, TransportOptions};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use support::{
    CLUSTER, PATIENCE, TestNode, echoed, numbered, options, soon, start, start_with, within,
};

fn other(node: u64, change: impl FnOnce(&mut TransportOptions)) -> TestNode {
    let mut options = options(node);
    change(&mut options);
    start_with(options)
}

async fn reported(node: &TestNode, reason: RefusalReason, by_this_node: bool) {
    node.handler
        .until(|seen| {
            seen.refused.iter().any(|one| {
                let refusal = &one.refusal;
                assert!(!refusal.text.is_empty());
                refusal.reason == reason && refusal.by_this_node == by_this_node
            })
        })
        .await;
}

/// `dialler` dials `acceptor`, as node `expected`: the call fails for `reason`, which both report.
async fn refused(dialler: &TestNode, acceptor: &TestNode, expected: u64, reason: RefusalReason) {
    let peer = dialler.transport.peer(expected, &acceptor.address());
    let answer = within(peer.request(1, numbered(1, 1), soon())).await;
    let Err(CallError::Refused(refusal)) = answer else {
        panic!("not refused for {reason:?}: {answer:?}");
    };
    assert_eq!(refusal.reason, reason);
    assert!(!peer.is_up());
    reported(dialler, reason, refusal.by_this_node).await;
    reported(acceptor, reason, !refusal.by_this_node).await;
    let text = peer.statistics().problem.unwrap();
    assert!(text.contains(&refusal.text), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_name_and_another_cluster_are_refused() {
    let own = start(1);
    let named = other(2, |options| {
        options.identity.cluster_name = "else".to_owned()
    });
    refused(&named, &own, 1, RefusalReason::OtherName).await;
    refused(&own, &named, 2, RefusalReason::OtherName).await;
    let own = start(1);
    let foreign = other(3, |options| options.identity.cluster = CLUSTER + 1);
    refused(&foreign, &own, 1, RefusalReason::OtherCluster).await;
    refused(&own, &foreign, 3, RefusalReason::OtherCluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_at_the_address_is_refused() {
    let (own, stranger) = (start(1), start(5));
    refused(&own, &stranger, 4, RefusalReason::OtherNode).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dials_itself_learns_so() {
    let own = start(1);
    let answer = own
        .transport
        .call_address(&own.address(), 1, Bytes::new(), PATIENCE);
    let Err(CallError::Refused(refusal)) = within(answer).await else {
        panic!("not refused");
    };
    assert_eq!(refusal.reason, RefusalReason::OwnNode);
    reported(&own, RefusalReason::OwnNode, true).await;
    reported(&own, RefusalReason::OwnNode, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dials_its_copy_learns_so() {
    let (own, copy) = (start(1), start(1));
    let call = own
        .transport
        .call_address(&copy.address(), 1, Bytes::new(), PATIENCE);
    let Err(CallError::Refused(refusal)) = within(call).await else {
        panic!("not refused");
    };
    assert_eq!(refusal.reason, RefusalReason::DuplicateNode);
    reported(&own, RefusalReason::DuplicateNode, false).await;
    reported(&copy, RefusalReason::DuplicateNode, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_process_and_a_copy_of_a_node_are_refused() {
    let own = start(1);
    let newer = other(2, |options| options.identity.incarnation = 4);
    let answer = within(newer.peer(&own).request(1, numbered(1, 1), soon())).await;
    assert_eq!(answer, Ok(echoed(1, 1)));
    let older = other(2, |options| options.identity.incarnation = 3);
    refused(&older, &own, 1, RefusalReason::StaleIncarnation).await;
    let copy = other(2, |options| options.identity.incarnation = 4);
    refused(&copy, &own, 1, RefusalReason::DuplicateNode).await;
    // They are refused by one that dials them, too.
    for (id, stranger, reason) in [
        (11, &copy, RefusalReason::DuplicateNode),
        (12, &older, RefusalReason::StaleIncarnation),
    ] {
        let own = start(id);
        let answer = within(newer.peer(&own).request(1, numbered(2, 1), soon())).await;
        assert_eq!(answer, Ok(echoed(2, 1)));
        refused(&own, stranger, 2, reason).await;
    }
    // The rightful one is served as before.
    let answer = within(newer.peer(&own).request(1, numbered(4, 1), soon())).await;
    assert_eq!(answer, Ok(echoed(4, 1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_a_cluster_makes_node_calls_only_until_it_has_one() {
    let member = start(1);
    let newcomer = other(2, |options| options.identity.cluster = 0);
    let body = Bytes::from_static(b"let me in");
    let joining = newcomer
        .transport
        .call_address(&member.address(), 1, body.clone(), PATIENCE);
    let (from, answer) = within(joining).await.unwrap();
    assert_eq!((from.node, from.cluster, from.incarnation), (1, CLUSTER, 1));
    assert_eq!(*from.address, *member.address());
    assert_eq!(answer, body);

    let (to_member, to_newcomer) = (newcomer.peer(&member), member.peer(&newcomer));
    for peer in [&to_member, &to_newcomer] {
        let answer = within(peer.call(1, body.clone(), soon())).await;
        assert_eq!(answer, Ok(body.clone()));
        let answer = within(peer.request(1, numbered(1, 1), soon())).await;
        assert_eq!(answer, Err(CallError::NoCluster));
        let header = Bytes::new();
        let answer = peer.send_snapshot(header, |_| futures::stream::empty());
        assert!(within(answer).await.is_err());
    }

    newcomer.transport.set_cluster(CLUSTER).unwrap();
    newcomer.transport.set_cluster(CLUSTER).unwrap();
    let error = newcomer.transport.set_cluster(CLUSTER + 1).unwrap_err();
    assert_eq!(error.code(), "CLUSTER_MISMATCH");
    // At once from the newcomer, for its word goes before what it asks; the member has to hear it.
    let answer = within(to_member.request(1, numbered(2, 1), soon())).await;
    assert_eq!(answer, Ok(echoed(2, 1)));
    within(async {
        while to_newcomer.identity().unwrap().cluster == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let answer = within(to_newcomer.request(1, numbered(3, 1), soon())).await;
    assert_eq!(answer, Ok(echoed(3, 1)));
    assert!(member.handler.seen.lock().refused.is_empty());
}

/// Whatever streams are being made just when a node joins: all of them can be used soon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joining_while_streams_are_made_leaves_none_behind() {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let member = start(1);
    for node in 2..42 {
        let newcomer = other(node, |options| options.identity.cluster = 0);
        let (to_member, to_newcomer) = (newcomer.peer(&member), member.peer(&newcomer));
        to_member.connect();
        to_newcomer.connect();
        let spins = random.random_range(0..200);
        tokio::task::spawn_blocking(move || {
            for _ in 0..spins {
                std::thread::yield_now();
            }
        })
        .await
        .unwrap();
        newcomer.transport.set_cluster(CLUSTER).unwrap();
        for peer in [&to_member, &to_newcomer] {
            within(async {
                while peer.request(1, numbered(1, 1), soon()).await != Ok(echoed(1, 1)) {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_joins_another_cluster_is_cut_off() {
    let member = start(1);
    let newcomer = other(2, |options| options.identity.cluster = 0);
    let to_member = newcomer.peer(&member);
    let to_newcomer = member.peer(&newcomer);
    within(to_member.call(1, Bytes::new(), soon()))
        .await
        .unwrap();
    within(to_newcomer.call(1, Bytes::new(), soon()))
        .await
        .unwrap();
    newcomer.transport.set_cluster(CLUSTER + 1).unwrap();
    reported(&member, RefusalReason::OtherCluster, true).await;
    reported(&newcomer, RefusalReason::OtherCluster, false).await;
    newcomer.handler.until_down(1).await;
    member.handler.until_down(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_reported_once_however_often_it_is_tried() {
    let own = start(1);
    let named = other(2, |options| {
        options.identity.cluster_name = "else".to_owned();
        options.reconnect_wait_max = std::time::Duration::from_millis(1);
    });
    refused(&named, &own, 1, RefusalReason::OtherName).await;
    for _ in 0..20 {
        let answer = named
            .transport
            .call_address(&own.address(), 1, Bytes::new(), PATIENCE);
        assert!(matches!(within(answer).await, Err(CallError::Refused(_))));
    }
    assert_eq!(own.handler.seen.lock().refused.len(), 1);
}
