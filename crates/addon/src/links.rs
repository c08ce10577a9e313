//! `NativeEngine`: the way to other nodes.

use std::time::Duration;

use bytes::Bytes;
use napi::{
    Env,
    bindgen_prelude::{Buffer, Either, Null, Object},
};
use napi_derive::napi;
use raft_kv_engine::{Answered, ListenOptions, TlsOptions};

use crate::{
    arguments::{integer_between, node, nodes},
    engine::NativeEngine,
    errors::{Result, from_engine},
    limits::{CALL_WAIT_MS_MAX, INTEGER_MAX},
    promise::promise,
};

/// Certificates and key, as PEM.
#[napi(object, object_to_js = false)]
pub struct NativeTls {
    /// Who may sign the nodes' certificates.
    pub ca: String,
    /// This node's certificate.
    pub cert: String,
    /// Its key.
    pub key: String,
    /// The name that every node's certificate carries; null: the host that is dialled.
    pub server_name: Either<String, Null>,
}

/// Where to listen for other nodes.
#[napi(object, object_to_js = false)]
pub struct NativeListenOptions {
    /// Host and port of this machine.
    pub listen: String,
    /// Where others reach this node; null: there.
    pub advertise: Either<String, Null>,
    /// Null: everything is sent openly.
    pub tls: Either<NativeTls, Null>,
}

fn given<T>(value: Either<T, Null>) -> Option<T> {
    match value {
        Either::A(value) => Some(value),
        Either::B(Null) => None,
    }
}

impl From<NativeListenOptions> for ListenOptions {
    fn from(options: NativeListenOptions) -> Self {
        Self {
            listen: options.listen,
            advertise: given(options.advertise),
            tls: given(options.tls).map(|tls| TlsOptions {
                ca: tls.ca.into(),
                certificate: tls.cert.into(),
                key: tls.key.into(),
                server_name: given(tls.server_name),
            }),
        }
    }
}

/// What the node at an address answered, and who it is.
#[napi(object, object_from_js = false)]
pub struct NativeAddressAnswer {
    /// The node.
    pub node: f64,
    /// Its incarnation.
    pub incarnation: f64,
    /// Its cluster; 0 = none yet.
    pub cluster: f64,
    /// Where it says it is reached.
    pub address: String,
    /// What its host answered.
    pub body: Buffer,
}

impl From<Answered> for NativeAddressAnswer {
    fn from(answered: Answered) -> Self {
        Self {
            node: answered.node as f64,
            incarnation: answered.incarnation as f64,
            cluster: answered.cluster as f64,
            address: answered.address,
            body: answered.body.to_vec().into(),
        }
    }
}

fn wait(milliseconds: f64) -> Result<Duration> {
    integer_between("timeoutMs", milliseconds, 1, CALL_WAIT_MS_MAX).map(Duration::from_millis)
}

#[napi]
impl NativeEngine {
    /// Listens for other nodes, and resolves to the address at which they reach this one.
    #[napi(catch_unwind, ts_return_type = "Promise<string>")]
    pub fn listen<'env>(
        &self,
        env: &'env Env,
        options: NativeListenOptions,
    ) -> Result<Object<'env>> {
        let engine = self.delivery.engine()?;
        let listening = engine.clone();
        promise(env, &engine, async move {
            listening.listen(options.into()).await
        })
    }

    /// This node belongs to this cluster from now on.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn set_cluster<'env>(&self, env: &'env Env, cluster: f64) -> Result<Object<'env>> {
        let (engine, cluster) = (self.delivery.engine()?, node("cluster", cluster)?);
        let setting = engine.clone();
        promise(
            env,
            &engine,
            async move { setting.set_cluster(cluster).await },
        )
    }

    /// Where a node is reached.
    #[napi(catch_unwind)]
    pub fn set_node_address(&self, node: f64, address: String) -> Result<()> {
        let node = self::node("node", node)?;
        self.delivery.with_engine(|engine| {
            engine.set_node_address(node, &address);
            Ok(())
        })
    }

    /// Ends the streams to a node that has left.
    #[napi(catch_unwind)]
    pub fn forget_node(&self, node: f64) -> Result<()> {
        let node = self::node("node", node)?;
        self.delivery.with_engine(|engine| {
            engine.forget_node(node);
            Ok(())
        })
    }

    /// These nodes are lost for good, and refused from now on.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn give_up_nodes<'env>(&self, env: &'env Env, nodes: Vec<f64>) -> Result<Object<'env>> {
        let engine = self.delivery.engine()?;
        let nodes = self::nodes("nodes", &nodes)?.into_iter().collect();
        let giving_up = engine.clone();
        promise(
            env,
            &engine,
            async move { giving_up.give_up_nodes(nodes).await },
        )
    }

    /// Makes no streams to the nodes `to` and takes none from the nodes `from`, for tests.
    #[napi(catch_unwind)]
    pub fn cut_off(&self, to: Vec<f64>, from: Vec<f64>) -> Result<()> {
        let to: Vec<u64> = nodes("to", &to)?.into_iter().collect();
        let from: Vec<u64> = nodes("from", &from)?.into_iter().collect();
        self.delivery.with_engine(|engine| {
            engine
                .cut_off(&to, &from)
                .map_err(|error| from_engine(&error))
        })
    }

    /// Calls a node's host.
    #[napi(catch_unwind, ts_return_type = "Promise<Buffer>")]
    pub fn call_node<'env>(
        &self,
        env: &'env Env,
        node: f64,
        body: &[u8],
        timeout_ms: f64,
    ) -> Result<Object<'env>> {
        let (engine, node) = (self.delivery.engine()?, self::node("node", node)?);
        let (body, wait) = (Bytes::copy_from_slice(body), wait(timeout_ms)?);
        let calling = engine.clone();
        promise(env, &engine, async move {
            let answer = calling.call_node(node, &body, wait).await;
            answer.map(|answer| Buffer::from(answer.to_vec()))
        })
    }

    /// Calls the host of whatever node is at an address.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeAddressAnswer>")]
    pub fn call_address<'env>(
        &self,
        env: &'env Env,
        address: String,
        body: &[u8],
        timeout_ms: f64,
    ) -> Result<Object<'env>> {
        let engine = self.delivery.engine()?;
        let (body, wait) = (Bytes::copy_from_slice(body), wait(timeout_ms)?);
        let calling = engine.clone();
        promise(env, &engine, async move {
            let answer = calling.call_address(&address, &body, wait).await;
            answer.map(NativeAddressAnswer::from)
        })
    }

    /// Answers the event "call".
    #[napi(catch_unwind)]
    pub fn answer_call(&self, ticket: f64, body: &[u8]) -> Result<()> {
        let ticket = integer_between("ticket", ticket, 1, INTEGER_MAX)?;
        let body = Bytes::copy_from_slice(body);
        self.delivery.with_engine(|engine| {
            // Whoever called may no longer wait.
            engine.answer_host_call(ticket, body);
            Ok(())
        })
    }
}
