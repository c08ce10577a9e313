//! Peers that speak otherwise: other versions, unknown kinds, frames beyond the rules. They are
//! played by a bare client and a bare server on the generated service.

use std::time::Instant;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tonic::{Request, Response, Status, Streaming};

use super::hello::introduction;
use super::quiet::{PATIENCE, node};
use crate::error::{CallError, RefusalReason};
use crate::incoming::incoming;
use crate::limits::{DECODE_BYTES_MAX, PROTOCOL_MAX};
use crate::transport::Transport;
use crate::wire;
use crate::wire::item::Kind;
use crate::wire::link_client::LinkClient;
use crate::wire::link_server::{Link, LinkServer};

async fn client(transport: &Transport) -> LinkClient<tonic::transport::Channel> {
    let address = format!("http://{}", transport.address());
    LinkClient::connect(address).await.unwrap()
}

/// Sends `frames` and gives what comes back until the stream ends, or that is enough.
async fn exchange(
    transport: &Transport,
    frames: Vec<wire::Frame>,
    enough: impl Fn(&[wire::Frame]) -> bool,
) -> Vec<wire::Frame> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    frames
        .into_iter()
        .for_each(|frame| sender.send(frame).unwrap());
    let outgoing = stream::poll_fn(move |context| receiver.poll_recv(context));
    let mut client = client(transport).await;
    let talking = async {
        let Ok(answers) = client.exchange(outgoing).await else {
            return Vec::new();
        };
        let mut answers = answers.into_inner();
        let mut all = Vec::new();
        while let Ok(Some(frame)) = answers.message().await {
            all.push(frame);
            if enough(&all) {
                break;
            }
        }
        all
    };
    let answers = tokio::time::timeout(PATIENCE, talking).await.unwrap();
    drop(sender);
    answers
}

fn hello(change: impl FnOnce(&mut wire::Hello)) -> wire::Frame {
    let mut hello = introduction(2).hello(1);
    change(&mut hello);
    wire::Frame {
        hello: Some(hello),
        ..wire::Frame::default()
    }
}

fn refusal(frames: &[wire::Frame]) -> Option<RefusalReason> {
    let refusal = frames.iter().find_map(|frame| frame.refusal.clone())?;
    assert!(!refusal.text.is_empty());
    Some(RefusalReason::from_number(refusal.reason))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dialler_without_a_common_version_is_refused() {
    let (transport, handler) = node();
    let newer = hello(|hello| {
        hello.protocol_min = PROTOCOL_MAX + 1;
        hello.protocol_max = PROTOCOL_MAX + 1;
    });
    let answers = exchange(&transport, vec![newer], |_| false).await;
    assert_eq!(refusal(&answers), Some(RefusalReason::NoCommonVersion));
    handler.until_refused(RefusalReason::NoCommonVersion).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_dialler_is_served_and_told_what_is_not_known() {
    let (transport, _) = node();
    let mut newer = hello(|hello| hello.protocol_max = PROTOCOL_MAX + 9);
    let item = |id, kind| wire::Item { id, group: 3, kind };
    let answer_kind = Kind::CallAnswer(Bytes::new());
    let call = wire::NodeCall {
        method: 1,
        body: Bytes::from_static(b"body"),
    };
    newer.items = vec![
        item(1, None),
        item(2, Some(answer_kind)),
        item(3, Some(Kind::Append(wire::AppendRequest::default()))),
        item(4, Some(Kind::Call(call))),
    ];
    let items = newer.items.split_off(0);
    let asking = wire::Frame {
        items,
        ..wire::Frame::default()
    };
    let answers = exchange(&transport, vec![newer, asking], |frames| {
        frames.iter().map(|frame| frame.items.len()).sum::<usize>() == 4
    })
    .await;
    assert_eq!(refusal(&answers), None);
    let items = answers.into_iter().flat_map(|frame| frame.items);
    let (mut unsupported, mut answered) = (Vec::new(), Vec::new());
    for item in items {
        match crate::convert::call_result_from_wire(item.kind.unwrap()) {
            Err(CallError::Unsupported) => unsupported.push(item.id),
            result => answered.push((item.id, result)),
        }
    }
    assert_eq!(unsupported, [1, 2, 3]);
    assert_eq!(answered, [(4, Ok(Bytes::from_static(b"body")))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_beyond_the_rules_ends_the_stream() {
    let (transport, handler) = node();
    let nothing = wire::Frame::default();
    let answers = exchange(&transport, vec![nothing], |_| false).await;
    assert_eq!(refusal(&answers), Some(RefusalReason::Malformed));
    let bytes = Bytes::from_static(&[0xff; 10]);
    let part = wire::Part { last: true, bytes };
    let parts = wire::Frame {
        part: Some(part),
        ..wire::Frame::default()
    };
    let stamp = 4;
    let older = wire::Ping {
        incarnation: 2,
        stamp,
    };
    let ping = wire::Frame {
        ping: Some(older),
        ..wire::Frame::default()
    };
    let other_node = hello(|hello| hello.node = 3);
    for wrong in [parts, ping, other_node] {
        let answers = exchange(&transport, vec![hello(|_| ()), wrong], |_| false).await;
        assert_eq!(refusal(&answers), Some(RefusalReason::Malformed));
    }
    handler.until_refused(RefusalReason::Malformed).await;
    // Longer than any frame may be: the stream ends without a word.
    let long = wire::Part {
        last: false,
        bytes: Bytes::from(vec![0; DECODE_BYTES_MAX]),
    };
    let oversized = wire::Frame {
        part: Some(long),
        ..wire::Frame::default()
    };
    let answers = exchange(&transport, vec![hello(|_| ()), oversized], |_| false).await;
    assert!(answers.iter().all(|frame| frame.items.is_empty()));
    // And the node lives.
    let answers = exchange(&transport, vec![hello(|_| ())], |_| true).await;
    assert!(answers[0].hello.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_pieces_of_snapshots_are_found() {
    let (transport, _) = node();
    let frame = |kind| wire::SnapshotFrame { kind: Some(kind) };
    let piece = |offset: u64, bytes: &'static [u8], damage: u32| {
        frame(wire::snapshot_frame::Kind::Piece(wire::SnapshotPiece {
            offset,
            checksum: crc32fast::hash(bytes) ^ damage,
            bytes: Bytes::from_static(bytes),
        }))
    };
    let end = |length| {
        frame(wire::snapshot_frame::Kind::End(wire::SnapshotEnd {
            length,
        }))
    };
    let cases = [
        (vec![piece(0, b"abc", 0), piece(3, b"d", 0), end(4)], None),
        (vec![piece(0, b"abc", 1)], Some("checksum")),
        (vec![piece(1, b"abc", 0)], Some("follow")),
        (
            vec![piece(0, b"abc", 0), piece(0, b"abc", 0)],
            Some("follow"),
        ),
        (vec![piece(0, b"abc", 0), end(4)], Some("missing")),
        (vec![piece(0, b"", 0)], Some("length")),
        (vec![piece(0, b"abc", 0)], Some("went away")),
    ];
    for (pieces, expected) in cases {
        let introduced = introduction(2).hello(1);
        let begin = [
            frame(wire::snapshot_frame::Kind::Hello(introduced)),
            frame(wire::snapshot_frame::Kind::Header(Bytes::new())),
        ];
        let frames = stream::iter(begin.into_iter().chain(pieces));
        let mut client = client(&transport).await;
        let replies = client.snapshot(frames).await.unwrap().into_inner();
        let replies = replies.map(|reply| reply.unwrap().kind.unwrap());
        let replies: Vec<_> = tokio::time::timeout(PATIENCE, replies.collect())
            .await
            .unwrap();
        match (replies.last().unwrap(), expected) {
            (wire::snapshot_reply::Kind::Done(_), None) => {}
            (wire::snapshot_reply::Kind::Fault(fault), Some(expected)) => {
                assert!(fault.text.contains(expected), "{}", fault.text);
            }
            (reply, expected) => panic!("{reply:?} instead of {expected:?}"),
        }
    }
}

/// A server that answers every stream with the same frames, and notes what it hears.
#[derive(Clone)]
struct Bare {
    answers: Vec<wire::Frame>,
    heard: mpsc::UnboundedSender<wire::Frame>,
}

#[tonic::async_trait]
impl Link for Bare {
    type ExchangeStream = BoxStream<'static, Result<wire::Frame, Status>>;
    type SnapshotStream = BoxStream<'static, Result<wire::SnapshotReply, Status>>;

    async fn exchange(
        &self,
        request: Request<Streaming<wire::Frame>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let heard = self.heard.clone();
        let mut inbound = request.into_inner();
        let listening = async move {
            while let Ok(Some(frame)) = inbound.message().await {
                let _ = heard.send(frame);
            }
        };
        let silence = listening.into_stream().filter_map(|()| async { None });
        let answers = stream::iter(self.answers.clone().into_iter().map(Ok));
        Ok(Response::new(answers.chain(silence).boxed()))
    }

    async fn snapshot(
        &self,
        _: Request<Streaming<wire::SnapshotFrame>>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        Err(Status::unimplemented("not played"))
    }
}

async fn bare(answers: Vec<wire::Frame>) -> (String, mpsc::UnboundedReceiver<wire::Frame>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (heard, hearing) = mpsc::unbounded_channel();
    let open = watch::Sender::new(false);
    let connections = incoming(listener, open.subscribe(), None);
    let service = LinkServer::new(Bare { answers, heard });
    tokio::spawn(
        tonic::transport::Server::builder()
            .serve_with_incoming(service, connections)
            .map(move |_| drop(open)),
    );
    (address, hearing)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acceptor_without_a_common_version_is_refused_and_told() {
    let (transport, handler) = node();
    let (address, mut hearing) = bare(vec![hello(|hello| {
        hello.protocol_min = PROTOCOL_MAX + 1;
        hello.protocol_max = PROTOCOL_MAX + 1;
    })])
    .await;
    let peer = transport.peer(2, &address);
    let call = peer.call(1, Bytes::new(), Instant::now() + PATIENCE);
    let Err(CallError::Refused(refusal)) = call.await else {
        panic!("not refused");
    };
    assert_eq!(refusal.reason, RefusalReason::NoCommonVersion);
    assert!(refusal.by_this_node);
    handler.until_refused(RefusalReason::NoCommonVersion).await;
    let hearing = async {
        loop {
            let frame = hearing.recv().await.unwrap();
            assert!(frame.items.is_empty(), "it got the call");
            if let Some(refusal) = frame.refusal {
                return refusal;
            }
        }
    };
    let told = tokio::time::timeout(PATIENCE, hearing).await.unwrap();
    assert_eq!(told.reason, RefusalReason::NoCommonVersion as u32);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acceptor_that_does_not_hold_to_the_protocol_is_left() {
    let (transport, _) = node();
    let pong = wire::Frame {
        pong: Some(wire::Pong {
            incarnation: 99,
            stamp: 1,
        }),
        ..wire::Frame::default()
    };
    let silent = wire::Frame::default();
    for (node, answers) in [(2, vec![hello(|_| ()), pong]), (3, vec![silent])] {
        let (address, _hearing) = bare(answers).await;
        let peer = transport.peer(node, &address);
        let deadline = Instant::now() + PATIENCE;
        let call = peer.call(1, Bytes::new(), deadline).await.unwrap_err();
        let left = matches!(
            call,
            CallError::Refused(_) | CallError::Unreachable(_) | CallError::Lost(_)
        );
        assert!(left, "{node}: {call:?}");
    }
}
