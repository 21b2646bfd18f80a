//! Documents and faults, our own and Prometheus's, and random bytes.

use std::fmt::Write as _;
use std::path::PathBuf;

use base64::Engine as _;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::model::{LabelsBuilder, MetricType};

/// Writes what a body says, one line per entry. The error comes last.
fn told(body: &[u8], format: Format) -> String {
    let mut out = String::new();
    let mut parser = Parser::new(body, format);
    let mut builder = LabelsBuilder::default();
    loop {
        let _ = match parser.next() {
            Ok(None) => return out,
            Err(e) => {
                let _ = write!(out, "error: {e}");
                return out;
            }
            Ok(Some(Entry::Series { series, point })) => {
                match parser.labels(series, &mut builder) {
                    Ok(()) => out += &builder.labels().series_text(),
                    Err(e) => return out + "error: " + &e.to_string(),
                }
                let _ = write!(out, " = {}", point.v);
                if let Some(t) = point.t {
                    let _ = write!(out, " @{t}");
                }
                if let Some(raw) = point.exemplar {
                    let exemplar = parse_exemplar(raw).unwrap();
                    let _ = write!(out, " # {} {}", exemplar.labels, exemplar.v);
                    if let Some(t) = exemplar.t {
                        let _ = write!(out, " @{t}");
                    }
                }
                writeln!(out)
            }
            Ok(Some(Entry::Help { name, text })) => writeln!(out, "help {name}: {text}"),
            Ok(Some(Entry::Type { name, kind })) => writeln!(out, "type {name}: {}", kind.as_str()),
            Ok(Some(Entry::Unit { name, unit })) => writeln!(out, "unit {name}: {unit}"),
            Ok(Some(Entry::Comment)) => writeln!(out, "comment"),
        };
    }
}

#[track_caller]
fn check(format: Format, body: &str, expect: &str) {
    assert_eq!(told(body.as_bytes(), format).trim_end(), expect, "{body:?}");
}

fn text(body: &str, expect: &str) {
    check(Format::Text, body, expect);
}

fn open_metrics(body: &str, expect: &str) {
    check(Format::OpenMetrics, &format!("{body}# EOF\n"), expect);
}

#[test]
fn text_lines() {
    text("", "");
    text("\n\n", "");
    text("up 1", "up = 1");
    text("  up\t 1  \n", "up = 1");
    text("up 1 1700000000123\n", "up = 1 @1700000000123");
    text("up{} 1\n", "up = 1");
    text("up{a=\"b\",} 1\n", "up{a=\"b\"} = 1");
    text("up {a = \"b\" c=\"d\" } 1\n", "up{a=\"b\", c=\"d\"} = 1");
    text("up{a=\"b\"}1\n", "up{a=\"b\"} = 1");
    text("up{a=\"\"} 1\n", "up = 1");
    text("up{a=\"x\ny\"} 1\n", "up{a=\"x\\ny\"} = 1");
    text(r#"up{a="\\\"\n\x"} 1"#, r#"up{a="\\\"\n\\x"} = 1"#);
    text("up -Inf\nup NaN\n", "up = -inf\nup = NaN");
    text("#HELP up x\n# up\n#\n", "comment\ncomment\ncomment");
    text("# HELP up a\\\\b\\n\\\"c\n", "help up: a\\b\n\\\"c");
    text("#\tTYPE \tup gauge\n", "type up: gauge");
    text("# TYPE up untyped\n", "type up: unknown");
    text("# HELP \"a.b\" c\n", "help a.b: c");
}

#[test]
fn names_in_braces() {
    text("{\"a.b\"} 1\n", "{__name__=\"a.b\"} = 1");
    text(
        "{\"up\", \"x.y\"=\"z\", c=\"d\",} 1\n",
        "up{c=\"d\", \"x.y\"=\"z\"} = 1",
    );
    text("{c=\"d\", \"up\"} 1\n", "up{c=\"d\"} = 1");
    text("{\"a\\\"b\"} 1\n", "{__name__=\"a\\\"b\"} = 1");
    open_metrics("{\"a.b\",c=\"d\"} 1\n", "{__name__=\"a.b\", c=\"d\"} = 1");
    text(
        "up{\"x\"} 1\n",
        "error: metric name already set while parsing: \"up{\\\"x\\\"}\"",
    );
}

#[test]
fn buckets_and_quantiles_are_numbers() {
    let body = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\n\
                h_bucket{le=\"-0\"} 1\nh_bucket{le=\"1000000\"} 1\nh_bucket{le=\"x\"} 1\n\
                h{quantile=\"1\"} 1\n# TYPE s summary\ns{quantile=\"1\",le=\"1\"} 1\n\
                # TYPE g gauge\ng{quantile=\"1\",le=\"1\"} 1\n";
    let expect = "type h: histogram\nh_bucket{le=\"1.0\"} = 1\nh_bucket{le=\"+Inf\"} = 1\n\
                  h_bucket{le=\"0.0\"} = 1\nh_bucket{le=\"1e+06\"} = 1\nh_bucket{le=\"x\"} = 1\n\
                  h{quantile=\"1\"} = 1\ntype s: summary\ns{le=\"1\", quantile=\"1.0\"} = 1\n\
                  type g: gauge\ng{le=\"1\", quantile=\"1\"} = 1";
    text(body, expect);
    open_metrics(body, expect);
}

#[test]
fn text_faults() {
    text(
        "up{a=\"b\",a=\"c\"} 1\n",
        "error: label name \"a\" is not unique: invalid sample",
    );
    text(
        "up{__name__=\"a\"} 1\n",
        "error: label name \"__name__\" is not unique: invalid sample",
    );
    text(
        "up{\"\"=\"a\"} 1\n",
        "error: invalid metric name or label names: \"\"",
    );
    text("{\"\"} 1\n", "{} = 1");
    text(
        "up{a=\"b\"\n",
        "error: expected label name, got \"\\n\" (\"INVALID\") while parsing: \
         \"up{a=\\\"b\\\"\\n\"",
    );
    text(
        "up 1 -1\n",
        "error: expected timestamp or new record, got \"-\" (\"INVALID\") while parsing: \
         \"up 1 -\"",
    );
    text(
        "up 1 99999999999999999999\n",
        "error: strconv.ParseInt: parsing \"99999999999999999999\": value out of range while \
         parsing: \"up 1 99999999999999999999\"",
    );
    text("# TYPE up foo\n", "error: invalid metric type \"foo\"");
    text(
        "up 1\r\n",
        "error: strconv.ParseFloat: parsing \"1\\r\": invalid syntax while parsing: \"up 1\\r\"",
    );
    let got = told(b"{\"a\xff\"} 1\n", Format::Text);
    assert_eq!(got, "error: invalid metric name or label names: \"a\\xff\"");
    let endless = format!("up{{a=\"{}", "x".repeat(1 << 20));
    assert!(told(endless.as_bytes(), Format::Text).len() < 4096);
}

#[test]
fn open_metrics_lines() {
    open_metrics(
        "# TYPE c counter\n# UNIT c_seconds seconds\n# HELP c \\\"x\\\"\nc_total{a=\"b\"} 1.5 \
         1700000000.5 # {trace_id=\"x\\\"y\"} 0.5 1700000000.25\n",
        "type c: counter\nunit c_seconds: seconds\nhelp c: \"x\"\n\
         c_total{a=\"b\"} = 1.5 @1700000000500 # {trace_id=\"x\\\"y\"} 0.5 @1700000000250",
    );
    open_metrics("a 1 # {} 2\n", "a = 1 # {} 2");
    open_metrics(
        "a 1 \n",
        "error: expected a valid start token, got \"\\n#\" (\"LINEBREAK\") while parsing: \"\\n#\"",
    );
    open_metrics(
        "\n",
        "error: expected a valid start token, got \"\\n\" (\"INVALID\") while parsing: \"\\n\"",
    );
    open_metrics("a 1 NaN\n", "error: invalid timestamp NaN");
    check(Format::OpenMetrics, "a 1\n# EOF", "a = 1");
}

fn cases() -> Option<Value> {
    let shared = std::env::var_os("FERULA_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let path = shared.join("conformance/data/textparse/textparse_cases.json");
    let Ok(data) = std::fs::read(&path) else {
        println!("skipped: no {}", path.display());
        return None;
    };
    Some(serde_json::from_slice(&data).unwrap())
}

const FORMATS: [(&str, Format); 2] = [
    ("prometheus_text", Format::Text),
    ("openmetrics", Format::OpenMetrics),
];

#[test]
fn faults_in_prometheus_words() {
    let Some(cases) = cases() else { return };
    for (name, format) in FORMATS {
        for case in cases[name]["accept_or_reject"].as_array().unwrap() {
            let input = match case["input_b64"].as_str() {
                Some(input) => base64::engine::general_purpose::STANDARD
                    .decode(input)
                    .unwrap(),
                None => case["input"].as_str().unwrap().as_bytes().to_vec(),
            };
            let got = told(&input, format);
            let error = got.split_once("error: ").map_or("", |(_, e)| e);
            assert_eq!(error, case["error"].as_str().unwrap(), "{case}");
        }
    }
}

#[test]
fn documents_of_prometheus() {
    let Some(cases) = cases() else { return };
    for (name, format) in FORMATS {
        for document in cases[name]["documents"].as_array().unwrap() {
            let input = document["input"].as_str().unwrap();
            let entries = document["entries"].as_array().unwrap();
            let mut parser = Parser::new(input.as_bytes(), format);
            let mut entries = entries.iter();
            loop {
                let pos = parser.pos();
                let Some(entry) = parser.next().unwrap() else {
                    break;
                };
                if starts_a_series(&mut parser, &entry, format) {
                    continue;
                }
                let line = parser.line_since(pos).to_vec();
                same_entry(&mut parser, &entry, &line, entries.next().unwrap());
            }
            assert_eq!(entries.next(), None, "{}", document["name"]);
        }
    }
}

/// Whether the entry starts a series. In the expected documents `_created` lines are start times,
/// not series.
fn starts_a_series(parser: &mut Parser, entry: &Entry, format: Format) -> bool {
    let Entry::Series { series, .. } = entry else {
        return false;
    };
    let mut builder = LabelsBuilder::default();
    parser.labels(series, &mut builder).unwrap();
    let counts = [
        MetricType::Counter,
        MetricType::Histogram,
        MetricType::Summary,
    ];
    format == Format::OpenMetrics
        && counts.contains(&parser.kind())
        && builder.get("__name__").unwrap().ends_with("_created")
}

fn same_entry(parser: &mut Parser, entry: &Entry, line: &[u8], expect: &Value) {
    match entry {
        Entry::Help { name, text } => {
            assert_eq!(expect["metric"], name.as_ref());
            assert_eq!(expect["help"], text.as_ref());
        }
        Entry::Type { name, kind } => {
            assert_eq!(expect["metric"], name.as_ref());
            assert_eq!(expect["type"], kind.as_str());
        }
        Entry::Unit { name, unit } => {
            assert_eq!(expect["metric"], name.as_ref());
            assert_eq!(expect["unit"], unit.as_ref());
        }
        Entry::Comment => {
            assert_eq!(expect["comment"], std::str::from_utf8(line).unwrap());
        }
        Entry::Series { series, point } => {
            assert_eq!(expect["metric"], std::str::from_utf8(series).unwrap());
            let mut builder = LabelsBuilder::default();
            parser.labels(series, &mut builder).unwrap();
            let labels: serde_json::Map<_, _> = builder
                .iter()
                .map(|(n, v)| (n.to_owned(), v.into()))
                .collect();
            assert_eq!(expect["labels"], Value::Object(labels));
            match expect["value"].as_f64() {
                Some(v) => assert_eq!(point.v, v),
                None => assert!(point.v.is_nan() && expect["value"] == "NaN"),
            }
            assert_eq!(expect["timestamp_ms"].as_i64(), point.t);
            let exemplar = point.exemplar.map(|raw| parse_exemplar(raw).unwrap());
            let expect = &expect["exemplars"][0];
            assert_eq!(exemplar.is_some(), !expect.is_null());
            if let Some(exemplar) = exemplar {
                let mut labels = serde_json::Map::new();
                for (n, v) in &exemplar.labels {
                    labels.insert(n.to_owned(), v.into());
                }
                assert_eq!(expect["labels"], Value::Object(labels));
                assert_eq!(expect["value"].as_f64(), Some(exemplar.v));
                assert_eq!(expect["timestamp_ms"].as_i64(), exemplar.t);
            }
        }
    }
}

/// Each line with the type that held, the number of lines read the fast way, and the final error.
type Reading<'a> = (Vec<SeenLine<'a>>, usize, Option<ParseError>);
type SeenLine<'a> = (MetricType, &'a [u8], Option<Point<'a>>);

/// What an earlier body said at a place. Only a line that is not a series may be known whole.
enum Known {
    Series(Vec<u8>),
    Other(Vec<u8>),
}

/// Reads `body` the fast way wherever `memory` fits, which holds what an earlier body said, in
/// order. Returns what the slow way would have returned.
fn with_memory<'a>(body: &'a [u8], format: Format, memory: &[Known]) -> Reading<'a> {
    let mut parser = Parser::new(body, format);
    let (mut seen, mut hits) = (Vec::new(), 0);
    let known = memory.iter().map(Some).chain(std::iter::repeat(None));
    for expected in known {
        let pos = parser.pos();
        if let Some(Known::Series(expected)) = expected {
            match parser.next_if_series(expected) {
                Ok(Some(point)) => {
                    hits += 1;
                    let series = &body[pos..pos + expected.len()];
                    seen.push((parser.kind(), series, Some(point)));
                    continue;
                }
                Ok(None) => assert_eq!(parser.pos(), pos),
                Err(e) => return (seen, hits, Some(e)),
            }
        }
        if let Some(Known::Other(expected)) = expected {
            if parser.next_if_line(expected) {
                hits += 1;
                seen.push((parser.kind(), parser.line_since(pos), None));
                continue;
            }
            assert_eq!(parser.pos(), pos);
        }
        match parser.next() {
            Ok(Some(Entry::Series { series, point })) => {
                seen.push((parser.kind(), series, Some(point)));
            }
            Ok(Some(_)) => seen.push((parser.kind(), parser.line_since(pos), None)),
            Ok(None) => break,
            Err(e) => return (seen, hits, Some(e)),
        }
    }
    (seen, hits, None)
}

fn check_memory(first: &[u8], second: &[u8], format: Format) -> usize {
    let (memory, _, _) = with_memory(first, format, &[]);
    let known = |(_, line, point): &SeenLine<'_>| match point {
        Some(_) => Known::Series(line.to_vec()),
        None => Known::Other(line.to_vec()),
    };
    let memory: Vec<_> = memory.iter().map(known).collect();
    let (slow, _, slow_error) = with_memory(second, format, &[]);
    let (fast, hits, fast_error) = with_memory(second, format, &memory);
    // NaN is not equal to itself; its text is.
    assert_eq!(format!("{fast:?}"), format!("{slow:?}"));
    assert_eq!(fast_error, slow_error);
    hits
}

#[test]
fn known_lines_are_read_the_fast_way() {
    let page = b"# HELP a b\n# TYPE a counter\na 1\na{b=\"c\"} 2 3\n\n# x\n a 1e400\n";
    let page = &page[..page.len() - 9];
    assert_eq!(check_memory(page, page, Format::Text), 5);
    let other = b"# HELP a b\n# TYPE a counter\na\t1e9\na{b=\"c\"} nan\n# x";
    assert_eq!(check_memory(page, other, Format::Text), 4);
    // The series `a` is not the line's `a {b="c"}`, nor `ab`.
    assert_eq!(
        check_memory(b"a 1\na 1\n", b"a {b=\"c\"} 1\nab 1\n", Format::Text),
        0
    );
    let page = b"# TYPE a counter\na_total 1 # {b=\"c\"} 2 3\na_total 1 2\n# EOF\n";
    assert_eq!(check_memory(page, page, Format::OpenMetrics), 3);
}

/// Makes a body of meaningful pieces in an order that is often meaningless.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "a",
        "b_c",
        "1",
        "-2.5",
        "NaN",
        "1e5",
        "12345678901234567890",
        " ",
        " ",
        "  ",
        "\t",
        "\n",
        "\n",
        "{",
        "}",
        "\"",
        "=",
        ",",
        "le=\"1\"",
        "{x=\"y\"}",
        "\\",
        "\\\"",
        "# ",
        "#",
        "# HELP ",
        "# TYPE ",
        "# UNIT ",
        " counter",
        " histogram",
        " # {",
        "# EOF",
        "# EOF\n",
        "\0",
        "é",
        "{\"a.b\"",
        "a 1\n",
        "a{b=\"c\"} 2\n",
        "a{b=\"c\"} 2 # {d=\"e\"} 1 2\n",
        "+Inf",
        "0x1p3",
    ]);
    let bytes = prop_oneof![
        20 => piece.prop_map(|s| s.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|b| vec![b]),
    ];
    prop::collection::vec(bytes, 0..24).prop_map(|pieces| pieces.concat())
}

/// Makes a page that is mostly well-formed: lines in one order, values that change.
fn page() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        "# HELP a b",
        "# TYPE a counter",
        "# TYPE a gauge",
        "# TYPE a",
        "a ?",
        "ab ?",
        "a{b=\"c\"} ?",
        "a{b=\"c\"} ? ?",
        "{\"a\"} ?",
        "a{b=\"c\"} ? # {d=\"e\"} ?",
        "a {b=\"c\"} ?",
        "  a ?",
        "# x",
        "",
        "# EOF",
        "a\t?",
    ]);
    let value = prop::sample::select(vec![
        "0",
        "1",
        "-1.5",
        "1e300",
        "123456789",
        "NaN",
        "z",
        "{",
    ]);
    let line = (line, value).prop_map(|(line, value)| line.replace('?', value));
    prop::collection::vec(line, 0..12).prop_map(|lines| (lines.join("\n") + "\n").into_bytes())
}

proptest! {
    #[test]
    fn any_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..64), made in pieces()) {
        for body in [body, made] {
            for (_, format) in FORMATS {
                let _ = told(&body, format);
                let _ = labels(&body, format, MetricType::Histogram, &mut LabelsBuilder::default());
            }
            let _ = parse_exemplar(&body);
        }
    }

    #[test]
    fn the_fast_way_agrees(first in page(), second in page(), made in pieces()) {
        for (_, format) in FORMATS {
            check_memory(&first, &second, format);
            check_memory(&first, &first, format);
            check_memory(&made, &made, format);
            check_memory(&first, &made, format);
        }
    }
}
