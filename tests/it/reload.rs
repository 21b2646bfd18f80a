//! Reloads: all or nothing, by signal, HTTP and file, and what they must not disturb.

use std::collections::BTreeMap;

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
        let targets = ferula.targets();
        let error = targets.first()?["lastError"].as_str()?;
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
/// targets are scraped every second. No sample of an unchanged pool may be missing.
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
        // Spreads the reloads over the scrapes, a tenth of an interval apart.
        let due = u64::from(i / 10);
        eventually("scraping goes on", || scraped(due).then_some(()));
    }
    eventually("ten more scrapes", || scraped(12).then_some(()));
    // Read before the samples, since the last of them may not be stored yet.
    let asked: Vec<usize> = kept.iter().map(|e| e.requests() as usize).collect();
    let all = ferula.points("kept[10m]");
    assert_eq!(all.len(), 20);
    // On a busy machine one may run out of time; then it has no sample.
    let up = ferula.points("up{job=\"kept\"}[10m]");
    let failed = up.iter().flatten().filter(|(_, v)| v == "0").count();
    for points in all {
        let exporter: usize = points[0].1.parse().unwrap();
        let (stored, asked) = (points.len(), asked[exporter]);
        assert!(
            stored + failed + 1 >= asked,
            "{asked} scrapes, {failed} of all failed, stored {points:?}"
        );
        let times: Vec<f64> = points.iter().map(|(t, _)| *t).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    }
    eventually("threads are as before", || {
        (without_workers(&ferula.threads()) == without_workers(&threads)).then_some(())
    });
    eventually("open files are as before", || {
        (ferula.open_files() <= files + 1).then_some(())
    });
}

/// Counts threads by kind. The server's workers and resolvers start when they are needed.
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

/// A job of 200 targets at one address. Their ticks spread over ten minutes, so that some are
/// scraped within seconds and may take as long as a slow machine needs.
fn held_job(exporter: &Exporter, more: &str) -> String {
    let address = exporter.address;
    let group =
        |i: u32| format!("{{targets: ['{address}'], labels: {{__param_i: '{i}', i: '{i}'}}}}");
    let groups: Vec<String> = (0..200).map(group).collect();
    format!(
        "- job_name: held\n  scrape_interval: 10m\n  scrape_timeout: 10m\n{more}  \
         static_configs: [{}]\n",
        groups.join(", ")
    )
}

/// Scrapes under way at a reload of their job were thrown away.
#[test]
fn scrapes_that_are_under_way_delay_no_reload_and_are_stored() {
    let good = Exporter::page("good 1\n");
    let held = Exporter::start(Behaviour::Hold);
    let good_job = job("good", &[&good]);
    let with = |more: &str| config("1s", &(good_job.clone() + &held_job(&held, more)));
    let ferula = Ferula::start(&with(""));
    eventually("good is up", || {
        (ferula.values("up{job=\"good\"}") == [1.0]).then_some(())
    });
    eventually("some are held", || (held.requests() > 0).then_some(()));
    let changes = [
        "  sample_limit: 5\n",
        "  sample_limit: 6\n",
        "  honor_labels: true\n",
        "  sample_limit: 7\n",
    ];
    for more in changes {
        ferula.write("prometheus.yml", &with(more));
        // A reload that waited for the scrape would take ten minutes.
        assert_eq!(ferula.reload().status, 200);
    }
    let before = good.requests();
    eventually("good is scraped on", || {
        (good.requests() > before + 2).then_some(())
    });
    assert_eq!(ferula.values("up{job=\"held\"}"), [0.0; 0]);
    let count = held.requests();
    held.set(Behaviour::Page("held 1\n".to_owned()));
    let stored = eventually("they are stored", || {
        let stored = ferula.values("held");
        (stored.len() as u64 >= count).then_some(stored)
    });
    assert!(stored.iter().all(|v| *v == 1.0), "{stored:?}");
    let counts = ferula.values("count_over_time(up{job=\"held\"}[20m])");
    assert!(counts.iter().all(|n| *n == 1.0), "{counts:?}");
    for points in ferula.points("up{job=\"held\"}[20m]") {
        assert!(points.iter().all(|(_, v)| v == "1"), "{points:?}");
    }
}

#[test]
fn a_job_that_is_removed_ends_its_scrapes_at_once() {
    let good = Exporter::page("good 1\n");
    let held = Exporter::start(Behaviour::Hold);
    let good_job = job("good", &[&good]);
    let ferula = Ferula::start(&config("1s", &(good_job.clone() + &held_job(&held, ""))));
    eventually("some are held", || (held.requests() > 0).then_some(()));
    ferula.write("prometheus.yml", &config("1s", &good_job));
    assert_eq!(ferula.reload().status, 200);
    eventually("its threads ended", || {
        let threads = ferula.threads();
        let loops = threads.iter().filter(|n| n.starts_with("scrape-"));
        (loops.count() <= 2).then_some(())
    });
    assert_eq!(ferula.values("up{job=\"held\"}"), [0.0; 0]);
    assert_eq!(ferula.targets().len(), 1);
}
