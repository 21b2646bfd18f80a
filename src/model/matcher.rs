//! Label matchers: `=`, `!=`, `=~`, `!~`.

use std::fmt;
use std::sync::Arc;

use super::names::is_legacy_label_name;
use crate::regex::{self, Regex};
use crate::stdx::gofmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MatchOp {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

impl MatchOp {
    pub fn as_str(self) -> &'static str {
        match self {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        }
    }
}

/// One condition on one label. A missing label counts as "".
#[derive(Debug, Clone)]
pub struct Matcher {
    pub op: MatchOp,
    pub name: String,
    pub value: String,
    /// The compiled value of the two regular expression operators.
    pub regex: Option<Arc<Regex>>,
}

impl Matcher {
    /// # Errors
    /// A regular expression that Go would refuse.
    pub fn new(
        op: MatchOp,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<Matcher, regex::Error> {
        let value = value.into();
        let regex = match op {
            MatchOp::Regex | MatchOp::NotRegex => Some(Arc::new(Regex::anchored(&value)?)),
            MatchOp::Equal | MatchOp::NotEqual => None,
        };
        Ok(Matcher {
            op,
            name: name.into(),
            value,
            regex,
        })
    }

    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Matcher {
        Matcher {
            op: MatchOp::Equal,
            name: name.into(),
            value: value.into(),
            regex: None,
        }
    }

    pub fn matches(&self, value: &str) -> bool {
        let regex = |value: &str| self.regex.as_ref().is_some_and(|r| r.is_match(value));
        match self.op {
            MatchOp::Equal => self.value == value,
            MatchOp::NotEqual => self.value != value,
            MatchOp::Regex => regex(value),
            MatchOp::NotRegex => !regex(value),
        }
    }

    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        self.op == other.op && self.name == other.name && self.value == other.value
    }
}

impl Eq for Matcher {}

/// Writes `name="value"`, the name quoted where it must be.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (op, value) = (self.op.as_str(), gofmt::quote(&self.value));
        if is_legacy_label_name(&self.name) {
            write!(f, "{}{op}{value}", self.name)
        } else {
            write!(f, "{}{op}{value}", gofmt::quote(&self.name))
        }
    }
}
