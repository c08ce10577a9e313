//! The one timer of a node, in place of openraft's ticks: it lets all groups that this node leads
//! send their heartbeats in one go, and has followers that heard nothing stand for election.
//!
//! A follower's deadline is looked at when it passes, together with those that pass soon after: what
//! was heard meanwhile moves it on. So an idle group costs about one look per election timeout, and
//! a message costs one store.
//!
//! A group that nobody asked for anything rests: it is left out of some rounds of heartbeats, and
//! is still heard [`RESTING_BEATS_PER_TIMEOUT`] times within each election timeout and lease, and so
//! often that its node may stand still for [`RESTING_STALL`].

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
use crate::limits::{
    ELECTION_MARGIN, ELECTION_SPREAD_DIVISOR, LOOK_INTERVAL, REST_AFTER_BEATS,
    RESTING_BEATS_PER_TIMEOUT, RESTING_STALL,
};
use crate::sleep::Sleeper;
use crate::world::World;

#[derive(Default)]
struct Watched {
    groups: HashMap<u32, Arc<Group>>,
    /// Of each watched group one entry, the earliest first.
    deadlines: BinaryHeap<Reverse<(Instant, u32)>>,
}

/// When the timer is to do something next, and in which round of heartbeats it is.
struct Rounds {
    beat: Instant,
    /// When it looked at deadlines last.
    looked: Instant,
    turn: u32,
    /// It stood still, and nothing was sent for longer than it should.
    late: bool,
}

/// In which rounds a group that rests is heard.
#[derive(Clone, Copy)]
struct Resting {
    /// In one of so many.
    every: u32,
    /// How long a group was asked for nothing when it begins to rest.
    after: Duration,
}

impl Resting {
    fn new(heartbeat_interval: Duration, election_timeout: Duration) -> Self {
        let longest = election_timeout / RESTING_BEATS_PER_TIMEOUT;
        let longest = longest.min(election_timeout.saturating_sub(RESTING_STALL));
        let every = longest.as_micros() / heartbeat_interval.as_micros().max(1);
        Self {
            every: u32::try_from(every).unwrap_or(u32::MAX).max(1),
            after: heartbeat_interval.saturating_mul(REST_AFTER_BEATS),
        }
    }

    /// Whether a group is left out of a round; as many groups are in each.
    fn skips(self, turn: u32, group: u32, quiet: Duration) -> bool {
        quiet >= self.after && !turn.wrapping_add(group).is_multiple_of(self.every)
    }
}

/// See the module.
pub(crate) struct Timer {
    heartbeat_interval: Duration,
    election_timeout: Duration,
    resting: Resting,
    sleeper: Arc<Sleeper>,
    world: World,
    leading: Mutex<BTreeMap<u32, Arc<Group>>>,
    watched: Mutex<Watched>,
    changed: Notify,
    /// A deadline is not to wait for others.
    hurried: AtomicBool,
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
            resting: Resting::new(heartbeat_interval, election_timeout),
            sleeper,
            world,
            leading: Mutex::default(),
            watched: Mutex::default(),
            changed: Notify::new(),
            hurried: AtomicBool::new(false),
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
        self.hurried.store(true, Ordering::SeqCst);
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
        let now = Instant::now();
        let mut rounds = Rounds {
            beat: now,
            looked: now,
            turn: 0,
            late: false,
        };
        while !self.stopped.load(Ordering::SeqCst) {
            let Some(wake) = self.next(&rounds) else {
                self.changed.notified().await;
                // Nothing was to be sent meanwhile.
                rounds.beat = Instant::now();
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
            self.act(wake, &mut rounds).await;
        }
    }

    /// Does what is due, at or after the time for which it woke.
    async fn act(&self, wake: Instant, rounds: &mut Rounds) {
        let now = Instant::now();
        if now.saturating_duration_since(wake) > self.heartbeat_interval {
            // What others sent meanwhile has not been taken yet.
            self.grant_time(now);
            rounds.late = true;
        }
        if now >= rounds.beat {
            self.beat(now, rounds).await;
            rounds.beat = now + self.heartbeat_interval;
            rounds.turn = rounds.turn.wrapping_add(1);
            rounds.late = false;
        }
        if self.hurried.swap(false, Ordering::SeqCst) || now >= rounds.looked + LOOK_INTERVAL {
            rounds.looked = now;
            self.elect(now).await;
        }
    }

    fn next(&self, rounds: &Rounds) -> Option<Instant> {
        if self.paused.load(Ordering::SeqCst) {
            return None;
        }
        let deadline = self.watched.lock().deadlines.peek().map(|next| next.0.0);
        let look = deadline.map(|deadline| {
            if self.hurried.load(Ordering::SeqCst) {
                return deadline;
            }
            deadline.max(rounds.looked + LOOK_INTERVAL)
        });
        let beat = (!self.leading.lock().is_empty()).then_some(rounds.beat);
        look.into_iter().chain(beat).min()
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

    async fn beat(&self, now: Instant, rounds: &Rounds) {
        let leading: Vec<Arc<Group>> = self.leading.lock().values().cloned().collect();
        self.sleeper.beat(&leading);
        let heard = leading.iter().filter(|group| {
            let rests = |quiet| self.resting.skips(rounds.turn, group.id, quiet);
            group.sleep.beats() && (rounds.late || !rests(group.sleep.quiet(now)))
        });
        let beats = heard.filter_map(|group| {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resting_group_is_heard_twice_within_each_election_timeout_and_a_busy_one_always() {
        let milliseconds = Duration::from_millis;
        for (beat, timeout, every) in [
            (250, 1000, 2),
            (300, 1500, 2),
            (100, 1000, 5),
            (400, 1000, 1),
            (100, 400, 1),
            (100, 600, 1),
            (100, 800, 3),
        ] {
            let resting = Resting::new(milliseconds(beat), milliseconds(timeout));
            assert_eq!(resting.every, every);
            let gap = milliseconds(beat) * resting.every;
            assert!(gap <= (milliseconds(timeout) / 2).max(milliseconds(beat)));
            assert!(every == 1 || gap + RESTING_STALL <= milliseconds(timeout));
            let quiet = milliseconds(beat) * REST_AFTER_BEATS;
            let heard = |group| (0..60).filter(move |turn| !resting.skips(*turn, group, quiet));
            for group in 0..10 {
                assert_eq!(heard(group).count() as u32, 60 / every);
                let busy = |turn: &u32| !resting.skips(*turn, group, quiet - milliseconds(1));
                assert_eq!((0..60).filter(busy).count(), 60);
            }
            let in_turn = |turn| {
                (0..60)
                    .filter(|group| !resting.skips(turn, *group, quiet))
                    .count()
            };
            assert!((0..60).all(|turn| in_turn(turn) as u32 == 60 / every));
        }
    }
}
