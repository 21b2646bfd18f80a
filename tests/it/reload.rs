//! Reloading: all or nothing, by signal, HTTP and file, and what it must not disturb.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Behaviour, Exporter, Ferula, eventually};

const BROKEN: &str =
    "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: a\n- job_name: a\n";

fn config(interval: &str, jobs: &str) -> String {
    format!(
        "global: {{scrape_interval: {interval}, scrape_timeout: {interval}}}\nscrape_configs:\n{jobs}"
    )
}

fn job(name: &str, targets: &[&Exporter]) -> String {
    let all: Vec<String> = targets.iter().map(|e| format!("'{}'", e.address)).collect();
    format!(
        "- job_name: {name}\n  static_configs: [{{targets: [{}]}}]\n",
        all.join(", ")
    )
}

fn active(ferula: &Ferula) -> usize {
    ferula.targets().len()
}

#[test]
fn a_changed_file_is_read_where_a_flag_or_a_feature_asks_for_it() {
    let exporter = Exporter::page("a 1\n");
    for asks in [
        "--config.auto-reload",
        "--enable-feature=auto-reload-config",
    ] {
        let arguments = [asks, "--config.auto-reload-interval=1s"];
        let ferula = Ferula::start_with(&config("1s", ""), &arguments);
        assert_eq!(active(&ferula), 0);
        ferula.write("prometheus.yml", &config("1s", &job("a", &[&exporter])));
        eventually("the file was read", || (active(&ferula) == 1).then_some(()));
        let report = ferula.get("/api/v1/status/reload").json();
        assert_eq!(report["data"]["cause"], "file");
        assert_eq!(report["data"]["changes"][0], "scrape job \"a\" added");
    }
}

#[test]
fn sighup_and_http_tell_what_changed() {
    let exporter = Exporter::page("a 1\n");
    let ferula = Ferula::start(&config("1s", ""));
    ferula.write("prometheus.yml", &config("1s", &job("a", &[&exporter])));
    ferula.signal(Signal::HUP);
    eventually("the target is there", || {
        (active(&ferula) == 1).then_some(())
    });
    let report = ferula.get("/api/v1/status/reload").json()["data"].clone();
    assert_eq!(
        (&report["cause"], &report["success"]),
        (&"SIGHUP".into(), &true.into())
    );

    ferula.write(
        "prometheus.yml",
        &config("1s", &(job("a", &[&exporter]) + &job("b", &[&exporter]))),
    );
    let reply = ferula.reload();
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    let report = ferula.get("/api/v1/status/reload").json()["data"].clone();
    assert_eq!(report["cause"], "http");
    assert_eq!(report["changes"][0], "scrape job \"b\" added");
    assert_eq!(
        ferula.metric("prometheus_config_last_reload_successful"),
        Some(1.0)
    );
}

#[test]
fn a_broken_file_changes_nothing_and_every_error_is_told() {
    let exporter = Exporter::page("a 1\n");
    let good = config("1s", &job("a", &[&exporter]));
    let ferula = Ferula::start(&good);
    let yaml = ferula.get("/api/v1/status/config").body;
    ferula.write("prometheus.yml", BROKEN);
    let reply = ferula.reload();
    assert_eq!(reply.status, 500);
    assert!(
        reply.body.starts_with("failed to reload config: "),
        "{}",
        reply.body
    );
    assert!(
        reply
            .body
            .contains("found multiple scrape configs with job name"),
        "{}",
        reply.body
    );
    assert_eq!(ferula.get("/api/v1/status/config").body, yaml);
    assert_eq!(
        ferula.metric("prometheus_config_last_reload_successful"),
        Some(0.0)
    );
    let report = ferula.get("/api/v1/status/reload").json()["data"].clone();
    assert_eq!(report["success"], false);
    assert!(
        report["errors"][0]
            .as_str()
            .unwrap()
            .contains("prometheus.yml:"),
        "{report}"
    );
    ferula.write("prometheus.yml", &good);
    assert_eq!(ferula.reload().status, 200);
    assert_eq!(
        ferula.metric("prometheus_config_last_reload_successful"),
        Some(1.0)
    );
}

#[test]
fn a_certificate_that_cannot_be_read_refuses_a_reload_but_not_a_start() {
    let exporter = Exporter::page("a 1\n");
    let with = |file: &str| {
        let job = job("a", &[&exporter]);
        config(
            "1s",
            &format!("{job}  scheme: https\n  tls_config: {{ca_file: {file}}}\n"),
        )
    };
    let ferula = Ferula::start(&with("nowhere.pem"));
    eventually("the target says why it is down", || {
        let error = ferula.targets()[0]["lastError"]
            .as_str()
            .unwrap()
            .to_owned();
        error.contains("nowhere.pem").then_some(())
    });
    ferula.write("prometheus.yml", &with("elsewhere.pem"));
    let reply = ferula.reload();
    assert_eq!(reply.status, 500);
    assert!(reply.body.contains("elsewhere.pem"), "{}", reply.body);
}

#[test]
fn lifecycle_is_refused_when_off_and_by_get() {
    let ferula = Ferula::start_with(&config("1s", ""), &["--no-web.enable-lifecycle"]);
    assert_eq!(ferula.reload().status, 403);
    assert_eq!(ferula.post("/-/quit").status, 403);
    assert_eq!(ferula.get("/-/reload").status, 405);
}

/// The acceptance test of undisturbed reloads: 100 of them, good and broken in turn, while 20
/// targets are scraped every second; no sample of an unchanged pool may be missing.
#[test]
fn a_hundred_reloads_disturb_nothing() {
    let kept: Vec<Exporter> = (0..20)
        .map(|i| Exporter::page(format!("kept {i}\n")))
        .collect();
    let other = Exporter::page("other 1\n");
    let kept_job = job("kept", &kept.iter().collect::<Vec<_>>());
    let without = config("1s", &kept_job);
    let with = config("1s", &(kept_job.clone() + &job("other", &[&other])));
    let ferula = Ferula::start(&without);
    eventually("all are up", || {
        (ferula.values("up{job=\"kept\"}") == [1.0; 20]).then_some(())
    });
    let (threads, files) = (ferula.threads(), ferula.open_files());
    let requests: Vec<u64> = kept.iter().map(Exporter::requests).collect();
    let scraped = |n: u64| {
        let pairs = kept.iter().zip(&requests);
        pairs.clone().all(|(e, before)| e.requests() >= before + n)
    };
    for i in 0..100u32 {
        let text = match i % 4 {
            0 => &with,
            2 => &without,
            _ => BROKEN,
        };
        ferula.write("prometheus.yml", text);
        let status = ferula.reload().status;
        assert_eq!(status, if i % 2 == 0 { 200 } else { 500 }, "reload {i}");
        // Spreads the reloads over the scrapes: a tenth of an interval each.
        let due = u64::from(i / 10);
        eventually("scraping goes on", || scraped(due).then_some(()));
    }
    eventually("ten more scrapes", || scraped(12).then_some(()));
    for points in ferula.points("kept[10m]") {
        let times: Vec<i64> = points
            .iter()
            .map(|(t, _)| (t * 1000.0).round() as i64)
            .collect();
        for pair in times.windows(2) {
            let gap = pair[1] - pair[0];
            assert!((900..1100).contains(&gap), "a gap of {gap} ms in {times:?}");
        }
    }
    eventually("threads are as before", || {
        (without_workers(&ferula.threads()) == without_workers(&threads)).then_some(())
    });
    eventually("open files are as before", || {
        (ferula.open_files() <= files + 1).then_some(())
    });
}

/// Counts by kind; workers of the server and resolvers start when they are needed.
fn without_workers(names: &[String]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for name in names
        .iter()
        .filter(|n| !n.starts_with("http-") && !n.starts_with("resolve-"))
    {
        let kind = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
        *counts.entry(kind.to_owned()).or_default() += 1;
    }
    counts
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the acceptance point is a second of real time"
)]
fn hanging_targets_delay_no_reload() {
    let good = Exporter::page("good 1\n");
    let hanging: Vec<Exporter> = (0..20).map(|_| Exporter::start(Behaviour::Hang)).collect();
    let good_job = job("good", &[&good]);
    let slow = "  scrape_interval: 60s\n  scrape_timeout: 60s\n";
    let hang_job = job("hang", &hanging.iter().collect::<Vec<_>>()) + slow;
    // Offsets spread first scrapes over the interval: a short one makes them all hang soon.
    let hang_soon = hang_job.replace("60s\n  scrape_timeout: 60s", "1s\n  scrape_timeout: 1s");
    let ferula = Ferula::start(&config("1s", &(good_job.clone() + &hang_soon)));
    eventually("all hang", || {
        hanging.iter().all(|e| e.requests() > 0).then_some(())
    });
    eventually("good is up", || {
        (ferula.values("up{job=\"good\"}") == [1.0]).then_some(())
    });
    ferula.write("prometheus.yml", &config("1s", &good_job));
    let start = Instant::now();
    assert_eq!(ferula.reload().status, 200);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(1), "the reload took {took:?}");
    let before = good.requests();
    eventually("scraped on", || {
        (good.requests() > before + 2).then_some(())
    });
    for points in ferula.points("up{job=\"good\"}[10m]") {
        assert!(points.iter().all(|(_, v)| v == "1"), "{points:?}");
    }
}
