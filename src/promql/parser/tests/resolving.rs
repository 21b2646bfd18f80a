//! Tests of computed lengths, valid and invalid.

use super::*;

fn check(query: &str, step_ms: i64, range_ms: i64, expect: &str) {
    let expr = parse(query, &ALL).unwrap();
    let got = resolve(&expr, step_ms, range_ms);
    let got = got.map_or_else(|error| error, |expr| expr.to_string());
    assert_eq!(got, expect, "{query}");
}

#[test]
fn computed_lengths() {
    check("foo[5m*2]", 0, 0, "foo[10m]");
    check(
        "foo[(5m)] offset -(1h+step())",
        15_000,
        0,
        "foo[5m] offset -1h15s",
    );
    check("foo[min_of(5m, range())]", 0, 60_000, "foo[1m]");
    check("foo offset max_of(5m, range())", 0, 60_000, "foo offset 5m");
    check("rate(foo[2^3%5s])", 0, 0, "rate(foo[3s])");
    check("foo offset --step()", 1_000, 0, "foo offset 1s");
    check(
        "(foo @ start())[1h-30m:step()*2]",
        15_000,
        0,
        "(foo @ start())[30m:30s]",
    );
    check("foo[0.25+0.0005]", 0, 0, "foo[250ms]");
}

#[test]
fn lengths_that_are_none() {
    check("foo[step()]", 0, 0, "4:10: duration must be greater than 0");
    check("foo[(0)]", 0, 0, "4:6: duration must be greater than 0");
    check("foo[1/(0)]", 0, 0, "4:8: division by zero");
    check("foo[1%(0)]", 0, 0, "4:8: modulo by zero");
    check("foo[1m:1/(1-1)]", 0, 0, "7:13: division by zero");
    check("foo[1/-(step()*0)]", 0, 0, "4:16: division by zero");
    let query = "foo[max_of(-1,step()-2)]";
    check(query, 0, 0, "11:22: duration must be greater than 0");
    check(
        "foo offset (10^400)",
        0,
        0,
        "12:18: duration is NaN or infinite",
    );
    check(
        "foo offset (10^300)",
        0,
        0,
        "12:18: duration is out of range",
    );
    check(
        "foo[1m-(2m)]",
        0,
        0,
        "4:10: duration must be greater than 0",
    );
    check("foo[-(5m)]", 0, 0, "4:8: duration must be greater than 0");
}
