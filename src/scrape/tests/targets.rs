//! Tests of making targets from groups (reference section 5.1).

use std::sync::Arc;

use crate::config::ScrapeConfig;
use crate::scrape::target::{MadeTargets, make_targets};
use crate::scrape::testing::{config, group, rule};

fn make(edit: impl FnOnce(&mut ScrapeConfig), targets: &[&[(&str, &str)]]) -> MadeTargets {
    let mut config = config();
    edit(&mut config);
    make_targets(&Arc::new(config), &[group("g", targets)])
}

fn check(edit: impl FnOnce(&mut ScrapeConfig), labels: &[(&str, &str)], url: &str, expect: &str) {
    let made = make(edit, &[labels]);
    assert_eq!(made.errors, Vec::<String>::new());
    assert_eq!(made.targets[0].url(), url);
    assert_eq!(made.targets[0].labels().to_string(), expect);
}

#[test]
fn labels_and_urls() {
    let address = ("__address__", "h:1");
    check(
        |_| {},
        &[address],
        "http://h:1/metrics",
        r#"{instance="h:1", job="j"}"#,
    );
    check(
        |_| {},
        &[
            address,
            ("__scheme__", "https"),
            ("__metrics_path__", "p"),
            ("__meta_x", "y"),
        ],
        "https://h:1/p",
        r#"{instance="h:1", job="j"}"#,
    );
    check(
        |_| {},
        &[address, ("instance", "i"), ("job", "k"), ("__tmp", "y")],
        "http://h:1/metrics",
        r#"{instance="i", job="k"}"#,
    );
    let params = |c: &mut ScrapeConfig| {
        c.params = vec![
            ("m".into(), vec!["1".into(), "2".into()]),
            ("z".into(), vec!["é".into()]),
        ];
        c.relabel_configs = vec![
            rule("replace", "__address__", "", "__param_m", ""),
            rule("replace", "__param_z", "", "z", ""),
            rule("replace", "", "", "__address__", "proxy:80"),
        ];
    };
    check(
        params,
        &[address],
        "http://proxy:80/metrics?m=h%3A1&m=2&z=%C3%A9",
        r#"{instance="proxy:80", job="j", z="é"}"#,
    );
}

#[test]
fn errors() {
    let check = |labels: &[(&str, &str)], expect: &str| {
        let mut all = vec![("__address__", "h:1")];
        all.extend(labels);
        let made = make(|_| {}, &[&all]);
        assert_eq!(made.errors, [format!("instance 0 in group g: {expect}")]);
        assert!(made.targets.is_empty());
    };
    check(&[("__address__", "")], "no address");
    check(
        &[("__address__", "h:1/x")],
        "\"h:1/x\" is not a valid hostname",
    );
    check(
        &[("__scrape_interval__", "x")],
        "error parsing scrape interval: not a valid duration string: \"x\"",
    );
    check(
        &[("__scrape_interval__", "0")],
        "scrape interval cannot be 0",
    );
    check(
        &[("__scrape_timeout__", "0s")],
        "scrape timeout cannot be 0",
    );
    check(
        &[("__scrape_timeout__", "20s")],
        "scrape timeout cannot be greater than scrape interval (\"20s\" > \"15s\")",
    );
    check(
        &[("__scrape_native_histograms__", "maybe")],
        "error parsing scrape native histograms: strconv.ParseBool: parsing \"maybe\": \
         invalid syntax",
    );
}

#[test]
fn duplicates_are_one_and_dropped_ones_are_kept_up_to_the_limit() {
    let targets: Vec<Vec<(&str, &str)>> = ["a:1", "b:1", "a:1", "c:1", "d:1"]
        .iter()
        .map(|address| vec![("__address__", *address)])
        .collect();
    let targets: Vec<&[(&str, &str)]> = targets.iter().map(Vec::as_slice).collect();
    let made = make(
        |c| {
            c.keep_dropped_targets = 1;
            c.relabel_configs = vec![rule("drop", "__address__", "[cd]:1", "", "")];
        },
        &targets,
    );
    assert_eq!(
        (made.targets.len(), made.dropped.len(), made.dropped_count),
        (2, 1, 2)
    );
    let discovered = made.dropped[0].labels().labels();
    assert_eq!(discovered.get("__address__"), Some("c:1"));
    assert_eq!(discovered.get("__scrape_interval__"), Some("15s"));
    assert_eq!(
        discovered.get("__scrape_native_histograms__"),
        Some("false")
    );
}

#[test]
fn identity_does_not_know_the_interval() {
    let of = |interval| {
        let labels = [("__address__", "h:1"), ("__scrape_interval__", interval)];
        make(|_| {}, &[&labels]).targets.remove(0)
    };
    let (a, b) = (of("15s"), of("30s"));
    assert_ne!(a.hash, b.hash);
    assert_eq!(a.identity, b.identity);
}

/// Once the rule silently had no effect. Prometheus loads it, and every scrape fails.
#[test]
fn a_label_without_a_name_is_told() {
    let made = make(
        |c| c.relabel_configs = vec![rule("labelmap", "", "job", "", "$1")],
        &[&[("__address__", "h:1")]],
    );
    let expect = "instance 0 in group g: relabelling made a label without a name, of value \"j\" \
                  (labelmap)";
    assert_eq!(made.errors, [expect]);
    assert!(made.targets.is_empty());
}

#[test]
fn a_port_alone_is_an_address() {
    check(
        |_| {},
        &[("__address__", ":9100")],
        "http://:9100/metrics",
        r#"{instance=":9100", job="j"}"#,
    );
}
