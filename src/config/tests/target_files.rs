//! Tests of target files, as discoveries read them.

use super::*;
use crate::model::TargetGroup;

#[test]
fn target_files() {
    use TargetFileKind::{Json, Yaml};
    let check = |text: &str, kind, expect: Result<usize, &str>| {
        let got = parse_target_groups(text.as_bytes(), kind).map(|groups| groups.len());
        match (&got, expect) {
            (Err(got), Err(expect)) => assert!(got.starts_with(expect), "{text}: {got}"),
            _ => assert_eq!(got, expect.map_err(str::to_owned), "{text}"),
        }
    };
    check(
        r#"[{"targets": ["a:1"], "labels": {"x": "y"}}, {}]"#,
        Json,
        Ok(2),
    );
    check("- targets: [a:1, 2]\n  labels: {x: 1}\n- {}", Yaml, Ok(2));
    check("", Yaml, Ok(0));
    check("null", Json, Ok(0));
    check("[null]", Json, Err("nil target group item found (index 0)"));
    check(
        "- targets: [a]\n-",
        Yaml,
        Err("nil target group item found (index 1)"),
    );
    check(
        r#"[{"target": []}]"#,
        Json,
        Err("json: unknown field \"target\""),
    );
    check(
        "- foo: 1",
        Yaml,
        Err("line 1: field foo not found in type struct"),
    );
    check(
        "- labels: {'': x}",
        Yaml,
        Err("line 1: \"\" is not a valid label name"),
    );
    check(
        "targets: []",
        Yaml,
        Err("line 1: cannot unmarshal !!map into []*targetgroup.Group"),
    );
}

/// Each expectation is what Go's `encoding/json` read from the same bytes into Prometheus's
/// structure: targets, then labels.
#[test]
fn json_as_go_takes_it() {
    let check = |text: &[u8], expect: &str| {
        let groups = parse_target_groups(text, TargetFileKind::Json);
        let shown = groups.map(|groups| {
            let group = |group: &TargetGroup| {
                let targets = group.targets.iter().map(|t| t["__address__"].clone());
                let labels = group
                    .labels
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"));
                let parts: Vec<String> = targets.chain(labels).collect();
                parts.join(",")
            };
            groups.iter().map(group).collect::<Vec<_>>().join(";")
        });
        let text = String::from_utf8_lossy(text);
        assert_eq!(shown.unwrap_or_else(|e| e), expect, "{text}");
    };
    check(
        br#"[{"Targets": ["h:1"], "Labels": {"n": "1"}}]"#,
        "h:1,n=1",
    );
    check(
        br#"[{"TARGETS": ["h"], "laBels": {"n": "1", "n": "2"}}]"#,
        "h,n=2",
    );
    check("[{\"target\u{17f}\": [\"h\"]}]".as_bytes(), "h");
    check(br#"[{"targets": ["h"], "targets": ["b"]}]"#, "b");
    check(
        br#"[{"targets": ["h", "b"], "Targets": [null, "c"]}]"#,
        "h,c",
    );
    check(br#"[{"targets": ["h"], "Targets": null}]"#, "");
    check(br#"[{"labels": {"a": "1"}, "labels": {"b": "2"}}]"#, "b=2");
    check(
        br#"[{"labels": {"a": null}}, {}, {"targets": [null]}]"#,
        "a=;;",
    );
    check(
        br#"[{"targets": ["\ud800", "\ud83d\ude00", "\udc00x", "\ud800\u0041", "\"\\\/\n"]}]"#,
        "\u{fffd},\u{1f600},\u{fffd}x,\u{fffd}A,\"\\/\n",
    );
    check(
        b"[{\"targets\": [\"a\xffb\xe2\x82c\"]}]",
        "a\u{fffd}b\u{fffd}\u{fffd}c",
    );
    check(b" null ", "");
    let into = |found: &str, place: &str| format!("json: cannot unmarshal {found} into {place}");
    let target = "Go struct field .targets of type string";
    check(br#"[{"targets": [1e5]}]"#, &into("number", target));
    check(br#"[{"targets": [true]}]"#, &into("bool", target));
    check(br#"[{"targets": [{"a": [1]}]}]"#, &into("object", target));
    check(br#"[{"targets": [[]]}]"#, &into("array", target));
    check(
        br#"[{"targets": "x"}]"#,
        &into("string", "Go struct field .targets of type []string"),
    );
    check(
        br#"[{"labels": 7}]"#,
        &into(
            "number",
            "Go struct field .labels of type map[model.LabelName]model.LabelValue",
        ),
    );
    let value = "Go struct field .labels of type model.LabelValue";
    check(
        br#"[{"labels": {"a": "1", "a": 2}}]"#,
        &into("number", value),
    );
    check(br#"[{"targets": [1], "nope": 2}]"#, &into("number", target));
    check(
        br#"[{"nope": {"x": [1, {}]}, "targets": [1]}]"#,
        "json: unknown field \"nope\"",
    );
    check(
        b"{}",
        &into("object", "Go value of type []*targetgroup.Group"),
    );
    check(
        br#"[{"labels": {"": "x"}}]"#,
        "\"\" is not a valid label name",
    );
    let at =
        |column: usize, text: &str| format!("invalid character {text} (line 1, column {column})");
    let value = "looking for beginning of value";
    check(b"[1,]", &at(4, &format!("']' {value}")));
    check(
        br#"[{"targets": [1, "a",]}]"#,
        &at(22, &format!("']' {value}")),
    );
    check(
        "\u{feff}[]".as_bytes(),
        &at(1, &format!("'\u{ef}' {value}")),
    );
    check(b"[] x", &at(4, "'x' after top-level value"));
    check(br#"[{"a" 1}]"#, &at(7, "'1' after object key"));
    check(
        b"[{a: 1}]",
        &at(3, "'a' looking for beginning of object key string"),
    );
    check(
        br#"[{"a": 1 "b": 2}]"#,
        &at(10, "'\"' after object key:value pair"),
    );
    check(b"[\"a\tb\"]", &at(4, "'\\t' in string literal"));
    check(br#"["\x"]"#, &at(4, "'x' in string escape code"));
    check(
        br#"["\u12"]"#,
        &at(7, "'\"' in \\u hexadecimal character escape"),
    );
    check(b"[01]", &at(3, "'1' after array element"));
    check(b"[-]", &at(3, "']' in numeric literal"));
    check(
        b"[1.]",
        &at(4, "']' after decimal point in numeric literal"),
    );
    check(b"[1e+]", &at(5, "']' in exponent of numeric literal"));
    check(b"[nul]", &at(5, "']' in literal null (expecting 'l')"));
    check(b"['a']", &at(2, &format!("'\\'' {value}")));
    for text in ["", "[", "[{", "[{\"a", "[{\"a\":", "[tru", "[1", "[\"\\u00"] {
        check(text.as_bytes(), "unexpected end of JSON input");
    }
}

#[test]
fn json_has_its_limits() {
    let of = |text: String| parse_target_groups(text.as_bytes(), TargetFileKind::Json);
    let deep = |n: usize| of(format!("[{{\"x\":{}{}}}]", "[".repeat(n), "]".repeat(n)));
    assert_eq!(deep(9_998), Err("json: unknown field \"x\"".to_owned()));
    let fault = deep(9_999).unwrap_err();
    assert!(fault.contains("exceeded max depth"), "{fault}");
    let many = |n: usize| of(format!("[{{\"targets\":[\"\"{}]}}]", ",\"\"".repeat(n)));
    assert!(many(1_000).is_ok());
    let fault = many(500_000).unwrap_err();
    assert_eq!(fault, "more than 500000 groups, targets and labels");
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(bytes).collect()
}

#[test]
fn utf_16_with_its_mark() {
    let dir = tempfile::tempdir().unwrap();
    for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
        let groups = utf16("- targets: ['é:1']", bytes);
        let groups = parse_target_groups(&groups, TargetFileKind::Yaml).unwrap();
        assert_eq!(groups[0].targets[0]["__address__"], "é:1");
        let file = dir.path().join("prometheus.yml");
        let more = dir.path().join("more.yml");
        let main = "scrape_configs: [{job_name: 'é'}]\nscrape_config_files: [more.yml]";
        std::fs::write(&file, utf16(main, bytes)).unwrap();
        std::fs::write(&more, utf16("scrape_configs: [{job_name: '😀'}]", bytes)).unwrap();
        let (config, _) = load(&file, &LoadOptions::default()).unwrap();
        let names = config
            .scrape_configs
            .iter()
            .map(|job| job.job_name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["é", "😀"]);
        let rules = dir.path().join("rules.yml");
        let text = "groups: [{name: g, rules: [{record: 'a:b', expr: '1'}]}]";
        std::fs::write(&rules, utf16(text, bytes)).unwrap();
        assert_eq!(rules_of_file(&rules).unwrap().len(), 1);
    }
    let half = b"\xff\xfe-\0\n\0\0\xd8-\0";
    let fault = parse_target_groups(half, TargetFileKind::Yaml).unwrap_err();
    assert_eq!(fault, "yaml: line 2: unpaired surrogate 0xd800 in UTF-16");
}
