//! The one timer of a node, in place of openraft's ticks: it lets all groups that this node leads
//! send their heartbeats in one go, and has followers that heard nothing stand for election.
//!
//! A follower's deadline is looked at when it passes: what was heard meanwhile moves it on. So an
//! idle group costs about one look per election timeout, and a message costs one store.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::elections;
use crate::group::Group;
use crate::limits::{ELECTION_MARGIN, ELECTION_SPREAD_DIVISOR};
use crate::sleep::Sleeper;
use crate::world::World;

#[derive(Default)]
struct Watched {
    groups: HashMap<u32, Arc<Group>>,
    /// Of each watched group one entry, the earliest first.
    deadlines: BinaryHeap<Reverse<(Instant, u32)>>,
}

/// See the module.
pub(crate) struct Timer {
    heartbeat_interval: Duration,
    election_timeout: Duration,
    sleeper: Arc<Sleeper>,
    world: World,
    leading: Mutex<BTreeMap<u32, Arc<Group>>>,
    watched: Mutex<Watched>,
    changed: Notify,
    stopped: AtomicBool,
    paused: AtomicBool,
}

impl Timer {
    /// A timer without groups.
    pub(crate) fn new(
        heartbeat_interval: Duration,
        election_timeout: Duration,
        sleeper: Arc<Sleeper>,
        world: World,
    ) -> Self {
        Self {
            heartbeat_interval,
            election_timeout,
            sleeper,
            world,
            leading: Mutex::default(),
            watched: Mutex::default(),
            changed: Notify::new(),
            stopped: AtomicBool::new(false),
            paused: AtomicBool::new(false),
        }
    }

    /// Looks at what a group is now: a leader with other members, a voter that follows, or neither.
    pub(crate) fn update(&self, group: &Arc<Group>) {
        let leads = group.beats();
        let mut leading = self.leading.lock();
        let changed = if leads {
            leading.insert(group.id, group.clone()).is_none()
        } else {
            leading.remove(&group.id);
            false
        };
        drop(leading);
        if changed {
            self.changed.notify_one();
        }
        if group.stands() {
            let mut watched = self.watched.lock();
            if watched.groups.insert(group.id, group.clone()).is_none() {
                let due = self.due(group, Instant::now());
                watched.deadlines.push(Reverse((due, group.id)));
                self.changed.notify_one();
            }
        }
    }

    /// Another node stands or was elected: it gets some time before this one stands against it.
    pub(crate) fn give_way(&self, group: &Group) {
        let grace = self.election_timeout / ELECTION_SPREAD_DIVISOR;
        if let Some(heard) = (Instant::now() + grace).checked_sub(self.election_timeout) {
            group.heard_at_least(heard);
        }
    }

    /// Has the group looked at soon: nobody leads it yet.
    pub(crate) fn hurry(&self, group: &Arc<Group>) {
        let mut watched = self.watched.lock();
        watched.groups.insert(group.id, group.clone());
        watched.deadlines.push(Reverse((Instant::now(), group.id)));
        self.changed.notify_one();
    }

    /// The node's part of letting groups sleep.
    pub(crate) fn sleeper(&self) -> &Arc<Sleeper> {
        &self.sleeper
    }

    /// Whether a leader that sleeps, or its node, was heard within its lease.
    pub(crate) fn is_watched(&self, group: &Group) -> bool {
        let heard = group.sleep.heard(group.known_term());
        heard.is_some_and(|heard| heard.elapsed() < self.election_timeout)
    }

    /// Forgets a group.
    pub(crate) fn forget(&self, group: u32) {
        self.leading.lock().remove(&group);
        self.watched.lock().groups.remove(&group);
    }

    /// Ends the task.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.changed.notify_one();
    }

    /// Keeps the timer from doing anything, as if the process stood still, or lets it go on.
    pub(crate) fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::SeqCst);
        self.changed.notify_one();
    }

    fn share(&self) -> Duration {
        let spread = self.election_timeout / ELECTION_SPREAD_DIVISOR;
        spread.mul_f64(self.world.random_share())
    }

    /// When a follower that hears nothing more is to stand.
    fn due(&self, group: &Group, now: Instant) -> Instant {
        let heard = group.last_heard();
        let silent_from = heard.map_or(now, |heard| heard + self.election_timeout);
        let due = silent_from.max(group.guarded_until()) + ELECTION_MARGIN;
        due + self.share()
    }

    /// The task.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut beat = Instant::now();
        while !self.stopped.load(Ordering::SeqCst) {
            let Some(wake) = self.next(beat) else {
                self.changed.notified().await;
                // Nothing was to be sent meanwhile.
                beat = Instant::now();
                continue;
            };
            let sleep = tokio::time::sleep_until(wake);
            futures::future::select(
                std::pin::pin!(sleep),
                std::pin::pin!(self.changed.notified()),
            )
            .await;
            if self.paused.load(Ordering::SeqCst) {
                continue;
            }
            let now = Instant::now();
            if now.saturating_duration_since(wake) > self.heartbeat_interval {
                // What others sent meanwhile has not been taken yet.
                self.grant_time(now);
            }
            if now >= beat {
                self.beat().await;
                beat = now + self.heartbeat_interval;
            }
            self.elect(now).await;
        }
    }

    fn next(&self, beat: Instant) -> Option<Instant> {
        if self.paused.load(Ordering::SeqCst) {
            return None;
        }
        let deadline = self.watched.lock().deadlines.peek().map(|next| next.0.0);
        let beat = (!self.leading.lock().is_empty()).then_some(beat);
        deadline.into_iter().chain(beat).min()
    }

    fn grant_time(&self, now: Instant) {
        let grace = 2 * self.heartbeat_interval;
        let floor = now.checked_sub(self.election_timeout.saturating_sub(grace));
        for group in self.watched.lock().groups.values() {
            if group.last_heard().is_some() {
                group.heard_at_least(floor.unwrap_or(now));
            }
        }
    }

    async fn beat(&self) {
        let leading: Vec<Arc<Group>> = self.leading.lock().values().cloned().collect();
        self.sleeper.beat(&leading);
        let awake = leading.iter().filter(|group| group.sleep.beats());
        let beats = awake.filter_map(|group| {
            let raft = group.raft()?.clone();
            Some(async move { drop(raft.trigger().heartbeat().await) })
        });
        join_all(beats).await;
    }

    async fn elect(&self, now: Instant) {
        let due = self.take_due(now);
        let elections = due.iter().filter_map(|group| {
            let raft = group.raft()?.clone();
            elections::note_standing(group, now);
            let asks = !self.world.traps().stands_unasked;
            Some(async move { drop(raft.trigger().elect(asks).await) })
        });
        join_all(elections).await;
    }

    fn take_due(&self, now: Instant) -> Vec<Arc<Group>> {
        let mut due = Vec::new();
        let mut watched = self.watched.lock();
        while let Some(Reverse((deadline, id))) = watched.deadlines.peek().copied() {
            if deadline > now {
                break;
            }
            watched.deadlines.pop();
            let Some(group) = watched.groups.get(&id).cloned() else {
                continue;
            };
            if !group.stands() {
                watched.groups.remove(&id);
                continue;
            }
            let silent_from = group
                .last_heard()
                .map(|heard| heard + self.election_timeout);
            let over = silent_from.is_none_or(|silent_from| silent_from <= now)
                && group.guarded_until() <= now;
            let next = if over {
                due.push(group);
                now + ELECTION_MARGIN + self.share()
            } else {
                self.due(&group, now)
            };
            watched.deadlines.push(Reverse((next, id)));
        }
        due
    }
}
