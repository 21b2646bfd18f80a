//! Exemplars as a user sees them: scraped, received, queried, kept over a kill and a reload.

use serde_json::{Value, json};

use crate::support::remote_write::{HEADERS, exemplars, named, post, series, snappy};
use crate::support::{Behaviour, Exporter, Ferula, eventually, request};

const FLAGS: &[&str] = &[
    "--enable-feature=exemplar-storage",
    "--web.enable-remote-write-receiver",
];

/// The newest time that tests write. It is far in the past, so that no clock matters.
const T: i64 = 1_000_000;

fn of(ferula: &Ferula, parameters: &str) -> Value {
    let reply = ferula.get(&format!("/api/v1/query_exemplars?{parameters}"));
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["data"].clone()
}

fn send(ferula: &Ferula, raw: &[u8]) {
    let reply = post(ferula.address, HEADERS, &snappy(raw)).unwrap();
    assert_eq!((reply.status, reply.body.trim_end()), (204, ""));
}

const PAGE: &str = "# TYPE requests counter
requests_total{path=\"/\"} 5 # {trace_id=\"abc\"} 0.5 1.5
# TYPE latency histogram
latency_bucket{le=\"1\"} 2 # {trace_id=\"def\",span=\"é\"} 0.25
latency_bucket{le=\"+Inf\"} 2 # {trace_id=\"LONG\"} 9 2
latency_sum 0.5
latency_count 2
# EOF
";

#[test]
fn of_a_page() {
    let exporter = Exporter::start(Behaviour::OpenMetrics(
        PAGE.replace("LONG", &"x".repeat(121)),
    ));
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n\
         - job_name: j\n  static_configs: [{{targets: ['{}']}}]\n",
        exporter.address
    );
    let ferula = Ferula::start_with(&config, FLAGS);
    eventually("three scrapes", || (exporter.requests() > 3).then_some(()));
    let instance = exporter.address.to_string();
    let found = of(&ferula, "query=requests_total&start=1&end=2");
    assert_eq!(
        found,
        json!([{
            "seriesLabels": {
                "__name__": "requests_total", "instance": instance, "job": "j", "path": "/",
            },
            "exemplars": [{"labels": {"trace_id": "abc"}, "value": "0.5", "timestamp": 1.5}],
        }])
    );
    assert_eq!(of(&ferula, "query=requests_total&start=2"), json!([]));
    // An exemplar without a time has its first sample's, and is the same one the next time.
    let found = of(&ferula, "query=latency_bucket%5B5m%5D");
    assert_eq!(found.as_array().unwrap().len(), 1, "one is too long");
    let all = found[0]["exemplars"].as_array().unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0]["labels"], json!({"span": "é", "trace_id": "def"}));
    assert!(all[0]["timestamp"].as_f64().unwrap() > 1e9);
    let older = PAGE.replace("abc\"} 0.5 1.5", "older\"} 0.5 1.4");
    exporter.set(Behaviour::OpenMetrics(older));
    let refused = "prometheus_target_scrapes_exemplar_out_of_order_total";
    eventually("an older one is refused", || {
        (ferula.metric(refused)? > 0.0).then_some(())
    });
    ferula.wait_for_log("Error on ingesting out-of-order exemplars");
    let too_long = "ferula_tsdb_exemplar_too_long_exemplars_total";
    assert!(ferula.metric(too_long).unwrap() >= 3.0);
}

fn config(room: u32) -> String {
    format!("storage: {{exemplars: {{max_exemplars: {room}}}}}\n")
}

#[test]
fn a_kill_loses_none_and_a_reload_keeps_the_newest() {
    let mut ferula = Ferula::start_with(&config(100), FLAGS);
    send(&ferula, &named("m", &[(T, 1.0)]));
    let id = |i: i64| i.to_string();
    for i in 0..20 {
        let of = [("trace_id", &*id(i)), ("gone", "")];
        send(
            &ferula,
            &exemplars(&[("__name__", "m")], &[(&of, i as f64, T + i)]),
        );
    }
    let times = |ferula: &Ferula| {
        let found = of(ferula, "query=m");
        let all = found[0]["exemplars"].as_array().unwrap().clone();
        for e in &all {
            let i = (e["timestamp"].as_f64().unwrap() * 1000.0) as i64 - T;
            assert_eq!(e["labels"], json!({"trace_id": id(i)}));
            assert_eq!(e["value"], id(i));
        }
        all.len()
    };
    assert_eq!(times(&ferula), 20);
    ferula.kill();
    ferula.start_again(FLAGS);
    assert_eq!(times(&ferula), 20);
    let size = "prometheus_tsdb_exemplar_max_exemplars";
    for (room, kept) in [(7, 7), (50, 7)] {
        ferula.write("prometheus.yml", &config(room));
        assert_eq!(ferula.reload().status, 200);
        assert_eq!(ferula.metric(size), Some(f64::from(room)));
        assert_eq!(times(&ferula), kept);
    }
    ferula.write("prometheus.yml", &config(0));
    assert_eq!(ferula.reload().status, 200);
    assert_eq!(of(&ferula, "query=m"), json!([]));
}

#[test]
fn what_is_received() {
    let ferula = Ferula::start_with("global: {}\n", FLAGS);
    let m = [("__name__", "m"), ("a", "b")];
    // An exemplar of a series that does not exist.
    send(&ferula, &exemplars(&m, &[(&[("id", "0")], 1.0, T)]));
    assert_eq!(of(&ferula, "query=m"), json!([]));
    let dropped = "ferula_remote_write_received_exemplars_dropped_total";
    assert_eq!(ferula.metric(dropped), Some(1.0));
    let both = [
        series(&m, &[(T, 1.0)]),
        exemplars(&m, &[(&[("id", "1")], 1.0, T), (&[], f64::NAN, T + 1)]),
    ];
    send(&ferula, &both.concat());
    let again = [
        exemplars(&m, &[(&[("id", "2")], 1.0, T - 1)]),
        exemplars(&m, &[(&[("id", "3")], 1.0, T + 2)]),
    ];
    send(&ferula, &again.concat());
    let expect = json!([{
        "seriesLabels": {"__name__": "m", "a": "b"},
        "exemplars": [
            {"labels": {"id": "1"}, "value": "1", "timestamp": 1000},
            {"labels": {}, "value": "NaN", "timestamp": 1000.001},
            {"labels": {"id": "3"}, "value": "1", "timestamp": 1000.002},
        ],
    }]);
    assert_eq!(of(&ferula, "query=m"), expect);
    let name = "prometheus_tsdb_exemplar_out_of_order_exemplars_total";
    assert_eq!(ferula.metric(name), Some(1.0));
    let body = "query=%7Ba%3D%22b%22%7D&start=0&end=2000";
    let reply = request(ferula.address, "POST", "/api/v1/query_exemplars", body).unwrap();
    assert_eq!(reply.json()["data"], expect);
}

#[test]
fn faults_and_what_is_not_asked_for() {
    let ferula = Ferula::start_with("global: {}\n", &["--web.enable-remote-write-receiver"]);
    send(&ferula, &named("m", &[(T, 1.0)]));
    send(
        &ferula,
        &exemplars(&[("__name__", "m")], &[(&[("id", "1")], 1.0, T)]),
    );
    assert_eq!(of(&ferula, "query=m"), json!([]), "not switched on");
    let check = |parameters: &str, error: &str| {
        let reply = ferula.get(&format!("/api/v1/query_exemplars?{parameters}"));
        let found = reply.json();
        let found = (reply.status, &found["errorType"], &found["error"]);
        assert_eq!(found, (400, &json!("bad_data"), &json!(error)));
    };
    let error = "end timestamp must not be before start timestamp";
    check("query=m&start=2&end=1", error);
    check(
        "query=m&start=x",
        "invalid parameter \"start\": invalid time value for 'start': \
         cannot parse \"x\" to a valid timestamp",
    );
    check(
        "",
        "unknown position: parse error: no expression found in input",
    );
}
