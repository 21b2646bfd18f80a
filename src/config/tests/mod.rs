//! Tests of whole texts: their errors, and the configurations that they become.

use std::path::Path;

use super::*;

mod jobs;
mod merges;
mod sections;
mod target_files;

fn load_with(text: &str, agent: bool, ignore: bool) -> Result<(Config, Vec<String>), Vec<String>> {
    let options = LoadOptions {
        agent,
        ignore_unsupported_sd: ignore,
        syntax_only: true,
        environment: &|name| (name == "HOST").then(|| "gw1".to_owned()),
        ..LoadOptions::default()
    };
    let texts = |all: Vec<Diagnostic>, severity| -> Vec<String> {
        let of = all.iter().filter(|d| d.severity == severity);
        of.map(ToString::to_string).collect()
    };
    match load_text(Path::new("f.yml"), text, &options) {
        Ok((config, all)) => Ok((config, texts(all, Severity::Warning))),
        Err(all) => Err(texts(all, Severity::Error)),
    }
}

fn good(text: &str) -> Config {
    match load_with(text, false, true) {
        Ok((config, _)) => config,
        Err(errors) => panic!("{text}\n{errors:#?}"),
    }
}

/// Each expectation is the beginning of the error at that place.
fn check(text: &str, expect: &[&str]) {
    let errors = load_with(text, false, true).map(|_| ()).expect_err(text);
    assert_eq!(errors.len(), expect.len(), "{text}\n{errors:#?}");
    for (error, expect) in errors.iter().zip(expect) {
        assert!(error.starts_with(expect), "{text}\n{error}\n{expect}");
    }
}

fn job(text: &str) -> String {
    format!(
        "scrape_configs:\n- job_name: j\n  {}",
        text.replace('\n', "\n  ")
    )
}

fn check_job(text: &str, expect: &str) {
    let errors = load_with(&job(text), false, true)
        .map(|_| ())
        .expect_err(text);
    assert_eq!(errors, [format!("f.yml:{expect}")], "{text}");
}

fn check_good_job(text: &str) -> ScrapeConfig {
    ScrapeConfig::clone(&good(&job(text)).scrape_configs[0])
}

#[test]
fn every_error_is_told_with_its_place() {
    check(
        "global: {scrape_interval: 5s, scrape_timeout: 6s, foo: 1}\n\
         scrape_configs:\n\
         - job_name: a\n\x20 honor_labels: maybe\n\x20 scrape_timeout: 1h30\n\
         - job_name: a\n\
         -\n\
         remote_write:\n\
         - queue_config:\n\x20   capacity: 0\n",
        &[
            "f.yml:1: global.scrape_timeout: global scrape timeout greater than scrape interval",
            "f.yml:1: global.foo: field foo not found in type config.plain",
            "f.yml:4: scrape_configs[0].honor_labels: cannot unmarshal !!str `maybe` into bool",
            "f.yml:5: scrape_configs[0].scrape_timeout: not a valid duration string: \"1h30\"",
            "f.yml:6: scrape_configs[1]: found multiple scrape configs with job name \"a\"",
            "f.yml:7: scrape_configs[2]: empty or null scrape config section",
            "f.yml:9: remote_write[0]: url for remote_write is empty",
            "f.yml:10: remote_write[0].queue_config.capacity: remote write queue capacity must be",
        ],
    );
}

#[test]
fn syntax() {
    check("a: [", &["f.yml:"]);
    check(
        "a: b: c",
        &["f.yml:1: yaml: mapping values are not allowed in this context"],
    );
    check("[]", &["f.yml:1: cannot unmarshal !!seq into config.plain"]);
    check(
        "global: {}\nglobal: {}",
        &["f.yml:2: global: field global already set in type"],
    );
    check(
        "foo: 1",
        &["f.yml:1: foo: field foo not found in type config.plain"],
    );
    check(
        "global: !x {}",
        &["f.yml:1: yaml: global: tags are not supported"],
    );
    check(
        "global:\n  external_labels:\n    a: !!binary \"/w==\"",
        &["f.yml:3: \"\\xff\" is not a valid label value"],
    );
    check(
        &"[".repeat(100_000),
        &["f.yml:1: more than 2000 open brackets"],
    );
    check(
        &"- ".repeat(100_000),
        &["f.yml:1: more than 200 nested lists in one line"],
    );
    let laugh = |i: usize| {
        format!(
            "k{}: &k{0} [{}]",
            i + 1,
            vec![format!("*k{i}"); 9].join(",")
        )
    };
    let laughs = (0..9).map(laugh).collect::<Vec<_>>().join("\n");
    check(
        &format!("k0: &k0 [a]\n{laughs}"),
        &["f.yml: yaml: repetition limit exceeded"],
    );
    // Only the first document counts.
    good("global: {}\n---\n[\n");
    good("");
    good("# nothing\n");
}

#[test]
fn printed_with_defaults() {
    let config = good("scrape_configs: [{job_name: j, relabel_configs: [{target_label: x}]}]");
    let expect = "\
global:
  scrape_interval: 1m
  scrape_timeout: 10s
  evaluation_interval: 1m
  metric_name_validation_scheme: utf8
  metric_name_escaping_scheme: allow-utf-8
  scrape_native_histograms: false
  extra_scrape_metrics: false
runtime:
  gogc: 75
scrape_configs:
- job_name: j
  honor_timestamps: true
  track_timestamps_staleness: false
  scrape_interval: 1m
  scrape_timeout: 10s
  scrape_protocols:
  - OpenMetricsText1.0.0
  - OpenMetricsText0.0.1
  - PrometheusText1.0.0
  - PrometheusText0.0.4
  scrape_native_histograms: false
  always_scrape_classic_histograms: false
  convert_classic_histograms_to_nhcb: false
  metrics_path: /metrics
  scheme: http
  enable_compression: true
  metric_name_validation_scheme: utf8
  metric_name_escaping_scheme: allow-utf-8
  extra_scrape_metrics: false
  follow_redirects: true
  enable_http2: true
  relabel_configs:
  - separator: ;
    target_label: x
    replacement: $1
    action: replace
storage:
  tsdb:
    outofordertimewindow: 0
    retention:
      time: 15d
otlp:
  translation_strategy: UnderscoreEscapingWithSuffixes
  label_name_underscore_sanitization: true
  label_name_preserve_multiple_underscores: true
";
    assert_eq!(&*config.yaml, expect);
    // The printed configuration reads back as the same.
    assert_eq!(good(&config.yaml).scrape_configs, config.scrape_configs);
}
