//! Every row of the table of stale markers (when a series ends) that scraping has.

use std::time::Duration;

use crate::support::{Behaviour, Exporter, Ferula, eventually};

fn config(jobs: &str) -> String {
    format!("global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}\nscrape_configs:\n{jobs}")
}

fn job(name: &str, exporter: &Exporter, more: &str) -> String {
    let address = exporter.address;
    format!("- job_name: {name}\n  static_configs: [{{targets: ['{address}']}}]\n{more}")
}

/// Returns the newest stored point of a series, including a stale marker, which the API hides.
fn present(ferula: &Ferula, expr: &str) -> bool {
    !ferula.query(expr).is_empty()
}

fn wait_present(ferula: &Ferula, expr: &str) {
    eventually(&format!("{expr} is there"), || {
        present(ferula, expr).then_some(())
    });
}

fn wait_stale(ferula: &Ferula, expr: &str) {
    eventually(&format!("{expr} has ended"), || {
        (!present(ferula, expr)).then_some(())
    });
}

#[test]
fn a_series_that_is_absent_ends_at_that_scrape() {
    let exporter = Exporter::page("stays 1\ngoes 2\n");
    let ferula = Ferula::start(&config(&job("a", &exporter, "")));
    wait_present(&ferula, "goes");
    exporter.set(Behaviour::Page("stays 1\n".to_owned()));
    wait_stale(&ferula, "goes");
    assert!(present(&ferula, "stays") || !ferula.was_always_up());
    assert!(present(&ferula, "up"));
}

#[test]
fn a_failed_scrape_ends_all_series_of_the_target() {
    let failures: [(Behaviour, &str); 4] = [
        (Behaviour::Status(500), "server returned HTTP status 500"),
        (Behaviour::Page("a 1\nb{ 2\n".to_owned()), ""),
        (Behaviour::Hang, "context deadline exceeded"),
        (
            Behaviour::Page("a 1\n".repeat(200)),
            "body size limit exceeded",
        ),
    ];
    for (failure, why) in failures {
        let exporter = Exporter::page("a 1\nb 2\n");
        let ferula = Ferula::start(&config(&job("a", &exporter, "  body_size_limit: 500B\n")));
        wait_present(&ferula, "b");
        exporter.set(failure.clone());
        wait_stale(&ferula, "a");
        wait_stale(&ferula, "b");
        assert_eq!(ferula.values("up"), [0.0], "{failure:?}");
        let error = ferula.targets()[0]["lastError"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(
            error.contains(why) && !error.is_empty(),
            "{failure:?}: {error}"
        );
        exporter.set(Behaviour::Page("a 1\n".to_owned()));
        wait_present(&ferula, "a");
    }
}

#[test]
fn a_removed_target_ends_after_two_intervals_report_series_included() {
    let (kept, gone) = (Exporter::page("a 1\n"), Exporter::page("b 1\n"));
    let both = config(&(job("kept", &kept, "") + &job("gone", &gone, "")));
    let ferula = Ferula::start(&both);
    wait_present(&ferula, "b");
    wait_present(&ferula, "a");
    ferula.write("prometheus.yml", &config(&job("kept", &kept, "")));
    assert_eq!(ferula.reload().status, 200);
    wait_stale(&ferula, "b");
    wait_stale(&ferula, "up{job=\"gone\"}");
    wait_stale(&ferula, "scrape_duration_seconds{job=\"gone\"}");
    ferula.wait_until_up("up{job=\"kept\"}");
}

#[test]
fn a_reload_of_interval_or_limits_keeps_the_series_without_a_gap() {
    let exporter = Exporter::page("a 1\n");
    let ferula = Ferula::start(&config(&job("a", &exporter, "")));
    wait_present(&ferula, "a");
    ferula.write(
        "prometheus.yml",
        &config(&job(
            "a",
            &exporter,
            "  sample_limit: 5\n  scrape_interval: 300ms\n",
        )),
    );
    assert_eq!(ferula.reload().status, 200);
    let before = exporter.requests();
    eventually("scraped on", || {
        let goes_on = present(&ferula, "a") || !ferula.was_always_up();
        assert!(goes_on, "a marker was written");
        (exporter.requests() > before + 4).then_some(())
    });
}

#[test]
fn a_reload_of_anything_else_leaves_no_marker_behind_that_hides_the_new_loop_s_samples() {
    let exporter = Exporter::page("a 1\n");
    let ferula = Ferula::start(&config(&job("a", &exporter, "")));
    wait_present(&ferula, "a");
    let changed = "  metric_relabel_configs: [{target_label: added, replacement: x}]\n";
    ferula.write("prometheus.yml", &config(&job("a", &exporter, changed)));
    assert_eq!(ferula.reload().status, 200);
    wait_present(&ferula, "a{added=\"x\"}");
    // The old series ends. The new one is not ended by the old loop's late markers.
    wait_stale(&ferula, "a{added=\"\"}");
    let before = exporter.requests();
    eventually("scraped on", || {
        let goes_on = present(&ferula, "a{added=\"x\"}") || !ferula.was_always_up();
        assert!(goes_on && present(&ferula, "up"));
        (exporter.requests() > before + 4).then_some(())
    });
}

#[test]
fn series_with_timestamps_of_their_own_end_only_when_tracked() {
    let now = || {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        now.checked_sub(Duration::from_secs(1)).unwrap().as_millis()
    };
    for (tracked, more) in [(false, ""), (true, "  track_timestamps_staleness: true\n")] {
        let exporter = Exporter::page(format!("stamped 1 {}\nplain 1\n", now()));
        let ferula = Ferula::start(&config(&job("a", &exporter, more)));
        wait_present(&ferula, "stamped");
        wait_present(&ferula, "plain");
        exporter.set(Behaviour::Page(String::new()));
        wait_stale(&ferula, "plain");
        assert_eq!(present(&ferula, "stamped"), !tracked, "tracked: {tracked}");
    }
}

#[test]
fn all_series_end_while_the_target_limit_is_exceeded() {
    let exporters = [Exporter::page("a 1\n"), Exporter::page("a 1\n")];
    let targets = |n: usize| {
        let all: Vec<String> = exporters
            .iter()
            .take(n)
            .map(|e| format!("'{}'", e.address))
            .collect();
        let targets = all.join(", ");
        let job = format!(
            "- job_name: a\n  target_limit: 1\n  static_configs: [{{targets: [{targets}]}}]\n"
        );
        config(&job)
    };
    let ferula = Ferula::start(&targets(1));
    wait_present(&ferula, "a");
    ferula.write("prometheus.yml", &targets(2));
    assert_eq!(ferula.reload().status, 200);
    wait_stale(&ferula, "a");
    let expect = "target_limit exceeded (number of targets: 2, limit: 1)";
    eventually("both targets say why", || {
        ferula
            .targets()
            .iter()
            .all(|t| t["lastError"] == expect)
            .then_some(())
    });
    ferula.write("prometheus.yml", &targets(1));
    assert_eq!(ferula.reload().status, 200);
    wait_present(&ferula, "a");
}
