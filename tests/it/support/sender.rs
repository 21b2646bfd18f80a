//! Sends samples by remote write, remembers the answers, and checks that the samples are there.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::Ferula;
use super::remote_write::{HEADERS, post, series, snappy};

/// Takes remote write.
pub const RECEIVE: &str = "--web.enable-remote-write-receiver";
/// The flusher finds the budget spent at every look.
pub const SMALL_BUDGET: &str = "--storage.head-budget=1B";

pub const QUARANTINED: &str = "ferula_tsdb_quarantined_files_total";
pub const FLUSHES: &str = "prometheus_tsdb_head_truncations_total";

/// The values of each series `m{series=…}`, by series and time.
pub type Points = BTreeMap<(String, i64), f64>;

/// Sends samples and remembers the answers.
pub struct Sender {
    /// Later than everything that was sent.
    pub next_t: i64,
    pub acked: Points,
    /// Samples sent, but not answered.
    open: Points,
}

impl Sender {
    /// Near the present, so that scraped samples beside them do not make them too old.
    #[expect(
        clippy::disallowed_methods,
        reason = "scraped samples have the real time"
    )]
    pub fn new() -> Sender {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Sender {
            next_t: now.as_millis() as i64 - 1_800_000,
            acked: Points::new(),
            open: Points::new(),
        }
    }

    /// Sends one request with two samples of three series each. Returns false if there was no
    /// answer.
    pub fn send(&mut self, address: SocketAddr) -> bool {
        let (t, mut points, mut raw) = (self.next_t, Points::new(), Vec::new());
        self.next_t += 20;
        for name in ["a", "b", "c"] {
            // NOTE: no two are alike, so that a misplaced value shows.
            let value = |t: i64| t as f64 * 0.1 + f64::from(name.as_bytes()[0]);
            let samples = [(t, value(t)), (t + 10, value(t + 10))];
            raw.extend(series(&[("__name__", "m"), ("series", name)], &samples));
            points.extend(samples.map(|(t, v)| ((name.to_owned(), t), v)));
        }
        let answer = post(address, HEADERS, &snappy(&raw));
        let fate = if answer.is_ok() {
            &mut self.acked
        } else {
            &mut self.open
        };
        fate.append(&mut points);
        if let Ok(reply) = &answer {
            assert_eq!((reply.status, reply.body.as_str()), (204, ""));
        }
        answer.is_ok()
    }

    pub fn send_all(&mut self, ferula: &Ferula, requests: usize) {
        for _ in 0..requests {
            assert!(self.send(ferula.address), "no answer");
        }
    }

    /// Takes back what it knows for sure: the disk kept the log waiting for longer than a second,
    /// and answered samples may have been in memory alone.
    pub fn doubt(&mut self) {
        self.open.append(&mut self.acked);
    }

    /// Checks that everything that was answered is there once, and nothing that was never sent.
    #[track_caller]
    pub fn check(&mut self, ferula: &Ferula, what: &str) {
        let found = self.found(ferula);
        let log = || ferula.log_text();
        for (at, value) in &self.acked {
            let is = found.get(at);
            assert_eq!(
                is,
                Some(value),
                "{what}: lost or changed: {at:?}; {}",
                log()
            );
        }
        // An unanswered sample that is there once stays.
        for at in std::mem::take(&mut self.open).into_keys() {
            if let Some(&value) = found.get(&at) {
                self.acked.insert(at, value);
            }
        }
    }

    /// Returns what is there. Panics on what was never sent, and on a repeated time.
    #[track_caller]
    pub fn found(&self, ferula: &Ferula) -> Points {
        let mut found = Points::new();
        let mut result = range(ferula, "m", self.next_t);
        for of_series in result.as_array_mut().unwrap() {
            let name = of_series["metric"]["series"].as_str().unwrap();
            for point in of_series["values"].as_array().unwrap() {
                let t = (point[0].as_f64().unwrap() * 1e3).round() as i64;
                let value: f64 = point[1].as_str().unwrap().parse().unwrap();
                let at = (name.to_owned(), t);
                let sent = self.acked.get(&at).or_else(|| self.open.get(&at));
                assert_eq!(sent, Some(&value), "never sent so: {at:?}");
                assert_eq!(found.insert(at.clone(), value), None, "twice: {at:?}");
            }
        }
        found
    }
}

pub fn range(ferula: &Ferula, name: &str, until_ms: i64) -> Value {
    let time = until_ms as f64 / 1e3;
    let reply = ferula.get(&format!("/api/v1/query?query={name}[1h]&time={time}"));
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["data"]["result"].clone()
}
