//! Tests of merge keys (`<<`) as in yaml.v2, in every position. Each expectation is what Go 1.26
//! with go.yaml.in/yaml/v2 2.4.4 and Prometheus's structures gave for the same text.

use std::time::Duration;

use super::*;

fn in_job(text: &str) -> ScrapeConfig {
    let text = format!("scrape_configs: [{{job_name: a, {text}}}]");
    ScrapeConfig::clone(&good(&text).scrape_configs[0])
}

fn refused(text: &str, expect: &str) {
    let text = format!("scrape_configs: [{{job_name: a, {text}}}]");
    let errors = load_with(&text, false, true).map(|_| ()).expect_err(&text);
    assert!(errors[0].contains(expect), "{text}\n{errors:#?}");
}

#[test]
fn a_structure_takes_what_comes_last() {
    let seconds = |text: &str| in_job(text).scrape_interval.as_secs();
    assert_eq!(
        seconds("scrape_interval: 17s, <<: {scrape_interval: 15s}"),
        15
    );
    assert_eq!(
        seconds("<<: {scrape_interval: 15s}, scrape_interval: 17s"),
        17
    );
    assert_eq!(
        seconds("<<: [{scrape_interval: 15s}, {scrape_interval: 16s}]"),
        15
    );
    assert_eq!(
        seconds("<<: {scrape_interval: 15s}, <<: {scrape_interval: 16s}"),
        16
    );
    assert_eq!(
        seconds("<<: {<<: {scrape_interval: 13s}, scrape_interval: 14s}"),
        14
    );
    assert_eq!(
        seconds("<<: {scrape_interval: 14s, <<: {scrape_interval: 13s}}"),
        13
    );
    assert_eq!(
        seconds("scrape_interval: 15s, <<: {scrape_interval: null}"),
        60
    );
    assert_eq!(seconds("<<: []"), 60);
    let both = in_job("<<: [{sample_limit: 1}, {sample_limit: 2, label_limit: 3}]");
    assert_eq!((both.sample_limit, both.label_limit), (1, 3));
    let config = good("<<: {scrape_configs: [{job_name: q}]}\nscrape_configs: [{job_name: a}]");
    assert_eq!(config.scrape_configs.len(), 1);
    assert_eq!(config.scrape_configs[0].job_name, "a");
}

#[test]
fn a_structure_within_goes_on_from_what_is_there() {
    let tls = in_job("tls_config: {ca_file: /a}, <<: {tls_config: {insecure_skip_verify: true}}");
    assert!(tls.http.tls.insecure_skip_verify && tls.http.tls.ca.is_some());
    let basic = in_job("basic_auth: {username: a}, <<: {basic_auth: {password: b}}");
    let shown = "basic_auth:\n  username: a\n  password: <secret>\n";
    assert!(basic.yaml.contains(shown), "{}", basic.yaml);
    let none = in_job("basic_auth: {username: a}, <<: {basic_auth: null}");
    assert_eq!(none.http.basic_auth, None);
    // Prometheus starts these afresh.
    let global = "global: {scrape_interval: 5s, external_labels: {a: b}}\n\
                  <<: {global: {scrape_timeout: 4s}}";
    let global = good(global).global;
    assert_eq!(global.scrape_interval, Duration::from_secs(60));
    assert!(global.external_labels.is_empty());
}

#[test]
fn a_map_takes_no_key_twice() {
    let labels = |text: &str| format!("static_configs: [{{targets: [a], labels: {{{text}}}}}]");
    let fault = "key \"x\" already set in map";
    refused(&labels("<<: {x: 1}, x: 2"), fault);
    refused(&labels("x: 2, <<: {x: 1}"), fault);
    refused(&labels("x: null, <<: {x: 1}"), fault);
    refused(&labels("<<: [{x: 1}, {x: 1}]"), fault);
    let twice = "static_configs: [{targets: [a], labels: {x: 1}, <<: {labels: {x: 2}}}]";
    refused(twice, fault);
    refused("params: {x: [a], <<: {x: [b]}}", fault);
    let group =
        "static_configs: [{targets: [a], labels: {x: 1}, <<: {labels: {y: 2}, targets: [b]}}]";
    let [SdConfig::Static(groups)] = &in_job(group).service_discovery[..] else {
        panic!("{group}");
    };
    assert_eq!(groups[0].labels.len(), 2);
    assert_eq!(groups[0].targets[0]["__address__"], "b");
    let params = in_job("params: {A: [a]}, <<: {params: {B: [b]}}").params;
    assert_eq!(params.len(), 2);
}

/// The map of headers is inlined in its structure, which each merge starts afresh.
#[test]
fn headers_before_a_merge_are_gone() {
    let names = |text: &str| {
        let names = in_job(text)
            .http
            .headers
            .into_iter()
            .map(|header| header.name);
        names.collect::<Vec<_>>().join(" ")
    };
    let (a, b) = ("A: {values: [a]}", "B: {values: [b]}");
    assert_eq!(names(&format!("http_headers: {{<<: {{{b}}}, {a}}}")), "A B");
    assert_eq!(names(&format!("http_headers: {{{a}, <<: {{{b}}}}}")), "B");
    assert_eq!(
        names(&format!(
            "http_headers: {{{a}}}, <<: {{http_headers: {{{b}}}}}"
        )),
        "B"
    );
    assert_eq!(
        names(&format!(
            "http_headers: null, <<: {{http_headers: {{{b}}}}}"
        )),
        "B"
    );
}

#[test]
fn what_is_overwritten_is_checked_too() {
    refused("<<: {nope: 5s}", "field nope not found in type");
    refused(
        "<<: {scrape_interval: bad}, scrape_interval: 5s",
        "duration string: \"bad\"",
    );
    refused(
        "<<: {sample_limit: bad}, sample_limit: 5",
        "!!str `bad` into uint",
    );
    refused(
        "sample_limit: 1, sample_limit: 2",
        "field sample_limit already set in type",
    );
    let fault = "map merge requires map or sequence of maps as the value";
    for value in ["null", "x", "[null]", "[[]]"] {
        refused(&format!("<<: {value}"), fault);
    }
}

#[test]
fn target_files_merge_alike() {
    let group = "- &l {labels: {x: 1}}\n- {targets: [a], <<: *l, labels: {y: 2}}";
    let groups = parse_target_groups(group.as_bytes(), TargetFileKind::Yaml).unwrap();
    assert_eq!(groups[1].labels.len(), 2);
    let twice = "- {labels: {<<: {x: 1}, x: 2}}";
    let fault = parse_target_groups(twice.as_bytes(), TargetFileKind::Yaml).unwrap_err();
    assert!(fault.ends_with("key \"x\" already set in map"), "{fault}");
}
