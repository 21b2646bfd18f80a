//! Tests of every aggregation over steps with gaps.

use crate::promql::eval::testing::{check, check_delayed, evaluate};

const X: &str = r#"
    x{a="1",b="1"} 1 _ 3 1
    x{a="1",b="2"} 2 5 _ 1
    x{a="2",b="1"} 4 _ _ NaN
    y{a="1"}       8 8 8 8
"#;

#[test]
fn folds() {
    let one = |query: &str, expect: &str| check(query, X, expect);
    one("sum(x)", "{} 7 5 3 NaN");
    one("sum by (a) (x)", "{a=\"1\"} 3 5 3 2\n{a=\"2\"} 4 _ _ NaN");
    one(
        "sum without (b) (x)",
        "{a=\"1\"} 3 5 3 2\n{a=\"2\"} 4 _ _ NaN",
    );
    one(
        "sum without (a) (x)",
        "{b=\"1\"} 5 _ 3 NaN\n{b=\"2\"} 2 5 _ 1",
    );
    one("sum by (nothing) (x)", "{} 7 5 3 NaN");
    one(
        "sum by (__name__, a) ({a=\"1\"})",
        "x{a=\"1\"} 3 5 3 2\ny{a=\"1\"} 8 8 8 8",
    );
    one("sum without () (y)", "{a=\"1\"} 8 8 8 8");
    one("count(x)", "{} 3 1 1 3");
    one("group by (a) (x)", "{a=\"1\"} 1 1 1 1\n{a=\"2\"} 1 _ _ 1");
    one("min(x)", "{} 1 5 3 1");
    one("max(x)", "{} 4 5 3 1");
    one("max by (a) (x)", "{a=\"1\"} 2 5 3 1\n{a=\"2\"} 4 _ _ NaN");
    one("avg by (a) (x)", "{a=\"1\"} 1.5 5 3 1\n{a=\"2\"} 4 _ _ NaN");
    one(
        "stdvar by (a) (x)",
        "{a=\"1\"} 0.25 0 0 0\n{a=\"2\"} 0 _ _ NaN",
    );
    one(
        "stddev by (a) (x)",
        "{a=\"1\"} 0.5 0 0 0\n{a=\"2\"} 0 _ _ NaN",
    );
    one("sum(z)", "");
    one("sum(sum by (a) (x))", "{} 7 5 3 NaN");
}

#[test]
fn sums_are_compensated() {
    let rows = "x{a=\"1\"} 1e100 -0 +Inf 1e308; x{a=\"2\"} 1 -0 1 1e308; \
                x{a=\"3\"} -1e100 -0 -Inf 1e308";
    check("sum(x)", rows, "{} 1 0 NaN +Inf");
    check("avg(x)", rows, "{} 0.3333333333333333 0 NaN 1e+308");
    let rows = "x{a=\"1\"} +Inf -Inf 1.7e308; x{a=\"2\"} 1 5 1.7e308; x{a=\"3\"} +Inf 3 -3.4e307";
    check("avg(x)", rows, "{} +Inf -Inf 1.0199999999999999e+308");
}

#[test]
fn names_that_are_dropped_at_the_end() {
    check_delayed(
        "sum by (__name__) (abs(x))",
        "x{a=\"1\"} 1; x{a=\"2\"} 2; y 1",
        "x! 3",
    );
    check_delayed("topk(1, abs(x))", "x 1", "x! 1");
    check_delayed("count_values(\"v\", abs(x))", "x 1", "{v=\"1\"} 1");
}

#[test]
fn quantiles() {
    let one = |query: &str, expect: &str| check(query, X, expect);
    one("quantile(0.5, x)", "{} 2 5 3 1");
    one("quantile(0.75, x)", "{} 3 5 3 1");
    one(
        "quantile by (a) (0.25, x)",
        "{a=\"1\"} 1.25 5 3 1\n{a=\"2\"} 4 _ _ NaN",
    );
    one("quantile(0, x)", "{} 1 5 3 NaN");
    one("quantile(1, x)", "{} 4 5 3 1");
    one(
        "quantile(-1, x)",
        "{} -Inf -Inf -Inf -Inf\n\
         PromQL warning: quantile value should be between 0 and 1, got -1 (1:10)",
    );
    one(
        "quantile(NaN, y)",
        "{} NaN NaN NaN NaN\n\
         PromQL warning: quantile value should be between 0 and 1, got NaN (1:10)",
    );
    check(
        "quantile(scalar(q), x)",
        "x{a=\"1\"} 1 1 1; x{a=\"2\"} 3 3 3; q 0 0.5 2",
        "{} 1 2 +Inf\n\
         PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)",
    );
}

#[test]
fn tops() {
    let one = |query: &str, expect: &str| check(query, X, expect);
    one(
        "topk(1, x)",
        "x{a=\"1\", b=\"1\"} _ _ 3 1\nx{a=\"1\", b=\"2\"} _ 5 _ _\nx{a=\"2\", b=\"1\"} 4 _ _ _",
    );
    one(
        "bottomk(2, x)",
        "x{a=\"1\", b=\"1\"} 1 _ 3 1\nx{a=\"1\", b=\"2\"} 2 5 _ 1",
    );
    one(
        "topk by (a) (1, x)",
        "x{a=\"1\", b=\"1\"} _ _ 3 1\nx{a=\"1\", b=\"2\"} 2 5 _ _\nx{a=\"2\", b=\"1\"} 4 _ _ NaN",
    );
    one("topk(0, x)", "");
    one("topk(-5, x)", "");
    one("topk(0.9, x)", "");
    one("topk(1e3, y)", "y{a=\"1\"} 8 8 8 8");
    one("topk(NaN, x)", "error: Parameter value is NaN");
    one("topk(1e30, x)", "error: Scalar value 1e+30 overflows int64");
    check(
        "topk(scalar(k), x)",
        "x{a=\"1\"} 1 1 1; x{a=\"2\"} 3 3 3; k 0 1 2",
        "x{a=\"1\"} _ _ 1\nx{a=\"2\"} _ 3 3",
    );
    check(
        "topk(scalar(k), x)",
        "x{a=\"1\"} 1 1; k 2 -1e19",
        "error: Scalar value -1e+19 underflows int64",
    );
}

#[test]
fn at_a_single_step_the_best_come_first() {
    let rows = "x{a=\"1\"} 2; x{a=\"2\"} NaN; x{a=\"3\"} 3; x{a=\"4\"} 1; x{a=\"5\"} 2";
    let order = |query, expect: &[&str]| {
        let got = evaluate(query, rows);
        let got: Vec<&str> = got.iter().map(|row| &row[5..6]).collect();
        assert_eq!(got, expect, "{query}");
    };
    order("topk(3, x)", &["3", "5", "1"]);
    order("topk(9, x)", &["3", "1", "5", "4", "2"]);
    order("bottomk(2, x)", &["4", "1"]);
    order("bottomk(9, x)", &["4", "1", "5", "3", "2"]);
}

#[test]
fn limits() {
    let one = |query: &str, expect: &str| check(query, X, expect);
    one(
        "limitk(1, x)",
        "x{a=\"1\", b=\"1\"} 1 _ 3 1\nx{a=\"1\", b=\"2\"} _ 5 _ _",
    );
    one("limitk(0, x)", "");
    one("limitk(NaN, x)", "error: Parameter value is NaN");
    one("limit_ratio(0, x)", "");
    one("limit_ratio(1, y)", "y{a=\"1\"} 8 8 8 8");
    one("limit_ratio(NaN, x)", "error: Ratio value is NaN");
    one(
        "limit_ratio(-1.1, y)",
        "y{a=\"1\"} 8 8 8 8\nPromQL warning: ratio value should be between -1 and 1, got -1.1, \
         capping to -1 (1:13)",
    );
    // Prometheus chooses the same.
    let rows = "x{a=\"1\"} 1; x{a=\"2\"} 1; x{a=\"3\"} 1; x{a=\"4\"} 1; x{a=\"5\"} 1";
    check("limit_ratio(0.3, abs(x))", rows, "{a=\"3\"} 1\n{a=\"4\"} 1");
    check(
        "limit_ratio(-0.3, abs(x))",
        rows,
        "{a=\"1\"} 1\n{a=\"2\"} 1",
    );
    // The two halves make the whole.
    let all = evaluate("x", X);
    let mut halves = evaluate("limit_ratio(0.4, x)", X);
    halves.extend(evaluate("limit_ratio(-0.6, x)", X));
    halves.sort();
    assert_eq!(halves, all);
}

#[test]
fn values_are_counted() {
    let one = |query: &str, expect: &str| check(query, X, expect);
    one(
        "count_values(\"v\", x)",
        "{v=\"1\"} 1 _ _ 2\n{v=\"2\"} 1 _ _ _\n{v=\"3\"} _ _ 1 _\n{v=\"4\"} 1 _ _ _\n\
         {v=\"5\"} _ 1 _ _\n{v=\"NaN\"} _ _ _ 1",
    );
    one("count_values without (v, a) (\"v\", y)", "{} 1 1 1 1");
    one("count_values by (a) (\"a\", y)", "{a=\"8\"} 1 1 1 1");
    one("count_values without (b) (\"a\", y)", "{a=\"8\"} 1 1 1 1");
    one("count_values(\"\", y)", "error: invalid label name \"\"");
    check(
        "count_values(\"v\", x)",
        "x{a=\"1\"} 1e21 -Inf; x{a=\"2\"} 0.0000001 1000000",
        "{v=\"1000000000000000000000\"} 1 _\n{v=\"0.0000001\"} 1 _\n{v=\"-Inf\"} _ 1\n\
         {v=\"1000000\"} _ 1",
    );
}
