//! A node: a disk, and the process that runs on it for a while. Each process has a runtime with one
//! thread and a clock of its own, so that it can be ended, or stand still, between any two steps.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::Mutex;
use raft_kv_engine::network::Member;
use raft_kv_engine::{Engine, EngineError, EngineOptions, Location, Traps, World};
use raft_kv_journal::{SimulatedDisk, WriterStep};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until};

use crate::clients::Clients;
use crate::clock::{MILLISECOND, NodeClock, Time};
use crate::facts::{Fact, SharedFacts};
use crate::host::{Bell, Groups, serve};
use crate::network::{Place, SharedNetwork, Work};
use crate::peers::{Link, Way};
use crate::trace::{Trace, hash_of};

/// 2026, so that times of day look as usual.
const TIME_OF_DAY_MS: u64 = 1_790_000_000_000;

/// What nodes know of each other's ids.
pub type Directory = Arc<Mutex<BTreeMap<Place, u64>>>;

/// What all processes share.
#[derive(Clone)]
pub struct Common {
    pub network: SharedNetwork,
    pub facts: SharedFacts,
    pub trace: Arc<Mutex<Trace>>,
    pub directory: Directory,
    pub traps: Traps,
}

/// How a process lives.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    pub seed: u64,
    /// The groups that there are, from 1.
    pub groups: u32,
    /// Millionths of the world's time.
    pub speed: u64,
    /// Longest time that the disk takes for a round.
    pub write_max: Time,
    /// Longest time that the host takes before it looks at events.
    pub busy_max: Time,
    pub heartbeat_interval_ms: u64,
    pub election_timeout_ms: u64,
    pub sleep_after_ms: u64,
    pub snapshot_log_bytes_min: u64,
}

/// A process as its own tasks see it.
pub struct Process {
    pub engine: Engine,
    pub node: u64,
    pub incarnation: u32,
    pub way: Way,
    pub groups: Groups,
    pub clients: Clients,
    /// Its storage failed: it is of no use any more.
    pub failed: AtomicBool,
    common: Common,
    busy_max: Time,
    random: Mutex<StdRng>,
}

impl Process {
    /// Tells what was seen.
    pub fn tell(&self, fact: Fact) {
        self.common.facts.lock().push((self.way.clock.time(), fact));
    }

    /// Notes what happened.
    pub fn note(&self, what: fmt::Arguments<'_>) {
        let place = self.way.place;
        let time = self.way.clock.time();
        self.common
            .trace
            .lock()
            .add(time, format_args!("{place}: {what}"));
    }

    /// How long the host has something else to do.
    pub fn busy(&self) -> Duration {
        if self.busy_max == 0 {
            return Duration::ZERO;
        }
        let share = self.random.lock().random::<f64>().powi(4);
        Duration::from_micros((self.busy_max as f64 * share) as u64)
    }

    /// The place of a node; the number of places if it is none's.
    pub fn place_of(&self, node: u64) -> Place {
        let directory = self.common.directory.lock();
        let found = directory.iter().find(|(_, known)| **known == node);
        found.map_or(directory.len(), |(place, _)| *place)
    }

    /// A node as groups know it.
    pub fn member(&self, place: Place) -> Option<Member> {
        let node = *self.common.directory.lock().get(&place)?;
        let address = place.to_string();
        Some(Member { node, address })
    }

    /// All nodes.
    pub fn everyone(&self) -> Vec<Member> {
        let places: Vec<Place> = self.common.directory.lock().keys().copied().collect();
        let members = places.into_iter().filter_map(|place| self.member(place));
        members.collect()
    }
}

/// A process as the world sees it.
pub struct Running {
    pub process: Arc<Process>,
    disk: SimulatedDisk,
    inbox: mpsc::UnboundedSender<(Time, Work)>,
    clock: NodeClock,
    /// Declared last: everything else goes first.
    runtime: Runtime,
}

impl Running {
    /// Starts a process on a disk.
    pub fn start(
        (place, boot): (Place, u32),
        disk: &SimulatedDisk,
        now: Time,
        habits: Habits,
        common: &Common,
    ) -> Result<Running, EngineError> {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|error| EngineError::StorageFailed(error.to_string()))?;
        let woken = Arc::new(Notify::new());
        let wakes = woken.clone();
        let wake = Arc::new(move || wakes.notify_one());
        let disk = disk.stepped(wake, common.traps.acknowledges_early);
        let (inbox, arrivals) = mpsc::unbounded_channel();
        let handle = runtime.handle().clone();
        let world = World::simulated(handle, habits.seed, common.traps);
        let begun = runtime.block_on(async {
            let clock = NodeClock::begin(now, habits.speed);
            world.set_time_of_day(TIME_OF_DAY_MS + now / MILLISECOND);
            let options = options(&disk, habits, world);
            let bell = Bell::default();
            let rung = bell.0.clone();
            let engine = Engine::open(options, Arc::new(bell))?;
            let identity = engine.identity();
            let way = Way {
                network: common.network.clone(),
                clock,
                place,
                boot,
                trace: common.trace.clone(),
            };
            let node = identity.node;
            engine.connect(Arc::new(Link {
                way: way.clone(),
                node,
            }))?;
            let process = Arc::new(Process {
                engine,
                node,
                incarnation: identity.incarnation,
                way,
                groups: Groups::default(),
                clients: Clients::default(),
                failed: AtomicBool::new(false),
                common: common.clone(),
                busy_max: habits.busy_max,
                random: Mutex::new(StdRng::seed_from_u64(hash_of((habits.seed, "host")))),
            });
            common.directory.lock().insert(place, node);
            drop(tokio::spawn(serve(process.clone(), rung)));
            drop(tokio::spawn(receive(process.clone(), arrivals)));
            drop(tokio::spawn(write(disk.clone(), woken, habits)));
            let stored = stored_groups(&process.engine);
            for group in 1..=habits.groups {
                if stored.contains(&group) {
                    process.bind(group);
                } else if boot > 1 {
                    process.send_elsewhere(group);
                }
            }
            Ok::<_, EngineError>((process, clock))
        });
        let (process, clock) = begun?;
        common.network.lock().set_running(place, Some(boot));
        Ok(Running {
            process,
            disk,
            inbox,
            clock,
            runtime,
        })
    }

    /// Hands over what arrives at a time.
    pub fn hand(&self, time: Time, work: Work) {
        // The task that takes it lives as long as the runtime.
        drop(self.inbox.send((time, work)));
    }

    /// Lets the process live from one time to another. What it missed before, it missed.
    pub fn run(&self, from: Time, to: Time) {
        let clock = self.clock;
        self.runtime.block_on(async {
            let missed = clock.at(from).saturating_duration_since(Instant::now());
            if !missed.is_zero() {
                tokio::time::advance(missed).await;
            }
            sleep_until(clock.at(to)).await;
        });
    }

    /// Does something within the process.
    pub fn within<T>(&self, work: impl FnOnce(&Arc<Process>) -> T) -> T {
        let _within = self.runtime.enter();
        work(&self.process)
    }

    /// Ends the process: of what its disk has not made durable, `kept` changes stay, and of the
    /// next one `torn` bytes.
    pub fn end(self, kept: usize, torn: usize) {
        self.disk.crash(kept, torn);
    }

    /// Changes that an end may take away.
    pub fn unsynced(&self) -> usize {
        self.disk.unsynced_changes()
    }
}

fn stored_groups(engine: &Engine) -> BTreeSet<u32> {
    let stored = engine.stored_groups();
    stored.into_iter().map(|stored| stored.group).collect()
}

fn options(disk: &SimulatedDisk, habits: Habits, world: World) -> EngineOptions {
    EngineOptions {
        heartbeat_interval_ms: habits.heartbeat_interval_ms,
        election_timeout_ms: habits.election_timeout_ms,
        sleep_after_ms: habits.sleep_after_ms,
        snapshot_log_bytes_min: habits.snapshot_log_bytes_min,
        world,
        ..EngineOptions::new(Location::Simulated(disk.clone()), "simulation")
    }
}

/// Takes what arrives, when it arrives.
async fn receive(process: Arc<Process>, mut arrivals: mpsc::UnboundedReceiver<(Time, Work)>) {
    while let Some((time, work)) = arrivals.recv().await {
        sleep_until(process.way.clock.at(time)).await;
        work(&process);
    }
}

/// Does the work of the disk.
async fn write(disk: SimulatedDisk, woken: Arc<Notify>, habits: Habits) {
    let mut random = StdRng::seed_from_u64(hash_of((habits.seed, "disk")));
    loop {
        match disk.begin_round(Instant::now().into_std()) {
            WriterStep::Begun => {
                let share = random.random::<f64>().powi(4);
                let takes = (habits.write_max as f64 * share) as u64;
                sleep(Duration::from_micros(takes)).await;
                disk.finish_round(Instant::now().into_std());
            }
            WriterStep::RestsUntil(time) => {
                let rest = std::pin::pin!(sleep_until(time.into()));
                let wake = std::pin::pin!(woken.notified());
                futures::future::select(rest, wake).await;
            }
            WriterStep::Rests => woken.notified().await,
            WriterStep::Closed => return,
        }
    }
}
