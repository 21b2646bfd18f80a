//! Tests of limits, and of faults of single samples (reference section 5.4).

use crate::config::ScrapeConfig;
use crate::net::NetError;
use crate::scrape::testing::{Answer, Rig, TEXT};

fn check_error(edit: impl FnOnce(&mut ScrapeConfig), page: &str, metric: &str, expect: &str) {
    let mut rig = Rig::new(edit);
    assert_eq!(rig.page(page), "", "{page}");
    assert_eq!(rig.last_error(), expect, "{page}");
    assert_eq!(rig.metric(metric), "1", "{page}");
}

const LABELS: &str = "prometheus_target_scrape_pool_exceeded_label_limits_total";
const SAMPLES: &str = "prometheus_target_scrapes_exceeded_sample_limit_total";

#[test]
fn limits_of_labels_and_samples() {
    check_error(
        |c| c.sample_limit = 1,
        "a 1|b 1",
        SAMPLES,
        "sample limit exceeded",
    );
    check_error(
        |c| c.label_limit = 3,
        "a{x=\"1\"} 1",
        LABELS,
        "label_limit exceeded (metric: a, number of labels: 4, limit: 3)",
    );
    check_error(
        |c| c.label_name_length_limit = 8,
        "a{long_name=\"1\"} 1",
        LABELS,
        "label_name_length_limit exceeded (metric: a, label name: long_name, length: 9, limit: 8)",
    );
    let long = "v\\\"".repeat(30);
    let shown = "v\\\"".repeat(25);
    check_error(
        |c| c.label_value_length_limit = 50,
        &format!("a{{x=\"{long}\"}} 1"),
        LABELS,
        &format!(
            "label_value_length_limit exceeded (metric: a, label name: x, value: \"{shown}\", \
             length: 60, limit: 50)"
        ),
    );
}

#[test]
fn the_sample_limit_counts_what_relabelling_left_and_makes_no_series_beyond_it() {
    let mut rig = Rig::new(|c| {
        c.sample_limit = 2;
        c.metric_relabel_configs = vec![crate::scrape::testing::rule(
            "drop", "__name__", "d.*", "", "",
        )];
    });
    assert_eq!(rig.page("d1 1|a 1|d2 1|b 1"), "a 1; b 1");
    let before = rig.store.series_count();
    assert_eq!(rig.page("a 1|b 1|c 1|e 1"), "a stale; b stale");
    assert_eq!(rig.report(), "0 4 4 0");
    assert_eq!(rig.store.series_count(), before);
    assert_eq!(rig.page("a 1|b 1"), "a 1; b 1");
}

#[test]
fn body_size() {
    let mut rig = Rig::new(|c| c.extra_scrape_metrics = true);
    rig.answer(Answer::Fail(NetError::BodyTooBig));
    assert_eq!(rig.last_error(), "body size limit exceeded");
    assert_eq!(rig.report_value("scrape_body_size_bytes"), "-1");
    assert_eq!(
        rig.metric("prometheus_target_scrapes_exceeded_body_size_limit_total"),
        "1"
    );
    rig.down();
    assert_eq!(rig.report_value("scrape_body_size_bytes"), "0");
    rig.page("a 1");
    assert_eq!(rig.report_value("scrape_body_size_bytes"), "4");
    assert_eq!(rig.report_value("scrape_timeout_seconds"), "10");
    assert_eq!(rig.report_value("scrape_sample_limit"), "0");
}

#[test]
fn statuses_and_content_types() {
    let mut rig = Rig::plain();
    let mut check = |answer, expect: &str| {
        rig.answer(answer);
        assert_eq!(rig.last_error(), expect);
    };
    let page = |content_type| Answer::Page(content_type, "a 1\n".to_owned());
    check(page(TEXT), "");
    check(
        Answer::Status(404, "Not Found"),
        "server returned HTTP status 404 Not Found",
    );
    check(
        page(""),
        "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol \
         specified for target",
    );
    check(
        page("application/json"),
        "received unsupported Content-Type \"application/json\" and no fallback_scrape_protocol \
         specified for target",
    );
    check(
        page("application/openmetrics-text"),
        "data does not end with # EOF",
    );
}

#[test]
fn faults_of_single_samples_are_counted_and_leave_the_target_up() {
    let mut rig = Rig::plain();
    let count = |rig: &Rig, what: &str| {
        rig.metric(&format!("prometheus_target_scrapes_sample_{what}_total"))
    };
    // The turn is at 15 s; ten minutes ahead are allowed.
    assert_eq!(rig.page("a 1 615000|b 1 615001|c 1"), "a 1 @615; c 1");
    assert_eq!(
        (count(&rig, "out_of_bounds").as_str(), rig.report()),
        ("1", "1 3 3 3".into())
    );
    assert_eq!(rig.page("a 2 614000|c 1"), "c 1");
    assert_eq!(
        (count(&rig, "out_of_order").as_str(), rig.report_value("up")),
        ("1", "1".into())
    );
    assert_eq!(rig.page("a 2 615000|c 1"), "c 1");
    assert_eq!(count(&rig, "duplicate_timestamp"), "1");
    assert_eq!(rig.page("a 1 615000|c 1"), "a 1 @615; c 1");
    assert_eq!(count(&rig, "duplicate_timestamp"), "1");
}

#[test]
fn the_built_in_guard_has_a_counter_of_its_own() {
    let mut rig = Rig::plain();
    rig.answer(Answer::Fail(NetError::BodyGuard {
        form: "",
        bytes: 1 << 28,
    }));
    let guard = rig.metric("ferula_target_scrapes_exceeded_body_guard_total");
    let limit = rig.metric("prometheus_target_scrapes_exceeded_body_size_limit_total");
    assert_eq!((guard.as_str(), limit.as_str()), ("1", "0"));
}
