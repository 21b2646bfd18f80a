//! A gateway that ran under a clock from the future, until its clock was set.

use std::sync::Arc;

use ferula::metrics::Registry;
use ferula::model::Labels;
use ferula::stdx::clock::{Clock as _, ManualClock, RealClock};
use ferula::storage::{Appendable as _, Appender};
use ferula::tsdb::{Db, Options, Place};

use crate::support::{Exporter, Ferula, eventually};

const AHEAD_MS: i64 = 3 * 3_600_000;

/// Stores the target's `up` as a clock that is ahead would have dated it.
fn store_future(ferula: &Ferula, instance: &str) {
    let clock = ManualClock::new(RealClock::new().wall_ms() + AHEAD_MS);
    let place = Place::Path {
        path: ferula.path("data"),
        lock: true,
    };
    let options = Options::new(place, Arc::new(clock.clone()), Registry::new());
    let db = Db::open(options).unwrap();
    let up = [("__name__", "up"), ("instance", instance), ("job", "j")];
    let series = db.resolve(&Labels::from_pairs(up)).unwrap();
    let mut batch = Appender::default();
    batch.append(series, clock.wall_ms(), 0.0);
    assert_eq!(db.commit(&batch).unwrap().appended, 1);
}

#[test]
fn scrapes_go_on_from_the_corrected_clock() {
    let exporter = Exporter::page("m 1\n");
    let config = format!(
        "global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}\nscrape_configs:\n\
         - job_name: j\n  static_configs: [{{targets: ['{}']}}]\n",
        exporter.address
    );
    let mut ferula = Ferula::start("global: {}\n");
    ferula.kill();
    store_future(&ferula, &exporter.address.to_string());
    ferula.write("prometheus.yml", &config);
    for again in [false, true] {
        ferula.start_again(&[]);
        ferula.wait_for_log("there are samples from the future");
        eventually("up", || (ferula.values("up") == [1.0]).then_some(()));
        let status = ferula.get("/api/v1/status/tsdb").json()["data"].clone();
        let ahead = status["newestAheadSeconds"].as_f64().unwrap();
        assert!((10_000.0..=10_800.0).contains(&ahead), "{status}");
        assert_eq!(status["lastClockStepSeconds"], serde_json::Value::Null);
        assert_eq!(ferula.metric("ferula_clock_last_step_seconds"), Some(0.0));
        if !again {
            let corrected = "ferula_tsdb_clock_corrected_samples_total";
            assert!(ferula.metric(corrected) >= Some(1.0));
            ferula.wait_for_log("samples from the future have a block of their own");
        }
        let name = "prometheus_tsdb_out_of_order_samples_total{type=\"float\"}";
        assert_eq!(ferula.metric(name), Some(0.0));
        ferula.kill();
    }
}
