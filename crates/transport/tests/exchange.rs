//! Requests and answers between two nodes: order, matching, sharing of frames, limits.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use futures::future::{join_all, join3};
use futures::{FutureExt, StreamExt, stream};
use parking_lot::Mutex;
use raft_kv_transport::{
    AppendRequest, AppendResponse, CallError, HANDLED_AT_ONCE_MAX, ITEM_BYTES_MAX, LogId,
    NodeFault, Note, REQUESTS_IN_FLIGHT_MAX, Request, Response, TransferRequest, Vote, VoteRequest,
    VoteResponse,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use support::{echo, echoed, number_of, numbered, soon, start, within};
use tokio::sync::{Semaphore, mpsc};

/// The first poll of each future puts the request into a narrow channel; were any polled out of
/// turn, the channel would show it. Answers come in random order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_arrive_in_order_and_answers_match() {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let (a, b) = (start(1), start(2));
    let (sender, mut arrived) = mpsc::channel::<(u64, tokio::sync::oneshot::Sender<Response>)>(3);
    *b.handler.on_request.lock() = Arc::new(move |_, group, request| {
        let sender = sender.clone();
        async move {
            let (answer, answered) = tokio::sync::oneshot::channel();
            let number = number_of(&request);
            assert_eq!(u64::from(group), number % 7);
            sender.send((number, answer)).await.unwrap();
            answered.await.unwrap()
        }
        .boxed()
    });
    let core = tokio::spawn(async move {
        let mut random = StdRng::seed_from_u64(seed);
        let mut order = Vec::new();
        let mut held = Vec::new();
        while order.len() < 10_000 {
            let (number, answer) = arrived.recv().await.unwrap();
            order.push(number);
            held.push((number, answer));
            while held.len() > 100 || (order.len() == 10_000 && !held.is_empty()) {
                let (number, answer) = held.swap_remove(random.random_range(0..held.len()));
                answer.send(echoed(number, 0)).unwrap();
            }
        }
        order
    });
    let peer = a.peer(&b);
    let calls = (0..10_000).map(|number| {
        let call = peer.request((number % 7) as u32, numbered(number, 0), soon());
        call.map(move |answer| assert_eq!(answer, Ok(echoed(number, 0))))
    });
    let calls: Vec<_> = calls.collect();
    within(join_all(calls)).await;
    let order = within(core).await.unwrap();
    assert!(order.iter().copied().eq(0..10_000), "out of order");
    let statistics = peer.statistics();
    assert_eq!(statistics.in_flight, 0);
    assert!(statistics.sent_items >= 10_000);
    assert!(
        statistics.sent_frames * 10 < statistics.sent_items,
        "{statistics:?}"
    );
}

/// tokio has a task's channels refuse once it has used many of them without a pause, as handing on a
/// full frame does. A first poll that met with that would put its request behind later ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_holds_however_many_requests_one_frame_has() {
    let (a, b) = (start(1), start(2));
    let (sender, mut arrived) = mpsc::channel(20_000);
    *b.handler.on_request.lock() = Arc::new(move |_, _, request| {
        let sender = sender.clone();
        async move {
            sender.send(number_of(&request)).await.unwrap();
            echo(&request)
        }
        .boxed()
    });
    let peer = a.peer(&b);
    let calls: Vec<_> = (0..10_000)
        .map(|number| peer.request(1, numbered(number, 0), soon()))
        .collect();
    let answers = within(join_all(calls)).await;
    assert!(answers.iter().all(Result::is_ok));
    for number in 0..10_000 {
        assert_eq!(arrived.recv().await, Some(number));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_requests_run_in_both_directions_at_once() {
    let (a, b) = (start(1), start(2));
    let load = async |peer: raft_kv_transport::Peer, from: u64| {
        stream::iter(from..from + 4000)
            .map(|number| {
                let length = (number % 2000) as usize;
                let call = peer.request(3, numbered(number, length), soon());
                call.map(move |answer| assert_eq!(answer, Ok(echoed(number, length))))
            })
            .buffer_unordered(1000)
            .count()
            .await
    };
    let both = async { tokio::join!(load(a.peer(&b), 0), load(b.peer(&a), 100_000)) };
    assert_eq!(within(both).await, (4000, 4000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_dial_each_other_at_the_same_moment_both_get_through() {
    for round in 0..20 {
        let (a, b) = (start(1), start(2));
        let (to_b, to_a) = (a.peer(&b), b.peer(&a));
        let calls = async {
            tokio::join!(
                to_b.request(1, numbered(round, 5), soon()),
                to_a.request(1, numbered(round + 1, 6), soon())
            )
        };
        let answers = within(calls).await;
        assert_eq!(answers, (Ok(echoed(round, 5)), Ok(echoed(round + 1, 6))));
        within(async { tokio::join!(a.transport.close(), b.transport.close()) }).await;
    }
}

fn log_id(index: u64) -> LogId {
    LogId {
        term: 1 << 52,
        node: (1 << 52) - 1,
        index,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_and_response_arrives_as_it_was_sent() {
    let (a, b) = (start(1), start(2));
    let vote = Vote {
        term: u64::MAX,
        node: (1 << 52) - 1,
        committed: true,
    };
    let vote_request = VoteRequest {
        vote,
        last_log: Some(log_id(0)),
        leadership_transfer: true,
    };
    let vote_response = VoteResponse {
        vote: Vote::default(),
        granted: true,
        last_log: None,
    };
    let append = AppendRequest {
        vote,
        previous: Some(log_id(4)),
        commit: Some(log_id(u64::MAX)),
        entries: vec![Bytes::new(), Bytes::from_static(b"an entry")],
    };
    let transfer = TransferRequest {
        from: vote,
        to: 7,
        last_log: Some(log_id(9)),
    };
    let append = || Request::Append(append.clone());
    let removed = |membership| Response::GroupRemoved { membership };
    let pairs = [
        (
            Request::Vote(vote_request.clone()),
            Response::Vote(vote_response.clone()),
        ),
        (
            Request::PreVote(vote_request),
            Response::PreVote(vote_response),
        ),
        (append(), Response::Append(AppendResponse::Success)),
        (append(), Response::Append(AppendResponse::Partial(None))),
        (append(), Response::Append(AppendResponse::Conflict)),
        (append(), Response::Append(AppendResponse::HigherVote(vote))),
        (append(), Response::UnknownGroup),
        (append(), removed(Some(log_id(3)))),
        (append(), removed(None)),
        (append(), Response::Failed("so and so".to_owned())),
        (Request::TransferLeader(transfer), Response::TransferLeader),
    ];
    let peer = a.peer(&b);
    for (request, response) in pairs {
        let arrived = Arc::new(Mutex::new(None));
        let (into, answer) = (arrived.clone(), response.clone());
        *b.handler.on_request.lock() = Arc::new(move |from, group, request| {
            *into.lock() = Some((from.node, group, request));
            std::future::ready(answer.clone()).boxed()
        });
        let answer = within(peer.request(u32::MAX, request.clone(), soon())).await;
        assert_eq!(answer, Ok(response));
        assert_eq!(*arrived.lock(), Some((1, u32::MAX, request)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_calls_and_notes_arrive_and_faults_come_back() {
    let (a, b) = (start(1), start(2));
    let peer = a.peer(&b);
    let answer = within(peer.call(4, Bytes::from_static(b"question"), soon())).await;
    assert_eq!(answer, Ok(Bytes::from_static(b"question")));
    let fault = NodeFault {
        code: 12,
        text: "no".to_owned(),
    };
    let given = fault.clone();
    *b.handler.on_call.lock() = Arc::new(move |from, method, _| {
        assert_eq!((from.node, method), (1, 5));
        std::future::ready(Err(given.clone())).boxed()
    });
    let answer = within(peer.call(5, Bytes::new(), soon())).await;
    assert_eq!(answer, Err(CallError::Failed(fault)));
    for kind in 0..100 {
        let note = Note {
            kind,
            body: Bytes::from_static(b"asleep"),
        };
        peer.note(8, note).unwrap();
    }
    b.handler.until(|seen| seen.notes.len() == 100).await;
    let seen = b.handler.seen.lock();
    let kinds = seen.notes.iter().map(|(_, _, note)| note.kind);
    assert!(kinds.eq(0..100));
    assert!(
        seen.notes
            .iter()
            .all(|(from, group, _)| (*from, *group) == (1, 8))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_of_any_length_arrive_in_order_and_too_long_ones_are_refused() {
    let (a, b) = (start(1), start(2));
    let order = Arc::new(Mutex::new(Vec::new()));
    let into = order.clone();
    *b.handler.on_request.lock() = Arc::new(move |_, _, request| {
        into.lock().push(number_of(&request));
        std::future::ready(echo(&request)).boxed()
    });
    let peer = a.peer(&b);
    let lengths = [10, 3_000_000, 0, 512 * 1024, 524_200, 131_072, 4_000_000, 1];
    let calls = lengths.iter().enumerate().map(|(number, length)| {
        let number = number as u64;
        let call = peer.request(1, numbered(number, *length), soon());
        call.map(move |answer| assert_eq!(answer, Ok(echoed(number, *length))))
    });
    let calls: Vec<_> = calls.collect();
    within(join_all(calls)).await;
    assert!(order.lock().iter().copied().eq(0..lengths.len() as u64));
    let answer = within(peer.request(1, numbered(1, ITEM_BYTES_MAX), soon())).await;
    assert!(matches!(answer, Err(CallError::TooLong(_))), "{answer:?}");
    // Answers of any length come back, too.
    let body = Bytes::from(vec![7; 20_000_000]);
    let answer = within(peer.call(1, body.clone(), soon())).await;
    assert!(answer == Ok(body));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_bounded_and_beyond_it_calls_fail_at_once() {
    let (a, b) = (start(1), start(2));
    let gate = Arc::new(Semaphore::new(0));
    let entered = Arc::new(AtomicU64::new(0));
    let (wait, count) = (gate.clone(), entered.clone());
    *b.handler.on_request.lock() = Arc::new(move |_, _, request| {
        let wait = wait.clone();
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            let _pass = wait.acquire().await;
            echo(&request)
        }
        .boxed()
    });
    let peer = a.peer(&b);
    // Without waiting in between, so that the queue's bytes are what fills first.
    let mut calls = Vec::new();
    let mut refused = 0;
    for number in 0..1000 {
        let call = peer.request(1, numbered(number, 100_000), soon()).shared();
        match call.clone().now_or_never() {
            Some(answer) => {
                assert_eq!(answer, Err(CallError::Overloaded));
                refused += 1;
            }
            None => calls.push(call),
        }
    }
    let statistics = peer.statistics();
    assert!(refused > 0);
    assert!(
        statistics.queue_bytes <= raft_kv_transport::QUEUE_BYTES_MAX,
        "{statistics:?}"
    );
    // Requests in flight are bounded, too, and the receiver reads only so many of them.
    loop {
        let call = peer.request(1, numbered(0, 0), soon()).shared();
        match call.clone().now_or_never() {
            Some(Err(CallError::Overloaded))
                if peer.statistics().in_flight == REQUESTS_IN_FLIGHT_MAX =>
            {
                break;
            }
            Some(answer) => assert_eq!(answer, Err(CallError::Overloaded)),
            None => calls.push(call),
        }
        tokio::task::yield_now().await;
    }
    assert!(entered.load(Ordering::SeqCst) <= HANDLED_AT_ONCE_MAX as u64);
    // That nothing is read is no reason to take the node for dead.
    let pings = peer.statistics().received_frames;
    within(async {
        while peer.statistics().received_frames < pings + 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(peer.is_up());
    gate.add_permits(Semaphore::MAX_PERMITS / 2);
    let answers = within(join_all(calls)).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(peer.statistics().in_flight, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_an_answer_ends_at_its_deadline_and_leaves_nothing() {
    let (a, b) = (start(1), start(2));
    *b.handler.on_request.lock() = Arc::new(|_, _, _| std::future::pending().boxed());
    let peer = a.peer(&b);
    within(peer.call(1, Bytes::new(), soon())).await.unwrap();
    let calls = (0..100).map(|number| peer.request(1, numbered(number, 0), Instant::now()));
    let answers = within(join_all(calls)).await;
    assert!(
        answers
            .iter()
            .all(|answer| *answer == Err(CallError::TimedOut))
    );
    assert_eq!(peer.statistics().in_flight, 0);
    let abandoned = peer.request(1, numbered(1, 0), soon());
    assert_eq!(peer.statistics().in_flight, 1);
    drop(abandoned);
    assert_eq!(peer.statistics().in_flight, 0);
}

/// Handlers run side by side: one that waits for another's request does not hold it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_waits_does_not_hold_back_later_requests() {
    let (a, b) = (start(1), start(2));
    let later = Arc::new(Semaphore::new(0));
    *b.handler.on_request.lock() = Arc::new(move |_, _, request| {
        let later = later.clone();
        async move {
            if number_of(&request) < 2 {
                later.acquire().await.unwrap().forget();
            } else {
                later.add_permits(2);
            }
            echo(&request)
        }
        .boxed()
    });
    let peer = a.peer(&b);
    let ask = |number| peer.request(1, numbered(number, 0), soon());
    let answers = within(join3(ask(0), ask(1), ask(2))).await;
    assert_eq!(
        answers,
        (Ok(echoed(0, 0)), Ok(echoed(1, 0)), Ok(echoed(2, 0)))
    );
}
