//! Start and stop: flags, exit codes, signals, the order of stopping.

use rustix::process::Signal;

use crate::support::{Exporter, Ferula, eventually, run_to_end, scraping};

const EMPTY: &str = "global: {}\n";

#[test]
fn bad_flags_end_with_2_and_usage() {
    let dir = tempfile::tempdir().unwrap();
    let check = |arguments: &[&str], code: i32, piece: &str| {
        let finished = run_to_end(dir.path(), arguments);
        assert_eq!(finished.code(), code, "{arguments:?}: {}", finished.stderr);
        assert!(
            finished.stderr.contains(piece),
            "{arguments:?}: {}",
            finished.stderr
        );
    };
    check(&["--no-such-flag"], 2, "--no-such-flag");
    check(&["--query.timeout=soon"], 2, "soon");
    check(
        &["--config.file=a", "--config.file=b"],
        2,
        "flag 'config.file' cannot be repeated",
    );
    check(
        &["--web.enable-lifecycle", "--no-web.enable-lifecycle"],
        2,
        "flag 'web.enable-lifecycle' cannot be repeated",
    );
    check(
        &["--storage.agent.path=x"],
        3,
        "can only be used in agent mode: --storage.agent.path",
    );
    check(
        &["--agent", "--query.timeout=1m"],
        3,
        "can not be used in agent mode: --query.timeout",
    );
}

#[test]
fn a_missing_or_broken_configuration_ends_with_2_and_every_error() {
    let dir = tempfile::tempdir().unwrap();
    let finished = run_to_end(dir.path(), &["--config.file=nowhere.yml"]);
    assert_eq!(finished.code(), 2, "{}", finished.stderr);
    assert!(
        finished.stderr.contains("nowhere.yml"),
        "{}",
        finished.stderr
    );

    let broken = "scrape_configs:\n- job_name: a\n  scrape_interval: 1s\n  scrape_timeout: 5s\n\
                  - job_name: b\n  relabel_configs:\n  - regex: '('\n    target_label: x\n";
    std::fs::write(dir.path().join("prometheus.yml"), broken).unwrap();
    let finished = run_to_end(dir.path(), &[]);
    assert_eq!(finished.code(), 2, "{}", finished.stderr);
    for piece in [
        "prometheus.yml:",
        "scrape timeout greater than scrape interval",
        "missing closing )",
    ] {
        assert!(
            finished.stderr.contains(piece),
            "{piece}: {}",
            finished.stderr
        );
    }
}

#[test]
fn what_ends_a_start_is_named_with_its_flag_and_value() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("prometheus.yml"), EMPTY).unwrap();
    let check = |flag: &str, expect: &str| {
        let stderr = run_to_end(dir.path(), &[flag]).stderr;
        assert!(stderr.contains(expect), "{flag}: {stderr}");
    };
    let storage = "cannot open the storage (--storage.tsdb.path=";
    check(
        "--storage.tsdb.path=prometheus.yml",
        &format!(
            "{storage}prometheus.yml): cannot open the data directory (what stands there is no \
             directory): prometheus.yml: File exists (os error 17)\""
        ),
    );
    std::fs::create_dir_all(dir.path().join("a/lock")).unwrap();
    check(
        "--storage.tsdb.path=a",
        &format!("{storage}a): lock file a/lock (a directory stands where a file belongs): "),
    );
    std::fs::create_dir(dir.path().join("b")).unwrap();
    std::fs::write(dir.path().join("b/wal"), "").unwrap();
    check(
        "--storage.tsdb.path=b",
        &format!(
            "{storage}b): cannot make a directory (what stands there is no directory): b/wal: "
        ),
    );
    check(
        "--web.listen-address=localhost",
        "(--web.listen-address): listen tcp localhost: address localhost: missing port in address",
    );
    check(
        "--web.config.file=w.yml",
        "(--web.config.file): web configuration file w.yml: open w.yml: no such file or directory",
    );
    check(
        "--web.external-url=localhost:9090/prom",
        "cannot read --web.external-url: parse external URL",
    );
    check(
        "--config.auto-reload-interval=500ms",
        "--config.auto-reload-interval must be at least 1s, got 500ms",
    );
}

/// Zero means no limit for idle connections, and the default for the lookback. Taken literally,
/// nothing would be answered, and nothing found.
#[test]
fn zero_is_what_prometheus_takes_it_for() {
    let page = Exporter::page("a 1\n");
    let config = scraping(&page, "200ms");
    let zero = ["--web.read-timeout=0s", "--query.lookback-delta=0s"];
    let ferula = Ferula::start_with(&config, &zero);
    eventually("a is 1", || (ferula.values("a") == [1.0]).then_some(()));
}

#[test]
fn an_address_in_use_ends_with_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("prometheus.yml"), EMPTY).unwrap();
    let flag = format!("--web.listen-address={}", taken.local_addr().unwrap());
    let finished = run_to_end(dir.path(), &[&flag]);
    assert_eq!(finished.code(), 1, "{}", finished.stderr);
    assert!(
        finished.stderr.contains("address already in use"),
        "{}",
        finished.stderr
    );
}

#[test]
fn both_signals_and_quit_end_in_order_with_0() {
    type End = fn(&Ferula);
    let ends: [(&str, End); 3] = [
        ("SIGTERM", |f| f.signal(Signal::TERM)),
        ("SIGINT", |f| f.signal(Signal::INT)),
        ("/-/quit", |f| assert_eq!(f.post("/-/quit").status, 200)),
    ];
    for (name, end) in ends {
        let ferula = Ferula::start(EMPTY);
        end(&ferula);
        let finished = ferula.wait();
        assert_eq!(finished.code(), 0, "{name}: {}", finished.stderr);
        let stopped: Vec<&str> = finished
            .stderr
            .lines()
            .filter(|l| l.contains("msg=Stopped"))
            .filter_map(|l| l.rsplit_once("stage=").map(|(_, stage)| stage))
            .collect();
        assert_eq!(
            stopped,
            ["scrape", "discovery", "watch", "web", "storage"],
            "{name}"
        );
        assert!(
            finished.stderr.contains("See you next time!"),
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn flags_without_effect_and_unknown_features_are_named_and_stop_nothing() {
    let arguments = [
        "--web.console.templates=x",
        "--enable-feature=agent,nonsense",
    ];
    let ferula = Ferula::start_with(EMPTY, &arguments);
    ferula.wait_for_log("Unknown option for --enable-feature: nonsense");
    ferula.wait_for_log("--web.console.templates has no effect");
    let flags = ferula.get("/api/v1/status/flags").json();
    assert_eq!(flags["data"]["enable-feature"], "agent,nonsense");
    assert_eq!(flags["data"]["query.lookback-delta"], "5m");
}

#[test]
fn json_log_lines_are_json() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("prometheus.yml"), "nonsense: 1\n").unwrap();
    let finished = run_to_end(dir.path(), &["--log.format=json"]);
    assert_eq!(finished.code(), 2);
    for line in finished.stderr.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            object["msg"].is_string() && object["level"].is_string(),
            "{line}"
        );
    }
}

#[test]
fn it_scrapes_itself() {
    let page = Exporter::page("# TYPE a counter\na_total{x=\"1\"} 7\n");
    let config = format!(
        "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\nscrape_configs:\n\
         - job_name: a\n  static_configs: [{{targets: ['{}']}}]\n",
        page.address
    );
    let ferula = Ferula::start(&config);
    eventually("up is 1", || (ferula.values("up") == [1.0]).then_some(()));
    assert_eq!(ferula.values("a_total{x=\"1\",job=\"a\"}"), [7.0]);
    assert_eq!(ferula.values("scrape_samples_scraped"), [1.0]);
    let head = page.last_head();
    assert!(
        head.contains("X-Prometheus-Scrape-Timeout-Seconds: 0.2"),
        "{head}"
    );
    assert!(
        head.to_lowercase().contains("accept-encoding: gzip"),
        "{head}"
    );
}

#[test]
fn a_failure_log_that_cannot_be_opened_is_told_at_the_start() {
    let ferula = Ferula::start(
        "global: {scrape_failure_log_file: nowhere/failures.log}\nscrape_configs:\n- job_name: a\n",
    );
    ferula.wait_for_log("(scrape_failure_log_file)");
}
