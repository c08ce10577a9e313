//! What all streams of a transport share: who this node is, which nodes it knows, which streams it
//! accepted, and the one queue through which the handler hears of changes.
//!
//! Locks are taken in this order: nodes, then a peer's lane, then an outbox. Nothing of the handler
//! runs under a lock.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;

use crate::cuts::Cuts;
use crate::dialing::Dialing;
use crate::error::{CallError, Refusal, RefusalReason};
use crate::handler::{Handler, PeerIdentity, PeerState, RefusedStream};
use crate::hello::Introduction;
use crate::lane::Lane;
use crate::limits::{NODES_KNOWN_MAX, REFUSAL_REPORT_INTERVAL, REFUSALS_KNOWN_MAX};
use crate::outbox::Outbox;
use crate::statistics::Counters;
use crate::wire;

/// Something that the handler is told, in order.
pub(crate) enum Event {
    Changed(u64, PeerState),
    Refused(RefusedStream),
    /// Nothing comes any more.
    End,
}

/// What is known of a node.
#[derive(Default)]
struct Known {
    /// Incarnation and instance that spoke last, of nodes that have a cluster.
    process: Option<(u64, u64)>,
    lane: Option<Arc<Lane>>,
    counters: Arc<Counters>,
}

/// A stream that another node dialled.
struct Accepted {
    node: u64,
    incarnation: u64,
    outbox: Arc<Outbox>,
}

#[derive(Default)]
struct Nodes {
    known: HashMap<u64, Known>,
    accepted: HashMap<u64, Accepted>,
    last_accepted: u64,
    closed: bool,
}

/// A refusal that was reported: node, address, why, and whether by this node.
type Reported = (u64, Arc<str>, RefusalReason, bool);

/// How liveness is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rhythm {
    pub ping_interval: Duration,
    pub pings_unanswered_max: u32,
    pub reconnect_wait_max: Duration,
}

pub(crate) struct Core {
    pub introduction: RwLock<Introduction>,
    pub handler: Arc<dyn Handler>,
    pub runtime: Handle,
    pub dialing: Dialing,
    pub rhythm: Rhythm,
    pub events: mpsc::UnboundedSender<Event>,
    /// Turns true when the transport closes.
    pub closed: watch::Sender<bool>,
    /// What this node's lines are said to: tasks of the server's own do not inherit it.
    log: Dispatch,
    nodes: Mutex<Nodes>,
    /// Nodes that are not talked to any more.
    lost: RwLock<HashSet<u64>>,
    /// Nodes that tests keep this one from.
    pub cuts: Cuts,
    reported: Mutex<HashMap<Reported, Instant>>,
}

impl Core {
    pub(crate) fn new(
        introduction: Introduction,
        handler: Arc<dyn Handler>,
        runtime: Handle,
        dialing: Dialing,
        rhythm: Rhythm,
        events: mpsc::UnboundedSender<Event>,
    ) -> Arc<Self> {
        Arc::new(Self {
            introduction: RwLock::new(introduction),
            handler,
            runtime,
            dialing,
            rhythm,
            events,
            closed: watch::Sender::new(false),
            log: tracing::dispatcher::get_default(Dispatch::clone),
            nodes: Mutex::new(Nodes::default()),
            lost: RwLock::default(),
            cuts: Cuts::default(),
            reported: Mutex::new(HashMap::new()),
        })
    }

    /// Runs a task; its lines are this node's.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.runtime.spawn(task.with_subscriber(self.log.clone()))
    }

    /// This node's cluster; 0 = none.
    pub(crate) fn cluster(&self) -> u64 {
        self.introduction.read().identity.cluster
    }

    /// The hello to a node; 0 = whoever is there.
    pub(crate) fn hello(&self, expected: u64) -> wire::Hello {
        self.introduction.read().hello(expected)
    }

    /// Whether to talk to the node that said `hello`; notes its incarnation, and ends what is left
    /// of an older one.
    pub(crate) fn admit(
        self: &Arc<Self>,
        hello: &wire::Hello,
        expected: u64,
    ) -> Result<PeerIdentity, Refusal> {
        let peer = self.introduction.read().examine(hello, expected)?;
        if self.lost.read().contains(&peer.node) {
            let text = format!(
                "node {} at {} was given up for lost, and its cluster went on without it: it can \
                 only come back as a new node, with an empty data directory",
                hello.node, hello.address
            );
            return Err(Refusal::ours(RefusalReason::LostNode, text));
        }
        if peer.cluster == 0 || self.cluster() == 0 {
            return Ok(peer);
        }
        let mut nodes = self.nodes.lock();
        if nodes.known.len() >= NODES_KNOWN_MAX && !nodes.known.contains_key(&peer.node) {
            let text = "too many nodes are known".to_owned();
            return Err(Refusal::ours(RefusalReason::Other, text));
        }
        let known = nodes.known.entry(peer.node).or_default();
        let before = known.process.replace((hello.incarnation, hello.instance));
        let Some((incarnation, instance)) = before else {
            return Ok(peer);
        };
        let reason = if hello.incarnation < incarnation {
            RefusalReason::StaleIncarnation
        } else if hello.incarnation == incarnation && hello.instance != instance {
            RefusalReason::DuplicateNode
        } else {
            if hello.incarnation > incarnation {
                self.restarted(&mut nodes, peer.node, hello.incarnation);
            }
            return Ok(peer);
        };
        known.process = before;
        let text = match reason {
            RefusalReason::StaleIncarnation => format!(
                "node {} at {} is incarnation {}, and {incarnation} was seen already: the data \
                 directory was opened again elsewhere, or is a copy",
                hello.node, hello.address, hello.incarnation
            ),
            _ => format!(
                "node {} at {} runs twice as incarnation {incarnation}: one of them has a copy of \
                 the data directory",
                hello.node, hello.address
            ),
        };
        Err(Refusal::ours(reason, text))
    }

    /// A newer process of the node spoke: all that belongs to the older one ends.
    fn restarted(self: &Arc<Self>, nodes: &mut Nodes, node: u64, incarnation: u64) {
        const REASON: &str = "the node was started anew";
        for accepted in nodes.accepted.values() {
            if accepted.node == node && accepted.incarnation < incarnation {
                accepted
                    .outbox
                    .fail(&CallError::unreachable(REASON), REASON);
            }
        }
        let lane = nodes.known.get(&node).and_then(|known| known.lane.clone());
        if let Some(lane) = lane {
            lane.leave_older(self, incarnation, REASON);
        }
        self.tell(Event::Changed(node, PeerState::Restarted { incarnation }));
    }

    /// Notes a stream that was accepted, until the number it gets is given to
    /// [`Core::release`]. `None` if the transport is closed, or if a newer process spoke or the node
    /// was cut off meanwhile.
    pub(crate) fn accept(&self, peer: &PeerIdentity, outbox: &Arc<Outbox>) -> Option<u64> {
        let mut nodes = self.nodes.lock();
        let newest = nodes.known.get(&peer.node).and_then(|known| known.process);
        let older = newest.is_some_and(|(incarnation, _)| incarnation > peer.incarnation);
        if nodes.closed || older || self.cuts.from(peer.node) {
            return None;
        }
        nodes.last_accepted += 1;
        let number = nodes.last_accepted;
        nodes.accepted.insert(
            number,
            Accepted {
                node: peer.node,
                incarnation: peer.incarnation,
                outbox: outbox.clone(),
            },
        );
        let lane = nodes
            .known
            .get(&peer.node)
            .and_then(|known| known.lane.clone());
        drop(nodes);
        if let Some(lane) = lane {
            // It is there: no reason to wait any longer before it is dialled again.
            lane.hasten();
        }
        Some(number)
    }

    /// An accepted stream has ended.
    pub(crate) fn release(&self, number: u64) {
        self.nodes.lock().accepted.remove(&number);
    }

    /// The counters of a node; of a stranger, counters that nobody reads.
    pub(crate) fn counters(&self, node: u64) -> Arc<Counters> {
        let nodes = self.nodes.lock();
        nodes
            .known
            .get(&node)
            .map(|known| known.counters.clone())
            .unwrap_or_default()
    }

    /// The way to a node, which is made at the first call; `None` once closed.
    pub(crate) fn lane(&self, node: u64, address: &str) -> Option<Arc<Lane>> {
        let mut nodes = self.nodes.lock();
        if nodes.closed {
            return None;
        }
        let known = nodes.known.entry(node).or_default();
        let counters = known.counters.clone();
        let lane = known
            .lane
            .get_or_insert_with(|| Lane::new(node, address, counters));
        Some(lane.clone())
    }

    /// Talks to these nodes no more, whatever they say.
    pub(crate) fn refuse_nodes(&self, nodes: &[u64]) {
        self.lost.write().extend(nodes);
        // Streams from before are not judged anew.
        nodes.iter().for_each(|node| self.forget(*node));
    }

    /// Forgets a node: ends its streams, and what was known of it.
    pub(crate) fn forget(&self, node: u64) {
        const REASON: &str = "the node was forgotten";
        let known = self.nodes.lock().known.remove(&node);
        self.end_accepted(|accepted| accepted == node, REASON);
        if let Some(lane) = known.and_then(|known| known.lane) {
            lane.close(REASON);
        }
    }

    /// Ends the streams that these nodes dialled.
    pub(crate) fn end_accepted(&self, of: impl Fn(u64) -> bool, reason: &str) {
        let nodes = self.nodes.lock();
        for accepted in nodes.accepted.values().filter(|one| of(one.node)) {
            accepted.outbox.fail(&CallError::Closed, reason);
        }
    }

    /// All lanes.
    pub(crate) fn lanes(&self) -> Vec<Arc<Lane>> {
        let nodes = self.nodes.lock();
        nodes
            .known
            .values()
            .filter_map(|known| known.lane.clone())
            .collect()
    }

    /// Whether nodes of this cluster are on both sides, so that groups may be talked about.
    pub(crate) fn shares_cluster(&self, peer: &PeerIdentity) -> bool {
        peer.cluster != 0 && peer.cluster == self.cluster()
    }

    /// Introduces this node on a stream that [`Core::introduce_again`] knows of, or will.
    pub(crate) fn introduce_on(&self, outbox: &Outbox, node: u64) {
        loop {
            let hello = self.hello(node);
            let said = hello.cluster;
            outbox.say(hello);
            // It may have joined a cluster in between, and have said so first.
            if said == self.cluster() {
                return;
            }
        }
    }

    /// Introduces this node again to all it talks to, and to those that refused it.
    pub(crate) fn introduce_again(&self) {
        let nodes = self.nodes.lock();
        for accepted in nodes.accepted.values() {
            accepted.outbox.say(self.hello(accepted.node));
        }
        let lanes: Vec<_> = nodes
            .known
            .values()
            .filter_map(|known| known.lane.clone())
            .collect();
        drop(nodes);
        for lane in lanes {
            lane.introduce(self.hello(lane.node()));
        }
    }

    /// Ends everything. Later calls are answered with "closed".
    pub(crate) fn close(&self) {
        const REASON: &str = "this node closed";
        let mut nodes = self.nodes.lock();
        nodes.closed = true;
        let known = std::mem::take(&mut nodes.known);
        let accepted = std::mem::take(&mut nodes.accepted);
        drop(nodes);
        self.closed.send_replace(true);
        for lane in known.into_values().filter_map(|known| known.lane) {
            lane.close(REASON);
        }
        for accepted in accepted.into_values() {
            accepted.outbox.fail(&CallError::Closed, REASON);
        }
    }

    /// Waits until the transport closes.
    pub(crate) async fn until_closed(&self) {
        // An error means that nobody can close it any more, which is the same.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Tells the handler, after all it was told before.
    pub(crate) fn tell(&self, event: Event) {
        // The receiver goes last, after the transport.
        let _ = self.events.send(event);
    }

    /// Reports a refused stream, unless the same was reported lately.
    pub(crate) fn report(&self, node: u64, address: &str, refusal: &Refusal) {
        let address: Arc<str> = address.into();
        let now = Instant::now();
        let mut reported = self.reported.lock();
        let key = (node, address.clone(), refusal.reason, refusal.by_this_node);
        let lately = reported
            .get(&key)
            .is_some_and(|at| now.duration_since(*at) < REFUSAL_REPORT_INTERVAL);
        if lately {
            return;
        }
        if reported.len() >= REFUSALS_KNOWN_MAX {
            reported.clear();
        }
        reported.insert(key, now);
        drop(reported);
        // The handler is told the same, for whoever operates the node.
        tracing::debug!(node, %address, %refusal, "a stream was refused");
        self.tell(Event::Refused(RefusedStream {
            node,
            address,
            refusal: refusal.clone(),
        }));
    }
}

/// Gives the handler its events, one after the other.
pub(crate) async fn tell_handler(
    handler: Arc<dyn Handler>,
    mut events: mpsc::UnboundedReceiver<Event>,
) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Changed(node, state) => handler.peer_changed(node, state),
            Event::Refused(refused) => handler.refused(refused),
            Event::End => break,
        }
    }
}
