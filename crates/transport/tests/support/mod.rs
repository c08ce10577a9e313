//! Nodes for the tests: real transports on loopback, with a handler that the test decides about.

#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared by tests, each of which uses a part"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use raft_kv_transport::{
    AppendRequest, AppendResponse, Handler, Identity, LogId, NodeFault, Note, PeerIdentity,
    PeerState, RefusedStream, Request, Response, SnapshotStream, Transport, TransportOptions, Vote,
};
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// Far longer than anything takes: a test that hangs fails instead.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const CLUSTER: u64 = 77;

pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("the test hangs")
}

pub fn soon() -> Instant {
    Instant::now() + PATIENCE
}

type OnRequest =
    Arc<dyn Fn(PeerIdentity, u32, Request) -> BoxFuture<'static, Response> + Send + Sync>;
type OnCall = Arc<
    dyn Fn(PeerIdentity, u32, Bytes) -> BoxFuture<'static, Result<Bytes, NodeFault>> + Send + Sync,
>;
type OnSnapshot = Arc<
    dyn Fn(PeerIdentity, Bytes, SnapshotStream) -> BoxFuture<'static, Result<Bytes, String>>
        + Send
        + Sync,
>;

#[derive(Default)]
pub struct Seen {
    pub states: Vec<(u64, PeerState)>,
    pub refused: Vec<RefusedStream>,
    pub notes: Vec<(u64, u32, Note)>,
}

pub struct TestHandler {
    pub on_request: Mutex<OnRequest>,
    pub on_call: Mutex<OnCall>,
    pub on_snapshot: Mutex<OnSnapshot>,
    pub seen: Mutex<Seen>,
    changed: Notify,
}

impl Default for TestHandler {
    fn default() -> Self {
        Self {
            on_request: Mutex::new(Arc::new(|_, _, request| {
                std::future::ready(echo(&request)).boxed()
            })),
            on_call: Mutex::new(Arc::new(|_, _, body| std::future::ready(Ok(body)).boxed())),
            on_snapshot: Mutex::new(Arc::new(|_, _, mut pieces| {
                async move {
                    let mut all = Vec::new();
                    while let Some(piece) = pieces.next().await {
                        all.extend_from_slice(&piece.map_err(|error| error.to_string())?);
                    }
                    Ok(Bytes::from(all.len().to_string()))
                }
                .boxed()
            })),
            seen: Mutex::new(Seen::default()),
            changed: Notify::new(),
        }
    }
}

impl TestHandler {
    /// Waits until what was seen is as it should be.
    pub async fn until(&self, holds: impl Fn(&Seen) -> bool) {
        within(async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if holds(&self.seen.lock()) {
                    return;
                }
                changed.await;
            }
        })
        .await;
    }

    pub fn states(&self, node: u64) -> Vec<PeerState> {
        let seen = self.seen.lock();
        let of_node = seen.states.iter().filter(|(of, _)| *of == node);
        of_node.map(|(_, state)| *state).collect()
    }

    pub async fn until_down(&self, node: u64) {
        self.until(|seen| matches!(last(seen, node), Some(PeerState::Down { .. })))
            .await;
    }

    pub async fn until_up(&self, node: u64) {
        self.until(|seen| last(seen, node) == Some(PeerState::Up))
            .await;
    }
}

fn last(seen: &Seen, node: u64) -> Option<PeerState> {
    let mut of_node = seen.states.iter().rev().filter(|(of, _)| *of == node);
    of_node.next().map(|(_, state)| *state)
}

impl Handler for TestHandler {
    fn request(
        &self,
        from: &PeerIdentity,
        group: u32,
        request: Request,
    ) -> BoxFuture<'static, Response> {
        let answer = self.on_request.lock().clone();
        answer(from.clone(), group, request)
    }

    fn node_call(
        &self,
        from: &PeerIdentity,
        method: u32,
        body: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, NodeFault>> {
        let answer = self.on_call.lock().clone();
        answer(from.clone(), method, body)
    }

    fn note(&self, from: &PeerIdentity, group: u32, note: Note) {
        self.seen.lock().notes.push((from.node, group, note));
        self.changed.notify_waiters();
    }

    fn snapshot(
        &self,
        from: &PeerIdentity,
        header: Bytes,
        pieces: SnapshotStream,
    ) -> BoxFuture<'static, Result<Bytes, String>> {
        let take = self.on_snapshot.lock().clone();
        take(from.clone(), header, pieces)
    }

    fn peer_changed(&self, node: u64, state: PeerState) {
        self.seen.lock().states.push((node, state));
        self.changed.notify_waiters();
    }

    fn refused(&self, refused: RefusedStream) {
        self.seen.lock().refused.push(refused);
        self.changed.notify_waiters();
    }
}

pub struct TestNode {
    pub id: u64,
    pub transport: Transport,
    pub handler: Arc<TestHandler>,
}

pub fn identity(node: u64) -> Identity {
    Identity {
        cluster_name: "tests".to_owned(),
        cluster: CLUSTER,
        node,
        incarnation: 1,
    }
}

pub fn options(node: u64) -> TransportOptions {
    TransportOptions {
        connect_wait: Duration::from_secs(10),
        pings_unanswered_max: 50,
        reconnect_wait_max: Duration::from_millis(200),
        ..TransportOptions::new("127.0.0.1:0", identity(node))
    }
}

/// Log lines of a test that fails are worth having.
fn log() {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_test_writer()
        .try_init();
}

pub fn start_with(options: TransportOptions) -> TestNode {
    log();
    let handler = Arc::new(TestHandler::default());
    let id = options.identity.node;
    let transport = Transport::bind(options, handler.clone(), Handle::current()).unwrap();
    TestNode {
        id,
        transport,
        handler,
    }
}

pub fn start(node: u64) -> TestNode {
    start_with(options(node))
}

impl TestNode {
    pub fn address(&self) -> String {
        self.transport.advertised()
    }

    pub fn peer(&self, other: &TestNode) -> raft_kv_transport::Peer {
        self.transport.peer(other.id, &other.address())
    }
}

/// An append that carries a number, and as many bytes of entries.
pub fn numbered(number: u64, bytes: usize) -> Request {
    let entries = if bytes == 0 {
        Vec::new()
    } else {
        vec![Bytes::from(vec![number as u8; bytes])]
    };
    Request::Append(AppendRequest {
        vote: Vote {
            term: number,
            node: 5,
            committed: true,
        },
        previous: None,
        commit: None,
        entries,
    })
}

pub fn number_of(request: &Request) -> u64 {
    match request {
        Request::Append(append) => append.vote.term,
        _ => panic!("not numbered: {request:?}"),
    }
}

/// The answer to a numbered append: the same number, and how many bytes came.
pub fn echo(request: &Request) -> Response {
    match request {
        Request::Append(append) => Response::Append(AppendResponse::Partial(Some(LogId {
            term: append.entries.iter().map(|entry| entry.len() as u64).sum(),
            node: 0,
            index: append.vote.term,
        }))),
        _ => Response::Failed("only appends are echoed".to_owned()),
    }
}

pub fn echoed(number: u64, bytes: usize) -> Response {
    Response::Append(AppendResponse::Partial(Some(LogId {
        term: bytes as u64,
        node: 0,
        index: number,
    })))
}
