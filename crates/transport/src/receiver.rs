//! Carries out what comes on a stream that another node dialled.
//!
//! Promises: requests reach the handler, and their futures are first polled, in the order in which
//! they were sent; from then on they run side by side on this stream's one task. What runs is
//! bounded in number and bytes, and while too many answers wait nothing further is read, so that
//! the sender is held back by flow control.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use prost::Message;
use tokio::time::MissedTickBehavior;
use tonic::Streaming;

use crate::assembly::Assembly;
use crate::convert;
use crate::core::Core;
use crate::error::{CallError, Refusal, RefusalReason, undecodable};
use crate::handler::PeerIdentity;
use crate::hello::{refusal_from_wire, refusal_to_wire};
use crate::limits::{HANDLED_AT_ONCE_MAX, HANDLED_BYTES_MAX};
use crate::message::{NodeFault, Note, Response};
use crate::outbox::Outbox;
use crate::wire;
use crate::wire::item::Kind;

enum Work {
    Request(BoxFuture<'static, Response>),
    Call(BoxFuture<'static, Result<Bytes, NodeFault>>),
}

/// A request that is being carried out.
struct Running {
    id: u64,
    group: u32,
    bytes: usize,
    work: Work,
}

impl Future for Running {
    type Output = (u64, u32, usize, Kind);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let kind = match &mut self.work {
            Work::Request(future) => future.poll_unpin(context).map(convert::response_to_wire),
            Work::Call(future) => future.poll_unpin(context).map(convert::call_result_to_wire),
        };
        kind.map(|kind| (self.id, self.group, self.bytes, kind))
    }
}

struct Receiver {
    core: Arc<Core>,
    peer: PeerIdentity,
    outbox: Arc<Outbox>,
    assembly: Assembly,
    /// Items that came and were not handed on yet.
    waiting: VecDeque<wire::Item>,
    running: FuturesUnordered<Running>,
    running_bytes: usize,
}

/// Ends the stream whatever happens to the task.
struct Ending {
    core: Arc<Core>,
    accepted: u64,
    outbox: Arc<Outbox>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.core.release(self.accepted);
        // Answers and refusals that were put in still leave.
        self.outbox.end();
    }
}

/// Serves a stream until it ends.
pub(crate) async fn serve(
    core: Arc<Core>,
    accepted: u64,
    peer: PeerIdentity,
    inbound: Streaming<wire::Frame>,
    outbox: Arc<Outbox>,
) {
    let _ending = Ending {
        core: core.clone(),
        accepted,
        outbox: outbox.clone(),
    };
    let receiver = Receiver {
        core,
        peer,
        outbox: outbox.clone(),
        assembly: Assembly::default(),
        waiting: VecDeque::new(),
        running: FuturesUnordered::new(),
        running_bytes: 0,
    };
    tokio::select! {
        () = outbox.gone() => {}
        () = receiver.run(inbound) => {}
    }
}

impl Receiver {
    async fn run(mut self, mut inbound: Streaming<wire::Frame>) {
        let mut ticks = tokio::time::interval(self.core.rhythm.ping_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.hand_on();
            let room = self.outbox.has_room();
            let reading = room && self.waiting.is_empty();
            tokio::select! {
                biased;
                Some((id, group, bytes, kind)) = self.running.next() => {
                    self.running_bytes -= bytes;
                    self.outbox.answer(id, group, kind);
                }
                () = self.outbox.room(), if !room => {}
                // Pings are not read either now: say unasked that this node lives.
                _ = ticks.tick(), if !reading => self.pong(0),
                frame = inbound.message(), if reading => {
                    let taken = match frame {
                        Ok(Some(frame)) => self.take(frame).err(),
                        Ok(None) => return,
                        Err(status) => match undecodable(&status) {
                            Some(refusal) => Some(refusal),
                            None => return,
                        },
                    };
                    if let Some(refusal) = taken {
                        self.refuse(&refusal);
                        return;
                    }
                    tokio::task::coop::consume_budget().await;
                }
            }
        }
    }

    fn pong(&self, stamp: u64) {
        let incarnation = self.core.introduction.read().identity.incarnation;
        self.outbox.pong(wire::Pong { incarnation, stamp });
    }

    fn refuse(&self, refusal: &Refusal) {
        let PeerIdentity { node, address, .. } = &self.peer;
        self.core.report(*node, address, refusal);
        if refusal.by_this_node {
            self.outbox.refuse(refusal_to_wire(refusal));
        } else {
            self.outbox.fail(&CallError::Closed, &refusal.text);
        }
    }

    fn take(&mut self, mut frame: wire::Frame) -> Result<(), Refusal> {
        let malformed = |text: &str| Refusal::ours(RefusalReason::Malformed, text.to_owned());
        self.outbox.counters().received_frame();
        if let Some(refusal) = frame.refusal.take() {
            return Err(refusal_from_wire(refusal));
        }
        if let Some(hello) = frame.hello.take() {
            let same = hello.node == self.peer.node && hello.incarnation == self.peer.incarnation;
            if !same {
                return Err(malformed("a stream's node changed"));
            }
            self.peer = self.core.admit(&hello, 0)?;
        }
        if let Some(ping) = frame.ping.take() {
            if ping.incarnation != self.peer.incarnation {
                return Err(malformed("a stream's incarnation changed"));
            }
            self.pong(ping.stamp);
        }
        let items = self.assembly.items(frame).map_err(malformed)?;
        self.waiting.extend(items);
        Ok(())
    }

    /// Hands on what waits, as far as the limits allow.
    fn hand_on(&mut self) {
        while let Some(item) = self.waiting.front() {
            let bytes = item.encoded_len();
            let fits = self.running.len() < HANDLED_AT_ONCE_MAX
                && self.running_bytes + bytes <= HANDLED_BYTES_MAX;
            if !fits && !self.running.is_empty() {
                return;
            }
            if let Some(item) = self.waiting.pop_front() {
                self.outbox.counters().received_item(bytes);
                self.start(item, bytes);
            }
        }
    }

    fn start(&mut self, item: wire::Item, bytes: usize) {
        let wire::Item { id, group, kind } = item;
        let handler = &self.core.handler;
        let in_cluster = self.core.shares_cluster(&self.peer);
        let work = match kind {
            Some(Kind::Call(call)) => {
                Work::Call(handler.node_call(&self.peer, call.method, call.body))
            }
            _ if !in_cluster => return self.outbox.answer(id, group, convert::no_cluster()),
            Some(Kind::Note(note)) => {
                let wire::Note { kind, body } = note;
                return handler.note(&self.peer, group, Note { kind, body });
            }
            Some(kind) => match convert::request_from_wire(kind) {
                Some(request) => Work::Request(handler.request(&self.peer, group, request)),
                None => return self.outbox.answer(id, group, convert::unsupported()),
            },
            None => return self.outbox.answer(id, group, convert::unsupported()),
        };
        let mut running = Running {
            id,
            group,
            bytes,
            work,
        };
        // Whether it wakes this waker does not matter: what is not ready is polled again. Without
        // a budget, for one that ran out would put this poll behind that of a later request.
        let first = tokio::task::coop::unconstrained(&mut running)
            .poll_unpin(&mut Context::from_waker(Waker::noop()));
        match first {
            Poll::Ready((id, group, _, kind)) => self.outbox.answer(id, group, kind),
            Poll::Pending => {
                self.running_bytes += bytes;
                self.running.push(running);
            }
        }
    }
}
