//! Tests that a query opens one view, as wide as its selectors reach, and selects no more than each
//! needs.

use std::sync::Mutex;

use super::*;

/// Records what it is asked for, in seconds.
#[derive(Default)]
struct Noting(Arc<Mutex<Vec<String>>>);

impl Noting {
    fn note(&self, what: &str, start: TimestampMs, end: TimestampMs) {
        let (start, end) = (start as f64 / 1000.0, end as f64 / 1000.0);
        self.0
            .lock()
            .unwrap()
            .push(format!("{what} {start}..{end}"));
    }
}

impl Queryable for Noting {
    fn querier(
        &self,
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<Box<dyn Querier>, StorageError> {
        self.note("view", start, end);
        Ok(Box::new(Noting(self.0.clone())))
    }
}

impl Querier for Noting {
    fn select(
        &self,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn SeriesSet>, StorageError> {
        let name = matchers.iter().find(|m| m.name == "__name__");
        let name = name.map_or("", |m| m.value.as_str());
        self.note(name, hints.start, hints.end);
        // A series with a sample, so that `info` goes on.
        let labels = Labels::from_pairs([("__name__", name), ("instance", "i"), ("job", "j")]);
        let sample = Sample {
            t: hints.end,
            v: 1.0,
        };
        Ok(Box::new(vec![(labels, vec![sample])].into_iter()))
    }

    fn label_names(&self, _: &[Matcher], _: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Matcher], _: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }
}

/// Uses a lookback of 30 s, at 1000 s and over 1000 s to 1200 s with a step of 100 s.
fn check(query: &str, at_once: &str, in_steps: &str) {
    let mut settings = settings();
    settings.samples_max = 10_000;
    settings.features.experimental_functions = true;
    settings.features.extended_ranges = true;
    let range = Times::Range {
        start: 1_000_000,
        end: 1_200_000,
        step_ms: 100_000,
    };
    let engine = Engine::new(settings, Arc::new(ManualClock::new(0)), &Registry::new());
    for (times, expect) in [(Times::At(1_000_000), at_once), (range, in_steps)] {
        let noting = Noting::default();
        let expr = parse(query, &settings.features).unwrap();
        let query = Query {
            text: query,
            expr: &expr,
            times,
            settings: &settings,
            cancel: &never(),
            origin: None,
        };
        engine.answer(&noting, &query).unwrap();
        let mut noted = noting.0.lock().unwrap().clone();
        // The order of selections does not matter.
        noted.get_mut(1..).unwrap_or_default().sort();
        assert_eq!(noted.join(", "), expect, "{query:?}");
    }
}

#[test]
fn a_view_is_as_wide_as_the_selectors_look() {
    check(
        "a",
        "view 970.001..1000, a 970.001..1000",
        "view 970.001..1200, a 970.001..1200",
    );
    check("1 + time()", "", "");
    check(
        "a - b offset 10m",
        "view 370.001..1000, a 970.001..1000, b 370.001..400",
        "view 370.001..1200, a 970.001..1200, b 370.001..600",
    );
    check(
        "sum(b offset -5m) / on () rate(a[1m])",
        "view 940.001..1300, a 940.001..1000, b 1270.001..1300",
        "view 940.001..1500, a 940.001..1200, b 1270.001..1500",
    );
    check(
        "a @ 50 + b @ end()",
        "view 20.001..1000, a 20.001..50, b 970.001..1000",
        "view 20.001..1200, a 20.001..50, b 1170.001..1200",
    );
    check(
        "topk(scalar(b @ start()), a)",
        "view 970.001..1000, a 970.001..1000, b 970.001..1000",
        "view 970.001..1200, a 970.001..1200, b 970.001..1000",
    );
    check(
        "max_over_time((a - b offset 1m)[2m:10s])",
        "view 800.001..1000, a 860.001..1000, b 800.001..940",
        "view 800.001..1200, a 860.001..1200, b 800.001..1140",
    );
    check(
        "max_over_time(sum_over_time(a[10s])[1m:10s] offset 5m) + -(b)",
        "view 640.001..1000, a 640.001..700, b 970.001..1000",
        "view 640.001..1200, a 640.001..900, b 970.001..1200",
    );
    check(
        "rate(a[1m] smoothed) + increase(b[1m] anchored)",
        "view 910.001..1030, a 910.001..1030, b 910.001..1000",
        "view 910.001..1230, a 910.001..1230, b 910.001..1200",
    );
    check(
        "info(a offset 5m, {x=\"y\"}) or b",
        "view 670.001..1000, a 670.001..700, b 970.001..1000, target_info 670.001..700",
        "view 670.001..1200, a 670.001..900, b 970.001..1200, target_info 670.001..900",
    );
}
