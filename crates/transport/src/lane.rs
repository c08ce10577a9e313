//! This node's own stream to one other node: its state, as callers and the dialling task see it.
//!
//! A lane is idle until it is first used, then connecting, and from then on up or down. Requests
//! wait in its outbox while it connects for the first time; while it is down they fail at once.
//! Each (re)start of the dialling task has a number, so that one that was stopped changes nothing.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;

use crate::core::{Core, Event};
use crate::dialer;
use crate::error::CallError;
use crate::handler::{PeerIdentity, PeerState};
use crate::limits::SNAPSHOTS_PER_PEER_MAX;
use crate::outbox::Outbox;
use crate::statistics::{Counters, PeerStatistics};
use crate::wire;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Connecting,
    Up,
    Down,
    Closed,
}

struct State {
    address: Arc<str>,
    phase: Phase,
    since: Instant,
    /// Of the stream that is up or being made; in the phases `Idle`, `Connecting` and `Up` it takes
    /// requests.
    outbox: Arc<Outbox>,
    /// Who answered last.
    remote: Option<PeerIdentity>,
    problem: Option<CallError>,
    task: Option<AbortHandle>,
    /// Number of the dialling task that may change this.
    run: u64,
}

pub(crate) struct Lane {
    node: u64,
    counters: Arc<Counters>,
    state: Mutex<State>,
    hasten: Notify,
    pub snapshots: Arc<Semaphore>,
}

impl Lane {
    pub(crate) fn new(node: u64, address: &str, counters: Arc<Counters>) -> Arc<Self> {
        Arc::new(Self {
            node,
            state: Mutex::new(State {
                address: address.into(),
                phase: Phase::Idle,
                since: Instant::now(),
                outbox: Outbox::new(counters.clone()),
                remote: None,
                problem: None,
                task: None,
                run: 0,
            }),
            counters,
            hasten: Notify::new(),
            snapshots: Arc::new(Semaphore::new(SNAPSHOTS_PER_PEER_MAX)),
        })
    }

    pub(crate) fn node(&self) -> u64 {
        self.node
    }

    pub(crate) fn address(&self) -> Arc<str> {
        self.state.lock().address.clone()
    }

    pub(crate) fn is_up(&self) -> bool {
        self.state.lock().phase == Phase::Up
    }

    pub(crate) fn remote(&self) -> Option<PeerIdentity> {
        self.state.lock().remote.clone()
    }

    /// Where to put a request, or why that is of no use. Starts dialling at the first use.
    pub(crate) fn outbox(
        self: &Arc<Self>,
        core: &Arc<Core>,
        in_cluster: bool,
    ) -> Result<Arc<Outbox>, CallError> {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Up | Phase::Connecting => {}
            Phase::Idle => self.start(&mut state, core),
            Phase::Down => return Err(state.problem.clone().unwrap_or_else(never_reached)),
            Phase::Closed => return Err(CallError::Closed),
        }
        // Of a peer that has not answered yet it is not known; then the peer decides.
        let foreign = match &state.remote {
            Some(remote) if state.phase == Phase::Up => !core.shares_cluster(remote),
            _ => core.cluster() == 0,
        };
        if in_cluster && foreign {
            return Err(CallError::NoCluster);
        }
        Ok(state.outbox.clone())
    }

    fn start(self: &Arc<Self>, state: &mut State, core: &Arc<Core>) {
        if state.phase == Phase::Idle {
            state.phase = Phase::Connecting;
        }
        state.run += 1;
        let task = dialer::run(core.clone(), self.clone(), state.run);
        state.task = Some(core.spawn(task).abort_handle());
    }

    /// Stops the dialling task, if there is one, and fails what is under way.
    fn stop(&self, state: &mut State, error: &CallError, reason: &str) -> bool {
        state.run += 1;
        state.outbox.fail(error, reason);
        let task = state.task.take();
        task.as_ref().inspect(|task| task.abort());
        task.is_some()
    }

    fn down(&self, core: &Core, state: &mut State, problem: CallError) {
        if state.phase != Phase::Down {
            state.phase = Phase::Down;
            state.since = Instant::now();
            let since = state.since;
            tracing::warn!(peer = self.node, address = %state.address, %problem, "no connection to a node");
            core.tell(Event::Changed(self.node, PeerState::Down { since }));
        }
        state.problem = Some(problem);
    }

    /// Dials another address from now on; what is under way to the old one fails.
    pub(crate) fn move_to(self: &Arc<Self>, core: &Arc<Core>, address: &str) {
        const REASON: &str = "the node has another address now";
        let mut state = self.state.lock();
        if *state.address == *address || state.phase == Phase::Closed {
            return;
        }
        state.address = address.into();
        if self.stop(&mut state, &CallError::unreachable(REASON), REASON) {
            if state.phase == Phase::Up {
                self.down(core, &mut state, CallError::unreachable(REASON));
            }
            // What comes now waits for the first attempt at the new address.
            state.phase = Phase::Connecting;
            state.outbox = Outbox::new(self.counters.clone());
            self.start(&mut state, core);
        }
    }

    /// Leaves a process that has been followed by a newer one, and dials again.
    pub(crate) fn leave_older(self: &Arc<Self>, core: &Arc<Core>, incarnation: u64, reason: &str) {
        let mut state = self.state.lock();
        let older = state.phase == Phase::Up
            && state
                .remote
                .as_ref()
                .is_some_and(|remote| remote.incarnation < incarnation);
        if older {
            self.stop(&mut state, &CallError::unreachable(reason), reason);
            self.down(core, &mut state, CallError::unreachable(reason));
            self.start(&mut state, core);
        }
    }

    /// Ends the stream that is there or being made, and dials again.
    pub(crate) fn cut(self: &Arc<Self>, core: &Arc<Core>, reason: &str) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Idle | Phase::Closed) {
            return;
        }
        self.stop(&mut state, &CallError::unreachable(reason), reason);
        self.down(core, &mut state, CallError::unreachable(reason));
        self.start(&mut state, core);
    }

    /// Ends for good.
    pub(crate) fn close(&self, reason: &str) {
        let mut state = self.state.lock();
        state.phase = Phase::Closed;
        self.stop(&mut state, &CallError::Closed, reason);
        drop(state);
        self.snapshots.close();
    }

    /// Ends a wait between two attempts.
    pub(crate) fn hasten(&self) {
        self.hasten.notify_waiters();
    }

    pub(crate) async fn hastened(&self) {
        self.hasten.notified().await;
    }

    /// Says hello once more, to a peer that is up; tries again with one that is down.
    pub(crate) fn introduce(&self, hello: wire::Hello) {
        let state = self.state.lock();
        if state.phase == Phase::Up {
            state.outbox.say(hello);
        }
        drop(state);
        self.hasten();
    }

    /// An attempt begins: where to, and the outbox of the stream that is to be made.
    pub(crate) fn begin(&self, run: u64) -> Option<(Arc<str>, Arc<Outbox>)> {
        let mut state = self.state.lock();
        if state.run != run {
            return None;
        }
        if state.phase != Phase::Connecting {
            state.outbox = Outbox::new(self.counters.clone());
        }
        Some((state.address.clone(), state.outbox.clone()))
    }

    /// Both sides have agreed.
    pub(crate) fn opened(&self, core: &Core, run: u64, remote: PeerIdentity) -> bool {
        let mut state = self.state.lock();
        if state.run != run {
            return false;
        }
        state.phase = Phase::Up;
        state.since = Instant::now();
        state.problem = None;
        state.remote = Some(remote);
        state.outbox.open();
        tracing::info!(peer = self.node, address = %state.address, "connected to a node");
        core.tell(Event::Changed(self.node, PeerState::Up));
        true
    }

    /// The peer said who it is once more.
    pub(crate) fn identified(&self, run: u64, remote: PeerIdentity) {
        let mut state = self.state.lock();
        if state.run == run {
            state.remote = Some(remote);
        }
    }

    /// The stream has ended, or could not be made.
    pub(crate) fn ended(&self, core: &Core, run: u64, problem: CallError) {
        let mut state = self.state.lock();
        if state.run != run {
            return;
        }
        let lost = problem.to_string();
        state.outbox.fail(&problem, &lost);
        self.down(core, &mut state, problem);
    }

    pub(crate) fn statistics(&self) -> PeerStatistics {
        use std::sync::atomic::Ordering::Relaxed;
        use std::time::Duration;
        let state = self.state.lock();
        let (queue_bytes, queue_items, in_flight) = state.outbox.load();
        let counters = &self.counters;
        let round_trip = counters.round_trip_nanoseconds.load(Relaxed);
        PeerStatistics {
            node: self.node,
            address: state.address.to_string(),
            up: state.phase == Phase::Up,
            since: state.since,
            problem: state.problem.as_ref().map(ToString::to_string),
            incarnation: state.remote.as_ref().map(|remote| remote.incarnation),
            queue_bytes,
            queue_items,
            in_flight,
            sent_bytes: counters.sent_bytes.load(Relaxed),
            sent_frames: counters.sent_frames.load(Relaxed),
            sent_items: counters.sent_items.load(Relaxed),
            received_bytes: counters.received_bytes.load(Relaxed),
            received_frames: counters.received_frames.load(Relaxed),
            received_items: counters.received_items.load(Relaxed),
            round_trip: (round_trip > 0).then(|| Duration::from_nanos(round_trip)),
            last_heard: *counters.last_heard.lock(),
        }
    }
}

fn never_reached() -> CallError {
    CallError::unreachable("never reached")
}
