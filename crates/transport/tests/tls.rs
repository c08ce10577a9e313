//! Mutual TLS: certificates of the right authority, of another one, and none.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use raft_kv_transport::{CallError, Peer, RefusalReason, TlsOptions, Transport};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use support::{PATIENCE, TestHandler, TestNode, echoed, numbered, options, soon, start, within};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    fn certify(&self, names: &[&str], server_name: Option<&str>) -> TlsOptions {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &self.0)
            .unwrap();
        TlsOptions {
            ca: self.0.pem().into_bytes(),
            certificate: certificate.pem().into_bytes(),
            key: key.serialize_pem().into_bytes(),
            server_name: server_name.map(ToOwned::to_owned),
        }
    }
}

fn start_tls(node: u64, tls: TlsOptions) -> TestNode {
    let mut options = options(node);
    options.tls = Some(tls);
    support::start_with(options)
}

async fn works(peer: &Peer) {
    let answer = within(peer.request(1, numbered(9, 1), soon())).await;
    assert_eq!(answer, Ok(echoed(9, 1)));
}

/// Why streams of a node were refused, and whether by it.
fn refusals(node: &TestNode) -> Vec<(RefusalReason, bool)> {
    let seen = node.handler.seen.lock();
    let refused = seen.refused.iter();
    let why = refused.map(|it| (it.refusal.reason, it.refusal.by_this_node));
    why.collect()
}

/// Dials until the reason arrives: a connection that the other side ends may be gone before its
/// alert was read.
async fn until_refused(from: &TestNode, to: &TestNode, by_this_node: bool) {
    let hearing = async {
        while !refusals(from).contains(&(RefusalReason::Tls, by_this_node)) {
            unreachable(from, to).await;
        }
    };
    within(hearing).await;
}

/// Dials until the node that is dialled tells of it.
async fn until_refused_at(from: &TestNode, to: &TestNode, by_this_node: bool) {
    let hearing = async {
        while !refusals(to).contains(&(RefusalReason::Tls, by_this_node)) {
            unreachable(from, to).await;
        }
    };
    within(hearing).await;
}

async fn unreachable(from: &TestNode, to: &TestNode) {
    let answer = within(from.peer(to).call(1, Bytes::new(), soon())).await;
    assert!(
        matches!(answer, Err(CallError::Unreachable(_))),
        "{answer:?}"
    );
    let once = from
        .transport
        .call_address(&to.address(), 1, Bytes::new(), PATIENCE);
    assert!(matches!(within(once).await, Err(CallError::Unreachable(_))));
    // Nobody was let in, so nobody was refused for what it said.
    assert!(
        refusals(to)
            .iter()
            .all(|refused| refused.0 == RefusalReason::Tls)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_one_authority_talk_and_send_snapshots() {
    let authority = Authority::new();
    let a = start_tls(1, authority.certify(&["127.0.0.1"], None));
    let b = start_tls(2, authority.certify(&["127.0.0.1"], None));
    works(&a.peer(&b)).await;
    works(&b.peer(&a)).await;
    let pieces = |_| stream::iter((0..20).map(|_| Ok(Bytes::from(vec![1; 100_000]))));
    let answer = within(a.peer(&b).send_snapshot(Bytes::new(), pieces)).await;
    assert_eq!(&answer.unwrap()[..], b"2000000");
    let call = b
        .transport
        .call_address(&a.address(), 1, Bytes::from_static(b"x"), PATIENCE);
    assert_eq!(&within(call).await.unwrap().1[..], b"x");
    within(a.transport.close()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_name_for_all_nodes_takes_the_place_of_addresses() {
    let authority = Authority::new();
    let certify = || authority.certify(&["raft-kv.internal"], Some("raft-kv.internal"));
    let (a, b) = (start_tls(1, certify()), start_tls(2, certify()));
    works(&a.peer(&b)).await;
    let strict = start_tls(3, authority.certify(&["raft-kv.internal"], None));
    unreachable(&strict, &a).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_of_another_authority_are_refused_in_both_roles() {
    let a = start_tls(1, Authority::new().certify(&["127.0.0.1"], None));
    let b = start_tls(2, Authority::new().certify(&["127.0.0.1"], None));
    unreachable(&a, &b).await;
    unreachable(&b, &a).await;
    // A dialler that trusts the acceptor, and has a certificate that the acceptor does not trust.
    let authority = Authority::new();
    let c = start_tls(3, authority.certify(&["127.0.0.1"], None));
    let mut impostor = Authority::new().certify(&["127.0.0.1"], None);
    impostor.ca = authority.certify(&[], None).ca;
    let impostor = start_tls(4, impostor);
    unreachable(&impostor, &c).await;
    // Each dialler hears why, and on which side.
    until_refused(&a, &b, true).await;
    until_refused(&b, &a, true).await;
    until_refused(&impostor, &c, false).await;
    // And so does each acceptor: of one that it does not trust, and of one that does not trust it.
    until_refused_at(&impostor, &c, true).await;
    until_refused_at(&a, &b, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acceptor_hears_of_diallers_without_tls_and_of_nobody_who_was_let_in() {
    let authority = Authority::new();
    let secured = start_tls(1, authority.certify(&["127.0.0.1"], None));
    let friend = start_tls(2, authority.certify(&["127.0.0.1"], None));
    works(&friend.peer(&secured)).await;
    assert_eq!(refusals(&secured), []);
    let open = start(3);
    until_refused_at(&open, &secured, true).await;
    let seen = secured.handler.seen.lock();
    assert!(seen.refused[0].refusal.text.contains("does not speak TLS"));
    assert_eq!(&*seen.refused[0].address, "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_certificate_nothing_is_answered() {
    let authority = Authority::new();
    let secured = start_tls(1, authority.certify(&["127.0.0.1"], None));
    let open = start(2);
    unreachable(&open, &secured).await;
    unreachable(&secured, &open).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_that_do_not_read_are_errors_at_once() {
    let authority = Authority::new();
    let good = authority.certify(&["127.0.0.1"], None);
    let other = authority.certify(&["127.0.0.1"], None);
    let garbage = b"not a certificate".to_vec();
    let mut wrong_ca = good.clone();
    wrong_ca.ca = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    let mut no_certificate = good.clone();
    no_certificate.certificate.clone_from(&garbage);
    let mut no_key = good.clone();
    no_key.key = garbage;
    let mut other_key = good;
    other_key.key = other.key;
    for tls in [wrong_ca, no_certificate, no_key, other_key] {
        let mut options = options(1);
        options.tls = Some(tls);
        let handler = Arc::new(TestHandler::default());
        let bound = Transport::bind(options, handler, tokio::runtime::Handle::current());
        let error = bound.unwrap_err();
        assert_eq!(error.code(), "INVALID_TLS", "{error}");
    }
}
