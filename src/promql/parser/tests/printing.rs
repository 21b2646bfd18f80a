//! Tests of the canonical text, and of walks through the tree.

use super::*;

#[test]
fn the_shared_cases_are_printed() {
    let Some(cases) = shared("printer_cases.json") else {
        return;
    };
    for case in cases["print"].as_array().unwrap() {
        let (query, expect) = (case["in"].as_str().unwrap(), case["out"].as_str().unwrap());
        let printed = parse(query, &ALL).unwrap().to_string();
        assert_eq!(printed, expect, "{query:?}");
    }
}

#[test]
fn children_and_selectors() {
    let query = r#"topk(2, a{b="c"}) + on (d) max_over_time(e[5m:1m]) / rate({"f"}[5m])"#;
    let expr = parse(query, &ALL).unwrap();
    let texts = |expr: &Expr| expr.children().map(ToString::to_string).collect::<Vec<_>>();
    let sides = [
        r#"topk(2, a{b="c"})"#,
        r#"max_over_time(e[5m:1m]) / rate({__name__="f"}[5m])"#,
    ];
    assert_eq!(texts(&expr), sides);
    let first = expr.children().next().unwrap();
    assert_eq!(texts(first), ["2", r#"a{b="c"}"#]);
    let found = selectors(&expr);
    let names: Vec<_> = found.iter().map(|selector| selector.name()).collect();
    assert_eq!(names, [Some("a"), Some("e"), None]);
    assert_eq!(&query[found[0].span.clone()], r#"a{b="c"}"#);
}

/// Checks the places in the query.
#[test]
fn spans() {
    let span_of = |query: &str| {
        let span = parse(query, &ALL).unwrap().span();
        query[span].to_owned()
    };
    for query in [
        "a offset 5m",
        "a[5m] @ start()",
        "sum(a) by (b)",
        "sum by (b) (a)",
        "rate(a[5m])[1h:] offset 1d",
        "-a ^ 2",
        "(1 + 2)",
        "a + on (b) c",
        "'x'",
        "-5",
    ] {
        assert_eq!(span_of(&format!(" {query} ")), query);
    }
}

/// NOTE: Prometheus drops the braces here, and its text cannot be parsed again.
#[test]
fn a_selector_of_everything_keeps_its_braces() {
    let expr = parse("info(up,{})", &ALL).unwrap();
    assert_eq!(expr.to_string(), "info(up, {})");
}
