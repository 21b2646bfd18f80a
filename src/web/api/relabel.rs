//! `/targets/relabel_steps`: what each rule of a pool does to given labels.

use std::collections::BTreeMap;
use std::slice;

use super::{Answer, ApiError};
use crate::model::{Labels, LabelsBuilder};
use crate::relabel::{Rule, process};
use crate::web::context::Context;
use crate::web::json::{self, Object};
use crate::web::server::Request;

pub fn steps(context: &Context, request: &Request) -> Result<Answer, ApiError> {
    let form = request.form()?;
    let parameter = |name: &str| {
        let found = form.get(name).filter(|text| !text.is_empty());
        found.ok_or_else(|| ApiError::bad_data(format!("no {name} parameter provided")))
    };
    let (pool, labels) = (parameter("scrapePool")?, parameter("labels")?);
    let labels: BTreeMap<String, String> = serde_json::from_str(labels)
        .map_err(|why| ApiError::bad_data(format!("error parsing labels: {why}")))?;
    let Some(rules) = context.scrape.relabel_rules(pool) else {
        let why = format!("error retrieving scrape config: scrape pool {pool:?} not found");
        return Err(ApiError::bad_data(why));
    };
    let steps = steps_of(&rules, &labels);
    Ok(Answer::of(Object::new().raw("steps", &steps).end()))
}

/// Writes the steps. Once labels are dropped, they are dropped in all later steps.
fn steps_of(rules: &[Rule], labels: &BTreeMap<String, String>) -> String {
    let mut builder = LabelsBuilder::default();
    for (name, value) in labels {
        builder.set(name, value);
    }
    let mut keep = true;
    json::list(rules, |out, rule| {
        keep = keep && process(slice::from_ref(rule), &mut builder);
        let output = if keep {
            builder.labels()
        } else {
            Labels::empty()
        };
        let step = Object::new()
            .raw("rule", &rule_json(rule))
            .labels("output", &output)
            .bool("keep", keep);
        out.push_str(&step.end());
    })
}

fn rule_json(rule: &Rule) -> String {
    let mut object = Object::new();
    if !rule.source_labels.is_empty() {
        object = object.raw("source_labels", &json::texts(&rule.source_labels));
    }
    object = object
        .text("separator", &rule.separator)
        .text("regex", rule.regex.pattern());
    if rule.modulus > 0 {
        object = object.number("modulus", rule.modulus as f64);
    }
    if !rule.target_label.is_empty() {
        object = object.text("target_label", &rule.target_label);
    }
    object
        .text("replacement", &rule.replacement)
        .text("action", rule.action.as_str())
        .end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::NameScheme;
    use crate::relabel::RawRule;

    #[test]
    fn each_step_has_its_output() {
        let rule = |action: &str, source: &[&str], regex: Option<&str>, target: &str| {
            let raw = RawRule {
                source_labels: (!source.is_empty())
                    .then(|| source.iter().map(|&s| s.to_owned()).collect()),
                regex: regex.map(str::to_owned),
                target_label: target.to_owned(),
                action: Some(action.to_owned()),
                ..RawRule::default()
            };
            Rule::checked(&raw, NameScheme::Utf8).unwrap()
        };
        let rules = [
            rule("replace", &["a"], None, "b"),
            rule("drop", &["a", "b"], Some("1;."), ""),
            rule("labeldrop", &[], Some("a"), ""),
        ];
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        let gone = r#""output":{},"keep":false}"#;
        let expect = format!(
            "{}{}{gone},{}{gone}]",
            r#"[{"rule":{"source_labels":["a"],"separator":";","regex":"(.*)","target_label":"b","replacement":"$1","action":"replace"},"output":{"a":"1","b":"1"},"keep":true},"#,
            r#"{"rule":{"source_labels":["a","b"],"separator":";","regex":"1;.","replacement":"$1","action":"drop"},"#,
            r#"{"rule":{"separator":";","regex":"a","replacement":"$1","action":"labeldrop"},"#,
        );
        assert_eq!(steps_of(&rules, &labels), expect);
        assert_eq!(steps_of(&[], &labels), "[]");
    }
}
