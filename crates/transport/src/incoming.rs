//! Connections that others make: bounded in number, cut when the transport closes, and cut when
//! nobody on them has said who they are in time.

use std::io;
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

use crate::limits::{ACCEPT_RETRY_WAIT, CONNECTIONS_MAX, HELLO_WAIT};

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
    _place: OwnedSemaphorePermit,
}

impl Socket {
    fn new(
        stream: TcpStream,
        mut closed: watch::Receiver<bool>,
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
            _place: place,
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
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
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
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Connected for Socket {
    type ConnectInfo = Admission;

    fn connect_info(&self) -> Admission {
        self.admission.clone()
    }
}

/// The connections that come in, one after the other; never an error, never an end.
pub(crate) fn incoming(
    listener: TcpListener,
    closed: watch::Receiver<bool>,
) -> impl Stream<Item = io::Result<Socket>> + Send {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    stream::unfold(
        (listener, closed, places),
        |(listener, closed, places)| async {
            let place = places.clone().acquire_owned().await.ok()?;
            let stream = loop {
                match listener.accept().await {
                    Ok((stream, _)) => break stream,
                    Err(error) => {
                        tracing::debug!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_RETRY_WAIT).await;
                    }
                }
            };
            let socket = stream
                .set_nodelay(true)
                .map(|()| Socket::new(stream, closed.clone(), place));
            Some((socket, (listener, closed, places)))
        },
    )
    .filter(|socket| std::future::ready(socket.is_ok()))
}
