//! Connections that others make: bounded in number, cut when the transport closes, and cut when
//! nobody on them has said who they are in time. One that ends within its TLS handshake is reported.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::transport::server::Connected;

use crate::core::Core;
use crate::error::{Refusal, RefusalReason};
use crate::limits::{ACCEPT_RETRY_WAIT, CONNECTIONS_MAX, HELLO_WAIT, TLS_ALERT_BYTES_MAX};

/// First byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 22;

/// What is seen of a TLS handshake from below, where all but its first message is hidden.
struct Handshake {
    core: Arc<Core>,
    from: IpAddr,
    first: Option<u8>,
    answered: bool,
    /// Bytes that came after this side had answered.
    after: usize,
    /// It is over: what is served asks the socket about itself.
    done: AtomicBool,
}

impl Handshake {
    fn received(&mut self, bytes: &[u8]) {
        self.first = self.first.or(bytes.first().copied());
        if self.answered {
            self.after = self.after.saturating_add(bytes.len());
        }
    }

    /// Why the connection ended in its handshake; `None` when it did not, or nothing was said.
    fn refusal(&self) -> Option<Refusal> {
        let first = self.first.filter(|_| !self.done.load(Ordering::Relaxed))?;
        let text = if first != TLS_HANDSHAKE {
            "TLS: who connected does not speak TLS"
        } else if self.answered && self.after <= TLS_ALERT_BYTES_MAX {
            let text = "TLS: who connected did not accept this node's certificate, or went away";
            return Some(Refusal {
                reason: RefusalReason::Tls,
                text: text.to_owned(),
                by_this_node: false,
            });
        } else {
            "TLS: who connected has no certificate of this node's authority, or one that is not valid"
        };
        Some(Refusal::ours(RefusalReason::Tls, text.to_owned()))
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        if *self.core.closed.borrow() {
            return;
        }
        if let Some(refusal) = self.refusal() {
            self.core.report(0, &self.from.to_string(), &refusal);
        }
    }
}

/// Says that a node was recognised on the connection that a request came by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admission(Arc<AtomicBool>);

impl Admission {
    pub(crate) fn admit(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// An accepted connection.
pub(crate) struct Socket {
    stream: TcpStream,
    admission: Admission,
    /// Ready when the connection is to be cut.
    end: BoxFuture<'static, ()>,
    cut: bool,
    /// With TLS.
    handshake: Option<Handshake>,
    _place: OwnedSemaphorePermit,
}

impl Socket {
    fn new(
        stream: TcpStream,
        mut closed: watch::Receiver<bool>,
        handshake: Option<Handshake>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let admission = Admission::default();
        let admitted = admission.0.clone();
        let end = async move {
            let closing = async {
                // An error means that the transport is gone, which is the same.
                let _ = closed.wait_for(|closed| *closed).await;
            };
            tokio::pin!(closing);
            let in_time = tokio::time::timeout(HELLO_WAIT, &mut closing).await;
            if in_time.is_err() && admitted.load(Ordering::Relaxed) {
                closing.await;
            }
        };
        Self {
            stream,
            admission,
            end: end.boxed(),
            cut: false,
            handshake,
            _place: place,
        }
    }

    fn answers(&mut self) {
        if let Some(handshake) = &mut self.handshake {
            handshake.answered = true;
        }
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.cut || self.end.poll_unpin(context).is_ready() {
            self.cut = true;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(handshake) = &mut self.handshake {
            handshake.received(&buffer.filled()[before..]);
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.answers();
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.answers();
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Connected for Socket {
    type ConnectInfo = Admission;

    fn connect_info(&self) -> Admission {
        if let Some(handshake) = &self.handshake {
            handshake.done.store(true, Ordering::Relaxed);
        }
        self.admission.clone()
    }
}

/// The connections that come in, one after the other; never an error, never an end. With `tls`
/// those that end in their handshake are reported there.
pub(crate) fn incoming(
    listener: TcpListener,
    closed: watch::Receiver<bool>,
    tls: Option<Arc<Core>>,
) -> impl Stream<Item = io::Result<Socket>> + Send {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    stream::unfold(
        (listener, closed, tls, places),
        |(listener, closed, tls, places)| async {
            let place = places.clone().acquire_owned().await.ok()?;
            let (stream, from) = loop {
                match listener.accept().await {
                    Ok(accepted) => break accepted,
                    Err(error) => {
                        tracing::debug!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_RETRY_WAIT).await;
                    }
                }
            };
            let handshake = tls.clone().map(|core| Handshake {
                core,
                from: from.ip(),
                first: None,
                answered: false,
                after: 0,
                done: AtomicBool::new(false),
            });
            let socket = stream
                .set_nodelay(true)
                .map(|()| Socket::new(stream, closed.clone(), handshake, place));
            Some((socket, (listener, closed, tls, places)))
        },
    )
    .filter(|socket| std::future::ready(socket.is_ok()))
}
