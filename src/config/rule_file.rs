//! Rule files, as far as `check config` reads them.

use std::collections::BTreeMap;
use std::path::Path;

use super::load::read;
use super::yaml::{self, Kind, Merge, Node};

/// The parts of a rule that are read: its name and labels.
pub type NamedRule = (String, BTreeMap<String, String>);

/// Returns the rules of a file. Their fields and expressions are not checked.
///
/// # Errors
/// The file cannot be read, or is no rule file. The text names it.
pub fn rules_of_file(path: &Path) -> Result<Vec<NamedRule>, String> {
    let shown = path.display();
    let node = yaml::parse(&read(path)?, Merge::Defaults).map_err(|e| format!("{shown}: {e}"))?;
    let wrong = |what: &str| format!("{shown}: {what}");
    let mut rules = Vec::new();
    let groups = match &node.kind {
        Kind::Null => return Ok(rules),
        Kind::Map(entries) => entries,
        _ => return Err(wrong("a rule file must be a map with groups")),
    };
    if let Some((key, _)) = groups
        .iter()
        .find(|(key, _)| key.text != "groups" && key.text != "namespace")
    {
        return Err(wrong(&format!(
            "field {} not found in type rulefmt.RuleGroups",
            key.text
        )));
    }
    for group in list(&node, "groups").ok_or_else(|| wrong("groups must be a list"))? {
        if text(group, "name").is_empty() {
            return Err(wrong("Groupname must not be empty"));
        }
        for rule in list(group, "rules").ok_or_else(|| wrong("rules must be a list"))? {
            let name = [text(rule, "record"), text(rule, "alert")];
            match name {
                [record, alert] if record.is_empty() && alert.is_empty() => {
                    return Err(wrong("one of 'record' or 'alert' must be set"));
                }
                [record, alert] if record.is_empty() => rules.push((alert, labels(rule))),
                [record, _] => rules.push((record, labels(rule))),
            }
        }
    }
    Ok(rules)
}

fn value<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    match &node.kind {
        Kind::Map(entries) => entries
            .iter()
            .find(|(k, _)| k.text == key)
            .map(|(_, node)| node),
        _ => None,
    }
}

/// Returns a list, empty where absent or null; `None` where it is not a list.
fn list<'n>(node: &'n Node, key: &str) -> Option<&'n [Node]> {
    match value(node, key).map(|node| &node.kind) {
        None | Some(Kind::Null) => Some(&[]),
        Some(Kind::Seq(items)) => Some(items),
        Some(_) => None,
    }
}

fn text(node: &Node, key: &str) -> String {
    match value(node, key).map(|node| &node.kind) {
        Some(Kind::Scalar { literal, .. }) => literal.clone(),
        _ => String::new(),
    }
}

fn labels(rule: &Node) -> BTreeMap<String, String> {
    let Some(Kind::Map(entries)) = value(rule, "labels").map(|node| &node.kind) else {
        return BTreeMap::new();
    };
    let literal = |node: &Node| match &node.kind {
        Kind::Scalar { literal, .. } => literal.clone(),
        _ => String::new(),
    };
    entries
        .iter()
        .map(|(key, node)| (key.text.clone(), literal(node)))
        .collect()
}
