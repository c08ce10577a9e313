//! The course of a run: founding, torment, and the time after, in which everything has to come
//! right within bounds.

use std::collections::BTreeSet;

use bytes::Bytes;
use rand::Rng;

use crate::clients::Answer;
use crate::clock::{MILLISECOND, SECOND, Time};
use crate::network::{LATENCY_MIN, Place, Weather};
use crate::simulation::Simulation;

/// How long groups may take until somebody leads them for the first time.
const FOUNDING_MAX: Time = 30 * SECOND;

/// How long after all is mended a command may take, whatever was before: calls that wait for an
/// answer of the time before, a lease, a few elections that fail, and changes of members that
/// begin anew.
const HEALING_MAX: Time = 40 * SECOND;

/// How long a client waits before it calls again.
const RETRY_INTERVAL: Time = 100 * MILLISECOND;

impl Simulation {
    /// The whole run; what did not hold.
    pub fn live(&mut self) -> Result<(), String> {
        self.found()?;
        let weather = self.conditions.weather;
        self.common.network.lock().set_weather(weather);
        self.busy = true;
        for _ in 0..self.plan.steps {
            self.befall()?;
            let time = self.random.random_range(0..self.conditions.step_max);
            self.pass(time)?;
        }
        self.heal()?;
        self.go_on()?;
        self.agree()
    }

    /// The nodes that begin with a group.
    fn founders(&self, group: u32) -> Vec<Place> {
        let nodes = self.nodes.len();
        let first = group as usize % nodes;
        (0..3).map(|step| (first + step) % nodes).collect()
    }

    fn found(&mut self) -> Result<(), String> {
        self.turn()?;
        for group in 1..=self.conditions.groups {
            let founders = self.founders(group);
            for place in 0..self.nodes.len() {
                if founders[0] == place {
                    let founders = founders.clone();
                    self.within(place, move |process| {
                        let places = founders.iter();
                        let members = places.filter_map(|it| process.member(*it)).collect();
                        let process = process.clone();
                        drop(tokio::spawn(async move {
                            let engine = &process.engine;
                            let name = Bytes::from_static(b"model");
                            match engine.create_group_with(group, name, members).await {
                                Ok(slot) => {
                                    process.groups.slots.lock().insert(group, slot);
                                }
                                Err(error) => {
                                    process.note(format_args!("not founded: {error}"));
                                }
                            }
                        }));
                    });
                } else if !founders.contains(&place) {
                    self.within(place, move |process| process.send_elsewhere(group));
                }
            }
        }
        for group in 1..=self.conditions.groups {
            self.command_somehow(group, self.founders(group)[0], FOUNDING_MAX)?;
        }
        Ok(())
    }

    /// Calls commands at a node until one is acknowledged.
    fn command_somehow(&mut self, group: u32, place: Place, patience: Time) -> Result<(), String> {
        let end = self.now + patience;
        while self.now < end {
            let op = self.next_op();
            let boot = self.nodes[place].boots;
            self.within(place, move |process| {
                process.clients.command(process, op, group, 0, 0);
            });
            // A disk that was to fail may end the process, and the client with it.
            while self.nodes[place].boots == boot {
                self.pass(RETRY_INTERVAL)?;
                let running = self.nodes[place].running.as_ref();
                match running.and_then(|it| it.process.clients.answer(op)) {
                    Some(Answer::Acknowledged) => return Ok(()),
                    Some(Answer::Refused | Answer::Unknown) => break,
                    None if self.now >= end => break,
                    None => {}
                }
            }
        }
        Err(format!(
            "progress (Raft, section 5.6; ARCHITECTURE.md): group {group} takes no command at \
             {place} within {} s",
            patience / SECOND
        ))
    }

    /// Mends everything.
    fn heal(&mut self) -> Result<(), String> {
        self.note(format_args!("all is mended"));
        self.busy = false;
        self.mend();
        let calm = Weather::default();
        self.common.network.lock().set_weather(calm);
        for node in &mut self.nodes {
            node.starts_at = 0;
            node.stands_until = 0;
        }
        self.turn()
    }

    /// Every group takes commands again, called at any node.
    fn go_on(&mut self) -> Result<(), String> {
        for group in 1..=self.conditions.groups {
            for place in 0..self.nodes.len() {
                self.command_somehow(group, place, HEALING_MAX)?;
            }
        }
        Ok(())
    }

    /// All members come to have the same.
    fn agree(&mut self) -> Result<(), String> {
        let end = self.now + HEALING_MAX;
        for group in 1..=self.conditions.groups {
            loop {
                let states: BTreeSet<Option<u64>> = self
                    .awake()
                    .filter(|(_, running)| {
                        let slots = running.process.groups.slots.lock();
                        slots.contains_key(&group)
                    })
                    .map(|(_, running)| {
                        let machines = running.process.groups.machines.lock();
                        machines.get(&group).map(|machine| machine.index)
                    })
                    .collect();
                if states.len() <= 1 {
                    break;
                }
                if self.now >= end {
                    return Err(format!(
                        "replicas equal (ARCHITECTURE.md): members of group {group} stay at \
                         {states:?}"
                    ));
                }
                self.pass(RETRY_INTERVAL)?;
            }
        }
        (1..=self.conditions.groups).try_for_each(|group| self.end_group(group))
    }

    /// A number for a command or a read.
    pub fn next_op(&mut self) -> u64 {
        self.ops += 1;
        self.ops
    }

    /// Clients call what they call within a turn.
    pub fn call(&mut self) {
        let expected = self.conditions.commands_per_second * LATENCY_MIN as f64 / SECOND as f64;
        let (groups, keys) = (self.conditions.groups, self.conditions.keys);
        if self.random.random_bool(expected.min(1.0)) {
            let place = self.random.random_range(0..self.nodes.len());
            let (group, key) = self.somewhere(groups, keys);
            let filling = self.random.random_range(0..100);
            let op = self.next_op();
            self.within(place, move |process| {
                process.clients.command(process, op, group, key, filling);
            });
        }
        if self.random.random_bool(expected.min(1.0) / 4.0) {
            let place = self.random.random_range(0..self.nodes.len());
            let (group, key) = self.somewhere(groups, keys);
            let read = self.next_op();
            self.within(place, move |process| {
                process.clients.read_confirmed(process, read, group, key);
            });
        }
        // Whoever believes to lead is asked all the time.
        for place in 0..self.nodes.len() {
            let (group, key) = self.somewhere(groups, keys);
            let read = self.next_op();
            self.within(place, move |process| {
                process.clients.read_leased(process, read, group, key);
            });
        }
    }

    fn somewhere(&mut self, groups: u32, keys: u32) -> (u32, u32) {
        let group = self.random.random_range(1..=groups);
        (group, self.random.random_range(0..keys))
    }
}
