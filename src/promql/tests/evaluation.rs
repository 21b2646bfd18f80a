//! Tests of the evaluator's own decisions: windows, subqueries, pinned parts, names, limits.

use super::*;

/// Loads series from lines `name{labels} values`, one value per 10 s from 0. `_` is no sample, `s`
/// a stale marker.
fn load(text: &str) -> Memory {
    let series = |line: &str| {
        let (selector, values) = line.trim().split_once(' ').unwrap();
        let matchers = parse_selector(selector).unwrap();
        let labels = Labels::from_pairs(matchers.iter().map(|m| (&m.name, &m.value)));
        let value = |(i, word): (usize, &str)| {
            let v = match word {
                "_" => return None,
                "s" => stale_nan(),
                word => word.parse().unwrap(),
            };
            let t = i as i64 * 10_000;
            Some(Sample { t, v })
        };
        let samples = values.split_whitespace().enumerate().filter_map(value);
        (labels, samples.collect())
    };
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    Memory(lines.map(series).collect())
}

const DATA: &str = r#"
    c_total{n="1"} 0 1 2 3 4 5 6 7 8 9
    c_total{n="2"} 0 10 20 _ _ s 0 10 20 30
    g{n="1"} 5 4 3 2 1 0 -1 -2 -3 -4
    h{n="1"} _ _ _ _ _ _ 1 1 1 1
    one{n="1"} 1 1 s 1
    two{n="1"} _ _ 2 2 s
"#;

fn all() -> Settings {
    let features = Features {
        experimental_functions: true,
        extended_ranges: true,
        fill_modifiers: true,
        ..Features::default()
    };
    Settings {
        lookback: Duration::from_secs(30),
        features,
        ..Settings::default()
    }
}

/// Evaluates a query.
fn answer_with(query: &str, times: Times, settings: &Settings) -> Result<Answer, QueryError> {
    let expr = parse(query, &settings.features).unwrap();
    let query = Query {
        text: query,
        expr: &expr,
        times,
        settings,
        cancel: &never(),
        origin: None,
    };
    let engine = Engine::new(*settings, Arc::new(ManualClock::new(0)), &Registry::new());
    engine.set_default_step(Duration::from_secs(10));
    engine.answer(&load(DATA), &query)
}

fn text_of(answer: Result<Answer, QueryError>) -> String {
    let series = match answer.map(|answer| answer.value) {
        Err(error) => return error.to_string(),
        Ok(Value::Scalar(sample)) => return sample.v.to_string(),
        Ok(Value::Text(_, text)) => return text,
        Ok(Value::Matrix(matrix)) => matrix,
        Ok(Value::Vector(vector)) => vector.into_iter().map(|(l, s)| (l, vec![s])).collect(),
    };
    let one = |(labels, samples): (Labels, Vec<Sample>)| {
        let mut text = labels.series_text();
        for sample in samples {
            text += &format!(" {}@{}", sample.v, sample.t as f64 / 1000.0);
        }
        text
    };
    series.into_iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Evaluates at 90 s.
fn at(query: &str, expect: &str) {
    let text = text_of(answer_with(query, Times::At(90_000), &all()));
    assert_eq!(text, expect, "{query}");
}

fn range(start: i64, end: i64, step: i64) -> Times {
    Times::Range {
        start: start * 1000,
        end: end * 1000,
        step_ms: step * 1000,
    }
}

/// Evaluates from 0 s to 90 s with a step of 30 s.
fn over(query: &str, expect: &str) {
    let text = text_of(answer_with(query, range(0, 90, 30), &all()));
    assert_eq!(text, expect, "{query}");
}

const SAME: &str = "vector cannot contain metrics with the same labelset";

#[test]
fn windows() {
    at(r#"sum_over_time(c_total{n="1"}[20s])"#, r#"{n="1"} 17@90"#);
    at(r#"count_over_time(c_total{n="2"}[1m])"#, r#"{n="2"} 4@90"#);
    at("last_over_time(g[1m] offset 20s)", r#"g{n="1"} -2@90"#);
    over(
        r#"sum_over_time(c_total{n="1"}[20s])"#,
        r#"{n="1"} 0@0 5@30 11@60 17@90"#,
    );
    over("count_over_time(h[20s])", r#"{n="1"} 1@60 2@90"#);
    over(
        "count_over_time(h[20s] @ 90)",
        r#"{n="1"} 2@0 2@30 2@60 2@90"#,
    );
    over(
        "predict_linear(g[30s] @ 20, 0)",
        r#"{n="1"} 5@0 2@30 -1@60 -4@90"#,
    );
    over(
        r#"quantile_over_time(scalar(c_total{n="1"}) / 6, g[30s])"#,
        r#"{n="1"} 5@0 3@30 1@60 inf@90"#,
    );
}

#[test]
fn windows_beyond_their_range() {
    at("delta(g[25s] anchored)", r#"{n="1"} -3@90"#);
    at("increase(h[25s] anchored)", r#"{n="1"} 0@90"#);
    at("delta(g[25s] smoothed)", r#"{n="1"} -2.5@90"#);
    at(
        r#"changes(c_total{n="1"}[25s] anchored)"#,
        r#"{n="1"} 3@90"#,
    );
    at(
        r#"c_total{n="1"}[15s] smoothed"#,
        r#"c_total{n="1"} 7.5@75 8@80 9@90"#,
    );
    let refused = "smoothed modifier can only be used with: delta, increase, rate - not with \
                   changes";
    at("changes(g[25s] smoothed)", refused);
}

#[test]
fn subqueries() {
    at("g[30s:10s]", r#"g{n="1"} -2@70 -3@80 -4@90"#);
    at("g[30s:]", r#"g{n="1"} -2@70 -3@80 -4@90"#);
    at("g[35s:20s]", r#"g{n="1"} -1@60 -3@80"#);
    at("g[20s:10s] offset 5s", r#"g{n="1"} -2@70 -3@80"#);
    at("g[20s:10s] @ 20", r#"g{n="1"} 4@10 3@20"#);
    at("max_over_time((-g)[30s:10s])", r#"{n="1"} 4@90"#);
    at("sum_over_time(vector(time())[30s:10s])", "{} 240@90");
    at("sum_over_time((g @ end())[30s:10s])", r#"{n="1"} -12@90"#);
    at(
        "max_over_time(sum_over_time(g[20s:10s])[30s:10s])",
        r#"{n="1"} -3@90"#,
    );
    over(
        "sum_over_time(g[20s:10s])",
        r#"{n="1"} 5@0 5@30 -1@60 -7@90"#,
    );
    at("g[9s:10s] offset 1s", "");
}

#[test]
fn pinned_parts() {
    over(
        r#"c_total{n="1"} @ 20"#,
        r#"c_total{n="1"} 2@0 2@30 2@60 2@90"#,
    );
    over("sum(c_total @ 20) + 1", "{} 23@0 23@30 23@60 23@90");
    over("timestamp(g @ 25)", r#"{n="1"} 20@0 20@30 20@60 20@90"#);
    over("timestamp(-(g @ 25))", r#"{n="1"} 0@0 30@30 60@60 90@90"#);
    over("g @ start() offset -10s", r#"g{n="1"} 4@0 4@30 4@60 4@90"#);
    let answer = answer_with("sum(c_total @ 20)", range(0, 90, 30), &all()).unwrap();
    assert_eq!(answer.statistics.queryable_samples, 8);
    assert_eq!(answer.statistics.read_samples, 2);
}

#[test]
fn scalars() {
    at("time()", "90");
    at("-(1 + 2)", "-3");
    at("scalar(g)", "-4");
    at("scalar(c_total)", "NaN");
    at("vector(1)", "{} 1@90");
    at(r#"("text")"#, "text");
    at("pi()", "3.141592653589793");
    at("start() + end() + step() + range()", "180");
    at("min_of(1, 2) + max_of(3, NaN)", "NaN");
    at("minute() + hour(g)", "");
    at("minute()", "{} 1@90");
    over("time()", "{} 0@0 30@30 60@60 90@90");
    over(
        "start() + end() + step() + range()",
        "{} 210@0 210@30 210@60 210@90",
    );
    over("scalar(h)", "{} NaN@0 NaN@30 1@60 1@90");
    over("1", "{} 1@0 1@30 1@60 1@90");
}

#[test]
fn absence() {
    at("absent(g)", "");
    at(
        r#"absent(g{n="9", m=~"x", a="1", a="2"})"#,
        r#"{n="9"} 1@90"#,
    );
    at(r#"absent(sum(g{n="9"}))"#, "{} 1@90");
    over(r#"absent(h{n="1"})"#, r#"{n="1"} 1@0 1@30"#);
    over("absent_over_time(h[20s])", "{} 1@0 1@30");
    at("absent_over_time(h[20s])", "");
    over("present_over_time(h[20s])", r#"{n="1"} 1@60 1@90"#);
}

#[test]
fn the_same_labels() {
    let both = r#"{__name__=~"one|two"}"#;
    let steps = range(0, 30, 10);
    let check = |query: &str, delays_names: bool, expect: &str| {
        let settings = Settings {
            delays_names,
            ..all()
        };
        let text = text_of(answer_with(query, steps, &settings));
        assert_eq!(text, expect, "{query} {delays_names}");
    };
    for delays in [false, true] {
        check("-one", delays, r#"{n="1"} -1@0 -1@10 -1@30"#);
        check(&format!("-{both}"), delays, SAME);
        check(&format!("abs({both}) + 1"), delays, SAME);
        check("-(one or two)", delays, r#"{n="1"} -1@0 -1@10 -2@20 -1@30"#);
        let windows = format!("sum_over_time({both}[10s])");
        check(&windows, delays, SAME);
    }
    // Rows with a value at each step are passed on before all rows are known.
    for others in ["g|c_total", "c_total|g", "g|one", "one|g", "c_total|h"] {
        let query = format!(r#"-{{__name__=~"{others}",n="1"}}"#);
        let text = text_of(answer_with(&query, range(0, 60, 10), &all()));
        assert_eq!(text, SAME, "{query}");
    }
    check(
        r#"-{__name__=~"c_total|h"}"#,
        false,
        r#"{n="1"} -0@0 -1@10 -2@20 -3@30; {n="2"} -0@0 -10@10 -20@20 -20@30"#,
    );
    let named = r#"sum by (__name__) (rate(c_total{n="1"}[30s]))"#;
    check(
        named,
        true,
        "{} 0.03333333333333333@10 0.06666666666666667@20 0.1@30",
    );
    check(
        &format!("last_over_time({both}[1s])"),
        false,
        r#"one{n="1"} 1@0 1@10 1@30; two{n="1"} 2@20 2@30"#,
    );
}

#[test]
fn order() {
    at(
        "sort_desc(c_total)",
        r#"c_total{n="2"} 30@90; c_total{n="1"} 9@90"#,
    );
    at(
        "topk(2, c_total)",
        r#"c_total{n="2"} 30@90; c_total{n="1"} 9@90"#,
    );
    at("g or on(x) c_total", r#"g{n="1"} -4@90"#);
    at("-sort_desc(c_total)", r#"{n="1"} -9@90; {n="2"} -30@90"#);
}

#[test]
fn limits_of_what_is_held() {
    let many = "query processing would load too many samples into memory in query execution";
    at("sum_over_time(g[1y:1ms])", many);
    at("max_over_time(sum_over_time(g[1y:1ms])[1y:1ms])", many);
    let few = Settings {
        samples_max: 12,
        ..all()
    };
    let check = |query: &str, expect: &str| {
        let text = text_of(answer_with(query, range(0, 90, 10), &few));
        assert_eq!(text, expect, "{query}");
    };
    // Rows that stream through are not held.
    check(
        "count(c_total)",
        "{} 2@0 2@10 2@20 2@30 2@40 1@50 2@60 2@70 2@80 2@90",
    );
    check("c_total", many);
    let wrong = "2:9: duration must be greater than 0";
    let text = text_of(answer_with("g[-step()]", Times::At(0), &all()));
    assert_eq!(text, wrong);
}

/// A storage that fails.
struct Broken;

impl Queryable for Broken {
    fn querier(&self, _: TimestampMs, _: TimestampMs) -> Result<Box<dyn Querier>, StorageError> {
        panic!("it broke");
    }
}

#[test]
fn a_panic_costs_its_query() {
    let fixture = fixture();
    let ask = |storage: &dyn Queryable| {
        let answer = fixture.ask(storage, "foo", Times::At(0), &settings(), &never());
        answer.map_or_else(|error| error.to_string(), show)
    };
    assert_eq!(ask(&Broken), "unexpected error: it broke");
    assert_eq!(ask(&memory()), "1: 0@0");
}

#[test]
fn what_steps_looked_at() {
    let check = |query: &str, times: Times, expect: (u64, u64)| {
        let statistics = answer_with(query, times, &all()).unwrap().statistics;
        let got = (statistics.queryable_samples, statistics.read_samples);
        assert_eq!(got, expect, "{query}");
    };
    check("g", Times::At(90_000), (1, 1));
    check("g", range(0, 90, 30), (4, 4));
    check("sum(c_total)", Times::At(20_000), (2, 2));
    check("count(c_total)", range(0, 30, 10), (8, 8));
    check("timestamp(g)", range(0, 90, 30), (4, 4));
    // A pinned part is read once, and used by each step.
    check("sum(c_total @ 20)", range(0, 90, 30), (8, 2));
    check("sum_over_time(g[30s] @ 90)", range(0, 90, 30), (12, 3));
    // Windows that overlap, that touch, and with gaps between them.
    check("sum_over_time(g[30s])", range(0, 90, 10), (27, 10));
    check("sum_over_time(g[30s])", range(0, 90, 30), (10, 10));
    check("sum_over_time(g[10s])", range(0, 90, 30), (4, 4));
    check("rate(g[20s])", range(0, 90, 30), (7, 7));
    check("sum_over_time(g[30s:10s])", Times::At(90_000), (3, 3));
    check(
        "max_over_time(sum_over_time(g[20s])[30s:10s])",
        Times::At(90_000),
        (3, 4),
    );
    check("g[30s]", Times::At(90_000), (3, 3));
    check("g[30s:10s]", Times::At(90_000), (3, 3));
    // What a subquery reads between two windows is not counted, however deep.
    let wide = range(0, 90, 30);
    check("sum_over_time(g[30s:10s])", wide, (10, 10));
    check("sum_over_time(g[20s:10s])", wide, (7, 7));
    check("sum_over_time(g[10s:10s])", wide, (4, 4));
    check("sum_over_time(timestamp(g)[10s:10s])", wide, (4, 4));
    check("sum_over_time(count(c_total)[10s:10s])", wide, (4, 8));
    check("sum_over_time(rate(g[20s])[10s:10s])", wide, (3, 4));
    check(
        "max_over_time(sum_over_time(g[20s])[10s:10s])",
        wide,
        (4, 4),
    );
    check(
        "max_over_time(sum_over_time(g[20s:10s])[10s:10s])",
        wide,
        (4, 4),
    );
    check(
        "max_over_time(sum_over_time(g[10s:10s])[10s:30s])",
        wide,
        (4, 4),
    );
    check("sum_over_time(sum(c_total @ 20)[10s:10s])", wide, (4, 2));
    let later = range(10, 100, 30);
    check("sum_over_time(g[10s:10s] offset 10s)", later, (4, 4));
    check("sum_over_time(g[10s:10s])", later, (4, 4));
}
