//! Tests of OpenMetrics exemplars on their way to the storage.

use crate::config::ScrapeConfig;
use crate::scrape::testing::{Answer, OPEN_METRICS, Rig, STEP_MS, rule};

/// Checks the exemplars of a page's second turn: `name{labels} labels value@ms`, "~" after a time
/// that is not its own, "turn" for the turn's time.
fn check(edit: impl FnOnce(&mut ScrapeConfig), page: &str, expect: &str) -> Rig {
    let mut rig = Rig::new(edit);
    let page = format!("{}\n# EOF\n", page.replace('|', "\n"));
    let mut found = Vec::new();
    for _ in 0..2 {
        rig.answer(Answer::Page(OPEN_METRICS, page.clone()));
        found.clear();
        for (labels, e) in rig.store.take_exemplars() {
            let t = match e.t {
                t if t == rig.turns * STEP_MS => "turn".to_owned(),
                t => t.to_string(),
            };
            let timed = if e.timed { "" } else { "~" };
            let name = labels.metric_name();
            found.push(format!("{name} {} {}@{t}{timed}", e.labels, e.v));
        }
    }
    assert_eq!(found.join("; "), expect, "{page}");
    rig
}

fn plain(page: &str, expect: &str) {
    check(|_| {}, page, expect);
}

#[test]
fn of_pages() {
    plain("a_total 1", "");
    plain("a_total 1 # {} 2", "a_total {} 2@turn~");
    plain("a_total 1 # {b=\"c\"} 2 3.5", "a_total {b=\"c\"} 2@3500");
    plain("a_total 1 9 # {b=\"c\"} 2", "a_total {b=\"c\"} 2@9000~");
    plain(
        "a_total 1 # {b=\"\",c=\"d\"} 1",
        "a_total {c=\"d\"} 1@turn~",
    );
    plain(
        "a_bucket{le=\"1\"} 1 # {b=\"c\"} 1 1|b_total 1|c_total 2 # {} 3 3",
        "a_bucket {b=\"c\"} 1@1000; c_total {} 3@3000",
    );
    // A broken page gives none.
    plain("a_total 1 # {b=\"c\"} 2 3|}", "");
    // In one series the first counts.
    plain("a_total 1 # {} 2 3|a_total 1 # {} 4 5", "a_total {} 2@3000");
    // A sample that is too far ahead.
    plain("a_total 1 1e9 # {} 2 3", "");
    let long = "x".repeat(5_000);
    plain(&format!("a_total 1 # {{b=\"{long}\"}} 1"), "");
}

#[test]
fn relabelling_and_times() {
    let drop = |c: &mut ScrapeConfig| {
        c.metric_relabel_configs = vec![rule("drop", "__name__", "a.*", "", "")];
    };
    let page = "a_total 1 # {} 1 1|b_total 1 # {} 2 2";
    check(drop, page, "b_total {} 2@2000");
    let own_time = |c: &mut ScrapeConfig| c.honor_timestamps = false;
    check(own_time, "a_total 1 9 # {} 2", "a_total {} 2@turn~");
}

#[test]
fn those_that_are_no_exemplars_are_counted() {
    let long = format!(
        "a_total 1 # {{x=\"{}\"}} 1|b_total 1 # {{}} 2 2",
        "x".repeat(5_000)
    );
    let rig = check(|_| {}, &long, "b_total {} 2@2000");
    let name = "ferula_target_scrapes_exemplars_refused_total";
    assert_eq!(rig.metric(name), "2");
}

#[test]
fn those_out_of_order_are_counted() {
    let rig = check(
        |_| {},
        "a_total 1 # {} -1 1|b_total 1 # {} -1 1",
        "a_total {} -1@1000; b_total {} -1@1000",
    );
    let name = "prometheus_target_scrapes_exemplar_out_of_order_total";
    assert_eq!(rig.metric(name), "4");
}
