//! Who may answer reads by itself: the slots that the host reads, and each group's hold on one.
//!
//! All engines of the process share one array, which lives as long as the process: a reader can
//! never meet freed memory, and opening and closing engines does not grow it. A slot that was given
//! back is used again as late as possible, so that a reader that outlived its group by a moment
//! meets 0, not another group's lease.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

use parking_lot::Mutex;

use crate::limits::LEASE_SLOTS_MAX;

/// A slot's value for "no time limit": this node is the only voter, and leads.
pub const LEASE_FOREVER: i32 = i32::MAX;

struct Slots {
    values: Box<[AtomicI32]>,
    free: Mutex<VecDeque<u32>>,
}

static SLOTS: OnceLock<Slots> = OnceLock::new();

fn slots() -> &'static Slots {
    SLOTS.get_or_init(|| Slots {
        values: (0..LEASE_SLOTS_MAX).map(|_| AtomicI32::new(0)).collect(),
        free: Mutex::new((0..LEASE_SLOTS_MAX as u32).collect()),
    })
}

/// All slots of the process.
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
    sole_voter: bool,
}

/// One group's lease. Given only while this node leads, in the term for which the host has said
/// that everything before it is applied.
#[derive(Debug)]
pub(crate) struct Lease {
    slot: u32,
    state: Mutex<State>,
}

impl Lease {
    /// Takes a slot; `None` when all are in use.
    pub(crate) fn take() -> Option<Self> {
        let slot = slots().free.lock().pop_front()?;
        let state = State {
            standing: Standing::Following,
            sole_voter: false,
        };
        Some(Self {
            slot,
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

    /// This node was elected in `term`. The lease waits for the host.
    pub(crate) fn lead(&self, term: u64) {
        let mut state = self.state.lock();
        if state.standing != Standing::Ended {
            state.standing = Standing::Leading(term);
            self.value().store(0, Ordering::SeqCst);
        }
    }

    /// This node leads no longer; called before anything that lets another lead.
    pub(crate) fn follow(&self) {
        let mut state = self.state.lock();
        if state.standing != Standing::Ended {
            state.standing = Standing::Following;
        }
        self.value().store(0, Ordering::SeqCst);
    }

    /// Ends the lease for good.
    pub(crate) fn end(&self) {
        self.state.lock().standing = Standing::Ended;
        self.value().store(0, Ordering::SeqCst);
    }

    /// Whether this node alone is the group's quorum.
    pub(crate) fn set_sole_voter(&self, sole_voter: bool) {
        let mut state = self.state.lock();
        state.sole_voter = sole_voter;
        if !sole_voter {
            self.value().store(0, Ordering::SeqCst);
        }
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
        let state = self.state.lock();
        if state.standing == Standing::Leading(term) && state.sole_voter {
            self.value().store(LEASE_FOREVER, Ordering::SeqCst);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.value().store(0, Ordering::SeqCst);
        slots().free.lock().push_back(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_given_only_for_the_term_that_leads_and_is_ready() {
        let lease = Lease::take().unwrap();
        let value = || values()[lease.slot() as usize].load(Ordering::SeqCst);
        lease.host_ready(1);
        assert_eq!(value(), 0, "nobody leads");
        lease.lead(2);
        assert_eq!(value(), 0, "the host is not ready");
        lease.host_ready(2);
        assert_eq!(value(), 0, "other voters could elect another");
        lease.set_sole_voter(true);
        lease.host_ready(1);
        assert_eq!(value(), 0, "ready for an older term");
        lease.host_ready(2);
        assert_eq!(value(), LEASE_FOREVER);
        lease.lead(3);
        assert_eq!(value(), 0, "the next term starts without");
        lease.host_ready(3);
        lease.follow();
        assert_eq!(value(), 0);
        lease.host_ready(3);
        assert_eq!(value(), 0, "it follows");
        lease.lead(4);
        lease.end();
        lease.lead(5);
        lease.host_ready(5);
        assert_eq!(value(), 0, "ended for good");
    }

    #[test]
    fn slots_come_back_empty_and_late() {
        let first = Lease::take().unwrap();
        let slot = first.slot();
        first.set_sole_voter(true);
        first.lead(1);
        first.host_ready(1);
        drop(first);
        assert_eq!(values()[slot as usize].load(Ordering::SeqCst), 0);
        let next: Vec<Lease> = (0..100).map(|_| Lease::take().unwrap()).collect();
        assert!(next.iter().all(|lease| lease.slot() != slot));
    }
}
