//! Bodies that a handler writes piece by piece while it computes them.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::stdx::clock::Clock;

use super::conn::Conn;
use super::encode::{Output, push_chunk, push_last_chunk};

/// LIMIT: what a stream gathers before it is sent, so that lines do not become packets.
const STREAM_BUFFER_BYTES: usize = 16 << 10;

/// Where a [`super::Body::Stream`] closure writes to. What is written is sent when 16 KiB have come
/// together and on `flush`. Errors mean that the client has gone or does not read.
pub struct BodyWriter<'a> {
    conn: &'a mut Conn,
    clock: Arc<dyn Clock>,
    buffer: Vec<u8>,
    chunked: bool,
    timeout: Duration,
    sent: usize,
}

impl<'a> BodyWriter<'a> {
    pub(super) fn new(
        conn: &'a mut Conn,
        clock: Arc<dyn Clock>,
        chunked: bool,
        timeout: Duration,
    ) -> BodyWriter<'a> {
        BodyWriter {
            conn,
            clock,
            buffer: Vec::new(),
            chunked,
            timeout,
            sent: 0,
        }
    }

    /// How many bytes of the body were sent.
    pub fn sent(&self) -> usize {
        self.sent
    }

    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.send(true)
    }

    pub(super) fn send_head(&mut self, output: &mut Output) -> io::Result<()> {
        let deadline = self.clock.mono() + self.timeout;
        self.conn.write_all(output, &*self.clock, deadline)
    }

    fn send(&mut self, last: bool) -> io::Result<()> {
        let mut framed = Vec::with_capacity(self.buffer.len() + 24);
        push_chunk(&mut framed, &self.buffer, self.chunked);
        if last {
            push_last_chunk(&mut framed, self.chunked);
        }
        self.sent += self.buffer.len();
        self.buffer.clear();
        let deadline = self.clock.mono() + self.timeout;
        let mut output = Output::of(framed);
        self.conn.write_all(&mut output, &*self.clock, deadline)
    }
}

impl Write for BodyWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= STREAM_BUFFER_BYTES {
            self.send(false)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.send(false)
    }
}
