//! Applies rules to labels.

use md5::{Digest, Md5};

use super::rule::{Action, Rule};
use crate::model::LabelsBuilder;
use crate::regex::Captures;

/// Applies the rules in order. Returns false if a rule drops what has these labels; the labels are
/// then as the rules before it left them.
pub fn process(rules: &[Rule], labels: &mut LabelsBuilder) -> bool {
    let mut scratch = Scratch::default();
    rules.iter().all(|rule| apply(rule, labels, &mut scratch))
}

/// Buffers that the rules of one call share.
#[derive(Default)]
struct Scratch {
    value: String,
    target: String,
    captures: Captures,
}

fn apply(rule: &Rule, labels: &mut LabelsBuilder, scratch: &mut Scratch) -> bool {
    let Scratch { value, .. } = scratch;
    concat(rule, labels, value);
    match rule.action {
        Action::Keep => return rule.regex.is_match(value),
        Action::Drop => return !rule.regex.is_match(value),
        Action::KeepEqual => return labels.get(&rule.target_label).unwrap_or("") == value,
        Action::DropEqual => return labels.get(&rule.target_label).unwrap_or("") != value,
        Action::Replace => replace(rule, labels, scratch),
        Action::Lowercase => labels.set(&rule.target_label, &lowercase(value)),
        Action::Uppercase => labels.set(&rule.target_label, &uppercase(value)),
        Action::HashMod => labels.set(&rule.target_label, &hash_mod(value, rule.modulus)),
        Action::LabelMap => label_map(rule, labels, scratch),
        Action::LabelDrop => labels.retain(|name, _| !rule.regex.is_match(name)),
        Action::LabelKeep => labels.retain(|name, _| rule.regex.is_match(name)),
    }
    true
}

/// Joins the values of the source labels with the separator.
fn concat(rule: &Rule, labels: &LabelsBuilder, value: &mut String) {
    value.clear();
    for (i, name) in rule.source_labels.iter().enumerate() {
        if i > 0 {
            value.push_str(&rule.separator);
        }
        value.push_str(labels.get(name).unwrap_or(""));
    }
}

fn replace(rule: &Rule, labels: &mut LabelsBuilder, scratch: &mut Scratch) {
    let Scratch {
        value,
        target,
        captures,
    } = scratch;
    if let (Some(name), Some(constant)) = (rule.target.constant(), rule.value.constant()) {
        if rule.regex.is_match(value) && rule.name_scheme.is_label_name(name) {
            labels.set(name, constant);
        }
        return;
    }
    if !rule.regex.captures(value, captures) {
        return;
    }
    target.clear();
    rule.target.expand(&rule.regex, captures, value, target);
    if !rule.name_scheme.is_label_name(target) {
        return;
    }
    let name_end = target.len();
    rule.value.expand(&rule.regex, captures, value, target);
    let (name, new) = target.split_at(name_end);
    labels.set(name, new);
}

fn label_map(rule: &Rule, labels: &mut LabelsBuilder, scratch: &mut Scratch) {
    let matching = labels.iter().filter(|(name, _)| rule.regex.is_match(name));
    let found: Vec<(String, String)> = matching
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (name, value) in found {
        rule.regex.captures(&name, &mut scratch.captures);
        scratch.target.clear();
        let target = &mut scratch.target;
        rule.value
            .expand(&rule.regex, &scratch.captures, &name, target);
        // NOTE: as in Prometheus an empty name is set too. The receiver of the labels refuses it.
        labels.set(target, &value);
    }
}

/// Lowers a text as Go's `strings.ToLower` does: code point by code point, whatever stands around.
fn lowercase(text: &str) -> String {
    // NOTE: in Rust's tables only `İ` becomes two characters; Go's have the first of them.
    let one = |c: char| c.to_lowercase().next().unwrap_or(c);
    text.chars().map(one).collect()
}

/// Raises a text as Go's `strings.ToUpper` does: a letter that would become several, as `ß`, stays.
fn uppercase(text: &str) -> String {
    let one = |c: char| {
        let mut upper = c.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(single), None) => single,
            _ => c,
        }
    };
    text.chars().map(one).collect()
}

/// Returns the last eight bytes of the text's MD5, big-endian, modulo the rule's modulus.
fn hash_mod(text: &str, modulus: u64) -> String {
    let digest = Md5::digest(text.as_bytes());
    let hash = digest
        .iter()
        .skip(8)
        .fold(0u64, |hash, b| hash << 8 | u64::from(*b));
    (hash % modulus.max(1)).to_string()
}
