//! Nodes that are cut off from each other, as tests of whole clusters make partitions.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use raft_kv_transport::{CallError, Peer, PeerState};
use support::{PATIENCE, TestNode, echoed, numbered, soon, start, within};

async fn works(peer: &Peer) {
    let answer = within(peer.request(1, numbered(9, 1), soon())).await;
    assert_eq!(answer, Ok(echoed(9, 1)));
}

/// Waits until a peer that was cut off answers again.
async fn works_again(node: &TestNode, peer: &Peer) {
    node.handler.until_up(peer.node()).await;
    works(peer).await;
}

async fn fails(peer: &Peer) {
    let answer = within(peer.request(1, numbered(9, 1), soon())).await;
    let Err(error @ CallError::Unreachable(_)) = answer else {
        panic!("not cut off: {answer:?}");
    };
    assert!(!error.outcome_unknown());
    assert!(!peer.is_up());
}

async fn call(from: &TestNode, to: &TestNode) -> Result<Bytes, CallError> {
    let calling = from
        .transport
        .call_address(&to.address(), 1, Bytes::new(), PATIENCE);
    within(calling).await.map(|(_, answer)| answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_cuts_what_is_there_and_keeps_out_what_comes_until_it_heals() {
    let (a, b, c) = (start(1), start(2), start(3));
    let (to_b, to_a) = (a.peer(&b), b.peer(&a));
    let (to_c, from_c) = (a.peer(&c), c.peer(&a));
    for peer in [&to_b, &to_a, &to_c, &from_c] {
        works(peer).await;
    }
    a.transport.cut_off(&[2], &[2]);
    // One side is enough: the other tries, and is not let in.
    a.handler.until_down(2).await;
    b.handler.until_down(1).await;
    fails(&to_b).await;
    fails(&to_a).await;
    assert!(matches!(call(&a, &b).await, Err(CallError::Unreachable(_))));
    assert!(matches!(call(&b, &a).await, Err(CallError::Unreachable(_))));
    // A newly made way is no way round.
    let pieces = |_| futures::stream::empty();
    assert!(
        within(to_b.send_snapshot(Bytes::new(), pieces))
            .await
            .is_err()
    );
    works(&to_c).await;
    works(&from_c).await;
    // Nobody is refused as a stranger would be.
    for node in [&a, &b] {
        assert!(node.handler.seen.lock().refused.is_empty());
    }
    a.transport.cut_off(&[], &[]);
    works_again(&a, &to_b).await;
    works_again(&b, &to_a).await;
    assert_eq!(call(&a, &b).await, Ok(Bytes::new()));
    // The third one was never gone.
    assert_eq!(a.handler.states(3), [PeerState::Up]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_may_reach_the_other_and_not_be_reached() {
    let (a, b) = (start(1), start(2));
    let (to_b, to_a) = (a.peer(&b), b.peer(&a));
    works(&to_b).await;
    works(&to_a).await;
    a.transport.cut_off(&[2], &[]);
    fails(&to_b).await;
    works(&to_a).await;
    a.transport.cut_off(&[], &[2]);
    works_again(&a, &to_b).await;
    b.handler.until_down(1).await;
    fails(&to_a).await;
    a.transport.cut_off(&[], &[]);
    works_again(&b, &to_a).await;
    works(&to_b).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_was_sent_when_the_stream_was_cut_has_an_unknown_outcome() {
    let (a, b) = (start(1), start(2));
    let to_b = a.peer(&b);
    works(&to_b).await;
    *b.handler.on_request.lock() =
        std::sync::Arc::new(|_, _, _| futures::future::pending().boxed());
    let answer = to_b.request(1, numbered(1, 1), soon());
    within(async {
        while a.transport.statistics()[0].queue_items > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    a.transport.cut_off(&[2], &[]);
    let error = within(answer).await.unwrap_err();
    assert!(error.outcome_unknown(), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_never_reached_is_reached_once_it_heals() {
    let (a, b) = (start(1), start(2));
    a.transport.cut_off(&[2], &[]);
    let to_b = a.peer(&b);
    fails(&to_b).await;
    a.transport.cut_off(&[], &[]);
    works_again(&a, &to_b).await;
}
