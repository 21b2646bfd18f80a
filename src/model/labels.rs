//! A series' labels: sorted, immutable, one allocation.
//!
//! For each label the text holds the length of the name, the name, the length of the value and the
//! value. A length is written in six-bit groups, lowest first, as bytes below 0x80 (bit 0x40 says
//! that another group follows). So the whole is a valid string and needs no separate index.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use super::names::{METRIC_NAME, is_legacy_label_name, is_legacy_metric_name};
use crate::stdx::gofmt;

/// The labels of one series, sorted by name. No name occurs twice. No value is empty, since an
/// empty value means that the label is absent.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<str>);

/// Borrowed labels: the same text without an allocation of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LabelsRef<'a>(&'a str);

impl<'a> LabelsRef<'a> {
    /// Takes pairs that were pushed with [`Labels::push_pair`], as [`Labels::of_pushed`] does.
    pub fn of_pushed(text: &'a str) -> LabelsRef<'a> {
        LabelsRef(text)
    }

    /// Returns the text that [`LabelsRef::of_pushed`] takes.
    pub fn text(self) -> &'a str {
        self.0
    }

    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(self) -> Iter<'a> {
        Iter { rest: self.0 }
    }

    pub fn to_labels(self) -> Labels {
        Labels::of_pushed(self.0)
    }
}

impl<'a> From<&'a Labels> for LabelsRef<'a> {
    fn from(labels: &'a Labels) -> LabelsRef<'a> {
        LabelsRef(&labels.0)
    }
}

impl fmt::Debug for LabelsRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_labels(), f)
    }
}

impl Labels {
    pub fn empty() -> Labels {
        Labels(Arc::from(""))
    }

    /// Takes pairs in any order. The last of a repeated name wins; empty values are left out.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Labels {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.labels()
    }

    /// Takes pairs that are sorted by name, without repetitions and empty values.
    pub fn from_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
        // NOTE: most series fit, and growing would be half of the work.
        let mut text = String::with_capacity(256);
        for (name, value) in pairs {
            Labels::push_pair(&mut text, name, value);
        }
        Labels(Arc::from(text))
    }

    /// Appends a pair to a text that [`Labels::of_pushed`] takes. It serves callers that build many
    /// label sets of few pairs.
    pub fn push_pair(text: &mut String, name: &str, value: &str) {
        push_part(text, name);
        push_part(text, value);
    }

    /// Takes the text of pushed pairs, which must be sorted as for [`Labels::from_sorted`].
    pub fn of_pushed(text: &str) -> Labels {
        Labels(Arc::from(text))
    }

    /// Returns the pairs as [`Labels::push_pair`] writes them.
    pub fn text(&self) -> &str {
        &self.0
    }

    pub fn iter(&self) -> Iter<'_> {
        pairs_of(&self.0)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .take_while(|(n, _)| *n <= name)
            .find(|(n, _)| *n == name)
            .map(|(_, v)| v)
    }

    /// Returns the metric's name, or "" where there is none.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or("")
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Returns a hash that is the same in every process: xxHash64 of names and values, with 0xff
    /// between.
    pub fn stable_hash(&self) -> u64 {
        let mut hasher = xxhash_rust::xxh64::Xxh64::new(0);
        for (name, value) in self {
            hasher.update(name.as_bytes());
            hasher.update(&[0xff]);
            hasher.update(value.as_bytes());
            hasher.update(&[0xff]);
        }
        hasher.digest()
    }

    /// The number of bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.0.len() + 2 * size_of::<usize>()
    }
}

fn push_part(text: &mut String, part: &str) {
    let mut len = part.len();
    loop {
        let low = (len & 0x3f) as u8;
        len >>= 6;
        text.push(char::from(if len > 0 { low | 0x40 } else { low }));
        if len == 0 {
            break;
        }
    }
    text.push_str(part);
}

/// Iterates over the pairs in a text that [`Labels::push_pair`] made.
pub fn pairs_of(text: &str) -> Iter<'_> {
    Iter { rest: text }
}

/// Yields `(name, value)` in the order of names.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    rest: &'a str,
}

impl<'a> Iter<'a> {
    fn part(&mut self) -> &'a str {
        let (mut len, mut shift, mut used) = (0usize, 0u32, 0usize);
        for byte in self.rest.bytes() {
            used += 1;
            len |= usize::from(byte & 0x3f) << shift;
            shift += 6;
            if byte & 0x40 == 0 {
                break;
            }
        }
        let (part, rest) = self.rest[used..].split_at(len);
        self.rest = rest;
        part
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        Some((self.part(), self.part()))
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Compares names and values in turn, a shorter set first, as Prometheus sorts series.
impl Ord for Labels {
    fn cmp(&self, other: &Labels) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Labels) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for Labels {
    fn default() -> Labels {
        Labels::empty()
    }
}

/// Writes `{a="b", c="d"}`, as Prometheus's texts do. Names that need quotes get them.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            let separator = if i > 0 { ", " } else { "" };
            f.write_str(separator)?;
            if is_legacy_label_name(name) {
                write!(f, "{name}={}", gofmt::quote(value))?;
            } else {
                write!(f, "{}={}", gofmt::quote(name), gofmt::quote(value))?;
            }
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Labels {
    /// Writes `name{a="b"}`, the form of a series in PromQL and in error texts.
    pub fn series_text(&self) -> String {
        let name = self.metric_name();
        if !is_legacy_metric_name(name) {
            return self.to_string();
        }
        let rest = Labels::from_sorted(self.iter().filter(|(n, _)| *n != METRIC_NAME));
        if rest.is_empty() {
            name.to_owned()
        } else {
            format!("{name}{rest}")
        }
    }
}

/// Labels while they change: in relabelling, merging and parsing. They stay sorted by name. A
/// builder that is cleared and used again allocates nothing.
#[derive(Debug, Clone, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
    /// Strings of removed labels, kept for new ones.
    spare: Vec<(String, String)>,
    /// Names that were given an empty value. They are no labels, but a caller may need them.
    emptied: Vec<String>,
}

impl LabelsBuilder {
    pub fn new(base: &Labels) -> LabelsBuilder {
        let mut builder = LabelsBuilder::default();
        builder.reset(base);
        builder
    }

    pub fn clear(&mut self) {
        self.spare.append(&mut self.pairs);
        self.emptied.clear();
    }

    /// Remembers until the next clear that a label was given an empty value on purpose.
    pub fn note_empty(&mut self, name: &str) {
        self.emptied.push(name.to_owned());
    }

    pub fn is_empty_on_purpose(&self, name: &str) -> bool {
        self.emptied.iter().any(|n| n == name)
    }

    pub fn reset(&mut self, base: &Labels) {
        self.clear();
        for (i, (name, value)) in base.iter().enumerate() {
            self.insert(i, name, value);
        }
    }

    /// Sets a label; an empty value deletes it.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.position(name) {
            Ok(i) if value.is_empty() => self.remove(i),
            Ok(i) => {
                self.pairs[i].1.clear();
                self.pairs[i].1.push_str(value);
            }
            Err(_) if value.is_empty() => {}
            Err(i) => self.insert(i, name, value),
        }
    }

    pub fn delete(&mut self, name: &str) {
        if let Ok(i) = self.position(name) {
            self.remove(i);
        }
    }

    /// Keeps the labels for which `keep(name, value)` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        self.pairs.retain(|(n, v)| keep(n, v));
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.position(name).ok().map(|i| self.pairs[i].1.as_str())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    pub fn labels(&self) -> Labels {
        Labels::from_sorted(self.iter())
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.pairs.binary_search_by(|(n, _)| n.as_str().cmp(name))
    }

    fn insert(&mut self, at: usize, name: &str, value: &str) {
        let mut pair = self.spare.pop().unwrap_or_default();
        pair.0.clear();
        pair.0.push_str(name);
        pair.1.clear();
        pair.1.push_str(value);
        self.pairs.insert(at, pair);
    }

    fn remove(&mut self, at: usize) {
        let pair = self.pairs.remove(at);
        self.spare.push(pair);
    }
}

/// Two builders are equal when their labels are.
impl PartialEq for LabelsBuilder {
    fn eq(&self, other: &LabelsBuilder) -> bool {
        self.pairs == other.pairs
    }
}

impl Eq for LabelsBuilder {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_sorted_and_the_last_of_a_name_wins() {
        let long = "x".repeat(5_000);
        let labels =
            Labels::from_pairs([("b", "2"), ("a", "0"), ("c", ""), ("a", "é"), ("d", &long)]);
        let pairs: Vec<_> = labels.iter().collect();
        assert_eq!(pairs, [("a", "é"), ("b", "2"), ("d", long.as_str())]);
        assert_eq!(labels.get("b"), Some("2"));
        assert_eq!(labels.get("c"), None);
        assert_eq!(labels.len(), 3);
        assert_eq!(LabelsBuilder::new(&labels).labels(), labels);
    }

    #[test]
    fn order_is_by_names_then_values() {
        let of = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
        assert!(of(&[("a", "1")]) < of(&[("a", "2")]));
        assert!(of(&[("a", "1")]) < of(&[("a", "1"), ("b", "0")]));
        assert!(of(&[("a", "9")]) < of(&[("b", "1")]));
    }

    #[test]
    fn texts() {
        let labels = Labels::from_pairs([("__name__", "up"), ("a.b", "x\"y"), ("job", "j")]);
        assert_eq!(
            labels.to_string(),
            r#"{__name__="up", "a.b"="x\"y", job="j"}"#
        );
        assert_eq!(labels.series_text(), r#"up{"a.b"="x\"y", job="j"}"#);
    }
}
