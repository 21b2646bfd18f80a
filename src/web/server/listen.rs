//! Listening sockets, and what to do when no descriptor is left for another connection.

use std::fs::File;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};

use crate::stdx::sort::sort_by_key;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

/// LIMIT: connections that wait in the kernel while all of ours are busy.
const BACKLOG: i32 = 1024;

#[derive(Debug)]
pub(super) struct Listeners {
    pub sockets: Vec<TcpListener>,
    /// Released for a moment when no other descriptor is left, to tell a client so.
    reserve: Option<File>,
}

/// The result of accepting.
#[derive(Debug)]
pub(super) enum Accepted {
    Conn(TcpStream, SocketAddr),
    /// Nobody waits.
    Nobody,
    /// This connection is lost. The next may work.
    Lost,
    /// Descriptors or memory have run out.
    Exhausted(io::Error),
}

impl Listeners {
    /// Binds the addresses. The error is the text of Go's `net.Listen`.
    pub fn bind(addresses: &[String]) -> Result<Listeners, String> {
        let sockets = addresses
            .iter()
            .map(|address| open(address).map_err(|why| format!("listen tcp {address}: {why}")));
        let sockets = sockets.collect::<Result<_, _>>()?;
        Ok(Listeners {
            sockets,
            reserve: spare(),
        })
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        let addresses = self.sockets.iter().filter_map(|s| s.local_addr().ok());
        addresses.collect()
    }

    pub fn accept(&self, i: usize) -> Accepted {
        let Some(socket) = self.sockets.get(i) else {
            return Accepted::Nobody;
        };
        match socket.accept() {
            Ok((stream, remote)) => {
                let ready = stream.set_nonblocking(true);
                let _ = stream.set_nodelay(true);
                match ready {
                    Ok(()) => Accepted::Conn(stream, remote),
                    Err(_) => Accepted::Lost,
                }
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Accepted::Nobody,
            Err(e) => match Errno::from_io_error(&e) {
                Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    Accepted::Exhausted(e)
                }
                // NOTE: Linux passes a connection's own network errors to accept.
                _ => Accepted::Lost,
            },
        }
    }

    /// Uses the reserve to refuse one client with an answer instead of leaving it to wait.
    pub fn refuse_one(&mut self, i: usize, answer: &[u8]) {
        self.reserve = None;
        if let Accepted::Conn(mut stream, _) = self.accept(i) {
            let _ = stream.write(answer);
        }
        self.reserve = spare();
    }

    pub fn close(&mut self) {
        self.sockets.clear();
    }
}

fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

fn open(address: &str) -> Result<TcpListener, String> {
    let mut last = "no suitable address found".to_owned();
    for candidate in candidates(address)? {
        match open_one(candidate) {
            Ok(socket) => return Ok(socket),
            Err(why) => last = why,
        }
        // NOTE: only a wildcard has two candidates, and the second is for hosts without IPv6.
        if !last.contains("not supported") && !last.contains("cannot assign") {
            break;
        }
    }
    Err(last)
}

/// Returns the addresses to try. As in Go, a wildcard of either family means all addresses of both.
fn candidates(address: &str) -> Result<Vec<SocketAddr>, String> {
    let (host, port) = address
        .rsplit_once(':')
        .ok_or_else(|| format!("address {address}: missing port in address"))?;
    let port: u16 = port
        .parse()
        .map_err(|_| format!("address {port}: invalid port"))?;
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    if bare.is_none() && host.contains(':') {
        return Err(format!("address {address}: too many colons in address"));
    }
    let host = bare.unwrap_or(host);
    let ip = match host {
        "" => Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        host => host.parse::<IpAddr>().ok(),
    };
    if ip.is_some_and(|ip| ip.is_unspecified()) {
        return Ok(vec![
            (Ipv6Addr::UNSPECIFIED, port).into(),
            (Ipv4Addr::UNSPECIFIED, port).into(),
        ]);
    }
    if let Some(ip) = ip {
        return Ok(vec![(ip, port).into()]);
    }
    let resolved = (host, port)
        .to_socket_addrs()
        .map_err(|e| format!("lookup {host}: {e}"))?;
    let mut resolved: Vec<SocketAddr> = resolved.collect();
    sort_by_key(&mut resolved, SocketAddr::is_ipv6);
    resolved.truncate(1);
    if resolved.is_empty() {
        return Err(format!("lookup {host}: no such host"));
    }
    Ok(resolved)
}

fn open_one(address: SocketAddr) -> Result<TcpListener, String> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let text = |step: &'static str| move |errno: Errno| format!("{step}: {}", errno_text(errno));
    let socket = socket_with(family, SocketType::STREAM, flags, None).map_err(text("socket"))?;
    sockopt::set_socket_reuseaddr(&socket, true).map_err(text("setsockopt"))?;
    if address.is_ipv6() {
        let only = !address.ip().is_unspecified();
        sockopt::set_ipv6_v6only(&socket, only).map_err(text("setsockopt"))?;
    }
    bind(&socket, &address).map_err(text("bind"))?;
    listen(&socket, BACKLOG).map_err(text("listen"))?;
    Ok(TcpListener::from(socket))
}

/// Returns Go's texts, which are glibc's in lower case; musl has others.
fn errno_text(errno: Errno) -> String {
    match errno {
        Errno::ADDRINUSE => "address already in use".to_owned(),
        Errno::ADDRNOTAVAIL => "cannot assign requested address".to_owned(),
        Errno::ACCESS => "permission denied".to_owned(),
        Errno::AFNOSUPPORT => "address family not supported by protocol".to_owned(),
        other => {
            let text = io::Error::from(other).to_string().to_lowercase();
            let end = text.find(" (os error").unwrap_or(text.len());
            text.get(..end).unwrap_or_default().to_owned()
        }
    }
}
