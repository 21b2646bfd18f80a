//! Hostile queries: each ends within its time, costs only itself, and leaves nothing.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime};

use crate::support::{Exporter, Ferula, eventually, request};

const SERIES: usize = 1_000;
/// The program's timeout, and what a loaded machine may add to it.
const TIMEOUT: Duration = Duration::from_secs(3);
const SLACK: Duration = Duration::from_secs(12);
/// LIMIT: what the process may keep after all those queries: an allocator's caches, not their data.
const KEPT_MAX: usize = 96 << 20;

fn ferula_with_data(arguments: &[&str]) -> (Ferula, Exporter) {
    let page: String = (0..SERIES)
        .map(|i| format!("wide_total{{i=\"{i}\",half=\"{}\"}} {i}\n", i % 2))
        .collect();
    let exporter = Exporter::page(page);
    let config = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\nscrape_configs:\n\
         - job_name: j\n  static_configs: [{{targets: ['{}']}}]\n",
        exporter.address
    );
    let ferula = Ferula::start_with(&config, arguments);
    eventually("the data is there", || {
        let count = ferula.query("wide_total[1m]").len();
        (count == SERIES).then_some(())
    });
    (ferula, exporter)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a real process lives in real time"
)]
fn now_seconds() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs_f64()
}

fn resident_bytes(ferula: &Ferula) -> usize {
    let statm = std::fs::read_to_string(format!("/proc/{}/statm", ferula.pid())).unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Queries an hour in 240 steps, or one time. The status must be one of `statuses`.
#[expect(
    clippy::disallowed_methods,
    reason = "the acceptance point is about real time"
)]
fn check(ferula: &Ferula, query: &str, is_range: bool, statuses: &[u16]) {
    let end = now_seconds();
    let (start, at) = ((end - 3600.0).to_string(), end.to_string());
    let (path, pairs) = if is_range {
        let pairs = vec![
            ("query", query),
            ("start", &start),
            ("end", &at),
            ("step", "15"),
        ];
        ("/api/v1/query_range", pairs)
    } else {
        ("/api/v1/query", vec![("query", query), ("time", &at)])
    };
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    let what = &query[..query.len().min(80)];
    let began = Instant::now();
    let reply = request(ferula.address, "POST", path, &body)
        .unwrap_or_else(|e| panic!("{what}: {e}; {}", ferula.log_text()));
    let took = began.elapsed();
    let answer = &reply.body[..reply.body.len().min(300)];
    assert!(
        statuses.contains(&reply.status),
        "{what}: {} {answer}",
        reply.status
    );
    assert!(took < TIMEOUT + SLACK, "{what} took {took:?}");
    // Other clients are not affected.
    assert_eq!(ferula.get("/-/healthy").status, 200, "after {what}");
    ferula.wait_until_up("up");
}

#[test]
fn hostile_queries_end_within_their_time_and_leave_nothing() {
    let limits = ["--query.timeout=3s", "--query.max-samples=2000000"];
    let (ferula, _exporter) = ferula_with_data(&limits);
    let before = resident_bytes(&ferula);
    let refused: &[u16] = &[400, 422, 503];
    // The cross join of everything with everything.
    let all = "{__name__=~\".+\"}";
    for join in [
        format!("{all} * on () {all}"),
        format!("{all} * on () group_left {all}"),
        format!("{all} * ignoring (i) group_right {all}"),
    ] {
        check(&ferula, &join, false, refused);
        check(&ferula, &join, true, refused);
    }
    // A year of milliseconds.
    for subquery in [
        "max_over_time(wide_total[1y:1ms])",
        "sum(quantile_over_time(0.5, wide_total[1y:1ms]))",
        "max_over_time(max_over_time(vector(1)[1y:1ms])[1y:1ms])",
        "sum_over_time(rate(wide_total[1y:1ms])[1y:1ms])",
    ] {
        check(&ferula, subquery, false, refused);
        check(&ferula, subquery, true, refused);
    }
    // 300,000 values to sort for each of 1,000 series: only the timeout ends it.
    let slow = "quantile_over_time(0.5, wide_total[5m:1ms] offset -5m)";
    check(&ferula, slow, false, &[503]);
    // Depth.
    let nested = |open: &str, inner: &str, close: &str| {
        format!("{}{inner}{}", open.repeat(10_000), close.repeat(10_000))
    };
    for deep in [
        nested("(", "1", ")"),
        nested("sum(", "up", ")"),
        nested("-", "up", ""),
        nested("2 ^ ", "2", ""),
        nested("(", "", ""),
        nested("up[", "1", ""),
        format!("up[{}]", nested("(", "1", ")")),
    ] {
        check(&ferula, &deep, false, refused);
    }
    // Expressions that would be slow elsewhere, or too large anywhere.
    for (regex, statuses) in [
        ("(x+x+)+y", &[200][..]),
        ("(.*)*(.*)*(.*)*z", &[200]),
        ("((((w{1,1000}){1,1000}){1,1000}){1,1000})", refused),
        ("((w{1000}){1000}){1000}", refused),
    ] {
        let selector = format!("{{__name__=~\"{regex}\"}}");
        check(&ferula, &selector, false, statuses);
        let replace = format!("label_replace(wide_total, \"x\", \"$1\", \"i\", \"{regex}\")");
        check(&ferula, &replace, true, statuses);
    }
    // Length. A long sum of numbers may well be answered.
    let many = |term: &str| vec![term; 100_000].join("+");
    check(&ferula, &many("1"), false, &[200, 400, 413, 422, 503]);
    check(&ferula, &many("up"), false, &[400, 413, 422, 503]);
    check(
        &ferula,
        &many("sum(wide_total)"),
        true,
        &[400, 413, 422, 503],
    );
    // More than may be held.
    let matrix = "sort(wide_total) or label_replace(wide_total, \"n\", \"1\", \"\", \"\")";
    check(&ferula, &format!("{matrix} offset"), true, refused);
    check(
        &ferula,
        "wide_total[100y] offset -50y @ 1e30",
        false,
        refused,
    );
    // Nested calls, as deep as allowed, and label values that grow with each.
    let called = |open: &str, inner: &str, close: &str, times: usize| {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    for deep in [
        called("abs(", "up", ")", 250),
        called("absent(", "up", ")", 250),
        called("vector(scalar(", "up", "))", 120),
        called("label_join(", "up", ", \"x\", \",\", \"job\")", 250),
        called("timestamp(", "up", ")", 250),
        called("count_values(\"x\", ", "up", ")", 250),
        called("topk(1, ", "up", ")", 250),
        called("(", "up", " + on (job) up)", 120),
        called("up or (", "up", ")", 120),
        called("max_over_time(", "up", "[5m:1m])", 120),
    ] {
        check(&ferula, &deep, true, &[200]);
    }
    let doubled = called(
        "label_join(",
        "up",
        ", \"x\", \"\", \"job\", \"x\", \"x\")",
        60,
    );
    check(&ferula, &doubled, false, &[422]);
    let references = "$1".repeat(1000);
    let grow = |inner: &str, from: &str| {
        format!("label_replace({inner}, \"x\", \"{references}\", \"{from}\", \"(.*)\")")
    };
    check(&ferula, &grow("up", "job"), false, &[200]);
    check(
        &ferula,
        &grow(&grow(&grow("up", "job"), "x"), "x"),
        false,
        &[422],
    );
    for all in [
        format!("topk(1e9, {all})"),
        format!("count_values(\"v\", {all})"),
        format!("sort({all})"),
    ] {
        check(&ferula, &all, true, &[200, 422, 503]);
    }
    eventually("the memory comes back", || {
        let now = resident_bytes(&ferula);
        (now < before + KEPT_MAX).then_some(())
    });
    eventually("nothing runs on", || {
        (ferula.metric("prometheus_engine_queries") == Some(0.0)).then_some(())
    });
}

/// Thousands of selectors, each of which matches all series.
#[test]
fn hostile_requests_for_series_end_within_their_time() {
    let (ferula, _exporter) = ferula_with_data(&["--query.timeout=1s"]);
    let body = "match[]=%7B__name__%3D~%22.%2B%22%7D&".repeat(10_000);
    for path in ["/api/v1/series", "/api/v1/labels"] {
        let reply = request(ferula.address, "POST", path, &body).unwrap();
        assert_eq!(reply.status, 503, "{path}");
        ferula.wait_until_up("up");
    }
}

#[test]
fn a_client_that_goes_away_cancels_its_query() {
    let (ferula, _exporter) = ferula_with_data(&[]);
    let start = now_seconds();
    let end = start + 280.0;
    // A quantile of 1,200 values at 2,801 steps of 1,000 series, which takes minutes.
    let pairs = [
        ("query", "quantile_over_time(0.5, wide_total[2m:100ms])"),
        ("start", &start.to_string()),
        ("end", &end.to_string()),
        ("step", "0.1"),
    ];
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    let mut client = TcpStream::connect(ferula.address).unwrap();
    write!(
        client,
        "GET /api/v1/query_range?{query} HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    .unwrap();
    let mut seen = 0;
    eventually("it runs, and runs on", || {
        let running = ferula.metric("prometheus_engine_queries") == Some(1.0);
        assert!(running || seen == 0, "it ended by itself");
        seen += usize::from(running);
        (seen == 30).then_some(())
    });
    drop(client);
    eventually("it is over", || {
        (ferula.metric("prometheus_engine_queries") == Some(0.0)).then_some(())
    });
    ferula.wait_until_up("up");
}
