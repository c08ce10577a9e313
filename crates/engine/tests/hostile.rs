//! Requests, calls and snapshots of any content: whatever another node sends, the engine and its
//! other groups go on, and what cannot be is refused.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

mod support;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use raft_kv_engine::Engine;
use raft_kv_engine::network::{
    AppendRequest, IncomingPieces, LogId, Request, Response, TransferRequest, Vote, VoteRequest,
};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use support::frame;
use support::router::{Cluster, GROUP, until};

const OTHER_GROUP: u32 = 6;
const ROUNDS: usize = 1_500;
const METHODS: u32 = 8;
/// One more than any number that nodes give out.
const NUMBER_END: u64 = 1 << 53;

struct Hostile {
    random: StdRng,
    nodes: Vec<u64>,
}

impl Hostile {
    fn number(&mut self) -> u64 {
        match self.random.random_range(0..4) {
            0 => self.random.random_range(0..5),
            1 => NUMBER_END - self.random.random_range(0..3),
            2 => u64::MAX - self.random.random_range(0..3),
            _ => self.random.random(),
        }
    }

    fn node(&mut self) -> u64 {
        let at = self.random.random_range(0..=self.nodes.len());
        let known = self.nodes.get(at).copied();
        known.unwrap_or_else(|| self.number())
    }

    fn group(&mut self) -> u32 {
        if self.random.random_bool(0.8) {
            return GROUP;
        }
        self.random.random()
    }

    fn vote(&mut self) -> Vote {
        Vote {
            term: self.number(),
            node: self.node(),
            committed: self.random.random(),
        }
    }

    fn log_id(&mut self) -> Option<LogId> {
        self.random.random_bool(0.7).then(|| LogId {
            term: self.number(),
            node: self.node(),
            index: self.number(),
        })
    }

    fn bytes(&mut self, longest: usize) -> Bytes {
        let mut bytes = vec![0; self.random.random_range(0..longest)];
        self.random.fill_bytes(&mut bytes);
        // Small numbers are read as lengths and counts more often than large ones.
        for byte in &mut bytes {
            if self.random.random_bool(0.7) {
                *byte %= 4;
            }
        }
        bytes.into()
    }

    fn request(&mut self) -> Request {
        let vote = VoteRequest {
            vote: self.vote(),
            last_log: self.log_id(),
            leadership_transfer: self.random.random(),
        };
        match self.random.random_range(0..4) {
            0 => Request::Vote(vote),
            1 => Request::PreVote(vote),
            2 => Request::TransferLeader(TransferRequest {
                from: self.vote(),
                to: self.node(),
                last_log: self.log_id(),
            }),
            _ => Request::Append(AppendRequest {
                vote: self.vote(),
                previous: self.log_id(),
                commit: self.log_id(),
                entries: (0..3).map(|_| self.bytes(200)).collect(),
            }),
        }
    }
}

struct Pieces(Vec<Bytes>);

impl IncomingPieces for Pieces {
    fn start_at(&mut self, _: u64) {}

    fn next(&mut self) -> BoxFuture<'_, Option<std::io::Result<Bytes>>> {
        std::future::ready(self.0.pop().map(Ok)).boxed()
    }
}

async fn goes_on(engine: &Engine, cluster: &Cluster, request: &mut u64) {
    engine
        .submit(&frame(OTHER_GROUP, *request as u32, 1, 10), 0)
        .unwrap();
    *request += 1;
    let host = cluster.node(0).host.clone();
    let wanted = *request as usize;
    until("the other group goes on", || async {
        host.view().requests(OTHER_GROUP).len() == wanted
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_survives_whatever_another_node_sends() {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let cluster = Cluster::start(3, seed, |_| {});
    cluster.create(&[0, 1, 2]).await;
    let engine = cluster.node(0).engine.clone();
    let descriptor = Bytes::from_static(b"other");
    engine.create_group(OTHER_GROUP, descriptor).await.unwrap();
    let mut hostile = Hostile {
        random: StdRng::seed_from_u64(seed),
        nodes: cluster.ids.clone(),
    };
    let mut requests = 0;
    for round in 0..ROUNDS {
        let (from, group) = (hostile.node(), hostile.group());
        match hostile.random.random_range(0..3) {
            0 => {
                let request = hostile.request();
                drop(engine.deliver(from, group, request).await);
            }
            1 => {
                let method = hostile.random.random_range(0..METHODS);
                let body = hostile.bytes(300);
                // Any answer will do, but there has to be one.
                drop(engine.answer_call(from, method, body).await);
            }
            _ => {
                let header = hostile.bytes(150);
                let pieces = Pieces((0..3).map(|_| hostile.bytes(300)).collect());
                drop(engine.deliver_snapshot(from, header, pieces).await);
            }
        }
        if round % 100 == 0 {
            goes_on(&engine, &cluster, &mut requests).await;
        }
    }
    goes_on(&engine, &cluster, &mut requests).await;
    engine.group_status(OTHER_GROUP).await.unwrap();
}

/// A candidate or a leader with such a term would have nobody after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn requests_with_impossible_numbers_change_nothing() {
    let cluster = Cluster::start(3, 1, |_| {});
    cluster.create(&[0, 1, 2]).await;
    let engine = cluster.node(0).engine.clone();
    let from = cluster.ids[1];
    let vote = Vote {
        term: NUMBER_END,
        node: from,
        committed: true,
    };
    let asked = VoteRequest {
        vote,
        leadership_transfer: true,
        ..VoteRequest::default()
    };
    let append = AppendRequest {
        vote,
        ..AppendRequest::default()
    };
    let transfer = TransferRequest {
        from: vote,
        to: cluster.ids[0],
        last_log: None,
    };
    for request in [
        Request::Vote(asked.clone()),
        Request::PreVote(asked),
        Request::Append(append),
        Request::TransferLeader(transfer),
    ] {
        let answer = engine.deliver(from, GROUP, request).await;
        assert!(matches!(answer, Response::Failed(_)), "{answer:?}");
    }
    assert!(engine.group_status(GROUP).await.unwrap().term < 100);
}
