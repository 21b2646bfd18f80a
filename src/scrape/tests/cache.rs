//! Tests of pages whose lines move, come and go: what the cache expects must not change what is
//! stored.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::model::MetricType;
use crate::scrape::testing::{Answer, OPEN_METRICS, Rig};

#[test]
fn pages_in_any_order_store_the_same() {
    let mut rig = Rig::plain();
    let mut seed = 1u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % below
    };
    let mut live: BTreeSet<String> = BTreeSet::new();
    for turn in 0..200 {
        // Some turns shuffle everything, some churn a little, most repeat.
        let mut lines: Vec<u64> = (0..40).filter(|n| (n + turn / 7) % 5 != 0).collect();
        if turn % 11 == 0 {
            (0..lines.len())
                .rev()
                .for_each(|i| lines.swap(i, random(i as u64 + 1) as usize));
        }
        if turn % 4 == 1 {
            lines.push(100 + turn);
            lines.insert(3, 200 + turn);
        }
        let mut expect: BTreeMap<String, String> = BTreeMap::new();
        let page: Vec<String> = lines
            .iter()
            .map(|n| {
                let series = format!("m{}{{n=\"{n}\"}}", n % 3);
                expect.insert(series.clone(), format!("{}", n * turn));
                format!("# HELP m{} help {}|{series} {}", n % 3, turn / 50, n * turn)
            })
            .collect();
        let now: BTreeSet<String> = expect.keys().cloned().collect();
        for gone in live.difference(&now) {
            expect.insert(gone.clone(), "stale".to_owned());
        }
        let stored = rig.page(&page.join("|"));
        let found: BTreeMap<String, String> = stored
            .split("; ")
            .map(|line| line.rsplit_once(' ').unwrap())
            .map(|(series, value)| (series.to_owned(), value.to_owned()))
            .collect();
        assert_eq!(found, expect, "turn {turn}");
        live = now;
    }
}

#[test]
fn of_a_line_that_comes_twice_the_first_counts() {
    let mut rig = Rig::plain();
    for _ in 0..3 {
        assert_eq!(rig.page("a 1|b 2|a 3|c 4"), "a 1; b 2; c 4");
    }
    assert_eq!(rig.report(), "1 4 4 0");
    let duplicates = "prometheus_target_scrapes_sample_duplicate_timestamp_total";
    assert_eq!(rig.metric(duplicates), "3");
    // With times of their own they are samples. The marker for the old `a` then comes too late.
    assert_eq!(
        rig.page("a 1 61000|a 2 62000"),
        "a 1 @61; a 2 @62; b stale; c stale"
    );
}

#[test]
fn series_added_are_those_that_the_last_good_page_lacked() {
    let mut rig = Rig::plain();
    let mut check = |page: &str, expect: &str| {
        if page == "!" {
            rig.down()
        } else {
            rig.page(page)
        };
        assert_eq!(rig.report(), expect, "{page}");
    };
    check("a 1|b 1", "1 2 2 2");
    check("a 1|b 1", "1 2 2 0");
    check("a 1", "1 1 1 0");
    check("a 1|b 1", "1 2 2 1");
    check("!", "0 0 0 0");
    check("a 1|b 1", "1 2 2 0");
}

#[test]
fn metadata_is_what_the_pages_said_lately() {
    let mut rig = Rig::plain();
    rig.page("# HELP a First.|# TYPE a counter|a 1|# TYPE b gauge|b 1");
    let metadata = rig.target.metadata();
    assert_eq!(metadata.len(), 2);
    assert_eq!(
        (metadata["a"].kind, metadata["a"].help.as_str()),
        (MetricType::Counter, "First.")
    );
    let entries = "prometheus_target_metadata_cache_entries{scrape_job=\"j\"}";
    let bytes = "prometheus_target_metadata_cache_bytes{scrape_job=\"j\"}";
    assert_eq!(
        (rig.metric(entries), rig.metric(bytes)),
        ("2".into(), "18".into())
    );
    rig.page("# HELP a Second.|# TYPE a gauge|a 1|b 1");
    let metadata = rig.target.metadata();
    assert_eq!(
        (metadata["a"].kind, metadata["a"].help.as_str()),
        (MetricType::Gauge, "Second.")
    );
    for _ in 0..9 {
        assert_eq!(rig.target.metadata().len(), 2);
        rig.page("# HELP a Second.|a 1");
    }
    rig.page("# HELP a Second.|a 1");
    assert_eq!(rig.target.metadata().len(), 1);
    rig.answer(Answer::Page(
        OPEN_METRICS,
        "# UNIT c_seconds seconds\nc_seconds 1\n# EOF\n".into(),
    ));
    assert_eq!(rig.target.metadata()["c_seconds"].unit, "seconds");
}

#[test]
fn a_page_in_another_format_is_about_the_same_series() {
    let mut rig = Rig::plain();
    rig.page("# HELP a x|a 1|b 1");
    let other = |body: &str| Answer::Page(OPEN_METRICS, format!("{body}# EOF\n"));
    assert_eq!(rig.answer(other("# HELP a x\na 2\n")), "a 2; b stale");
    assert_eq!(rig.answer(other("a 3\n")), "a 3");
    assert_eq!(
        rig.answer(Answer::Page("text/plain", "bad".to_owned())),
        "a stale"
    );
}

#[test]
fn a_cache_that_grows_over_failures_is_flushed() {
    let mut rig = Rig::plain();
    let flushes = "prometheus_target_scrapes_cache_flush_forced_total";
    for turn in 0..4 {
        let page: Vec<String> = (0..400)
            .map(|n| format!("a{{n=\"{n}\",t=\"{turn}\"}} 1"))
            .collect();
        rig.page(&format!("{}|bad", page.join("|")));
    }
    assert_eq!(rig.metric(flushes), "1");
    assert_eq!(rig.page("a 1"), "a 1");
}

#[test]
fn series_that_the_storage_forgot_are_made_anew() {
    let mut rig = Rig::plain();
    rig.page("# TYPE h histogram|h_bucket{le=\"1\"} 1|a 1|b 1");
    rig.store.forget_series();
    assert_eq!(
        rig.page("h_bucket{le=\"1\"} 2|a 2"),
        "h_bucket{le=\"1.0\"} 2; a 2"
    );
    assert_eq!(rig.report_value("scrape_samples_scraped"), "2");
    assert_eq!(rig.page("a 3"), "a 3; h_bucket{le=\"1.0\"} stale");
}

#[test]
fn a_turn_is_one_commit() {
    let mut rig = Rig::plain();
    rig.page("a 1");
    rig.page("b 1");
    rig.down();
    assert_eq!(rig.store.commits(), 3);
}

#[test]
fn a_storage_that_fails_or_is_full_costs_no_target() {
    let mut rig = Rig::plain();
    rig.page("a 1");
    rig.store.fail_commits(true);
    assert_eq!(rig.page("a 2"), "");
    // With the report's five.
    let lost = rig.metric("ferula_target_scrapes_lost_samples_total");
    assert_eq!(lost, "6");
    rig.store.fail_commits(false);
    rig.store.refuse_series(true);
    assert_eq!(rig.page("a 3|b 1"), "a 3");
    assert_eq!(rig.report(), "1 2 2 0");
    rig.store.refuse_series(false);
    assert_eq!(rig.page("a 3|b 1"), "a 3; b 1");
}

/// A page like a host exporter's: families of 1 to 24 series, 0 to 5 labels.
fn host_page(series: usize) -> String {
    let (mut page, mut count, mut family) = (String::new(), 0, 0);
    let widths = [1, 8, 16, 14, 24];
    while count < series {
        let name = format!("node_subsystem_{family}_metric_total");
        let help = "of the simulated subsystem, as a host exporter words it.";
        let _ = writeln!(page, "# HELP {name} Statistic number {family} {help}");
        let _ = writeln!(page, "# TYPE {name} gauge");
        for k in 0..widths[family % 5] {
            let labels = match family % 5 {
                0 => String::new(),
                1 => format!("{{cpu=\"{k}\",mode=\"idle\"}}"),
                2 => format!(
                    "{{device=\"/dev/mapper/vg{k}-root\",\
                     mountpoint=\"/var/lib/data/{k}\",fstype=\"ext4\"}}"
                ),
                3 => format!(
                    "{{handler=\"/api/v1/query\",code=\"200\",le=\"{}\"}}",
                    5 << k
                ),
                _ => format!(
                    "{{interface=\"eth{}\",direction=\"rx\",queue=\"{k}\",\
                     namespace=\"kube-system\",pod=\"node-agent-{:x}\"}}",
                    k % 4,
                    (family as u64 * 31 + k as u64 * 2_654_435_761) % 65_536
                ),
            };
            let _ = writeln!(page, "{name}{labels} {}", k * 31);
            count += 1;
        }
        family += 1;
    }
    page
}

#[test]
fn a_series_costs_less_than_fifty_bytes() {
    let mut rig = Rig::plain();
    let page = host_page(1_000);
    for _ in 0..8 {
        rig.answer(Answer::Page(crate::scrape::testing::TEXT, page.clone()));
    }
    let memory = rig.target.memory.lock();
    let (bytes, lines) = (memory.cache.heap_bytes(), memory.cache.len());
    println!("{lines} lines, {bytes} bytes: {} a series", bytes / 1_000);
    assert!(bytes < 50 * 1_000, "{bytes}");
}
