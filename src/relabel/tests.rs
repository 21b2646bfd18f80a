//! Every action, and every refusal.

use std::path::PathBuf;

use serde_json::Value;

use super::*;
use crate::model::names::NameScheme;
use crate::model::{Labels, LabelsBuilder};

/// Makes a rule from `key=value` parts. `source_labels` are separated by commas.
fn raw(parts: &[(&str, &str)]) -> RawRule {
    let mut raw = RawRule::default();
    for (key, value) in parts {
        let text = Some((*value).to_owned());
        match *key {
            "source_labels" => {
                raw.source_labels = Some(value.split(',').map(str::to_owned).collect());
            }
            "separator" => raw.separator = text,
            "regex" => raw.regex = text,
            "modulus" => raw.modulus = value.parse().unwrap(),
            "target_label" => raw.target_label = (*value).to_owned(),
            "replacement" => raw.replacement = text,
            "action" => raw.action = text,
            other => panic!("{other}"),
        }
    }
    raw
}

/// Labels are written `a=1 b=2`; dropped ones are "dropped".
fn check(labels: &str, rule: &[(&str, &str)], expect: &str) {
    let pairs = labels.split(' ').filter_map(|pair| pair.split_once('='));
    let mut builder = LabelsBuilder::new(&Labels::from_pairs(pairs));
    let rule = Rule::checked(&raw(rule), NameScheme::Utf8).unwrap();
    let kept = process(std::slice::from_ref(&rule), &mut builder);
    let pairs: Vec<String> = builder.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let got = if kept {
        pairs.join(" ")
    } else {
        "dropped".to_owned()
    };
    assert_eq!(got, expect, "{rule:?} on {labels}");
}

#[test]
fn actions() {
    let set = [("target_label", "x"), ("replacement", "y")];
    check("a=1", &set, "a=1 x=y");
    check("x=1", &[("target_label", "x"), ("replacement", "")], "");
    check(
        "a=1",
        &[("source_labels", "a"), ("target_label", "b")],
        "a=1 b=1",
    );
    check("a=1", &[("source_labels", "b"), ("target_label", "a")], "");
    check(
        "a=1 b=2",
        &[
            ("source_labels", "a,b,c"),
            ("target_label", "d"),
            ("separator", "-"),
        ],
        "a=1 b=2 d=1-2-",
    );
    check(
        "a=host:80",
        &[
            ("source_labels", "a"),
            ("regex", "(.+):(?P<port>\\d+)"),
            ("target_label", "p_$port"),
            ("replacement", "${1}"),
        ],
        "a=host:80 p_80=host",
    );
    check(
        "a=1",
        &[
            ("source_labels", "a"),
            ("regex", "2"),
            ("target_label", "b"),
        ],
        "a=1",
    );
    // `$1x` refers to no group, and an empty name is no name.
    check(
        "a=1",
        &[("source_labels", "a"), ("target_label", "$1x")],
        "a=1",
    );
    check(
        "a=1",
        &[("action", "keep"), ("source_labels", "a"), ("regex", "1|2")],
        "a=1",
    );
    check(
        "a=3",
        &[("action", "keep"), ("source_labels", "a"), ("regex", "1|2")],
        "dropped",
    );
    check(
        "a=1",
        &[("action", "drop"), ("source_labels", "a"), ("regex", "1|2")],
        "dropped",
    );
    check(
        "a=1",
        &[("action", "DROP"), ("source_labels", "b"), ("regex", "")],
        "dropped",
    );
    let equal = |action| {
        [
            ("action", action),
            ("source_labels", "a"),
            ("target_label", "b"),
        ]
    };
    check("a=1 b=1", &equal("keepequal"), "a=1 b=1");
    check("a=1 b=2", &equal("keepequal"), "dropped");
    check("a=1 b=1", &equal("dropequal"), "dropped");
    check("c=1", &equal("dropequal"), "dropped");
    check(
        "a_x=1 b=2",
        &[("action", "labeldrop"), ("regex", "a_.*")],
        "b=2",
    );
    check(
        "a_x=1 b=2",
        &[("action", "labelkeep"), ("regex", "a_.*")],
        "a_x=1",
    );
    let map = [
        ("action", "labelmap"),
        ("regex", "m_(.+)"),
        ("replacement", "k_$1"),
    ];
    check("m_a=1 m_b=2 c=3", &map, "c=3 k_a=1 k_b=2 m_a=1 m_b=2");
    check(
        "a=Aß",
        &[
            ("action", "uppercase"),
            ("source_labels", "a"),
            ("target_label", "a"),
        ],
        "a=Aß",
    );
    check(
        "a=AΣ",
        &[
            ("action", "lowercase"),
            ("source_labels", "a"),
            ("target_label", "a"),
        ],
        "a=aσ",
    );
}

#[test]
fn checks() {
    fn bad(scheme: NameScheme, rule: &[(&str, &str)], expect: &str) {
        let error = Rule::checked(&raw(rule), scheme).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), expect, "{rule:?}");
    }
    let utf8 = NameScheme::Utf8;
    bad(
        utf8,
        &[("action", "replce")],
        r#"unknown relabel action "replce""#,
    );
    bad(utf8, &[("action", "")], r#"unknown relabel action """#);
    let hashmod = "relabel configuration for hashmod requires non-zero modulus";
    bad(utf8, &[("action", "hashmod")], hashmod);
    bad(
        utf8,
        &[("action", "Uppercase")],
        "relabel configuration for uppercase action requires 'target_label' value",
    );
    let legacy = NameScheme::Legacy;
    let target = |target, expect| bad(legacy, &[("target_label", target)], expect);
    target(
        "a-b",
        r#""a-b" is invalid 'target_label' for replace action"#,
    );
    target(
        "0$1",
        r#""0$1" is invalid 'target_label' for replace action"#,
    );
    target(
        "a$-",
        r#""a$-" is invalid 'target_label' for replace action"#,
    );
    target(
        "${1",
        r#""${1" is invalid 'target_label' for replace action"#,
    );
    bad(
        legacy,
        &[("action", "lowercase"), ("target_label", "$1")],
        r#""$1" is invalid 'target_label' for lowercase action"#,
    );
    bad(
        utf8,
        &[
            ("action", "lowercase"),
            ("target_label", "a"),
            ("replacement", "b"),
        ],
        "'replacement' can not be set for lowercase action",
    );
    bad(
        legacy,
        &[("action", "labelmap"), ("replacement", "a.b")],
        r#""a.b" is invalid 'replacement' for labelmap action"#,
    );
    bad(
        utf8,
        &[
            ("action", "keepequal"),
            ("target_label", "a"),
            ("regex", "(.*)"),
        ],
        "keepequal action requires only 'source_labels' and `target_label`, and no other fields",
    );
    let only = "labelkeep action requires only 'regex', and no other fields";
    bad(
        utf8,
        &[("action", "labelkeep"), ("source_labels", "a")],
        only,
    );
    bad(
        utf8,
        &[("action", "labelkeep"), ("target_label", "a")],
        only,
    );
    bad(
        utf8,
        &[("action", "labeldrop"), ("regex", "a(")],
        "error parsing regexp: missing closing ): `^(?s:a()$`",
    );
    for good in ["$1", "a_${1}_b", "$1$2", "_$name", "a1"] {
        assert!(
            Rule::checked(&raw(&[("target_label", good)]), legacy).is_ok(),
            "{good}"
        );
    }
    let rule = |separator| {
        let parts = [("target_label", "a"), ("separator", separator)];
        Rule::checked(&raw(&parts), utf8).unwrap()
    };
    assert_eq!(
        rule(";"),
        Rule::checked(&raw(&[("target_label", "a")]), utf8).unwrap()
    );
    assert_ne!(rule(";"), rule(","));
}

fn from_json(rule: &Value) -> RawRule {
    let text = |key: &str| rule[key].as_str().map(str::to_owned);
    let list = |value: &Value| {
        let names = value.as_array()?.iter();
        Some(
            names
                .map(|name| name.as_str().unwrap().to_owned())
                .collect(),
        )
    };
    RawRule {
        source_labels: list(&rule["source_labels"]),
        separator: text("separator"),
        regex: text("regex"),
        modulus: rule["modulus"].as_u64().unwrap_or(0),
        target_label: text("target_label").unwrap_or_default(),
        replacement: text("replacement"),
        action: text("action"),
    }
}

#[test]
fn the_shared_cases_agree() {
    let shared = std::env::var("FERULA_SHARED").map_or_else(
        |_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let path = shared.join("conformance/data/relabel/relabel_cases.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no {}", path.display());
        return;
    };
    let cases: Value = serde_json::from_str(&text).unwrap();
    let pairs = |value: &Value| {
        let pairs = value.as_object().unwrap().iter();
        Labels::from_pairs(pairs.map(|(n, v)| (n.clone(), v.as_str().unwrap().to_owned())))
    };
    for case in cases["process"].as_array().unwrap() {
        let rules: Vec<Rule> = case["relabel"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| Rule::checked(&from_json(rule), NameScheme::Utf8).unwrap())
            .collect();
        let mut builder = LabelsBuilder::new(&pairs(&case["input"]));
        let kept = process(&rules, &mut builder);
        assert_eq!(kept, case["drop"] != true, "{case}");
        if kept {
            assert_eq!(builder.labels(), pairs(&case["output"]), "{case}");
        }
    }
    for case in cases["validate"].as_array().unwrap() {
        let rule = &case["config"];
        if rule["action"].is_null() {
            // An absent action is the default here, not an error.
            continue;
        }
        let scheme = match rule["_name_validation"].as_str() {
            Some("legacy") => NameScheme::Legacy,
            _ => NameScheme::Utf8,
        };
        let error = Rule::checked(&from_json(rule), scheme).err();
        let text = error.map_or(String::new(), |error| error.to_string());
        let expect = case["error"].as_str().unwrap();
        assert!(
            text.contains(expect) && text.is_empty() == expect.is_empty(),
            "{case}: {text}"
        );
    }
}
