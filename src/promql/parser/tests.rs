//! Tests of what is parsed and what is refused, with texts and places.

use std::path::PathBuf;

use super::error::ParseError;
use super::*;

mod printing;
mod random;
mod resolving;

const ALL: Features = Features {
    experimental_functions: true,
    extended_ranges: true,
    fill_modifiers: true,
    start_timestamps: true,
};

/// Compares with Prometheus 3.14's answers, as JSON strings: the error, or what it parsed.
fn check(table: &str, read: impl Fn(&str) -> Result<String, ParseError>) {
    let mut wrong = 0;
    for line in table.lines() {
        let cells: Vec<String> = line
            .split('\t')
            .map(|cell| serde_json::from_str(cell).unwrap())
            .collect();
        let (query, expect) = (&cells[0], &cells[1]);
        let got = read(query).unwrap_or_else(|error| error.to_string());
        if got != *expect {
            wrong += 1;
            println!("{query:?}:\n  got      {got}\n  expected {expect}");
        }
    }
    assert_eq!(wrong, 0);
}

#[test]
fn queries() {
    check(include_str!("testdata/queries.tsv"), |query| {
        parse(query, &Features::default()).map(|_| "ok".to_owned())
    });
}

/// With everything switched on: the text over several lines, or the error.
#[test]
fn the_whole_language() {
    check(include_str!("testdata/language.tsv"), |query| {
        parse(query, &ALL).map(|expr| pretty(&expr))
    });
}

#[test]
fn what_is_not_switched_on() {
    let refused = |query: &str, expect: &str| {
        let error = parse(query, &Features::default()).unwrap_err();
        assert_eq!(error.to_string(), expect);
    };
    refused(
        "a + fill(0) b",
        "1:1: parse error: binop fill modifiers are experimental and not enabled",
    );
    refused(
        " rate(a[5m] smoothed)",
        "1:7: parse error: smoothed modifier is experimental and not enabled",
    );
    refused(
        "1 + step()",
        "1:5: parse error: function \"step\" is not enabled",
    );
    refused(
        "limitk(1, a)",
        "1:1: parse error: limitk() is experimental and must be enabled with \
         --enable-feature=promql-experimental-functions",
    );
}

#[test]
fn selectors_alone() {
    check(include_str!("testdata/selectors.tsv"), |text| {
        parse_selector(text).map(|_| "ok".to_owned())
    });
}

#[test]
fn what_is_read() {
    let read = |query: &str| match parse(query, &Features::default()) {
        Ok(Expr::Vector(selector)) => (selector, 0),
        Ok(Expr::Matrix(matrix)) => (matrix.selector, matrix.range.ms()),
        other => panic!("{query}: {other:?}"),
    };
    let (selector, range_ms) =
        read(r#"foo{a="b\u00e9\x41\n", "c d"!~'e"f', g=~`\d+`}[1h30m] offset -1.5 @ 12.3456"#);
    let matchers: Vec<String> = selector.matchers.iter().map(ToString::to_string).collect();
    let expect = [
        r#"a="béA\n""#,
        r#""c d"!~"e\"f""#,
        r#"g=~"\\d+""#,
        r#"__name__="foo""#,
    ];
    assert_eq!(matchers, expect);
    assert_eq!(range_ms, 5_400_000);
    assert_eq!(selector.offset.ms(), -1_500);
    assert_eq!(selector.at, Some(At::Time(12_346)));
    assert_eq!(read("foo @ start()").0.at, Some(At::Start));
    assert_eq!(read("foo @ end() offset 1w").0.offset.ms(), 7 * 86_400_000);
    assert_eq!(read("foo[0x10]").1, 16_000);
    assert_eq!(read("foo[010]").1, 8_000);
    assert_eq!(read("foo[1_0.5]").1, 10_500);
    assert_eq!(read("foo[5m] offset 1m").0.span, 0..3);
    let deep = format!("{}foo{}", "(".repeat(100_000), ")".repeat(100_000));
    for deep in [
        deep,
        "-".repeat(100_000) + "foo",
        "1+".repeat(100_000) + "1",
    ] {
        let error = parse(&deep, &Features::default()).unwrap_err();
        assert_eq!(error.message, "expression nests deeper than 256");
    }
}

/// Reads a file of the project's conformance data, if it is there.
fn shared(name: &str) -> Option<serde_json::Value> {
    let shared = std::env::var("FERULA_SHARED").map_or_else(
        |_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let path = shared.join("conformance/data/promql").join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no {}", path.display());
        return None;
    };
    // In that file, bytes that are not UTF-8 are lone surrogates.
    let mut parts = text.split("\\udc");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        text.push_str("\\ufffd");
        text.push_str(&part[2..]);
    }
    Some(serde_json::from_str(&text).unwrap())
}

/// Upstream's cases: what they parse is parsed, and their errors are ours.
#[test]
fn the_shared_cases_agree() {
    let Some(cases) = shared("parser_cases.json") else {
        return;
    };
    let features = Features {
        fill_modifiers: false,
        ..ALL
    };
    for case in cases["expressions"].as_array().unwrap() {
        let query = case["input"].as_str().unwrap();
        let expect = case["errors"][0]["error"].as_str().unwrap_or("ok");
        let got = match parse(query, &features) {
            Ok(_) => "ok".to_owned(),
            Err(error) => error.message,
        };
        assert_eq!(got, expect, "{query:?}");
    }
}
