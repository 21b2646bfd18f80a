//! File and HTTP discovery: every event in a target file's life.

use std::fs;

use crate::support::{Behaviour, Exporter, Ferula, eventually};

const CONFIG: &str = "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\nscrape_configs:\n\
    - job_name: files\n  file_sd_configs:\n  - files: ['targets/*.json', 'targets/*.yml']\n    \
    refresh_interval: 2s\n";

/// The `host` labels of the active targets, sorted.
fn hosts(ferula: &Ferula) -> Vec<String> {
    let label = |t: &serde_json::Value| t["labels"]["host"].as_str().unwrap_or("-").to_owned();
    let mut hosts: Vec<String> = ferula.targets().iter().map(label).collect();
    hosts.sort();
    hosts
}

#[track_caller]
fn wait_hosts(ferula: &Ferula, expect: &[&str]) {
    eventually(&format!("the targets are {expect:?}"), || {
        (hosts(ferula) == expect).then_some(())
    });
}

fn json(exporter: &Exporter, host: &str) -> String {
    let address = exporter.address;
    format!(r#"[{{"targets": ["{address}"], "labels": {{"host": "{host}"}}}}]"#)
}

fn yaml(exporter: &Exporter, host: &str) -> String {
    let address = exporter.address;
    format!("- targets: ['{address}']\n  labels: {{host: {host}}}\n")
}

#[test]
fn every_event_of_a_file() {
    let exporter = Exporter::page("a 1\n");
    let ferula = Ferula::start(CONFIG);
    // The directory comes later than the configuration.
    fs::create_dir(ferula.path("targets")).unwrap();
    ferula.write("targets/a.json", &json(&exporter, "one"));
    wait_hosts(&ferula, &["one"]);
    ferula.write("targets/b.yml", &yaml(&exporter, "two"));
    wait_hosts(&ferula, &["one", "two"]);
    // Written again in place, then replaced by a rename.
    ferula.write("targets/a.json", &json(&exporter, "three"));
    wait_hosts(&ferula, &["three", "two"]);
    ferula.write("targets/new", &json(&exporter, "four"));
    fs::rename(ferula.path("targets/new"), ferula.path("targets/a.json")).unwrap();
    wait_hosts(&ferula, &["four", "two"]);
    // A broken file keeps its former targets, and is counted. A mended one goes on.
    ferula.write("targets/a.json", "[{\"targets\": ");
    eventually("the broken file is counted", || {
        ferula
            .metric("prometheus_sd_file_read_errors_total")
            .filter(|n| *n > 0.0)
    });
    assert_eq!(hosts(&ferula), ["four", "two"]);
    ferula.write("targets/a.json", &json(&exporter, "five"));
    wait_hosts(&ferula, &["five", "two"]);
    fs::remove_file(ferula.path("targets/b.yml")).unwrap();
    wait_hosts(&ferula, &["five"]);
    // The directory goes and comes back.
    fs::remove_dir_all(ferula.path("targets")).unwrap();
    wait_hosts(&ferula, &[]);
    fs::create_dir(ferula.path("targets")).unwrap();
    ferula.write("targets/a.json", &json(&exporter, "six"));
    wait_hosts(&ferula, &["six"]);
    let discovered = ferula.targets()[0]["discoveredLabels"].clone();
    // As the configuration names it, since rules match on it.
    assert_eq!(discovered["__meta_filepath"], "targets/a.json");
}

#[test]
fn a_symlink_swap_as_a_mounted_config_map_makes_it() {
    let exporter = Exporter::page("a 1\n");
    let ferula = Ferula::start(CONFIG);
    let link = |to: &str, name: &str| {
        let fresh = ferula.path("targets/.fresh");
        std::os::unix::fs::symlink(to, &fresh).unwrap();
        fs::rename(fresh, ferula.path(name)).unwrap();
    };
    for generation in ["targets/..1", "targets/..2"] {
        fs::create_dir_all(ferula.path(generation)).unwrap();
    }
    ferula.write("targets/..1/a.json", &json(&exporter, "old"));
    ferula.write("targets/..2/a.json", &json(&exporter, "new"));
    link("..1", "targets/..data");
    link("..data/a.json", "targets/a.json");
    wait_hosts(&ferula, &["old"]);
    link("..2", "targets/..data");
    wait_hosts(&ferula, &["new"]);
}

#[test]
fn http_discovery_keeps_its_targets_when_the_endpoint_fails() {
    let target = Exporter::page("a 1\n");
    let endpoint = Exporter::start(Behaviour::Json(json(&target, "found")));
    let config = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\nscrape_configs:\n\
         - job_name: web\n  http_sd_configs:\n  - url: http://{}/list\n    refresh_interval: 1s\n",
        endpoint.address
    );
    let ferula = Ferula::start(&config);
    wait_hosts(&ferula, &["found"]);
    let head = endpoint.last_head();
    assert!(head.contains("GET /list"), "{head}");
    assert!(
        head.to_lowercase()
            .contains("x-prometheus-refresh-interval-seconds: 1"),
        "{head}"
    );
    endpoint.set(Behaviour::Status(500));
    eventually("the failure is counted", || {
        ferula
            .metric("prometheus_sd_http_failures_total")
            .filter(|n| *n > 0.0)
    });
    assert_eq!(hosts(&ferula), ["found"]);
    endpoint.set(Behaviour::Json("[]".to_owned()));
    wait_hosts(&ferula, &[]);
}
