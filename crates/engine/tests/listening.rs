//! Engines that reach each other over real streams on loopback.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use raft_kv_engine::network::Member;
use raft_kv_engine::{Engine, EngineOptions, ListenOptions, Location};
use raft_kv_journal::SimulatedDisk;
use support::router::{GROUP, runs, until};
use support::{Node, frame};
use tempfile::TempDir;

const CLUSTER: u64 = 4711;
const WAIT: Duration = Duration::from_secs(20);

struct Place {
    directory: TempDir,
    node: Option<Node>,
    id: u64,
    address: String,
}

fn options(directory: &TempDir) -> EngineOptions {
    let data = directory.path().join("data");
    let mut options = EngineOptions::new(Location::Directory(data), "test");
    options.heartbeat_interval_ms = 100;
    options.election_timeout_ms = 600;
    options.snapshot_log_bytes_min = 50_000;
    options
}

fn at(listen: &str) -> ListenOptions {
    ListenOptions {
        listen: listen.into(),
        advertise: None,
        tls: None,
    }
}

impl Place {
    async fn start() -> Place {
        let mut place = Place {
            directory: TempDir::new().unwrap(),
            node: None,
            id: 0,
            address: String::new(),
        };
        place.open().await;
        place.engine().set_cluster(CLUSTER).await.unwrap();
        place
    }

    async fn open(&mut self) {
        let node = Node::open(options(&self.directory));
        self.id = node.engine.identity().node;
        self.address = node.engine.listen(at("127.0.0.1:0")).await.unwrap();
        self.node = Some(node);
    }

    async fn stop(&mut self) {
        self.node.take().unwrap().engine.close().await.unwrap();
    }

    fn node(&self) -> &Node {
        self.node.as_ref().unwrap()
    }

    fn engine(&self) -> &Engine {
        &self.node().engine
    }

    fn member(&self) -> Member {
        Member {
            node: self.id,
            address: self.address.clone(),
        }
    }

    async fn bind_wanted(&self) {
        let host = &self.node().host;
        until("wanted", || async { host.view().wanted.contains(&GROUP) }).await;
        self.engine().bind_group(GROUP).await.unwrap();
    }

    async fn leads(&self) -> bool {
        let slot = self.engine().bind_group(GROUP).await.unwrap();
        runs(self.engine(), slot)
    }

    async fn has(&self, count: usize) {
        let host = &self.node().host;
        until(&format!("{count} commands"), || async {
            host.view().requests(GROUP).len() == count
        })
        .await;
        let mut requests = host.view().requests(GROUP);
        requests.sort_unstable();
        requests.dedup();
        assert_eq!(requests.len(), count, "each once");
    }
}

async fn start(count: usize) -> Vec<Place> {
    let mut places = Vec::new();
    for _ in 0..count {
        places.push(Place::start().await);
    }
    places
}

async fn create(places: &[Place]) {
    let members = places.iter().map(Place::member).collect();
    let descriptor = Bytes::from_static(b"machine");
    let creating = places[0]
        .engine()
        .create_group_with(GROUP, descriptor, members);
    creating.await.unwrap();
    for place in &places[1..] {
        place.bind_wanted().await;
    }
}

async fn leader(places: &[Place]) -> usize {
    let found = std::sync::atomic::AtomicUsize::new(usize::MAX);
    until("a leader", || async {
        for (number, place) in places.iter().enumerate() {
            if place.node.is_some() && place.leads().await {
                found.store(number, Ordering::SeqCst);
                return true;
            }
        }
        false
    })
    .await;
    found.into_inner()
}

/// Others are not to count on it: they would wait for what it cannot store.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_whose_storage_failed_is_down_for_the_others() {
    let disk = SimulatedDisk::new();
    let location = Location::Simulated(disk.clone());
    let full = Node::open(EngineOptions::new(location, "test"));
    let address = full.engine.listen(at("127.0.0.1:0")).await.unwrap();
    full.engine.set_cluster(CLUSTER).await.unwrap();
    let other = Place::start().await;
    let id = full.engine.identity().node;
    other.engine().set_node_address(id, &address);
    let peers = || other.node().host.view().peers.clone();
    until("up", || async { peers().last() == Some(&(id, 1)) }).await;
    disk.fail_writes_after(0, true);
    let refused = full.engine.create_group(GROUP, Bytes::new()).await;
    assert_eq!(refused.unwrap_err().code(), "STORAGE_FULL");
    until("down", || async { peers().last() == Some(&(id, 2)) }).await;
    assert!(full.engine.close().await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn three_nodes_elect_replicate_and_send_commands_on() {
    let places = start(3).await;
    create(&places).await;
    leader(&places).await;
    for (number, place) in places.iter().enumerate() {
        let first = 100 * number as u32;
        place
            .engine()
            .submit(&frame(GROUP, first, 100, 200), 0)
            .unwrap();
    }
    for place in &places {
        place.has(300).await;
        assert!(place.node().host.view().refusals.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_late_member_gets_a_snapshot_and_a_dead_leader_is_replaced() {
    let mut places = start(3).await;
    create(&places[..1]).await;
    let engine = places[0].engine().clone();
    for round in 0..20 {
        engine
            .submit(&frame(GROUP, round * 50, 50, 200), 0)
            .unwrap();
        places[0].has((round as usize + 1) * 50).await;
    }
    until("purged", || async { engine.statistics().snapshots > 0 }).await;
    for place in &places[1..] {
        engine.add_learner(GROUP, place.member()).await.unwrap();
        place.bind_wanted().await;
        engine.wait_for_member(GROUP, place.id).await.unwrap();
        place.has(1000).await;
        let view = place.node().host.view().groups[&GROUP].clone();
        assert!(view.snapshots_installed > 0);
    }
    let voters = places.iter().map(|place| place.id).collect();
    let none = std::collections::BTreeSet::new();
    engine.change_members(GROUP, voters, none).await.unwrap();
    drop(engine);
    places[0].stop().await;
    let next = leader(&places).await;
    assert_ne!(next, 0);
    let engine = places[next].engine();
    engine.submit(&frame(GROUP, 1000, 10, 50), 0).unwrap();
    places[1].has(1010).await;
    places[2].has(1010).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_that_comes_back_at_another_address_is_found() {
    let mut places = start(3).await;
    create(&places).await;
    let leading = leader(&places).await;
    let away = (leading + 1) % 3;
    let before = places[away].address.clone();
    places[away].stop().await;
    let engine = places[leading].engine();
    engine.submit(&frame(GROUP, 0, 10, 50), 0).unwrap();
    // The port is taken, so it cannot come back there.
    let held = std::net::TcpListener::bind(&before).unwrap();
    places[away].open().await;
    assert_ne!(places[away].address, before);
    places[away].engine().open_group(GROUP).await.unwrap();
    for place in &places {
        place.has(10).await;
    }
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn hosts_call_each_other_and_themselves() {
    let places = start(2).await;
    let (caller, called) = (places[0].engine(), &places[1]);
    let unknown = caller.call_node(called.id, b"hello", WAIT).await;
    assert_eq!(unknown.unwrap_err().code(), "NOT_SENT");
    caller.set_node_address(called.id, &called.address);
    let answer = caller.call_node(called.id, b"hello", WAIT).await.unwrap();
    assert_eq!(answer[..], *b"olleh");
    let answer = caller.call_address(&called.address, b"abc", WAIT).await;
    let answer = answer.unwrap();
    assert_eq!((answer.node, answer.cluster), (called.id, CLUSTER));
    assert_eq!((answer.incarnation, &answer.address), (1, &called.address));
    assert_eq!(answer.body[..], *b"cba");
    let own = caller.call_address(&places[0].address, b"abc", WAIT).await;
    let own = own.unwrap();
    assert_eq!((own.node, &own.body[..]), (places[0].id, &b"cba"[..]));
    let answer = caller.call_node(places[0].id, b"me", WAIT).await.unwrap();
    assert_eq!(answer[..], *b"em");
    let calls = called.node().host.view().calls.clone();
    assert_eq!(calls.len(), 2);
    assert!(
        calls
            .iter()
            .all(|(node, member)| *node == places[0].id && *member)
    );
    called
        .node()
        .host
        .answer_calls
        .store(false, Ordering::SeqCst);
    let short = Duration::from_millis(50);
    let silent = caller.call_node(called.id, b"hello", short).await;
    assert_eq!(silent.unwrap_err().code(), "TIMED_OUT");
    let peers = places[0].node().host.view().peers.clone();
    assert!(
        peers.contains(&(called.id, 1)),
        "told that it is up: {peers:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_belongs_to_one_cluster_for_good_and_talks_to_no_other() {
    let mut place = Place {
        directory: TempDir::new().unwrap(),
        node: None,
        id: 0,
        address: String::new(),
    };
    place.open().await;
    assert_eq!(place.engine().identity().cluster, 0);
    let member = Place::start().await;
    // Without a cluster it may ask, and be asked.
    let answer = place
        .engine()
        .call_address(&member.address, b"ab", WAIT)
        .await;
    assert_eq!(answer.unwrap().cluster, CLUSTER);
    assert_eq!(member.node().host.view().calls, [(place.id, false)]);
    place.engine().set_cluster(99).await.unwrap();
    place.engine().set_cluster(99).await.unwrap();
    let other = place.engine().set_cluster(100).await.unwrap_err();
    assert_eq!(other.code(), "CLUSTER_MISMATCH");
    let refused = place
        .engine()
        .call_address(&member.address, b"ab", WAIT)
        .await;
    assert_eq!(refused.unwrap_err().code(), "CLUSTER_MISMATCH");
    let host = &member.node().host;
    until("the other hears of it", || async {
        host.view().streams_refused == [(place.id, 2)]
    })
    .await;
    place.stop().await;
    place.open().await;
    assert_eq!(place.engine().identity().cluster, 99, "durable");
    let other = place.engine().set_cluster(CLUSTER).await.unwrap_err();
    assert_eq!(other.code(), "CLUSTER_MISMATCH");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_address_that_cannot_be_had_is_an_error_with_a_code() {
    let place = Place::start().await;
    let directory = TempDir::new().unwrap();
    let other = Node::open(options(&directory));
    let listen = |address: &str| other.engine.listen(at(address));
    let used = listen(&place.address).await.unwrap_err();
    assert_eq!(used.code(), "ADDRESS_IN_USE");
    for address in ["nonsense", "127.0.0.1:99999", "0.0.0.0:0"] {
        let error = listen(address).await.unwrap_err();
        assert_eq!(error.code(), "INVALID_OPTION", "{address}: {error}");
    }
    listen("127.0.0.1:0").await.unwrap();
    assert_eq!(
        listen("127.0.0.1:0").await.unwrap_err().code(),
        "INVALID_ARGUMENT"
    );
    other.engine.close().await.unwrap();
    // Closed, it no longer listens.
    let directory = TempDir::new().unwrap();
    let again = Node::open(options(&directory));
    again.engine.listen(at("127.0.0.1:0")).await.unwrap();
}
