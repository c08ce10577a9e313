//! Snapshots between two nodes: whole, resumed, slow, cut, damaged.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::future::join_all;
use futures::{FutureExt, StreamExt, stream};
use parking_lot::Mutex;
use raft_kv_transport::{
    CallError, Peer, SNAPSHOT_PIECE_BYTES_MAX, SNAPSHOTS_PER_PEER_MAX, SnapshotError,
};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use support::{TestNode, echoed, numbered, soon, start, within};
use tokio::sync::Semaphore;

/// Says that a handler's future has ended.
struct Guard(Arc<Semaphore>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

async fn connected(a: &TestNode, b: &TestNode) -> Peer {
    let peer = a.peer(b);
    within(peer.call(1, Bytes::new(), soon())).await.unwrap();
    peer
}

fn content(seed: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes.into()
}

/// `content` from an offset on, in pieces of random lengths.
fn pieces(
    content: &Bytes,
    from: u64,
    seed: u64,
) -> impl futures::Stream<Item = io::Result<Bytes>> + Send + use<> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut rest = content.slice(from as usize..);
    stream::iter(std::iter::from_fn(move || {
        let most = rest.len().min(3 * SNAPSHOT_PIECE_BYTES_MAX);
        (most > 0).then(|| Ok(rest.split_to(random.random_range(0..=most))))
    }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_arrives_whole_in_bounded_pieces() {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let (a, b) = (start(1), start(2));
    let peer = connected(&a, &b).await;
    for length in [0, 1, SNAPSHOT_PIECE_BYTES_MAX, 5_000_001] {
        let sent = content(seed, length);
        let expected = sent.clone();
        *b.handler.on_snapshot.lock() = Arc::new(move |from, header, mut stream| {
            let expected = expected.clone();
            async move {
                assert_eq!((from.node, &header[..]), (1, &b"the header"[..]));
                let mut all = Vec::new();
                while let Some(piece) = stream.next().await {
                    let piece = piece.map_err(|error| error.to_string())?;
                    assert!(piece.len() <= SNAPSHOT_PIECE_BYTES_MAX && !piece.is_empty());
                    all.extend_from_slice(&piece);
                    assert_eq!(stream.position(), all.len() as u64);
                }
                assert!(stream.next().await.is_none());
                assert!(all == expected);
                Ok(Bytes::from_static(b"installed"))
            }
            .boxed()
        });
        let header = Bytes::from_static(b"the header");
        let sending = peer.send_snapshot(header, |from| pieces(&sent, from, seed));
        assert_eq!(&within(sending).await.unwrap()[..], b"installed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_was_cut_goes_on_where_it_stopped() {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let (a, b) = (start(1), start(2));
    let peer = connected(&a, &b).await;
    let sent = content(seed, 3_000_000);
    let kept = Arc::new(Mutex::new(Vec::new()));
    let attempts = Arc::new(AtomicU64::new(0));
    let ended = Arc::new(Semaphore::new(0));
    let (into, count, leave) = (kept.clone(), attempts.clone(), ended.clone());
    *b.handler.on_snapshot.lock() = Arc::new(move |_, _, mut stream| {
        let into = into.clone();
        let guard = Guard(leave.clone());
        let attempt = count.fetch_add(1, Ordering::SeqCst);
        async move {
            let _guard = guard;
            stream.start_at(into.lock().len() as u64);
            while let Some(piece) = stream.next().await {
                into.lock()
                    .extend_from_slice(&piece.map_err(|error| error.to_string())?);
                // The second time the receiver gives up, the first time the sender does.
                if attempt == 1 && into.lock().len() > 2_000_000 {
                    return Err("no place left".to_owned());
                }
            }
            Ok(Bytes::new())
        }
        .boxed()
    });
    let cut = peer.send_snapshot(Bytes::new(), |from| {
        assert_eq!(from, 0);
        let broken = stream::once(async { Err(io::Error::other("disk gone")) });
        pieces(&sent.slice(..1_000_000), from, seed).chain(broken)
    });
    let error = within(cut).await.unwrap_err();
    assert!(matches!(error, SnapshotError::Source(_)), "{error}");
    // What had left arrives, and no more; how much is up to the network. The receiver may still be
    // at it when the sender has given up.
    within(ended.acquire()).await.unwrap().forget();
    let first = Arc::new(AtomicU64::new(0));
    let noted = first.clone();
    let cut = peer.send_snapshot(Bytes::new(), |from| {
        noted.store(from, Ordering::SeqCst);
        pieces(&sent, from, seed)
    });
    let error = within(cut).await.unwrap_err();
    let is_receiver = matches!(&error, SnapshotError::Receiver(text) if text == "no place left");
    assert!(is_receiver, "{error}");
    assert!(first.load(Ordering::SeqCst) <= 1_000_000);
    let resumed = kept.lock().len() as u64;
    assert!(resumed > 2_000_000);
    let sending = peer.send_snapshot(Bytes::new(), |from| {
        assert_eq!(from, resumed);
        pieces(&sent, from, seed)
    });
    within(sending).await.unwrap();
    assert!(*kept.lock() == sent);
}

/// The receiver reads nothing, so all windows of the snapshot fill up; pings and requests pass by.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_snapshot_delays_neither_pings_nor_requests() {
    let (a, b) = (start(1), start(2));
    let peer = connected(&a, &b).await;
    let gate = Arc::new(Semaphore::new(0));
    let wait = gate.clone();
    *b.handler.on_snapshot.lock() = Arc::new(move |_, _, mut stream| {
        let wait = wait.clone();
        async move {
            stream.start_at(0);
            let _pass = wait.acquire().await;
            let mut length = 0;
            while let Some(piece) = stream.next().await {
                length += piece.map_err(|error| error.to_string())?.len();
            }
            Ok(Bytes::from(length.to_string()))
        }
        .boxed()
    });
    let given = Arc::new(AtomicU64::new(0));
    let count = given.clone();
    let total = 100_u64;
    let sending = tokio::spawn(peer.send_snapshot(Bytes::new(), move |_| {
        stream::iter(0..total).map(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(Bytes::from(vec![1; 1_000_000]))
        })
    }));
    // Full: nothing is asked of the source any more while requests go through and pings come.
    let mut before = u64::MAX;
    within(async {
        loop {
            for number in 0..100 {
                let answer = peer.request(1, numbered(number, 1000), soon()).await;
                assert_eq!(answer, Ok(echoed(number, 1000)));
            }
            let now = given.load(Ordering::SeqCst);
            if now > 0 && now == before {
                break;
            }
            before = now;
        }
    })
    .await;
    assert!(before < total, "the receiver did not hold the sender back");
    let frames = peer.statistics().received_frames;
    within(async {
        while peer.statistics().received_frames < frames + 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.add_permits(1);
    let answer = within(sending).await.unwrap().unwrap();
    assert_eq!(&answer[..], b"100000000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_ends_when_its_peer_goes_and_few_run_at_once() {
    let (a, b) = (start(1), start(2));
    let peer = connected(&a, &b).await;
    let entered = Arc::new(Semaphore::new(0));
    let dropped = Arc::new(Semaphore::new(0));
    let (enter, leave) = (entered.clone(), dropped.clone());
    *b.handler.on_snapshot.lock() = Arc::new(move |_, _, mut stream| {
        let guard = Guard(leave.clone());
        let enter = enter.clone();
        async move {
            let _guard = guard;
            stream.start_at(0);
            enter.add_permits(1);
            std::future::pending::<()>().await;
            Ok(Bytes::new())
        }
        .boxed()
    });
    let places = SNAPSHOTS_PER_PEER_MAX as u32;
    let send = || tokio::spawn(peer.send_snapshot(Bytes::new(), |_| stream::pending()));
    let mut sending: Vec<_> = (0..places).map(|_| send()).collect();
    within(entered.acquire_many(places)).await.unwrap().forget();
    let error = within(send()).await.unwrap().unwrap_err();
    assert!(
        matches!(error, SnapshotError::Call(CallError::Overloaded)),
        "{error}"
    );
    // A sender that gives up takes the receiver along, and leaves its place.
    let given_up = sending.remove(0);
    given_up.abort();
    assert!(within(given_up).await.unwrap_err().is_cancelled());
    within(dropped.acquire()).await.unwrap().forget();
    let next = send();
    within(entered.acquire()).await.unwrap().forget();
    within(b.transport.close()).await;
    within(dropped.acquire_many(places)).await.unwrap().forget();
    let ended = within(join_all(sending.into_iter().chain([next]))).await;
    for result in ended {
        let error = result.unwrap().unwrap_err();
        assert!(
            matches!(error, SnapshotError::Call(CallError::Lost(_))),
            "{error}"
        );
    }
    let error = within(send()).await.unwrap().unwrap_err();
    assert!(matches!(error, SnapshotError::Call(_)), "{error}");
}
