//! Whatever bytes come in, decoding ends with a value or an error.

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use prost::Message;

use crate::CallError;
use crate::assembly::Assembly;
use crate::convert::{
    call_result_from_wire, call_result_to_wire, request_from_wire, request_to_wire,
    response_from_wire, response_to_wire,
};
use crate::limits::{FRAME_BYTES_MAX, ITEM_BYTES_MAX};
use crate::message::{
    AppendRequest, AppendResponse, LogId, NodeFault, Request, Response, TransferRequest, Vote,
    VoteRequest, VoteResponse,
};
use crate::wire;
use crate::wire::item::Kind;

fn log_id() -> impl Strategy<Value = LogId> {
    any::<(u64, u64, u64)>().prop_map(|(term, node, index)| LogId { term, node, index })
}

fn vote() -> impl Strategy<Value = Vote> {
    any::<(u64, u64, bool)>().prop_map(|(term, node, committed)| Vote {
        term,
        node,
        committed,
    })
}

fn some_log_id() -> impl Strategy<Value = Option<LogId>> {
    proptest::option::of(log_id())
}

fn bytes(longest: usize) -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..longest).prop_map(Bytes::from)
}

fn request() -> impl Strategy<Value = Request> {
    let vote_request = || {
        (vote(), some_log_id(), any::<bool>()).prop_map(|(vote, last_log, transfer)| VoteRequest {
            vote,
            last_log,
            leadership_transfer: transfer,
        })
    };
    let entries = proptest::collection::vec(bytes(50), 0..5);
    prop_oneof![
        vote_request().prop_map(Request::Vote),
        vote_request().prop_map(Request::PreVote),
        (vote(), some_log_id(), some_log_id(), entries).prop_map(
            |(vote, previous, commit, entries)| Request::Append(AppendRequest {
                vote,
                previous,
                commit,
                entries,
            })
        ),
        (vote(), any::<u64>(), some_log_id()).prop_map(|(from, to, last_log)| {
            Request::TransferLeader(TransferRequest { from, to, last_log })
        }),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    let vote_response = || {
        (vote(), any::<bool>(), some_log_id()).prop_map(|(vote, granted, last_log)| VoteResponse {
            vote,
            granted,
            last_log,
        })
    };
    let append = prop_oneof![
        Just(AppendResponse::Success),
        some_log_id().prop_map(AppendResponse::Partial),
        Just(AppendResponse::Conflict),
        vote().prop_map(AppendResponse::HigherVote),
    ];
    prop_oneof![
        vote_response().prop_map(Response::Vote),
        vote_response().prop_map(Response::PreVote),
        append.prop_map(Response::Append),
        Just(Response::TransferLeader),
        Just(Response::UnknownGroup),
        some_log_id().prop_map(|membership| Response::GroupRemoved { membership }),
        ".{0,20}".prop_map(Response::Failed),
    ]
}

fn through_bytes(kind: Kind) -> Kind {
    let item = wire::Item {
        id: 5,
        group: 6,
        kind: Some(kind),
    };
    let frame = wire::Frame {
        items: vec![item],
        ..wire::Frame::default()
    };
    let mut decoded = wire::Frame::decode(Bytes::from(frame.encode_to_vec())).unwrap();
    decoded.items.pop().unwrap().kind.unwrap()
}

/// All that is done with a frame before the handler sees it.
fn digest(bytes: Bytes) {
    let Ok(frame) = wire::Frame::decode(bytes) else {
        return;
    };
    let Ok(items) = Assembly::default().items(frame) else {
        return;
    };
    for kind in items.into_iter().filter_map(|item| item.kind) {
        // Values or errors; neither is a panic.
        let _ = request_from_wire(kind.clone());
        let _ = response_from_wire(kind.clone());
        let _ = call_result_from_wire(kind);
    }
}

proptest! {
    #[test]
    fn requests_survive_the_wire(request in request()) {
        let kind = through_bytes(request_to_wire(request.clone()));
        prop_assert_eq!(request_from_wire(kind), Some(request));
    }

    #[test]
    fn responses_survive_the_wire(response in response()) {
        let kind = through_bytes(response_to_wire(response.clone()));
        prop_assert_eq!(response_from_wire(kind), Ok(response));
    }

    #[test]
    fn results_of_node_calls_survive_the_wire(
        result in prop_oneof![
            bytes(100).prop_map(Ok),
            (any::<u32>(), ".{0,20}").prop_map(|(code, text)| Err(NodeFault { code, text })),
        ]
    ) {
        let kind = through_bytes(call_result_to_wire(result.clone()));
        let result = result.map_err(CallError::Failed);
        prop_assert_eq!(call_result_from_wire(kind), result);
    }

    #[test]
    fn random_bytes_do_not_panic(bytes in bytes(500)) {
        digest(bytes);
    }

    #[test]
    fn damaged_frames_do_not_panic(
        requests in proptest::collection::vec(request(), 1..5),
        responses in proptest::collection::vec(response(), 1..5),
        at in any::<proptest::sample::Index>(),
        value in any::<u8>(),
        cut in any::<proptest::sample::Index>(),
    ) {
        let kinds = requests.into_iter().map(request_to_wire);
        let kinds = kinds.chain(responses.into_iter().map(response_to_wire));
        let items = kinds.map(|kind| wire::Item { id: 1, group: 2, kind: Some(kind) });
        let frame = wire::Frame { items: items.collect(), ..wire::Frame::default() };
        let mut bytes = frame.encode_to_vec();
        let at = at.index(bytes.len());
        bytes[at] = value;
        digest(Bytes::copy_from_slice(&bytes[..cut.index(bytes.len())]));
        digest(Bytes::from(bytes));
    }

    /// An item that is cut anywhere is put together again; what is no item is an error.
    #[test]
    fn parts_join(request in request(), cuts in proptest::collection::vec(0..200_usize, 0..4)) {
        let item = wire::Item { id: 9, group: 1, kind: Some(request_to_wire(request)) };
        let mut rest = Bytes::from(item.encode_to_vec());
        let mut assembly = Assembly::default();
        for cut in cuts {
            let bytes = rest.split_to(cut.min(rest.len()));
            prop_assert_eq!(assembly.take(&wire::Part { last: false, bytes }), Ok(None));
        }
        let last = wire::Part { last: true, bytes: rest };
        prop_assert_eq!(assembly.take(&last), Ok(Some(item)));
    }
}

#[test]
fn an_endless_item_is_refused_at_its_limit() {
    let mut assembly = Assembly::default();
    let bytes = Bytes::from(vec![0; FRAME_BYTES_MAX]);
    let part = wire::Part { last: false, bytes };
    let fit = ITEM_BYTES_MAX / FRAME_BYTES_MAX;
    for _ in 0..fit {
        assert_eq!(assembly.take(&part), Ok(None));
    }
    assert!(assembly.take(&part).is_err());
}

#[test]
fn items_between_the_parts_of_another_are_refused() {
    let mut assembly = Assembly::default();
    let bytes = Bytes::from_static(b"part");
    let part = wire::Part { last: false, bytes };
    let begun = wire::Frame {
        part: Some(part.clone()),
        ..wire::Frame::default()
    };
    assert_eq!(assembly.items(begun), Ok(Vec::new()));
    let items = vec![wire::Item::default()];
    let between = wire::Frame {
        items: items.clone(),
        ..wire::Frame::default()
    };
    assert!(assembly.items(between).is_err());
    let both = wire::Frame {
        part: Some(part),
        items,
        ..wire::Frame::default()
    };
    assert!(Assembly::default().items(both).is_err());
}

/// Entries are slices of the frame that they came in: nothing is copied.
#[test]
fn entries_share_the_memory_of_their_frame() {
    let entry = Bytes::from(vec![3; 10_000]);
    let kind = request_to_wire(Request::Append(AppendRequest {
        entries: vec![entry],
        ..AppendRequest::default()
    }));
    let item = wire::Item {
        id: 1,
        group: 1,
        kind: Some(kind),
    };
    let mut bytes = BytesMut::new();
    bytes.put_slice(&item.encode_to_vec());
    let bytes = bytes.freeze();
    let range = bytes.as_ptr_range();
    let decoded = wire::Item::decode(bytes.clone()).unwrap();
    let Some(Request::Append(append)) = request_from_wire(decoded.kind.unwrap()) else {
        panic!("another request");
    };
    assert!(range.contains(&append.entries[0].as_ptr()));
}

#[test]
fn answers_that_do_not_fit_are_malformed() {
    let answers = [
        Kind::AppendAnswer(wire::AppendAnswer::default()),
        Kind::VoteAnswer(wire::VoteAnswer::default()),
        Kind::PreVoteAnswer(wire::VoteAnswer::default()),
        Kind::CallAnswer(Bytes::new()),
        Kind::Append(wire::AppendRequest::default()),
        Kind::Fault(wire::Fault::default()),
    ];
    for answer in answers {
        let response = response_from_wire(answer);
        assert!(matches!(response, Err(CallError::Malformed(_))));
    }
    let answer = Kind::TransferAnswer(wire::TransferAnswer {});
    let result = call_result_from_wire(answer);
    assert!(matches!(result, Err(CallError::Malformed(_))));
}
