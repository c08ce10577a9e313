//! A node of the cluster whose bytes are no messages: it is cut off, and named. It is played by a
//! bare client and a bare server that put any bytes where messages belong.

use bytes::{Buf, BufMut, Bytes};
use futures::{StreamExt, stream};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use prost::Message;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status};

use super::hello::introduction;
use super::quiet::{PATIENCE, node};
use crate::error::{RefusalReason, undecodable};
use crate::handler::RefusedStream;
use crate::limits::FRAME_BYTES_MAX;
use crate::transport::Transport;
use crate::wire;

const SENDER: u64 = 2;

/// Bytes as they are.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

fn hello() -> Bytes {
    let frame = wire::Frame {
        hello: Some(introduction(SENDER).hello(1)),
        ..wire::Frame::default()
    };
    frame.encode_to_vec().into()
}

/// Sends a hello and then these messages; returns once the stream has ended.
async fn send(transport: &Transport, messages: Vec<Bytes>) {
    let address = format!("http://{}", transport.address());
    let channel = tonic::transport::Endpoint::from_shared(address).unwrap();
    let mut client = tonic::client::Grpc::new(channel.connect().await.unwrap());
    client.ready().await.unwrap();
    // The stream stays open: it is the other side that ends it.
    let all = stream::iter([vec![hello()], messages].concat()).chain(stream::pending());
    let path = PathAndQuery::from_static("/raft_kv.link.v1.Link/Exchange");
    let talking = async {
        let Ok(answers) = client.streaming(Request::new(all), path, Raw).await else {
            return;
        };
        let mut answers = answers.into_inner();
        while let Ok(Some(_)) = answers.message().await {}
    };
    tokio::time::timeout(PATIENCE, talking).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_no_messages_is_cut_off_and_named() {
    // Of protobuf no field has the number 0, and no frame is this long.
    let nothing_at_all = Bytes::from_static(&[0; 20]);
    let too_long = Bytes::from(vec![0x12; 64 * FRAME_BYTES_MAX]);
    for garbage in [nothing_at_all, too_long] {
        let (transport, handler) = node();
        send(&transport, vec![garbage]).await;
        let refused = handler.until_refused(RefusalReason::Malformed).await;
        let RefusedStream { node, refusal, .. } = refused;
        assert_eq!(node, SENDER);
        assert_eq!(refusal.reason, RefusalReason::Malformed);
        assert!(refusal.by_this_node);
    }
}

/// Any bytes as messages of a node that is known: whatever they do, others are served after them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_any_bytes_harm_nobody() {
    let (transport, _) = node();
    let mut runner = TestRunner::default();
    let any_bytes = proptest::collection::vec(any::<u8>(), 1..300);
    // Fields of a frame with any content, so that more than the first tag is looked at.
    let field =
        (1_u8..12, proptest::collection::vec(any::<u8>(), 0..100)).prop_map(|(tag, rest)| {
            let mut bytes = vec![tag << 3 | 2, rest.len() as u8];
            bytes.extend(rest);
            bytes
        });
    let fields = proptest::collection::vec(field, 1..5).prop_map(|fields| fields.concat());
    let message = prop_oneof![any_bytes, fields].prop_map(Bytes::from);
    for _ in 0..40 {
        let message = message.new_tree(&mut runner).unwrap().current();
        // Ends the stream whatever the message was.
        send(&transport, vec![message, Bytes::from_static(&[0; 20])]).await;
    }
    let (other, _) = node();
    send(&other, vec![Bytes::from_static(&[0; 20])]).await;
    assert!(
        tokio::net::TcpStream::connect(transport.address().to_string())
            .await
            .is_ok()
    );
}

#[test]
fn a_lost_connection_is_nobodys_garbage() {
    let lost = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    assert!(undecodable(&Status::from_error(Box::new(lost))).is_none());
    assert!(undecodable(&Status::cancelled("gone")).is_none());
    assert!(undecodable(&Status::unavailable("gone")).is_none());
    let refusal = undecodable(&Status::out_of_range("too long")).unwrap();
    assert!(refusal.text.contains("too long"));
}
