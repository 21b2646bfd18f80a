//! A client that sends exactly the bytes it is told to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::stdx::testing::DEADLINE;

pub struct Client {
    pub stream: TcpStream,
    input: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        let input = Vec::new();
        Client { stream, input }
    }

    pub fn send(&mut self, bytes: &str) -> &mut Client {
        self.stream.write_all(bytes.as_bytes()).unwrap();
        self
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        self.answer()
    }

    /// Returns the status, if the server answers at all.
    pub fn try_get(&mut self, path: &str) -> Option<u16> {
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        self.stream.write_all(request.as_bytes()).ok()?;
        let answer = self.rest();
        let status = answer.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
        std::str::from_utf8(status).ok()?.parse().ok()
    }

    /// Reads the next answer, by its length, its chunks, or the connection's end.
    pub fn answer(&mut self) -> Answer {
        let (status, head) = self.head();
        let header = |name: &str| {
            let line = head.lines().find_map(|l| l.strip_prefix(name));
            line.map(str::trim)
        };
        let body = if let Some(length) = header("Content-Length:") {
            self.take(length.parse().unwrap())
        } else if header("Transfer-Encoding:").is_some() {
            self.chunks()
        } else if status == 204 {
            Vec::new()
        } else {
            self.rest()
        };
        Answer { status, head, body }
    }

    pub fn head(&mut self) -> (u16, String) {
        let head = self.until("\r\n\r\n");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head)
    }

    /// Reads one chunk's bytes; empty for the last.
    pub fn chunk(&mut self) -> Vec<u8> {
        let size = self.until("\r\n");
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let bytes = self.take(size);
        assert_eq!(self.take(2), b"\r\n");
        bytes
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let chunk = self.chunk();
            if chunk.is_empty() {
                return all;
            }
            all.extend(chunk);
        }
    }

    /// Reads everything until the server closes.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.input)
    }

    /// Whether the server has closed the connection with nothing more to read.
    pub fn is_closed(&mut self) -> bool {
        self.input.is_empty() && !self.more()
    }

    /// Whether the server has closed it by now. It does not wait.
    pub fn is_gone(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let gone = matches!(self.stream.peek(&mut [0]), Ok(0));
        self.stream.set_nonblocking(false).unwrap();
        gone
    }

    fn until(&mut self, end: &str) -> String {
        loop {
            let found = self
                .input
                .windows(end.len())
                .position(|w| w == end.as_bytes());
            if let Some(at) = found {
                let taken: Vec<u8> = self.input.drain(..at + end.len()).collect();
                return String::from_utf8(taken).unwrap();
            }
            assert!(
                self.more(),
                "closed within {:?}",
                String::from_utf8_lossy(&self.input)
            );
        }
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        while self.input.len() < n {
            assert!(self.more(), "closed with {} of {n} bytes", self.input.len());
        }
        self.input.drain(..n).collect()
    }

    fn more(&mut self) -> bool {
        let mut buffer = vec![0; 64 << 10];
        match self.stream.read(&mut buffer) {
            Ok(n) => {
                self.input.extend_from_slice(&buffer[..n]);
                n > 0
            }
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(e) => panic!("nothing came: {e}"),
        }
    }
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn has(&self, line: &str) -> bool {
        self.head.lines().any(|l| l == line)
    }
}
