//! A reload that changed a job threw its running scrapes away. With a reload every 1.5 s a target
//! that answers after 2 s had no samples at all. Now a loop continues where the former ended: its
//! scrape is stored, and its ticks, cache and staleness are taken over.

use std::sync::Arc;
use std::time::Duration;

use super::house::{House, STEP};
use crate::config::ScrapeConfig;
use crate::model::is_stale_nan;
use crate::net::NetError;
use crate::scrape::target::Target;
use crate::scrape::testing::{Answer, Gate, TEXT, group};
use crate::stdx::testing::eventually;

/// A target `a:1`, whose scrapes a test holds as long as it likes.
struct Bed {
    gate: Gate,
    house: House,
    /// The place of its ticks within the interval.
    place_ms: i64,
}

/// Returns the time to the next tick of a target at this place in the interval.
fn wait_ms(place_ms: i64, now_ms: i64, interval: Duration) -> i64 {
    1 + (place_ms - now_ms - 1).rem_euclid(interval.as_millis() as i64)
}

fn place_ms(target: &Target, interval: Duration) -> i64 {
    (target.hash % interval.as_millis() as u64) as i64
}

impl Bed {
    /// Makes a bed in which the target's first scrape is under way.
    fn new() -> Bed {
        let gate = Gate::default();
        let house = House::dialling(gate.dial());
        house.apply(|_| {});
        house.sync(vec![group("0", &[&[("__address__", "a:1")]])]);
        let place_ms = place_ms(&house.targets()[0], STEP);
        let bed = Bed {
            gate,
            house,
            place_ms,
        };
        eventually("the loop sleeps", || bed.house.clock.waiting() == 1);
        bed.tick();
        bed
    }

    /// Moves the clock to the next tick, at which a scrape begins.
    fn tick(&self) {
        assert!(!self.gate.is_asked());
        let wait_ms = wait_ms(self.place_ms, self.house.clock_ms(), STEP);
        self.house
            .clock
            .advance(Duration::from_millis(wait_ms as u64));
        self.gate.asked();
    }

    fn answer(&self, page: &str) {
        self.give(Answer::Page(TEXT, page.to_owned()));
    }

    /// Lets the scrape under way end, and waits until it is stored.
    fn give(&self, answer: Answer) {
        let before = self.house.store.commits();
        self.gate.answer(answer);
        eventually("it is stored", || self.house.store.commits() > before);
    }

    /// Returns what was stored since the last call: `name value`, without most of the report.
    fn stored(&self) -> String {
        let mut stored: Vec<String> = Vec::new();
        for (labels, _, v) in self.house.store.take() {
            let name = labels.metric_name();
            if !name.starts_with("scrape_") {
                let value = if is_stale_nan(v) {
                    "stale".to_owned()
                } else {
                    v.to_string()
                };
                stored.push(format!("{name} {value}"));
            }
        }
        stored.join(", ")
    }

    fn target(&self) -> Arc<Target> {
        self.house.targets().remove(0)
    }

    fn next_due(&self) -> Option<Duration> {
        self.house.pools.look_after().next
    }
}

#[test]
fn what_is_under_way_ends_under_the_old_settings_and_the_ticks_go_on() {
    let bed = Bed::new();
    let mut times = Vec::new();
    for limit in 1..20 {
        // Each reload would refuse the page. None applies to the scrape that is running already.
        for more in 0..3 {
            bed.house.apply(|c| c.sample_limit = 100 * limit + more);
        }
        bed.answer("x 1\n");
        let up = bed.house.store.take();
        let up: Vec<_> = up.iter().filter(|s| s.0.metric_name() == "up").collect();
        assert_eq!(up.len(), 1);
        assert!(up[0].2 > 0.0);
        times.push(up[0].1);
        eventually("it shows", || {
            bed.target().status().last_scrape == Some(up[0].1)
        });
        bed.tick();
    }
    let step_ms = STEP.as_millis() as i64;
    assert!(
        times.windows(2).all(|t| t[1] - t[0] == step_ms),
        "{times:?}"
    );
    // The newest settings apply from the next scrape on.
    bed.house.apply(|c| c.sample_limit = 1);
    bed.answer("x 1\ny 1\n");
    assert_eq!(bed.stored(), "x 1, y 1, up 1");
    bed.tick();
    bed.answer("x 1\ny 1\n");
    assert_eq!(bed.stored(), "x stale, y stale, up 0");
}

#[test]
fn a_loop_that_sleeps_is_succeeded_without_an_extra_scrape() {
    let bed = Bed::new();
    bed.answer("x 1\n");
    bed.stored();
    for limit in 1..10 {
        bed.house.apply(|c| c.sample_limit = limit);
    }
    bed.tick();
    bed.answer("x 1\n");
    assert_eq!(bed.stored(), "x 1, up 1");
    assert!(!bed.gate.is_asked());
    assert_eq!(
        bed.next_due(),
        None,
        "nothing is left to be marked or joined"
    );
}

/// Changes the interval while a scrape is under way: no slot is scraped twice.
fn check_interval(interval: Duration) {
    let bed = Bed::new();
    let clock = &bed.house.clock;
    let mut tick_ms = bed.house.clock_ms();
    bed.house.apply(|c| {
        c.scrape_interval = interval;
        c.scrape_timeout = interval;
    });
    bed.answer("x 1\n");
    // The timer of the former ticks runs on beside that of the others.
    eventually("the other ticks hold", || clock.waiting() == 2);
    let mut wait_ms = wait_ms(place_ms(&bed.target(), interval), tick_ms, interval);
    for _ in 0..4 {
        let stored = bed.house.store.take();
        assert!(stored.iter().all(|s| !is_stale_nan(s.2)));
        let up = stored.iter().filter(|s| s.0.metric_name() == "up");
        assert_eq!(
            up.map(|s| s.1).collect::<Vec<_>>(),
            [tick_ms],
            "{interval:?}"
        );
        assert!(!bed.gate.is_asked());
        clock.advance(Duration::from_millis(wait_ms as u64));
        bed.gate.asked();
        tick_ms += wait_ms;
        wait_ms = interval.as_millis() as i64;
        bed.answer("x 1\n");
    }
}

#[test]
fn another_interval_begins_after_the_scrape_that_is_under_way() {
    for seconds in [1, 5, 16, 30, 60] {
        check_interval(Duration::from_secs(seconds));
    }
}

#[test]
fn a_target_that_hangs_until_its_timeout_is_down_and_goes_on() {
    let bed = Bed::new();
    bed.house.apply(|c| c.sample_limit = 7);
    bed.give(Answer::Fail(NetError::Deadline));
    assert_eq!(bed.stored(), "up 0");
    bed.tick();
    bed.answer("x 1\n");
    assert_eq!(bed.stored(), "x 1, up 1");
}

#[test]
fn a_job_that_is_removed_stops_at_once_and_nothing_of_it_is_stored() {
    let bed = Bed::new();
    bed.house.apply(|c| c.sample_limit = 7);
    bed.house.apply_jobs(Vec::new());
    eventually("its thread ended", || {
        bed.next_due().is_none_or(|at| at > bed.house.later())
    });
    assert_eq!(bed.stored(), "");
}

#[test]
fn a_target_that_discovery_lost_ends_its_scrape_and_is_marked_later() {
    let bed = Bed::new();
    bed.house.sync(Vec::new());
    bed.answer("x 1\n");
    assert_eq!(bed.stored(), "x 1, up 1");
    bed.house.clock.advance(STEP * 2 + STEP / 5);
    bed.house.mark_stale();
    assert_eq!(bed.stored(), "x stale, up stale");
    assert!(!bed.gate.is_asked(), "it is scraped no more");
}

#[test]
fn a_target_with_other_labels_begins_where_the_former_ends() {
    let bed = Bed::new();
    let first_ms = bed.house.clock_ms();
    let labels = [("__address__", "a:1"), ("n", "2")];
    bed.house.sync(vec![group("0", &[&labels])]);
    bed.answer("x 1\n");
    let stored = bed.house.store.take();
    assert!(stored.iter().all(|s| s.0.get("n").is_none()), "{stored:?}");
    bed.tick();
    let tick_ms = bed.house.clock_ms();
    assert_eq!(
        tick_ms - first_ms,
        STEP.as_millis() as i64,
        "the ticks go on"
    );
    bed.answer("x 1\n");
    let stored = bed.house.store.take();
    assert!(
        stored.iter().all(|s| s.0.get("n") == Some("2")),
        "{stored:?}"
    );
    bed.house.clock.advance(STEP + STEP / 5);
    bed.house.mark_stale();
    let stored = bed.house.store.take();
    let gone: Vec<_> = stored.iter().filter(|s| is_stale_nan(s.2)).collect();
    assert_eq!(gone.len(), 6, "{stored:?}");
    assert!(gone.iter().all(|s| s.0.get("n").is_none()), "{stored:?}");
}

#[test]
fn series_that_a_reload_may_have_changed_go_on_or_are_marked_at_the_next_scrape() {
    let bed = Bed::new();
    let edits: [fn(&mut ScrapeConfig); 3] = [
        |c| c.honor_labels = true,
        |c| c.label_limit = 30,
        |c| c.sample_limit = 9,
    ];
    for edit in edits {
        bed.house.apply(edit);
    }
    bed.answer("x 1\ny 1\n");
    assert_eq!(bed.stored(), "x 1, y 1, up 1");
    bed.tick();
    bed.answer("x 1\n");
    assert_eq!(bed.stored(), "x 1, y stale, up 1");
    assert_eq!(bed.next_due(), None, "nothing else is to be marked");
    // Once more, between two scrapes; the next one fails.
    bed.house.apply(|c| c.honor_labels = true);
    bed.house.apply(|c| c.label_limit = 31);
    bed.tick();
    bed.give(Answer::Fail(NetError::Eof));
    assert_eq!(bed.stored(), "x stale, up 0");
}

#[test]
fn reports_that_are_told_no_more_are_marked() {
    let bed = Bed::new();
    bed.house.apply(|c| c.extra_scrape_metrics = true);
    bed.answer("x 1\n");
    bed.tick();
    bed.house.store.take();
    bed.house.apply(|c| c.label_limit = 30);
    bed.answer("x 1\n");
    assert_eq!(bed.house.stale(), Vec::<String>::new());
    bed.tick();
    bed.answer("x 1\n");
    let names: Vec<String> = bed.house.stale();
    let names: Vec<&str> = names.iter().filter_map(|s| s.split(' ').next()).collect();
    assert_eq!(
        names,
        [
            "scrape_timeout_seconds",
            "scrape_sample_limit",
            "scrape_body_size_bytes"
        ]
    );
}

#[test]
fn two_targets_that_change_their_labels_at_once_keep_their_threads_apart() {
    let gate = Gate::default();
    let house = House::dialling(gate.dial());
    house.apply(|_| {});
    let targets = |n: &str| {
        let labels = [
            [("__address__", "a:1"), ("n", "0")],
            [("__address__", "a:1"), ("n", n)],
        ];
        vec![group("0", &[&labels[0], &labels[1]])]
    };
    house.sync(targets("1"));
    house.sync(targets("2"));
    let labels: Vec<String> = house
        .targets()
        .iter()
        .map(|t| t.labels().to_string())
        .collect();
    assert_eq!(labels.len(), 2, "{labels:?}");
    house.sync(vec![group("0", &[&[("__address__", "a:1"), ("n", "3")]])]);
    assert_eq!(house.targets().len(), 1);
}

#[test]
fn a_stop_cancels_what_ends_slowly_too() {
    let bed = Bed::new();
    bed.house.sync(Vec::new());
    let threads = bed.house.pools.stop();
    assert_eq!(threads.len(), 1);
    drop(threads);
    assert_eq!(bed.stored(), "");
}
