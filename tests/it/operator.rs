//! What somebody who comes from Prometheus does, and what was in the way. Backfilling into the data
//! directory kept the daemon from starting. An external URL without a scheme ended the start. A
//! retention of zero was taken for none given.

use serde_json::json;

use crate::support::{Ferula, run_to_end};

const SAMPLES: &str = "# TYPE m gauge\nm{i=\"1\"} 5 1000\nm{i=\"1\"} 6 1015\n# EOF\n";
const KEEP: &str = "--storage.tsdb.retention.time=100y";
const MADE: [&str; 5] = [
    "tsdb",
    "create-blocks-from",
    "openmetrics",
    "samples.om",
    "data",
];

#[test]
fn backfilling_into_the_data_directory() {
    let mut ferula = Ferula::start("global: {}\n");
    ferula.write("samples.om", SAMPLES);
    let dir = ferula.path("");
    let refused = run_to_end(&dir, &MADE);
    assert_eq!(refused.code(), 1, "{}", refused.stdout);
    assert!(refused.stderr.contains("in use"), "{}", refused.stderr);
    ferula.kill();
    for (taken, quiet) in [
        ("made 1 blocks of 2 samples in data\n", ""),
        ("made 0 blocks of 0 samples in data\n", ""),
        ("", "-q"),
    ] {
        let quiet = [quiet].into_iter().filter(|flag| !flag.is_empty());
        let arguments: Vec<&str> = MADE.into_iter().chain(quiet).collect();
        let made = run_to_end(&dir, &arguments);
        assert_eq!(made.code(), 0, "{}", made.stderr);
        assert!(made.stdout.starts_with(taken), "{}", made.stdout);
    }
    ferula.start_again(&[KEEP]);
    let reply = ferula.get("/api/v1/query?query=m&time=1020");
    let result = &reply.json()["data"]["result"];
    assert_eq!(result[0]["value"], json!([1020, "6"]), "{}", reply.body);
}

#[test]
fn blocks_of_prometheus_beside_ours_are_named_and_left_alone() {
    let mut ferula = Ferula::start("global: {}\n");
    ferula.write("samples.om", SAMPLES);
    ferula.kill();
    let dir = ferula.path("");
    let beside = ["elsewhere"];
    let arguments: Vec<&str> = MADE.into_iter().take(4).chain(beside).collect();
    assert_eq!(run_to_end(&dir, &arguments).code(), 0);
    let block = std::fs::read_dir(ferula.path("elsewhere")).unwrap();
    let block = block.map(|entry| entry.unwrap()).next().unwrap();
    let to = ferula.path("data").join(block.file_name());
    std::fs::rename(block.path(), &to).unwrap();
    ferula.start_again(&[KEEP]);
    ferula.wait_for_log("blocks of Prometheus's format lie in the data directory");
    assert!(to.join("meta.json").exists());
}

#[test]
fn files_that_are_not_there_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let made = run_to_end(dir.path(), &MADE);
    assert_eq!(made.code(), 1);
    assert!(made.stderr.contains("samples.om"), "{}", made.stderr);
    assert!(!dir.path().join("data").exists());
}

#[test]
fn an_external_url_without_a_scheme() {
    let arguments = [
        "--web.external-url=prom.example.com",
        "--web.route-prefix=/",
    ];
    let ferula = Ferula::start_with("global: {}\n", &arguments);
    assert_eq!(ferula.get("/-/healthy").status, 200);
    let dir = tempfile::tempdir().unwrap();
    let refused = run_to_end(dir.path(), &["--web.external-url=localhost:9090/prom"]);
    assert_eq!(refused.code(), 2, "{}", refused.stderr);
    let hint = "write it as http://HOST:PORT/PATH";
    assert!(refused.stderr.contains(hint), "{}", refused.stderr);
    assert!(!dir.path().join("data").exists());
}

#[test]
fn a_container_without_curl_asks_whether_it_is_well() {
    let mut ferula = Ferula::start("global: {}\n");
    ferula.write("web.yml", "basic_auth_users: {a: b}\n");
    ferula.write("empty.yml", "");
    let dir = ferula.path("");
    let url = format!("--url=http://{}/", ferula.address);
    let check = |arguments: &[&str], code: i32, stderr: &str| {
        let all: Vec<&str> = ["check"].iter().chain(arguments).copied().collect();
        let finished = run_to_end(&dir, &all);
        let got = (finished.code(), finished.stderr.as_str());
        assert_eq!(got.0, code, "{got:?}");
        assert!(got.1.contains(stderr), "{got:?}");
    };
    check(
        &["healthy", &url],
        0,
        "  SUCCESS: Prometheus Server is Healthy.\n",
    );
    check(
        &["ready", &url],
        0,
        "  SUCCESS: Prometheus Server is Ready.\n",
    );
    check(
        &["ready", &format!("{url}x")],
        1,
        "check failed: URL=http://",
    );
    check(&["ready", "--url=x"], 1, "\"x\" is no URL of a server");
    check(&["web-config", "empty.yml"], 0, "empty.yml SUCCESS\n");
    check(
        &["web-config", "empty.yml", "web.yml"],
        1,
        "web.yml FAILED: ",
    );
    ferula.kill();
    check(&["healthy", &url], 1, "connection refused");
}

/// A section with `0s` was taken for none, and 15 days held silently.
#[test]
fn retention_by_file_and_flags() {
    let flags = ["--storage.tsdb.retention.time=3d"];
    let ferula = Ferula::start_with("{}\n", &flags);
    for (retention, expect) in [
        ("", "3d"),
        ("{time: 0s}", ""),
        ("{}", ""),
        ("{size: 0}", ""),
        ("{time: 7d}", "1w"),
        ("{time: 0s, size: 1GB}", "1GiB"),
        ("{time: 2d, size: 1GB}", "2d or 1GiB"),
        ("{percentage: 10}", "10%"),
    ] {
        let config = match retention {
            "" => "{}\n".to_owned(),
            given => format!("storage: {{tsdb: {{retention: {given}}}}}\n"),
        };
        ferula.write("prometheus.yml", &config);
        assert_eq!(ferula.reload().status, 200, "{config}");
        let info = ferula.get("/api/v1/status/runtimeinfo").json();
        assert_eq!(info["data"]["storageRetention"], expect, "{config}");
    }
}

#[test]
fn what_is_in_force_is_shown() {
    let shows = |config: &str, arguments: &[&str], yaml: &str, flags: &[(&str, &str)]| {
        let ferula = Ferula::start_with(config, arguments);
        let shown = ferula.get("/api/v1/status/config").json();
        let shown = shown["data"]["yaml"].as_str().unwrap();
        let storage = &shown[shown.find("storage:\n").unwrap()..shown.find("otlp:").unwrap()];
        assert_eq!(storage, yaml, "{arguments:?}");
        let shown = ferula.get("/api/v1/status/flags").json();
        for (name, value) in flags {
            assert_eq!(shown["data"][name], *value, "{arguments:?} {name}");
        }
    };
    let storage = |retention: &str, more: &str| {
        format!("storage:\n  tsdb:\n    outofordertimewindow: 0\n    retention:{retention}\n{more}")
    };
    shows(
        "{}\n",
        &[],
        &storage("\n      time: 15d", ""),
        &[
            ("web.route-prefix", "/"),
            ("storage.tsdb.max-block-duration", "1d12h"),
            ("storage.tsdb.min-block-duration", "2h"),
            ("storage.tsdb.retention.time", "15d"),
            ("storage.tsdb.retention.size", "0B"),
            ("config.auto-reload", "false"),
        ],
    );
    shows(
        "{}\n",
        &[
            "--storage.tsdb.retention.time=90d",
            "--enable-feature=exemplar-storage,auto-reload-config",
        ],
        &storage(
            "\n      time: 90d",
            "  exemplars:\n    max_exemplars: 100000\n",
        ),
        &[
            ("storage.tsdb.max-block-duration", "9d"),
            ("storage.tsdb.retention.time", "90d"),
            ("config.auto-reload", "true"),
        ],
    );
    shows(
        "{}\n",
        &["--storage.tsdb.retention.size=1GB"],
        &storage("\n      size: 1GiB", ""),
        &[
            ("storage.tsdb.max-block-duration", "31d"),
            ("storage.tsdb.retention.time", "0s"),
            ("storage.tsdb.retention.size", "1GiB"),
        ],
    );
    // A written section holds alone.
    shows(
        "storage: {tsdb: {retention: {}}, exemplars: {max_exemplars: 5}}\n",
        &["--storage.tsdb.retention.time=90d", "--web.route-prefix=//"],
        &storage(" {}", "  exemplars:\n    max_exemplars: 5\n"),
        &[
            ("web.route-prefix", "/"),
            ("storage.tsdb.retention.time", "0s"),
        ],
    );
    shows(
        "storage: {tsdb: {retention: {time: 400d}}}\n",
        &["--storage.tsdb.max-block-duration=1d"],
        &storage("\n      time: 400d", ""),
        &[
            ("storage.tsdb.max-block-duration", "1d"),
            ("storage.tsdb.retention.time", "400d"),
        ],
    );
}
