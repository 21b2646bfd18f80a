//! Finds the series that match, and names and values of labels.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::pairs::read_postings;
use super::{Block, BlockError};
use crate::model::{MatchOp, Matcher};
use crate::stdx::cursor::Cursor;
use crate::stdx::sort::sort_by_key;

#[derive(Debug)]
pub struct Matched {
    pub places: Places,
    /// Part of the index is damaged, so the labels of found series must be compared.
    pub doubtful: bool,
}

/// A pair in a page of values.
pub struct Value<'a> {
    pub value: &'a str,
    /// The number of series with this pair.
    pub count: u64,
    postings: (usize, usize, usize),
}

impl<'a> Value<'a> {
    pub fn skip(from: &mut Cursor<'a>) -> Option<()> {
        let len = from.size()?;
        from.take(len)?;
        for _ in 0..4 {
            from.varint()?;
        }
        Some(())
    }

    pub fn read(from: &mut Cursor<'a>) -> Option<Value<'a>> {
        let value = from.text()?;
        let count = from.varint()?;
        let postings = (from.size()?, from.size()?, from.size()?);
        Some(Value {
            value,
            count,
            postings,
        })
    }
}

impl Block {
    pub(super) fn matching(&self, matchers: &[Matcher]) -> Result<Matched, BlockError> {
        let series = self.footer.meta.series as u32;
        let mut search = Search {
            block: self,
            found: Places::all(series),
            doubtful: false,
        };
        // The most selective matcher first.
        let mut order: Vec<&Matcher> = matchers.iter().collect();
        sort_by_key(&mut order, |m| (m.matches_empty(), m.op != MatchOp::Equal));
        for matcher in order {
            if search.found.is_empty() {
                break;
            }
            search.narrow(matcher)?;
        }
        Ok(Matched {
            places: search.found,
            doubtful: search.doubtful,
        })
    }

    /// Returns the label names of the matching series, sorted.
    pub fn label_names(&self, matchers: &[Matcher]) -> Result<Vec<String>, BlockError> {
        let names = &self.footer.names;
        if matchers.is_empty() {
            return Ok(names.iter().map(|n| n.name.to_string()).collect());
        }
        let mut found = BTreeSet::new();
        let mut set = self.labels_of(matchers)?;
        while let Some(labels) = set.next_labels() {
            for (name, _) in &labels? {
                if !found.contains(name) {
                    found.insert(name.to_owned());
                }
            }
            if found.len() == names.len() {
                break;
            }
        }
        Ok(found.into_iter().collect())
    }

    /// Returns the values of a label among the matching series, sorted.
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
    ) -> Result<Vec<String>, BlockError> {
        let matched = match matchers {
            [] => None,
            matchers => Some(self.matching(matchers)?),
        };
        if matched.as_ref().is_some_and(|matched| matched.doubtful) {
            return self.values_by_labels(name, matchers);
        }
        let matched = matched.map(|matched| matched.places);
        let mut values = Vec::new();
        self.each_value(name, "", &mut |value| {
            let has = match &matched {
                None => true,
                Some(matched) => {
                    let mut has = false;
                    let each = |first, end| has |= matched.has_any(first, end);
                    self.postings(value, each)?;
                    has
                }
            };
            if has {
                values.push(value.value.to_owned());
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(values)
    }

    fn values_by_labels(
        &self,
        name: &str,
        matchers: &[Matcher],
    ) -> Result<Vec<String>, BlockError> {
        let mut found = BTreeSet::new();
        let mut set = self.labels_of(matchers)?;
        while let Some(labels) = set.next_labels() {
            if let Some(value) = labels?.get(name) {
                found.insert(value.to_owned());
            }
        }
        Ok(found.into_iter().collect())
    }

    /// Calls `each` with the name's values from `start` on, in order, until it breaks. Returns
    /// whether all pages were good.
    fn each_value(
        &self,
        name: &str,
        start: &str,
        each: &mut dyn FnMut(&Value<'_>) -> Result<ControlFlow<()>, BlockError>,
    ) -> Result<bool, BlockError> {
        let footer = &self.footer;
        let Ok(at) = footer.names.binary_search_by(|n| (*n.name).cmp(name)) else {
            return Ok(true);
        };
        let ranks = footer.names.get(at).map_or(0, |n| n.rank)
            ..footer.names.get(at + 1).map_or(footer.pairs, |n| n.rank);
        let pages = &footer.values;
        // Pages that begin within the name are in order of its values.
        let first = pages.partition_point(|p| p.rank <= ranks.start);
        let last = pages.partition_point(|p| p.rank < ranks.end);
        let within = pages.get(first..last).unwrap_or_default();
        let skip = within.partition_point(|p| &*p.value <= start);
        let from = (first + skip).saturating_sub(1);
        let mut whole = true;
        for values in pages.get(from..last).unwrap_or_default() {
            let page = match self.page(values.page, "values") {
                Ok(page) => page,
                Err(BlockError::Damaged { .. }) => {
                    whole = false;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let mut bytes = Cursor::new(page.bytes());
            for rank in values.rank..ranks.end {
                if bytes.is_empty() {
                    break;
                }
                let Some(value) = Value::read(&mut bytes) else {
                    self.nonsense("values", values.page);
                    whole = false;
                    break;
                };
                if rank < ranks.start || value.value < start {
                    continue;
                }
                match each(&value) {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(())) => return Ok(whole),
                    Err(BlockError::Damaged { .. }) => whole = false,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(whole)
    }

    fn postings(&self, value: &Value<'_>, each: impl FnMut(u32, u32)) -> Result<(), BlockError> {
        let (page, offset, len) = value.postings;
        let missing = BlockError::Damaged {
            id: self.id,
            part: "place of postings",
            offset: page as u64,
        };
        let page = *self.footer.postings.get(page).ok_or(missing)?;
        let bytes = self.page(page, "postings")?;
        let list = bytes.bytes().get(offset..).and_then(|rest| rest.get(..len));
        list.and_then(|list| read_postings(list, each))
            .ok_or_else(|| self.nonsense("postings", page))
    }
}

struct Search<'a> {
    block: &'a Block,
    found: Places,
    doubtful: bool,
}

impl Search<'_> {
    fn narrow(&mut self, matcher: &Matcher) -> Result<(), BlockError> {
        let keeps = !matcher.matches_empty();
        let places = self.with_value(matcher, keeps)?;
        for (word, other) in self.found.0.iter_mut().zip(&places.0) {
            *word &= if keeps { *other } else { !*other };
        }
        Ok(())
    }

    /// Returns the series that have the label with a value that matches, or does not.
    fn with_value(&mut self, matcher: &Matcher, matches: bool) -> Result<Places, BlockError> {
        let mut places = Places::none(self.block.footer.meta.series as u32);
        let plain = matcher.op == MatchOp::Equal || matcher.op == MatchOp::NotEqual;
        let literals = match &matcher.regex {
            Some(regex) => regex.literals(),
            None if plain && !matcher.value.is_empty() => {
                Some(std::slice::from_ref(&matcher.value))
            }
            None => None,
        };
        let is_list = matches == matches!(matcher.op, MatchOp::Equal | MatchOp::Regex);
        if let (Some(literals), true) = (literals, is_list) {
            for literal in literals {
                self.add(matcher, &mut places, literal, |value| {
                    (value == literal, value >= literal.as_str())
                })?;
            }
            return Ok(places);
        }
        let prefix = match &matcher.regex {
            Some(regex) if is_list => regex.prefix().unwrap_or(""),
            _ => "",
        };
        self.add(matcher, &mut places, prefix, |value| {
            let within = value.starts_with(prefix);
            (within && matcher.matches(value) == matches, !within)
        })?;
        Ok(places)
    }

    /// Adds the series of the values from `start` on that `judge` accepts, until it says that this
    /// was the last.
    fn add(
        &mut self,
        matcher: &Matcher,
        places: &mut Places,
        start: &str,
        judge: impl Fn(&str) -> (bool, bool),
    ) -> Result<(), BlockError> {
        let block = self.block;
        let whole = block.each_value(&matcher.name, start, &mut |value| {
            let (takes, is_last) = judge(value.value);
            if takes {
                block.postings(value, |first, end| places.add(first, end))?;
            }
            Ok(if is_last {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        self.doubtful |= !whole;
        Ok(())
    }
}

/// A set of series, one bit each. Many series take less than their numbers would, few never much.
#[derive(Debug)]
pub struct Places(Vec<u64>);

/// Yields the series of a set, one after another.
#[derive(Debug)]
pub struct InTurn {
    places: Places,
    /// The words before this one have nothing left.
    word: usize,
    left: usize,
}

impl InTurn {
    pub fn left(&self) -> usize {
        self.left
    }
}

impl Iterator for InTurn {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        loop {
            let bits = self.places.0.get_mut(self.word)?;
            if *bits != 0 {
                let at = self.word as u32 * u64::BITS + bits.trailing_zeros();
                *bits &= *bits - 1;
                self.left -= 1;
                return Some(at);
            }
            self.word += 1;
        }
    }
}

impl Places {
    fn none(series: u32) -> Places {
        Places(vec![0; (series as usize).div_ceil(64)])
    }

    fn all(series: u32) -> Places {
        let mut places = Places::none(series);
        places.add(0, series);
        places
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Calls `each` with each word that the range touches, and the range's bits in it.
    fn words(first: u32, end: u32, mut each: impl FnMut(usize, u64)) {
        let mut at = first;
        while at < end {
            let (word, bit) = (at / 64, at % 64);
            let bits = (end - at).min(64 - bit);
            each(word as usize, (u64::MAX >> (64 - bits)) << bit);
            at += bits;
        }
    }

    fn add(&mut self, first: u32, end: u32) {
        let series = u32::try_from(self.0.len() * 64).unwrap_or(u32::MAX);
        Places::words(first, end.min(series), |word, bits| {
            if let Some(word) = self.0.get_mut(word) {
                *word |= bits;
            }
        });
    }

    fn has_any(&self, first: u32, end: u32) -> bool {
        let mut has = false;
        let series = u32::try_from(self.0.len() * 64).unwrap_or(u32::MAX);
        Places::words(first, end.min(series), |word, bits| {
            has |= self.0.get(word).is_some_and(|word| word & bits != 0);
        });
        has
    }

    pub fn in_turn(self) -> InTurn {
        InTurn {
            left: self.0.iter().map(|word| word.count_ones() as usize).sum(),
            places: self,
            word: 0,
        }
    }
}
