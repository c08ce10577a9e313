//! What is on a simulated disk, what a crash may take away of it, and how it fails.

use std::collections::BTreeMap;

use crate::error::JournalError;

pub(super) type Chunks = BTreeMap<(u64, u32), Vec<u8>>;

#[derive(Clone, Debug)]
pub(super) enum Change {
    Write((u64, u32), Vec<u8>),
    Remove((u64, u32)),
    Front(usize, Vec<u8>),
}

impl Change {
    /// Whether it is one of the front file, which is synced by itself.
    pub(super) fn is_front(&self) -> bool {
        matches!(self, Change::Front(..))
    }
}

/// What is on the disk: the chunks of the home, and the front file.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) chunks: Chunks,
    pub(super) front: Vec<u8>,
}

impl Content {
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Write(key, value) => {
                self.chunks.insert(key, value);
            }
            Change::Remove(key) => {
                self.chunks.remove(&key);
            }
            Change::Front(offset, bytes) => {
                let end = offset + bytes.len();
                if self.front.len() < end {
                    self.front.resize(end, 0);
                }
                self.front[offset..end].copy_from_slice(&bytes);
            }
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Disk {
    /// What a crash cannot take away.
    pub(super) durable: Content,
    pub(super) durable_mark: u64,
    /// What readers see.
    pub(super) visible: Content,
    /// What separates the two, in order.
    pub(super) unsynced: Vec<Change>,
    /// Counts openings: a store of an earlier one has no effect any more.
    pub(super) opening: u64,
    pub(super) syncs: u64,
    pub(super) writes_until_failure: Option<u64>,
    pub(super) syncs_until_failure: Option<u64>,
    pub(super) operations_until_cut: Option<u64>,
    pub(super) hold_unsynced: bool,
    pub(super) full: bool,
}

impl Disk {
    pub(super) fn write(&mut self, opening: u64, change: Change) -> Result<(), JournalError> {
        self.check(opening)?;
        if strikes(&mut self.writes_until_failure) {
            return Err(self.error("writing"));
        }
        self.visible.apply(change.clone());
        self.unsynced.push(change);
        Ok(())
    }

    /// Makes what was written to the front file, or to the home, durable.
    pub(super) fn sync(&mut self, opening: u64, front: bool) -> Result<(), JournalError> {
        self.check(opening)?;
        self.syncs += 1;
        let fails = strikes(&mut self.syncs_until_failure);
        if fails {
            self.syncs_until_failure = None;
            if self.hold_unsynced {
                return Err(self.error("syncing"));
            }
        }
        let unsynced = std::mem::take(&mut self.unsynced);
        for change in unsynced {
            if change.is_front() != front {
                self.unsynced.push(change);
            } else if !fails {
                self.durable.apply(change);
            }
            // As disks do: what was to be synced and was not is forgotten, and the next sync knows
            // nothing of it.
        }
        if fails {
            return Err(self.error("syncing"));
        }
        Ok(())
    }

    pub(super) fn check(&mut self, opening: u64) -> Result<(), JournalError> {
        let is_cut = strikes(&mut self.operations_until_cut);
        if self.opening == opening && !is_cut {
            Ok(())
        } else {
            Err(JournalError::failed("simulated power loss"))
        }
    }

    /// Has only some bytes of a write reach the disk.
    pub(super) fn tear(&mut self, change: Change, kept: impl Fn(usize) -> bool) {
        match change {
            Change::Write(key, value) => {
                let torn = value.into_iter().enumerate();
                let torn = torn.take_while(|(at, _)| kept(*at));
                let torn = torn.map(|(_, byte)| byte).collect();
                self.durable.apply(Change::Write(key, torn));
            }
            Change::Front(offset, bytes) => {
                for (at, byte) in bytes.into_iter().enumerate() {
                    let place = self.durable.front.get_mut(offset + at);
                    if let Some(place) = place.filter(|_| kept(at)) {
                        *place = byte;
                    }
                }
            }
            Change::Remove(_) => {}
        }
    }

    pub(super) fn restart(&mut self) {
        self.visible = self.durable.clone();
        self.opening += 1;
        self.writes_until_failure = None;
        self.syncs_until_failure = None;
        self.operations_until_cut = None;
    }

    pub(super) fn error(&self, doing: &str) -> JournalError {
        if self.full {
            return JournalError::Full {
                what: format!("{doing}: simulated full disk"),
            };
        }
        JournalError::failed(format!("{doing}: simulated failure"))
    }
}

/// Counts one down; true when it was the last.
pub(super) fn strikes(countdown: &mut Option<u64>) -> bool {
    match countdown {
        Some(0) => true,
        Some(left) => {
            *left -= 1;
            false
        }
        None => false,
    }
}
