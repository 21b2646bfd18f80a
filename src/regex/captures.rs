//! The places where groups matched, and texts expanded with them as Go's `Regexp.Expand` does.

use std::ops::Range;

use super::anchored::{Regex, Slot};
use regex_automata::util::primitives::NonMaxUsize;

/// The places of one match's groups. It may be reused for other texts and patterns.
#[derive(Debug, Clone, Default)]
pub struct Captures {
    slots: Vec<Slot>,
}

impl Captures {
    /// Returns the place of the group if it took part in the match; 0 is the whole match.
    pub fn get(&self, group: usize) -> Option<Range<usize>> {
        let start = (*self.slots.get(2 * group)?)?;
        let end = (*self.slots.get(2 * group + 1)?)?;
        Some(start.get()..end.get())
    }

    pub(super) fn reset(&mut self, groups: usize) {
        self.slots.clear();
        self.slots.resize(2 * groups, None);
    }

    /// Makes every group hold the whole text.
    pub(super) fn fill(&mut self, len: usize) {
        for (i, slot) in self.slots.iter_mut().enumerate() {
            *slot = NonMaxUsize::new(if i % 2 == 0 { 0 } else { len });
        }
    }

    pub(super) fn slots(&mut self) -> &mut [Slot] {
        &mut self.slots
    }
}

/// A parsed text with references to groups: `$1`, `${1}`, `$name`, `$$`. The longest possible name
/// counts, so `$1x` is the group named `1x`. An unknown group is empty. A `$` that begins no
/// reference stands for itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Text(String),
    Number(usize),
    Name(String),
}

impl Template {
    pub fn new(template: &str) -> Template {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('$') {
            text.push_str(before);
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                text.push('$');
                rest = after;
            } else if let Some((part, after)) = reference(rest) {
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(part);
                rest = after;
            } else {
                text.push('$');
            }
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Template { parts }
    }

    /// Returns the whole text, if it refers to no group.
    pub fn constant(&self) -> Option<&str> {
        match &self.parts[..] {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Appends the template to `out`, with what `captures` of `regex` found in `text`.
    pub fn expand(&self, regex: &Regex, captures: &Captures, text: &str, out: &mut String) {
        self.expand_within(usize::MAX, regex, captures, text, out);
    }

    /// Expands as [`Template::expand`] does, as long as `out` has at most `bytes_max`. Returns
    /// whether it fitted.
    pub fn expand_within(
        &self,
        bytes_max: usize,
        regex: &Regex,
        captures: &Captures,
        text: &str,
        out: &mut String,
    ) -> bool {
        for part in &self.parts {
            let group = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Number(group) => Some(*group),
                Part::Name(name) => regex.group_of(name, |group| captures.get(group).is_some()),
            };
            if let Some(range) = group.and_then(|group| captures.get(group)) {
                out.push_str(text.get(range).unwrap_or(""));
            }
            if out.len() > bytes_max {
                return false;
            }
        }
        out.len() <= bytes_max
    }
}

/// Reads the reference after a `$`. Returns it and what follows it.
fn reference(rest: &str) -> Option<(Part, &str)> {
    let braced = rest.strip_prefix('{');
    let body = braced.unwrap_or(rest);
    let word = |c: char| c.is_alphabetic() || c.is_ascii_digit() || c == '_';
    let len = body.find(|c| !word(c)).unwrap_or(body.len());
    let (name, after) = body.split_at(len);
    if name.is_empty() {
        return None;
    }
    let after = match braced {
        Some(_) => after.strip_prefix('}')?,
        None => after,
    };
    let leading_zero = name.len() > 1 && name.starts_with('0');
    let digits = name.bytes().all(|b| b.is_ascii_digit());
    let part = match name.parse() {
        Ok(number) if digits && !leading_zero => Part::Number(number),
        _ => Part::Name(name.to_owned()),
    };
    Some((part, after))
}
