//! The whole cost of scraping and storing: CPU per sample, memory.
//!
//! Needs a server of pages: `exporters PORT SERIES`. Run with PORT TARGETS INTERVAL_MS SECONDS.
//! Prints figures, without a verdict.

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ferula::config::{Config, LoadOptions, load_text};
use ferula::metrics::Registry;
use ferula::model::{LabelMap, TargetGroup};
use ferula::net::{Env, Strictness};
use ferula::scrape::{Alignment, Handle, Options, PrepareEnv, prepare};
use ferula::stdx::clock::{Clock, RealClock};
use ferula::stdx::mailbox::mailbox;
use ferula::tsdb;

fn main() {
    let args: Vec<u64> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let &[port, targets, interval_ms, seconds] = args.as_slice() else {
        return println!("usage: scrape PORT TARGETS INTERVAL_MS SECONDS");
    };
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let registry = Registry::new();
    let db = tsdb::Db::open(tsdb::Options::in_memory(clock.clone(), registry.clone()));
    let Ok(db) = db else {
        return println!("no database");
    };
    let (poster, mailbox) = mailbox();
    let handle = Handle::start(Options {
        storage: Arc::new(db),
        targets: mailbox,
        clock: clock.clone(),
        registry: registry.clone(),
        user_agent: "bench".to_owned(),
        alignment: Alignment::default(),
        reload_interval: Duration::from_secs(5),
    });
    let Ok(handle) = handle else {
        return println!("no threads");
    };
    let env = PrepareEnv {
        net: Env::new(clock.clone(), &registry),
        host_name: "h".to_owned(),
    };
    let Some(config) = config(interval_ms) else {
        return println!("an interval of 1 ms at least is needed");
    };
    let Ok(prepared) = prepare(&config, &env, Strictness::Strict) else {
        return println!("not prepared");
    };
    handle.apply(prepared);
    poster.post([("j".to_owned(), vec![Arc::new(group(port, targets))])].into());
    let wait = |time| {
        let _ = clock.after(time).recv();
    };
    wait(Duration::from_millis(interval_ms * 3));
    let (cpu, samples) = (cpu_seconds(), appended(&registry));
    wait(Duration::from_secs(seconds));
    let (cpu, samples) = (cpu_seconds() - cpu, appended(&registry) - samples);
    println!(
        "{samples} samples, {:.3} us of CPU each",
        cpu * 1e6 / samples
    );
    println!("{:.1} MiB resident", resident_mib());
    let up = handle
        .view()
        .active(None)
        .into_iter()
        .flat_map(|p| p.targets);
    let down = up.filter(|t| t.status().last_error.is_some()).count();
    println!("{down} targets down");
}

fn group(port: u64, targets: u64) -> TargetGroup {
    let target = |i| {
        let labels = [
            ("__address__".to_owned(), format!("127.0.0.1:{port}")),
            ("__metrics_path__".to_owned(), format!("/t/{i}/metrics")),
            ("instance".to_owned(), format!("h{i}")),
        ];
        LabelMap::from(labels)
    };
    TargetGroup {
        targets: (0..targets).map(target).collect(),
        ..TargetGroup::default()
    }
}

fn config(interval_ms: u64) -> Option<Config> {
    let text = format!(
        "scrape_configs:\n- job_name: j\n  scrape_interval: {interval_ms}ms\n  \
         scrape_timeout: {interval_ms}ms\n"
    );
    let options = LoadOptions {
        syntax_only: true,
        ..LoadOptions::default()
    };
    let (config, _) = load_text(Path::new("bench.yml"), &text, &options).ok()?;
    Some(config)
}

fn appended(registry: &Registry) -> f64 {
    let mut text = String::new();
    registry.encode(&mut text);
    let name = "prometheus_tsdb_head_samples_appended_total";
    let lines = text.lines().filter(|l| l.starts_with(name));
    lines
        .filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// The CPU time of all threads, in user and kernel mode, at 100 ticks a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or("").split(' ');
    fields
        .skip(12)
        .take(2)
        .filter_map(|f| f.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

fn resident_mib() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|f| f.parse::<f64>().ok());
    pages.unwrap_or(0.0) * 4096.0 / 1_048_576.0
}
