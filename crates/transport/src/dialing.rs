//! How connections are made: the settings of HTTP/2 and TLS on the dialling side.

use std::time::Duration;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::error::with_causes;
use crate::limits::{
    CONNECTION_WINDOW_BYTES, HTTP2_FRAME_BYTES_MAX, KEEPALIVE_INTERVAL, KEEPALIVE_WAIT,
    STREAM_WINDOW_BYTES,
};
use crate::options::TlsOptions;

/// Makes connections.
#[derive(Clone, Debug)]
pub(crate) struct Dialing {
    tls: Option<ClientTlsConfig>,
    connect_wait: Duration,
}

impl Dialing {
    pub(crate) fn new(tls: Option<&TlsOptions>, connect_wait: Duration) -> Self {
        let tls = tls.map(|tls| {
            let config = ClientTlsConfig::new()
                .ca_certificate(Certificate::from_pem(&tls.ca))
                .identity(Identity::from_pem(&tls.certificate, &tls.key))
                .timeout(connect_wait);
            match &tls.server_name {
                Some(name) => config.domain_name(name),
                None => config,
            }
        });
        Self { tls, connect_wait }
    }

    /// The way to an address; an error says what is wrong with it, or with the certificates.
    pub(crate) fn endpoint(&self, address: &str) -> Result<Endpoint, String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
            .map_err(|error| format!("{address} is no address: {}", with_causes(&error)))?
            .connect_timeout(self.connect_wait)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_WAIT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(HTTP2_FRAME_BYTES_MAX);
        match &self.tls {
            Some(tls) => endpoint
                .tls_config(tls.clone())
                .map_err(|error| with_causes(&error)),
            None => Ok(endpoint),
        }
    }

    /// A new connection.
    pub(crate) async fn connect(&self, address: &str) -> Result<Channel, String> {
        self.endpoint(address)?
            .connect()
            .await
            .map_err(|error| with_causes(&error))
    }
}
