//! One scrape loop's connection to its target: kept alive, and made anew when it must be.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use super::common::Common;
use super::deadline::{Canceller, Deadline};
use super::response::Head;
use super::stream::Stream;
use super::target_url::TargetUrl;
use super::{Fetch, NetError, ScrapeRequest, ScrapeResponse, body};

/// An idle connection is reused for this long, as in Prometheus.
const IDLE_MAX: Duration = Duration::from_secs(5 * 60);
/// The same limit as Go's client.
pub(super) const REDIRECTS_MAX: usize = 10;
/// LIMIT: the bytes read of an unwanted answer's body, to keep the connection.
const UNWANTED_BYTES_MAX: u64 = 64 << 10;
/// The size of an answer's first read, which brings the head and the start of the body.
const READ_BYTES: usize = 8 << 10;

/// One loop owns it. It makes [`Canceller`]s for others.
#[derive(Debug)]
pub struct Connection {
    common: Arc<Common>,
    cancel: Canceller,
    live: Option<Live>,
    /// The request as it is sent; kept for its memory.
    out: Vec<u8>,
}

/// A stream that may serve another request.
#[derive(Debug)]
struct Live {
    stream: Stream,
    server: TargetUrl,
    unix_socket: Option<PathBuf>,
    /// The TLS configuration it was made with. Changed files mean another connection.
    tls: Option<Arc<ClientConfig>>,
    idle_since: Duration,
}

/// An answer whose body has been read.
struct Answer {
    head: Head,
    wire_bytes: u64,
}

/// A failed attempt.
struct Failed {
    error: NetError,
    /// The server may not have seen the request, since nothing at all came back.
    unanswered: bool,
    /// The head was good. Go shows later errors without the request.
    in_body: bool,
}

impl Connection {
    pub(super) fn new(common: Arc<Common>, cancel: Canceller) -> Connection {
        Connection {
            common,
            cancel,
            live: None,
            out: Vec::new(),
        }
    }

    /// Ends the request under way, and refuses new ones.
    pub fn canceller(&self) -> Canceller {
        self.cancel.clone()
    }

    /// Follows redirects to the final answer.
    fn follow(
        &mut self,
        request: &ScrapeRequest,
        body: &mut Vec<u8>,
        deadline: &Deadline,
    ) -> Result<Answer, NetError> {
        let mut moved: Option<TargetUrl> = None;
        let mut left_host = false;
        for _ in 0..=REDIRECTS_MAX {
            let url = moved.as_ref().unwrap_or(&request.url);
            let answer = self.authorized(request, url, left_host, body, deadline)?;
            let Some(location) = redirect(&answer.head).filter(|_| self.common.follow_redirects)
            else {
                return Ok(answer);
            };
            let next = url
                .join(location)
                .map_err(|e| e.of_request(request.method, url.as_str()))?;
            // NOTE: sticky, so that credentials dropped at a redirect stay dropped if it leads
            // back.
            left_host |= !same_domain(&next.host, &request.url.host);
            moved = Some(next);
        }
        let url = moved.as_ref().unwrap_or(&request.url);
        Err(NetError::TooManyRedirects.of_request(request.method, url.as_str()))
    }

    /// Returns the answer, or a second one if the first refused a token that had grown old.
    fn authorized(
        &mut self,
        request: &ScrapeRequest,
        url: &TargetUrl,
        left_host: bool,
        body: &mut Vec<u8>,
        deadline: &Deadline,
    ) -> Result<Answer, NetError> {
        let answer = self.exchange(request, url, left_host, body, deadline)?;
        if answer.head.status == 401 && !left_host && self.common.credentials.forget_token() {
            return self.exchange(request, url, left_host, body, deadline);
        }
        Ok(answer)
    }

    /// Makes one request on the living connection or on a new one.
    fn exchange(
        &mut self,
        request: &ScrapeRequest,
        url: &TargetUrl,
        left_host: bool,
        body: &mut Vec<u8>,
        deadline: &Deadline,
    ) -> Result<Answer, NetError> {
        let in_request = |error: NetError| error.of_request(request.method, url.as_str());
        self.render(request, url, left_host, deadline)
            .map_err(in_request)?;
        let unix_socket = request.unix_socket.as_deref();
        let kept = self.take_live(url, unix_socket, deadline);
        if let Some(live) = kept.map_err(in_request)? {
            match self.attempt(live, request, body, deadline) {
                Ok(answer) => return Ok(answer),
                // NOTE: the server closed the idle connection. A fresh one decides.
                Err(failed) if failed.unanswered => {}
                Err(failed) if failed.in_body => return Err(failed.error),
                Err(failed) => return Err(in_request(failed.error)),
            }
        }
        let live = self
            .connect(url, unix_socket, deadline)
            .map_err(in_request)?;
        let done = self.attempt(live, request, body, deadline);
        done.map_err(|failed| {
            if failed.in_body {
                failed.error
            } else {
                in_request(failed.error)
            }
        })
    }

    fn connect(
        &self,
        url: &TargetUrl,
        unix_socket: Option<&Path>,
        deadline: &Deadline,
    ) -> Result<Live, NetError> {
        let dialed = self.common.dialer.dial(url, unix_socket, deadline)?;
        Ok(Live {
            stream: dialed.stream,
            server: url.clone(),
            unix_socket: unix_socket.map(Path::to_owned),
            tls: dialed.tls,
            idle_since: Duration::ZERO,
        })
    }

    /// Takes the living connection, if it leads there and is still usable.
    fn take_live(
        &mut self,
        url: &TargetUrl,
        unix_socket: Option<&Path>,
        deadline: &Deadline,
    ) -> Result<Option<Live>, NetError> {
        let Some(mut live) = self.live.take() else {
            return Ok(None);
        };
        let age = self.common.now().saturating_sub(live.idle_since);
        let fits = live.server.same_server(url)
            && live.unix_socket.as_deref() == unix_socket
            && age < IDLE_MAX
            && live.stream.is_quiet(deadline);
        if !fits {
            return Ok(None);
        }
        if let Some(tls) = &live.tls
            && !Arc::ptr_eq(tls, &self.common.dialer.tls.config()?)
        {
            return Ok(None);
        }
        Ok(Some(live))
    }

    /// Sends the rendered request and reads the answer. Keeps the connection if possible.
    fn attempt(
        &mut self,
        mut live: Live,
        request: &ScrapeRequest,
        body: &mut Vec<u8>,
        deadline: &Deadline,
    ) -> Result<Answer, Failed> {
        let before_head = |error: NetError, nothing_read: bool| Failed {
            unanswered: nothing_read && !matches!(error, NetError::Deadline | NetError::Canceled),
            in_body: false,
            error,
        };
        let stream = &mut live.stream;
        let sent = stream.send_all(&self.out, deadline);
        sent.map_err(|error| before_head(error, true))?;
        let waited = stream.wait_readable(deadline);
        waited.map_err(|error| before_head(error, true))?;
        let mut read = Vec::with_capacity(READ_BYTES);
        let received = Head::receive(stream, &mut read, deadline);
        let (mut head, used) = received.map_err(|error| before_head(error, read.is_empty()))?;
        let wanted = head.status == 200;
        let limit = match request.body_limit {
            _ if !wanted => UNWANTED_BYTES_MAX,
            limit => limit,
        };
        let mut sink = body::Sink {
            body,
            limit,
            unpackers: self.common.unpackers(),
        };
        let result = body::receive(stream, &mut head, read, used, &mut sink, deadline);
        let received = match result {
            Ok(received) => received,
            Err(error @ (NetError::Canceled | NetError::Deadline)) => return Err(in_body(error)),
            // NOTE: the status says more than the failure of an unwanted body.
            Err(_) if !wanted => body::Received {
                wire_bytes: 0,
                clean: false,
            },
            Err(error) => return Err(in_body(error)),
        };
        if head.keep_alive && received.clean {
            live.idle_since = self.common.now();
            self.live = Some(live);
        }
        Ok(Answer {
            head,
            wire_bytes: received.wire_bytes,
        })
    }

    fn render(
        &mut self,
        request: &ScrapeRequest,
        url: &TargetUrl,
        left_host: bool,
        deadline: &Deadline,
    ) -> Result<(), NetError> {
        deadline.remaining()?;
        let out = &mut self.out;
        out.clear();
        out.extend_from_slice(request.method.as_bytes());
        out.push(b' ');
        let proxies = &self.common.dialer.proxies;
        let proxy = match &request.unix_socket {
            None if !url.https => proxies.choose(url),
            _ => None,
        };
        if proxy.is_some() {
            out.extend_from_slice(b"http://");
            out.extend_from_slice(url.authority.as_bytes());
        }
        out.extend_from_slice(url.path.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
        out.extend_from_slice(url.authority.as_bytes());
        out.extend_from_slice(b"\r\n");
        if let Some(value) = proxy.and_then(|proxy| proxy.authorization.as_ref()) {
            out.extend_from_slice(b"Proxy-Authorization: ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(&request.header_lines);
        let encoding = if request.gzip { "gzip" } else { "identity" };
        out.extend_from_slice(b"Accept-Encoding: ");
        out.extend_from_slice(encoding.as_bytes());
        out.extend_from_slice(b"\r\n");
        if !left_host {
            self.common.credentials.push(out, url, deadline)?;
        }
        if request.method != "GET" {
            let line = format!("Content-Length: {}\r\n", request.payload.len());
            out.extend_from_slice(line.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&request.payload);
        Ok(())
    }
}

impl Fetch for Connection {
    fn get(
        &mut self,
        request: &ScrapeRequest,
        body: &mut Vec<u8>,
    ) -> Result<ScrapeResponse, NetError> {
        body.clear();
        let deadline = self.common.deadline(request.timeout, &self.cancel);
        let answer = self.follow(request, body, &deadline)?;
        Ok(ScrapeResponse {
            status: answer.head.status,
            reason: answer.head.reason,
            content_type: answer.head.content_type,
            bytes_read: answer.wire_bytes,
        })
    }
}

fn in_body(error: NetError) -> Failed {
    Failed {
        error,
        unanswered: false,
        in_body: true,
    }
}

fn redirect(head: &Head) -> Option<&str> {
    match head.status {
        301 | 302 | 303 | 307 | 308 => head.location.as_deref(),
        _ => None,
    }
}

/// Whether `host` may receive what belongs to `origin`: it is the same name or a subdomain.
pub(super) fn same_domain(host: &str, origin: &str) -> bool {
    let is_name = origin.parse::<std::net::IpAddr>().is_err();
    let below = host.strip_suffix(origin).is_some_and(|h| h.ends_with('.'));
    host == origin || (is_name && below)
}
