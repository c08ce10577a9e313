//! Random operations against the model, with closing, crashing and opening at random points.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::model::{Model, ModelGroup};
use super::{durable, entry, in_folder, on};
use crate::{Completion, Durability, Journal, JournalOptions, SimulatedDisk};

const GROUPS: [u32; 3] = [1, 2, 1_000_000];

#[derive(Clone, Debug)]
enum Operation {
    Append {
        group: u32,
        back: u64,
        count: u64,
        bytes: usize,
    },
    Truncate {
        group: u32,
        back: u64,
    },
    Purge {
        group: u32,
        ahead: u64,
    },
    Vote(u32),
    Committed(u32),
    Descriptor(u32),
    Identity,
    Remove(u32),
    Release {
        group: u32,
        back: u64,
    },
    Snapshot {
        group: u32,
        pieces: usize,
    },
    Await,
    Reopen,
    Crash {
        kept: usize,
        torn: usize,
    },
    /// The home keeps the first changes, the front whichever blocks the bits choose.
    CrashApart {
        kept: usize,
        blocks: u64,
    },
}

fn operation() -> impl Strategy<Value = Operation> {
    let group = prop::sample::select(&GROUPS[..]);
    let bytes = prop_oneof![8 => 0..300_usize, 1 => 30_000..70_000_usize];
    prop_oneof![
        12 => (group.clone(), prop_oneof![3 => Just(0), 1 => 0..6_u64], 0..12_u64, bytes)
            .prop_map(|(group, back, count, bytes)| {
                Operation::Append { group, back, count, bytes }
            }),
        2 => (group.clone(), 0..10_u64)
            .prop_map(|(group, back)| Operation::Truncate { group, back }),
        3 => (group.clone(), 0..20_u64).prop_map(|(group, ahead)| Operation::Purge { group, ahead }),
        3 => group.clone().prop_map(Operation::Vote),
        3 => group.clone().prop_map(Operation::Committed),
        1 => group.clone().prop_map(Operation::Descriptor),
        1 => Just(Operation::Identity),
        1 => group.clone().prop_map(Operation::Remove),
        4 => (group.clone(), 0..10_u64).prop_map(|(group, back)| Operation::Release { group, back }),
        1 => (group, 0..3_usize).prop_map(|(group, pieces)| Operation::Snapshot { group, pieces }),
        4 => Just(Operation::Await),
        2 => Just(Operation::Reopen),
        1 => (0..20_usize, 0..5000_usize).prop_map(|(kept, torn)| Operation::Crash { kept, torn }),
        2 => (0..60_usize, any::<u64>())
            .prop_map(|(kept, blocks)| Operation::CrashApart { kept, blocks }),
    ]
}

struct Run {
    options: JournalOptions,
    disk: Option<SimulatedDisk>,
    journal: Option<Journal>,
    /// The state after each operation since the last opening; the first one is that of opening.
    states: Vec<Model>,
    /// How many of them, but for the first, are acknowledged.
    acknowledged: Arc<AtomicUsize>,
    version: u64,
}

impl Run {
    fn new(mut options: JournalOptions, disk: Option<SimulatedDisk>) -> Run {
        // Small, so that cleaning has to do with nearly every run.
        options.clean_dead_bytes_min = 10_000;
        options.cached_bytes_max = 50_000;
        options.front_bytes = 64 * 1024;
        options.front_round_bytes_max = 64 * 1024;
        let journal = Some(Journal::open(options.clone()).unwrap());
        let states = vec![Model::default()];
        Run {
            options,
            disk,
            journal,
            states,
            acknowledged: Arc::default(),
            version: 0,
        }
    }

    fn journal(&self) -> &Journal {
        self.journal.as_ref().unwrap()
    }

    /// Notes a state, and returns the completion that acknowledges it.
    fn note(&mut self, state: Model) -> Completion {
        self.states.push(state);
        let number = self.states.len() - 1;
        let acknowledged = Arc::clone(&self.acknowledged);
        Box::new(move |result| {
            if result.is_ok() {
                let before = acknowledged.swap(number, Ordering::SeqCst);
                assert!(before < number, "completions come in order");
            }
        })
    }

    fn value(&mut self, what: &str) -> Bytes {
        self.version += 1;
        Bytes::from(format!("{what} {}", self.version))
    }

    fn change(&mut self, number: u32, operation: &Operation) {
        let mut model = self.states.last().unwrap().clone();
        let log = self.journal().group(number);
        let mut group = model.groups.remove(&number).unwrap_or_default();
        let start: Box<dyn FnOnce(Completion)> = match *operation {
            Operation::Append {
                back, count, bytes, ..
            } => {
                let first = group.next_index() - back.min(group.entries.len() as u64);
                self.version += 1;
                let new = first..first + count;
                let entries: Vec<_> = new
                    .map(|index| entry(number, index, self.version, bytes))
                    .collect();
                if count > 0 {
                    group.append(first, &entries);
                }
                Box::new(move |done| log.append(first, entries, done))
            }
            Operation::Truncate { back, .. } => {
                let last = group.next_index().checked_sub(back + 1);
                group.truncate(last.map_or(0, |last| last + 1));
                Box::new(move |done| log.truncate_after(last, done))
            }
            Operation::Purge { ahead, .. } => {
                let (up_to, log_id) = (group.first_index() + ahead, self.value("log id"));
                group.purge(up_to, log_id.clone());
                Box::new(move |done| log.purge(up_to, log_id, done))
            }
            Operation::Vote(_) => {
                let vote = self.value("vote");
                group.vote = Some(vote.clone());
                Box::new(move |done| log.save_vote(vote, done))
            }
            Operation::Descriptor(_) => {
                let descriptor = self.value("descriptor");
                group.descriptor = Some(descriptor.clone());
                Box::new(move |done| log.save_descriptor(descriptor, done))
            }
            Operation::Remove(_) => {
                group = ModelGroup::default();
                Box::new(move |done| log.remove(done))
            }
            _ => unreachable!("no change of a group"),
        };
        model.groups.insert(number, group);
        let done = self.note(model);
        start(done);
    }

    fn snapshot(&mut self, number: u32, pieces: usize) {
        let mut model = self.states.last().unwrap().clone();
        let meta = self.value("meta");
        let pieces: Vec<_> = (0..pieces).map(|_| self.value("piece")).collect();
        let mut writer = self.journal().group(number).begin_snapshot().unwrap();
        pieces.iter().for_each(|piece| writer.write(piece).unwrap());
        model.groups.entry(number).or_default().snapshot = Some((meta.clone(), pieces));
        let done = self.note(model);
        writer.finish(meta, done);
    }

    fn apply(&mut self, operation: &Operation) {
        match *operation {
            Operation::Append { group, .. }
            | Operation::Truncate { group, .. }
            | Operation::Purge { group, .. }
            | Operation::Vote(group)
            | Operation::Descriptor(group)
            | Operation::Remove(group) => self.change(group, operation),
            Operation::Committed(group) => {
                let mut model = self.states.last().unwrap().clone();
                let committed = self.value("committed");
                model.groups.entry(group).or_default().committed = Some(committed.clone());
                self.states.push(model);
                self.journal().group(group).save_committed(committed);
            }
            Operation::Identity => {
                let identity = self.value("identity");
                let mut model = self.states.last().unwrap().clone();
                model.identity = Some(identity.clone());
                let done = self.note(model);
                self.journal().save_identity(identity, done);
            }
            Operation::Release { group, back } => {
                let log = self.journal().group(group);
                log.release(log.state().next_index.saturating_sub(back));
            }
            Operation::Snapshot { group, pieces } => self.snapshot(group, pieces),
            Operation::Await => {
                let model = self.states.last().unwrap().clone();
                let done = self.note(model);
                let log = self.journal().group(GROUPS[0]);
                durable(|waiting| {
                    log.truncate_after(
                        Some(u64::MAX - 1),
                        Box::new(move |result| {
                            done(result.clone());
                            waiting(result);
                        }),
                    );
                })
                .unwrap();
            }
            Operation::Reopen => self.reopen(),
            Operation::Crash { kept, torn } => self.crash(|disk| disk.crash(kept, torn)),
            Operation::CrashApart { kept, blocks } => self.crash(|disk| {
                disk.crash_apart(kept, |change, block| {
                    blocks >> ((change * 7 + block) % 64) & 1 == 1
                });
            }),
        }
        let read = Model::read(self.journal(), &GROUPS);
        assert_eq!(
            read,
            self.states.last().unwrap().stored(),
            "what is read at once"
        );
    }

    fn reopen(&mut self) {
        self.journal().close().unwrap();
        let last = self.states.last().unwrap().stored();
        self.journal = Some(Journal::open(self.options.clone()).unwrap());
        assert_eq!(
            Model::read(self.journal(), &GROUPS),
            last,
            "what is read after opening"
        );
        self.begin(last);
    }

    fn crash(&mut self, take_the_power: impl FnOnce(&SimulatedDisk)) {
        let Some(disk) = &self.disk else {
            return self.reopen();
        };
        take_the_power(disk);
        let _ = self.journal().close();
        self.journal = Some(Journal::open(self.options.clone()).unwrap());
        let read = Model::read(self.journal(), &GROUPS);
        let acknowledged = self.acknowledged.load(Ordering::SeqCst);
        let durability = self.options.durability;
        let least = if durability == Durability::Fsync {
            acknowledged
        } else {
            0
        };
        let possible = &self.states[least..];
        assert!(
            possible.iter().any(|state| state.stored() == read),
            "after a crash: {read:?}\nis none of: {possible:?}"
        );
        self.begin(read);
    }

    fn begin(&mut self, model: Model) {
        self.states = vec![model];
        self.acknowledged = Arc::default();
    }
}

fn run(options: JournalOptions, disk: Option<SimulatedDisk>, operations: &[Operation]) {
    let mut run = Run::new(options, disk);
    operations.iter().for_each(|operation| run.apply(operation));
    run.reopen();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, failure_persistence: None, ..Default::default() })]

    #[test]
    fn nothing_acknowledged_is_lost_on_a_simulated_disk(operations in vec(operation(), 1..80)) {
        let disk = SimulatedDisk::new();
        run(on(&disk), Some(disk), &operations);
    }

    #[test]
    fn a_prefix_survives_when_rounds_are_buffered(operations in vec(operation(), 1..40)) {
        let disk = SimulatedDisk::new();
        let mut options = on(&disk);
        options.durability = Durability::Buffered;
        run(options, Some(disk), &operations);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..Default::default() })]

    #[test]
    fn nothing_is_lost_in_a_directory(operations in vec(operation(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        run(in_folder(&folder), None, &operations);
    }
}
