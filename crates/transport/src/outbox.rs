//! What waits to be sent on one stream, and the requests on it that wait for their answers.
//!
//! Promises: items leave in the order in which they were put in; what waits is bounded in bytes and
//! number; every request is settled exactly once: by its answer, by the stream's end, or by being
//! dropped. When the stream ends, requests that had not left are told apart from those that had.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use futures::Stream;
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::{Notify, oneshot};

use crate::convert;
use crate::error::CallError;
use crate::limits::{
    FRAME_BYTES_MAX, ITEM_BYTES_MAX, ITEM_WHOLE_BYTES_MAX, QUEUE_BYTES_MAX, QUEUE_ITEMS_MAX,
    REQUESTS_IN_FLIGHT_MAX,
};
use crate::statistics::Counters;
use crate::wire;
use crate::wire::item::Kind;

type Settle = oneshot::Sender<Result<Kind, CallError>>;

struct Queued {
    item: wire::Item,
    bytes: usize,
}

#[derive(Default)]
struct State {
    /// Goes out before everything else; items only behind the first hello, see `open`.
    urgent: wire::Frame,
    has_urgent: bool,
    items: VecDeque<Queued>,
    /// What is left of an item that is sent in parts.
    rest: Bytes,
    /// Bytes of `items` and `rest`.
    bytes: usize,
    /// Both sides have agreed to talk: items may go.
    open: bool,
    /// Nothing comes any more.
    ended: bool,
    /// The stream is gone; what later requests are told.
    failed: Option<CallError>,
    waker: Option<Waker>,
    waiting: HashMap<u64, Settle>,
    last_id: u64,
}

impl State {
    fn has_items(&self) -> bool {
        self.open && !(self.items.is_empty() && self.rest.is_empty())
    }

    fn has_room(&self) -> bool {
        self.bytes < QUEUE_BYTES_MAX && self.items.len() < QUEUE_ITEMS_MAX
    }

    fn put(&mut self, item: wire::Item, bytes: usize) {
        self.bytes += bytes;
        self.items.push_back(Queued { item, bytes });
    }

    /// The next part of a long item.
    fn next_part(&mut self) -> wire::Part {
        let length = self.rest.len().min(FRAME_BYTES_MAX);
        let bytes = self.rest.split_to(length);
        self.bytes -= length;
        wire::Part {
            last: self.rest.is_empty(),
            bytes,
        }
    }

    /// All that goes into one frame, with the number and the bytes of its items.
    fn next_frame(&mut self) -> (wire::Frame, usize, usize) {
        let mut frame = mem::take(&mut self.urgent);
        self.has_urgent = false;
        if !self.has_items() {
            return (frame, 0, 0);
        }
        let long = |queued: &Queued| queued.bytes > ITEM_WHOLE_BYTES_MAX;
        if self.rest.is_empty()
            && self.items.front().is_some_and(long)
            && let Some(queued) = self.items.pop_front()
        {
            self.bytes -= queued.bytes;
            self.rest = queued.item.encode_to_vec().into();
            self.bytes += self.rest.len();
        }
        if !self.rest.is_empty() {
            let part = self.next_part();
            let (items, bytes) = (usize::from(part.last), part.bytes.len());
            frame.part = Some(part);
            return (frame, items, bytes);
        }
        let mut bytes = 0;
        while let Some(queued) = self.items.front() {
            if bytes > 0 && (bytes + queued.bytes > FRAME_BYTES_MAX || long(queued)) {
                break;
            }
            bytes += queued.bytes;
            frame
                .items
                .extend(self.items.pop_front().map(|queued| queued.item));
        }
        self.bytes -= bytes;
        let items = frame.items.len();
        (frame, items, bytes)
    }
}

/// The sending half of a stream.
pub(crate) struct Outbox {
    state: Mutex<State>,
    counters: Arc<Counters>,
    /// Told whenever a frame leaves, and when the stream fails.
    moved: Notify,
    /// Told when the stream fails.
    gone: Notify,
}

impl Outbox {
    pub(crate) fn new(counters: Arc<Counters>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::default()),
            counters,
            moved: Notify::new(),
            gone: Notify::new(),
        })
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let result = change(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }

    fn urgent(&self, change: impl FnOnce(&mut wire::Frame)) {
        self.change(|state| {
            change(&mut state.urgent);
            state.has_urgent = true;
        });
    }

    /// Introduces this node.
    pub(crate) fn say(&self, hello: wire::Hello) {
        self.urgent(|frame| frame.hello = Some(hello));
    }

    /// Tells the other side why it is refused, and ends the stream.
    pub(crate) fn refuse(&self, refusal: wire::Refusal) {
        self.urgent(|frame| frame.refusal = Some(refusal));
        self.end();
    }

    pub(crate) fn ping(&self, ping: wire::Ping) {
        self.urgent(|frame| frame.ping = Some(ping));
    }

    pub(crate) fn pong(&self, pong: wire::Pong) {
        self.urgent(|frame| frame.pong = Some(pong));
    }

    /// Lets items go: both sides have agreed.
    pub(crate) fn open(&self) {
        self.change(|state| state.open = true);
    }

    /// Ends the stream once what waits has left.
    pub(crate) fn end(&self) {
        self.change(|state| state.ended = true);
    }

    /// Puts a request in; it goes out behind all that were put in before.
    pub(crate) fn request(
        self: &Arc<Self>,
        group: u32,
        kind: Kind,
    ) -> Result<PendingCall, CallError> {
        let mut item = wire::Item {
            id: 0,
            group,
            kind: Some(kind),
        };
        let (settle, answer) = oneshot::channel();
        let id = self.change(|state| {
            if state.waiting.len() >= REQUESTS_IN_FLIGHT_MAX {
                return Err(CallError::Overloaded);
            }
            item.id = state.last_id + 1;
            let id = item.id;
            Self::admit(state, item)?;
            state.last_id = id;
            state.waiting.insert(id, settle);
            Ok(id)
        })?;
        Ok(PendingCall {
            outbox: self.clone(),
            id,
            answer,
            settled: false,
        })
    }

    /// Puts something in that wants no answer.
    pub(crate) fn note(&self, group: u32, kind: Kind) -> Result<(), CallError> {
        let item = wire::Item {
            id: 0,
            group,
            kind: Some(kind),
        };
        self.change(|state| Self::admit(state, item))
    }

    fn admit(state: &mut State, item: wire::Item) -> Result<(), CallError> {
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        let bytes = item.encoded_len();
        if bytes > ITEM_BYTES_MAX {
            return Err(CallError::TooLong(bytes));
        }
        let room = state.items.len() < QUEUE_ITEMS_MAX && state.bytes + bytes <= QUEUE_BYTES_MAX;
        if !room && state.bytes > 0 {
            return Err(CallError::Overloaded);
        }
        state.put(item, bytes);
        Ok(())
    }

    /// Puts an answer in, whatever waits: see [`Outbox::has_room`].
    pub(crate) fn answer(&self, id: u64, group: u32, kind: Kind) {
        let mut item = wire::Item {
            id,
            group,
            kind: Some(kind),
        };
        let mut bytes = item.encoded_len();
        if bytes > ITEM_BYTES_MAX {
            item.kind = Some(convert::answer_too_long());
            bytes = item.encoded_len();
        }
        self.change(|state| {
            if state.failed.is_none() {
                state.put(item, bytes);
            }
        });
    }

    /// Whether further requests may be taken whose answers go here.
    pub(crate) fn has_room(&self) -> bool {
        self.state.lock().has_room()
    }

    /// Waits until [`Outbox::has_room`], or the stream is gone.
    pub(crate) async fn room(&self) {
        let room = |state: &State| state.failed.is_some() || state.has_room();
        wait(&self.moved, || room(&self.state.lock())).await;
    }

    /// Waits until the stream is gone.
    pub(crate) async fn gone(&self) {
        wait(&self.gone, || self.state.lock().failed.is_some()).await;
    }

    /// Settles a request by its answer.
    pub(crate) fn settle(&self, id: u64, kind: Kind) {
        let settle = self.state.lock().waiting.remove(&id);
        if let Some(settle) = settle {
            // The caller may have gone since; then nobody wants the answer.
            let _ = settle.send(Ok(kind));
        }
    }

    /// The stream is gone: settles all requests. `error` is for those that had not left.
    pub(crate) fn fail(&self, error: &CallError, lost: &str) {
        let (waiting, kept) = self.change(|state| {
            if state.failed.is_some() {
                return (HashMap::new(), HashSet::new());
            }
            state.failed = Some(error.clone());
            state.bytes = 0;
            state.rest = Bytes::new();
            let kept = mem::take(&mut state.items)
                .into_iter()
                .map(|queued| queued.item.id)
                .collect();
            (mem::take(&mut state.waiting), kept)
        });
        let lost = CallError::Lost(Arc::from(crate::error::clipped(lost)));
        for (id, settle) in waiting {
            let error = if kept.contains(&id) { error } else { &lost };
            let _ = settle.send(Err(error.clone()));
        }
        self.moved.notify_waiters();
        self.gone.notify_waiters();
    }

    /// Bytes and items that wait, and requests without an answer.
    pub(crate) fn load(&self) -> (usize, usize, usize) {
        let state = self.state.lock();
        (state.bytes, state.items.len(), state.waiting.len())
    }

    /// The frames of a stream that this node dialled, for tonic to send. That tonic drops them
    /// means nothing: the other direction says why the stream ended.
    pub(crate) fn frames(self: &Arc<Self>) -> Frames {
        Frames {
            outbox: self.clone(),
            yielded: false,
            ends: false,
        }
    }

    /// The frames of a stream that was accepted. When tonic drops them the stream is gone.
    pub(crate) fn frames_to_the_end(self: &Arc<Self>) -> Frames {
        Frames {
            outbox: self.clone(),
            yielded: false,
            ends: true,
        }
    }
}

/// Waits until a condition holds that may have turned true whenever `told` is told.
async fn wait(told: &Notify, holds: impl Fn() -> bool) {
    loop {
        let next = told.notified();
        tokio::pin!(next);
        next.as_mut().enable();
        if holds() {
            return;
        }
        next.await;
    }
}

/// A request that waits for its answer; dropping it gives the answer up.
pub(crate) struct PendingCall {
    outbox: Arc<Outbox>,
    id: u64,
    answer: oneshot::Receiver<Result<Kind, CallError>>,
    settled: bool,
}

impl PendingCall {
    /// The answer, if it comes before `deadline`.
    pub(crate) async fn wait(mut self, deadline: Instant) -> Result<Kind, CallError> {
        match tokio::time::timeout_at(deadline.into(), &mut self.answer).await {
            Ok(result) => {
                self.settled = true;
                result.unwrap_or_else(|_| Err(CallError::Lost("the stream is gone".into())))
            }
            Err(_) => Err(CallError::TimedOut),
        }
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        if !self.settled {
            self.outbox.state.lock().waiting.remove(&self.id);
        }
    }
}

/// See [`Outbox::frames`].
pub(crate) struct Frames {
    outbox: Arc<Outbox>,
    /// Others had their turn to put more in.
    yielded: bool,
    /// Dropping this ends the stream.
    ends: bool,
}

impl Stream for Frames {
    type Item = wire::Frame;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<wire::Frame>> {
        let outbox = self.outbox.clone();
        let mut state = outbox.state.lock();
        if state.failed.is_some() {
            return Poll::Ready(None);
        }
        if !state.has_urgent && !state.has_items() {
            if state.ended {
                return Poll::Ready(None);
            }
            self.yielded = false;
            state.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        if !self.yielded && state.bytes < FRAME_BYTES_MAX {
            // Once: whoever is about to put something in shall do so before the frame is closed.
            self.yielded = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.yielded = false;
        let (frame, items, bytes) = state.next_frame();
        drop(state);
        outbox.counters.sent(items, bytes);
        outbox.moved.notify_waiters();
        Poll::Ready(Some(frame))
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        const REASON: &str = "the connection ended";
        if self.ends {
            self.outbox.fail(&CallError::unreachable(REASON), REASON);
        }
    }
}
