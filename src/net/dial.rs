//! Connects to a URL: name, address, socket, proxy, TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use super::counters::DialCounters;
use super::deadline::Deadline;
use super::proxy::{Proxy, ProxyRules, connect_request};
use super::request::push_header;
use super::response::Head;
use super::socket::Socket;
use super::stream::Stream;
use super::target_url::TargetUrl;
use super::tls::TlsSource;
use super::{ClientSettings, Env, NetError};

/// How one client connects.
#[derive(Debug)]
pub(super) struct Dialer {
    pub env: Env,
    pub tls: TlsSource,
    pub proxies: ProxyRules,
    counters: DialCounters,
    /// Finished header lines.
    connect_headers: Vec<u8>,
}

/// A stream with the TLS configuration that it was made with.
#[derive(Debug)]
pub(super) struct Dialed {
    pub stream: Stream,
    pub tls: Option<Arc<ClientConfig>>,
}

/// LIMIT: the least time that each of several addresses gets, as in Go.
const ADDRESS_TIME_MIN: Duration = Duration::from_secs(2);
/// LIMIT: the answer to CONNECT.
const CONNECT_HEAD_BYTES: usize = 4 << 10;

impl Dialer {
    pub fn new(settings: &ClientSettings, name: &str, env: &Env) -> Result<Dialer, NetError> {
        let mut connect_headers = Vec::new();
        for (name, value) in &settings.proxy.connect_headers {
            push_header(&mut connect_headers, name, value.expose())?;
        }
        Ok(Dialer {
            tls: TlsSource::new(&settings.tls, &env.provider, &env.roots),
            proxies: ProxyRules::new(&settings.proxy)?,
            counters: env.metrics.of(name),
            connect_headers,
            env: env.clone(),
        })
    }

    pub fn dial(
        &self,
        url: &TargetUrl,
        unix_socket: Option<&Path>,
        deadline: &Deadline,
    ) -> Result<Dialed, NetError> {
        let proxy = if unix_socket.is_some() {
            None
        } else {
            self.proxies.check(url)?;
            self.proxies.choose(url)
        };
        let mut stream = self.counted_connect(url, unix_socket, proxy, deadline)?;
        let mut tls = None;
        if let Some(proxy) = proxy {
            if proxy.url.https {
                (stream, tls) = self.secure(stream, &proxy.url.host, true, deadline)?;
            }
            if url.https {
                self.tunnel(&mut stream, url, proxy, deadline)?;
            }
        }
        if url.https {
            (stream, tls) = self.secure(stream, &url.host, false, deadline)?;
        }
        Ok(Dialed { stream, tls })
    }

    fn counted_connect(
        &self,
        url: &TargetUrl,
        unix_socket: Option<&Path>,
        proxy: Option<&Proxy>,
        deadline: &Deadline,
    ) -> Result<Stream, NetError> {
        self.counters.attempted.inc();
        let connected = match (unix_socket, proxy) {
            (Some(path), _) => Socket::connect_unix(path, &self.counters.closed, deadline),
            (None, Some(proxy)) => self.connect(&proxy.url, deadline),
            (None, None) => self.connect(url, deadline),
        };
        match &connected {
            Ok(_) => self.counters.established.inc(),
            Err(error) => self.counters.count_failure(error),
        }
        connected.map(Stream::Plain)
    }

    /// Tries the addresses in order. Each but the last gets its share of the time left.
    fn connect(&self, url: &TargetUrl, deadline: &Deadline) -> Result<Socket, NetError> {
        let addresses = self.env.resolver.resolve(&url.host, deadline)?;
        let mut first_error = None;
        for (i, address) in addresses.iter().enumerate() {
            let address = SocketAddr::new(*address, url.port);
            let left = u32::try_from(addresses.len() - i).unwrap_or(u32::MAX);
            let share = (deadline.remaining()? / left).max(ADDRESS_TIME_MIN);
            let sooner = deadline.at_most(share);
            match Socket::connect_tcp(address, &self.counters.closed, &sooner) {
                Ok(socket) => return Ok(socket),
                Err(error) => {
                    // NOTE: the deadline or a cancellation takes precedence over the address's
                    // error.
                    deadline.remaining()?;
                    let error = match error {
                        NetError::Deadline => NetError::DialTimeout {
                            address: address.to_string(),
                        },
                        other => other,
                    };
                    first_error.get_or_insert(error);
                }
            }
        }
        Err(first_error.unwrap_or_else(|| NetError::Lookup {
            host: url.host.clone(),
            reason: "no such host".to_owned(),
        }))
    }

    fn secure(
        &self,
        stream: Stream,
        host: &str,
        is_proxy: bool,
        deadline: &Deadline,
    ) -> Result<(Stream, Option<Arc<ClientConfig>>), NetError> {
        let config = self.tls.config()?;
        let name = self.tls.server_name(host, is_proxy)?;
        let wall_ms = self.env.clock.wall_ms();
        let stream = stream.into_tls(config.clone(), name, wall_ms, deadline)?;
        Ok((stream, Some(config)))
    }

    fn tunnel(
        &self,
        stream: &mut Stream,
        url: &TargetUrl,
        proxy: &Proxy,
        deadline: &Deadline,
    ) -> Result<(), NetError> {
        let request = connect_request(url, proxy, &self.connect_headers);
        stream.send_all(&request, deadline)?;
        let mut answer = Vec::with_capacity(CONNECT_HEAD_BYTES);
        // NOTE: reading beyond the head is safe, since a proxy has nothing to say after it before
        // we speak.
        let (head, used) = Head::receive(stream, &mut answer, deadline)?;
        if head.status / 100 != 2 {
            return Err(NetError::Proxy(head.reason));
        }
        if used != answer.len() {
            let text = "proxy sent bytes of its own after its answer to CONNECT";
            return Err(NetError::Proxy(text.to_owned()));
        }
        Ok(())
    }
}
