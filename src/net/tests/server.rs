//! Servers that follow a script.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::Builder;
use std::time::Duration;

/// What a server does with one request.
pub enum Do {
    Send(Vec<u8>),
    /// Sends one byte at a time, forever.
    Drip(u8),
    /// Sends the same bytes as long as anyone takes them.
    Flood(Vec<u8>),
    /// Sends nothing until the other side leaves.
    Hang,
    Close,
}

pub type Script = dyn Fn(&str) -> Vec<Do> + Send + Sync;
type Upgrade = dyn Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync;

pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

pub struct Server {
    pub address: SocketAddr,
    /// The requests' heads and bodies, in the order in which they came.
    pub seen: Arc<Mutex<Vec<String>>>,
    pub accepted: Arc<AtomicUsize>,
}

pub fn serve(script: impl Fn(&str) -> Vec<Do> + Send + Sync + 'static) -> Server {
    serve_on(script, |tcp| Some(Box::new(tcp)))
}

/// `upgrade` turns a connection into TLS.
pub fn serve_on(
    script: impl Fn(&str) -> Vec<Do> + Send + Sync + 'static,
    upgrade: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync + 'static,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server {
        address: listener.local_addr().unwrap(),
        seen: Arc::default(),
        accepted: Arc::default(),
    };
    let (seen, accepted) = (server.seen.clone(), server.accepted.clone());
    let script: Arc<Script> = Arc::new(script);
    let upgrade: Arc<Upgrade> = Arc::new(upgrade);
    let accept = move || {
        for tcp in listener.incoming().map_while(Result::ok) {
            accepted.fetch_add(1, SeqCst);
            let (script, upgrade, seen) = (script.clone(), upgrade.clone(), seen.clone());
            let run = move || {
                tcp.set_nodelay(true).unwrap();
                if let Some(stream) = upgrade(tcp) {
                    converse(stream, &*script, &seen);
                }
            };
            Builder::new().spawn(run).unwrap();
        }
    };
    Builder::new().spawn(accept).unwrap();
    server
}

fn converse(mut stream: Box<dyn Stream>, script: &Script, seen: &Mutex<Vec<String>>) {
    while let Some(request) = read_request(&mut *stream) {
        seen.lock().unwrap().push(request.clone());
        for step in script(&request) {
            let done = match step {
                Do::Send(bytes) => stream.write_all(&bytes).and_then(|()| stream.flush()),
                Do::Drip(byte) => loop {
                    if let Err(error) = stream.write_all(&[byte]).and_then(|()| stream.flush()) {
                        break Err(error);
                    }
                    std::thread::sleep(Duration::from_millis(5));
                },
                Do::Flood(bytes) => loop {
                    if let Err(error) = stream.write_all(&bytes) {
                        break Err(error);
                    }
                },
                Do::Hang => {
                    let _ = stream.read(&mut [0]);
                    return;
                }
                Do::Close => return,
            };
            if done.is_err() {
                return;
            }
        }
    }
}

fn read_request(stream: &mut dyn Stream) -> Option<String> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        request.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&request).to_lowercase();
    let length = head.split("content-length: ").nth(1);
    let length = length.and_then(|rest| rest.split("\r\n").next()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    request.extend(body);
    Some(String::from_utf8_lossy(&request).into_owned())
}

/// A plain good answer.
pub fn page(body: &str) -> Vec<Do> {
    answer("200 OK", "", body)
}

/// `headers` are lines that end in CRLF.
pub fn answer(status: &str, headers: &str, body: &str) -> Vec<Do> {
    let length = body.len();
    let text = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
    vec![Do::Send(text.into_bytes())]
}

pub fn raw(text: &str) -> Vec<Do> {
    vec![Do::Send(text.as_bytes().to_vec())]
}

pub fn raw_close(text: &str) -> Vec<Do> {
    vec![Do::Send(text.as_bytes().to_vec()), Do::Close]
}

impl Server {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn accepted(&self) -> usize {
        self.accepted.load(SeqCst)
    }

    pub fn request(&self, i: usize) -> String {
        self.seen.lock().unwrap()[i].clone()
    }

    pub fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}
