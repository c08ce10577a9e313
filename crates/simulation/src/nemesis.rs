//! What befalls nodes.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::Rng;
use rand::seq::SliceRandom;

use crate::clock::{MILLISECOND, SECOND, Time};
use crate::facts::Fact;
use crate::network::Place;
use crate::node::Process;
use crate::simulation::Simulation;

/// How long a node is alone before nothing is under way to it any more.
const ALONE_AFTER: Time = SECOND;

type Befall = fn(&mut Simulation) -> Result<(), String>;

impl Simulation {
    /// Something befalls some node.
    pub fn befall(&mut self) -> Result<(), String> {
        self.tell_alone();
        let weights = self.conditions.weights;
        let kinds: [(u32, Befall); 12] = [
            (weights.kill, Simulation::kill_some),
            (weights.power_cut, Simulation::cut_power_of_some),
            (weights.stand_still, Simulation::stop_some),
            (weights.part, Simulation::part),
            (weights.isolate, Simulation::isolate),
            (weights.deafen, Simulation::deafen),
            (weights.mend, Simulation::mend_some),
            (weights.transfer, Simulation::transfer),
            (weights.change_members, Simulation::change_members),
            (weights.fail_disk, Simulation::fail_disk),
            (weights.rest, Simulation::rest),
            (weights.oust, Simulation::oust),
        ];
        let total: u32 = kinds.iter().map(|(weight, _)| weight).sum();
        let mut draw = self.random.random_range(0..total);
        for (weight, kind) in kinds {
            if draw < weight {
                return kind(self);
            }
            draw -= weight;
        }
        Ok(())
    }

    fn some_place(&mut self) -> Place {
        self.random.random_range(0..self.nodes.len())
    }

    fn some_group(&mut self) -> u32 {
        self.random.random_range(1..=self.conditions.groups)
    }

    /// Ends a process; its disk keeps what was written.
    pub fn kill(&mut self, place: Place, down: Time) {
        self.end(place, down, usize::MAX, 0);
    }

    /// Takes the power of a node: of what was not durable, some stays, and the last may be torn.
    pub fn power_cut(&mut self, place: Place, down: Time) {
        let unsynced = self.nodes[place]
            .running
            .as_ref()
            .map_or(0, |it| it.unsynced());
        let kept = self.random.random_range(0..=unsynced);
        let torn = match self.random.random_range(0..3) {
            0 => self.random.random_range(1..200),
            _ => 0,
        };
        self.end(place, down, kept, torn);
    }

    fn end(&mut self, place: Place, down: Time, kept: usize, torn: usize) {
        let starts_at = self.now + down;
        let node = &mut self.nodes[place];
        node.starts_at = starts_at;
        node.stands_until = 0;
        let Some(running) = node.running.take() else {
            return;
        };
        self.common.network.lock().set_running(place, None);
        running.end(kept, torn);
        self.note(format_args!(
            "{place} ends for {} ms, {kept} changes kept, {torn} bytes torn",
            down / MILLISECOND
        ));
    }

    fn down_time(&mut self) -> Time {
        match self.random.random_range(0..3) {
            0 => self.random.random_range(0..50 * MILLISECOND),
            1 => self.random.random_range(0..SECOND),
            _ => self.random.random_range(0..4 * SECOND),
        }
    }

    fn kill_some(&mut self) -> Result<(), String> {
        let (place, down) = (self.some_place(), self.down_time());
        self.kill(place, down);
        Ok(())
    }

    fn cut_power_of_some(&mut self) -> Result<(), String> {
        // Sometimes of all: a rack, a building.
        let all = self.random.random_bool(0.3);
        let places = if all {
            (0..self.nodes.len()).collect()
        } else {
            vec![self.some_place()]
        };
        for place in places {
            let down = self.down_time();
            self.power_cut(place, down);
        }
        Ok(())
    }

    fn stop_some(&mut self) -> Result<(), String> {
        let place = self.some_place();
        let time = self.random.random_range(0..3 * SECOND);
        self.nodes[place].stands_until = self.now + time;
        self.note(format_args!(
            "{place} stands still for {} ms",
            time / MILLISECOND
        ));
        Ok(())
    }

    fn set_cut(&mut self, from: Place, to: Place, cut: bool) {
        self.common.network.lock().cut(from, to, cut);
    }

    /// Two parts do not reach each other.
    fn part(&mut self) -> Result<(), String> {
        self.mend();
        let mut places: Vec<Place> = (0..self.nodes.len()).collect();
        places.shuffle(&mut self.random);
        let at = self.random.random_range(1..places.len());
        let (some, others) = places.split_at(at);
        for one in some {
            for other in others {
                self.set_cut(*one, *other, true);
                self.set_cut(*other, *one, true);
            }
        }
        self.note(format_args!("{some:?} do not reach {others:?}"));
        Ok(())
    }

    fn isolate_place(&mut self, place: Place) {
        for other in (0..self.nodes.len()).filter(|other| *other != place) {
            self.set_cut(place, other, true);
            self.set_cut(other, place, true);
        }
        self.nodes[place].alone_since = Some(self.now);
        self.note(format_args!("{place} is alone"));
    }

    fn isolate(&mut self) -> Result<(), String> {
        let place = self.some_place();
        self.isolate_place(place);
        Ok(())
    }

    /// What one says does not reach another.
    fn deafen(&mut self) -> Result<(), String> {
        let (from, to) = (self.some_place(), self.some_place());
        self.set_cut(from, to, true);
        self.note(format_args!("{from} does not reach {to}"));
        Ok(())
    }

    fn mend_some(&mut self) -> Result<(), String> {
        self.mend();
        Ok(())
    }

    /// All reach each other again.
    pub fn mend(&mut self) {
        self.common.network.lock().mend();
        for (place, node) in self.nodes.iter_mut().enumerate() {
            if node.alone_since.take().is_some() {
                let fact = Fact::Joined { place };
                self.common.facts.lock().push((self.now, fact));
            }
        }
        self.note(format_args!("all reach each other"));
    }

    fn tell_alone(&mut self) {
        let since = self.now.saturating_sub(ALONE_AFTER);
        for (place, node) in self.nodes.iter_mut().enumerate() {
            let awake = node.running.is_some() && node.stands_until <= self.now;
            if awake && node.alone_since.is_some_and(|alone| alone < since) {
                // Told once.
                node.alone_since = Some(Time::MAX);
                let fact = Fact::Alone { place };
                self.common.facts.lock().push((self.now, fact));
            }
        }
    }

    /// Whoever leads a group hands it to another member.
    fn transfer(&mut self) -> Result<(), String> {
        let (group, to) = (self.some_group(), self.some_place());
        self.note(format_args!("group {group}: is to be led by {to}"));
        for place in 0..self.nodes.len() {
            self.within(place, move |process| hand_over(process, group, to));
        }
        // Often enough whoever hands over is cut off in the middle of it.
        if self.random.random_bool(0.4) {
            let time = self.random.random_range(0..100 * MILLISECOND);
            self.pass(time)?;
            if let Some(leader) = self.leader_of(group) {
                self.isolate_place(leader);
            }
        }
        Ok(())
    }

    /// Who leads a group, or believes so.
    fn leader_of(&self, group: u32) -> Option<Place> {
        let leads = |place: &Place| {
            let running = self.nodes[*place].running.as_ref();
            running.is_some_and(|it| {
                it.within(|process| process.engine.inspect(group, u64::MAX))
                    .is_some_and(|seen| seen.leads.is_some())
            })
        };
        (0..self.nodes.len()).find(leads)
    }

    /// A group gets other voters.
    fn change_members(&mut self) -> Result<(), String> {
        let group = self.some_group();
        let mut places: Vec<Place> = (0..self.nodes.len()).collect();
        places.shuffle(&mut self.random);
        places.truncate(self.random.random_range(2..=self.nodes.len().min(4)));
        self.give_members(group, places);
        Ok(())
    }

    fn give_members(&mut self, group: u32, places: Vec<Place>) {
        self.note(format_args!(
            "group {group}: its members are to be {places:?}"
        ));
        for place in 0..self.nodes.len() {
            let places = places.clone();
            self.within(place, move |process| change_to(process, group, places));
        }
    }

    /// The leader of a group is removed, and cut off soon after.
    fn oust(&mut self) -> Result<(), String> {
        let group = self.some_group();
        let Some(leader) = self.leader_of(group) else {
            return Ok(());
        };
        let others = (0..self.nodes.len()).filter(|place| *place != leader);
        let others: Vec<Place> = others.collect();
        self.give_members(group, others);
        let time = self.random.random_range(0..600 * MILLISECOND);
        self.pass(time)?;
        if self.random.random_bool(0.5) {
            self.isolate_place(leader);
        }
        Ok(())
    }

    /// A disk fails, or is full.
    fn fail_disk(&mut self) -> Result<(), String> {
        let place = self.some_place();
        let disk = &self.nodes[place].disk;
        match self.random.random_range(0..3) {
            0 => disk.fail_one_sync_after(self.random.random_range(0..10)),
            kind => disk.fail_writes_after(self.random.random_range(0..10), kind == 1),
        }
        self.note(format_args!("the disk of {place} is to fail"));
        Ok(())
    }

    /// Nobody calls anything for so long that groups fall asleep; then some node is started anew.
    fn rest(&mut self) -> Result<(), String> {
        self.note(format_args!("nobody calls anything"));
        self.busy = false;
        self.mend();
        let asleep = (self.conditions.sleep_after_ms + 2_000) * MILLISECOND;
        self.pass(asleep)?;
        let group = self.some_group();
        if let Some(leader) = self.leader_of(group) {
            let down = self.random.random_range(0..100 * MILLISECOND);
            self.kill(leader, down);
        }
        let time = self.random.random_range(0..4 * SECOND);
        self.pass(time)?;
        self.busy = true;
        Ok(())
    }
}

fn leads(process: &Arc<Process>, group: u32) -> bool {
    let seen = process.engine.inspect(group, u64::MAX);
    seen.is_some_and(|seen| seen.leads.is_some())
}

fn hand_over(process: &Arc<Process>, group: u32, to: Place) {
    let Some(member) = process.member(to).filter(|_| leads(process, group)) else {
        return;
    };
    let process = process.clone();
    drop(tokio::spawn(async move {
        let moved = process.engine.transfer_leader(group, member.node).await;
        process.note(format_args!("group {group}: handed over: {moved:?}"));
    }));
}

fn change_to(process: &Arc<Process>, group: u32, places: Vec<Place>) {
    if !leads(process, group) {
        return;
    }
    let process = process.clone();
    drop(tokio::spawn(async move {
        let engine = &process.engine;
        let Ok(status) = engine.group_status(group).await else {
            return;
        };
        let wanted = places.iter().filter_map(|place| process.member(*place));
        let wanted: Vec<_> = wanted.collect();
        for member in &wanted {
            if status
                .members
                .iter()
                .all(|it| it.member.node != member.node)
            {
                let node = member.node;
                if engine.add_learner(group, member.clone()).await.is_err()
                    || engine.wait_for_member(group, node).await.is_err()
                {
                    return process.note(format_args!("group {group}: a member is not added"));
                }
            }
        }
        let voters: BTreeSet<u64> = wanted.iter().map(|member| member.node).collect();
        let changed = engine.change_members(group, voters, BTreeSet::new()).await;
        process.note(format_args!("group {group}: members changed: {changed:?}"));
    }));
}
