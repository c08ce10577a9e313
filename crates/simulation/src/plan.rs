//! What a run is to be: how many nodes, for how long, and what happens to them. Seeds differ in all
//! of it, so that some runs are calm in one way and rough in another.

use raft_kv_engine::Traps;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::clock::{MILLISECOND, SECOND, Time};
use crate::network::Weather;
use crate::trace::hash_of;

/// A guard that is taken away to show that its absence is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// The vote lease is forgotten at a restart.
    ForgetsVoteLease,
    /// The lease is kept through a transfer of leadership.
    KeepsLeaseAtTransfer,
    /// The lease is kept through the removal of the leader.
    RemovesLeader,
    /// `elect(false)`.
    StandsUnasked,
    /// A sleeping group whose leader's process came back without leading it.
    SleepsUnderAnyNode,
    /// Acknowledged before it is flushed.
    AcknowledgesEarly,
}

impl Trap {
    /// All of them, with the names that the command line knows.
    pub const ALL: [(&'static str, Trap); 6] = [
        ("forgets-vote-lease", Trap::ForgetsVoteLease),
        ("keeps-lease-at-transfer", Trap::KeepsLeaseAtTransfer),
        ("removes-leader", Trap::RemovesLeader),
        ("stands-unasked", Trap::StandsUnasked),
        ("sleeps-under-any-node", Trap::SleepsUnderAnyNode),
        ("acknowledges-early", Trap::AcknowledgesEarly),
    ];

    /// The switch of the engine.
    #[must_use]
    pub fn traps(self) -> Traps {
        let mut traps = Traps::default();
        match self {
            Trap::ForgetsVoteLease => traps.forgets_vote_lease = true,
            Trap::KeepsLeaseAtTransfer => traps.keeps_lease_at_transfer = true,
            Trap::RemovesLeader => traps.removes_leader = true,
            Trap::StandsUnasked => traps.stands_unasked = true,
            Trap::SleepsUnderAnyNode => traps.sleeps_under_any_node = true,
            Trap::AcknowledgesEarly => traps.acknowledges_early = true,
        }
        traps
    }
}

/// What the caller says of a run; the seed says the rest.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What everything comes from.
    pub seed: u64,
    /// Nodes, 3 to 5; `None`: as the seed says.
    pub nodes: Option<usize>,
    /// Things that befall the nodes before all is mended.
    pub steps: u32,
    /// Guards that are missing.
    pub traps: Traps,
    /// Every line of the trace goes to standard error.
    pub printed: bool,
}

impl Plan {
    /// The usual run of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Plan {
        Plan {
            seed,
            nodes: None,
            steps: 40,
            traps: Traps::default(),
            printed: false,
        }
    }
}

/// How likely each thing is among those that befall nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weights {
    pub kill: u32,
    pub power_cut: u32,
    pub stand_still: u32,
    pub part: u32,
    pub isolate: u32,
    pub deafen: u32,
    pub mend: u32,
    pub transfer: u32,
    pub change_members: u32,
    pub fail_disk: u32,
    pub rest: u32,
    pub oust: u32,
}

/// All that a seed says.
#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    pub nodes: usize,
    pub groups: u32,
    pub keys: u32,
    pub weather: Weather,
    pub weights: Weights,
    /// Longest time between two things that befall nodes.
    pub step_max: Time,
    pub commands_per_second: f64,
    pub write_max: Time,
    pub busy_max: Time,
    pub election_timeout_ms: u64,
    pub heartbeat_interval_ms: u64,
    pub sleep_after_ms: u64,
    pub snapshot_log_bytes_min: u64,
}

/// Clocks may differ by a fiftieth in all: each runs at most this many millionths off.
pub(crate) const SPEED_SPREAD: u64 = 9_000;

impl Conditions {
    /// What the seed of a plan says.
    pub(crate) fn of(plan: &Plan) -> Conditions {
        let mut random = StdRng::seed_from_u64(hash_of((plan.seed, "conditions")));
        let nodes = random.random_range(3..=5);
        let mut weight = |usual: u32| if random.random_bool(0.6) { usual } else { 0 };
        let weights = Weights {
            kill: weight(8),
            power_cut: weight(8),
            stand_still: weight(6),
            part: weight(5),
            isolate: weight(6),
            deafen: weight(4),
            mend: 6,
            transfer: weight(10),
            change_members: weight(8),
            fail_disk: weight(2),
            rest: weight(3),
            oust: weight(5),
        };
        let mut one_of = |choices: [u64; 4]| choices[random.random_range(0..4)];
        let weather = Weather {
            delay_max: one_of([2, 10, 60, 200]) * MILLISECOND,
            break_chance: one_of([0, 0, 2, 10]) as f64 / 1000.0,
            twice_chance: one_of([0, 0, 10, 50]) as f64 / 1000.0,
        };
        let election_timeout_ms = one_of([500, 800, 1000, 1500]);
        Conditions {
            nodes: plan.nodes.unwrap_or(nodes).clamp(3, 5),
            groups: 2 + (one_of([0, 0, 1, 1]) as u32),
            keys: 3,
            weather,
            weights,
            step_max: one_of([200, 400, 800, 1500]) * MILLISECOND,
            commands_per_second: one_of([10, 40, 80, 150]) as f64,
            write_max: one_of([1, 5, 30, 200]) * MILLISECOND,
            busy_max: one_of([0, 0, 20, 300]) * MILLISECOND,
            election_timeout_ms,
            heartbeat_interval_ms: election_timeout_ms / 5,
            sleep_after_ms: 2 * SECOND / MILLISECOND,
            snapshot_log_bytes_min: one_of([500, 3_000, 20_000, 1_000_000]),
        }
    }
}
