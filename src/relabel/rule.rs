//! One relabelling rule, as written and as checked.

use std::sync::{Arc, LazyLock};

use thiserror::Error;

use crate::model::names::{NameScheme, is_legacy_label_name};
use crate::regex::{self, Regex, Template};
use crate::stdx::gofmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

const ACTIONS: [(Action, &str); 11] = [
    (Action::Replace, "replace"),
    (Action::Keep, "keep"),
    (Action::Drop, "drop"),
    (Action::KeepEqual, "keepequal"),
    (Action::DropEqual, "dropequal"),
    (Action::HashMod, "hashmod"),
    (Action::LabelMap, "labelmap"),
    (Action::LabelDrop, "labeldrop"),
    (Action::LabelKeep, "labelkeep"),
    (Action::Lowercase, "lowercase"),
    (Action::Uppercase, "uppercase"),
];

impl Action {
    pub fn as_str(self) -> &'static str {
        let named = ACTIONS.iter().find(|(action, _)| *action == self);
        named.map_or("", |(_, name)| name)
    }

    /// Reads an action's name in any case.
    fn parse(text: &str) -> Result<Action, RuleError> {
        let lower = text.to_lowercase();
        let named = ACTIONS.iter().find(|(_, name)| *name == lower);
        named
            .map(|(action, _)| *action)
            .ok_or_else(|| RuleError::UnknownAction(text.to_owned()))
    }
}

/// The default of a rule's `regex`; the other fields' defaults follow.
const DEFAULT_REGEX: &str = "(.*)";
const DEFAULT_SEPARATOR: &str = ";";
const DEFAULT_REPLACEMENT: &str = "$1";

/// A rule as it is written. An absent field has its default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct RawRule {
    /// `None` where the field is absent, which differs from an empty list.
    pub source_labels: Option<Vec<String>>,
    pub separator: Option<String>,
    pub regex: Option<String>,
    pub modulus: u64,
    pub target_label: String,
    pub replacement: Option<String>,
    pub action: Option<String>,
}

/// Why a rule is refused, in Prometheus's words (reference section 2.5).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RuleError {
    #[error("unknown relabel action {}", gofmt::quote(.0))]
    UnknownAction(String),
    #[error("relabel configuration for hashmod requires non-zero modulus")]
    NoModulus,
    #[error("relabel configuration for {} action requires 'target_label' value", .0.as_str())]
    NoTarget(Action),
    #[error("{} is invalid 'target_label' for {} action", gofmt::quote(.1), .0.as_str())]
    BadTarget(Action, String),
    #[error("'replacement' can not be set for {} action", .0.as_str())]
    ReplacementSet(Action),
    #[error("{} is invalid 'replacement' for {} action", gofmt::quote(.1), .0.as_str())]
    BadReplacement(Action, String),
    #[error(
        "{} action requires only 'source_labels' and `target_label`, and no other fields",
        .0.as_str()
    )]
    OnlySourceAndTarget(Action),
    #[error("{} action requires only 'regex', and no other fields", .0.as_str())]
    OnlyRegex(Action),
    #[error(transparent)]
    Regex(#[from] regex::Error),
}

/// A checked rule. Rules compare by value, the regular expression by its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    pub source_labels: Vec<String>,
    pub separator: String,
    pub regex: Arc<Regex>,
    pub modulus: u64,
    pub target_label: String,
    pub replacement: String,
    pub action: Action,
    pub name_scheme: NameScheme,
    /// `target_label`, parsed; `value` is `replacement`, parsed.
    pub(super) target: Template,
    pub(super) value: Template,
}

/// The default expression, shared by the many rules that leave it out.
static ANYTHING: LazyLock<Option<Arc<Regex>>> =
    LazyLock::new(|| Regex::wrapped(DEFAULT_REGEX).ok().map(Arc::new));

impl Rule {
    /// Checks a rule as it is written.
    ///
    /// # Errors
    /// The first of Prometheus's checks that fails, in its order.
    pub fn checked(raw: &RawRule, scheme: NameScheme) -> Result<Rule, RuleError> {
        let action = Action::parse(raw.action.as_deref().unwrap_or("replace"))?;
        let regex = match (raw.regex.as_deref().unwrap_or(DEFAULT_REGEX), &*ANYTHING) {
            (DEFAULT_REGEX, Some(anything)) => anything.clone(),
            (pattern, _) => Arc::new(Regex::wrapped(pattern)?),
        };
        let or = |field: &Option<String>, default: &str| {
            field.clone().unwrap_or_else(|| default.to_owned())
        };
        let replacement = or(&raw.replacement, DEFAULT_REPLACEMENT);
        let rule = Rule {
            source_labels: raw.source_labels.clone().unwrap_or_default(),
            separator: or(&raw.separator, DEFAULT_SEPARATOR),
            regex,
            modulus: raw.modulus,
            target_label: raw.target_label.clone(),
            action,
            name_scheme: scheme,
            target: Template::new(&raw.target_label),
            value: Template::new(&replacement),
            replacement,
        };
        rule.check_target()?;
        rule.check_others(raw)?;
        Ok(rule)
    }

    fn check_target(&self) -> Result<(), RuleError> {
        let action = self.action;
        if action == Action::HashMod && self.modulus == 0 {
            return Err(RuleError::NoModulus);
        }
        if !self.sets_target() {
            return Ok(());
        }
        if self.target_label.is_empty() {
            return Err(RuleError::NoTarget(action));
        }
        let target = &self.target_label;
        let valid = if action == Action::Replace && target.contains('$') {
            self.is_template_of_a_name(target)
        } else {
            self.name_scheme.is_label_name(target)
        };
        if valid {
            Ok(())
        } else {
            Err(RuleError::BadTarget(action, target.clone()))
        }
    }

    fn sets_target(&self) -> bool {
        !matches!(
            self.action,
            Action::Keep | Action::Drop | Action::LabelMap | Action::LabelDrop | Action::LabelKeep
        )
    }

    fn is_template_of_a_name(&self, text: &str) -> bool {
        match self.name_scheme {
            NameScheme::Utf8 => self.name_scheme.is_label_name(text),
            NameScheme::Legacy => is_legacy_template(text),
        }
    }

    fn check_others(&self, raw: &RawRule) -> Result<(), RuleError> {
        use Action::{DropEqual, KeepEqual, LabelDrop, LabelKeep, LabelMap, Lowercase, Uppercase};
        let action = self.action;
        let replacement_set = self.replacement != DEFAULT_REPLACEMENT;
        let plain = self.modulus == 0 && self.separator == DEFAULT_SEPARATOR && !replacement_set;
        match action {
            Lowercase | Uppercase | KeepEqual | DropEqual if replacement_set => {
                Err(RuleError::ReplacementSet(action))
            }
            // NOTE: a written regex is refused even where it equals the default's text.
            KeepEqual | DropEqual if !plain || raw.regex.is_some() => {
                Err(RuleError::OnlySourceAndTarget(action))
            }
            LabelMap if !self.is_template_of_a_name(&self.replacement) => {
                Err(RuleError::BadReplacement(action, self.replacement.clone()))
            }
            LabelDrop | LabelKeep
                if !plain || raw.source_labels.is_some() || !self.target_label.is_empty() =>
            {
                Err(RuleError::OnlyRegex(action))
            }
            _ => Ok(()),
        }
    }
}

/// Whether `text` is a legacy label name in which `$1`, `${1}` and the like may stand for parts. As
/// in Prometheus such a reference has a name of ASCII letters, digits and underscores, and a digit
/// may follow it.
fn is_legacy_template(text: &str) -> bool {
    let mut rest = text;
    let mut name = String::new();
    while let Some((before, after)) = rest.split_once('$') {
        name.push_str(before);
        let (body, end) = match after.strip_prefix('{') {
            Some(body) => (body, "}"),
            None => (after, ""),
        };
        let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        let len = body.bytes().take_while(word).count();
        let Some(after) = body.get(len..).and_then(|after| after.strip_prefix(end)) else {
            return false;
        };
        if len == 0 {
            return false;
        }
        // Whatever it stands for, it may begin a name.
        name.push('_');
        rest = after;
    }
    name.push_str(rest);
    is_legacy_label_name(&name)
}
