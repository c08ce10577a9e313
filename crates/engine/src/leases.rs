//! Who may answer reads by itself: the slots that the host reads, and each group's hold on one.
//!
//! All engines of the process share one array, which lives as long as the process: a reader can
//! never meet freed memory, and opening and closing engines does not grow it. A slot that was given
//! back is used again as late as possible, so that a reader that outlived its group by a moment
//! meets 0, not another group's lease.

use std::collections::{HashMap, VecDeque};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::limits::{LEASE_SLOTS_MAX, LEASE_TICK};

/// A slot's value for "no time limit": this node is the only voter, and leads.
pub const LEASE_FOREVER: i32 = i32::MAX;

/// Distance below what was applied at which a slot's index is kept at least, so that the low bits
/// of both can be compared.
const INDEX_DISTANCE_MAX: u64 = 1 << 30;

struct Slots {
    /// Each slot's lease; behind all of them, each slot's index.
    values: Box<[AtomicI32]>,
    free: Mutex<VecDeque<u32>>,
}

static SLOTS: OnceLock<Slots> = OnceLock::new();

fn slots() -> &'static Slots {
    SLOTS.get_or_init(|| Slots {
        values: (0..2 * LEASE_SLOTS_MAX)
            .map(|_| AtomicI32::new(0))
            .collect(),
        free: Mutex::new((0..LEASE_SLOTS_MAX as u32).collect()),
    })
}

/// All slots of the process: as many leases, then as many indexes.
pub(crate) fn values() -> &'static [AtomicI32] {
    &slots().values
}

/// Where a group stands towards leadership, as far as its lease is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Another node leads, or none.
    Following,
    /// This node leads in this term.
    Leading(u64),
    /// The group is closed or its storage failed: never again.
    Ended,
}

#[derive(Debug)]
struct State {
    standing: Standing,
    /// The host has applied all that came before the term in which this node leads.
    ready: bool,
    /// Leadership is being given away: no lease for the rest of the term.
    withheld: bool,
    /// The sets of voters of which each must agree; more than one while they change.
    voters: Vec<Vec<u64>>,
    /// When the newest round that a voter acknowledged in this term was sent.
    acknowledged: HashMap<u64, Instant>,
    /// The highest index that another node may know to be committed.
    told: u64,
}

/// How leases with a time limit are counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeaseClock {
    /// Tick 0.
    pub(crate) opened: Instant,
    /// For how long after the sending of an acknowledged round its lease runs.
    pub(crate) length: Duration,
}

impl LeaseClock {
    /// The tick up to which a lease runs whose round was sent at `sent`; 0 when there is none.
    fn ticks(&self, sent: Instant) -> i32 {
        let runs = (sent + self.length).saturating_duration_since(self.opened);
        let ticks = runs.as_millis() / LEASE_TICK.as_millis();
        // Never the value that means "no time limit".
        i32::try_from(ticks)
            .ok()
            .filter(|ticks| *ticks != LEASE_FOREVER)
            .unwrap_or(0)
    }
}

/// One group's lease. Given only while this node leads, in the term for which the host has said
/// that everything before it is applied, and only for as long as no other node can be elected.
#[derive(Debug)]
pub(crate) struct Lease {
    slot: u32,
    node: u64,
    clock: LeaseClock,
    state: Mutex<State>,
}

impl Lease {
    /// Takes a slot for a group of this node; `None` when all are in use.
    pub(crate) fn take(node: u64, clock: LeaseClock) -> Option<Self> {
        let slot = slots().free.lock().pop_front()?;
        let state = State {
            standing: Standing::Following,
            ready: false,
            withheld: false,
            voters: Vec::new(),
            acknowledged: HashMap::new(),
            told: 0,
        };
        Some(Self {
            slot,
            node,
            clock,
            state: Mutex::new(state),
        })
    }

    /// The number of the slot.
    pub(crate) fn slot(&self) -> u32 {
        self.slot
    }

    fn value(&self) -> &'static AtomicI32 {
        &values()[self.slot as usize]
    }

    fn index(&self) -> &'static AtomicI32 {
        &values()[LEASE_SLOTS_MAX + self.slot as usize]
    }

    fn publish(&self, state: &State) {
        self.value().store(self.ticks(state), Ordering::SeqCst);
    }

    fn ticks(&self, state: &State) -> i32 {
        let leads = matches!(state.standing, Standing::Leading(_));
        if !leads || !state.ready || state.withheld || state.voters.is_empty() {
            return 0;
        }
        if state.voters.iter().all(|voters| *voters == [self.node]) {
            return LEASE_FOREVER;
        }
        self.quorum_sent(state)
            .map_or(0, |sent| self.clock.ticks(sent))
    }

    /// When the newest round was sent that a majority of each set of voters has acknowledged.
    fn quorum_sent(&self, state: &State) -> Option<Instant> {
        let now = Instant::now();
        let sent = state.voters.iter().map(|voters| {
            let times = voters.iter().filter_map(|voter| {
                if *voter == self.node {
                    Some(now)
                } else {
                    state.acknowledged.get(voter).copied()
                }
            });
            let mut times: Vec<Instant> = times.collect();
            times.sort_unstable();
            // As many as a majority were sent at this time or later.
            let majority = voters.len() / 2 + 1;
            times.len().checked_sub(majority).map(|place| times[place])
        });
        let sent: Option<Vec<Instant>> = sent.collect();
        sent.and_then(|sent| sent.into_iter().min())
    }

    /// Whether a quorum acknowledged, to the leader of `term`, what was sent at `since` or later.
    pub(crate) fn confirmed_since(&self, term: u64, since: Instant) -> bool {
        let state = self.state.lock();
        state.standing == Standing::Leading(term)
            && self.quorum_sent(&state).is_some_and(|sent| sent >= since)
    }

    /// This node was elected in `term`. The lease waits for the host.
    pub(crate) fn lead(&self, term: u64) {
        let mut state = self.state.lock();
        if state.standing != Standing::Ended {
            state.standing = Standing::Leading(term);
            state.ready = false;
            state.withheld = false;
            state.acknowledged.clear();
            self.publish(&state);
        }
    }

    /// This node leads no longer; called before anything that lets another lead.
    pub(crate) fn follow(&self) {
        let mut state = self.state.lock();
        if state.standing != Standing::Ended {
            state.standing = Standing::Following;
        }
        self.publish(&state);
    }

    /// Ends the lease for good.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock();
        state.standing = Standing::Ended;
        self.publish(&state);
    }

    /// Ends the lease until this node is elected anew; called before leadership is given away.
    pub(crate) fn withhold(&self) {
        let mut state = self.state.lock();
        state.withheld = true;
        self.publish(&state);
    }

    /// The voters changed.
    pub(crate) fn set_voters(&self, voters: Vec<Vec<u64>>) {
        let mut state = self.state.lock();
        state.voters = voters;
        self.publish(&state);
    }

    /// A voter acknowledged what this node sent it as leader of `term` at `sent`.
    pub(crate) fn acknowledged(&self, term: u64, voter: u64, sent: Instant) {
        let mut state = self.state.lock();
        if state.standing != Standing::Leading(term) {
            return;
        }
        let newest = state.acknowledged.entry(voter).or_insert(sent);
        *newest = sent.max(*newest);
        self.publish(&state);
    }

    /// Another node is about to be told that everything up to `index` is committed, and may answer
    /// callers from then on; called before that.
    pub(crate) fn telling(&self, index: u64) {
        let mut state = self.state.lock();
        if index > state.told {
            state.told = index;
            self.index().store(index as i32, Ordering::SeqCst);
        }
    }

    /// An entry was given to the host.
    pub(crate) fn given(&self, index: u64) {
        let least = index.saturating_sub(INDEX_DISTANCE_MAX);
        if least > 0 {
            self.telling(least);
        }
    }

    /// Whether a voter acknowledged something that was sent at this time or later.
    pub(crate) fn heard_since(&self, voter: u64, since: Instant) -> bool {
        let state = self.state.lock();
        let newest = state.acknowledged.get(&voter);
        newest.is_some_and(|sent| *sent >= since)
    }

    /// The term in which this node leads.
    pub(crate) fn leading_term(&self) -> Option<u64> {
        match self.state.lock().standing {
            Standing::Leading(term) => Some(term),
            Standing::Following | Standing::Ended => None,
        }
    }

    /// The host has applied all that terms before `term` committed.
    pub(crate) fn host_ready(&self, term: u64) {
        let mut state = self.state.lock();
        if state.standing == Standing::Leading(term) {
            state.ready = true;
            self.publish(&state);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.value().store(0, Ordering::SeqCst);
        self.index().store(0, Ordering::SeqCst);
        slots().free.lock().push_back(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_millis(1480);

    fn take() -> Lease {
        let clock = LeaseClock {
            // Times that the tests name have passed.
            opened: Instant::now() - Duration::from_secs(10),
            length: LENGTH,
        };
        Lease::take(1, clock).unwrap()
    }

    fn value(lease: &Lease) -> i32 {
        values()[lease.slot() as usize].load(Ordering::SeqCst)
    }

    #[test]
    fn is_given_only_for_the_term_that_leads_and_is_ready() {
        let lease = take();
        lease.host_ready(1);
        assert_eq!(value(&lease), 0, "nobody leads");
        lease.lead(2);
        assert_eq!(value(&lease), 0, "the host is not ready");
        lease.host_ready(2);
        assert_eq!(value(&lease), 0, "other voters could elect another");
        lease.set_voters(vec![vec![1]]);
        assert_eq!(value(&lease), LEASE_FOREVER);
        lease.lead(3);
        lease.host_ready(2);
        assert_eq!(value(&lease), 0, "ready for an older term");
        lease.host_ready(3);
        assert_eq!(value(&lease), LEASE_FOREVER);
        lease.follow();
        assert_eq!(value(&lease), 0);
        lease.host_ready(3);
        assert_eq!(value(&lease), 0, "it follows");
        lease.lead(4);
        lease.end();
        lease.lead(5);
        lease.host_ready(5);
        assert_eq!(value(&lease), 0, "ended for good");
    }

    #[test]
    fn among_several_voters_it_counts_from_when_the_majoritys_round_was_sent() {
        let lease = take();
        let ticks = |sent: Instant| lease.clock.ticks(sent);
        let start = lease.clock.opened;
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        lease.set_voters(vec![vec![1, 2, 3, 4, 5]]);
        lease.lead(7);
        lease.host_ready(7);
        lease.acknowledged(7, 2, at(100));
        assert_eq!(value(&lease), 0, "two of five");
        lease.acknowledged(7, 3, at(200));
        assert_eq!(value(&lease), ticks(at(100)));
        assert_eq!(value(&lease), 1580 / 32, "rounded down");
        lease.acknowledged(7, 4, at(300));
        assert_eq!(value(&lease), ticks(at(200)));
        lease.acknowledged(7, 4, at(50));
        assert_eq!(value(&lease), ticks(at(200)), "late answers change nothing");
        lease.acknowledged(6, 5, at(900));
        assert_eq!(value(&lease), ticks(at(200)), "of another term");
        lease.acknowledged(7, 9, at(900));
        assert_eq!(value(&lease), ticks(at(200)), "no voter");
        lease.set_voters(vec![vec![1, 2, 3, 4, 5], vec![1, 2, 9]]);
        assert_eq!(value(&lease), ticks(at(200)), "both sets must agree");
        lease.set_voters(vec![vec![1, 2, 3, 4, 5], vec![2, 6, 9]]);
        assert_eq!(value(&lease), ticks(at(100)));
        lease.set_voters(vec![vec![6, 7, 9]]);
        assert_eq!(value(&lease), 0);
        lease.set_voters(vec![vec![1, 2, 3]]);
        lease.withhold();
        lease.acknowledged(7, 2, at(2000));
        lease.host_ready(7);
        assert_eq!(value(&lease), 0, "withheld for the rest of the term");
        lease.lead(8);
        lease.host_ready(8);
        assert_eq!(value(&lease), 0, "what an older term heard does not count");
        lease.acknowledged(8, 2, at(2000));
        assert_eq!(value(&lease), ticks(at(2000)));
    }

    #[test]
    fn shows_the_highest_index_that_others_were_told() {
        let lease = take();
        let shown = || values()[LEASE_SLOTS_MAX + lease.slot() as usize].load(Ordering::SeqCst);
        lease.telling(7);
        lease.telling(5);
        assert_eq!(shown(), 7);
        lease.given(1000);
        assert_eq!(shown(), 7, "near enough to be compared");
        let far = (1 << 33) + 5;
        lease.given(far);
        assert_eq!(shown(), (far - INDEX_DISTANCE_MAX) as i32);
        lease.telling(far + 1);
        assert_eq!(shown(), 6);
    }

    #[test]
    fn after_the_last_tick_there_is_none() {
        let opened = Instant::now();
        let clock = LeaseClock {
            opened,
            length: LENGTH,
        };
        let end = LEASE_TICK * i32::MAX as u32;
        assert_eq!(clock.ticks(opened + end), 0);
        assert_eq!(clock.ticks(opened + end - LENGTH), 0);
        assert_eq!(
            clock.ticks(opened + end - LENGTH - LEASE_TICK),
            i32::MAX - 1
        );
    }

    #[test]
    fn slots_come_back_empty_and_late() {
        let first = take();
        let slot = first.slot();
        first.set_voters(vec![vec![1]]);
        first.lead(1);
        first.host_ready(1);
        drop(first);
        assert_eq!(values()[slot as usize].load(Ordering::SeqCst), 0);
        let next: Vec<Lease> = (0..100).map(|_| take()).collect();
        assert!(next.iter().all(|lease| lease.slot() != slot));
    }
}
