//! Nodes of one process that reach each other through a router, which can cut, delay and drop.

#![allow(dead_code, reason = "each test file uses its part of the support")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "this is part of tests"
)]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::{BoxFuture, Either, select};
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use raft_kv_engine::network::{
    Answer, IncomingPieces, Member, PeerError, Peers, Pieces, Request, Response,
};
use raft_kv_engine::{Engine, EngineOptions, Location};
use raft_kv_journal::{Journal, JournalOptions};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc, oneshot};

use super::Node;

enum Work {
    Request(u32, Request, oneshot::Sender<Response>),
    Call(u32, Bytes, oneshot::Sender<Result<Bytes, PeerError>>),
}

struct Faults {
    random: StdRng,
    drop_chance: f64,
    delay: Duration,
    cut: HashSet<(u64, u64)>,
    /// Requests from here to there are lost, answers are not.
    deaf: HashSet<(u64, u64)>,
    held: HashSet<u64>,
}

type Lane = mpsc::UnboundedSender<(u64, Work)>;

/// Carries what nodes say to each other, one lane for each ordered pair of them.
pub struct Router {
    engines: Mutex<HashMap<u64, Engine>>,
    lanes: Mutex<HashMap<(u64, u64), Lane>>,
    faults: Mutex<Faults>,
    released: Notify,
    stood: Mutex<HashMap<u64, u64>>,
    pub requests: AtomicU64,
    pub appends: AtomicU64,
    pub calls: AtomicU64,
    pub pieces: AtomicU64,
}

impl Router {
    pub fn new(seed: u64) -> Arc<Router> {
        eprintln!("seed {seed}");
        Arc::new(Router {
            engines: Mutex::default(),
            lanes: Mutex::default(),
            faults: Mutex::new(Faults {
                random: StdRng::seed_from_u64(seed),
                drop_chance: 0.0,
                delay: Duration::ZERO,
                cut: HashSet::new(),
                deaf: HashSet::new(),
                held: HashSet::new(),
            }),
            released: Notify::new(),
            stood: Mutex::default(),
            appends: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            pieces: AtomicU64::new(0),
        })
    }

    /// How many votes, or whether it would get them, a node has asked for since the last call.
    pub fn stood(&self, node: u64) -> u64 {
        self.stood.lock().remove(&node).unwrap_or(0)
    }

    /// Cuts or mends both directions between two nodes.
    pub fn cut(&self, one: u64, other: u64, cut: bool) {
        let mut faults = self.faults.lock();
        for pair in [(one, other), (other, one)] {
            if cut {
                faults.cut.insert(pair);
            } else {
                faults.cut.remove(&pair);
            }
        }
    }

    /// Loses requests from one node to another from now on.
    pub fn cut_towards(&self, from: u64, to: u64, cut: bool) {
        let mut faults = self.faults.lock();
        if cut {
            faults.deaf.insert((from, to));
        } else {
            faults.deaf.remove(&(from, to));
        }
    }

    /// Holds back the answers to a node's requests, or lets all of them go.
    pub fn hold_answers(&self, node: u64, hold: bool) {
        let mut faults = self.faults.lock();
        if hold {
            faults.held.insert(node);
        } else {
            faults.held.remove(&node);
        }
        drop(faults);
        self.released.notify_waiters();
    }

    async fn wait_while_held(&self, node: u64) {
        loop {
            let released = self.released.notified();
            tokio::pin!(released);
            released.as_mut().enable();
            if !self.faults.lock().held.contains(&node) {
                return;
            }
            released.await;
        }
    }

    pub fn disturb(&self, drop_chance: f64, delay: Duration) {
        let mut faults = self.faults.lock();
        (faults.drop_chance, faults.delay) = (drop_chance, delay);
    }

    fn answer_passes(&self, from: u64, to: u64) -> bool {
        let mut faults = self.faults.lock();
        let chance = faults.drop_chance;
        let lost = chance > 0.0 && faults.random.random_bool(chance);
        !lost && !faults.cut.contains(&(from, to))
    }

    /// Whether a message gets through, and how late.
    fn passes(&self, from: u64, to: u64) -> Option<Duration> {
        let mut faults = self.faults.lock();
        if faults.cut.contains(&(from, to)) || faults.deaf.contains(&(from, to)) {
            return None;
        }
        let chance = faults.drop_chance;
        if chance > 0.0 && faults.random.random_bool(chance) {
            return None;
        }
        let delay = faults.delay;
        let share = faults.random.random::<f64>();
        Some(delay.mul_f64(share))
    }

    /// Whether a node is there at all; to one that is not nothing is sent.
    fn knows(&self, node: u64) -> bool {
        self.engines.lock().contains_key(&node)
    }

    fn send(self: &Arc<Self>, from: u64, to: u64, work: Work) {
        let mut lanes = self.lanes.lock();
        let lane = lanes.entry((from, to)).or_insert_with(|| {
            let (lane, taken) = mpsc::unbounded_channel();
            tokio::spawn(carry(self.clone(), to, taken));
            lane
        });
        drop(lane.send((from, work)));
    }
}

async fn carry(router: Arc<Router>, to: u64, mut taken: mpsc::UnboundedReceiver<(u64, Work)>) {
    while let Some((from, work)) = taken.recv().await {
        router.requests.fetch_add(1, Ordering::Relaxed);
        let Some(delay) = router.passes(from, to) else {
            continue;
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let Some(engine) = router.engines.lock().get(&to).cloned() else {
            continue;
        };
        let back = {
            let router = router.clone();
            move || router.answer_passes(to, from)
        };
        match work {
            Work::Request(group, request, answer) => {
                let delivered = held(&router, from, engine.deliver(from, group, request));
                take(delivered, move |response| {
                    back().then(|| answer.send(response).is_ok());
                });
            }
            Work::Call(method, body, answer) => {
                let delivered = async move {
                    let answered = engine.answer_call(from, method, body).await;
                    answered.map_err(|error| PeerError::Refused(error.to_string()))
                };
                take(delivered, move |response| {
                    back().then(|| answer.send(response).is_ok());
                });
            }
        }
    }
}

/// The answer, once it is no longer held back.
fn held<T: Send + 'static>(
    router: &Arc<Router>,
    from: u64,
    answer: impl Future<Output = T> + Send + 'static,
) -> impl Future<Output = T> + Send + 'static {
    let router = router.clone();
    async move {
        let answer = answer.await;
        router.wait_while_held(from).await;
        answer
    }
}

/// Polls the answer once, in the order of arrival, and leaves the rest to a task.
fn take<T: Send + 'static>(
    answer: impl Future<Output = T> + Send + 'static,
    then: impl FnOnce(T) + Send + 'static,
) {
    let mut answer = Box::pin(answer);
    match answer.as_mut().now_or_never() {
        Some(value) => then(value),
        None => drop(tokio::spawn(async move { then(answer.await) })),
    }
}

/// A snapshot on its way.
struct Incoming {
    start: Option<oneshot::Sender<u64>>,
    received: mpsc::Receiver<std::io::Result<Bytes>>,
}

impl IncomingPieces for Incoming {
    fn start_at(&mut self, offset: u64) {
        self.start.take().unwrap().send(offset).unwrap();
    }

    fn next(&mut self) -> BoxFuture<'_, Option<std::io::Result<Bytes>>> {
        self.received.recv().boxed()
    }
}

/// Cut otherwise than the sender's host did.
const PART_BYTES: usize = 700;

/// Ends when a part was lost.
async fn feed(
    router: &Router,
    (from, to): (u64, u64),
    started: oneshot::Receiver<u64>,
    pieces: Pieces,
    sender: mpsc::Sender<std::io::Result<Bytes>>,
) {
    if let Ok(offset) = started.await {
        let mut pieces = pieces(offset);
        while let Some(piece) = pieces.next().await {
            let mut rest = piece.unwrap();
            while !rest.is_empty() {
                let part = rest.split_to(rest.len().min(PART_BYTES));
                if router.passes(from, to).is_none() {
                    return;
                }
                router.pieces.fetch_add(1, Ordering::SeqCst);
                if sender.send(Ok(part)).await.is_err() {
                    break;
                }
            }
        }
    }
    drop(sender);
    std::future::pending().await
}

/// One node's way.
struct Link {
    router: Arc<Router>,
    node: u64,
}

const ANSWER_WAIT: Duration = Duration::from_secs(3);

fn wait<T: Send + 'static>(answer: oneshot::Receiver<T>) -> Answer<T> {
    async move {
        let answer = tokio::time::timeout(ANSWER_WAIT, answer).await;
        let lost = || PeerError::Unreachable("lost".into());
        answer.map_err(|_| lost())?.map_err(|_| lost())
    }
    .boxed()
}

impl Peers for Link {
    fn request(&self, node: &Member, group: u32, request: Request) -> Answer<Response> {
        if matches!(request, Request::Append(_)) {
            self.router.appends.fetch_add(1, Ordering::SeqCst);
        }
        if matches!(request, Request::Vote(_) | Request::PreVote(_)) {
            *self.router.stood.lock().entry(self.node).or_default() += 1;
        }
        let (sender, receiver) = oneshot::channel();
        let work = Work::Request(group, request, sender);
        self.router.send(self.node, node.node, work);
        wait(receiver)
    }

    fn snapshot(&self, node: &Member, header: Bytes, pieces: Pieces) -> Answer<Bytes> {
        let (router, from, to) = (self.router.clone(), self.node, node.node);
        let lost = || PeerError::Unreachable("lost".into());
        async move {
            let engine = router.engines.lock().get(&to).cloned().ok_or_else(lost)?;
            router.passes(from, to).ok_or_else(lost)?;
            let (start, started) = oneshot::channel();
            let (sender, received) = mpsc::channel(1);
            let incoming = Incoming {
                start: Some(start),
                received,
            };
            let taking = std::pin::pin!(engine.deliver_snapshot(from, header, incoming));
            let feeding = std::pin::pin!(feed(&router, (from, to), started, pieces, sender));
            match select(taking, feeding).await {
                Either::Left((Ok(answer), _)) => Ok(answer),
                Either::Left((Err(text), _)) => Err(PeerError::Refused(text)),
                Either::Right(_) => Err(lost()),
            }
        }
        .boxed()
    }

    fn call(&self, node: &Member, method: u32, body: Bytes) -> Answer<Bytes> {
        self.router.calls.fetch_add(1, Ordering::SeqCst);
        if !self.router.knows(node.node) {
            let error = PeerError::NotSent("no such node".into());
            return std::future::ready(Err(error)).boxed();
        }
        let (sender, receiver) = oneshot::channel();
        let work = Work::Call(method, body, sender);
        self.router.send(self.node, node.node, work);
        let answer = wait(receiver);
        async move { answer.await? }.boxed()
    }
}

/// Nodes with directories of their own, numbered from 0.
pub struct Cluster {
    pub router: Arc<Router>,
    pub nodes: Vec<Option<Node>>,
    pub ids: Vec<u64>,
    directories: Vec<TempDir>,
    tune: fn(&mut EngineOptions),
}

pub const GROUP: u32 = 5;

impl Cluster {
    pub fn start(count: usize, seed: u64, tune: fn(&mut EngineOptions)) -> Cluster {
        let directories = (0..count).map(|_| TempDir::new().unwrap()).collect();
        let mut cluster = Cluster {
            router: Router::new(seed),
            nodes: (0..count).map(|_| None).collect(),
            ids: vec![0; count],
            directories,
            tune,
        };
        (0..count).for_each(|place| cluster.start_node(place));
        cluster
    }

    pub fn start_node(&mut self, place: usize) {
        let directory = self.directories[place].path().join("data");
        let mut options = EngineOptions::new(Location::Directory(directory), "test");
        options.heartbeat_interval_ms = 100;
        options.election_timeout_ms = 600;
        (self.tune)(&mut options);
        let node = Node::open(options);
        let id = node.engine.identity().node;
        let link = Link {
            router: self.router.clone(),
            node: id,
        };
        node.engine.connect(Arc::new(link)).unwrap();
        self.router.engines.lock().insert(id, node.engine.clone());
        self.ids[place] = id;
        self.nodes[place] = Some(node);
    }

    /// Ends a node. What it has not made durable is lost with it.
    pub async fn stop_node(&mut self, place: usize) {
        let node = self.nodes[place].take().unwrap();
        self.router.engines.lock().remove(&self.ids[place]);
        node.engine.close().await.unwrap();
    }

    /// Stores, at a node that is not running, all that one has of a group when it is killed
    /// between the descriptor and the first members.
    pub fn store_descriptor(&self, place: usize) {
        let directory = self.directories[place].path().join("data");
        let journal = Journal::open(JournalOptions::new(Location::Directory(directory))).unwrap();
        let descriptor = Bytes::from_static(b"machine");
        let log = journal.group(GROUP);
        log.save_descriptor(descriptor, Box::new(|saved| saved.unwrap()));
        drop(log);
        journal.close().unwrap();
    }

    pub fn node(&self, place: usize) -> &Node {
        self.nodes[place].as_ref().unwrap()
    }

    pub fn place(&self, id: u64) -> usize {
        self.ids.iter().position(|known| *known == id).unwrap()
    }

    pub fn member(&self, place: usize) -> Member {
        Member {
            node: self.ids[place],
            address: format!("node-{place}"),
        }
    }

    /// Creates the group with these nodes, the first of which creates it, and binds it everywhere.
    pub async fn create(&self, places: &[usize]) {
        let members = places.iter().map(|place| self.member(*place)).collect();
        let creator = &self.node(places[0]).engine;
        let descriptor = Bytes::from_static(b"machine");
        creator
            .create_group_with(GROUP, descriptor, members)
            .await
            .unwrap();
        for place in &places[1..] {
            self.bind_wanted(*place).await;
        }
        self.leader(places).await;
    }

    /// Waits until a leader has created a member here, and binds it.
    pub async fn bind_wanted(&self, place: usize) {
        let node = self.node(place);
        until("wanted", || async {
            node.host.view().wanted.contains(&GROUP)
        })
        .await;
        node.engine.bind_group(GROUP).await.unwrap();
    }

    /// Waits until one of the nodes leads and its host is ready; the node's place.
    pub async fn leader(&self, places: &[usize]) -> usize {
        let end = Instant::now() + PATIENCE;
        loop {
            for place in places {
                if self.nodes[*place].is_some() && self.lease_runs(*place).await {
                    return *place;
                }
            }
            assert!(Instant::now() < end, "nobody leads");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn slot(&self, place: usize) -> u32 {
        self.node(place).engine.bind_group(GROUP).await.unwrap()
    }

    /// Whether the host of this node may answer reads at this moment, as it would find out.
    pub async fn lease_runs(&self, place: usize) -> bool {
        let node = self.node(place);
        runs(&node.engine, self.slot(place).await)
    }
}

/// The time limit of a lease slot, compared as a host does.
pub fn runs(engine: &Engine, slot: u32) -> bool {
    let until = engine.lease_slots()[slot as usize].load(Ordering::SeqCst);
    until > 0 && engine.lease_clock() < Duration::from_millis(32) * until as u32
}

pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something is so.
pub async fn until<F: Future<Output = bool>>(what: &str, mut reached: impl FnMut() -> F) {
    let end = Instant::now() + PATIENCE;
    while !reached().await {
        assert!(Instant::now() < end, "never reached: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
