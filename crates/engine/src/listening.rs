//! The engine's own place among other nodes: where it listens, which cluster it belongs to, where
//! others are reached, and the calls of its host to theirs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use raft_kv_transport::{Identity, TlsOptions, Transport, TransportOptions};

use crate::engine::{Engine, Shared};
use crate::error::EngineError;
use crate::host_calls::{self, Answered, Caller, from_fault, with_wait};
use crate::limits::IDENTITY_BITS;
use crate::network::{Nodes, Receiver, transport_error};

/// Where to listen for other nodes.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Host and port of this machine; port 0 takes a free one.
    pub listen: String,
    /// Where others reach this node, if that is another address.
    pub advertise: Option<String>,
    /// Certificates and key; without them everything is sent openly.
    pub tls: Option<TlsOptions>,
}

impl Shared {
    /// The cluster; 0 = none yet.
    pub(crate) fn cluster(&self) -> u64 {
        self.cluster.load(Ordering::SeqCst)
    }

    /// Others are to do without this node: they would wait for it if it went on answering.
    pub(crate) fn end_streams(&self) {
        if let Some(nodes) = self.nodes.get().cloned() {
            self.runtime
                .spawn(async move { nodes.transport().close().await });
        }
    }

    /// A node said where it is reached.
    pub(crate) fn learn_address(&self, node: u64, address: &str) {
        if address.is_empty() || node == self.identity.node || !self.addresses.set(node, address) {
            return;
        }
        if let Some(nodes) = self.nodes.get() {
            nodes.moved(node, address);
        }
    }

    fn own_caller(&self) -> Caller {
        Caller {
            node: self.identity.node,
            incarnation: u64::from(self.identity.incarnation),
            member: self.cluster() != 0,
        }
    }
}

impl Engine {
    /// Listens for other nodes, and returns the address at which they reach this one. Once.
    pub async fn listen(&self, options: ListenOptions) -> Result<String, EngineError> {
        self.run(listen(self.0.clone(), options)).await
    }

    /// This node belongs to this cluster from now on; durable when it returns.
    pub async fn set_cluster(&self, cluster: u64) -> Result<(), EngineError> {
        self.run(set_cluster(self.0.clone(), cluster)).await
    }

    /// Where a node is reached, whatever memberships say. Connects, so that its host hears whether
    /// the node is up.
    pub fn set_node_address(&self, node: u64, address: &str) {
        let shared = &self.0;
        shared.learn_address(node, address);
        if let Some(nodes) = shared.nodes.get().filter(|_| node != shared.identity.node) {
            nodes.watch(node);
        }
    }

    /// Ends the streams to a node that has left.
    pub fn forget_node(&self, node: u64) {
        self.0.addresses.forget(node);
        if let Some(nodes) = self.0.nodes.get() {
            nodes.forget(node);
        }
    }

    /// For tests: this node makes no stream to the nodes `to` and takes none from the nodes `from`,
    /// until this is called again.
    pub fn cut_off(&self, to: &[u64], from: &[u64]) -> Result<(), EngineError> {
        nodes(&self.0)?.transport().cut_off(to, from);
        Ok(())
    }

    /// Calls a node's host, this node's included, and returns its answer.
    pub async fn call_node(
        &self,
        node: u64,
        body: &[u8],
        wait: Duration,
    ) -> Result<Bytes, EngineError> {
        let (shared, body) = (self.0.clone(), with_wait(body, wait));
        shared.check_open()?;
        if node == shared.identity.node {
            return call_self(shared, body).await;
        }
        let nodes = nodes(&shared)?;
        self.run(async move { nodes.call_host(node, body, wait).await })
            .await
    }

    /// Calls the host of whatever node is at an address, this node included.
    pub async fn call_address(
        &self,
        address: &str,
        body: &[u8],
        wait: Duration,
    ) -> Result<Answered, EngineError> {
        let (shared, body) = (self.0.clone(), with_wait(body, wait));
        shared.check_open()?;
        let (nodes, address) = (nodes(&shared)?, address.to_owned());
        self.run(async move {
            let answered = nodes.call_host_at(&address, body.clone(), wait).await?;
            if let Some(answered) = answered {
                return Ok(answered);
            }
            Ok(Answered {
                node: shared.identity.node,
                incarnation: u64::from(shared.identity.incarnation),
                cluster: shared.cluster(),
                address: nodes.transport().advertised(),
                body: call_self(shared, body).await?,
            })
        })
        .await
    }

    /// Answers the event "call"; whether somebody still waits for the answer.
    pub fn answer_host_call(&self, ticket: u64, body: Bytes) -> bool {
        self.0.calls.answer(ticket, body)
    }
}

async fn call_self(shared: Arc<Shared>, body: Bytes) -> Result<Bytes, EngineError> {
    let caller = shared.own_caller();
    let answer = host_calls::take(shared, caller, body).await;
    answer.map_err(from_fault)
}

fn nodes(shared: &Shared) -> Result<Arc<Nodes>, EngineError> {
    let nodes = shared.nodes.get().cloned();
    nodes.ok_or_else(|| EngineError::NotSent("this node does not listen".into()))
}

async fn listen(shared: Arc<Shared>, options: ListenOptions) -> Result<String, EngineError> {
    let _settling = shared.settling.lock().await;
    shared.check_open()?;
    if shared.nodes.get().is_some() {
        return Err(EngineError::InvalidArgument(
            "this node listens already".into(),
        ));
    }
    let identity = Identity {
        cluster_name: shared.identity.cluster_name.clone(),
        cluster: shared.cluster(),
        node: shared.identity.node,
        incarnation: shared.identity.incarnation.into(),
    };
    let advertises = options.advertise.is_some();
    let options = TransportOptions {
        advertise: options.advertise,
        tls: options.tls,
        ..TransportOptions::new(options.listen, identity)
    };
    let receiver = Arc::new(Receiver::new(&shared));
    let transport = Transport::bind(options, receiver, shared.runtime.clone());
    let transport = transport.map_err(transport_error)?;
    if !advertises && transport.address().ip().is_unspecified() {
        let what = "other nodes cannot reach an address that stands for all: say what to advertise";
        transport.close().await;
        return Err(EngineError::InvalidOption(what.into()));
    }
    transport.refuse_nodes(&shared.lost.all());
    let advertised = transport.advertised();
    let nodes = Arc::new(Nodes::new(transport, shared.addresses.clone()));
    // Both for the first time: the lock is held.
    drop(shared.nodes.set(nodes.clone()));
    shared.links.connect(nodes.clone());
    let known = shared.addresses.nodes();
    known.into_iter().for_each(|node| nodes.watch(node));
    Ok(advertised)
}

async fn set_cluster(shared: Arc<Shared>, cluster: u64) -> Result<(), EngineError> {
    let _settling = shared.settling.lock().await;
    shared.check_open()?;
    if cluster == 0 || cluster >> IDENTITY_BITS != 0 {
        return Err(EngineError::InvalidArgument(format!(
            "{cluster} is no cluster's id"
        )));
    }
    let stored = shared.cluster();
    if stored != 0 && stored != cluster {
        return Err(EngineError::OtherCluster(format!(
            "this node's data belongs to cluster {stored}, not to {cluster}"
        )));
    }
    if stored == 0 {
        shared.save_identity(cluster).await?;
        shared.cluster.store(cluster, Ordering::SeqCst);
    }
    match shared.nodes.get() {
        Some(nodes) => nodes
            .transport()
            .set_cluster(cluster)
            .map_err(transport_error),
        None => Ok(()),
    }
}
