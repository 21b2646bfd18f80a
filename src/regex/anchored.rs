//! The regular expression that other rooms use.

use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

use regex_automata::Input;
use regex_automata::meta;
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::util::primitives::NonMaxUsize;
use regex_syntax::hir::{Hir, Look};

use super::captures::Captures;
use super::error::{self, Error};
use super::factor;
use super::parse::{self, Parsed};
use super::shape::{self, Shape};
use crate::bug;

/// LIMIT: bytes of a pattern's automaton.
const NFA_BYTES_MAX: usize = 8 << 20;

/// LIMIT: bytes of the states that an automaton keeps per searching thread.
const CACHE_BYTES: usize = 64 << 10;

/// Patterns that cost less surely fit the limit, so they are compiled at their first use. Others
/// are compiled at once, to find out.
const SURE_COST: u64 = 4_000;

/// A pattern that matches a whole text: `^(?s:PATTERN)$`. Two are equal if their patterns are.
#[derive(Debug)]
pub struct Regex {
    /// The text that is parsed; [`Regex::wrapped`] puts `^(?s:` and `)$` around the pattern.
    text: Box<str>,
    wrapped: bool,
    /// The pattern's parentheses close the wrapping, as those of `a)|(b` do, so that it need not
    /// match the whole text.
    loose: bool,
    shape: Shape,
    /// The names by group; the first group is the whole match.
    names: Box<[Option<Box<str>>]>,
    /// The only group holds the whole match, as in `(.*)`.
    is_one_group: bool,
    matching: OnceLock<Option<meta::Regex>>,
    capturing: OnceLock<Option<meta::Regex>>,
}

const BEFORE: &str = "^(?s:";
const AFTER: &str = ")$";

impl Regex {
    /// Compiles the pattern of a label matcher. Errors show it as it was written.
    ///
    /// # Errors
    /// What Go's `regexp` refuses, in its words.
    pub fn anchored(pattern: &str) -> Result<Regex, Error> {
        Regex::new(pattern.into(), false)
    }

    /// Compiles the pattern of a relabelling rule. Prometheus puts `^(?s:` and `)$` around it
    /// before it parses it, so errors show those, and `a)|(b` is a valid pattern.
    ///
    /// # Errors
    /// What Go's `regexp` refuses, in its words.
    pub fn wrapped(pattern: &str) -> Result<Regex, Error> {
        Regex::new(format!("{BEFORE}{pattern}{AFTER}").into(), true)
    }

    fn new(text: Box<str>, wrapped: bool) -> Result<Regex, Error> {
        let parsed = parse::parse(&text, !wrapped)?;
        let names = parsed.names.iter().map(|n| n.as_deref().map(Box::from));
        let inner = wrapped.then(|| parse::parse(unwrapped(&text), true));
        let loose = matches!(inner, Some(Err(_)));
        let hir = match &inner {
            Some(Ok(inner)) => &inner.hir,
            _ => &parsed.hir,
        };
        let regex = Regex {
            wrapped,
            loose,
            shape: if loose {
                Shape::unknown()
            } else {
                shape::shape(hir, parsed.height)
            },
            names: names.collect(),
            is_one_group: !loose && shape::is_one_group(hir, parsed.names.len() - 1),
            matching: OnceLock::new(),
            capturing: OnceLock::new(),
            text,
        };
        if parsed.cost > SURE_COST && matches!(regex.shape, Shape::General { .. }) {
            // ORDER: before the largest allocation, since a long pattern's tree has tens of
            // megabytes.
            drop(inner);
            let compiled = compile(parsed, loose, WhichCaptures::Implicit)
                .ok_or_else(|| Error::new(error::LARGE, &regex.text))?;
            let _ = regex.matching.set(Some(compiled));
        }
        Ok(regex)
    }

    /// The number of groups, including the whole match.
    #[cfg(test)]
    pub(super) fn group_count(&self) -> usize {
        self.names.len()
    }

    /// The pattern as it was given.
    pub fn pattern(&self) -> &str {
        if self.wrapped {
            unwrapped(&self.text)
        } else {
            &self.text
        }
    }

    pub fn is_match(&self, text: &str) -> bool {
        self.shape.is_match(text).unwrap_or_else(|| {
            let input = Input::new(text).earliest(true);
            self.automaton(&self.matching, WhichCaptures::Implicit)
                .is_some_and(|automaton| automaton.is_match(input))
        })
    }

    /// Matches `text` and stores where the groups are.
    pub fn captures(&self, text: &str, captures: &mut Captures) -> bool {
        captures.reset(self.names.len());
        if self.names.len() == 1 || self.is_one_group {
            match self.shape.is_match(text) {
                Some(true) => captures.fill(text.len()),
                Some(false) => return false,
                None => return self.search(text, captures),
            }
            return true;
        }
        self.shape.is_match(text) != Some(false) && self.search(text, captures)
    }

    fn search(&self, text: &str, captures: &mut Captures) -> bool {
        let input = Input::new(text);
        self.automaton(&self.capturing, WhichCaptures::All)
            .is_some_and(|automaton| automaton.search_slots(&input, captures.slots()).is_some())
    }

    /// Returns the only texts that match, sorted, where they are few: `a|b|c`.
    pub fn literals(&self) -> Option<&[String]> {
        match &self.shape {
            Shape::Literals(texts) => Some(texts),
            _ => None,
        }
    }

    /// Returns what every match begins with, if anything.
    pub fn prefix(&self) -> Option<&str> {
        match &self.shape {
            Shape::Ends { before, .. } if !before.is_empty() => Some(before),
            Shape::General { prefix } if !prefix.is_empty() => Some(prefix),
            _ => None,
        }
    }

    /// Returns the group of a name. Of several, it is the first that took part in the match.
    pub(super) fn group_of(&self, name: &str, took_part: impl Fn(usize) -> bool) -> Option<usize> {
        (0..self.names.len()).find(|i| self.names[*i].as_deref() == Some(name) && took_part(*i))
    }

    fn automaton<'r>(
        &'r self,
        cell: &'r OnceLock<Option<meta::Regex>>,
        which: WhichCaptures,
    ) -> Option<&'r meta::Regex> {
        let compiled = cell.get_or_init(|| {
            let parsed = parse::parse(&self.text, !self.wrapped).ok()?;
            compile(parsed, self.loose, which)
        });
        if compiled.is_none() {
            let error = Error::new("", &self.text);
            bug!("pattern {:?} was valid but does not compile", error.at);
        }
        compiled.as_ref()
    }
}

fn unwrapped(text: &str) -> &str {
    let end = text.len().saturating_sub(AFTER.len());
    text.get(BEFORE.len()..end).unwrap_or("")
}

fn compile(parsed: Parsed, loose: bool, which: WhichCaptures) -> Option<meta::Regex> {
    let hir = factor::factored(parsed.hir);
    let hir = if loose {
        hir
    } else {
        Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)])
    };
    let config = meta::Config::new()
        .which_captures(which)
        .nfa_size_limit(Some(NFA_BYTES_MAX))
        .hybrid_cache_capacity(CACHE_BYTES)
        .onepass(false)
        .dfa(false);
    meta::Builder::new()
        .configure(config)
        .build_from_hir(&hir)
        .ok()
}

/// A search slot: a place in the text.
pub(super) type Slot = Option<NonMaxUsize>;

impl PartialEq for Regex {
    fn eq(&self, other: &Regex) -> bool {
        self.text == other.text
    }
}

impl Eq for Regex {}

impl Hash for Regex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}
