//! Whole texts: what is wrong in them, and what they become.

use std::path::Path;

use super::*;

fn load_with(text: &str, agent: bool, ignore: bool) -> Result<(Config, Vec<String>), Vec<String>> {
    let options = LoadOptions {
        agent,
        ignore_unsupported_sd: ignore,
        syntax_only: true,
        environment: &|name| (name == "HOST").then(|| "gw1".to_owned()),
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

/// Each expectation is what the error of that place begins with.
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
    // The first document alone counts.
    good("global: {}\n---\n[\n");
    good("");
    good("# nothing\n");
}

#[test]
fn jobs_inherit_from_anchors() {
    let config = good(
        "scrape_configs:\n\
         - &base\n\x20 job_name: a\n\x20 scrape_interval: 15s\n\x20 honor_labels: yes\n\
         - <<: *base\n\x20 job_name: 0123\n\
         - {<<: [*base], job_name: 1.10, sample_limit: 1_000, scrape_interval: 20s}\n",
    );
    let jobs = &config.scrape_configs;
    let names: Vec<&str> = jobs.iter().map(|job| job.job_name.as_str()).collect();
    assert_eq!(names, ["a", "0123", "1.10"]);
    assert!(jobs.iter().all(|job| job.honor_labels));
    assert_eq!(jobs[2].sample_limit, 1_000);
    assert_eq!(jobs[1].scrape_interval.as_secs(), 15);
    assert_eq!(jobs[2].scrape_interval.as_secs(), 20);
    // An error in what was merged is told where it was written.
    check(
        "scrape_configs:\n- &a\n  job_name: a\n  sample_limit: -1\n- {<<: *a, job_name: b}",
        &[
            "f.yml:4: scrape_configs[0].sample_limit",
            "f.yml:4: scrape_configs[1].sample_limit",
        ],
    );
}

#[test]
fn globals() {
    let config = good(
        "global:\n\x20 external_labels: {host: $HOST, b: 'x${HOST}y$$', c: '${NONE}'}\n\
         \x20 scrape_interval: 5s\n\x20 scrape_timeout: 3s\n\x20 query_log_file: q.log\n",
    );
    let labels: Vec<_> = config
        .global
        .external_labels
        .iter()
        .map(|(n, v)| format!("{n}={v}"))
        .collect();
    assert_eq!(labels, ["b=xgw1y$", "c=", "host=gw1"]);
    assert_eq!(
        config.global.query_log_file.as_deref(),
        Some(Path::new("q.log"))
    );
    let times = |text: &str| {
        let job = &good(text).scrape_configs[0];
        (job.scrape_interval.as_secs(), job.scrape_timeout.as_secs())
    };
    let with = |global: &str, job: &str| {
        times(&format!(
            "global: {{{global}}}\nscrape_configs: [{{job_name: j, {job}}}]"
        ))
    };
    assert_eq!(with("", ""), (60, 10));
    assert_eq!(with("scrape_interval: 5s", ""), (5, 5));
    assert_eq!(
        with(
            "scrape_interval: 30s, scrape_timeout: 20s",
            "scrape_interval: 15s"
        ),
        (15, 15)
    );
    assert_eq!(with("scrape_timeout: 20s", "scrape_timeout: 5s"), (60, 5));
    check(
        "global: {external_labels: {'': x}}",
        &["f.yml:1: global.external_labels.: \"\" is not a valid label name"],
    );
    check(
        "global: {metric_name_validation_scheme: x}",
        &["f.yml:1: global.metric_name_validation_scheme: unrecognized ValidationScheme: \"x\""],
    );
    check(
        "global: {scrape_protocols: []}",
        &["f.yml:1: global.scrape_protocols: scrape_protocols cannot be empty for global config"],
    );
}

#[test]
fn schemes_and_protocols() {
    use crate::exposition::Protocol;
    use crate::model::names::EscapingScheme::{Dots, Underscores, Values};
    let job = check_good_job("metric_name_validation_scheme: legacy");
    assert_eq!(job.escaping_scheme, Underscores);
    let text = "global:\n  metric_name_validation_scheme: legacy\n  \
                metric_name_escaping_scheme: values\n\
                scrape_configs: [{job_name: a}, {job_name: b, metric_name_escaping_scheme: dots}]";
    let config = good(text);
    assert_eq!(config.scrape_configs[0].escaping_scheme, Values);
    assert_eq!(config.scrape_configs[1].escaping_scheme, Dots);
    check_job(
        "metric_name_escaping_scheme: x",
        "3: scrape_configs[0].metric_name_escaping_scheme: unknown scrape config name escaping \
         method specified, must be one of 'allow-utf-8', 'underscores', 'dots', or 'values', got \
         \"x\"",
    );
    let protobuf = check_good_job("scrape_protocols: [PrometheusProto, PrometheusText0.0.4]");
    assert_eq!(protobuf.scrape_protocols, [Protocol::PrometheusText0_0_4]);
    assert!(
        protobuf
            .yaml
            .contains("scrape_protocols:\n- PrometheusProto\n")
    );
    let only = check_good_job("scrape_protocols: [PrometheusProto]");
    assert_eq!(only.scrape_protocols, Protocol::DEFAULT);
}

#[test]
fn http_clients() {
    let at = |key: &str| format!("3: scrape_configs[0].{key}: ");
    let check = |text: &str, key: &str, message: &str| check_job(text, &(at(key) + message));
    check(
        "basic_auth: {password: a, password_file: b}",
        "basic_auth.password_file",
        "at most one of basic_auth password, password_file & password_ref must be configured",
    );
    check(
        "authorization: {type: Basic}",
        "authorization.type",
        "authorization type cannot be set to \"basic\", use \"basic_auth\" instead",
    );
    check(
        "oauth2: {client_id: a}",
        "oauth2",
        "oauth2 token_url must be configured",
    );
    check(
        "tls_config: {cert_file: a}",
        "tls_config",
        "exactly one of key or key_file must be configured when a client certificate is configured",
    );
    check(
        "tls_config: {min_version: 1}",
        "tls_config.min_version",
        "unknown TLS version: 1",
    );
    check(
        "tls_config: {max_version: TLS11}",
        "tls_config.max_version",
        "TLS11 is not spoken by Ferula; max_version must be at least TLS12",
    );
    check(
        "proxy_url: '::bad'",
        "proxy_url",
        "not an http or https URL with a host",
    );
    check(
        "proxy_url: socks5://x",
        "proxy_url",
        "socks5 is not supported; use an http or https proxy",
    );
    check(
        "no_proxy: a",
        "no_proxy",
        "if no_proxy is configured, proxy_url must also be configured",
    );
    check(
        "http_headers: {host: {}}",
        "http_headers.host",
        "setting header \"Host\" is not allowed",
    );
    let job = check_good_job("bearer_token: s3cret\nbasic_auth:");
    assert_eq!(
        job.http.authorization.as_ref().map(|a| a.kind.as_str()),
        Some("Bearer")
    );
    assert!(
        job.yaml
            .contains("authorization:\n  type: Bearer\n  credentials: <secret>\n")
    );
    assert!(!format!("{job:?}").contains("s3cret"));
}

#[test]
fn discoveries() {
    let check = |text: &str, rest: &str| check_job(text, &format!("3: scrape_configs[0].{rest}"));
    check(
        "static_configs: [{targets: [http://a]}]",
        "static_configs: \"http://a\" is not a valid \
           hostname",
    );
    check(
        "static_configs: [null]",
        "static_configs[0]: empty or null section in static_configs",
    );
    check(
        "file_sd_configs: [{files: [a.txt]}]",
        "file_sd_configs[0].files: path name \"a.txt\" is \
           not valid for file discovery",
    );
    check(
        "dns_sd_configs: [{names: [a], type: A}]",
        "dns_sd_configs[0].type: a port is required \
           in DNS-SD configs for all record types except SRV",
    );
    check(
        "http_sd_configs: [{url: 'http://'}]",
        "http_sd_configs[0].url: host is missing in URL",
    );
    check(
        "kubernetes_sd_configs: [{role: x}]",
        "kubernetes_sd_configs[0].role: unknown Kubernetes \
           SD role \"x\"",
    );
    check(
        "hetzner_sd_configs: [{role: x}]",
        "hetzner_sd_configs[0].role: unknown role \"x\"",
    );
    check(
        "azure_sd_configs: [{authentication_method: SDK}]",
        "azure_sd_configs[0]: azure SD \
           configuration requires a subscription_id",
    );
    check(
        "foo_sd_configs: []",
        "foo_sd_configs: field foo_sd_configs not found in type \
           config.ScrapeConfig",
    );
    let refused = load_with(&job("linode_sd_configs: [{}]"), false, false).map(|_| ());
    let errors = refused.expect_err("linode");
    assert!(
        errors[0].contains("linode service discovery is not supported by Ferula"),
        "{errors:?}"
    );
    let job = check_good_job(
        "linode_sd_configs: [{}]\nstatic_configs: [{targets: [a, b], labels: {x: 1.10}}, {}]",
    );
    let [SdConfig::Static(groups)] = job.service_discovery.as_slice() else {
        panic!("{job:?}");
    };
    assert_eq!(groups[0].labels["x"], "1.10");
    assert_eq!(groups[0].targets.len(), 2);
    assert_eq!(groups[1].source, "1");
}

#[test]
fn sections_of_later_components() {
    check(
        "remote_write: [{url: x, sigv4: {region: a}}]",
        &["f.yml:1: remote_write[0].sigv4: sigv4 is not supported by Ferula; data would go"],
    );
    check(
        "remote_read: [{url: x, headers: {Host: a}}]",
        &["f.yml:1: remote_read[0].headers: Host is a reserved header. It must not be changed"],
    );
    check(
        "alerting: {alertmanagers: [{api_version: v1}]}",
        &[
            "f.yml:1: alerting.alertmanagers[0].api_version: expected Alertmanager api version to \
             be one of [v2] but got v1",
        ],
    );
    check(
        "storage: {tsdb: {retention: {percentage: 101}}}",
        &[
            "f.yml:1: storage.tsdb.retention.percentage: 'storage.tsdb.retention.percentage' must \
             be in the range [0, 100], got 101",
        ],
    );
    check(
        "tracing: {endpoint: x, compression: zip}",
        &["f.yml:1: tracing.compression: invalid compression type zip provided"],
    );
    check(
        "otlp: {promote_resource_attributes: [a, ' a', '']}",
        &[
            "f.yml:1: otlp.promote_resource_attributes: invalid 'promote_resource_attributes': \
         duplicated promoted OTel resource attribute \"a\"",
            "f.yml:1: otlp.promote_resource_attributes: invalid 'promote_resource_attributes': ",
        ],
    );
    check(
        "rule_files: ['a/*/b']",
        &["f.yml:1: rule_files[0]: invalid rule file path \"a/*/b\""],
    );
    let agent = load_with("rule_files: [a]", true, false)
        .map(|_| ())
        .expect_err("agent");
    assert_eq!(
        agent,
        ["f.yml:1: rule_files: field rule_files is not allowed in agent mode"]
    );
    let (_, warnings) = load_with(
        "rule_files: [a]\nremote_write: [{url: x}]\nremote_read: [{url: x}]\n\
         alerting: {alertmanagers: [{static_configs: [{targets: [a]}]}]}\n\
         storage: {tsdb: {retention: {percentage: 80}}}",
        false,
        false,
    )
    .expect("warnings alone");
    let expect = [
        "f.yml:1: rule_files: rule_files is not there yet in Ferula; no rule is evaluated",
        "f.yml:2: remote_write: remote_write is not there yet in Ferula; nothing is sent",
        "f.yml:3: remote_read: remote_read is not there yet in Ferula; nothing is read from \
         elsewhere",
        "f.yml:4: alerting: alerting is not there yet in Ferula; no alert is sent",
        "f.yml:5: storage.tsdb.retention.percentage: retention by percentage is not there yet in \
         Ferula; give a size beside it",
    ];
    assert_eq!(warnings, expect);
    let config = good("storage: {tsdb: {retention: {size: 1GB}}}");
    assert_eq!(config.storage.retention_size, Some(1 << 30));
    assert_eq!(
        config.storage.retention_time,
        Some(std::time::Duration::ZERO)
    );
    assert_eq!(good("").storage.retention_time, None);
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
    // What is printed reads back as the same.
    assert_eq!(good(&config.yaml).scrape_configs, config.scrape_configs);
}

#[test]
fn target_files() {
    use TargetFileKind::{Json, Yaml};
    let check = |text: &str, kind, expect: Result<usize, &str>| {
        let got = parse_target_groups(text, kind).map(|groups| groups.len());
        match (&got, expect) {
            (Err(got), Err(expect)) => assert!(got.starts_with(expect), "{text}: {got}"),
            _ => assert_eq!(got, expect.map_err(str::to_owned), "{text}"),
        }
    };
    check(
        r#"[{"targets": ["a:1"], "labels": {"x": "y"}}, {}]"#,
        Json,
        Ok(2),
    );
    check("- targets: [a:1, 2]\n  labels: {x: 1}\n- {}", Yaml, Ok(2));
    check("", Yaml, Ok(0));
    check("null", Json, Ok(0));
    check("[null]", Json, Err("nil target group item found (index 0)"));
    check(
        "- targets: [a]\n-",
        Yaml,
        Err("nil target group item found (index 1)"),
    );
    check(
        r#"[{"target": []}]"#,
        Json,
        Err("json: unknown field `target`"),
    );
    check(
        "- foo: 1",
        Yaml,
        Err("line 1: field foo not found in type struct"),
    );
    check(
        "- labels: {'': x}",
        Yaml,
        Err("line 1: \"\" is not a valid label name"),
    );
    check(
        "targets: []",
        Yaml,
        Err("line 1: cannot unmarshal !!map into []*targetgroup.Group"),
    );
}
