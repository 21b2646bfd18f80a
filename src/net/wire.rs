//! This room's connections in the form that `ureq` wants.

use std::sync::Arc;
use std::time::Duration;

use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use super::NetError;
use super::deadline::{Canceller, Deadline};
use super::dial::{Dialed, Dialer};
use super::target_url::TargetUrl;

/// LIMIT: the head of an answer, the same as for scrapes.
pub(super) const HEAD_BYTES_MAX: usize = 16 << 10;
/// LIMIT: stands for "no timeout", which nothing here has.
pub(super) const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// LIMIT: looking at an idle connection never waits. This bounds it all the same.
const PROBE_MAX: Duration = Duration::from_secs(1);

/// Resolves nothing: ureq asks for addresses before it needs any, and ours are found while
/// dialling.
#[derive(Debug)]
pub(super) struct NoNames;

impl Resolver for NoNames {
    fn resolve(
        &self,
        _: &ureq::http::Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

/// Connects by this room's own rules.
#[derive(Debug)]
pub(super) struct Dial {
    pub dialer: Arc<Dialer>,
    /// Ends every connection that it makes.
    pub cancel: Canceller,
}

impl Connector for Dial {
    type Out = Wire;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Wire>, ureq::Error> {
        let url = TargetUrl::parse(&details.uri.to_string()).map_err(wrapped)?;
        let deadline = Wire::deadline(&self.dialer, &self.cancel, *details.timeout.after);
        let dialed = self.dialer.dial(&url, None, &deadline);
        let dialed = dialed.map_err(|error| timed(error, &details.timeout))?;
        let proxied = !url.https && self.dialer.proxies.choose(&url).is_some();
        Ok(Some(Wire {
            dialed,
            absolute: proxied.then(|| format!("http://{}", url.authority)),
            at_start: true,
            secure: url.https,
            buffers: LazyBuffers::new(
                details.config.input_buffer_size(),
                details.config.output_buffer_size(),
            ),
            dialer: self.dialer.clone(),
            cancel: self.cancel.clone(),
        }))
    }
}

/// A stream of this room in the form that ureq wants.
pub(super) struct Wire {
    dialed: Dialed,
    /// What a plain proxy wants before the path.
    absolute: Option<String>,
    /// The next bytes to send begin a request.
    at_start: bool,
    secure: bool,
    buffers: LazyBuffers,
    dialer: Arc<Dialer>,
    cancel: Canceller,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

impl Wire {
    fn deadline(dialer: &Dialer, cancel: &Canceller, left: Duration) -> Deadline {
        Deadline::new(&dialer.env.clock, left.min(TIMEOUT_MAX), cancel)
    }

    fn send(&mut self, amount: usize, deadline: &Deadline) -> Result<(), NetError> {
        let bytes = self.buffers.output().get(..amount).unwrap_or_default();
        let stream = &mut self.dialed.stream;
        if std::mem::replace(&mut self.at_start, false)
            && let Some(prefix) = &self.absolute
            && let Some(space) = bytes.iter().position(|b| *b == b' ')
        {
            let (method, rest) = bytes.split_at(space + 1);
            let head = [method, prefix.as_bytes(), rest].concat();
            return stream.send_all(&head, deadline);
        }
        stream.send_all(bytes, deadline)
    }
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let deadline = Wire::deadline(&self.dialer, &self.cancel, *timeout.after);
        self.send(amount, &deadline)
            .map_err(|error| timed(error, &timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let timeout = timeout.for_read();
        let deadline = Wire::deadline(&self.dialer, &self.cancel, *timeout.after);
        self.at_start = true;
        let into = self.buffers.input_append_buf();
        if into.is_empty() {
            return Err(wrapped(NetError::Body(format!(
                "net/http: server response headers exceeded {HEAD_BYTES_MAX} bytes; aborted"
            ))));
        }
        let n = self
            .dialed
            .stream
            .recv(into, &deadline)
            .map_err(|error| timed(error, &timeout))?;
        self.buffers.input_appended(n);
        Ok(n > 0)
    }

    fn is_open(&mut self) -> bool {
        let current = match &self.dialed.tls {
            None => true,
            Some(tls) => {
                let now = self.dialer.tls.config();
                now.is_ok_and(|now| Arc::ptr_eq(tls, &now))
            }
        };
        let deadline = Wire::deadline(&self.dialer, &self.cancel, PROBE_MAX);
        current && self.dialed.stream.is_quiet(&deadline)
    }

    fn is_tls(&self) -> bool {
        self.secure
    }
}

fn wrapped(error: NetError) -> ureq::Error {
    ureq::Error::Other(Box::new(error))
}

fn timed(error: NetError, timeout: &NextTimeout) -> ureq::Error {
    match error {
        NetError::Deadline => ureq::Error::Timeout(timeout.reason),
        other => wrapped(other),
    }
}
