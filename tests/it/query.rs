//! Around queries: the query log, the tool, what a crash leaves behind.

use std::fs;
use std::io::Write;
use std::net::TcpStream;

use crate::support::{Exporter, Ferula, eventually, run_to_end};

const PAGE: &str = "a{b=\"x\"} 1\na{b=\"y\"} 2\n";

fn started(global: &str) -> (Ferula, Exporter) {
    let exporter = Exporter::page(PAGE);
    let ferula = Ferula::start(&config(&exporter, global));
    eventually("up", || (ferula.values("up") == [1.0]).then_some(()));
    (ferula, exporter)
}

fn config(exporter: &Exporter, global: &str) -> String {
    format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s{global}}}\nscrape_configs:\n\
         - job_name: j\n  static_configs: [{{targets: ['{}'], labels: {{instance: i}}}}]\n",
        exporter.address
    )
}

#[test]
fn the_query_log_is_reloaded() {
    let (ferula, exporter) = started("");
    let lines = |name: &str| -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(ferula.path(name)).unwrap_or_default();
        text.lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    };
    ferula.write(
        "prometheus.yml",
        &config(&exporter, ", query_log_file: one.log"),
    );
    assert_eq!(ferula.reload().status, 200);
    ferula.query("a{b=\"x\"}");
    ferula.get("/api/v1/query_range?query=a&start=10&end=20&step=5");
    let logged = lines("one.log");
    assert_eq!(logged.len(), 2, "{logged:?}");
    assert_eq!(logged[0]["params"]["query"], "a{b=\"x\"}");
    assert_eq!(logged[0]["params"]["step"], 0);
    assert_eq!(logged[0]["httpRequest"]["path"], "/api/v1/query");
    assert_eq!(logged[1]["params"]["start"], "1970-01-01T00:00:10.000Z");
    assert_eq!(logged[1]["params"]["step"], 5);
    assert!(logged[1]["stats"]["timings"]["execTotalTime"].is_number());
    assert_eq!(
        ferula.metric("prometheus_engine_query_log_enabled"),
        Some(1.0)
    );

    // A log that cannot be opened refuses the whole configuration, and the one before runs on.
    ferula.write(
        "prometheus.yml",
        &config(&exporter, ", query_log_file: no/such/dir.log"),
    );
    let refused = ferula.reload();
    assert_eq!(refused.status, 500);
    assert!(refused.body.contains("query_log_file"), "{}", refused.body);
    ferula.query("a");
    assert_eq!(lines("one.log").len(), 3);

    // A configuration that is refused for another reason leaves no file behind.
    let other = config(&exporter, ", query_log_file: never.log");
    let refused = other + "- job_name: t\n  tls_config: {ca_file: absent.pem}\n";
    ferula.write("prometheus.yml", &refused);
    let refused = ferula.reload();
    assert_eq!(refused.status, 500);
    assert!(refused.body.contains("absent.pem"), "{}", refused.body);
    assert!(!ferula.path("never.log").exists());

    ferula.write("prometheus.yml", &config(&exporter, ""));
    assert_eq!(ferula.reload().status, 200);
    ferula.query("a");
    assert_eq!(lines("one.log").len(), 3);
    assert_eq!(
        ferula.metric("prometheus_engine_query_log_enabled"),
        Some(0.0)
    );
}

#[test]
fn the_tool_asks_and_prints_as_promtool_does() {
    let (ferula, _exporter) = started("");
    let server = format!("http://{}", ferula.address);
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let all: Vec<&str> = ["query"].iter().chain(arguments).copied().collect();
        run_to_end(dir.path(), &all)
    };
    let ask = |arguments: &[&str]| {
        let finished = run(arguments);
        assert_eq!(finished.code(), 0, "{arguments:?}: {}", finished.stderr);
        finished.stdout
    };
    let instant = ask(&["instant", &server, "a{b=\"y\"}"]);
    assert!(
        instant.starts_with("a{b=\"y\", instance=\"i\", job=\"j\"} => 2 @["),
        "{instant}"
    );
    let json = ask(&["instant", "-o", "json", &server, "a{b=\"y\"}"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["metric"]["b"], "y");
    let range = ask(&["range", "--step=1s", &server, "a{b=\"y\"}"]);
    assert!(range.contains("} =>\n2 @["), "{range}");
    let series = ask(&["series", "--match=a", &server]);
    assert_eq!(
        series.lines().next(),
        Some("{__name__=\"a\", b=\"x\", instance=\"i\", job=\"j\"}")
    );
    assert_eq!(ask(&["labels", &server, "b"]), "x\ny\n");

    let refused = run(&["instant", &server, "a{"]);
    assert_eq!(refused.code(), 1);
    let start = "query error: bad_data: invalid parameter \"query\": 1:3: parse error: ";
    assert!(refused.stderr.starts_with(start), "{}", refused.stderr);
    let nobody = run(&["instant", "http://127.0.0.1:1", "a"]);
    assert_eq!(nobody.code(), 1);
    assert!(
        nobody.stderr.starts_with("query error: "),
        "{}",
        nobody.stderr
    );
    std::fs::write(dir.path().join("http.yml"), "basic_auth: {user: x}\n").unwrap();
    let wrong = run(&["instant", "--http.config.file=http.yml", &server, "a"]);
    assert!(
        wrong.stderr.contains("field user not found"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn after_a_crash_the_next_start_names_the_query_that_ran() {
    const NAMED: &str = "This query was running when the process before ended without warning";
    let (mut ferula, _exporter) = started("");
    ferula.query("count(a)");
    // 86,400 windows of 86,400 values each.
    let slow = "quantile_over_time(0.5,quantile_over_time(0.5,vector(1)[1d:1s])[1d:1s])";
    let mut client = TcpStream::connect(ferula.address).unwrap();
    let request = format!("GET /api/v1/query?query={slow} HTTP/1.1\r\nHost: x\r\n\r\n");
    client.write_all(request.as_bytes()).unwrap();
    // The thread that writes the file may come to it later than the query runs.
    eventually("it runs, and is in the file", || {
        let file = fs::read(ferula.path("data/queries.active")).ok()?;
        String::from_utf8_lossy(&file).contains(slow).then_some(())
    });
    ferula.kill();
    ferula.start_again(&[]);
    ferula.wait_for_log(NAMED);
    let log = ferula.log_text();
    let named: Vec<&str> = log.lines().filter(|line| line.contains(NAMED)).collect();
    assert_eq!(named.len(), 1, "{log}");
    assert!(named[0].contains(slow), "{log}");

    // It is named once.
    ferula.kill();
    ferula.start_again(&[]);
    assert!(!ferula.log_text().contains(NAMED));
}
