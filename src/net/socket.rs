//! A non-blocking socket whose every wait has a deadline and can be cancelled.
//!
//! It makes one `poll` per wait, instead of a receive timeout per read. The deadline covers the
//! whole request, so a server that drips cannot stretch it.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect,
    getsockname, ipproto, recv, send, socket_with, sockopt,
};

use super::NetError;
use super::deadline::Deadline;
use super::error::reason;
use crate::metrics::Counter;

/// A connected socket. It counts its own closing.
#[derive(Debug)]
pub(super) struct Socket {
    fd: Arc<OwnedFd>,
    peer: Peer,
    closed: Counter,
}

#[derive(Debug, Clone)]
pub(super) enum Peer {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Peer {
    fn network(&self) -> &'static str {
        match self {
            Peer::Tcp(_) => "tcp",
            Peer::Unix(_) => "unix",
        }
    }

    fn address(&self) -> String {
        match self {
            Peer::Tcp(address) => address.to_string(),
            Peer::Unix(path) => path.display().to_string(),
        }
    }
}

/// LIMIT: how long a cancelled connect may go unnoticed where shutting the socket wakes nobody.
const CONNECT_SLICE: Duration = Duration::from_millis(100);

impl Socket {
    pub fn connect_tcp(
        address: SocketAddr,
        closed: &Counter,
        deadline: &Deadline,
    ) -> Result<Socket, NetError> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let peer = Peer::Tcp(address);
        let dial = |errno| dial_error(&peer, errno);
        let fd = open(family, Some(ipproto::TCP)).map_err(dial)?;
        // NOTE: both only make things faster. A system without them still connects.
        let _ = sockopt::set_tcp_nodelay(&fd, true);
        let _ = sockopt::set_socket_keepalive(&fd, true);
        let fd = Arc::new(fd);
        deadline.canceller().register(&fd)?;
        match connect(&fd, &address) {
            Ok(()) => {}
            Err(Errno::INPROGRESS | Errno::INTR) => await_connected(&fd, &peer, deadline)?,
            Err(errno) => return Err(dial(errno)),
        }
        Ok(Socket {
            fd,
            peer,
            closed: closed.clone(),
        })
    }

    pub fn connect_unix(
        path: &Path,
        closed: &Counter,
        deadline: &Deadline,
    ) -> Result<Socket, NetError> {
        let peer = Peer::Unix(path.to_owned());
        let dial = |errno| dial_error(&peer, errno);
        let address = SocketAddrUnix::new(path).map_err(dial)?;
        let fd = Arc::new(open(AddressFamily::UNIX, None).map_err(dial)?);
        deadline.canceller().register(&fd)?;
        // NOTE: a full backlog answers EAGAIN at once; the next scrape tries again.
        connect(&fd, &address).map_err(dial)?;
        Ok(Socket {
            fd,
            peer,
            closed: closed.clone(),
        })
    }

    /// Appends received bytes to the spare capacity of `into`, which must have some. Returns 0 if
    /// the other side has closed.
    pub fn recv_into(&self, into: &mut Vec<u8>, deadline: &Deadline) -> Result<usize, NetError> {
        debug_assert!(into.capacity() > into.len());
        self.retry(PollFlags::IN, deadline, "read", || {
            recv(&self.fd, spare_capacity(into), RecvFlags::empty()).map(|(_, n)| n)
        })
    }

    pub fn recv(&self, into: &mut [u8], deadline: &Deadline) -> Result<usize, NetError> {
        self.retry(PollFlags::IN, deadline, "read", || {
            recv(&self.fd, &mut *into, RecvFlags::empty()).map(|(_, n)| n)
        })
    }

    /// Reads the next bytes without consuming them.
    pub fn peek(&self, into: &mut [u8], deadline: &Deadline) -> Result<usize, NetError> {
        self.retry(PollFlags::IN, deadline, "read", || {
            recv(&self.fd, &mut *into, RecvFlags::PEEK).map(|(_, n)| n)
        })
    }

    pub fn send(&self, bytes: &[u8], deadline: &Deadline) -> Result<usize, NetError> {
        self.retry(PollFlags::OUT, deadline, "write", || {
            send(&self.fd, bytes, SendFlags::NOSIGNAL)
        })
    }

    pub fn wait_readable(&self, deadline: &Deadline) -> Result<(), NetError> {
        wait(&self.fd, PollFlags::IN, deadline.remaining()?)?;
        deadline.remaining().map(|_| ())
    }

    /// Whether there is nothing to read and the socket is open, as for an idle connection.
    pub fn is_quiet(&self) -> bool {
        matches!(wait(&self.fd, PollFlags::IN, Duration::ZERO), Ok(false))
    }

    fn retry(
        &self,
        readiness: PollFlags,
        deadline: &Deadline,
        operation: &'static str,
        mut attempt: impl FnMut() -> Result<usize, Errno>,
    ) -> Result<usize, NetError> {
        loop {
            match attempt() {
                // NOTE: a cancelled socket reads as closed.
                Ok(0) if deadline.canceller().is_canceled() => return Err(NetError::Canceled),
                Ok(n) => return Ok(n),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    wait(&self.fd, readiness, deadline.remaining()?)?;
                    deadline.remaining()?;
                }
                Err(_) if deadline.canceller().is_canceled() => return Err(NetError::Canceled),
                Err(errno) => return Err(self.error(operation, errno)),
            }
        }
    }

    fn error(&self, operation: &'static str, errno: Errno) -> NetError {
        let local = getsockname(&self.fd).ok();
        let local = local.and_then(|a| SocketAddr::try_from(a).ok());
        let local = local.map_or(String::new(), |a| a.to_string());
        NetError::Socket {
            operation,
            address: format!("{} {local}->{}", self.peer.network(), self.peer.address()),
            reason: reason(&errno.into()),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.closed.inc();
    }
}

fn open(family: AddressFamily, protocol: Option<rustix::net::Protocol>) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    socket_with(family, SocketType::STREAM, flags, protocol)
}

fn await_connected(fd: &OwnedFd, peer: &Peer, deadline: &Deadline) -> Result<(), NetError> {
    loop {
        let slice = deadline.remaining()?.min(CONNECT_SLICE);
        if wait(fd, PollFlags::OUT, slice)? {
            break;
        }
    }
    deadline.remaining()?;
    let failed = |errno| dial_error(peer, errno);
    sockopt::socket_error(fd).map_err(failed)?.map_err(failed)
}

/// Whether the socket became ready within `timeout`.
fn wait(fd: &OwnedFd, readiness: PollFlags, timeout: Duration) -> Result<bool, NetError> {
    let mut fds = [PollFd::new(fd, readiness)];
    // NOTE: a wait too long for a timer becomes the longest possible one.
    let longest = Timespec {
        tv_sec: i32::MAX.into(),
        tv_nsec: 0,
    };
    let timeout = Timespec::try_from(timeout).unwrap_or(longest);
    match poll(&mut fds, Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        // NOTE: callers check their deadline and come again.
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(NetError::Body(format!("poll: {}", reason(&errno.into())))),
    }
}

fn dial_error(peer: &Peer, errno: Errno) -> NetError {
    NetError::Dial {
        network: peer.network(),
        address: peer.address(),
        reason: reason(&errno.into()),
    }
}
