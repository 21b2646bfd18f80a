//! Finds the places of the series that match.

use std::collections::HashMap;

use super::index::{NameId, PairId};
use super::lock::State;
use crate::model::{MatchOp, Matcher};
use crate::stdx::sort::sort_by_key;

/// If the candidates are fewer than this part of all series, a matcher tests each one's label;
/// otherwise it tests all values of its name.
const FEW: usize = 8;

impl State {
    /// Returns the places in order. Series without samples are among them.
    pub fn matching(&mut self, matchers: &[Matcher]) -> Vec<u32> {
        let (exact, mut rest): (Vec<&Matcher>, Vec<&Matcher>) = matchers
            .iter()
            .partition(|m| m.op == MatchOp::Equal && !m.value.is_empty());
        let mut found = match self.matching_exactly(&exact) {
            Some(found) => found,
            None => match rest.iter().position(|m| !m.matches_empty()) {
                Some(first) => {
                    let first = rest.remove(first);
                    self.matching_one(first).places()
                }
                None => self.slab.live().map(|(at, _)| at).collect(),
            },
        };
        for matcher in rest {
            if found.is_empty() {
                break;
            }
            self.filter(&mut found, matcher);
        }
        found
    }

    /// Returns `None` without matchers.
    fn matching_exactly(&mut self, matchers: &[&Matcher]) -> Option<Vec<u32>> {
        let mut pairs = Vec::with_capacity(matchers.len());
        for matcher in matchers {
            let name = self.index.name(&matcher.name);
            let Some(pair) = name.and_then(|name| self.index.pair(name, &matcher.value)) else {
                return Some(Vec::new());
            };
            pairs.push(pair);
        }
        sort_by_key(&mut pairs, |pair| self.index.series_count(*pair));
        let mut pairs = pairs.into_iter();
        let mut found = self.index.postings(pairs.next()?).to_vec();
        for pair in pairs {
            intersect(&mut found, self.index.postings(pair));
        }
        Some(found)
    }

    fn filter(&mut self, found: &mut Vec<u32>, matcher: &Matcher) {
        let empty_matches = matcher.matches_empty();
        let Some(name) = self.index.name(&matcher.name) else {
            found.retain(|_| empty_matches);
            return;
        };
        if found.len() * FEW < self.slab.len() {
            self.filter_each(found, matcher, name);
        } else if empty_matches {
            let bad = self.with_value(matcher, |m, value| !m.matches(value));
            found.retain(|at| !bad.has(*at));
        } else {
            let good = self.matching_one(matcher);
            found.retain(|at| good.has(*at));
        }
    }

    fn filter_each(&self, found: &mut Vec<u32>, matcher: &Matcher, name: NameId) {
        let mut known: HashMap<Option<PairId>, bool, foldhash::fast::RandomState> =
            HashMap::default();
        found.retain(|at| {
            let pairs = self.slab.pairs(*at).iter().copied();
            let pair = { pairs }.find(|pair| self.index.name_of(*pair) == name);
            let value = pair.map_or("", |pair| self.index.value(pair));
            *known.entry(pair).or_insert_with(|| matcher.matches(value))
        });
    }

    /// Returns the series that have the label and match. A regular expression that is a list of
    /// literals, as dashboards send, is looked up value by value.
    fn matching_one(&self, matcher: &Matcher) -> Places {
        let literals = match (matcher.op, &matcher.regex) {
            (MatchOp::Regex, Some(regex)) => regex.literals(),
            _ => None,
        };
        let (Some(literals), Some(name)) = (literals, self.index.name(&matcher.name)) else {
            return self.with_value(matcher, Matcher::matches);
        };
        let mut places = Places::new(self.slab.places());
        for pair in literals
            .iter()
            .filter_map(|value| self.index.pair(name, value))
        {
            places.add(self.index.postings_unsorted(pair));
        }
        places
    }

    /// Returns the series whose label of the matcher's name has a value for which `keep` is true.
    fn with_value(&self, matcher: &Matcher, keep: impl Fn(&Matcher, &str) -> bool) -> Places {
        let mut places = Places::new(self.slab.places());
        if let Some(name) = self.index.name(&matcher.name) {
            for pair in self.index.pairs_of(name) {
                if keep(matcher, self.index.value(*pair)) {
                    places.add(self.index.postings_unsorted(*pair));
                }
            }
        }
        places
    }
}

/// A set of places, one bit each.
struct Places(Vec<u64>);

impl Places {
    fn new(places: u32) -> Places {
        Places(vec![0; (places as usize).div_ceil(64)])
    }

    fn add(&mut self, list: &[u32]) {
        for at in list {
            self.0[*at as usize / 64] |= 1 << (at % 64);
        }
    }

    fn has(&self, at: u32) -> bool {
        self.0[at as usize / 64] >> (at % 64) & 1 == 1
    }

    fn places(&self) -> Vec<u32> {
        let count: u32 = self.0.iter().map(|bits| bits.count_ones()).sum();
        let mut list = Vec::with_capacity(count as usize);
        for (word, bits) in self.0.iter().enumerate() {
            let mut bits = *bits;
            while bits != 0 {
                list.push(word as u32 * 64 + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
        list
    }
}

/// Keeps what is in `list` too. Both are in order.
fn intersect(found: &mut Vec<u32>, mut list: &[u32]) {
    let far = list.len() / 16 > found.len();
    found.retain(|at| {
        let before = if far {
            list.partition_point(|other| other < at)
        } else {
            list.iter().take_while(|other| *other < at).count()
        };
        list = &list[before..];
        list.first() == Some(at)
    });
}
