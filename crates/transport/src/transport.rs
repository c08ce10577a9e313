//! This node's end of all streams: listens, dials, closes.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::transport::{Certificate, Identity as Credentials, Server, ServerTlsConfig};

use crate::acceptor::Acceptor;
use crate::convert;
use crate::core::{Core, Event, Rhythm, tell_handler};
use crate::dialer;
use crate::dialing::Dialing;
use crate::error::{CallError, TransportError, with_causes};
use crate::handler::{Handler, PeerIdentity};
use crate::hello::Introduction;
use crate::incoming::incoming;
use crate::limits::{
    ADDRESS_BYTES_MAX, CLOSE_WAIT, CLUSTER_NAME_BYTES_MAX, CONNECTION_WINDOW_BYTES,
    DECODE_BYTES_MAX, HTTP2_FRAME_BYTES_MAX, KEEPALIVE_INTERVAL, KEEPALIVE_WAIT,
    STREAM_WINDOW_BYTES, STREAMS_PER_CONNECTION_MAX,
};
use crate::options::{TlsOptions, TransportOptions};
use crate::outbox::Outbox;
use crate::peer::Peer;
use crate::statistics::PeerStatistics;
use crate::wire;
use crate::wire::item::Kind;
use crate::wire::link_server::LinkServer;

/// This node's end of all streams. Dropping it closes it without waiting.
pub struct Transport {
    core: Arc<Core>,
    address: SocketAddr,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Transport")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

fn listen(address: &str) -> Result<(StdListener, SocketAddr), TransportError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => TransportError::AddressInUse(address.to_owned()),
        _ => TransportError::CannotListen {
            address: address.to_owned(),
            reason: error.to_string(),
        },
    };
    let listener = StdListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn server(tls: Option<&TlsOptions>) -> Result<Server, TransportError> {
    let server = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(HTTP2_FRAME_BYTES_MAX)
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_WAIT));
    let Some(tls) = tls else {
        return Ok(server);
    };
    let config = ServerTlsConfig::new()
        .identity(Credentials::from_pem(&tls.certificate, &tls.key))
        .client_ca_root(Certificate::from_pem(&tls.ca))
        .client_auth_optional(false);
    server
        .tls_config(config)
        .map_err(|error| TransportError::InvalidTls(with_causes(&error)))
}

fn check(options: &TransportOptions) -> Result<(), TransportError> {
    let wrong = |text: &str| Err(TransportError::InvalidOption(text.to_owned()));
    let identity = &options.identity;
    if identity.node == 0 {
        return wrong("a node's id is not 0");
    }
    if identity.cluster_name.len() > CLUSTER_NAME_BYTES_MAX {
        return wrong("the cluster's name is too long");
    }
    let waits = [
        options.ping_interval,
        options.connect_wait,
        options.reconnect_wait_max,
    ];
    if waits.iter().any(Duration::is_zero) || options.pings_unanswered_max == 0 {
        return wrong("intervals, waits and the number of unanswered pings are not 0");
    }
    Ok(())
}

impl Transport {
    /// Listens. Streams and the handler run on `runtime`, whose I/O and time must be enabled.
    ///
    /// # Errors
    /// When the address cannot be had, or an option or the TLS configuration is wrong.
    pub fn bind(
        options: TransportOptions,
        handler: Arc<dyn Handler>,
        runtime: Handle,
    ) -> Result<Self, TransportError> {
        check(&options)?;
        let server = server(options.tls.as_ref())?;
        let dialing = Dialing::new(options.tls.as_ref(), options.connect_wait);
        let (listener, address) = listen(&options.listen)?;
        let advertised = options.advertise.unwrap_or_else(|| address.to_string());
        if advertised.len() > ADDRESS_BYTES_MAX {
            let text = "the advertised address is too long".to_owned();
            return Err(TransportError::InvalidOption(text));
        }
        dialing
            .endpoint(&advertised)
            .map_err(|text| match options.tls {
                Some(_) => TransportError::InvalidTls(text),
                None => TransportError::InvalidOption(text),
            })?;
        let introduction = Introduction {
            identity: options.identity,
            instance: rand::random(),
            format_version: options.format_version,
            address: advertised,
        };
        let rhythm = Rhythm {
            ping_interval: options.ping_interval,
            pings_unanswered_max: options.pings_unanswered_max,
            reconnect_wait_max: options.reconnect_wait_max,
        };
        let (events, queue) = mpsc::unbounded_channel();
        let core = Core::new(
            introduction,
            handler.clone(),
            runtime,
            dialing,
            rhythm,
            events,
        );
        let telling = core.spawn(tell_handler(handler, queue));
        let serving = serve(&core, server, listener, options.tls.is_some()).map_err(|error| {
            TransportError::CannotListen {
                address: options.listen,
                reason: error.to_string(),
            }
        })?;
        Ok(Self {
            core,
            address,
            tasks: Mutex::new(vec![serving, telling]),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it tells others to dial.
    #[must_use]
    pub fn advertised(&self) -> String {
        self.core.introduction.read().address.clone()
    }

    /// This node has started or joined a cluster. Streams that are there may be used for groups
    /// from now on.
    ///
    /// # Errors
    /// When the node has another cluster already.
    pub fn set_cluster(&self, cluster: u64) -> Result<(), TransportError> {
        let mut introduction = self.core.introduction.write();
        let stored = introduction.identity.cluster;
        if stored != 0 && stored != cluster {
            let given = cluster;
            return Err(TransportError::ClusterFixed { stored, given });
        }
        introduction.identity.cluster = cluster;
        drop(introduction);
        if stored != cluster {
            self.core.introduce_again();
        }
        Ok(())
    }

    /// Another node at its address. An address other than before takes that one's place; what is
    /// under way to the former fails.
    #[must_use]
    pub fn peer(&self, node: u64, address: &str) -> Peer {
        let lane = self.core.lane(node, address).unwrap_or_else(|| {
            let lane = crate::lane::Lane::new(node, address, Arc::default());
            lane.close("closed");
            lane
        });
        lane.move_to(&self.core, address);
        Peer::new(self.core.clone(), lane)
    }

    /// Ends all streams with a node and forgets what was known of it. Peers of it that are still
    /// held say "closed".
    pub fn forget(&self, node: u64) {
        self.core.forget(node);
    }

    /// Calls a method of whatever node is at an address, on a stream of its own; gives the answer
    /// and who gave it.
    ///
    /// # Errors
    /// As [`Peer::call`]; [`crate::RefusalReason::OwnNode`] if this node itself is there.
    pub fn call_address(
        &self,
        address: &str,
        method: u32,
        body: Bytes,
        timeout: Duration,
    ) -> impl Future<Output = Result<(PeerIdentity, Bytes), CallError>> + Send + use<> {
        let (core, address) = (self.core.clone(), address.to_owned());
        async move {
            let deadline = Instant::now() + timeout;
            let call = Kind::Call(wire::NodeCall { method, body });
            tokio::select! {
                () = core.until_closed() => Err(CallError::Closed),
                result = tokio::time::timeout_at(
                    deadline.into(),
                    call_once(&core, &address, call, deadline),
                ) => result.unwrap_or(Err(CallError::TimedOut)),
            }
        }
    }

    /// Ends all streams with these nodes, and refuses every further one: they were given up for
    /// lost.
    pub fn refuse_nodes(&self, nodes: &[u64]) {
        self.core.refuse_nodes(nodes);
    }

    /// For tests: makes no stream to the nodes `to` and takes none from the nodes `from`, until this
    /// is called again; those that are there end at once. A snapshot that is being taken goes on
    /// until its sender, cut off in turn, ends it.
    pub fn cut_off(&self, to: &[u64], from: &[u64]) {
        self.core.cut_off(to, from);
    }

    /// What was exchanged with each peer.
    #[must_use]
    pub fn statistics(&self) -> Vec<PeerStatistics> {
        let lanes = self.core.lanes();
        lanes.iter().map(|lane| lane.statistics()).collect()
    }

    /// Closes: ends all streams, which settles all calls, stops listening, and waits until that is
    /// done and the handler has been told the last event. Closing twice does nothing more.
    pub async fn close(&self) {
        self.core.close();
        self.core.tell(Event::End);
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for mut task in tasks {
            if tokio::time::timeout(CLOSE_WAIT, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.core.close();
        self.core.tell(Event::End);
    }
}

async fn call_once(
    core: &Arc<Core>,
    address: &str,
    call: Kind,
    deadline: Instant,
) -> Result<(PeerIdentity, Bytes), CallError> {
    let outbox = Outbox::new(Arc::default());
    let opened = dialer::open(core, address, 0, &outbox).await?;
    outbox.open();
    let answer = outbox.request(0, call)?.wait(deadline);
    let remote = opened.remote.clone();
    let kind = tokio::select! {
        kind = answer => kind?,
        problem = dialer::listen(opened, &outbox) => return Err(problem),
    };
    Ok((remote, convert::call_result_from_wire(kind)?))
}

fn serve(
    core: &Arc<Core>,
    server: Server,
    listener: StdListener,
    tls: bool,
) -> io::Result<JoinHandle<()>> {
    let _context = core.runtime.enter();
    let listener = TcpListener::from_std(listener)?;
    let connections = incoming(listener, core.closed.subscribe(), tls.then(|| core.clone()));
    let service =
        LinkServer::new(Acceptor::new(core.clone())).max_decoding_message_size(DECODE_BYTES_MAX);
    let serving = core.clone();
    Ok(core.spawn(async move {
        let closed = serving.until_closed();
        let served = server
            .serve_with_incoming_shutdown(service, connections, closed)
            .await;
        if let Err(error) = served {
            tracing::error!(error = with_causes(&error), "listening ended");
        }
    }))
}
