//! The network between processes: messages of one process to another arrive in their order, late,
//! or not at all.
//!
//! As the transport has it, a message is lost with the stream that carries it: then all that is
//! under way on it is lost, and the sender soon hears so. Of a partition it hears nothing. Requests
//! may come twice; Raft's are made for that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::clock::{MILLISECOND, Time};
use crate::node::Process;

/// The number of a node in the world, from 0.
pub type Place = usize;

/// Messages take at least this long; so processes may be run one after the other for as long.
pub const LATENCY_MIN: Time = 4 * MILLISECOND;

/// What a message does where it arrives.
pub type Work = Box<dyn FnOnce(&Arc<Process>) + Send>;

/// How unreliable the network is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Longest time that a message takes beyond the least one.
    pub delay_max: Time,
    /// How likely a message finds its stream broken.
    pub break_chance: f64,
    /// How likely a request comes twice.
    pub twice_chance: f64,
}

/// What became of a message when it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is under way, and may still be lost.
    UnderWay,
    /// The stream broke: the sender hears of it.
    Broken,
    /// It is lost, and nobody hears of it.
    Lost,
    /// Nothing listens there: the sender hears so.
    Refused,
}

struct Message {
    from: (Place, u32),
    to: (Place, u32),
    /// Of the stream that it is on.
    stream: u64,
    work: Work,
}

#[derive(Default)]
struct Lane {
    stream: u64,
    last_arrival: Time,
}

/// See the module.
pub struct Network {
    random: StdRng,
    weather: Weather,
    lanes: BTreeMap<(Place, Place), Lane>,
    under_way: BTreeMap<(Time, u64), Message>,
    sent: u64,
    cut: BTreeSet<(Place, Place)>,
    /// The processes that run, by place: how often each node was started.
    running: BTreeMap<Place, u32>,
}

/// The network as processes share it.
pub type SharedNetwork = Arc<Mutex<Network>>;

impl Network {
    /// A network on which nothing is.
    pub fn new(seed: u64) -> Network {
        Network {
            random: StdRng::seed_from_u64(seed),
            weather: Weather::default(),
            lanes: BTreeMap::new(),
            under_way: BTreeMap::new(),
            sent: 0,
            cut: BTreeSet::new(),
            running: BTreeMap::new(),
        }
    }

    /// How the network is from now on.
    pub fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// A process runs at a place from now on, or none does.
    pub fn set_running(&mut self, place: Place, boot: Option<u32>) {
        match boot {
            Some(boot) => self.running.insert(place, boot),
            None => self.running.remove(&place),
        };
    }

    /// Messages of one place to another are lost from now on, or no longer.
    pub fn cut(&mut self, from: Place, to: Place, cut: bool) {
        if cut {
            self.cut.insert((from, to));
        } else {
            self.cut.remove(&(from, to));
        }
    }

    /// Mends all that was cut.
    pub fn mend(&mut self) {
        self.cut.clear();
    }

    /// A chance, from the network's own.
    pub fn chance(&mut self, chance: f64) -> bool {
        chance > 0.0 && self.random.random_bool(chance)
    }

    /// Whether a request comes twice.
    pub fn comes_twice(&mut self) -> bool {
        self.chance(self.weather.twice_chance)
    }

    /// Sends something from a process to whatever runs at a place.
    pub fn send(&mut self, now: Time, from: (Place, u32), to: Place, work: Work) -> Sent {
        let pair = (from.0, to);
        let Some(boot) = self.running.get(&to).copied() else {
            return if self.cut.contains(&pair) {
                Sent::Lost
            } else {
                Sent::Refused
            };
        };
        let breaks = self.chance(self.weather.break_chance);
        let delay = match self.weather.delay_max {
            0 => 0,
            // Most messages are quick, and some are very late.
            longest => (longest as f64 * self.random.random::<f64>().powi(3)) as Time,
        };
        let lane = self.lanes.entry(pair).or_default();
        if breaks {
            lane.stream += 1;
            return Sent::Broken;
        }
        if self.cut.contains(&pair) {
            return Sent::Lost;
        }
        let arrival = (now + LATENCY_MIN + delay).max(lane.last_arrival);
        lane.last_arrival = arrival;
        self.sent += 1;
        let message = Message {
            from,
            to: (to, boot),
            stream: lane.stream,
            work,
        };
        self.under_way.insert((arrival, self.sent), message);
        Sent::UnderWay
    }

    /// Takes what arrives before a time, in order: when, from where, to which process, and what.
    pub fn arrivals(&mut self, end: Time) -> Vec<(Time, Place, Place, Work)> {
        let later = self.under_way.split_off(&(end, 0));
        let arrived = std::mem::replace(&mut self.under_way, later);
        let mut works = Vec::new();
        for ((time, _), message) in arrived {
            let pair = (message.from.0, message.to.0);
            let stream = self.lanes.get(&pair).map_or(0, |lane| lane.stream);
            let runs = self.running.get(&message.to.0) == Some(&message.to.1);
            // What was sent before its sender ended arrives all the same.
            if runs && stream == message.stream && !self.cut.contains(&pair) {
                works.push((time, pair.0, pair.1, message.work));
            }
        }
        works
    }
}
