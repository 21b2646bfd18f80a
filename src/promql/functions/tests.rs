//! Tests with values worked out from the definitions, or from Prometheus 3.14 where rounding
//! matters.

use std::time::Duration;

use super::*;
use crate::model::{Labels, Sample};
use crate::promql::Severity;
use crate::promql::eval::{Grid, Operand, Row, Run, Scalars, Window, absent, is_absent};
use crate::promql::parser::{Expr, Extent, Features, functions, parse};
use crate::stdx::clock::ManualClock;
use crate::stdx::stop::stop;
use crate::storage::Columns;

fn samples(text: &str) -> Columns {
    let sample = |word: &str| {
        let (t, v) = word.split_once('=').unwrap();
        let t = (t.parse::<f64>().unwrap() * 1000.0) as i64;
        let v = v.parse().unwrap();
        Sample { t, v }
    };
    let mut samples = Columns::default();
    samples.extend(text.split_whitespace().map(sample));
    samples
}

/// Makes the window of the range from 0 s to 60 s.
fn over(samples: &Columns) -> Window<'_> {
    Window {
        times: &samples.times,
        values: &samples.values,
        start: 0,
        end: 60_000,
        t: 60_000,
    }
}

fn show(v: f64) -> String {
    if is_absent(v) {
        "-".to_owned()
    } else {
        format!("{v}")
    }
}

#[test]
fn windows() {
    let check = |name: &str, args: &[f64], text: &str, expect: &str| {
        let Some(Implementation::Window { f, .. }) = implementation(name) else {
            panic!("{name} is no window function");
        };
        let samples = samples(text);
        let got = f(&over(&samples), args, &mut Scratch::default());
        assert_eq!(show(got), expect, "{name}({args:?}, {text})");
    };
    let steady = "15=1 30=2 45=3 60=4";
    check("rate", &[], steady, "0.06666666666666665");
    check("increase", &[], steady, "4");
    check("delta", &[], steady, "4");
    check("irate", &[], steady, "0.06666666666666667");
    check("idelta", &[], steady, "1");
    check("deriv", &[], steady, "0.06666666666666667");
    check("predict_linear", &[30.0], steady, "6");
    check("rate", &[], "15=1", "-");
    check("irate", &[], "15=1", "-");
    check("irate", &[], "15=1 15=1", "-");
    check("idelta", &[], "15=1", "-");
    check("deriv", &[], "15=1", "-");
    check("predict_linear", &[1.0], "15=1", "-");
    let reset = "15=5 30=7 45=1 60=3";
    check("increase", &[], reset, "6.666666666666666");
    check("delta", &[], reset, "-2.6666666666666665");
    check("irate", &[], "45=7 60=3", "0.2");
    check("resets", &[], reset, "1");
    check("changes", &[], reset, "3");
    check("changes", &[], "1=NaN 2=NaN 3=1 4=1", "1");
    // Far from the borders it extends by half a distance, and not below zero.
    check("delta", &[], "30=10 35=11 40=12", "3");
    check("increase", &[], "30=0.1 35=1.1 40=2.1", "2.6");
    check("deriv", &[], "1=3 2=3", "0");
    check("deriv", &[], "1=inf 2=inf", "NaN");
    let mixed = "1=3 2=NaN 3=1 4=2";
    check("max_over_time", &[], mixed, "3");
    check("min_over_time", &[], mixed, "1");
    check("max_over_time", &[], "1=NaN 2=NaN", "NaN");
    check("max_over_time", &[], "1=NaN 2=1", "1");
    check("max_over_time", &[], "1=-0 2=0 3=-1", "-0");
    check("min_over_time", &[], "1=0 2=-0 3=1", "0");
    check("max_over_time", &[], "1=NaN 2=-inf", "-inf");
    check("min_over_time", &[], "1=inf 2=NaN", "inf");
    let many = "1=1 2=9 3=2 4=8 5=3 6=7 7=4 8=6 9=5 10=NaN 11=0 12=10";
    check("max_over_time", &[], many, "10");
    check("min_over_time", &[], many, "0");
    check("ts_of_max_over_time", &[], "1=3 2=1 3=3 4=1", "3");
    check("ts_of_min_over_time", &[], "1=3 2=1 3=3 4=1", "4");
    check("ts_of_max_over_time", &[], "1=NaN 2=1", "2");
    check("ts_of_first_over_time", &[], mixed, "1");
    check("ts_of_last_over_time", &[], mixed, "4");
    check("count_over_time", &[], mixed, "4");
    check("present_over_time", &[], mixed, "1");
    check("first_over_time", &[], mixed, "3");
    check("last_over_time", &[], mixed, "2");
    check("sum_over_time", &[], "1=1 2=1e100 3=1 4=-1e100", "2");
    check("sum_over_time", &[], "1=inf 2=1", "inf");
    check("sum_over_time", &[], mixed, "NaN");
    check("avg_over_time", &[], "1=1 2=1e100 3=1 4=-1e100", "0.5");
    let huge = "1=1.5e308 2=1.5e308";
    check("avg_over_time", &[], huge, &format!("{}", 1.5e308));
    check("avg_over_time", &[], "1=inf 2=1", "inf");
    check("avg_over_time", &[], "1=inf 2=-inf", "NaN");
    check(
        "stdvar_over_time",
        &[],
        "1=2 2=4 3=4 4=4 5=5 6=5 7=7 8=9",
        "4",
    );
    check(
        "stddev_over_time",
        &[],
        "1=2 2=4 3=4 4=4 5=5 6=5 7=7 8=9",
        "2",
    );
    check("quantile_over_time", &[0.5], "1=4 2=1 3=3", "3");
    check("quantile_over_time", &[0.25], "1=4 2=2 3=3", "2.5");
    check("quantile_over_time", &[0.0], mixed, "NaN");
    check("quantile_over_time", &[1.0], mixed, "3");
    check("quantile_over_time", &[-1.0], mixed, "-inf");
    check("quantile_over_time", &[2.0], mixed, "inf");
    check("quantile_over_time", &[f64::NAN], mixed, "NaN");
    check("mad_over_time", &[], "1=4 2=6 3=2 4=1 5=999 6=1 7=2", "1");
    check("mad_over_time", &[], mixed, "NaN");
    check("double_exponential_smoothing", &[0.5, 0.5], "1=1", "-");
    check(
        "double_exponential_smoothing",
        &[0.5, 0.5],
        "1=1 2=2 3=4",
        "3.5",
    );
}

#[test]
fn extended_ranges() {
    let check = |name: &str, extent: Extent, text: &str, expect: &str| {
        let samples = samples(text);
        let got = extended(name, extent).map(|f| f(&over(&samples), &[], &mut Scratch::default()));
        let got = got.map_or_else(|error| error.to_string(), show);
        assert_eq!(got, expect, "{name} {extent:?} {text}");
    };
    let (anchored, smoothed) = (Extent::Anchored, Extent::Smoothed);
    check("increase", anchored, "-30=1 -15=2 30=4 50=9", "7");
    check("increase", anchored, "-15=2 30=1 50=3", "3");
    check("rate", anchored, "-15=2 30=1 50=5", "0.08333333333333333");
    check("delta", anchored, "-15=2 30=1 50=3", "1");
    check("delta", anchored, "-15=2", "-");
    check("changes", anchored, "-30=1 -15=2 30=2 50=3", "1");
    check("resets", anchored, "-30=3 -15=2 30=1 50=3", "1");
    check("resets", anchored, "-30=3 -15=2", "-");
    check("delta", smoothed, "-30=0 30=6 90=12", "6");
    check("increase", smoothed, "-30=0 30=6 90=2", "4");
    check("increase", smoothed, "-30=4 30=2 60=3", "2");
    check("delta", smoothed, "70=1 90=2", "-");
    let text = "smoothed modifier can only be used with: delta, increase, rate - not with resets";
    check("resets", smoothed, "", text);
    let those = "changes, delta, increase, rate, resets";
    let text = format!("anchored modifier can only be used with: {those} - not with irate");
    check("irate", anchored, "", &text);
}

#[test]
fn what_slides_is_what_is_sorted_anew() {
    let mut state = 7u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state >> 40
    };
    let value = |r: u64| match r % 17 {
        0 => f64::NAN,
        1 => -0.0,
        r => r as f64 - 8.0,
    };
    let all: Vec<Sample> = (0..600)
        .map(|t| Sample {
            t,
            v: value(random()),
        })
        .collect();
    let mut scratch = Scratch::default();
    for (from, to) in [
        (0, 100),
        (3, 103),
        (3, 103),
        (3, 110),
        (50, 120),
        (49, 119),
        (90, 600),
    ] {
        let mut part = Columns::default();
        part.extend(all[from..to].iter().copied());
        let window = over(&part);
        let expect = Scratch::default().sort(&window).to_vec();
        assert_eq!(scratch.sort(&window), expect, "{from}..{to}");
    }
}

#[test]
fn values() {
    let check = |name: &str, args: &[f64], v: f64, expect: &str| {
        let Some(Implementation::Value { f }) = implementation(name) else {
            panic!("{name} is no function of a value");
        };
        assert_eq!(show(f(v, args)), expect, "{name}({v}, {args:?})");
    };
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    check("abs", &[], -1.5, "1.5");
    check("ceil", &[], 1.2, "2");
    check("floor", &[], -1.2, "-2");
    check("round", &[], 2.5, "3");
    check("round", &[], -2.5, "-2");
    check("round", &[0.1], 0.25, "0.3");
    check("round", &[5.0], 12.0, "10");
    check("sgn", &[], -3.0, "-1");
    check("sgn", &[], nan, "NaN");
    check("clamp", &[-1.0, 2.0], 3.0, "2");
    check("clamp", &[2.0, 1.0], 3.0, "-");
    check("clamp", &[nan, 1.0], 3.0, "NaN");
    check("clamp_max", &[1.0], nan, "NaN");
    check("clamp_max", &[-inf], nan, "-inf");
    check("clamp_min", &[0.0], -0.0, "0");
    check("log2", &[], 1024.0, "10");
    check("log2", &[], 5e-324, "-1074");
    check("log2", &[], 0.0, "-inf");
    check("log2", &[], -1.0, "NaN");
    check("log10", &[], 1000.0, "2.9999999999999996");
    check("ln", &[], 1.0, "0");
    check("sinh", &[], 710.0, "inf");
    check("cosh", &[], -710.0, "inf");
    check("acosh", &[], 1.0, "0");
    check("acosh", &[], 0.5, "NaN");
    check("asinh", &[], -1.7e308, "-710.4199840737881");
    check("deg", &[], std::f64::consts::PI, "180");
    check("rad", &[], 180.0, "3.141592653589793");
}

#[test]
fn dates() {
    let parts = [
        "year",
        "month",
        "day_of_month",
        "day_of_week",
        "day_of_year",
        "hour",
        "minute",
        "days_in_month",
    ];
    let check = |v: f64, expect: [i64; 8]| {
        for (name, expect) in parts.iter().zip(expect) {
            let Some(Implementation::Value { f }) = implementation(name) else {
                panic!("{name} is no function of a value");
            };
            assert_eq!(f(v, &[]), expect as f64, "{name}({v})");
        }
    };
    check(0.0, [1970, 1, 1, 4, 1, 0, 0, 31]);
    check(-1.0, [1969, 12, 31, 3, 365, 23, 59, 31]);
    check(-0.9, [1970, 1, 1, 4, 1, 0, 0, 31]);
    check(951_782_400.0, [2000, 2, 29, 2, 60, 0, 0, 29]);
    check(1_456_790_399.0, [2016, 2, 29, 1, 60, 23, 59, 29]);
    check(253_402_300_800.0, [10_000, 1, 1, 6, 1, 0, 0, 31]);
    check(-62_135_596_801.0, [0, 12, 31, 0, 366, 23, 59, 31]);
    check(-5e18, [-158_443_690_565, 12, 11, 5, 345, 15, 6, 31]);
    check(9e18, [285_198_648_531, 4, 21, 6, 111, 16, 0, 30]);
    for out_of_range in [f64::NAN, f64::INFINITY, 1e19] {
        check(out_of_range, [292_277_026_596, 12, 4, 0, 339, 15, 30, 31]);
    }
}

/// Returns the rows of a call as `{labels} value …; …`, and its annotations; or the error. Rows are
/// given as `name=value,… value …`, one value per step.
fn whole(query: &str, rows: &[&str]) -> (String, String) {
    let features = Features {
        experimental_functions: true,
        ..Features::default()
    };
    let expr = parse(query, &features).unwrap();
    let Expr::Call(call) = &expr else {
        panic!("{query} is no call");
    };
    let rows: Vec<Row> = rows.iter().map(|text| row(text)).collect();
    let steps = rows.first().map_or(1, |row| row.values.len());
    let grid = Grid::between(0, (steps as i64 - 1) * 60_000, 60_000);
    let operands = call.args.iter().map(|arg| match arg {
        Expr::Number(number) => Operand::Scalar(Scalars::Constant(number.value)),
        Expr::Unary(_) => Operand::Scalar(Scalars::Constant(-1.0)),
        Expr::Text(text) => Operand::Text(text.value.clone()),
        _ => Operand::Vector(Box::new(rows.clone().into_iter())),
    });
    let (clock, (_tx, stop)) = (ManualClock::new(0), stop());
    let mut run = Run::new(&clock, Duration::MAX, &stop, 1000, false);
    let Some(Implementation::Whole(f)) = implementation(call.function.name) else {
        panic!("{query} is not computed as a whole");
    };
    let mut out = Vec::new();
    match f(call, operands.collect(), grid, &mut run) {
        Err(error) => return (error.to_string(), String::new()),
        Ok(Operand::Vector(mut rows)) => loop {
            match rows.next(&mut run) {
                Err(error) => return (error.to_string(), String::new()),
                Ok(None) => break,
                Ok(Some(row)) => {
                    let values: Vec<String> = row.values.iter().map(|v| show(*v)).collect();
                    out.push(format!("{} {}", row.labels, values.join(" ")));
                }
            }
        },
        Ok(_) => panic!("{query} makes no vector"),
    }
    let mut remarks = run.annotations.texts(Severity::Warning, query);
    remarks.extend(run.annotations.texts(Severity::Info, query));
    (out.join("; "), remarks.join("; "))
}

fn row(text: &str) -> Row {
    let (labels, values) = text.split_once(' ').unwrap();
    let pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
    let value = |word: &str| match word {
        "-" => absent(),
        word => word.parse().unwrap(),
    };
    Row {
        labels: Labels::from_pairs(pairs),
        drops_name: false,
        values: values.split(' ').map(value).collect(),
    }
}

fn check_whole(query: &str, rows: &[&str], expect: &str, remarks: &str) {
    let got = whole(query, rows);
    assert_eq!(
        (got.0.as_str(), got.1.as_str()),
        (expect, remarks),
        "{query}"
    );
}

#[test]
fn labels_are_replaced_and_joined() {
    let check =
        |query: &str, expect: &str| check_whole(query, &["__name__=m,a=x-1,b=y 1"], expect, "");
    check(
        r#"label_replace(m, "c", "$2/$1", "a", "(.*)-(.*)")"#,
        r#"{__name__="m", a="x-1", b="y", c="1/x"} 1"#,
    );
    check(
        r#"label_replace(m, "c", "z", "a", "x")"#,
        r#"{__name__="m", a="x-1", b="y"} 1"#,
    );
    check(
        r#"label_replace(m, "a", "", "b", "y")"#,
        r#"{__name__="m", b="y"} 1"#,
    );
    check(
        r#"label_replace(m, "c", "z", "nothing", "")"#,
        r#"{__name__="m", a="x-1", b="y", c="z"} 1"#,
    );
    check(
        r#"label_replace(m, "", "z", "a", "x")"#,
        "invalid destination label name in label_replace(): ",
    );
    check(
        r#"label_replace(m, "c", "z", "a", "(")"#,
        "invalid regular expression in label_replace(): (",
    );
    check(
        r#"label_join(m, "c", "+", "b", "nothing", "a")"#,
        r#"{__name__="m", a="x-1", b="y", c="y++x-1"} 1"#,
    );
    check(r#"label_join(m, "a", "+")"#, r#"{__name__="m", b="y"} 1"#);
    check(
        r#"label_join(m, "a", "+", "")"#,
        "invalid source label name in label_join(): ",
    );
    check(
        r#"label_join(m, "", "+", "a")"#,
        "invalid destination label name in label_join(): ",
    );
}

#[test]
fn order() {
    let rows = ["a=x10 2", "a=x9 NaN", "a=x1 -1"];
    let show = |order: [&str; 3]| {
        order
            .map(|row| {
                let (a, v) = row.split_once(' ').unwrap();
                format!("{{{}\"}} {v}", a.replace('=', "=\""))
            })
            .join("; ")
    };
    let [ten, nine, one] = rows;
    check_whole("sort(m)", &rows, &show([one, ten, nine]), "");
    check_whole("sort_desc(m)", &rows, &show([ten, one, nine]), "");
    check_whole(
        r#"sort_by_label(m, "a")"#,
        &rows,
        &show([one, nine, ten]),
        "",
    );
    check_whole(
        r#"sort_by_label_desc(m, "b")"#,
        &rows,
        &show([nine, ten, one]),
        "",
    );
    let warning = "PromQL warning: sort is ineffective for range queries since results are always \
                   ordered by labels (1:1)";
    check_whole(
        "sort(m)",
        &["a=b 2 1", "a=a 1 1"],
        r#"{a="b"} 2 1; {a="a"} 1 1"#,
        warning,
    );
}

#[test]
fn classic_histograms() {
    let rows = [
        "__name__=b,le=1 2 -",
        "__name__=b,le=2 6 -",
        "__name__=b,le=+Inf 8 4",
    ];
    let check = |query: &str, expect: &str| check_whole(query, &rows, expect, "");
    check("histogram_quantile(0.5, b)", "{} 1.5 NaN");
    check("histogram_quantile(0.125, b)", "{} 0.5 NaN");
    check("histogram_quantile(0.9, b)", "{} 2 NaN");
    check("histogram_fraction(0, 1, b)", "{} 0.25 0");
    check("histogram_fraction(1.5, Inf, b)", "{} 0.5 1");
    check("histogram_fraction(3, 2, b)", "{} 0 0");
    check(
        r#"histogram_quantiles(b, "q", 0.5, 0)"#,
        r#"{q="0.5"} 1.5 NaN; {q="0.0"} 0 NaN"#,
    );
    check(
        r#"histogram_quantiles(b, "q", 0.5, 0.5)"#,
        "vector cannot contain metrics with the same labelset",
    );
    check("histogram_count(b)", "");
    let warning = "PromQL warning: quantile value should be between 0 and 1, got -1 (1:20)";
    check_whole("histogram_quantile(-1, b)", &rows, "{} -inf -inf", warning);
    // Without the highest bucket nothing is known.
    check_whole("histogram_quantile(0.5, b)", &rows[..2], "{} NaN -", "");
    let warning =
        "PromQL warning: bucket label \"le\" is missing or has a malformed value of \"x\" (1:25)";
    check_whole(
        "histogram_quantile(0.5, b)",
        &["le=x 1", "a=b,le=Inf 1"],
        r#"{a="b"} NaN"#,
        warning,
    );
    // Buckets of the same bound add up.
    check_whole(
        "histogram_quantile(1, b)",
        &["le=1 1", "le=1.0 1", "le=inf 2"],
        "{} 1",
        "",
    );
    // Rounding is evened out silently; anything else is reported.
    let rounded = ["le=1 1", "le=2 0.9999999999999999", "le=inf 1"];
    check_whole("histogram_quantile(1, b)", &rounded, "{} 1", "");
    let info = "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see \
        https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile), from \
        buckets 2 to +Inf, with a max diff of 1.2e+02, over 2 samples from 1970-01-01T00:00:00Z to \
        1970-01-01T00:01:00Z (1:25)";
    let falling = ["le=1 200 200", "le=2 77 200", "le=inf 200 199"];
    check_whole("histogram_quantile(0.5, b)", &falling, "{} 0.5 0.5", info);
}

/// Signatures are searched by halves. Each is computed here, or by the evaluator.
#[test]
fn every_signature_is_computed_somewhere() {
    assert!(functions().is_sorted_by(|a, b| a.name < b.name));
    let names = functions().iter().map(|f| f.name);
    let of_the_evaluator: Vec<&str> = names
        .filter(|name| implementation(name).is_none())
        .collect();
    assert_eq!(
        of_the_evaluator,
        [
            "absent",
            "absent_over_time",
            "end",
            "info",
            "max_of",
            "min_of",
            "pi",
            "range",
            "scalar",
            "start",
            "start_timestamp",
            "step",
            "time",
            "timestamp",
            "vector"
        ]
    );
}
