//! Makes this node's own streams to others, keeps them, and makes them anew.
//!
//! One task per lane: it connects, says hello, hands answers to those who wait, pings, and after a
//! failure waits a growing, random while before it tries again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::Rng;
use tokio::time::MissedTickBehavior;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::assembly::Assembly;
use crate::core::Core;
use crate::error::{CallError, Refusal, RefusalReason, tls_refusal, undecodable, with_causes};
use crate::handler::PeerIdentity;
use crate::hello::{refusal_from_wire, refusal_to_wire};
use crate::lane::Lane;
use crate::limits::{DECODE_BYTES_MAX, HELLO_WAIT, RECONNECT_WAIT_MIN, REFUSED_WAIT};
use crate::outbox::Outbox;
use crate::wire;
use crate::wire::link_client::LinkClient;

/// A stream whose sides have agreed to talk.
pub(crate) struct Opened {
    pub inbound: Streaming<wire::Frame>,
    pub remote: PeerIdentity,
    /// Keeps the connection.
    _client: LinkClient<Channel>,
}

/// A client on a new connection to an address.
pub(crate) async fn connect(core: &Core, address: &str) -> Result<LinkClient<Channel>, CallError> {
    let channel = core
        .dialing
        .connect(address)
        .await
        .map_err(CallError::unreachable)?;
    Ok(LinkClient::new(channel).max_decoding_message_size(DECODE_BYTES_MAX))
}

/// Why a stream ended, from what tonic says of it.
pub(crate) fn ended_by(status: &Status) -> CallError {
    CallError::unreachable(with_causes(status))
}

/// Opens a stream to node `expected` (0 = whoever is there) at an address.
pub(crate) async fn open(
    core: &Arc<Core>,
    address: &str,
    expected: u64,
    outbox: &Arc<Outbox>,
) -> Result<Opened, CallError> {
    let opened = open_stream(core, address, expected, outbox).await;
    opened.inspect_err(|problem| {
        if let Some(refusal) = tls_refusal(problem) {
            core.report(expected, address, &refusal);
        }
    })
}

async fn open_stream(
    core: &Arc<Core>,
    address: &str,
    expected: u64,
    outbox: &Arc<Outbox>,
) -> Result<Opened, CallError> {
    core.cuts.check_to(expected)?;
    let mut client = connect(core, address).await?;
    outbox.say(core.hello(expected));
    let handshake = async {
        let mut inbound = client.exchange(outbox.frames()).await?.into_inner();
        let first = inbound.message().await?;
        Ok::<_, Status>((inbound, first.unwrap_or_default()))
    };
    let (mut inbound, first) = tokio::time::timeout(HELLO_WAIT, handshake)
        .await
        .map_err(|_| CallError::unreachable("nobody says hello there"))?
        .map_err(|status| ended_by(&status))?;
    match greeted(core, address, expected, first.hello, first.refusal) {
        Ok(remote) => {
            core.cuts.check_to(remote.node)?;
            Ok(Opened {
                inbound,
                remote,
                _client: client,
            })
        }
        Err(refusal) => {
            if refusal.by_this_node {
                refuse(&mut inbound, outbox, &refusal).await;
            }
            Err(CallError::Refused(Arc::new(refusal)))
        }
    }
}

/// Judges what the other side said first, and reports a refusal by either.
pub(crate) fn greeted(
    core: &Arc<Core>,
    address: &str,
    expected: u64,
    hello: Option<wire::Hello>,
    refusal: Option<wire::Refusal>,
) -> Result<PeerIdentity, Refusal> {
    let node = hello.as_ref().map_or(expected, |hello| hello.node);
    let judged = match (refusal, hello) {
        (Some(refusal), _) => Err(refusal_from_wire(refusal)),
        (None, Some(hello)) => core.admit(&hello, expected),
        (None, None) => {
            let text = format!("who answers at {address} does not say hello");
            Err(Refusal::ours(RefusalReason::Malformed, text))
        }
    };
    judged.inspect_err(|refusal| core.report(node, address, refusal))
}

/// Tells the other side that it is refused, and gives it time to hear so.
async fn refuse(inbound: &mut Streaming<wire::Frame>, outbox: &Outbox, refusal: &Refusal) {
    outbox.refuse(refusal_to_wire(refusal));
    let ended = async { while let Ok(Some(_)) = inbound.message().await {} };
    // Whether it heard or not, the stream ends.
    let _ = tokio::time::timeout(REFUSED_WAIT, ended).await;
}

/// Keeps a lane's stream; ends when another run of the lane has begun.
pub(crate) async fn run(core: Arc<Core>, lane: Arc<Lane>, run: u64) {
    let mut wait = RECONNECT_WAIT_MIN;
    while let Some((address, outbox)) = lane.begin(run) {
        let mut up = Duration::ZERO;
        let said = core.cluster();
        let problem = match open(&core, &address, lane.node(), &outbox).await {
            Ok(opened) => {
                if !lane.opened(&core, run, opened.remote.clone()) {
                    return;
                }
                if said != core.cluster() {
                    core.introduce_on(&outbox, lane.node());
                }
                let since = Instant::now();
                let problem = follow(&core, &lane, run, opened, &outbox).await;
                up = since.elapsed();
                problem
            }
            Err(problem) => problem,
        };
        tracing::debug!(node = lane.node(), %address, %problem, "no stream");
        lane.ended(&core, run, problem);
        if up >= core.rhythm.reconnect_wait_max {
            wait = RECONNECT_WAIT_MIN;
        }
        let jittered = wait.mul_f64(rand::rng().random_range(0.5..1.0));
        wait = (wait * 2).min(core.rhythm.reconnect_wait_max);
        tokio::select! {
            () = tokio::time::sleep(jittered) => {}
            () = lane.hastened() => {}
        }
    }
}

/// Hands answers out and pings until the stream ends; says why it did.
async fn follow(
    core: &Arc<Core>,
    lane: &Arc<Lane>,
    run: u64,
    mut opened: Opened,
    outbox: &Arc<Outbox>,
) -> CallError {
    let mut ticks = tokio::time::interval(core.rhythm.ping_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let clock = Instant::now();
    let own_incarnation = core.introduction.read().identity.incarnation;
    let mut unanswered = 0;
    let mut assembly = Assembly::default();
    loop {
        tokio::select! {
            frame = opened.inbound.message() => match frame {
                Ok(Some(frame)) => {
                    unanswered = 0;
                    let result = take(core, lane, run, &mut opened, outbox, frame, clock,
                        &mut assembly).await;
                    if let Err(problem) = result {
                        return problem;
                    }
                }
                Ok(None) => return CallError::unreachable("the node ended the stream"),
                Err(status) => {
                    if let Some(refusal) = undecodable(&status) {
                        core.report(lane.node(), &lane.address(), &refusal);
                    }
                    return ended_by(&status);
                }
            },
            _ = ticks.tick() => {
                if unanswered >= core.rhythm.pings_unanswered_max {
                    return CallError::unreachable("the node gives no sign of life");
                }
                unanswered += 1;
                outbox.ping(wire::Ping {
                    incarnation: own_incarnation,
                    stamp: (clock.elapsed().as_nanos() as u64).max(1),
                });
            }
        }
    }
}

#[allow(
    clippy::too_many_arguments,
    reason = "the body of one loop, kept short by standing here"
)]
async fn take(
    core: &Arc<Core>,
    lane: &Arc<Lane>,
    run: u64,
    opened: &mut Opened,
    outbox: &Arc<Outbox>,
    mut frame: wire::Frame,
    clock: Instant,
    assembly: &mut Assembly,
) -> Result<(), CallError> {
    let counters = outbox.counters();
    counters.received_frame();
    let hello = frame.hello.take();
    let refusal = frame.refusal.take();
    if hello.is_some() || refusal.is_some() {
        let judged = greeted(core, &lane.address(), lane.node(), hello, refusal);
        match judged {
            Ok(remote) => {
                opened.remote = remote.clone();
                lane.identified(run, remote);
            }
            Err(refusal) => {
                if refusal.by_this_node {
                    refuse(&mut opened.inbound, outbox, &refusal).await;
                }
                return Err(CallError::Refused(Arc::new(refusal)));
            }
        }
    }
    if let Some(pong) = frame.pong.take() {
        if pong.incarnation != opened.remote.incarnation {
            return Err(CallError::unreachable("the node was started anew"));
        }
        // An unasked one, of a node that is too busy to read pings, has no stamp.
        if pong.stamp != 0 {
            let now = clock.elapsed().as_nanos() as u64;
            let round_trip = now.saturating_sub(pong.stamp).max(1);
            counters
                .round_trip_nanoseconds
                .store(round_trip, Ordering::Relaxed);
        }
    }
    let items = assembly.items(frame).map_err(|text| {
        let refusal = Refusal::ours(RefusalReason::Malformed, text.to_owned());
        core.report(lane.node(), &lane.address(), &refusal);
        CallError::unreachable(text)
    })?;
    hand_out(items, outbox);
    Ok(())
}

/// Hands answers out on a stream that is not kept; says why it ended.
pub(crate) async fn listen(mut opened: Opened, outbox: &Arc<Outbox>) -> CallError {
    let mut assembly = Assembly::default();
    loop {
        let frame = match opened.inbound.message().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return CallError::Lost("the node ended the stream".into()),
            Err(status) => return CallError::Lost(with_causes(&status).into()),
        };
        match assembly.items(frame) {
            Ok(items) => hand_out(items, outbox),
            Err(text) => return CallError::Malformed(text),
        }
    }
}

fn hand_out(items: Vec<wire::Item>, outbox: &Outbox) {
    for item in items {
        outbox
            .counters()
            .received_item(prost::Message::encoded_len(&item));
        // An answer of a kind that this version does not know is one that does not fit.
        let kind = item.kind.unwrap_or_else(crate::convert::unsupported);
        outbox.settle(item.id, kind);
    }
}
