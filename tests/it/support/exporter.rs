//! A target that answers as a test tells it.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ferula::stdx::atomic::AtomicU64;
use flate2::Compression;
use flate2::write::GzEncoder;

#[derive(Debug, Clone)]
pub enum Behaviour {
    /// 200 with this page in the text format.
    Page(String),
    /// 200 with this page in OpenMetrics.
    OpenMetrics(String),
    /// 200 with this JSON.
    Json(String),
    /// A status without a page.
    Status(u16),
    /// Accepts and never answers.
    Hang,
    /// Waits until a test gives it another behaviour, and then answers by that.
    Hold,
    /// One byte of the page a moment, for ever.
    Drip,
    /// Half of the promised body, then closed.
    CloseHalfWay,
    /// Bytes that are not HTTP.
    Garbage,
    /// Redirects to itself.
    RedirectForEver,
    /// A page, compressed: see `gzip_bomb`.
    Gzip(Vec<u8>),
    /// A page of this many bytes, plain.
    Huge(u64),
}

impl Behaviour {
    /// A page of this many bytes, compressed by a factor of a thousand. That takes a second, which
    /// an answer does not have.
    pub fn gzip_bomb(bytes: usize) -> Behaviour {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&vec![b'\n'; bytes]).unwrap();
        Behaviour::Gzip(packed.finish().unwrap())
    }
}

/// Serves on a free loopback port until it is dropped.
pub struct Exporter {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    behaviour: Mutex<Behaviour>,
    requests: AtomicU64,
    last_head: Mutex<String>,
    stopped: AtomicBool,
}

impl Exporter {
    pub fn start(behaviour: Behaviour) -> Exporter {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(behaviour),
            requests: AtomicU64::new(0),
            last_head: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.stopped.load(SeqCst) {
                    return;
                }
                let shared = accepting.clone();
                spawn(move || {
                    let _ = shared.serve(stream);
                });
            }
        });
        Exporter { address, shared }
    }

    pub fn page(text: impl Into<String>) -> Exporter {
        Exporter::start(Behaviour::Page(text.into()))
    }

    pub fn set(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap() = behaviour;
    }

    pub fn requests(&self) -> u64 {
        self.shared.requests.load(SeqCst)
    }

    /// The head of the latest request.
    pub fn last_head(&self) -> String {
        self.shared.last_head.lock().unwrap().clone()
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.shared.stopped.store(true, SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test's own threads end with its process"
)]
fn spawn(f: impl FnOnce() + Send + 'static) {
    std::thread::spawn(f);
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut writer = stream.try_clone()?;
        let mut reader = BufReader::new(stream);
        loop {
            let mut head = String::new();
            loop {
                let before = head.len();
                if reader.read_line(&mut head)? == 0 {
                    return Ok(());
                }
                if head.len() - before <= 2 {
                    break;
                }
            }
            if self.stopped.load(SeqCst) {
                return Ok(());
            }
            *self.last_head.lock().unwrap() = head;
            self.requests.fetch_add(1, SeqCst);
            let mut behaviour = self.behaviour.lock().unwrap().clone();
            while matches!(behaviour, Behaviour::Hold) && !self.stopped.load(SeqCst) {
                std::thread::sleep(Duration::from_millis(10));
                behaviour = self.behaviour.lock().unwrap().clone();
            }
            if !self.answer(&mut writer, &behaviour)? {
                return Ok(());
            }
        }
    }

    /// Answers a request. Returns false when the connection is at its end.
    fn answer(&self, out: &mut TcpStream, behaviour: &Behaviour) -> std::io::Result<bool> {
        const TEXT: &str = "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n";
        match behaviour {
            Behaviour::Page(page) => return whole(out, TEXT, page.as_bytes()),
            Behaviour::OpenMetrics(page) => {
                let kind = "Content-Type: application/openmetrics-text; version=1.0.0\r\n";
                return whole(out, kind, page.as_bytes());
            }
            Behaviour::Json(json) => {
                return whole(out, "Content-Type: application/json\r\n", json.as_bytes());
            }
            Behaviour::Status(status) => {
                write!(
                    out,
                    "HTTP/1.1 {status} Told So\r\nContent-Length: 0\r\n\r\n"
                )?;
                return Ok(true);
            }
            Behaviour::Hang | Behaviour::Hold => self.wait_until_stopped(),
            Behaviour::Drip => {
                write!(out, "HTTP/1.1 200 OK\r\n{TEXT}\r\n")?;
                while !self.stopped.load(SeqCst) {
                    out.write_all(b"#")?;
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            Behaviour::CloseHalfWay => {
                write!(
                    out,
                    "HTTP/1.1 200 OK\r\n{TEXT}Content-Length: 1000\r\n\r\nhalf 1\n"
                )?;
            }
            Behaviour::Garbage => out.write_all(b"\x00\xff\x13 this is no HTTP\r\n\r\n")?,
            Behaviour::RedirectForEver => {
                write!(
                    out,
                    "HTTP/1.1 302 Found\r\nLocation: /metrics\r\nContent-Length: 0\r\n\r\n"
                )?;
                return Ok(true);
            }
            Behaviour::Gzip(packed) => {
                return whole(out, &format!("{TEXT}Content-Encoding: gzip\r\n"), packed);
            }
            Behaviour::Huge(size) => {
                write!(
                    out,
                    "HTTP/1.1 200 OK\r\n{TEXT}Content-Length: {size}\r\n\r\n"
                )?;
                let block = vec![b'\n'; 64 << 10];
                let mut left = *size;
                while left > 0 {
                    let n = left.min(block.len() as u64);
                    out.write_all(&block[..n as usize])?;
                    left -= n;
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn wait_until_stopped(&self) {
        while !self.stopped.load(SeqCst) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Answers with a body of known length. Returns true, since the connection goes on.
fn whole(out: &mut TcpStream, headers: &str, body: &[u8]) -> std::io::Result<bool> {
    let len = body.len();
    write!(
        out,
        "HTTP/1.1 200 OK\r\n{headers}Content-Length: {len}\r\n\r\n"
    )?;
    out.write_all(body)?;
    Ok(true)
}
