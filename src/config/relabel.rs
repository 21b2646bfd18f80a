//! Lists of relabelling rules (reference section 2.5).

use super::section::{Item, Section};
use super::yaml::Out;
use crate::model::names::NameScheme;
use crate::relabel::{RawRule, Rule, RuleError};

/// Reads and notes a list of rules. `empty` is the error for a null element.
pub(super) fn rules(
    s: &mut Section<'_>,
    key: &'static str,
    scheme: NameScheme,
    empty: &str,
) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut shown = Vec::new();
    for item in s.list(key, "[]*relabel.Config") {
        if item.is_null() {
            item.error(empty);
            continue;
        }
        let Some((rule, out)) = rule(&item, scheme) else {
            continue;
        };
        rules.extend(rule);
        shown.push(out);
    }
    s.put_some(key, Out::Seq(shown));
    rules
}

fn rule(item: &Item<'_>, scheme: NameScheme) -> Option<(Option<Rule>, Out)> {
    let mut s = item.section("relabel.plain")?;
    let source_labels = s
        .get("source_labels")
        .filter(|item| !item.is_null())
        .map(|item| item.strings("model.LabelNames"));
    let raw = RawRule {
        source_labels,
        separator: s.get("separator").map(|item| item.string()),
        // A written null is the empty pattern, which matches only the empty text.
        regex: s.get("regex").map(|item| item.string()),
        modulus: s.uint("modulus").unwrap_or(0),
        target_label: s.string("target_label"),
        replacement: s.get("replacement").map(|item| item.string()),
        action: s.get("action").map(|item| item.string()),
    };
    if let Some(bad) = raw
        .source_labels
        .iter()
        .flatten()
        .find(|name| name.is_empty())
    {
        let quoted = crate::stdx::gofmt::quote(bad);
        s.error_at(
            "source_labels",
            format!("{quoted} is not a valid label name"),
        );
    }
    let rule = match Rule::checked(&raw, scheme) {
        _ if s.is_null("action") => {
            s.error_at("action", "relabel action cannot be empty");
            None
        }
        Ok(rule) => Some(rule),
        Err(e) => {
            s.error_at(key_of(&e), e.to_string());
            None
        }
    };
    note(&mut s, &raw);
    Some((rule, s.finish()))
}

fn key_of(e: &RuleError) -> &'static str {
    match e {
        RuleError::Regex(_) => "regex",
        RuleError::NoModulus => "modulus",
        RuleError::BadTarget(..) => "target_label",
        RuleError::ReplacementSet(_) | RuleError::BadReplacement(..) => "replacement",
        _ => "action",
    }
}

fn note(s: &mut Section<'_>, raw: &RawRule) {
    let or = |field: &Option<String>, default: &str| -> String {
        field.clone().unwrap_or_else(|| default.to_owned())
    };
    s.put_some(
        "source_labels",
        Out::Flow(raw.source_labels.clone().unwrap_or_default()),
    );
    s.put("separator", or(&raw.separator, ";"));
    // Prometheus counts the default as empty.
    if let Some(regex) = raw.regex.as_deref().filter(|regex| *regex != "(.*)") {
        s.put("regex", regex);
    }
    s.put_uint("modulus", raw.modulus);
    s.put_some("target_label", raw.target_label.as_str());
    s.put("replacement", or(&raw.replacement, "$1"));
    s.put_some("action", or(&raw.action, "replace").to_lowercase());
}
