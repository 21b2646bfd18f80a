//! Tests of every operator over steps with gaps.

use crate::promql::eval::testing::{check, check_delayed};

#[test]
fn scalars() {
    let one = |query: &str, expect: &str| check(query, "", expect);
    one("1 + 2", "{} 3");
    one("2 ^ 10", "{} 1024");
    one("-7 % 4", "{} -3");
    one("7 % -4", "{} 3");
    one("7 % 0", "{} NaN");
    one("1 / 0", "{} +Inf");
    one("1 atan2 1", "{} 0.7853981633974483");
    one("NaN == bool NaN", "{} 0");
    one("NaN != bool NaN", "{} 1");
    one("1 >= bool 1", "{} 1");
    check("scalar(x) * 2", "x 1 2", "{} 2 4");
    check("2 - scalar(x)", "x 1 2", "{} 1 0");
}

#[test]
fn vectors_with_scalars() {
    let one = |query: &str, expect: &str| check(query, "x{a=\"1\"} 1 _ 3; s 1 2 3", expect);
    one("x * 2", "{a=\"1\"} 2 _ 6");
    one("2 - x", "{a=\"1\"} 1 _ -1");
    one("x > 1", "x{a=\"1\"} _ _ 3");
    one("1 < x", "x{a=\"1\"} _ _ 3");
    one("x > 5", "");
    one("x > bool 1", "{a=\"1\"} 0 _ 1");
    one("1 >= bool x", "{a=\"1\"} 1 _ 0");
    one("x == scalar(s)", "x{a=\"1\"} 1 _ 3");
    one("scalar(s) - x", "{a=\"1\"} 0 _ 0");
    one(
        "x >/ 1",
        "PromQL info: incompatible sample types encountered for binary operator \">/\": \
         float >/ float (1:1)",
    );
    check_delayed("x > bool 1", "x 1", "x! 0");
    check_delayed("x > 0", "x 1", "x 1");
}

#[test]
fn one_to_one() {
    let rows = r#"
        x{a="1",b="1"} 1 2 _ 4
        x{a="2",b="1"} 5 _ 7 8
        y{a="1",b="1"} 10 20 30 _
        y{a="3",b="1"} 1 1 1 1
        z{a="1",c="1"} 3 _ 3 _
        z{a="1",c="2"} _ 4 _ 4
        z{a="2",c="1"} 1 1 1 1
    "#;
    let one = |query: &str, expect: &str| check(query, rows, expect);
    one("x + y", "{a=\"1\", b=\"1\"} 11 22 _ _");
    one("x - on (a) y", "{a=\"1\"} -9 -18 _ _");
    one("x + ignoring (b) y", "{a=\"1\"} 11 22 _ _");
    one("x < y", "x{a=\"1\", b=\"1\"} 1 2 _ _");
    one("x > y", "");
    one("x < bool y", "{a=\"1\", b=\"1\"} 1 1 _ _");
    one("x < on (a) y", "{a=\"1\"} 1 2 _ _");
    // Series that take turns are one, on either side.
    one("x * on (a) z", "{a=\"1\"} 3 8 _ 16\n{a=\"2\"} 5 _ 7 8");
    one("z * on (a) x", "{a=\"1\"} 3 8 _ 16\n{a=\"2\"} 5 _ 7 8");
    one(
        "x </ on (a) y",
        "PromQL info: incompatible sample types encountered for binary operator \"</\": \
         float </ float (1:1)",
    );
    one("x + nothing", "");
    one("nothing + x", "");
}

#[test]
fn many_to_one() {
    let rows = r#"
        x{a="1",b="1"} 1 2 _ 4
        x{a="1",b="2"} 5 _ 7 8
        i{a="1",v="1"} 1 1 _ _
        i{a="1",v="2"} _ _ 1 1
    "#;
    let one = |query: &str, expect: &str| check(query, rows, expect);
    one(
        "x * on (a) group_left i",
        "{a=\"1\", b=\"1\"} 1 2 _ 4\n{a=\"1\", b=\"2\"} 5 _ 7 8",
    );
    one(
        "x * on (a) group_left (v) i",
        "{a=\"1\", b=\"1\", v=\"1\"} 1 2 _ _\n{a=\"1\", b=\"1\", v=\"2\"} _ _ _ 4\n\
         {a=\"1\", b=\"2\", v=\"1\"} 5 _ _ _\n{a=\"1\", b=\"2\", v=\"2\"} _ _ 7 8",
    );
    one(
        "i - on (a) group_right x",
        "{a=\"1\", b=\"1\"} 0 -1 _ -3\n{a=\"1\", b=\"2\"} -4 _ -6 -7",
    );
    one(
        "i < on (a) group_right x",
        "x{a=\"1\", b=\"1\"} _ 1 _ 1\nx{a=\"1\", b=\"2\"} 1 _ 1 1",
    );
    one(
        "x > on (a) group_left i",
        "x{a=\"1\", b=\"1\"} _ 2 _ 4\nx{a=\"1\", b=\"2\"} 5 _ 7 8",
    );
    // Both become one series, as they never meet.
    check(
        "x * on (a) group_left (b) i",
        "x{a=\"1\",b=\"1\"} 1 _; x{a=\"1\",b=\"2\"} _ 2; i{a=\"1\",b=\"3\"} 1 1",
        "{a=\"1\", b=\"3\"} 1 2",
    );
}

#[test]
fn matches_that_are_refused() {
    const DUPLICATE: &str = "error: found duplicate series for the match group {a=\"1\"} on the \
        SIDE hand-side of the operation: [{__name__=\"y\", a=\"1\", b=\"1\"}, \
        {__name__=\"y\", a=\"1\", b=\"2\"}];many-to-many matching not allowed: matching labels \
        must be unique on one side";
    let rows = "x{a=\"1\"} 1 _; y{a=\"1\",b=\"1\"} 1 1; y{a=\"1\",b=\"2\"} 1 1; w{a=\"1\"} _ _";
    let one = |query: &str, expect: &str| check(query, rows, expect);
    one("x + on (a) y", &DUPLICATE.replace("SIDE", "right"));
    one(
        "y + on (a) group_right x",
        &DUPLICATE.replace("SIDE", "left"),
    );
    one("w + on (a) y", "");
    one("w + on (a) fill (0) y", &DUPLICATE.replace("SIDE", "right"));
    one(
        "y + on (a) x",
        "error: multiple matches for labels: many-to-one matching must be explicit \
         (group_left/group_right)",
    );
    one(
        "y + on (a) group_left (b) x",
        "error: multiple matches for labels: grouping labels must ensure unique matches",
    );
    one(
        "y > on (a) group_left (b) x",
        "error: multiple matches for labels: grouping labels must ensure unique matches",
    );
    check(
        "x * on (a) group_left (c) y",
        "x{a=\"1\",c=\"1\"} 1; x{a=\"1\",c=\"2\"} 1; y{a=\"1\"} 1",
        "error: multiple matches for labels: grouping labels must ensure unique matches",
    );
    check(
        "{a=\"1\"} * on (__name__) group_left y",
        "x{a=\"1\"} 1; y{a=\"1\"} 1",
        "{a=\"1\"} 1",
    );
}

#[test]
fn fills() {
    let rows = r#"
        x{a="1"} 1 2 _
        x{a="2"} _ 3 4
        y{a="1"} 10 _ 30
        y{a="3"} 40 50 60
    "#;
    let one = |query: &str, expect: &str| check(query, rows, expect);
    one(
        "x + fill (100) y",
        "{a=\"1\"} 11 102 130\n{a=\"2\"} _ 103 104\n{a=\"3\"} 140 150 160",
    );
    one(
        "x + fill_right (100) y",
        "{a=\"1\"} 11 102 _\n{a=\"2\"} _ 103 104",
    );
    one(
        "x + fill_left (100) y",
        "{a=\"1\"} 11 _ 130\n{a=\"3\"} 140 150 160",
    );
    one(
        "x < fill_left (7) fill_right (0) y",
        "x{a=\"1\"} 1 _ _\n{a=\"1\"} _ _ 7\n{a=\"3\"} 7 7 7",
    );
    one(
        "x * on (a) group_left () fill (2) y",
        "{a=\"1\"} 10 4 60\n{a=\"2\"} _ 6 8\n{a=\"3\"} 80 100 120",
    );
}

#[test]
fn sets() {
    let rows = r#"
        x{a="1"} 1 2 _
        x{a="2"} _ 3 4
        y{a="1"} 10 _ 30
        y{a="3"} 40 50 60
        e{a="3"} _ _ _
    "#;
    let one = |query: &str, expect: &str| check(query, rows, expect);
    one("x and y", "x{a=\"1\"} 1 _ _");
    one("x unless y", "x{a=\"1\"} _ 2 _\nx{a=\"2\"} _ 3 4");
    one(
        "x or y",
        "x{a=\"1\"} 1 2 _\nx{a=\"2\"} _ 3 4\ny{a=\"1\"} _ _ 30\ny{a=\"3\"} 40 50 60",
    );
    one(
        "abs(x) or abs(y)",
        "{a=\"1\"} 1 2 30\n{a=\"2\"} _ 3 4\n{a=\"3\"} 40 50 60",
    );
    one("x and on () y", "x{a=\"1\"} 1 2 _\nx{a=\"2\"} _ 3 4");
    one("x unless on () y", "");
    one("x or on () y", "x{a=\"1\"} 1 2 _\nx{a=\"2\"} _ 3 4");
    one("x and e", "");
    one("x unless nothing", "x{a=\"1\"} 1 2 _\nx{a=\"2\"} _ 3 4");
    one("nothing or x", "x{a=\"1\"} 1 2 _\nx{a=\"2\"} _ 3 4");
    one("x or x", "x{a=\"1\"} 1 2 _\nx{a=\"2\"} _ 3 4");
    check_delayed("abs(x) or y", "x 1 _; y 2 2", "x! 1 _\ny _ 2");
}

#[test]
fn types_and_units_go_with_the_name() {
    let rows = "x{__type__=\"gauge\",__unit__=\"s\",a=\"1\"} 1; \
                y{__type__=\"gauge\",__unit__=\"s\",a=\"1\"} 2";
    check("x * y", rows, "{a=\"1\"} 2");
    check(
        "x < y",
        rows,
        "x{__type__=\"gauge\", __unit__=\"s\", a=\"1\"} 1",
    );
    check("x < bool y", rows, "{a=\"1\"} 1");
    check_delayed(
        "x < bool y",
        rows,
        "x{__type__=\"gauge\", __unit__=\"s\", a=\"1\"}! 1",
    );
}

#[test]
fn a_join_of_much_ends_in_the_limit() {
    let row = |i: usize| format!("x{{a=\"{i}\"}} 1; ");
    let rows: String = (0..2_000).map(row).collect();
    let error = "error: query processing would load too many samples into memory in query \
                 execution";
    check("x or x", &rows, error);
    check("x * x", &rows, error);
}
