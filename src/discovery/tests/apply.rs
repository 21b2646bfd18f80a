//! Tests of the manager: what a new configuration changes, and when it sends.

use std::sync::Arc;
use std::time::Duration;

use super::bed::*;
use crate::config::SdConfig;
use crate::discovery::Applied;
use crate::stdx::clock::ManualClock;

fn applied(added: usize, removed: usize, kept: usize) -> Applied {
    Applied {
        added,
        removed,
        kept,
        failed: 0,
    }
}

#[test]
fn providers_are_shared_and_kept() {
    let mut bed = quick();
    bed.write("a.json", &json(&["a:1"]));
    let (files, fixed) = (bed.files("*.json"), static_config(&[&["s:1"], &["s:2"]]));
    let both = [files.clone(), fixed.clone()];
    assert_eq!(bed.apply(&[("j", &both), ("k", &both)]), applied(2, 0, 0));
    let all: &[&str] = &["a:1", "s:1", "s:2"];
    bed.expect("shared", &[("j", all), ("k", all)]);
    assert_eq!(bed.manager_metrics.received_updates.get(), 2.0);
    let changes: &[(&str, &[SdConfig])] = &[("k", &both), ("l", &both), ("m", &[])];
    assert_eq!(bed.apply(changes), applied(0, 0, 2));
    bed.expect("at once", &[("k", all), ("l", all), ("m", &[])]);
    let other = static_config(&[&["s:3"]]);
    assert_eq!(bed.apply(&[("k", &[files, other])]), applied(1, 1, 1));
    bed.expect("static change", &[("k", &["a:1", "s:3"])]);
    assert_eq!(bed.apply(&[]), applied(0, 2, 0));
    bed.expect("nothing", &[]);
}

#[test]
fn what_was_applied_is_posted_when_apply_returns() {
    let mut bed = quick();
    bed.apply(&[("j", &[static_config(&[&["s:1"]])])]);
    let sets = bed.sets.take().unwrap();
    assert_eq!(found(&sets)["j"], ["s:1"]);
    bed.last = sets;
    bed.apply(&[]);
    assert!(bed.sets.take().unwrap().is_empty());
}

#[test]
fn an_unsupported_discovery_costs_only_itself() {
    let mut bed = quick();
    let configs = [
        SdConfig::Later("dns".to_owned()),
        static_config(&[&["s:1"]]),
    ];
    bed.apply(&[("j", &configs)]);
    bed.expect("the other", &[("j", &["s:1"])]);
    assert_eq!(bed.manager_metrics.failed_configs.get(), 1.0);
    bed.apply(&[("j", &configs[1..])]);
    assert_eq!(bed.manager_metrics.failed_configs.get(), 0.0);
}

#[test]
fn later_changes_wait_for_the_interval() {
    let clock = ManualClock::new(0);
    let mut bed = bed(Arc::new(clock.clone()), Duration::from_secs(5));
    bed.write("a.json", &json(&["a:1"]));
    bed.apply(&[("j", &[bed.files("*.json")])]);
    bed.expect("the first at once", &[("j", &["a:1"])]);
    let received = bed.manager_metrics.received_updates.get();
    bed.write("a.json", &json(&["a:2"]));
    let counter = bed.manager_metrics.received_updates.clone();
    eventually("the update", || {
        counter.get() > received && clock.waiting() > 0
    });
    clock.advance(Duration::from_millis(4_999));
    bed.expect_no_other();
    clock.advance(Duration::from_millis(1));
    bed.expect("after the interval", &[("j", &["a:2"])]);
    // A new configuration does not wait.
    bed.apply(&[("j", &[static_config(&[&["s:1"]])])]);
    bed.expect("applied", &[("j", &["s:1"])]);
}

#[test]
fn a_manager_stops_with_its_providers() {
    let bed = quick();
    bed.apply(&[("j", &[bed.files("*.json"), static_config(&[&["s:1"]])])]);
    assert!(bed.handle.stop(DEADLINE));
    assert!(bed.sets.take().is_some(), "what was posted can be read");
}
