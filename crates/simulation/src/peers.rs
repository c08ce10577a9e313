//! A process's way to the others, as its engine wants it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use raft_kv_engine::network::{
    Answer, IncomingPieces, Member, PeerError, Peers, Pieces, Request, Response,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use crate::clock::NodeClock;
use crate::network::{Place, Sent, SharedNetwork, Work};
use crate::node::Process;
use crate::trace::Trace;

/// How long an answer is waited for, as with the real transport.
const REQUEST_WAIT: Duration = Duration::from_secs(5);
const CALL_WAIT: Duration = Duration::from_secs(15);

/// How long it takes until a broken stream is noticed.
const BREAK_WAIT: Duration = Duration::from_millis(10);

/// Bytes of a snapshot that travel together; cut otherwise than the sender's host did.
const PART_BYTES: usize = 700;

/// How long a part of a snapshot holds up the next.
const PART_INTERVAL: Duration = Duration::from_millis(1);

/// See the module.
#[derive(Clone)]
pub struct Way {
    pub network: SharedNetwork,
    pub clock: NodeClock,
    pub place: Place,
    pub boot: u32,
    pub trace: Arc<Mutex<Trace>>,
}

impl Way {
    /// Sends something to a place.
    pub fn send(&self, to: Place, work: Work) -> Sent {
        let now = self.clock.time();
        let from = (self.place, self.boot);
        let sent = self.network.lock().send(now, from, to, work);
        let place = self.place;
        let mut trace = self.trace.lock();
        trace.add(now, format_args!("{place} sends to {to}: {sent:?}"));
        sent
    }

    async fn answered<T>(
        self,
        sent: Sent,
        answer: oneshot::Receiver<T>,
        wait: Duration,
    ) -> Result<T, PeerError> {
        let end = Instant::now() + wait;
        let lost = |what: &str| PeerError::Unreachable(what.into());
        match sent {
            Sent::UnderWay => {}
            Sent::Refused => return Err(PeerError::NotSent("nothing listens there".into())),
            Sent::Broken => {
                sleep(BREAK_WAIT).await;
                return Err(lost("the stream broke"));
            }
            Sent::Lost => {
                tokio::time::sleep_until(end).await;
                return Err(lost("no answer"));
            }
        }
        match timeout_at(end, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) if self.network.lock().chance(0.5) => Err(lost("the stream broke")),
            _ => {
                tokio::time::sleep_until(end).await;
                Err(lost("no answer"))
            }
        }
    }
}

/// The places of members are their addresses.
pub fn place_of(member: &Member) -> Place {
    member.address.parse().unwrap_or(Place::MAX)
}

/// Polls an answer once, in the order of arrival, and leaves the rest to a task.
fn take<T: Send + 'static>(
    answer: impl Future<Output = T> + Send + 'static,
    then: impl FnOnce(T) + Send + 'static,
) {
    let mut answer = answer.boxed();
    match answer.as_mut().now_or_never() {
        Some(value) => then(value),
        None => drop(tokio::spawn(async move { then(answer.await) })),
    }
}

fn request_work(
    from: (Place, u64),
    group: u32,
    request: Request,
    answer: Option<oneshot::Sender<Response>>,
) -> Work {
    Box::new(move |process| {
        process.note(format_args!("request of {} to group {group}", from.0));
        let way = process.way.clone();
        let delivered = process.engine.deliver(from.1, group, request);
        take(delivered, move |response| {
            if let Some(answer) = answer {
                way.send(from.0, Box::new(move |_| drop(answer.send(response))));
            }
        });
    })
}

/// Says who sends: engines know nodes by their ids.
pub struct Link {
    pub way: Way,
    pub node: u64,
}

impl Peers for Link {
    fn request(&self, node: &Member, group: u32, request: Request) -> Answer<Response> {
        let (sender, receiver) = oneshot::channel();
        let (to, from) = (place_of(node), (self.way.place, self.node));
        let twice = self.way.network.lock().comes_twice();
        let again = twice.then(|| request_work(from, group, request.clone(), None));
        let sent = self
            .way
            .send(to, request_work(from, group, request, Some(sender)));
        if let (Some(again), Sent::UnderWay) = (again, sent) {
            self.way.send(to, again);
        }
        self.way
            .clone()
            .answered(sent, receiver, REQUEST_WAIT)
            .boxed()
    }

    fn snapshot(&self, node: &Member, header: Bytes, pieces: Pieces) -> Answer<Bytes> {
        let (to, from) = (place_of(node), (self.way.place, self.node));
        let way = self.way.clone();
        let (answer, answered) = oneshot::channel();
        let (start, started) = oneshot::channel();
        let work: Work = Box::new(move |process| {
            let (sender, parts) = mpsc::unbounded_channel();
            let back = process.way.clone();
            let incoming = Incoming {
                back: back.clone(),
                from: from.0,
                start: Some((start, sender)),
                parts,
                next: 0,
            };
            process.note(format_args!("snapshot of {}", from.0));
            let engine = process.engine.clone();
            tokio::spawn(async move {
                let taken = engine.deliver_snapshot(from.1, header, incoming).await;
                back.send(from.0, Box::new(move |_| drop(answer.send(taken))));
            });
        });
        async move {
            let sent = way.send(to, work);
            let started = way.clone().answered(sent, started, REQUEST_WAIT);
            let (offset, parts) = started.await?;
            feed(&way, to, pieces(offset), parts).await?;
            let taken = way.answered(Sent::UnderWay, answered, CALL_WAIT).await?;
            taken.map_err(PeerError::Refused)
        }
        .boxed()
    }

    fn call(&self, node: &Member, method: u32, body: Bytes) -> Answer<Bytes> {
        let (sender, receiver) = oneshot::channel();
        let (to, from) = (place_of(node), (self.way.place, self.node));
        let work: Work = Box::new(move |process: &Arc<Process>| {
            process.note(format_args!("call {method} of {}", from.0));
            let way = process.way.clone();
            let engine = process.engine.clone();
            let answered = async move {
                let answered = engine.answer_call(from.1, method, body).await;
                answered.map_err(|error| PeerError::Refused(error.to_string()))
            };
            take(answered, move |answer| {
                way.send(from.0, Box::new(move |_| drop(sender.send(answer))));
            });
        });
        let sent = self.way.send(to, work);
        let answer = self.way.clone().answered(sent, receiver, CALL_WAIT);
        async move { answer.await? }.boxed()
    }
}

enum Part {
    Bytes(u64, Bytes),
    End(u64),
}

type Parts = mpsc::UnboundedSender<Part>;

/// Sends the parts of a snapshot, one after the other.
async fn feed(
    way: &Way,
    to: Place,
    mut pieces: futures::stream::BoxStream<'static, io::Result<Bytes>>,
    parts: Parts,
) -> Result<(), PeerError> {
    let mut number = 0;
    let broken = || PeerError::Unreachable("the stream broke".into());
    let send = |part| {
        let parts = parts.clone();
        let sent = way.send(to, Box::new(move |_| drop(parts.send(part))));
        if sent == Sent::UnderWay {
            Ok(())
        } else {
            Err(broken())
        }
    };
    while let Some(piece) = pieces.next().await {
        let mut rest = piece.map_err(|error| PeerError::Unreachable(error.to_string()))?;
        while !rest.is_empty() {
            send(Part::Bytes(
                number,
                rest.split_to(rest.len().min(PART_BYTES)),
            ))?;
            number += 1;
            sleep(PART_INTERVAL).await;
        }
    }
    send(Part::End(number))
}

/// A snapshot that comes in.
struct Incoming {
    back: Way,
    from: Place,
    start: Option<(oneshot::Sender<(u64, Parts)>, Parts)>,
    parts: mpsc::UnboundedReceiver<Part>,
    next: u64,
}

impl IncomingPieces for Incoming {
    fn start_at(&mut self, offset: u64) {
        if let Some((start, parts)) = self.start.take() {
            let work = move |_: &Arc<Process>| drop(start.send((offset, parts)));
            self.back.send(self.from, Box::new(work));
        }
    }

    fn next(&mut self) -> BoxFuture<'_, Option<io::Result<Bytes>>> {
        async {
            match self.parts.recv().await {
                Some(Part::Bytes(number, bytes)) if number == self.next => {
                    self.next += 1;
                    Some(Ok(bytes))
                }
                Some(Part::End(number)) if number == self.next => None,
                _ => Some(Err(io::Error::other("the stream broke"))),
            }
        }
        .boxed()
    }
}
