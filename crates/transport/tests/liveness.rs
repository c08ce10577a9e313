//! Peers that die, come back, come back elsewhere, are started anew, or go for good.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::join_all;
use raft_kv_transport::{
    CallError, Note, Peer, PeerState, Transport, TransportError, TransportOptions,
};
use support::{PATIENCE, TestHandler, echoed, numbered, options, soon, start, start_with, within};
use tokio::io::copy_bidirectional;
use tokio::sync::Semaphore;
use tokio::sync::watch;

fn restarted(node: u64, incarnation: u64, listen: &str) -> TransportOptions {
    let mut options = options(node);
    options.identity.incarnation = incarnation;
    options.listen = listen.to_owned();
    options
}

async fn works(peer: &Peer) {
    let answer = within(peer.request(1, numbered(9, 1), soon())).await;
    assert_eq!(answer, Ok(echoed(9, 1)));
}

/// An address at which nobody listens, and nobody else will while the test runs: it is taken, but
/// refuses, because the socket was bound and never listens.
fn nobody() -> (tokio::net::TcpSocket, String) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_peer_costs_nothing_and_calls_fail_at_once() {
    let a = start(1);
    let (_socket, address) = nobody();
    let peer = a.transport.peer(2, &address);
    assert!(!peer.is_up());
    // The first waits for the first attempt.
    let first = within(peer.request(1, numbered(1, 100), soon())).await;
    assert!(matches!(first, Err(CallError::Unreachable(_))), "{first:?}");
    assert!(!first.unwrap_err().outcome_unknown());
    a.handler.until_down(2).await;
    let body = Bytes::from(vec![1; 1_000_000]);
    for _ in 0..10_000 {
        let call = peer.call(1, body.clone(), soon()).now_or_never().unwrap();
        assert!(matches!(call, Err(CallError::Unreachable(_))), "{call:?}");
        let request = peer.request(1, numbered(1, 10), soon()).now_or_never();
        assert!(matches!(request, Some(Err(CallError::Unreachable(_)))));
        assert!(peer.note(1, Note::default()).is_err());
    }
    let statistics = peer.statistics();
    assert_eq!((statistics.queue_bytes, statistics.queue_items), (0, 0));
    assert_eq!(statistics.in_flight, 0);
    assert!(statistics.problem.is_some());
    // It is said once that it is down, however often it is tried.
    assert_eq!(a.handler.states(2).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_comes_back_is_found_again_at_the_same_and_at_another_address() {
    let a = start(1);
    let b = start(2);
    let peer = a.peer(&b);
    works(&peer).await;
    assert_eq!(a.handler.states(2), [PeerState::Up]);
    let address = b.address();
    within(b.transport.close()).await;
    a.handler.until_down(2).await;
    let call = peer.request(1, numbered(1, 1), soon()).now_or_never();
    assert!(
        matches!(call, Some(Err(CallError::Unreachable(_)))),
        "{call:?}"
    );

    let b = start_with(restarted(2, 2, &address));
    a.handler.until_up(2).await;
    works(&peer).await;
    assert_eq!(peer.identity().unwrap().incarnation, 2);
    within(b.transport.close()).await;
    a.handler.until_down(2).await;

    let b = start_with(restarted(2, 3, "127.0.0.1:0"));
    let again = a.peer(&b);
    works(&again).await;
    works(&peer).await;
    assert_eq!(*peer.address(), *b.address());
    a.handler.until_up(2).await;
    let kinds = a.handler.states(2).into_iter().map(|state| match state {
        PeerState::Up => 'u',
        PeerState::Down { .. } => 'd',
        PeerState::Restarted { .. } => 'r',
    });
    assert_eq!(kinds.collect::<String>(), "udrudru");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_address_takes_the_place_of_one_that_still_answers() {
    let a = start(1);
    let b = start(2);
    let peer = a.peer(&b);
    works(&peer).await;
    *b.handler.on_request.lock() = Arc::new(|_, _, _| std::future::pending().boxed());
    let hanging = peer.request(1, numbered(1, 1), soon());
    let relay = Relay::start(&b.address());
    let moved = a.transport.peer(2, &relay.address);
    let answer = within(hanging).await;
    assert!(
        matches!(answer, Err(CallError::Lost(_) | CallError::Unreachable(_))),
        "{answer:?}"
    );
    b.handler
        .on_request
        .lock()
        .clone_from(&*TestHandler::default().on_request.lock());
    works(&moved).await;
    assert_eq!(*peer.address(), *relay.address);
}

/// A wire between two nodes that the test can cut, or make swallow everything.
struct Relay {
    address: String,
    /// 0: passes on; 1: swallows; 2: cut.
    state: watch::Sender<u8>,
}

impl Relay {
    fn start(to: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let state = watch::Sender::new(0);
        let (to, watched) = (to.to_owned(), state.subscribe());
        tokio::spawn(async move {
            while let Ok((mut inner, _)) = listener.accept().await {
                let (to, mut state) = (to.clone(), watched.clone());
                tokio::spawn(async move {
                    let mut outer = tokio::net::TcpStream::connect(to).await?;
                    tokio::select! {
                        _ = copy_bidirectional(&mut inner, &mut outer) => {}
                        _ = state.wait_for(|state| *state > 0) => {}
                    }
                    // Swallows: both connections stay, and nothing is read any more.
                    let _ = state.wait_for(|state| *state > 1).await;
                    std::io::Result::Ok(())
                });
            }
        });
        Self { address, state }
    }
}

/// No connection breaks; nothing comes any more. Only pings can tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_peer_is_found_by_pings_and_what_was_under_way_is_lost() {
    let mut own = options(1);
    own.ping_interval = Duration::from_millis(20);
    own.pings_unanswered_max = 10;
    let a = start_with(own);
    let b = start(2);
    let relay = Relay::start(&b.address());
    let peer = a.transport.peer(2, &relay.address);
    works(&peer).await;
    relay.state.send_replace(1);
    let calls = (0..10).map(|number| peer.request(1, numbered(number, 1), soon()));
    let answers = within(join_all(calls)).await;
    for answer in answers {
        // Which of them had left is not known here; that none is answered is.
        let error = answer.unwrap_err();
        assert!(
            matches!(error, CallError::Lost(_) | CallError::Unreachable(_)),
            "{error:?}"
        );
    }
    a.handler.until_down(2).await;
    relay.state.send_replace(2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_measure_the_way() {
    let (a, b) = (start(1), start(2));
    let peer = a.peer(&b);
    works(&peer).await;
    within(async {
        while peer.statistics().round_trip.is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let statistics = peer.statistics();
    assert!(statistics.round_trip.unwrap() < PATIENCE);
    assert!(statistics.last_heard.is_some() && statistics.up);
    assert_eq!(statistics.incarnation, Some(1));
    assert_eq!(a.transport.statistics().len(), 1);
}

/// The new process speaks first, while the stream to the old one (behind a relay, so that nothing
/// breaks) still looks healthy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_is_reported_and_fails_what_was_under_way_to_the_former_process() {
    let a = start(1);
    let b = start(2);
    let peer = a.peer(&b);
    works(&peer).await;
    let entered = Arc::new(Semaphore::new(0));
    let enter = entered.clone();
    *b.handler.on_request.lock() = Arc::new(move |_, _, _| {
        enter.add_permits(1);
        std::future::pending().boxed()
    });
    let hanging: Vec<_> = (0..50)
        .map(|number| peer.request(1, numbered(number, 1), soon()))
        .collect();
    within(entered.acquire_many(50)).await.unwrap().forget();

    let next = start_with(restarted(2, 2, "127.0.0.1:0"));
    works(&next.peer(&a)).await;
    for answer in within(join_all(hanging)).await {
        let error = answer.unwrap_err();
        assert!(matches!(error, CallError::Lost(_)), "{error:?}");
        assert!(error.outcome_unknown());
    }
    let seen = |states: &[PeerState]| {
        matches!(
            states,
            [
                PeerState::Up,
                PeerState::Down { .. },
                PeerState::Restarted { incarnation: 2 },
                ..
            ]
        )
    };
    a.handler
        .until(|all| {
            let states: Vec<_> = all.states.iter().map(|(_, state)| *state).collect();
            seen(&states)
        })
        .await;
    // What is left of the former process is refused from now on, and told so.
    b.peer(&a).connect();
    b.handler
        .until(|all| {
            all.refused
                .iter()
                .any(|one| one.refusal.reason == raft_kv_transport::RefusalReason::StaleIncarnation)
        })
        .await;
    works(&a.peer(&next)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_settles_every_call_and_later_ones_say_closed() {
    let (a, b) = (start(1), start(2));
    let peer = a.peer(&b);
    works(&peer).await;
    let entered = Arc::new(Semaphore::new(0));
    let enter = entered.clone();
    *b.handler.on_request.lock() = Arc::new(move |_, _, _| {
        enter.add_permits(1);
        std::future::pending().boxed()
    });
    let calls: Vec<_> = (0..500)
        .map(|number| peer.request(1, numbered(number, 1), soon()))
        .collect();
    within(entered.acquire_many(500)).await.unwrap().forget();
    let address = a.address();
    within(a.transport.close()).await;
    for answer in within(join_all(calls)).await {
        assert!(matches!(answer, Err(CallError::Lost(_))), "{answer:?}");
    }
    let late = peer.request(1, numbered(0, 0), soon()).now_or_never();
    assert_eq!(late, Some(Err(CallError::Closed)));
    let late = a
        .transport
        .peer(9, "127.0.0.1:1")
        .call(1, Bytes::new(), soon());
    assert_eq!(within(late).await, Err(CallError::Closed));
    let late = a
        .transport
        .call_address(&b.address(), 1, Bytes::new(), PATIENCE);
    assert_eq!(within(late).await.unwrap_err(), CallError::Closed);
    // The port is free again, and the other side closes as well while it carries requests out.
    TcpListener::bind(address).unwrap();
    within(b.transport.close()).await;
    within(b.transport.close()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_cuts_connections_that_say_nothing() {
    let a = start(1);
    let silent = TcpStream::connect(a.address()).unwrap();
    let b = start(2);
    works(&b.peer(&a)).await;
    within(a.transport.close()).await;
    b.handler.until_down(1).await;
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_node_is_let_in_again_as_a_new_one() {
    let (a, b) = (start(1), start(2));
    let (to_b, to_a) = (a.peer(&b), b.peer(&a));
    works(&to_b).await;
    works(&to_a).await;
    a.transport.forget(2);
    let answer = to_b.request(1, numbered(1, 1), soon()).now_or_never();
    assert_eq!(answer, Some(Err(CallError::Closed)));
    assert!(a.transport.statistics().is_empty());
    // The other side dials again, and this side may as well.
    b.handler
        .until(|seen| {
            let of_a = seen.states.iter().filter(|(node, _)| *node == 1);
            of_a.filter(|(_, state)| *state == PeerState::Up).count() == 2
        })
        .await;
    works(&to_a).await;
    works(&a.peer(&b)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_that_cannot_be_had_are_errors() {
    let a = start(1);
    let bind = |options: TransportOptions| {
        let handler = Arc::new(TestHandler::default());
        Transport::bind(options, handler, tokio::runtime::Handle::current()).unwrap_err()
    };
    let error = bind(restarted(2, 1, &a.address()));
    assert!(matches!(error, TransportError::AddressInUse(_)), "{error}");
    assert_eq!(error.code(), "ADDRESS_IN_USE");
    let error = bind(restarted(2, 1, "no such address"));
    assert_eq!(error.code(), "CANNOT_LISTEN");
    let error = bind(restarted(0, 1, "127.0.0.1:0"));
    assert_eq!(error.code(), "INVALID_ARGUMENT");
    let mut advertised = options(2);
    advertised.advertise = Some("not an address".to_owned());
    assert_eq!(bind(advertised).code(), "INVALID_ARGUMENT");
    let peer = a.transport.peer(3, "not an address");
    let answer = within(peer.request(1, numbered(1, 1), soon())).await;
    assert!(
        matches!(answer, Err(CallError::Unreachable(_))),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_the_handler_ends_the_stream_and_nothing_else() {
    let (a, b) = (start(1), start(2));
    let peer = a.peer(&b);
    works(&peer).await;
    *b.handler.on_call.lock() = Arc::new(|_, _, _| async { panic!("on purpose") }.boxed());
    let answer = within(peer.call(1, Bytes::new(), soon())).await;
    assert!(answer.is_err(), "{answer:?}");
    a.handler
        .until(|seen| {
            let ups = seen
                .states
                .iter()
                .filter(|(_, state)| *state == PeerState::Up);
            ups.count() == 2
        })
        .await;
    works(&peer).await;
}
