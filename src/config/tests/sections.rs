//! Tests of `global`, and of the sections whose components come later.

use super::*;

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
fn a_feature_is_the_default_of_extra_scrape_metrics() {
    let options = LoadOptions {
        extra_scrape_metrics: true,
        ..LoadOptions::default()
    };
    let text = "scrape_configs: [{job_name: a}, {job_name: b, extra_scrape_metrics: false}]";
    let (config, _) = load_text(Path::new("f.yml"), text, &options).unwrap();
    let of = |i: usize| config.scrape_configs[i].extra_scrape_metrics;
    assert_eq!((of(0), of(1)), (true, false));
}

#[test]
fn sections_of_later_components() {
    check(
        "remote_write: [{url: x, sigv4: {region: a}}]",
        &["f.yml:1: remote_write[0].sigv4: sigv4 is not supported by Ferula; data would go"],
    );
    check(
        "remote_write: [{url: 'http://h:port'}]",
        &[
            "f.yml:1: remote_write[0].url: parse \"http://h:port\": invalid port \":port\" after host",
        ],
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
         storage: {tsdb: {retention: {percentage: 80, size: 1GB}}}",
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
        "f.yml:5: storage.tsdb.retention.size: storage.tsdb.retention.size is ignored, because \
         storage.tsdb.retention.percentage is specified",
    ];
    assert_eq!(warnings, expect);
    let config = good(
        "remote_write: [{url: 'http://h/w', name: w, headers: {A: b}, bearer_token: t,\n\
         queue_config: {capacity: 5, sample_age_limit: 1h}, metadata_config: {send: false},\n\
         write_relabel_configs: [{action: labeldrop, regex: x}]}]\n\
         remote_read: [{url: 'http://h/r', required_matchers: {j: k}, read_recent: true}]",
    );
    let write = &config.remote_write[0];
    assert_eq!(
        (write.url.as_str(), write.name.as_str()),
        ("http://h/w", "w")
    );
    assert_eq!((write.queue.capacity, write.queue.max_shards), (5, 50));
    assert_eq!(write.queue.sample_age_limit.as_secs(), 3_600);
    assert!(!write.metadata.send && write.http.authorization.is_some());
    assert_eq!(
        (write.headers.len(), write.write_relabel_configs.len()),
        (1, 1)
    );
    let read = &config.remote_read[0];
    assert_eq!(read.required_matchers, [("j".to_owned(), "k".to_owned())]);
    assert!(read.read_recent && read.filter_external_labels);
    let config = good("storage: {tsdb: {retention: {size: 1GB}}}");
    assert_eq!(config.storage.retention_size, Some(1 << 30));
    assert_eq!(
        config.storage.retention_time,
        Some(std::time::Duration::ZERO)
    );
    assert_eq!(good("").storage.retention_time, None);
}
