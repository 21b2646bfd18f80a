//! A connection: its non-blocking socket, TLS over it, and the bytes read but not used.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::Timespec;
use rustls::ServerConnection;

use super::body::make_room;
use super::budget::Reserved;
use super::encode::Output;
use super::scan::HeadScan;

/// LIMIT: TLS records without data taken in one go, so that nobody keeps a thread busy with them.
const EMPTY_RECORDS_MAX: usize = 16;

/// LIMIT: what a connection's head takes without asking. Browsers and proxies stay below 8 KiB.
const OWN_HEAD_BYTES: usize = 16 << 10;

/// The poller or one worker owns it.
pub(super) struct Conn {
    pub id: u64,
    /// Shared with the poller, which watches it for a hang-up while a worker has the rest.
    pub socket: Arc<TcpStream>,
    pub tls: Option<Box<ServerConnection>>,
    pub input: Vec<u8>,
    /// The size to which `input` may grow.
    pub input_bytes_max: usize,
    pub scan: HeadScan,
    /// The head's share beyond [`OWN_HEAD_BYTES`], while it is read and handled.
    pub share: Reserved,
    pub remote: SocketAddr,
}

/// The result of a read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fill {
    Got,
    Blocked,
    End,
}

impl Conn {
    /// Reads the available bytes, at most as many as `scratch` holds, to the end of `input`.
    pub fn fill(&mut self, scratch: &mut [u8]) -> io::Result<Fill> {
        let Some(tls) = &mut self.tls else {
            let read = retry(|| (&*self.socket).read(scratch));
            return filled(read, scratch, &mut self.input, self.input_bytes_max);
        };
        for _ in 0..EMPTY_RECORDS_MAX {
            let read = tls.reader().read(scratch);
            match filled(read, scratch, &mut self.input, self.input_bytes_max)? {
                Fill::Blocked => {}
                other => return Ok(other),
            }
            match retry(|| tls.read_tls(&mut &*self.socket)) {
                Ok(0) => return Ok(Fill::End),
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Fill::Blocked),
                Err(e) => return Err(e),
            }
            let processed = tls.process_new_packets();
            if tls.wants_write() {
                let _ = tls.write_tls(&mut &*self.socket);
            }
            processed.map_err(io::Error::other)?;
        }
        Ok(Fill::Blocked)
    }

    /// Removes a head's bytes.
    pub fn drop_head(&mut self, used: usize) {
        if self.input.capacity() <= OWN_HEAD_BYTES {
            self.input.drain(..used);
        } else {
            self.input = self.input.split_off(used);
        }
    }

    /// Drops the input of a connection from which nothing more is read.
    pub fn forget_input(&mut self) {
        self.input = Vec::new();
        self.share.shrink_to(0);
    }

    /// Reserves a head's bytes. Returns false if all heads together take too much.
    pub fn hold_head(&mut self, bytes: usize) -> bool {
        let share = bytes.saturating_sub(OWN_HEAD_BYTES);
        self.share.shrink_to(share);
        self.share.grow_to(share)
    }

    /// Makes one step of a handshake. Returns true when it is complete.
    pub fn handshake(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else {
            return Ok(true);
        };
        loop {
            while tls.wants_write() {
                match retry(|| tls.write_tls(&mut &*self.socket)) {
                    Ok(_) => {}
                    Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                    Err(e) => return Err(e),
                }
            }
            if !tls.is_handshaking() {
                return Ok(true);
            }
            match retry(|| tls.read_tls(&mut &*self.socket)) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e),
            }
            if let Err(e) = tls.process_new_packets() {
                // NOTE: the alert tells the client the reason. It need not arrive.
                let _ = tls.write_tls(&mut &*self.socket);
                return Err(io::Error::other(e));
            }
        }
    }

    /// Writes what the socket takes, at most about `turn` bytes, which are made meanwhile. Returns
    /// true when the output is at its end and flushed.
    pub fn write(&mut self, output: &mut Output, turn: usize) -> io::Result<bool> {
        output.pull();
        let mut written = 0;
        while written < turn {
            if output.is_broken() {
                return Err(ErrorKind::Other.into());
            }
            let wrote = match &mut self.tls {
                None => write_plain(&self.socket, output),
                Some(tls) => write_tls(&self.socket, tls, output),
            };
            match wrote {
                Ok(0) => return Ok(output.is_done()),
                Ok(n) => written += n.max(output.take_made()),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e),
            }
        }
        Ok(false)
    }

    pub fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Tells the client that nothing more will come.
    pub fn finish(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = tls.write_tls(&mut &*self.socket);
        }
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Whether the client talks HTTP although TLS is expected.
    pub fn talks_plainly(&self) -> bool {
        let mut start = [0; 4];
        let read = self.socket.peek(&mut start).unwrap_or(0);
        read == start.len() && start.iter().all(|b| b.is_ascii_uppercase() || *b == b' ')
    }
}

pub(super) fn timespec(duration: Duration) -> Timespec {
    // NOTE: a day fits every form of it.
    Timespec::try_from(duration.min(Duration::from_secs(86_400))).unwrap_or_default()
}

fn filled(
    read: io::Result<usize>,
    scratch: &[u8],
    input: &mut Vec<u8>,
    bytes_max: usize,
) -> io::Result<Fill> {
    match read {
        Ok(0) => Ok(Fill::End),
        Ok(n) => {
            make_room(input, n, bytes_max);
            input.extend_from_slice(scratch.get(..n).unwrap_or_default());
            Ok(Fill::Got)
        }
        Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(Fill::Blocked),
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(Fill::End),
        Err(e) => Err(e),
    }
}

fn write_plain(mut socket: &TcpStream, output: &mut Output) -> io::Result<usize> {
    let (head, body) = output.next();
    if head.is_empty() && body.is_empty() {
        return Ok(0);
    }
    let n = retry(|| socket.write_vectored(&[IoSlice::new(head), IoSlice::new(body)]))?;
    output.advance(n);
    Ok(n)
}

fn write_tls(
    mut socket: &TcpStream,
    tls: &mut ServerConnection,
    output: &mut Output,
) -> io::Result<usize> {
    let (head, body) = output.next();
    let n = tls
        .writer()
        .write_vectored(&[IoSlice::new(head), IoSlice::new(body)])?;
    output.advance(n);
    let mut wrote = 0;
    while tls.wants_write() {
        wrote += retry(|| tls.write_tls(&mut socket))?;
    }
    Ok(n.max(wrote))
}

fn retry<T>(mut f: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match f() {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
