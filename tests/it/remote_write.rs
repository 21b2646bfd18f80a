//! Remote write 1.0 as senders see it: statuses, texts, and what can be queried afterwards.

use crate::support::Ferula;
use crate::support::remote_write::{HEADERS, named, post, series, snappy, varint};

/// The newest that tests write; far in the past, so that no clock matters.
const T: i64 = 1_000_000;

fn started() -> Ferula {
    Ferula::start_with("global: {}\n", &["--web.enable-remote-write-receiver"])
}

#[track_caller]
fn check(ferula: &Ferula, headers: &str, body: &[u8], status: u16, text: &str) {
    let reply = post(ferula.address, headers, body).unwrap();
    assert_eq!((reply.status, reply.body.trim_end()), (status, text));
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
