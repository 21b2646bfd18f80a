//! The HTTP API as clients see it, and the names of `/metrics`.

use std::collections::BTreeSet;

use crate::support::{Exporter, Ferula, eventually, request, send_raw};

const PAGE: &str = "# HELP a_total Help of a.\n# TYPE a_total counter\na_total{code=\"200\"} 1\n\
    a_total{code=\"500\"} 2.5\n# TYPE b gauge\nb{le=\"<&>\"} NaN\n";

fn started() -> (Ferula, Exporter) {
    let exporter = Exporter::page(PAGE);
    let ferula = Ferula::start(&format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n\
         - job_name: j\n  static_configs: [{{targets: ['{}'], labels: {{instance: i}}}}]\n  \
         relabel_configs: [{{source_labels: [nothing], regex: x, action: drop}}]\n",
        exporter.address
    ));
    eventually("up", || (ferula.values("up") == [1.0]).then_some(()));
    (ferula, exporter)
}

#[test]
fn selectors_and_their_answers() {
    let (ferula, _exporter) = started();
    assert_eq!(ferula.values("a_total"), [1.0, 2.5]);
    assert_eq!(ferula.values("a_total{code=~\"5..\"}"), [2.5]);
    assert_eq!(ferula.values("a_total{code!=\"200\",job=\"j\"}"), [2.5]);
    assert_eq!(ferula.values("{__name__=~\"a_.+\",code!~\"5.*\"}"), [1.0]);
    assert!(ferula.query("a_total offset 1h").is_empty());
    assert!(ferula.query("a_total @ 1").is_empty());
    let metric = ferula.query("b")[0].clone();
    assert_eq!(metric["metric"]["le"], "<&>");
    assert_eq!(metric["value"][1], "NaN");
    let points = ferula.points("a_total{code=\"200\"}[1h]");
    assert!(!points[0].is_empty());

    let now = points[0][0].0;
    let path = format!(
        "/api/v1/query_range?query=up&start={}&end={now}&step=5",
        now - 10.0
    );
    let range = ferula.get(&path).json();
    assert_eq!(range["data"]["resultType"], "matrix");
    assert_eq!(
        range["data"]["result"][0]["values"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn errors_have_prometheus_s_types_and_texts() {
    let ferula = Ferula::start("global: {}\n");
    let check = |path: &str, status: u16, kind: &str, piece: &str| {
        let reply = ferula.get(&format!("/api/v1/{path}"));
        let json = reply.json();
        let error = json["error"].as_str().unwrap_or_default().to_owned();
        assert_eq!(
            (reply.status, json["errorType"].as_str()),
            (status, Some(kind)),
            "{path}: {error}"
        );
        assert!(error.contains(piece), "{path}: {error}");
    };
    let bad = "bad_data";
    check("query?query=", 400, bad, "invalid parameter \"query\"");
    check("query?query=up{", 400, bad, "parse error: ");
    check(
        "query?query=up&time=x",
        400,
        bad,
        "cannot parse \"x\" to a valid timestamp",
    );
    check(
        "query?query=up&timeout=x",
        400,
        bad,
        "cannot parse \"x\" to a valid duration",
    );
    check(
        "query?query=up&limit=-1",
        400,
        bad,
        "limit must be non-negative",
    );
    check(
        "query_range?query=up&start=2&end=1&step=1",
        400,
        bad,
        "must not be before start time",
    );
    check(
        "query_range?query=up&start=1&end=2&step=0",
        400,
        bad,
        "zero or negative query resolution",
    );
    check(
        "query_range?query=up&start=0&end=99999999&step=1",
        400,
        bad,
        "11,000 points",
    );
    // In Prometheus the result depends on the processor.
    check(
        "query?query=up&time=NaN",
        400,
        bad,
        "cannot parse \"NaN\" to a valid timestamp",
    );
    check("query?query=up&timeout=0", 503, "timeout", "timed out");
    check(
        "label/a%ffb/values",
        400,
        bad,
        "invalid label name: \"a\\xffb\"",
    );
    check(
        "label/U__%FF/values",
        400,
        bad,
        "invalid label name: \"\\xff\"",
    );
    let steps = |rest: &str, piece| {
        let path = format!("targets/relabel_steps{rest}");
        check(&path, 400, bad, piece);
    };
    steps("", "no scrapePool parameter provided");
    steps("?scrapePool=j", "no labels parameter provided");
    steps("?scrapePool=j&labels=x", "error parsing labels: ");
    steps("?scrapePool=j&labels={}", "scrape pool \"j\" not found");
    check("series", 400, bad, "no match[] parameter provided");
    check(
        "series?match[]={a=\"\"}",
        400,
        bad,
        "at least one non-empty matcher",
    );
    check("metadata?limit=x", 400, bad, "limit must be a number");
    assert_eq!(ferula.get("/api/v1/nothing").status, 404);
    assert_eq!(ferula.get("/nothing").body, "404 page not found\n");
    assert_eq!(
        request(ferula.address, "DELETE", "/api/v1/query", "")
            .unwrap()
            .status,
        405
    );
    assert_eq!(
        request(ferula.address, "OPTIONS", "/api/v1/query", "")
            .unwrap()
            .status,
        204
    );
}

#[test]
fn series_labels_metadata_and_targets() {
    let (ferula, _exporter) = started();
    let data = |path: &str| ferula.get(&format!("/api/v1/{path}")).json()["data"].clone();
    let series = data("series?match[]=a_total");
    assert_eq!(series.as_array().unwrap().len(), 2);
    assert_eq!(series[0]["code"], "200");
    let names = data("labels?match[]=a_total");
    assert_eq!(
        names,
        serde_json::json!(["__name__", "code", "instance", "job"])
    );
    assert_eq!(data("label/code/values"), serde_json::json!(["200", "500"]));
    assert_eq!(data("label/code/values?match[]=b"), serde_json::json!([]));
    let limited = ferula.get("/api/v1/label/code/values?limit=1").json();
    assert_eq!(limited["warnings"][0], "results truncated due to limit");
    assert_eq!(
        data("metadata?metric=a_total")["a_total"][0]["type"],
        "counter"
    );
    let metadata = data("targets/metadata?match_target={job=\"j\"}");
    assert_eq!(metadata[0]["target"]["instance"], "i");
    assert_eq!(
        data("scrape_pools")["scrapePools"],
        serde_json::json!(["j"])
    );
    let target = &data("targets")["activeTargets"][0];
    assert_eq!(
        (&target["health"], &target["scrapePool"]),
        (&"up".into(), &"j".into())
    );
    assert_eq!(target["scrapeInterval"], "1s");
    assert!(target["lastScrapeDuration"].as_f64().unwrap() > 0.0);
    assert!(target["discoveredLabels"]["__address__"].is_string());
    assert_eq!(data("status/buildinfo")["version"], "3.14.0");
    assert!(
        data("status/config")["yaml"]
            .as_str()
            .unwrap()
            .contains("job_name: j")
    );
    assert_eq!(data("status/runtimeinfo")["storageRetention"], "15d");
}

#[test]
fn what_the_server_says_of_itself() {
    let (ferula, exporter) = started();
    let data = |path: &str| ferula.get(&format!("/api/v1/{path}")).json()["data"].clone();
    let features = data("features");
    for (group, name, on) in [
        ("api", "query_stats", true),
        ("api", "admin", false),
        ("api", "lifecycle", true),
        ("promql", "anchored", false),
        ("promql_functions", "rate", true),
        ("promql_functions", "sort_by_label", false),
        ("promql_operators", "topk", true),
        ("promql_operators", "limitk", false),
        ("service_discovery_providers", "file", true),
        ("tsdb", "exemplar_storage", false),
    ] {
        assert_eq!(features[group][name], on, "{group} {name}");
    }
    assert_eq!(
        data("status/tsdb/blocks"),
        serde_json::json!({"blocks": []})
    );
    assert_eq!(data("label/%C3%A9/values"), serde_json::json!([]));
    let steps = data("targets/relabel_steps?scrapePool=j&labels={\"nothing\":\"x\"}");
    assert_eq!(steps["steps"][0]["rule"]["action"], "drop");
    assert_eq!(steps["steps"][0]["keep"], false);
    assert_eq!(data("notifications"), serde_json::json!([]));
    ferula.write("prometheus.yml", "global: {nothing: 1}\n");
    assert_eq!(ferula.reload().status, 500);
    let told = data("notifications");
    assert_eq!(told[0]["text"], "Configuration reload has failed.");
    assert_eq!(told[0]["active"], true);
    let good = format!(
        "scrape_configs: [{{job_name: j, static_configs: [{{targets: ['{}']}}]}}]\n",
        exporter.address
    );
    ferula.write("prometheus.yml", &good);
    assert_eq!(ferula.reload().status, 200);
    assert_eq!(data("notifications"), serde_json::json!([]));
}

#[test]
fn a_large_answer_comes_in_pieces_and_whole() {
    let series = 500;
    let page: String = (0..series)
        .map(|i| format!("wide{{i=\"{i}\"}} {i}\n"))
        .collect();
    let exporter = Exporter::page(page);
    let ferula = Ferula::start(&format!(
        "scrape_configs:\n- job_name: j\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  \
         static_configs: [{{targets: ['{}']}}]\n",
        exporter.address
    ));
    eventually("up", || (ferula.values("up") == [1.0]).then_some(()));
    let now = ferula.points("up[1m]")[0][0].0;
    let path = |limit: usize, step: &str| {
        format!(
            "/api/v1/query_range?query=wide&start={now}&end={}&step={step}&limit={limit}&stats=all",
            now + 299.0
        )
    };
    let check = |path: &str, is_whole: bool, expect: usize, points: usize| {
        let reply = ferula.get(path);
        let length = reply.header("content-length");
        assert_eq!(length.is_some(), is_whole, "{path}");
        let answer = reply.json();
        assert_eq!(answer["status"], "success");
        let stats = &answer["data"]["stats"];
        assert!(
            stats["samples"]["totalQueryableSamples"].as_u64().unwrap() > 0,
            "{stats}"
        );
        assert!(
            stats["timings"]["queryPreparationTime"].as_f64().unwrap() > 0.0,
            "{stats}"
        );
        assert_eq!(answer["warnings"].is_array(), expect < series, "{path}");
        let result = answer["data"]["result"].as_array().unwrap();
        assert_eq!(result.len(), expect, "{path}");
        for one in result {
            let values = one["values"].as_array().unwrap();
            assert_eq!(values.len(), points);
            assert!(values.iter().all(|v| v[1] == one["metric"]["i"]));
        }
    };
    check(&path(0, "1"), false, series, 300);
    check(&path(10, "1"), true, 10, 300);
    check(&path(0, "100"), true, series, 3);
}

#[test]
fn management_paths() {
    let ferula = Ferula::start("global: {}\n");
    assert_eq!(
        ferula.get("/-/healthy").body,
        "Prometheus Server is Healthy.\n"
    );
    assert_eq!(ferula.get("/-/ready").body, "Prometheus Server is Ready.\n");
    assert_eq!(
        request(ferula.address, "HEAD", "/-/healthy", "")
            .unwrap()
            .body,
        ""
    );
    assert_eq!(ferula.get("/version").json()["version"], "3.14.0");
    let open = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
        Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.1\r\n\r\n";
    let reply = send_raw(ferula.address, open.as_bytes()).unwrap();
    let counter = "\n# TYPE prometheus_http_requests_total counter\n";
    assert!(reply.body.contains(counter), "{}", reply.body);
}

/// The names in the reference's section 9, and in Prometheus's own exposition, that belong to what
/// is built.
const NAMES: &[&str] = &[
    "net_conntrack_dialer_conn_attempted_total",
    "net_conntrack_dialer_conn_closed_total",
    "net_conntrack_dialer_conn_established_total",
    "net_conntrack_dialer_conn_failed_total",
    "net_conntrack_listener_conn_accepted_total",
    "net_conntrack_listener_conn_closed_total",
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
    "process_virtual_memory_max_bytes",
    "prometheus_build_info",
    "prometheus_config_last_reload_success_timestamp_seconds",
    "prometheus_config_last_reload_successful",
    "prometheus_engine_queries",
    "prometheus_engine_queries_concurrent_max",
    "prometheus_engine_query_duration_seconds",
    "prometheus_engine_query_log_enabled",
    "prometheus_engine_query_log_failures_total",
    "prometheus_engine_query_samples_total",
    "prometheus_http_request_duration_seconds",
    "prometheus_http_requests_total",
    "prometheus_http_response_size_bytes",
    "prometheus_ready",
    "prometheus_sd_discovered_targets",
    "prometheus_sd_failed_configs",
    "prometheus_sd_file_read_errors_total",
    "prometheus_sd_file_scan_duration_seconds",
    "prometheus_sd_file_watcher_errors_total",
    "prometheus_sd_http_failures_total",
    "prometheus_sd_received_updates_total",
    "prometheus_sd_updates_delayed_total",
    "prometheus_sd_updates_total",
    "prometheus_target_interval_length_seconds",
    "prometheus_target_metadata_cache_bytes",
    "prometheus_target_metadata_cache_entries",
    "prometheus_target_scrape_duration_seconds",
    "prometheus_target_scrape_pool_exceeded_label_limits_total",
    "prometheus_target_scrape_pool_exceeded_target_limit_total",
    "prometheus_target_scrape_pool_reloads_failed_total",
    "prometheus_target_scrape_pool_reloads_total",
    "prometheus_target_scrape_pool_sync_total",
    "prometheus_target_scrape_pool_target_limit",
    "prometheus_target_scrape_pool_targets",
    "prometheus_target_scrape_pools_failed_total",
    "prometheus_target_scrape_pools_total",
    "prometheus_target_scrapes_cache_flush_forced_total",
    "prometheus_target_scrapes_exceeded_body_size_limit_total",
    "prometheus_target_scrapes_exceeded_sample_limit_total",
    "prometheus_target_scrapes_exemplar_out_of_order_total",
    "prometheus_target_scrapes_sample_duplicate_timestamp_total",
    "prometheus_target_scrapes_sample_out_of_bounds_total",
    "prometheus_target_scrapes_sample_out_of_order_total",
    "prometheus_target_sync_failed_total",
    "prometheus_target_sync_length_seconds",
    "prometheus_tsdb_head_chunks",
    "prometheus_tsdb_head_max_time",
    "prometheus_tsdb_head_max_time_seconds",
    "prometheus_tsdb_head_min_time",
    "prometheus_tsdb_head_min_time_seconds",
    "prometheus_tsdb_head_samples_appended_total",
    "prometheus_tsdb_head_series",
    "prometheus_tsdb_head_series_created_total",
    "prometheus_tsdb_head_series_removed_total",
    "prometheus_tsdb_lowest_timestamp_seconds",
    "prometheus_tsdb_out_of_order_samples_total",
    "prometheus_tsdb_retention_limit_seconds",
    "prometheus_tsdb_symbol_table_size_bytes",
    "prometheus_tsdb_too_old_samples_total",
    "promhttp_metric_handler_requests_in_flight",
    "promhttp_metric_handler_requests_total",
];

#[test]
fn metrics_have_every_name_that_belongs_to_what_is_built() {
    let (ferula, _exporter) = started();
    let reply = ferula.get("/metrics");
    assert_eq!(
        reply.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let present: BTreeSet<&str> = reply
        .body
        .lines()
        .filter_map(|l| l.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let missing: Vec<&&str> = NAMES.iter().filter(|n| !present.contains(**n)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    // A scrape accepts what is exposed.
    let samples = reply.body.lines().filter(|l| !l.starts_with('#')).count();
    assert!(samples > NAMES.len(), "{samples} samples");
}
