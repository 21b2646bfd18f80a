//! What is read, what is refused, in which words and where.

use std::path::PathBuf;

use super::*;

/// What Prometheus 3.14 answers to a query: `ok` or the error, both as JSON strings. What we do not
/// read yet is marked `later`.
fn check(table: &str, read: impl Fn(&str) -> Result<(), ParseError>) {
    let mut wrong = 0;
    for line in table.lines() {
        let cells: Vec<String> = line
            .split('\t')
            .map(|cell| serde_json::from_str(cell).unwrap())
            .collect();
        let (query, expect) = (&cells[0], &cells[1]);
        let got = match read(query) {
            Ok(()) => "ok".to_owned(),
            Err(error) if error.message.starts_with("not supported yet") => "later".to_owned(),
            Err(error) => error.to_string(),
        };
        if got != *cells.get(2).unwrap_or(expect) {
            wrong += 1;
            println!("{query:?}:\n  got      {got}\n  expected {expect}");
        }
    }
    assert_eq!(wrong, 0);
}

#[test]
fn queries() {
    check(include_str!("testdata/queries.tsv"), |query| {
        parse(query).map(|_| ())
    });
}

#[test]
fn selectors() {
    check(include_str!("testdata/selectors.tsv"), |text| {
        parse_selector(text).map(|_| ())
    });
}

#[test]
fn what_is_read() {
    let read = |query: &str| match parse(query) {
        Ok(Expr::Vector(selector)) => (selector, 0),
        Ok(Expr::Matrix(matrix)) => (matrix.selector, matrix.range_ms),
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
    assert_eq!(selector.offset_ms, -1_500);
    assert_eq!(selector.at, Some(At::Time(12_346)));
    assert_eq!(read("foo @ start()").0.at, Some(At::Start));
    assert_eq!(read("foo @ end() offset 1w").0.offset_ms, 7 * 86_400_000);
    assert_eq!(read("foo[0x10]").1, 16_000);
    assert_eq!(read("foo[010]").1, 8_000);
    assert_eq!(read("foo[1_0.5]").1, 10_500);
    assert_eq!(read("foo[5m] offset 1m").0.span, 0..3);
    let deep = format!("{}foo{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(
        parse(&deep)
            .unwrap_err()
            .message
            .contains("nest deeper than 100")
    );
}

/// Upstream's cases: what they take is read or not supported yet, and their errors are ours.
#[test]
fn the_shared_cases_agree() {
    let shared = std::env::var("FERULA_SHARED").map_or_else(
        |_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let path = shared.join("conformance/data/promql/parser_cases.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no {}", path.display());
        return;
    };
    // Bytes that are not UTF-8 are written as lone surrogates there.
    let mut parts = text.split("\\udc");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        text.push_str("\\ufffd");
        text.push_str(&part[2..]);
    }
    let cases: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (mut read, mut later, mut wrong) = (0, 0, 0);
    for case in cases["expressions"].as_array().unwrap() {
        let query = case["input"].as_str().unwrap();
        let first = &case["errors"][0]["error"];
        let expect = first.as_str().unwrap_or("ok");
        let got = match parse(query) {
            Ok(_) => "ok".to_owned(),
            Err(error) => error.message,
        };
        if got.starts_with("not supported yet") {
            later += 1;
        } else if got == expect {
            read += 1;
        } else {
            wrong += 1;
            println!("{query:?}: got {got}, expected {expect}");
        }
    }
    println!("{read} agree, {later} are not supported yet");
    assert_eq!(wrong, 0);
}
