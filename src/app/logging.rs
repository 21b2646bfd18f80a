//! Log lines on standard error: logfmt or JSON, in Prometheus's layout (`time`, `level`,
//! `component`, `msg`, then the record's own pairs).

use std::fmt::Write as _;
use std::io::Write as _;

use log::kv::{Error, Key, Value, VisitSource};
use log::{LevelFilter, Record};

use crate::cli::LogFormat;
use crate::model::{TimestampMs, timestamp};
use crate::stdx::clock::{Clock as _, RealClock};

/// Sets the process's logger. `level` is a name of `--log.level`.
pub fn init(level: &str, format: LogFormat) {
    let level = match level {
        "debug" => LevelFilter::Debug,
        "warn" => LevelFilter::Warn,
        "error" => LevelFilter::Error,
        _ => LevelFilter::Info,
    };
    let clock = RealClock::new();
    let built = env_logger::Builder::new()
        // Crates below log only when something is wrong.
        .filter_level(level.min(LevelFilter::Warn))
        .filter_module("ferula", level)
        .format(move |out, record| {
            let time = time(clock.wall_ms());
            let line = match format {
                LogFormat::Logfmt => logfmt(&time, record),
                LogFormat::Json => json(&time, record),
            };
            writeln!(out, "{line}")
        })
        .try_init();
    // NOTE: a second call, in a test's process, keeps the first logger.
    drop(built);
}

/// Writes an error with its causes. Many of our texts already end in their cause's.
pub fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.ends_with(&cause) {
            let colon = if text.is_empty() { "" } else { ": " };
            text = text + colon + &cause;
        }
    }
    text
}

/// Writes RFC 3339 always with three digits, as Prometheus's log does.
fn time(ms: TimestampMs) -> String {
    let seconds = timestamp::rfc3339(ms - ms.rem_euclid(1000));
    format!(
        "{}.{:03}Z",
        seconds.trim_end_matches('Z'),
        ms.rem_euclid(1000)
    )
}

/// Returns the component: `scrape` for `ferula::scrape::pool`.
fn component<'a>(record: &'a Record) -> &'a str {
    let mut parts = record.target().split("::");
    match (parts.next(), parts.next()) {
        (Some("ferula"), Some(room)) => room,
        (Some(krate), _) => krate,
        (None, _) => "",
    }
}

fn logfmt(time: &str, record: &Record) -> String {
    let mut line = format!(
        "time={time} level={} component={}",
        record.level(),
        component(record)
    );
    push_logfmt(&mut line, "msg", &record.args().to_string());
    let _ = record
        .key_values()
        .visit(&mut Pairs(|key: &str, value: &str| {
            push_logfmt(&mut line, key, value);
        }));
    line
}

fn push_logfmt(line: &mut String, key: &str, value: &str) {
    let plain = |b: u8| b > b' ' && b != b'=' && b != b'"' && b != b'\\' && b != 0x7f;
    if !value.is_empty() && value.bytes().all(plain) {
        let _ = write!(line, " {key}={value}");
    } else {
        let _ = write!(line, " {key}={}", crate::stdx::gofmt::quote(value));
    }
}

fn json(time: &str, record: &Record) -> String {
    let mut object = serde_json::Map::new();
    let mut insert = |key: &str, value: &str| object.insert(key.to_owned(), value.into());
    insert("time", time);
    insert("level", record.level().as_str());
    insert("component", component(record));
    insert("msg", &record.args().to_string());
    let _ = record
        .key_values()
        .visit(&mut Pairs(|key: &str, value: &str| {
            insert(key, value);
        }));
    serde_json::Value::Object(object).to_string()
}

/// Calls a closure with each pair as text.
struct Pairs<F>(F);

impl<'kvs, F: FnMut(&str, &str)> VisitSource<'kvs> for Pairs<F> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        (self.0)(key.as_str(), &value.to_string());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats() {
        let pairs = [("file", "a b"), ("n", "1")];
        let record = Record::builder()
            .target("ferula::scrape::pool")
            .level(log::Level::Warn)
            .args(format_args!("it broke"))
            .key_values(&pairs)
            .build();
        let line = logfmt("T", &record);
        assert_eq!(
            line,
            r#"time=T level=WARN component=scrape msg="it broke" file="a b" n=1"#
        );
        let object: serde_json::Value = serde_json::from_str(&json("T", &record)).unwrap();
        assert_eq!(object["component"], "scrape");
        assert_eq!(object["file"], "a b");
    }
    #[test]
    fn times_have_three_digits() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(1_700_000_000_120), "2023-11-14T22:13:20.120Z");
    }

    #[test]
    fn a_cause_is_told_once() {
        let error = anyhow::anyhow!("no such file")
            .context("open x: no such file")
            .context("cannot start");
        assert_eq!(told(&error), "cannot start: open x: no such file");
    }
}
