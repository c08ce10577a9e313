//! Calls between hosts: one node's host asks another's, in bytes that only hosts read.
//!
//! The called host answers by a ticket. Calls that wait for a host are bounded in number and bytes;
//! one that nobody answers ends when its caller no longer waits.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use raft_kv_transport::NodeFault;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::engine::Shared;
use crate::error::EngineError;
use crate::events::Event;
use crate::limits::{HOST_CALL_BYTES_MAX, HOST_CALL_WAIT_MAX, HOST_CALLS_MAX};

/// Why a call was not answered, as it crosses.
pub(crate) mod fault {
    /// Too many calls wait for the host.
    pub(crate) const OVERLOADED: u32 = 1;
    /// The host did not answer in time.
    pub(crate) const NO_ANSWER: u32 = 2;
    /// The node closes.
    pub(crate) const CLOSED: u32 = 3;
    /// The engine does not take the call.
    pub(crate) const ENGINE: u32 = 4;
}

/// A fault with its code.
pub(crate) fn fault(code: u32, text: &str) -> NodeFault {
    let text = text.to_owned();
    NodeFault { code, text }
}

/// What a host hears of another node's fault.
pub(crate) fn from_fault(fault: NodeFault) -> EngineError {
    let NodeFault { code, text } = fault;
    match code {
        fault::OVERLOADED => EngineError::Overloaded(text),
        fault::CLOSED | fault::ENGINE => EngineError::NotSent(text),
        _ => EngineError::TimedOut(text),
    }
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) node: u64,
    pub(crate) incarnation: u64,
    /// It belongs to this node's cluster.
    pub(crate) member: bool,
}

/// What the node at an address answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The node.
    pub node: u64,
    /// Its incarnation.
    pub incarnation: u64,
    /// Its cluster; 0 = none yet.
    pub cluster: u64,
    /// Where it says it is reached.
    pub address: String,
    /// What its host answered.
    pub body: Bytes,
}

#[derive(Default)]
struct Waiting {
    calls: HashMap<u64, oneshot::Sender<Bytes>>,
    bytes: usize,
}

/// Calls that wait for this node's host.
#[derive(Default)]
pub(crate) struct CallDesk {
    tickets: AtomicU64,
    waiting: Mutex<Waiting>,
}

/// A call that waits; it does so no longer when this is dropped.
struct Ticket {
    desk: Arc<CallDesk>,
    number: u64,
    bytes: usize,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut waiting = self.desk.waiting.lock();
        waiting.calls.remove(&self.number);
        waiting.bytes -= self.bytes;
    }
}

impl CallDesk {
    fn open(self: &Arc<Self>, bytes: usize) -> Option<(Ticket, oneshot::Receiver<Bytes>)> {
        let mut waiting = self.waiting.lock();
        let crowded = !waiting.calls.is_empty() && waiting.bytes + bytes > HOST_CALL_BYTES_MAX;
        if crowded || waiting.calls.len() >= HOST_CALLS_MAX {
            return None;
        }
        let number = self.tickets.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, receiver) = oneshot::channel();
        waiting.calls.insert(number, sender);
        waiting.bytes += bytes;
        let desk = self.clone();
        let ticket = Ticket {
            desk,
            number,
            bytes,
        };
        Some((ticket, receiver))
    }

    /// The host answers; whether somebody still waits.
    pub(crate) fn answer(&self, ticket: u64, body: Bytes) -> bool {
        let sender = self.waiting.lock().calls.remove(&ticket);
        sender.is_some_and(|sender| sender.send(body).is_ok())
    }
}

/// A call's body, with how long its caller waits.
pub(crate) fn with_wait(body: &[u8], wait: Duration) -> Bytes {
    let mut bytes = BytesMut::with_capacity(4 + body.len());
    bytes.put_u32_le(u32::try_from(wait.as_millis()).unwrap_or(u32::MAX));
    bytes.put_slice(body);
    bytes.freeze()
}

/// Gives a call of another node to the host, and returns the host's answer.
pub(crate) async fn take(
    shared: Arc<Shared>,
    caller: Caller,
    mut body: Bytes,
) -> Result<Bytes, NodeFault> {
    let Ok(wait) = body.try_get_u32_le() else {
        return Err(fault(fault::ENGINE, "a call without its head"));
    };
    if shared.check_open().is_err() {
        return Err(fault(fault::CLOSED, "the node is closed"));
    }
    let wait = Duration::from_millis(wait.into()).min(HOST_CALL_WAIT_MAX);
    let Some((ticket, answer)) = shared.calls.open(body.len()) else {
        return Err(fault(
            fault::OVERLOADED,
            "too many calls wait for the node's host",
        ));
    };
    shared.events.push(Event::Call {
        ticket: ticket.number,
        caller,
        body,
    });
    drop(shared);
    match timeout(wait, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(fault(fault::CLOSED, "the node is closed")),
        Err(_) => Err(fault(fault::NO_ANSWER, "the node's host did not answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_wait_are_bounded_in_number_and_bytes() {
        let desk = Arc::new(CallDesk::default());
        let one = desk.open(2 * HOST_CALL_BYTES_MAX);
        assert!(one.is_some(), "one of any length");
        assert!(desk.open(1).is_none());
        drop(one);
        let many: Vec<_> = (0..HOST_CALLS_MAX).map(|_| desk.open(1)).collect();
        assert!(many.iter().all(Option::is_some));
        assert!(desk.open(1).is_none());
        drop(many);
        assert_eq!(desk.waiting.lock().bytes, 0);
        let (ticket, mut answer) = desk.open(1).unwrap();
        assert!(desk.answer(ticket.number, Bytes::from_static(b"yes")));
        assert_eq!(answer.try_recv().unwrap()[..], *b"yes");
        assert!(!desk.answer(ticket.number, Bytes::new()), "answered once");
    }
}
