//! Resolves names to addresses with a deadline, which `getaddrinfo` itself does not have.
//!
//! Owns the threads `resolve-N`, which start when the first name is asked for. A thread stuck in a
//! lookup holds up only those behind it in the queue.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::NetError;
use super::deadline::Deadline;
use crate::stdx::clock::Clock;
use crate::stdx::locked::locked;
use crate::stdx::thread::{Thread, spawn};

/// LIMIT: lookups at the same time. Names of one network answer alike; more would only wait alike.
const THREADS: usize = 4;
/// LIMIT: lookups that wait for a thread. Callers wait for a place until their own deadline.
const QUEUE: usize = 256;
/// LIMIT: names remembered; a small machine scrapes far fewer.
const NAMES_MAX: usize = 1_024;
/// How long an answer is reused, which `getaddrinfo` does not say. A moved target is found again
/// this soon.
const GOOD_FOR: Duration = Duration::from_secs(30);
const BAD_FOR: Duration = Duration::from_secs(5);
/// LIMIT: the C library needs less (musl touches 8 KiB, glibc with its modules 100 KiB).
const STACK: usize = 256 << 10;
/// How long the end waits for a thread that is stuck in the C library.
const JOIN_WAIT: Duration = Duration::from_millis(200);

type Answer = Result<Vec<IpAddr>, String>;
type Lookup = dyn Fn(&str) -> Answer + Send + Sync;

/// Shared by all clients of the process.
pub struct Resolver {
    shared: Arc<Shared>,
    /// `None` at the end only.
    jobs_tx: Option<Sender<Job>>,
    jobs: Receiver<Job>,
    threads: Mutex<Vec<Thread>>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    lookup: Box<Lookup>,
    known: Mutex<HashMap<String, Known>>,
}

struct Known {
    until: Duration,
    answer: Answer,
}

struct Job {
    host: String,
    /// Holds one answer, so it never blocks the thread that answers.
    reply: Sender<Answer>,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

impl Resolver {
    pub fn new(clock: Arc<dyn Clock>) -> Resolver {
        Resolver::with_lookup(clock, Box::new(system_lookup))
    }

    pub(super) fn with_lookup(clock: Arc<dyn Clock>, lookup: Box<Lookup>) -> Resolver {
        let (jobs_tx, jobs) = bounded(QUEUE);
        Resolver {
            shared: Arc::new(Shared {
                clock,
                lookup,
                known: Mutex::new(HashMap::new()),
            }),
            jobs_tx: Some(jobs_tx),
            jobs,
            threads: Mutex::new(Vec::new()),
        }
    }

    /// Returns the addresses of a name, in the system's order. The list is never empty.
    pub(super) fn resolve(&self, host: &str, deadline: &Deadline) -> Result<Vec<IpAddr>, NetError> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let failed = |reason| NetError::Lookup {
            host: host.to_owned(),
            reason,
        };
        if let Some(answer) = self.shared.known(host) {
            return answer.map_err(failed);
        }
        self.ask(host, deadline)?.map_err(failed)
    }

    fn ask(&self, host: &str, deadline: &Deadline) -> Result<Answer, NetError> {
        self.start_threads(host)?;
        let Some(jobs_tx) = &self.jobs_tx else {
            return Err(NetError::Canceled);
        };
        let (reply, answer) = bounded(1);
        let job = Job {
            host: host.to_owned(),
            reply,
        };
        let stop = deadline.canceller().stop().channel();
        select! {
            send(jobs_tx, job) -> _ => {}
            recv(stop) -> _ => return Err(NetError::Canceled),
            default(deadline.remaining()?) => return Err(NetError::Deadline),
        }
        select! {
            recv(answer) -> answer => answer.map_err(|_| NetError::Lookup {
                host: host.to_owned(),
                reason: "the resolver failed".to_owned(),
            }),
            recv(stop) -> _ => Err(NetError::Canceled),
            default(deadline.remaining()?) => Err(NetError::Deadline),
        }
    }

    fn start_threads(&self, host: &str) -> Result<(), NetError> {
        let mut threads = locked(&self.threads);
        // NOTE: a thread that panicked is replaced.
        threads.retain(|thread| !thread.is_finished());
        while threads.len() < THREADS {
            let (shared, jobs) = (self.shared.clone(), self.jobs.clone());
            let name = format!("resolve-{}", threads.len());
            match spawn(name, STACK, move || shared.serve(&jobs)) {
                Ok(thread) => threads.push(thread),
                // NOTE: fewer threads suffice. Having none is this target's error.
                Err(_) if !threads.is_empty() => break,
                Err(error) => {
                    return Err(NetError::Lookup {
                        host: host.to_owned(),
                        reason: format!("no thread for it: {error}"),
                    });
                }
            }
        }
        Ok(())
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        // ORDER: the sender goes first, which ends the threads.
        self.jobs_tx = None;
        for thread in std::mem::take(&mut *locked(&self.threads)) {
            thread.join_within(JOIN_WAIT);
        }
    }
}

impl Shared {
    fn serve(&self, jobs: &Receiver<Job>) {
        for job in jobs {
            // NOTE: many targets of one name ask at once. One lookup serves them all.
            let answer = self.known(&job.host).unwrap_or_else(|| {
                let answer = (self.lookup)(&job.host);
                self.remember(&job.host, answer.clone());
                answer
            });
            let _ = job.reply.send(answer);
        }
    }

    fn known(&self, host: &str) -> Option<Answer> {
        let known = locked(&self.known);
        let found = known.get(host)?;
        (found.until > self.clock.mono()).then(|| found.answer.clone())
    }

    fn remember(&self, host: &str, answer: Answer) {
        let now = self.clock.mono();
        let mut known = locked(&self.known);
        if known.len() >= NAMES_MAX {
            known.retain(|_, known| known.until > now);
        }
        if known.len() >= NAMES_MAX {
            known.clear();
        }
        let until = now + if answer.is_ok() { GOOD_FOR } else { BAD_FOR };
        known.insert(host.to_owned(), Known { until, answer });
    }
}

fn system_lookup(host: &str) -> Answer {
    let found = (host, 0).to_socket_addrs().map_err(|error| {
        let text = error.to_string();
        let text = text
            .strip_prefix("failed to lookup address information: ")
            .unwrap_or(&text);
        lookup_reason(text)
    })?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.map(|address| address.ip()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err("no such host".to_owned());
    }
    Ok(addresses)
}

/// Translates the C libraries' texts into Go's.
fn lookup_reason(text: &str) -> String {
    const UNKNOWN: [&str; 4] = [
        "Name or service not known",
        "No address associated with hostname",
        "Name does not resolve",
        "Name has no usable address",
    ];
    if UNKNOWN.contains(&text) {
        "no such host".to_owned()
    } else {
        text.to_lowercase()
    }
}
