//! What is refused can be found in the log: the first of each kind is named, once a minute for each
//! kind and target.

use std::time::Duration;

use super::house::House;
use crate::model::Labels;
use crate::scrape::testing::{Answer, OPEN_METRICS, Rig, TEXT, group};
use crate::stdx::testing::logged;

const LATE: &str = "Error on ingesting out-of-order samples";
const TWICE: &str = "Error on ingesting samples with different value but same timestamp";
const BOUNDS: &str = "Error on ingesting samples that are too old or are too far into the future";
const NO_SERIES: &str = "Error on making new series: the storage takes no more";
const EXEMPLARS: &str = "Error on ingesting out-of-order exemplars";
const INVALID: &str =
    "Error on ingesting exemplars that are not valid, or that the storage refused";

/// Runs a turn, and checks the log: each line's message, and its pairs without pool and target.
fn check(rig: &mut Rig, content_type: &'static str, page: &str, expect: &[(&str, &str)]) {
    logged();
    let text = format!("{}\n", page.replace('|', "\n"));
    rig.answer(Answer::Page(content_type, text));
    let lines = logged();
    let lines: Vec<String> = { lines.iter() }
        .map(|line| line.replace(r#"instance="h:1", job="j""#, "OWN"))
        .collect();
    let expect: Vec<String> = { expect.iter() }
        .map(|(message, pairs)| {
            format!("{message} scrape_pool=j target=http://h:1/metrics {pairs}")
        })
        .collect();
    assert_eq!(lines, expect, "{page}");
}

#[test]
fn the_first_of_each_kind_is_named_once_a_minute() {
    let mut rig = Rig::plain();
    let mut turn = |page: &str, expect: &[(&str, &str)]| check(&mut rig, TEXT, page, expect);
    turn("a{h=\"1\"} 1 14000|b 1 14000|c 1", &[]);
    // At 30 s.
    turn(
        "a{h=\"1\"} 2 13000|b 2 12000|c 1|c 2|d 1 999000|e 1 998000",
        &[
            (
                TWICE,
                "num_dropped=1 reason=duplicate sample within the page series=c{OWN} \
                 timestamp=1970-01-01T00:00:30Z value=2 not_told_since_last=0",
            ),
            (
                BOUNDS,
                "num_dropped=2 reason=out of bounds: timestamp is too far in the future \
                 series=d{OWN} timestamp=1970-01-01T00:16:39Z value=1 not_told_since_last=0",
            ),
            (
                LATE,
                "num_dropped=2 reason=out of order sample series=a{h=\"1\", OWN} \
                 timestamp=1970-01-01T00:00:13Z value=2 not_told_since_last=0",
            ),
        ],
    );
    turn("b 2 12000|a{h=\"1\"} 2 13000|c 1", &[]);
    turn("b 2 12000|a{h=\"1\"} 2 13000|c 1", &[]);
    turn("a{h=\"1\"} 2 14000|c 1", &[]);
    // At 90 s.
    turn(
        "b 3 14000|a{h=\"1\"} 2 13000|c 1",
        &[
            (
                TWICE,
                "num_dropped=1 reason=duplicate sample for timestamp 14000; overrides not allowed: \
                 existing 1, new value 3 series=b{OWN} timestamp=1970-01-01T00:00:14Z value=3 \
                 not_told_since_last=1",
            ),
            (
                LATE,
                "num_dropped=1 reason=out of order sample series=a{h=\"1\", OWN} \
                 timestamp=1970-01-01T00:00:13Z value=2 not_told_since_last=4",
            ),
        ],
    );
    let counted =
        |what: &str| rig.metric(&format!("prometheus_target_scrapes_sample_{what}_total"));
    assert_eq!(
        ["out_of_order", "duplicate_timestamp", "out_of_bounds"].map(counted),
        ["7", "3", "2"]
    );
}

#[test]
fn a_series_that_the_storage_does_not_make_is_named_be_it_the_report_s() {
    let mut rig = Rig::plain();
    rig.store.refuse_series(true);
    let line = (
        NO_SERIES,
        "num_dropped=6 reason=too many series series=a{OWN} timestamp=1970-01-01T00:00:15Z value=1 \
         not_told_since_last=0",
    );
    check(&mut rig, TEXT, "a 1", &[line]);
    let refused = "ferula_target_scrapes_series_refused_total";
    assert_eq!(rig.metric(refused), "6");
    // The page is no page, but the report of it is refused too.
    for _ in 0..3 {
        check(&mut rig, TEXT, "a 1|}", &[]);
    }
    let line = (
        NO_SERIES,
        "num_dropped=5 reason=too many series series=up{OWN} timestamp=1970-01-01T00:01:15Z \
         value=0 not_told_since_last=15",
    );
    check(&mut rig, TEXT, "}", &[line]);
    assert_eq!(rig.metric(refused), "26");
}

#[test]
fn a_series_that_went_away_and_is_not_made_again_is_named() {
    let mut rig = Rig::plain();
    check(&mut rig, TEXT, "a 1|b 1", &[]);
    rig.store.forget_series();
    rig.store.refuse_series(true);
    let line = (
        NO_SERIES,
        "num_dropped=7 reason=too many series series=up{OWN} timestamp=1970-01-01T00:00:30Z \
         value=1 not_told_since_last=0",
    );
    check(&mut rig, TEXT, "a 1|b 1", &[line]);
}

#[test]
fn an_exemplar_is_named() {
    let long = format!("{{x=\"{}\"}}", "x".repeat(5_000));
    let page = format!(
        "a_total 1 # {{}} -1 1|b_total 1 # {{}} -1 2|\
         d_total 1 # {long} 2|# EOF"
    );
    let lines = [
        (
            INVALID,
            "num_dropped=1 reason=exemplar of 5008 bytes, 4096 at most are read \
             series=d_total{OWN} timestamp=1970-01-01T00:00:15Z value=exemplar \
             not_told_since_last=0",
        ),
        (
            EXEMPLARS,
            "num_dropped=2 reason=out of order exemplar series=a_total{OWN} \
             timestamp=1970-01-01T00:00:01Z value=exemplar not_told_since_last=0",
        ),
    ];
    check(&mut Rig::plain(), OPEN_METRICS, &page, &lines);
}

/// Even what was made anew may be gone again.
#[test]
fn a_series_that_goes_away_twice_is_named() {
    let mut rig = Rig::plain();
    check(&mut rig, TEXT, "a 1|b 1", &[]);
    rig.store.forget_series_at_commits(2);
    let line = (
        NO_SERIES,
        "num_dropped=7 reason=the series went away series=a{OWN} timestamp=1970-01-01T00:00:30Z \
         value=1 not_told_since_last=0",
    );
    check(&mut rig, TEXT, "a 1|b 1", &[line]);
    let refused = "ferula_target_scrapes_series_refused_total";
    assert_eq!(rig.metric(refused), "7");
    check(&mut rig, TEXT, "a 1|b 1", &[]);
}

/// The storage fails for all targets together, so the pace is theirs together.
#[test]
fn a_commit_that_fails_is_told_once_a_minute() {
    let mut rig = Rig::plain();
    rig.store.fail_commits(true);
    let page = "a_total 1 # {} 1|# EOF";
    let failed = "Scrape commit failed: the storage is closed scrape_pool=j \
                  target=http://h:1/metrics";
    let mut turn = |expect: &[&str]| {
        logged();
        rig.answer(Answer::Page(OPEN_METRICS, page.replace('|', "\n") + "\n"));
        assert_eq!(logged(), expect);
    };
    turn(&[&format!("{failed} num_dropped=6 not_told_since_last=0")]);
    (0..3).for_each(|_| turn(&[]));
    turn(&[&format!("{failed} num_dropped=6 not_told_since_last=18")]);
    let lost = ["lost_samples", "exemplars_refused"];
    let lost = lost.map(|what| rig.metric(&format!("ferula_target_scrapes_{what}_total")));
    assert_eq!(lost, ["30", "5"]);
}

/// What the commit's failure hides is counted all the same.
#[test]
fn samples_left_out_before_a_commit_that_fails_are_named() {
    let mut rig = Rig::plain();
    rig.page("a 1");
    rig.store.fail_commits(true);
    logged();
    rig.page("a 1|a 2");
    let lines = logged();
    assert!(
        lines.iter().any(|line| line.starts_with(TWICE)),
        "{lines:?}"
    );
}

#[test]
fn the_first_invalid_target_of_a_sync_is_named_once_a_minute_and_after_a_reload() {
    let house = House::new("a 1\n");
    house.apply(|_| {});
    let sync = |targets: &[&str]| {
        logged();
        let labels: Vec<[(&str, &str); 1]> = targets.iter().map(|t| [("t", *t)]).collect();
        let labels: Vec<&[(&str, &str)]> = labels.iter().map(|l| &l[..]).collect();
        house.sync(vec![group("g", &labels)]);
        logged()
    };
    let expect = |lines: &[String], target: &str, pairs: &str| {
        assert_eq!(lines.len(), 1, "{lines:?}");
        let line = &lines[0];
        let begin = "Creating target failed: instance 0 in group g: no address scrape_pool=j";
        let labels = Labels::from_pairs([("t", target)]).to_string();
        let label = labels.trim_start_matches('{');
        assert!(line.starts_with(begin) && line.contains(label), "{line}");
        assert!(line.ends_with(pairs), "{line}");
    };
    expect(&sync(&["1", "2"]), "1", "count=2 not_told_since_last=0");
    assert_eq!(sync(&["3", "4", "5"]), Vec::<String>::new());
    house.clock.advance(Duration::from_secs(60));
    expect(&sync(&["6"]), "6", "count=1 not_told_since_last=3");
    let failed = "prometheus_target_sync_failed_total{scrape_job=\"j\"}";
    assert_eq!(house.metric(failed), "6");
    house.apply(|c| c.sample_limit = 1);
    expect(&logged(), "6", "count=1 not_told_since_last=0");
}
