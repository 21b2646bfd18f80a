//! The cost of receiving remote write: time per sample, from the compressed body to the head.
//!
//! The load is that of `history.py`: 2,000 series per request, one sample each, 15 s apart, with a
//! host exporter's labels and values. Bodies have literals only, as from a simple sender, or are
//! really compressed. Prints figures, without a verdict.

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::sync::Arc;
use std::time::Duration;

use ferula::metrics::Registry;
use ferula::model::{Labels, SeriesRef};
use ferula::remote::{AcceptedMessages, Options, Receiver};
use ferula::stdx::clock::{Clock, RealClock};
use ferula::storage::{Appendable, Appender, Committed, StorageError};
use ferula::tsdb::{self, Db};

const SERIES: u64 = 2_000;
const ROUNDS: u64 = 2_000;
const START_MS: i64 = 1_700_000_000_000;

/// A storage that keeps nothing, so that only the receiver's own cost is left.
struct Nothing;

impl Appendable for Nothing {
    fn resolve(&self, labels: &Labels) -> Result<SeriesRef, StorageError> {
        Ok(SeriesRef(labels.stable_hash() >> 1))
    }

    fn commit(&self, batch: &Appender) -> Result<Committed, StorageError> {
        Ok(Committed {
            appended: batch.samples.len() as u64,
            ..Committed::default()
        })
    }
}

fn main() {
    let rounds = std::env::args().find_map(|a| a.parse().ok());
    let rounds: u64 = rounds.unwrap_or(ROUNDS);
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    measure(
        "decode and look up, literals",
        &clock,
        &literals,
        rounds,
        Arc::new(Nothing),
    );
    measure(
        "decode and look up, compressed",
        &clock,
        &compressed,
        rounds,
        Arc::new(Nothing),
    );
    let options = tsdb::Options::in_memory(clock.clone(), Registry::new());
    let Ok(db) = Db::open(options) else {
        return println!("there is no thread for the database");
    };
    measure(
        "into the head, compressed",
        &clock,
        &compressed,
        rounds,
        Arc::new(db),
    );
}

fn measure(
    what: &str,
    clock: &Arc<dyn Clock>,
    pack: &dyn Fn(&[u8]) -> Vec<u8>,
    rounds: u64,
    storage: Arc<dyn Appendable>,
) {
    let Ok(accepted) = AcceptedMessages::from_names(&["prometheus.WriteRequest"]) else {
        return;
    };
    let receiver = Receiver::new(Options {
        storage,
        clock: clock.clone(),
        registry: Registry::new(),
        accepted,
    });
    let labels: Vec<_> = (0..SERIES).map(label_fields).collect();
    let (mut spent, mut first, mut bytes) = (Duration::ZERO, Duration::ZERO, 0);
    for round in 0..=rounds {
        let body = pack(&request(&labels, round * 15));
        bytes += body.len();
        let began = cpu_time();
        let done = receiver.receive(Some("snappy"), None, &body);
        let took = cpu_time().saturating_sub(began);
        assert!(done.is_ok(), "{done:?}");
        if round == 0 {
            first = took;
        } else {
            spent += took;
        }
    }
    println!(
        "{what}: {:.1} ns a sample, {:.1} B a sample on the wire; the first request {:.0} ns",
        spent.as_nanos() as f64 / (rounds * SERIES) as f64,
        bytes as f64 / ((rounds + 1) * SERIES) as f64,
        first.as_nanos() as f64 / SERIES as f64,
    );
}

/// The CPU time of this thread, so that a busy machine does not change the figures.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn request(labels: &[Vec<u8>], seconds: u64) -> Vec<u8> {
    let (mut raw, mut series) = (Vec::new(), Vec::new());
    for (i, labels) in labels.iter().enumerate() {
        series.clear();
        series.extend_from_slice(labels);
        let mut sample = vec![1 << 3 | 1];
        sample.extend_from_slice(&value(i as u64, seconds).to_le_bytes());
        sample.push(2 << 3);
        put_varint(&mut sample, START_MS as u64 + seconds * 1000);
        put_bytes(&mut series, 2, &sample);
        put_bytes(&mut raw, 1, &series);
    }
    raw
}

fn label_fields(i: u64) -> Vec<u8> {
    let (family, k, host) = (i / 24 % 40, i % 24, i / 960);
    let pairs = [
        ("__name__", format!("node_subsystem_{family}_metric_total")),
        ("direction", if k % 2 == 0 { "rx" } else { "tx" }.to_owned()),
        ("instance", format!("host-{host}:9100")),
        ("interface", format!("eth{}", k % 4)),
        ("job", "node".to_owned()),
        ("namespace", "kube-system".to_owned()),
        ("pod", format!("node-agent-{:x}", mix(i) % 65_536)),
        ("queue", k.to_string()),
    ];
    let mut out = Vec::new();
    for (name, value) in pairs {
        let mut label = Vec::new();
        put_bytes(&mut label, 1, name.as_bytes());
        put_bytes(&mut label, 2, value.as_bytes());
        put_bytes(&mut out, 1, &label);
    }
    out
}

/// Makes 4 of 10 constant, 3 integer counters, 2 float gauges, 1 float counter.
fn value(i: u64, seconds: u64) -> f64 {
    let h = mix(i + 77);
    match h % 10 {
        0..=3 => (h % 4096) as f64,
        4..=6 => (h % 1_000_000 + seconds * (h % 97 + 1)) as f64,
        7 | 8 => (h % 1000) as f64 / 7.0 + (mix(h ^ seconds) % 10_000) as f64 / 1000.0,
        _ => (h % 100_000) as f64 + seconds as f64 * ((h % 1000) as f64 / 1000.0),
    }
}

fn mix(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^= x >> 33;
    x.wrapping_mul(0xc4ce_b9fe_1a85_ec53)
}

fn put_varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn literals(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, raw.len() as u64);
    for piece in raw.chunks(1 << 16) {
        out.push(61 << 2);
        out.extend_from_slice(&((piece.len() - 1) as u16).to_le_bytes());
        out.extend_from_slice(piece);
    }
    out
}

fn compressed(raw: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new()
        .compress_vec(raw)
        .unwrap_or_default()
}
