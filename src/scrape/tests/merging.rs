//! Tests of target and sample labels, relabelling and validity.

use crate::config::ScrapeConfig;
use crate::model::names::NameScheme;
use crate::scrape::scrape_loop::Turned;
use crate::scrape::testing::{Answer, Rig, STEP_MS, TEXT, rule};

fn check(edit: impl FnOnce(&mut ScrapeConfig), page: &str, expect: &str) {
    let mut rig = Rig::new(edit);
    assert_eq!(rig.page(page), expect, "{page}");
}

fn check_error(edit: impl FnOnce(&mut ScrapeConfig), page: &str, expect: &str) {
    let mut rig = Rig::new(edit);
    assert_eq!(rig.page(page), "", "{page}");
    assert_eq!(rig.last_error(), expect, "{page}");
    assert_eq!(rig.report_value("up"), "0");
}

#[test]
fn labels_of_target_and_sample() {
    check(|_| {}, "a{x=\"1\",e=\"\"} 1", "a{x=\"1\"} 1");
    check(|_| {}, "a{job=\"k\"} 1", "a{exported_job=\"k\"} 1");
    check(|_| {}, "a{job=\"\"} 1", "a 1");
    check(
        |_| {},
        "a{job=\"k\",exported_job=\"e\"} 1",
        "a{exported_exported_job=\"k\", exported_job=\"e\"} 1",
    );
    check(
        |c| c.honor_labels = true,
        "a{job=\"k\"} 1",
        "a{job=\"k\"} 1",
    );
    check(|c| c.honor_labels = true, "a 1", "a 1");
}

/// Every page of a Pushgateway has `instance=""`, which once got the target's instance.
#[test]
fn an_empty_label_that_is_honored_keeps_the_target_s_away() {
    let check = |page: &str, expect: &str| {
        let mut rig = Rig::new(|c| c.honor_labels = true);
        for _ in 0..2 {
            rig.page(page);
            rig.pages.clear();
            rig.pages.push(Answer::Page(TEXT, format!("{page}\n")));
            rig.turns += 1;
            assert_eq!(rig.scrape_loop.turn(rig.turns * STEP_MS), Turned::Done);
            let stored = rig.store.take();
            let labels: Vec<String> = stored
                .iter()
                .filter(|(labels, ..)| labels.metric_name().starts_with('a'))
                .map(|(labels, ..)| labels.series_text())
                .collect();
            assert_eq!(labels, [expect], "{page}");
        }
    };
    check("a{instance=\"\",job=\"backup\"} 1", "a{job=\"backup\"}");
    check("a{instance=\"\",job=\"\"} 1", "a");
    check("a{job=\"\"} 1", "a{instance=\"h:1\"}");
    check("a{x=\"\"} 1", "a{instance=\"h:1\", job=\"j\"}");
}

#[test]
fn a_label_without_a_name_fails_the_scrape() {
    check_error(
        |c| c.metric_relabel_configs = vec![rule("labelmap", "", "job", "", "$1")],
        "a 1",
        "invalid metric name or label names: {\"\"=\"j\", __name__=\"a\", instance=\"h:1\", job=\"j\"}",
    );
}

#[test]
fn relabelling_of_samples() {
    let mut rig = Rig::new(|c| {
        c.metric_relabel_configs = vec![
            rule("drop", "__name__", "b.*", "", ""),
            rule("labeldrop", "", "id", "", ""),
            rule("replace", "__name__", "c(.*)", "__name__", "d$1"),
        ];
    });
    for _ in 0..2 {
        assert_eq!(rig.page("a{id=\"1\"} 1|b 2|c_x 3"), "a 1; d_x 3");
    }
    assert_eq!(rig.report(), "1 3 2 0");
    // A dropped series takes no part in staleness.
    assert_eq!(rig.page("a{id=\"2\"} 1"), "a 1; d_x stale");
}

#[test]
fn names_must_be_there_and_valid() {
    let no_name = |c: &mut ScrapeConfig| {
        c.metric_relabel_configs = vec![rule("labeldrop", "", "__name__", "", "")];
    };
    check_error(no_name, "a 1", "missing metric name (__name__ label)");
    let legacy = |c: &mut ScrapeConfig| c.name_scheme = NameScheme::Legacy;
    check(
        |_| {},
        "{\"a.b\",\"x.y\"=\"1\"} 1",
        "{__name__=\"a.b\", \"x.y\"=\"1\"} 1",
    );
    check_error(
        legacy,
        "{\"a.b\"} 1",
        "invalid metric name or label names: {__name__=\"a.b\", instance=\"h:1\", job=\"j\"}",
    );
}
