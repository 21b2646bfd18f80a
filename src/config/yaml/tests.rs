//! Tests of trees, lines and printing.

use super::*;

/// Writes a tree in one line: scalars as their literals, numbers and booleans with a star.
fn text(node: &Node) -> String {
    match &node.kind {
        Kind::Null => "null".to_owned(),
        Kind::Scalar {
            literal,
            text: true,
        } => format!("{literal:?}"),
        Kind::Scalar { literal, .. } => format!("*{literal}"),
        Kind::Seq(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(" ")),
        Kind::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(k, v)| format!("{}={}", k.text, text(v)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
        }
    }
}

fn check(yaml: &str, expect: &str) {
    let got = match parse(yaml, Merge::InPlace) {
        Ok(node) => text(&node),
        Err(e) => format!("{}: {e}", e.line.unwrap_or(0)),
    };
    assert_eq!(got, expect, "{yaml}");
}

#[test]
fn trees_keep_literals() {
    check("", "null");
    check("a: [1, , 2]", "1: yaml: did not find expected node content");
    check(
        "a: [1.10, 0x10, yes, '7', null, ~, true]",
        "{a=[*1.10 *0x10 \"yes\" \"7\" null null *true]}",
    );
    check("1: {2.50: x}", "{1={2.50=\"x\"}}");
    check("a: 1\na: 2", "{a=*1 a=*2}");
    check("- &x {a: 1}\n- *x", "[{a=*1} {a=*1}]");
    check(
        "x: &x {a: 1, b: 2}\ny: {b: 3, <<: *x}",
        "{x={a=*1 b=*2} y={b=*3 a=*1 b=*2}}",
    );
    check("{<<: [{a: 1}, {a: 2, b: 3}]}", "{a=*2 b=*3 a=*1}");
    let defaults = parse("{b: 3, <<: [{a: 1, b: 2}, {a: 2, c: 3}]}", Merge::Defaults);
    assert_eq!(text(&defaults.unwrap()), "{b=*3 a=*1 c=*3}");
    check(
        "<<: 1",
        "1: yaml: map merge requires map or sequence of maps as the value",
    );
    check("a: 1\n---\n[", "{a=*1}");
}

#[test]
fn numbers_and_booleans() {
    let int = |text: &str, expect: Option<i64>| assert_eq!(to_int(text), expect, "{text}");
    int("1_000", Some(1_000));
    int("0x1F", Some(31));
    int("017", Some(15));
    int("0o17", Some(15));
    int("0b11", Some(3));
    int("1e3", Some(1_000));
    int("10.0", Some(10));
    int("-5", Some(-5));
    int("1.5", None);
    int("0x-5", None);
    int("", None);
    int("a", None);
    int("99999999999999999999", None);
    int("_5", None);
    assert_eq!(to_float("_5"), None);
    let cut = |text: &str| (cut_to_int(text), cut_to_uint(text));
    assert_eq!(cut("1.5"), (Some(1), Some(1)));
    assert_eq!(cut(".5"), (Some(0), Some(0)));
    assert_eq!(cut("-1.5"), (Some(-1), None));
    assert_eq!(cut("-1"), (Some(-1), None));
    assert_eq!(cut("_5"), (None, None));
    assert_eq!(cut("1e30"), (None, None));
    assert_eq!(to_float("1_0.5"), Some(10.5));
    assert_eq!(to_float(".inf"), Some(f64::INFINITY));
    assert_eq!(to_float("inf"), None);
    assert_eq!(to_bool("On"), Some(true));
    assert_eq!(to_bool("N"), Some(false));
    assert_eq!(to_bool("oN"), None);
}

#[test]
fn lines_of_keys_and_items() {
    let yaml = "a: 1\nb:\n  - x\n  -\n  - c: &d\n      e: f\ng: *d\n";
    let node = parse(yaml, Merge::InPlace).unwrap();
    let mut ids = Vec::new();
    collect(&node, &mut ids);
    let found = lines(yaml, ids.iter().map(|(id, _)| *id));
    let told: Vec<String> = ids
        .iter()
        .map(|(id, name)| format!("{name}:{}", found.get(id).unwrap_or(&0)))
        .collect();
    assert_eq!(
        told.join(" "),
        "a:1 b:2 \"x\":3 null:4 {c={e=\"f\"}}:5 c:5 e:6 g:7 e:6"
    );
}

/// Collects keys by name, list items by their text.
fn collect(node: &Node, out: &mut Vec<(u32, String)>) {
    match &node.kind {
        Kind::Map(entries) => {
            for (key, value) in entries {
                out.push((key.id, key.text.clone()));
                collect(value, out);
            }
        }
        Kind::Seq(items) => {
            for item in items {
                out.push((item.id, text(item)));
                collect(item, out);
            }
        }
        _ => {}
    }
}

#[test]
fn printed_texts() {
    let check = |value: &str, expect: &str| {
        let out = Out::Map(vec![("k".to_owned(), value.into())]);
        assert_eq!(emit(&out), format!("k: {expect}\n"), "{value:?}");
        let read = parse(&emit(&out), Merge::InPlace).unwrap();
        let Kind::Map(entries) = read.kind else {
            panic!("{value:?}");
        };
        if let Kind::Scalar { literal, .. } = &entries[0].1.kind {
            assert_eq!(literal, value);
        }
    };
    check("plain text", "plain text");
    check("", "\"\"");
    check("yes", "\"yes\"");
    check("1.5", "\"1.5\"");
    check("1:30", "\"1:30\"");
    check("2001-01-01", "\"2001-01-01\"");
    check("a: b", "'a: b'");
    check("a:b", "a:b");
    check("it's", "it's");
    check("#x", "'#x'");
    check("a #x", "'a #x'");
    check("[x]", "'[x]'");
    check("- x", "'- x'");
    check("-x", "-x");
    check("a\tb", "\"a\\tb\"");
    check("a\nb", "|-\n  a\n  b");
    check("a\n", "|\n  a");
    check("\u{1f600}", "\"\\U0001F600\"");
    let long = "word ".repeat(20) + "end";
    let folded = "word ".repeat(15) + "word\n  word word word word end";
    check(&long, &folded);
}

#[test]
fn printed_structures() {
    let text = |v: &str| Out::from(v);
    let map = |entries: Vec<(&str, Out)>| {
        Out::Map(
            entries
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect(),
        )
    };
    let out = map(vec![
        (
            "a",
            Out::Seq(vec![
                map(vec![("x", text("1")), ("z", Out::Bool(true))]),
                text("z"),
            ]),
        ),
        (
            "b",
            map(vec![("c", map(Vec::new())), ("d", Out::Seq(Vec::new()))]),
        ),
        ("e", Out::Flow(vec!["p".to_owned(), "q,r".to_owned()])),
        ("f", Out::Float(0.25)),
        ("g", Out::Null),
    ]);
    let expect = "a:\n- x: \"1\"\n  z: true\n- z\nb:\n  c: {}\n  d: []\ne: [p, 'q,r']\nf: 0.25\n\
                  g: null\n";
    assert_eq!(emit(&out), expect);
}
