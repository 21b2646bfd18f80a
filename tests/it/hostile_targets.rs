//! Targets that misbehave: only their own `up` turns 0, and `/targets` says why.

use ferula::model::timestamp;
use ferula::stdx::clock::{Clock, RealClock};

use crate::support::{Behaviour, Exporter, Ferula, eventually};

#[test]
fn each_costs_only_itself() {
    let cases: [(&str, Behaviour, &str); 9] = [
        ("hang", Behaviour::Hang, "context deadline exceeded"),
        ("drip", Behaviour::Drip, "context deadline exceeded"),
        ("half", Behaviour::CloseHalfWay, "unexpected EOF"),
        ("garbage", Behaviour::Garbage, "malformed HTTP"),
        (
            "redirect",
            Behaviour::RedirectForEver,
            "stopped after 10 redirects",
        ),
        (
            "bomb",
            Behaviour::gzip_bomb(64 << 20),
            "body size limit exceeded",
        ),
        ("huge", Behaviour::Huge(1 << 30), "body size limit exceeded"),
        (
            "status",
            Behaviour::Status(404),
            "server returned HTTP status 404",
        ),
        (
            "text",
            Behaviour::Page("this is { no exposition\n".to_owned()),
            "while parsing",
        ),
    ];
    let good = Exporter::page("good 1\n");
    let mut jobs = format!(
        "- job_name: good\n  static_configs: [{{targets: ['{}']}}]\n",
        good.address
    );
    let hostile: Vec<Exporter> = cases
        .iter()
        .map(|(_, behaviour, _)| Exporter::start(behaviour.clone()))
        .collect();
    for ((name, ..), exporter) in cases.iter().zip(&hostile) {
        let address = exporter.address;
        jobs += &format!(
            "- job_name: {name}\n  body_size_limit: 1MB\n  static_configs: [{{targets: ['{address}']}}]\n"
        );
    }
    let ferula = Ferula::start(&format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{jobs}"
    ));
    for (name, _, why) in &cases {
        // On a busy machine a scrape may run out of time before it meets the fault.
        eventually(&format!("{name} is down: {why}"), || {
            let targets = ferula.targets();
            let target = targets.iter().find(|t| t["scrapePool"] == *name)?;
            is_down_by(target, why).then_some(())
        });
        wait_until_down(&ferula, &format!("up{{job=\"{name}\"}}"));
    }
    let before = good.requests();
    eventually("the good one is scraped on", || {
        (good.requests() > before + 3).then_some(())
    });
    for points in ferula.points("up{job=\"good\"}[10m]") {
        // On a busy machine one may run out of time.
        let up = points.iter().filter(|(_, v)| v == "1").count();
        assert!(up * 4 > points.len() * 3, "{points:?}");
    }
    let kib = ferula.peak_kib();
    // Far below what they sent: 1 GiB, and 64 MiB unpacked.
    assert!(kib < 64 << 10, "the peak was {kib} KiB");
}

/// Returns whether the last scrape of a target, as `/targets` has it, failed because of `why`.
fn is_down_by(target: &serde_json::Value, why: &str) -> bool {
    target["health"] == "down" && target["lastError"].as_str().unwrap().contains(why)
}

/// Waits for the sample, since `/targets` shows a scrape a moment before its commit.
fn wait_until_down(ferula: &Ferula, up: &str) {
    eventually(&format!("{up} is 0"), || {
        (ferula.values(up) == [0.0]).then_some(())
    });
}

#[test]
fn limits_take_the_target_down_and_store_nothing() {
    let page = "a{x=\"1\"} 1\nb{x=\"1\",long_label_name=\"long_label_value\"} 2\n";
    let cases = [
        ("sample_limit: 1", "sample limit exceeded"),
        (
            "label_limit: 4",
            "label_limit exceeded (metric: b, number of labels: 5, limit: 4)",
        ),
        (
            "label_name_length_limit: 10",
            "label_name_length_limit exceeded (metric: b",
        ),
        (
            "label_value_length_limit: 15",
            "label_value_length_limit exceeded",
        ),
        ("body_size_limit: 20B", "body size limit exceeded"),
    ];
    for (limit, why) in cases {
        let exporter = Exporter::page(page);
        let ferula = Ferula::start(&format!(
            "global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}\nscrape_configs:\n\
             - job_name: j\n  {limit}\n  static_configs: [{{targets: ['{}'], labels: {{instance: i}}}}]\n",
            exporter.address
        ));
        eventually(&format!("the target is down: {why}"), || {
            is_down_by(ferula.targets().first()?, why).then_some(())
        });
        wait_until_down(&ferula, "up");
        assert!(ferula.query("{__name__=~\"a|b\"}").is_empty(), "{limit}");
    }
}

/// The log said that samples were out of order, and of which target, but not of which series.
#[test]
fn a_refused_sample_can_be_found() {
    let now = RealClock::new().wall_ms() / 1000;
    let page = |t: i64, v| format!("good 1\nclocked{{disk=\"sda\"}} {v} {}\n", t * 1000);
    let exporter = Exporter::page(page(now, 1));
    let ferula = Ferula::start(&format!(
        "global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}\nscrape_configs:\n\
         - job_name: a\n  static_configs: [{{targets: ['{}']}}]\n\
         - job_name: b\n  static_configs: [{{targets: ['x:1'], labels: {{__scrape_timeout__: 1h}}}}]\n",
        exporter.address
    ));
    eventually("the first page is there", || {
        (!ferula.query("clocked").is_empty()).then_some(())
    });
    ferula.wait_for_log(
        "Creating target failed: instance 0 in group 0: scrape timeout cannot be greater than",
    );
    ferula.wait_for_log("count=1 not_told_since_last=0");
    exporter.set(Behaviour::Page(page(now - 5, 2)));
    let (address, back) = (exporter.address, timestamp::rfc3339((now - 5) * 1000));
    ferula.wait_for_log(&format!(
        "msg=\"Error on ingesting out-of-order samples\" scrape_pool=a \
         target=http://{address}/metrics num_dropped=1 reason=\"out of order sample\" \
         series=\"clocked{{disk=\\\"sda\\\", instance=\\\"{address}\\\", job=\\\"a\\\"}}\" \
         timestamp={back} value=2 not_told_since_last=0"
    ));
    let name = "prometheus_target_scrapes_sample_out_of_order_total";
    eventually("the following ones are counted", || {
        ferula.metric(name).filter(|n| *n >= 4.0)
    });
    ferula.wait_until_up("up{job=\"a\"}");
}
