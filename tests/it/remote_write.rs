//! Remote write 1.0 as senders see it: statuses, texts, and what can be queried afterwards.

use crate::support::Ferula;
use crate::support::remote_write::{HEADERS, named, post, series, snappy, varint};

/// The newest time that tests write. It is far in the past, so that no clock matters.
const T: i64 = 1_000_000;

fn started() -> Ferula {
    Ferula::start_with("global: {}\n", &["--web.enable-remote-write-receiver"])
}

#[track_caller]
fn check(ferula: &Ferula, headers: &str, body: &[u8], status: u16, text: &str) {
    let reply = post(ferula.address, headers, body).unwrap();
    let body = reply.body.trim_end();
    // The rest names the series.
    let names = body
        .strip_prefix(text)
        .filter(|rest| rest.is_empty() || rest.starts_with(" for "));
    assert!(
        reply.status == status && names.is_some(),
        "{} {body}",
        reply.status
    );
    if status >= 400 {
        assert_eq!(
            reply.header("Content-Type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(reply.header("X-Content-Type-Options"), Some("nosniff"));
    }
}

#[test]
fn what_is_sent_can_be_queried() {
    let ferula = started();
    let send = |raw: &[u8], status, text: &str| check(&ferula, HEADERS, &snappy(raw), status, text);
    let labels = [("z", "1"), ("__name__", "m"), ("a", "2"), ("empty", "")];
    send(
        &series(&labels, &[(0, 1.0), (15_000, 2.0), (T, 3.0)]),
        204,
        "",
    );
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    send(&named("ended", &[(T - 1000, 5.0), (T, stale)]), 204, "");
    let at = |expr: &str, t: i64| {
        let path = format!("/api/v1/query?query={expr}&time={}", t as f64 / 1e3);
        ferula.get(&path).json()["data"]["result"].clone()
    };
    let found = at("m", T);
    assert_eq!(found[0]["value"][1], "3");
    assert_eq!(
        found[0]["metric"],
        serde_json::json!({"__name__": "m", "a": "2", "z": "1"})
    );
    assert_eq!(at("m[1h]", T)[0]["values"].as_array().unwrap().len(), 3);
    assert_eq!(at("ended", T - 1)[0]["value"][1], "5");
    assert_eq!(at("ended", T), serde_json::json!([]));
}

#[test]
fn faults_of_samples() {
    let ferula = started();
    let send = |raw: &[u8], status, text: &str| check(&ferula, HEADERS, &snappy(raw), status, text);
    send(&named("m", &[(T, 1.0)]), 204, "");
    send(&named("m", &[(T, 1.0)]), 204, "");
    let text = format!(
        "duplicate sample for timestamp {T}; overrides not allowed: existing 1, new value 2"
    );
    send(&named("m", &[(T, 2.0)]), 400, &text);
    send(&named("m", &[(T - 1, 1.0)]), 400, "out of order sample");
    send(&named("m", &[(T + 5, 1.0), (T + 4, 1.0)]), 204, "");
    let ahead = 1i64 << 50;
    let text = "out of bounds: timestamp is too far in the future";
    send(&named("m", &[(ahead, 1.0)]), 400, text);
    let both = [named("m", &[(T, 9.0)]), named("other", &[(T, 7.0)])].concat();
    send(&both, 400, "out of order sample");
    send(&named("late", &[(T + 7_200_000, 1.0)]), 204, "");
    send(&named("new", &[(T, 1.0)]), 400, "out of bounds");
    send(&series(&[("job", "m")], &[(T + 7_200_000, 1.0)]), 204, "");
    send(b"", 204, "");
    let other = format!("/api/v1/query?query=other&time={}", T / 1000);
    assert_eq!(
        ferula.get(&other).json()["data"]["result"][0]["value"][1],
        "7"
    );
    let name = "prometheus_api_remote_write_invalid_labels_samples_total";
    assert_eq!(ferula.metric(name), Some(1.0));
}

/// Neither the answer nor the log said which series it was.
#[test]
fn a_refused_sample_can_be_found() {
    let ferula = started();
    let send = |raw: &[u8]| post(ferula.address, HEADERS, &snappy(raw)).unwrap();
    let bad = [("__name__", "z"), ("host", "bad-host")];
    assert_eq!(send(&series(&bad, &[(T, 1.0)])).status, 204);
    let reply = send(&series(&bad, &[(T - 5_000, 2.0)]));
    let text =
        "out of order sample for series z{host=\"bad-host\"} at 1970-01-01T00:16:35Z, value 2";
    assert_eq!((reply.status, reply.body.trim_end()), (400, text));
    ferula.wait_for_log(
        r#"reason="out of order sample" series="z{host=\"bad-host\"}" timestamp=1970-01-01T00:16:35Z"#,
    );
    let twice = [("__name__", "z"), ("host", "one"), ("host", "two")];
    assert_eq!(send(&series(&twice, &[(T, 1.0)])).status, 204);
    ferula.wait_for_log(r#"series="z{host=\"one\", host=\"two\"}""#);
    // Newest first: now counted as in Prometheus, formerly not at all.
    let out_of_order = "prometheus_tsdb_out_of_order_samples_total{type=\"float\"}";
    assert_eq!(ferula.metric(out_of_order), Some(1.0));
    let five: Vec<_> = (1..=5).rev().map(|n| (T + n * 1_000, n as f64)).collect();
    assert_eq!(send(&named("m", &five)).status, 204);
    assert_eq!(ferula.metric(out_of_order), Some(5.0));
    ferula.wait_for_log("out of order sample within the request");
}

#[test]
fn faults_of_requests() {
    let ferula = started();
    let good = snappy(&named("m", &[(T, 1.0)]));
    let good = good.as_slice();
    let check = |headers: &str, body: &[u8], status, text: &str| {
        check(&ferula, headers, body, status, text);
    };
    check("", good, 204, "");
    check(
        "Content-Type: application/x-protobuf;proto=prometheus.WriteRequest\r\n",
        good,
        204,
        "",
    );
    check(
        "Content-Encoding: gzip\r\n",
        good,
        415,
        "gzip encoding (compression) is not accepted by this server; only snappy is acceptable",
    );
    check(
        "Content-Type: text/plain\r\n",
        good,
        415,
        "expected application/x-protobuf as the first (media) part, got text/plain content-type",
    );
    check(
        "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n",
        good,
        415,
        "io.prometheus.write.v2.Request protobuf message is not accepted by this server; \
         only accepts prometheus.WriteRequest",
    );
    check(HEADERS, b"", 400, "snappy: corrupt input");
    check(HEADERS, &[0xff; 20], 400, "snappy: corrupt input");
    let huge = [varint((32 << 20) + 1), vec![0, b'a']].concat();
    check(
        HEADERS,
        &huge,
        400,
        "decoded size exceeds the 33554432 bytes limit",
    );
    check(HEADERS, &snappy(b"\x0a\x05"), 400, "unexpected EOF");
    let text = "proto: wrong wireType = 0 for field Timeseries";
    check(HEADERS, &snappy(b"\x08\x01"), 400, text);

    let code = |code| {
        let counter = "prometheus_http_requests_total";
        ferula.metric(&format!(
            "{counter}{{code=\"{code}\",handler=\"/api/v1/write\"}}"
        ))
    };
    assert_eq!([code(204), code(400), code(415)], [2.0, 5.0, 3.0].map(Some));
    ferula.wait_for_log("remote write: request not stored");

    let reply = ferula.get("/api/v1/write");
    assert_eq!(
        (reply.status, reply.header("Allow")),
        (405, Some("OPTIONS, POST"))
    );
}

#[test]
fn without_the_flag_there_is_no_receiver() {
    let ferula = Ferula::start("global: {}\n");
    let text = "remote write receiver needs to be enabled with --web.enable-remote-write-receiver";
    check(&ferula, HEADERS, &snappy(b""), 404, text);
}
