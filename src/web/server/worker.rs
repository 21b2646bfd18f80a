//! The workers: do what takes more than a glance at a connection's bytes. They never wait for a
//! client.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, select};

use crate::stdx::stop::Stop;
use crate::stdx::thread::panic_message;

use super::body::BodyReader;
use super::budget::Reserved;
use super::conn::{Conn, Fill};
use super::encode::{Asked, Encoded, Output, encode, refusal};
use super::head::Head;
use super::reject::Reject;
use super::request::Request;
use super::response::Response;
use super::shared::Shared;

/// LIMIT: one TLS record, and the first piece of most bodies.
pub(super) const SCRATCH_BYTES: usize = 16 << 10;

pub(super) struct Job {
    pub conn: Box<Conn>,
    pub task: Task,
    /// The poller stops it when nobody waits for the answer any more.
    pub canceled: Stop,
}

pub(super) enum Task {
    Handshake,
    /// A whole head. `since` is when it was complete.
    Request {
        head: Box<Head>,
        since: Duration,
    },
    Body(Box<Pending>),
}

/// A request whose body is incomplete.
pub(super) struct Pending {
    head: Head,
    reader: BodyReader,
    reserved: Reserved,
    since: Duration,
    pub deadline: Duration,
}

impl Pending {
    pub fn path(&self) -> &str {
        &self.head.path
    }
}

/// A connection on its way back to the poller. Without `conn` it is closed.
pub(super) struct Return {
    pub id: u64,
    pub conn: Option<Box<Conn>>,
    pub then: Then,
}

pub(super) enum Then {
    Handshake,
    Idle,
    Body(Box<Pending>),
    Write(Output),
    Linger,
    Close,
}

pub(super) struct Worker {
    pub shared: Arc<Shared>,
    pub jobs: Receiver<Job>,
    /// Never has one for workers that are kept from queries.
    pub queries: Receiver<Job>,
    pub handshakes: Receiver<Job>,
    /// As large as the number of connections, each of which can be in it once. So sending never
    /// waits.
    pub returns: Sender<Return>,
    pub is_management: bool,
}

impl Worker {
    /// Works until the poller drops its ends.
    pub fn run(self) {
        let mut scratch = vec![0; SCRATCH_BYTES];
        while let Some(mut job) = self.next_job() {
            let id = job.conn.id;
            let then = catch_unwind(AssertUnwindSafe(|| self.work(&mut job, &mut scratch)));
            let back = match then {
                Ok(then) => Return {
                    id,
                    conn: Some(job.conn),
                    then,
                },
                Err(payload) => {
                    log::error!(panic = panic_message(&*payload).as_str();
                        "a request was dropped by a panic");
                    Return {
                        id,
                        conn: None,
                        then: Then::Close,
                    }
                }
            };
            let _ = self.returns.send(back);
            self.shared.waker.wake();
        }
    }

    fn next_job(&self) -> Option<Job> {
        select! {
            recv(self.jobs) -> job => job.ok(),
            recv(self.queries) -> job => job.ok(),
            recv(self.handshakes) -> job => job.ok(),
        }
    }

    fn work(&self, job: &mut Job, scratch: &mut [u8]) -> Then {
        let task = std::mem::replace(&mut job.task, Task::Handshake);
        match task {
            Task::Handshake => self.handshake(&mut job.conn),
            Task::Request { head, since } => self.begin(job, *head, since, scratch),
            Task::Body(pending) => self.receive(job, *pending, scratch),
        }
    }

    fn handshake(&self, conn: &mut Conn) -> Then {
        if conn.talks_plainly() {
            conn.tls = None;
            let text = "Client sent an HTTP request to an HTTPS server.\n";
            let asked = Asked::nothing();
            return Worker::write(
                conn,
                self.encode(Response::text(400, text), &asked, &[]).output,
            );
        }
        match conn.handshake() {
            Ok(true) => Then::Idle,
            Ok(false) => Then::Handshake,
            Err(e) => {
                log::debug!(remote = conn.remote.to_string().as_str(), err = e.to_string().as_str();
                    "TLS handshake failed");
                Then::Close
            }
        }
    }

    fn begin(&self, job: &mut Job, head: Head, since: Duration, scratch: &mut [u8]) -> Then {
        let config = self.shared.access.current();
        if let Some(denied) = self
            .shared
            .access
            .deny(&config, &head.headers, self.is_management)
        {
            let mut asked = Asked::of(&head);
            asked.keep_alive &= !head.has_body();
            drop(head);
            job.conn.share.shrink_to(0);
            self.close_if_stopping(&mut asked);
            let output = self.encode(denied, &asked, &config.headers).output;
            return Worker::write(&mut job.conn, output);
        }
        if head.expects && head.has_body() {
            let mut go_on = Output::of(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec());
            if !job.conn.write(&mut go_on, usize::MAX).unwrap_or(false) {
                return Then::Close;
            }
        }
        let options = &self.shared.options;
        let pending = Pending {
            reader: BodyReader::new(head.framing, options.body_bytes_max),
            head,
            reserved: self.shared.bodies.reserve_nothing(),
            since,
            deadline: options.clock.mono() + options.body_timeout,
        };
        self.receive(job, pending, scratch)
    }

    /// Takes the available bytes of the body. The poller waits for the rest.
    fn receive(&self, job: &mut Job, mut pending: Pending, scratch: &mut [u8]) -> Then {
        loop {
            let conn = &mut job.conn;
            match pending.reader.feed(&conn.input) {
                Ok(used) => drop(conn.input.drain(..used)),
                Err(reject) => return self.refuse(conn, &reject),
            }
            if !pending.reserved.grow_to(pending.reader.held()) {
                let why = "too many request bodies at once";
                return self.refuse(conn, &Reject::new(503, why));
            }
            if pending.reader.is_done() {
                return self.answer(job, pending);
            }
            match conn.fill(scratch) {
                Ok(Fill::Got) => {}
                Ok(Fill::Blocked) => return Then::Body(Box::new(pending)),
                Ok(Fill::End) | Err(_) => return Then::Close,
            }
        }
    }

    fn answer(&self, job: &mut Job, pending: Pending) -> Then {
        let Pending {
            head,
            reader,
            reserved,
            since,
            ..
        } = pending;
        let mut asked = Asked::of(&head);
        let conn = &mut job.conn;
        let request = Request {
            method: head.method,
            path: head.path,
            raw_path: head.raw_path,
            query: head.query,
            headers: head.headers,
            body: reader.into_body(),
            remote: conn.remote,
            canceled: job.canceled.clone(),
        };
        let response = self.call(request);
        drop(reserved);
        conn.share.shrink_to(0);
        // ORDER: after the handler, during which the server may have been told to stop.
        self.close_if_stopping(&mut asked);
        let (handler, status) = (response.handler, response.status);
        let config = self.shared.access.snapshot();
        let mut encoded = self.encode(response, &asked, &config.headers);
        let size = self.shared.metrics.size_of(handler);
        let is_later = size.is_some_and(|size| encoded.output.tell_size(size));
        let bytes = (!is_later).then_some(encoded.body_bytes);
        let took = self.shared.options.clock.mono().saturating_sub(since);
        // ORDER: before writing, so that a client with the answer finds it counted.
        self.shared.metrics.answered(handler, status, took, bytes);
        Worker::write(conn, encoded.output)
    }

    fn call(&self, request: Request) -> Response {
        let handled = catch_unwind(AssertUnwindSafe(|| self.shared.handler.handle(request)));
        handled.unwrap_or_else(|payload| {
            self.shared.metrics.panics.inc();
            log::error!(panic = panic_message(&*payload).as_str(); "an HTTP handler panicked");
            Response::text(500, "Internal Server Error\n")
        })
    }

    fn refuse(&self, conn: &mut Conn, reject: &Reject) -> Then {
        self.shared.refuse(reject);
        conn.forget_input();
        let wall_ms = self.shared.options.clock.wall_ms();
        let config = self.shared.access.snapshot();
        Worker::write(conn, refusal(reject, &config.headers, wall_ms))
    }

    /// Writes what the socket takes. The poller gets the rest.
    fn write(conn: &mut Conn, mut output: Output) -> Then {
        match conn.write(&mut output, usize::MAX) {
            Ok(true) if output.keep_alive => Then::Idle,
            Ok(true) => Then::Linger,
            Ok(false) => Then::Write(output),
            Err(_) => Then::Close,
        }
    }

    fn close_if_stopping(&self, asked: &mut Asked) {
        asked.keep_alive &= !self.shared.stopping.load(Relaxed);
    }

    fn encode(&self, response: Response, asked: &Asked, extra: &[(String, String)]) -> Encoded {
        encode(response, asked, extra, self.shared.options.clock.wall_ms())
    }
}
