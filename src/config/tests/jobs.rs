//! Tests of jobs: what they inherit, their HTTP clients, their discoveries.

use super::*;

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
    // An error in merged keys is reported where they are written.
    check(
        "scrape_configs:\n- &a\n  job_name: a\n  sample_limit: -1\n- {<<: *a, job_name: b}",
        &[
            "f.yml:4: scrape_configs[0].sample_limit",
            "f.yml:4: scrape_configs[1].sample_limit",
        ],
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
        "parse \"::bad\": missing protocol scheme",
    );
    check(
        "proxy_url: 10.0.0.1:3128",
        "proxy_url",
        "parse \"10.0.0.1:3128\": first path segment in URL cannot contain colon",
    );
    // Go takes the host for a scheme. Every scrape fails, in both.
    let (_, warnings) = load_with(&job("proxy_url: proxy:3128"), false, false).unwrap();
    assert_eq!(
        warnings,
        [
            "f.yml:3: scrape_configs[0].proxy_url: every request will fail: not an http or https \
             URL with a host"
        ]
    );
    check_good_job("tls_config: {server_name: 'a b'}");
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
