//! Tests of reference section 5.7, row by row, as far as one loop writes them.

use crate::net::NetError;
use crate::scrape::scrape_loop::Turned;
use crate::scrape::testing::{Answer, Rig, TEXT};
use crate::stdx::testing::logged;

/// Checks what each page in turn stores. `!` is a target that is down.
fn check(rig: &mut Rig, steps: &[(&str, &str)]) {
    for (i, (page, expect)) in steps.iter().enumerate() {
        let stored = if *page == "!" {
            rig.down()
        } else {
            rig.page(page)
        };
        assert_eq!(stored, *expect, "step {i}: {page}");
    }
}

#[test]
fn a_series_that_went_away_is_marked_once() {
    let steps = [
        ("a 1|b 2", "a 1; b 2"),
        ("a 1", "a 1; b stale"),
        ("a 1", "a 1"),
        ("b 3|a 2", "b 3; a 2"),
        ("c 1", "c 1; a stale; b stale"),
    ];
    check(&mut Rig::plain(), &steps);
}

#[test]
fn a_failed_scrape_marks_all_series_once() {
    let steps = [
        ("a 1|b 2", "a 1; b 2"),
        ("!", "a stale; b stale"),
        ("!", ""),
        ("a 1", "a 1"),
        ("!", "a stale"),
    ];
    check(&mut Rig::plain(), &steps);
}

#[test]
fn a_page_that_breaks_in_the_middle_stores_nothing_and_marks_all() {
    let steps = [
        ("a 1|b 2|c 3", "a 1; b 2; c 3"),
        ("a 2|n 1|b 2|!bad", "a stale; b stale; c stale"),
        ("a 3|!bad", ""),
        ("a 4|n 1|b 1", "a 4; n 1; b 1"),
        ("a 5|b 1", "a 5; b 1; n stale"),
    ];
    check(&mut Rig::plain(), &steps);
}

#[test]
fn every_kind_of_failure_marks() {
    let failures = [
        Answer::Status(503, "Service Unavailable"),
        Answer::Fail(NetError::Deadline),
        Answer::Fail(NetError::BodyTooBig),
        Answer::Page("application/json", "a 1\n".to_owned()),
        Answer::Page(TEXT, "a".to_owned()),
    ];
    for failure in failures {
        let mut rig = Rig::plain();
        rig.page("a 1");
        assert_eq!(rig.answer(failure.clone()), "a stale", "{failure:?}");
        assert_eq!(rig.report_value("up"), "0", "{failure:?}");
    }
}

#[test]
fn limits_mark_too() {
    let mut rig = Rig::new(|c| c.sample_limit = 2);
    check(
        &mut rig,
        &[("a 1|b 2", "a 1; b 2"), ("a 1|b 2|c 3", "a stale; b stale")],
    );
    assert_eq!(rig.report(), "0 3 3 0");
    let mut rig = Rig::new(|c| c.label_limit = 3);
    check(&mut rig, &[("a 1", "a 1"), ("a 1|b{x=\"1\"} 1", "a stale")]);
}

#[test]
fn an_empty_page_is_a_good_one_that_marks_all() {
    let mut rig = Rig::plain();
    rig.page("a 1");
    assert_eq!(rig.answer(Answer::Page(TEXT, String::new())), "a stale");
    assert_eq!(rig.report(), "1 0 0 0");
    check(&mut rig, &[("a 2", "a 2")]);
}

#[test]
fn explicit_timestamps_are_tracked_only_when_asked_for() {
    let mut rig = Rig::plain();
    check(
        &mut rig,
        &[
            ("a 1 2000|b 2", "a 1 @2; b 2"),
            ("b 2", "b 2"),
            ("!", "b stale"),
        ],
    );
    let mut rig = Rig::new(|c| c.track_timestamps_staleness = true);
    check(
        &mut rig,
        &[("a 1 2000|b 2", "a 1 @2; b 2"), ("b 2", "b 2; a stale")],
    );
    let mut rig = Rig::new(|c| c.honor_timestamps = false);
    check(
        &mut rig,
        &[("a 1 2000|b 2", "a 1; b 2"), ("b 2", "b 2; a stale")],
    );
    // It was tracked until the page began to give times.
    let mut rig = Rig::plain();
    check(
        &mut rig,
        &[("a 1", "a 1"), ("a 1 20000", "a 1 @20; a stale")],
    );
}

#[test]
fn a_forced_error_marks_and_reports_while_it_lasts() {
    let mut rig = Rig::plain();
    rig.page("a 1");
    rig.pool
        .set_forced_error(Some("target_limit exceeded".into()));
    check(&mut rig, &[("a 1", "a stale"), ("a 1", "")]);
    assert_eq!(
        (rig.report(), rig.last_error()),
        ("0 0 0 0".into(), "target_limit exceeded".into())
    );
    rig.pool.set_forced_error(None);
    check(&mut rig, &[("a 1", "a 1")]);
}

#[test]
fn a_cancelled_scrape_writes_nothing() {
    let mut rig = Rig::plain();
    rig.page("a 1");
    let before = rig.target.status();
    drop(rig.stop.take());
    assert_eq!(rig.scrape_loop.turn(99_000), Turned::Cancelled);
    assert_eq!((rig.store.take().len(), rig.target.status()), (0, before));
}

#[test]
fn another_text_of_the_same_series_is_no_end_of_it() {
    let steps = [
        ("a{x=\"1\",y=\"2\"} 1", "a{x=\"1\", y=\"2\"} 1"),
        ("a{y=\"2\",x=\"1\"} 2|b 1", "a{x=\"1\", y=\"2\"} 2; b 1"),
        ("b 1", "b 1; a{x=\"1\", y=\"2\"} stale"),
    ];
    check(&mut Rig::plain(), &steps);
}

#[test]
fn a_scraped_stale_marker_is_a_sample() {
    // A page cannot spell the marker's bits: its NaN is the plain one.
    let mut rig = Rig::plain();
    check(&mut rig, &[("a NaN", "a NaN"), ("a NaN", "a NaN")]);
}

#[test]
fn a_panic_marks_and_costs_the_target_only() {
    let mut rig = Rig::plain();
    rig.page("a 1");
    rig.turns += 1;
    logged();
    rig.scrape_loop.recover(rig.turns * 15_000, "oops");
    let line = "a scrape panicked: oops scrape_pool=j target=http://h:1/metrics \
                not_told_since_last=0";
    assert_eq!(logged(), [line]);
    assert_eq!(rig.stored(), "a stale");
    assert_eq!(rig.last_error(), "a mistake of the program: oops");
    assert_eq!(rig.metric("ferula_target_scrape_panics_total"), "1");
    check(&mut rig, &[("a 1", "a 1"), ("b 1", "b 1; a stale")]);
}
