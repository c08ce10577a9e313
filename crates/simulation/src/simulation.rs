//! One run: nodes start, found their groups, are tormented and mended again, and in the end have to
//! agree and to go on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use raft_kv_engine::EngineError;
use raft_kv_journal::SimulatedDisk;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::clock::{MILLISECOND, SECOND, Time};
use crate::facts::{Fact, Log, LogEntry};
use crate::invariants::{Invariant, all};
use crate::network::{LATENCY_MIN, Network, Place};
use crate::node::{Common, Habits, Process, Running};
use crate::plan::{Conditions, Plan, SPEED_SPREAD};
use crate::trace::{Trace, hash_of};

/// How often logs are looked at.
const LOOK_INTERVAL: Time = 40 * MILLISECOND;

/// When a node is started again whose disk failed at the start.
const RESTART_AFTER: Time = SECOND;

/// A node: it outlives its processes.
pub(crate) struct Node {
    pub disk: SimulatedDisk,
    pub running: Option<Running>,
    pub boots: u32,
    /// When it is to be started again.
    pub starts_at: Time,
    /// Until when it stands still.
    pub stands_until: Time,
    /// Since when it is alone, if it is.
    pub alone_since: Option<Time>,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything held.
    Held,
    /// What did not hold.
    Broken(String),
}

/// What is left of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it came to.
    pub outcome: Outcome,
    /// The hash of all that happened.
    pub trace_hash: u64,
    /// Things that happened: commands acknowledged, leased reads, confirmed reads, process starts.
    pub counts: [u64; 4],
    /// Virtual time that it took, in milliseconds.
    pub milliseconds: u64,
    /// The end of the trace, if something did not hold.
    pub lines: Vec<String>,
}

/// See the module.
pub(crate) struct Simulation {
    pub plan: Plan,
    pub conditions: Conditions,
    pub now: Time,
    pub nodes: Vec<Node>,
    pub common: Common,
    pub random: StdRng,
    /// Clients call and read.
    pub busy: bool,
    pub ops: u64,
    pub counts: [u64; 4],
    invariants: Vec<Box<dyn Invariant>>,
    looked_at: Time,
    /// What was last seen of a log, so that it is told only when it changed.
    logs: BTreeMap<(Place, u32), u64>,
}

impl Simulation {
    fn new(plan: Plan, kept: bool) -> Simulation {
        let conditions = Conditions::of(&plan);
        let trace = Trace::new(plan.printed, kept);
        let common = Common {
            network: Arc::new(Mutex::new(Network::new(hash_of((plan.seed, "network"))))),
            facts: Arc::default(),
            trace: Arc::new(Mutex::new(trace)),
            directory: Arc::default(),
            traps: plan.traps,
        };
        let node = || Node {
            disk: SimulatedDisk::new(),
            running: None,
            boots: 0,
            starts_at: 0,
            stands_until: 0,
            alone_since: None,
        };
        Simulation {
            now: 0,
            nodes: (0..conditions.nodes).map(|_| node()).collect(),
            common,
            random: StdRng::seed_from_u64(hash_of((plan.seed, "world"))),
            busy: false,
            ops: 0,
            counts: [0; 4],
            invariants: all(),
            looked_at: 0,
            logs: BTreeMap::new(),
            plan,
            conditions,
        }
    }

    /// Notes what the world does.
    pub fn note(&self, what: std::fmt::Arguments<'_>) {
        self.common.trace.lock().add(self.now, what);
    }

    /// The processes that run and do not stand still.
    pub fn awake(&self) -> impl Iterator<Item = (Place, &Running)> {
        let running = self.nodes.iter().enumerate();
        running.filter_map(|(place, node)| {
            let running = node.running.as_ref()?;
            (node.stands_until <= self.now).then_some((place, running))
        })
    }

    /// Does something within a process, at this time, once it is awake.
    pub fn within(&self, place: Place, work: impl FnOnce(&Arc<Process>) + Send + 'static) {
        if let Some(running) = &self.nodes[place].running {
            running.hand(self.now, Box::new(work));
        }
    }

    /// Starts a node's process.
    pub fn start(&mut self, place: Place) -> Result<(), String> {
        let boot = self.nodes[place].boots + 1;
        let speed = 1_000_000 - SPEED_SPREAD + self.random.random_range(0..=2 * SPEED_SPREAD);
        let conditions = &self.conditions;
        let habits = Habits {
            seed: hash_of((self.plan.seed, "process", place, boot)),
            groups: conditions.groups,
            speed,
            write_max: conditions.write_max,
            busy_max: conditions.busy_max,
            heartbeat_interval_ms: conditions.heartbeat_interval_ms,
            election_timeout_ms: conditions.election_timeout_ms,
            sleep_after_ms: conditions.sleep_after_ms,
            snapshot_log_bytes_min: conditions.snapshot_log_bytes_min,
        };
        self.note(format_args!("{place} starts, at speed {speed}"));
        self.counts[3] += 1;
        let node = &mut self.nodes[place];
        node.boots = boot;
        match Running::start((place, boot), &node.disk, self.now, habits, &self.common) {
            Ok(running) => node.running = Some(running),
            // Its disk was to fail; it is another one when the node is started again.
            Err(EngineError::StorageFailed(_) | EngineError::StorageFull(_)) => {
                node.disk.crash(0, 0);
                node.starts_at = self.now + RESTART_AFTER;
            }
            Err(error) => return Err(format!("node {place} does not start: {error}")),
        }
        Ok(())
    }

    /// Lets everything live for a turn.
    pub fn turn(&mut self) -> Result<(), String> {
        let end = self.now + LATENCY_MIN;
        for place in 0..self.nodes.len() {
            let node = &self.nodes[place];
            if node.running.is_none() && node.starts_at <= self.now {
                self.start(place)?;
            }
        }
        if self.busy {
            self.call();
        }
        let arrivals = self.common.network.lock().arrivals(end);
        for (time, _, to, work) in arrivals {
            if let Some(running) = &self.nodes[to].running {
                running.hand(time, work);
            }
        }
        for (_, running) in self.awake() {
            running.run(self.now, end);
        }
        self.now = end;
        self.end_failed();
        if self.now >= self.looked_at + LOOK_INTERVAL {
            self.looked_at = self.now;
            self.look();
        }
        self.check()
    }

    /// Lets everything live for some time.
    pub fn pass(&mut self, time: Time) -> Result<(), String> {
        let end = self.now + time;
        while self.now < end {
            self.turn()?;
        }
        Ok(())
    }

    /// Processes whose storage failed are of no use any more.
    fn end_failed(&mut self) {
        for place in 0..self.nodes.len() {
            let running = self.nodes[place].running.as_ref();
            if running.is_some_and(|it| it.process.failed.load(Ordering::SeqCst)) {
                let down = self.random.random_range(0..3 * SECOND);
                self.power_cut(place, down);
            }
        }
    }

    /// Looks at all logs that changed.
    fn look(&mut self) {
        let mut logs = Vec::new();
        for (place, running) in self.awake() {
            for group in 1..=self.conditions.groups {
                logs.extend(look_at(place, running, group));
            }
        }
        for log in logs {
            let leader = log.entries.last().map(|entry| (entry.index, entry.leader));
            let seen = hash_of((log.boot, log.term, log.leads, log.purged, leader));
            if self.logs.insert((log.place, log.group), seen) != Some(seen) {
                self.common.facts.lock().push((self.now, Fact::Log(log)));
            }
        }
    }

    fn check(&mut self) -> Result<(), String> {
        let mut facts = std::mem::take(&mut *self.common.facts.lock());
        // What two saw at the same time, one of them in an earlier turn of the loop saw first.
        facts.sort_by_key(|(time, _)| *time);
        for (time, fact) in &facts {
            match fact {
                Fact::Acknowledged { .. } => self.counts[0] += 1,
                Fact::Read { leased: true, .. } => self.counts[1] += 1,
                Fact::Read { .. } => self.counts[2] += 1,
                _ => {}
            }
            for invariant in &mut self.invariants {
                let observed = invariant.observe(*time, fact);
                observed.map_err(|what| format!("{}: {what}", invariant.name()))?;
            }
        }
        Ok(())
    }

    /// Has all invariants look at the end of a group.
    pub fn end_group(&mut self, group: u32) -> Result<(), String> {
        let machines: Vec<_> = self
            .awake()
            .filter_map(|(place, running)| {
                let groups = &running.process.groups;
                groups.slots.lock().get(&group)?;
                Some((place, groups.machines.lock().get(&group)?.clone()))
            })
            .collect();
        let state = crate::invariants::Final {
            group,
            machines: machines.iter().map(|(place, it)| (*place, it)).collect(),
        };
        for invariant in &mut self.invariants {
            let held = invariant.end(&state);
            held.map_err(|what| format!("{}: {what}", invariant.name()))?;
        }
        Ok(())
    }
}

fn look_at(place: Place, running: &Running, group: u32) -> Option<Log> {
    let seen = running.within(|process| process.engine.inspect(group, 0))?;
    let entries = seen.entries.iter().map(|entry| LogEntry {
        index: entry.index,
        leader: (entry.term, entry.leader),
        hash: hash_of(&entry.entry[..]),
        passed: entry.entry.is_empty(),
    });
    Some(Log {
        place,
        boot: running.process.way.boot,
        group,
        term: seen.term,
        leads: seen.leads,
        purged: seen.purged.unwrap_or(0),
        entries: entries.collect(),
    })
}

/// Runs a plan.
#[must_use]
pub fn simulate(plan: Plan) -> Report {
    let report = run(plan, false);
    match report.outcome {
        Outcome::Held => report,
        // Once more, for the lines that the first time was too quick to write.
        Outcome::Broken(_) => run(plan, true),
    }
}

fn run(plan: Plan, kept: bool) -> Report {
    let mut simulation = Simulation::new(plan, kept);
    let result = simulation.live();
    let outcome = match result {
        Ok(()) => Outcome::Held,
        Err(what) => {
            simulation.note(format_args!("BROKEN: {what}"));
            Outcome::Broken(what)
        }
    };
    let trace = simulation.common.trace.clone();
    let (counts, milliseconds) = (simulation.counts, simulation.now / MILLISECOND);
    // Processes end before the trace is read: they may have a last word.
    let trace_hash = trace.lock().hash();
    for place in 0..simulation.nodes.len() {
        simulation.kill(place, 0);
    }
    drop(simulation);
    let lines = match outcome {
        Outcome::Held => Vec::new(),
        Outcome::Broken(_) => trace.lock().last_lines().map(String::from).collect(),
    };
    Report {
        outcome,
        trace_hash,
        counts,
        milliseconds,
        lines,
    }
}
