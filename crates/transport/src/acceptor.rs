//! The service that other nodes dial: judges who they are, then hands their streams on.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{BoxStream, Map};
use tonic::{Request, Response, Status, Streaming};

use crate::core::Core;
use crate::error::{Refusal, RefusalReason};
use crate::handler::PeerIdentity;
use crate::hello::{refusal_from_wire, refusal_to_wire};
use crate::incoming::Admission;
use crate::limits::HELLO_WAIT;
use crate::outbox::{Frames, Outbox};
use crate::receiver;
use crate::snapshot_receiver;
use crate::wire;
use crate::wire::link_server::Link;

type Answers = Map<Frames, fn(wire::Frame) -> Result<wire::Frame, Status>>;

/// The service.
#[derive(Clone)]
pub(crate) struct Acceptor {
    core: Arc<Core>,
}

impl Acceptor {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

/// The first message of a stream, if it comes in time.
pub(crate) async fn first<T>(inbound: &mut Streaming<T>) -> Result<T, Status> {
    tokio::time::timeout(HELLO_WAIT, inbound.message())
        .await
        .map_err(|_| Status::deadline_exceeded("no hello"))??
        .ok_or_else(|| Status::invalid_argument("no hello"))
}

/// Judges a dialler's hello. A refusal, by either side, is reported; `Ok(Err)` is to be sent.
pub(crate) fn judge(
    core: &Arc<Core>,
    hello: Option<wire::Hello>,
    refusal: Option<wire::Refusal>,
) -> Result<Result<PeerIdentity, Refusal>, Status> {
    let (node, address) = hello
        .as_ref()
        .map_or((0, ""), |hello| (hello.node, hello.address.as_str()));
    if core.cuts.from(node) {
        return Err(Status::unavailable(crate::cuts::REASON));
    }
    if let Some(refusal) = refusal {
        let refusal = refusal_from_wire(refusal);
        core.report(node, address, &refusal);
        return Err(Status::aborted("refused"));
    }
    let judged = match &hello {
        Some(hello) => core.admit(hello, 0),
        None => Err(Refusal::ours(
            RefusalReason::Malformed,
            "a stream does not begin with a hello".to_owned(),
        )),
    };
    if let Err(refusal) = &judged {
        core.report(node, crate::error::clipped(address), refusal);
    }
    Ok(judged)
}

#[tonic::async_trait]
impl Link for Acceptor {
    type ExchangeStream = Answers;
    type SnapshotStream = BoxStream<'static, Result<wire::SnapshotReply, Status>>;

    async fn exchange(
        &self,
        request: Request<Streaming<wire::Frame>>,
    ) -> Result<Response<Answers>, Status> {
        let admission = request.extensions().get::<Admission>().cloned();
        let mut inbound = request.into_inner();
        let first = first(&mut inbound).await?;
        match judge(&self.core, first.hello, first.refusal)? {
            Ok(peer) => {
                admission.inspect(Admission::admit);
                let outbox = Outbox::new(self.core.counters(peer.node));
                let answers = outbox.frames_to_the_end().map(Ok as fn(_) -> _);
                let accepted = self
                    .core
                    .accept(&peer, &outbox)
                    .ok_or_else(|| Status::unavailable("closed"))?;
                self.core.introduce_on(&outbox, peer.node);
                outbox.open();
                let core = self.core.clone();
                self.core
                    .spawn(receiver::serve(core, accepted, peer, inbound, outbox));
                Ok(Response::new(answers))
            }
            Err(refusal) => {
                let outbox = Outbox::new(Arc::default());
                let answers = outbox.frames_to_the_end().map(Ok as fn(_) -> _);
                outbox.refuse(refusal_to_wire(&refusal));
                Ok(Response::new(answers))
            }
        }
    }

    async fn snapshot(
        &self,
        request: Request<Streaming<wire::SnapshotFrame>>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        let admission = request.extensions().get::<Admission>().cloned();
        let replies =
            snapshot_receiver::accept(&self.core, request.into_inner(), admission).await?;
        Ok(Response::new(replies))
    }
}
