//! Files of targets, as discoveries read them.

use super::*;

#[test]
fn target_files() {
    use TargetFileKind::{Json, Yaml};
    let check = |text: &str, kind, expect: Result<usize, &str>| {
        let got = parse_target_groups(text, kind).map(|groups| groups.len());
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
        Err("json: unknown field `target`"),
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
