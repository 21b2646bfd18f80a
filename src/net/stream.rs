//! The bytes of a connection, plain or through TLS (twice through a TLS proxy).

use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use super::NetError;
use super::deadline::Deadline;
use super::socket::Socket;
use super::tls_error::tls_error;

#[derive(Debug)]
pub(super) enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream>),
}

#[derive(Debug)]
pub(super) struct TlsStream {
    inner: Stream,
    tls: ClientConnection,
}

impl Stream {
    /// Appends received bytes to `into`, at most its spare capacity. Returns 0 if closed.
    pub fn recv_into(
        &mut self,
        into: &mut Vec<u8>,
        deadline: &Deadline,
    ) -> Result<usize, NetError> {
        match self {
            Stream::Plain(socket) => socket.recv_into(into, deadline),
            Stream::Tls(tls) => {
                let room = into.capacity() - into.len();
                tls.recv_with(room, deadline, |bytes| into.extend_from_slice(bytes))
            }
        }
    }

    pub fn recv(&mut self, into: &mut [u8], deadline: &Deadline) -> Result<usize, NetError> {
        match self {
            Stream::Plain(socket) => socket.recv(into, deadline),
            Stream::Tls(tls) => {
                let room = into.len();
                tls.recv_with(room, deadline, |bytes| {
                    if let Some(part) = into.get_mut(..bytes.len()) {
                        part.copy_from_slice(bytes);
                    }
                })
            }
        }
    }

    pub fn send_all(&mut self, mut bytes: &[u8], deadline: &Deadline) -> Result<(), NetError> {
        while !bytes.is_empty() {
            let sent = match self {
                Stream::Plain(socket) => socket.send(bytes, deadline)?,
                Stream::Tls(tls) => tls.send(bytes, deadline)?,
            };
            bytes = bytes.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    /// Waits for an answer to begin, which saves a read that would find nothing.
    pub fn wait_readable(&self, deadline: &Deadline) -> Result<(), NetError> {
        match self {
            Stream::Plain(socket) => socket.wait_readable(deadline),
            // NOTE: bytes may already have been unpacked; the read itself waits.
            Stream::Tls(_) => Ok(()),
        }
    }

    /// Whether the stream seems open and has no unasked bytes. It does not wait.
    pub fn is_quiet(&mut self, deadline: &Deadline) -> bool {
        match self {
            Stream::Plain(socket) => socket.is_quiet(),
            Stream::Tls(tls) => tls.is_quiet(deadline),
        }
    }

    /// Makes a TLS handshake over this stream.
    pub fn into_tls(
        self,
        config: Arc<rustls::ClientConfig>,
        name: ServerName<'static>,
        wall_ms: i64,
        deadline: &Deadline,
    ) -> Result<Stream, NetError> {
        let tls = ClientConnection::new(config, name).map_err(|e| tls_error(&e, wall_ms))?;
        let mut stream = TlsStream { inner: self, tls };
        stream.handshake(wall_ms, deadline)?;
        Ok(Stream::Tls(Box::new(stream)))
    }
}

impl TlsStream {
    fn handshake(&mut self, wall_ms: i64, deadline: &Deadline) -> Result<(), NetError> {
        let mut peeked = false;
        while self.tls.is_handshaking() {
            self.flush(deadline)?;
            if !self.tls.wants_read() {
                continue;
            }
            if !peeked {
                peeked = true;
                self.refuse_plain_http(deadline)?;
            }
            self.feed(deadline, wall_ms)?;
        }
        self.flush(deadline)
    }

    fn refuse_plain_http(&mut self, deadline: &Deadline) -> Result<(), NetError> {
        let Stream::Plain(socket) = &self.inner else {
            return Ok(());
        };
        let mut start = [0; 5];
        let n = socket.peek(&mut start, deadline)?;
        if n > 0 && start.get(..n).is_some_and(|s| b"HTTP/".starts_with(s)) {
            let text = "http: server gave HTTP response to HTTPS client";
            return Err(NetError::Tls(text.to_owned()));
        }
        Ok(())
    }

    /// Reads once from the stream below and processes it. The end of the stream is an error.
    fn feed(&mut self, deadline: &Deadline, wall_ms: i64) -> Result<usize, NetError> {
        let mut below = Below::new(&mut self.inner, deadline);
        let result = self.tls.read_tls(&mut below);
        let n = below.check(result)?;
        if let Err(error) = self.tls.process_new_packets() {
            // NOTE: tells the other side the reason, if it still listens.
            let _ = self.flush(deadline);
            return Err(tls_error(&error, wall_ms));
        }
        if n == 0 && self.tls.is_handshaking() {
            return Err(NetError::Eof);
        }
        Ok(n)
    }

    /// Whether nothing unasked came. A session ticket is allowed on a good connection.
    fn is_quiet(&mut self, deadline: &Deadline) -> bool {
        // LIMIT: more records than any server sends tickets.
        for _ in 0..8 {
            let asked = self.tls.reader().fill_buf().map(<[u8]>::len);
            if asked.is_ok() {
                return false;
            }
            if self.inner.is_quiet(deadline) {
                return true;
            }
            if !matches!(self.feed(deadline, 0), Ok(1..)) {
                return false;
            }
        }
        false
    }

    fn flush(&mut self, deadline: &Deadline) -> Result<(), NetError> {
        while self.tls.wants_write() {
            let mut below = Below::new(&mut self.inner, deadline);
            let result = self.tls.write_tls(&mut below);
            below.check(result)?;
        }
        Ok(())
    }

    fn send(&mut self, bytes: &[u8], deadline: &Deadline) -> Result<usize, NetError> {
        let accepted = self.tls.writer().write(bytes);
        let sent = accepted.map_err(|error| NetError::Tls(format!("tls: {error}")))?;
        self.flush(deadline)?;
        Ok(sent)
    }

    fn recv_with(
        &mut self,
        room: usize,
        deadline: &Deadline,
        take: impl FnOnce(&[u8]),
    ) -> Result<usize, NetError> {
        loop {
            let mut reader = self.tls.reader();
            match reader.fill_buf() {
                Ok(bytes) => {
                    let n = bytes.len().min(room);
                    take(bytes.get(..n).unwrap_or_default());
                    reader.consume(n);
                    return Ok(n);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // NOTE: closed without a goodbye. The framing tells whether the body was complete.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Err(error) => return Err(NetError::Tls(format!("tls: {error}"))),
            }
            self.feed(deadline, 0)?;
            self.flush(deadline)?;
        }
    }
}

/// The stream below as the reader and writer that TLS wants. It keeps the error that those lose.
struct Below<'a> {
    stream: &'a mut Stream,
    deadline: &'a Deadline,
    failed: Option<NetError>,
}

impl<'a> Below<'a> {
    fn new(stream: &'a mut Stream, deadline: &'a Deadline) -> Below<'a> {
        Below {
            stream,
            deadline,
            failed: None,
        }
    }

    fn check(self, result: io::Result<usize>) -> Result<usize, NetError> {
        match (self.failed, result) {
            (Some(error), _) => Err(error),
            (None, Ok(n)) => Ok(n),
            (None, Err(error)) => Err(NetError::Tls(format!("tls: {error}"))),
        }
    }

    fn keep(&mut self, result: Result<usize, NetError>) -> io::Result<usize> {
        result.map_err(|error| {
            self.failed = Some(error);
            io::Error::other("the stream below failed")
        })
    }
}

impl Read for Below<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let result = self.stream.recv(into, self.deadline);
        self.keep(result)
    }
}

impl Write for Below<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.stream.send_all(bytes, self.deadline);
        self.keep(result.map(|()| bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
