//! The state machine of the model: for each key the list of the commands that wrote it. What a key's
//! value is says all of its history, so nothing can be lost or doubled unseen.

use std::collections::BTreeMap;

use crate::trace::hash_of;

/// The number of a command, unique in the world.
pub type Op = u64;

/// One command of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    pub node: u64,
    pub incarnation: u32,
    pub request: u64,
    pub key: u32,
    pub op: Op,
}

/// The state of one group at one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Index of the last entry.
    pub index: u64,
    /// Hash of all entries so far.
    pub chain: u64,
    pub keys: BTreeMap<u32, Vec<Op>>,
}

impl Machine {
    /// Applies an entry.
    pub fn apply(&mut self, index: u64, entry: &[u8], commands: &[Command]) {
        self.index = index;
        self.chain = hash_of((self.chain, index, entry));
        for command in commands {
            self.keys.entry(command.key).or_default().push(command.op);
        }
    }

    /// Applies an entry in which there is nothing to do.
    pub fn pass(&mut self, index: u64) {
        self.index = index;
        self.chain = hash_of((self.chain, index));
    }

    /// The state as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.index.to_le_bytes());
        bytes.extend(self.chain.to_le_bytes());
        for (key, ops) in &self.keys {
            bytes.extend(u64::from(*key).to_le_bytes());
            bytes.extend((ops.len() as u64).to_le_bytes());
            ops.iter().for_each(|op| bytes.extend(op.to_le_bytes()));
        }
        bytes
    }

    /// The state that bytes stand for; `None` if they are not whole.
    pub fn decode(bytes: &[u8]) -> Option<Machine> {
        let (chunks, rest) = bytes.as_chunks::<8>();
        let mut numbers = chunks.iter().map(|it| u64::from_le_bytes(*it));
        let mut machine = Machine {
            index: numbers.next()?,
            chain: numbers.next()?,
            keys: BTreeMap::new(),
        };
        while let Some(key) = numbers.next() {
            let count = numbers.next()? as usize;
            let ops: Vec<Op> = numbers.by_ref().take(count).collect();
            if ops.len() < count {
                return None;
            }
            machine.keys.insert(key as u32, ops);
        }
        rest.is_empty().then_some(machine)
    }
}

/// The 32-bit word at an offset.
pub fn word(bytes: &[u8], offset: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(four)
}

/// The 64-bit number at an offset.
pub fn number(bytes: &[u8], offset: usize) -> u64 {
    u64::from(word(bytes, offset)) | u64::from(word(bytes, offset + 4)) << 32
}

/// The commands of an entry (ARCHITECTURE.md, "Entries").
pub fn commands_of(entry: &[u8]) -> Vec<Command> {
    let mut commands = Vec::new();
    let mut batches = &entry[24..];
    for _ in 0..word(entry, 4) {
        let (batch, rest) = batches.split_at(word(batches, 0) as usize);
        batches = rest;
        let mut records = &batch[36..];
        for _ in 0..word(batch, 32) {
            let (record, rest) = records.split_at(word(records, 0) as usize);
            records = rest;
            commands.push(Command {
                node: number(batch, 4),
                incarnation: word(batch, 12),
                request: number(batch, 24) + u64::from(word(record, 8)),
                key: word(record, 24),
                op: number(record, 28),
            });
        }
    }
    commands
}

/// A frame with one command (ARCHITECTURE.md, "Commands").
pub fn frame(group: u32, request: u32, key: u32, op: Op, filling: usize) -> Vec<u8> {
    let length = 24 + 4 + 8 + filling.next_multiple_of(4);
    let mut frame = Vec::with_capacity(length);
    for value in [length as u32, group | 0x8000_0000, request, 0, 0, 4, key] {
        frame.extend(value.to_le_bytes());
    }
    frame.extend(op.to_le_bytes());
    frame.resize(length, 0);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_as_it_was() {
        let mut machine = Machine::default();
        machine.pass(1);
        let command = |key, op| Command {
            node: 1,
            incarnation: 1,
            request: 1,
            key,
            op,
        };
        machine.apply(2, b"entry", &[command(3, 7), command(4, 8), command(3, 9)]);
        assert_eq!(machine.keys[&3], [7, 9]);
        let bytes = machine.encode();
        assert_eq!(Machine::decode(&bytes), Some(machine));
        for length in [0, 7, bytes.len() - 1, bytes.len() - 8] {
            assert_eq!(Machine::decode(&bytes[..length]), None);
        }
    }
}
