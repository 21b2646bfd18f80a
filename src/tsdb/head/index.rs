//! The index: label pairs as numbers, and the series of each pair.
//!
//! A series is a list of pair numbers (4 bytes per label), half of what two symbols per label would
//! take. A pair's number leads to its postings without another table. Names are numbers too. A
//! value's text belongs to its pair, since few values occur under several names. A pair lives as
//! long as its postings have a series, a name as long as it has a pair.

use hashbrown::HashTable;
use std::hash::BuildHasher;

use super::slab::push_tight;
use super::values::{Value, Values};

pub type PairId = u32;
pub type NameId = u32;

#[derive(Debug)]
pub struct Index {
    names: Vec<Name>,
    free_names: Vec<NameId>,
    name_table: HashTable<NameId>,
    pairs: Vec<Pair>,
    free_pairs: Vec<PairId>,
    pair_table: HashTable<PairId>,
    values: Values,
    /// The postings of pairs that more than one series has.
    lists: Vec<Vec<u32>>,
    free_lists: Vec<u32>,
    hasher: foldhash::fast::RandomState,
    /// The bytes of names, as they are here.
    name_bytes: usize,
}

#[derive(Debug, Default)]
pub struct Name {
    pub text: Box<str>,
    /// The name's pairs, in no order.
    pub pairs: Vec<PairId>,
}

/// A pair. It has 20 bytes, because a label that is all but unique has as many pairs as there are
/// series.
#[derive(Debug, Default)]
struct Pair {
    name: NameId,
    value: Value,
    series: Postings,
}

/// The places of a pair's series. Many pairs have only one.
#[derive(Debug, Clone, Copy, Default)]
enum Postings {
    #[default]
    None,
    One(u32),
    /// The index of a list in order of places.
    Many(u32),
    /// The index of a list in no order, which only a reused place can cause.
    Unsorted(u32),
}

impl Default for Index {
    fn default() -> Index {
        Index {
            names: Vec::new(),
            free_names: Vec::new(),
            name_table: HashTable::new(),
            pairs: Vec::new(),
            free_pairs: Vec::new(),
            pair_table: HashTable::new(),
            values: Values::default(),
            lists: Vec::new(),
            free_lists: Vec::new(),
            hasher: foldhash::fast::RandomState::default(),
            name_bytes: 0,
        }
    }
}

impl Index {
    pub fn text(&self, pair: PairId) -> (&str, &str) {
        let pair = &self.pairs[pair as usize];
        let name = &self.names[pair.name as usize].text;
        (name, self.values.get(pair.value))
    }

    pub fn name_of(&self, pair: PairId) -> NameId {
        self.pairs[pair as usize].name
    }

    pub fn value(&self, pair: PairId) -> &str {
        self.values.get(self.pairs[pair as usize].value)
    }

    pub fn pair_count(&self) -> usize {
        self.pairs.len() - self.free_pairs.len()
    }

    pub fn text_bytes(&self) -> usize {
        self.name_bytes + self.values.text_bytes()
    }

    pub fn name(&self, text: &str) -> Option<NameId> {
        let hash = self.hasher.hash_one(text);
        let same = |id: &NameId| &*self.names[*id as usize].text == text;
        self.name_table.find(hash, same).copied()
    }

    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.names.iter().filter(|name| !name.pairs.is_empty())
    }

    pub fn name_text(&self, name: NameId) -> &str {
        &self.names[name as usize].text
    }

    /// Returns the pairs with this name, in no order.
    pub fn pairs_of(&self, name: NameId) -> &[PairId] {
        &self.names[name as usize].pairs
    }

    pub fn pair(&self, name: NameId, value: &str) -> Option<PairId> {
        let same = |id: &PairId| {
            let pair = &self.pairs[*id as usize];
            pair.name == name && self.values.get(pair.value) == value
        };
        let hash = hash_pair(&self.hasher, name, value);
        self.pair_table.find(hash, same).copied()
    }

    /// Returns the places of the series with this pair, in order.
    pub fn postings(&mut self, pair: PairId) -> &[u32] {
        let series = &mut self.pairs[pair as usize].series;
        if let Postings::Unsorted(list) = *series {
            self.lists[list as usize].sort_unstable();
            *series = Postings::Many(list);
        }
        self.postings_unsorted(pair)
    }

    /// Returns the places of the series with this pair, in no order.
    pub fn postings_unsorted(&self, pair: PairId) -> &[u32] {
        match &self.pairs[pair as usize].series {
            Postings::None => &[],
            Postings::One(one) => std::slice::from_ref(one),
            Postings::Many(list) | Postings::Unsorted(list) => &self.lists[*list as usize],
        }
    }

    /// The number of series with this pair.
    pub fn series_count(&self, pair: PairId) -> usize {
        self.postings_unsorted(pair).len()
    }

    /// Returns the pair's number, and makes the pair if there is none; then [`Index::add`] a series
    /// to it.
    /// Returns `None` if there is no room for its value. `like` is a pair that may have the same
    /// name, or value too; it may be gone.
    pub fn intern(&mut self, like: Option<PairId>, name: &str, value: &str) -> Option<PairId> {
        let is_live = |pair: &PairId| !self.postings_unsorted(*pair).is_empty();
        let same_name = |pair: &PairId| self.name_text(self.name_of(*pair)) == name;
        let like = like.filter(is_live).filter(same_name);
        if let Some(pair) = like.filter(|pair| self.value(*pair) == value) {
            return Some(pair);
        }
        let known = { like }.map_or_else(|| self.name(name), |pair| Some(self.name_of(pair)));
        if let Some(found) = known.and_then(|name| self.pair(name, value)) {
            return Some(found);
        }
        let text = self.values.add(value)?;
        let name = known.unwrap_or_else(|| self.new_name(name));
        let pair = Pair {
            name,
            value: text,
            series: Postings::None,
        };
        let id = place(&mut self.pairs, &mut self.free_pairs, pair);
        push_tight(&mut self.names[name as usize].pairs, id);
        let (pairs, values, hasher) = (&self.pairs, &self.values, &self.hasher);
        let rehash = |id: &PairId| {
            let pair = &pairs[*id as usize];
            hash_pair(hasher, pair.name, values.get(pair.value))
        };
        let hash = hash_pair(hasher, name, value);
        self.pair_table.insert_unique(hash, id, rehash);
        Some(id)
    }

    fn new_name(&mut self, text: &str) -> NameId {
        let name = Name {
            text: text.into(),
            pairs: Vec::new(),
        };
        let id = place(&mut self.names, &mut self.free_names, name);
        self.name_bytes += text.len();
        let (names, hasher) = (&self.names, &self.hasher);
        let rehash = |id: &NameId| hasher.hash_one(&*names[*id as usize].text);
        self.name_table
            .insert_unique(hasher.hash_one(text), id, rehash);
        id
    }

    pub fn add(&mut self, pair: PairId, series: u32) {
        let postings = &mut self.pairs[pair as usize].series;
        let many = |sorted| {
            if sorted {
                Postings::Many
            } else {
                Postings::Unsorted
            }
        };
        match *postings {
            Postings::None => *postings = Postings::One(series),
            Postings::One(first) => {
                let both = vec![first, series];
                let list = place(&mut self.lists, &mut self.free_lists, both);
                *postings = many(first < series)(list);
            }
            Postings::Many(list) => {
                let places = &mut self.lists[list as usize];
                *postings = many(places.last().is_none_or(|last| *last < series))(list);
                push_tight(places, series);
            }
            Postings::Unsorted(list) => push_tight(&mut self.lists[list as usize], series),
        }
    }

    /// Removes the series for which `gone` is true from these pairs' postings. Releases pairs and
    /// names that have none left.
    pub fn sweep(&mut self, pairs: &[PairId], gone: impl Fn(u32) -> bool) {
        let mut names = Vec::new();
        for id in pairs {
            self.remove(*id, &gone);
            let pair = &self.pairs[*id as usize];
            if matches!(pair.series, Postings::None) {
                names.push(pair.name);
                self.release(*id);
            }
        }
        names.sort_unstable();
        names.dedup();
        for id in names {
            let (name, pairs) = (&mut self.names[id as usize], &self.pairs);
            name.pairs
                .retain(|pair| !matches!(pairs[*pair as usize].series, Postings::None));
            if name.pairs.is_empty() {
                self.release_name(id);
            }
        }
    }

    /// Closes the gaps of released values if they are the larger part.
    pub fn compact(&mut self) {
        let live = { self.pairs.iter_mut() }.map(|pair| &mut pair.value);
        self.values.compact(live);
    }

    fn remove(&mut self, pair: PairId, gone: impl Fn(u32) -> bool) {
        let postings = &mut self.pairs[pair as usize].series;
        match *postings {
            Postings::One(series) if gone(series) => *postings = Postings::None,
            Postings::None | Postings::One(_) => {}
            Postings::Many(number) | Postings::Unsorted(number) => {
                let list = &mut self.lists[number as usize];
                list.retain(|series| !gone(*series));
                *postings = match *list.as_slice() {
                    [] => Postings::None,
                    [one] => Postings::One(one),
                    _ => {
                        if list.len() * 2 < list.capacity() {
                            list.shrink_to_fit();
                        }
                        return;
                    }
                };
                *list = Vec::new();
                self.free_lists.push(number);
            }
        }
    }

    /// Releases a pair. Its name keeps it in its list until the sweep ends.
    fn release(&mut self, id: PairId) {
        let pair = std::mem::take(&mut self.pairs[id as usize]);
        let hash = hash_pair(&self.hasher, pair.name, self.values.get(pair.value));
        if let Ok(entry) = self.pair_table.find_entry(hash, |found| *found == id) {
            entry.remove();
        }
        self.free_pairs.push(id);
        self.values.release(pair.value);
    }

    fn release_name(&mut self, id: NameId) {
        let name = std::mem::take(&mut self.names[id as usize]);
        let hash = self.hasher.hash_one(&*name.text);
        if let Ok(entry) = self.name_table.find_entry(hash, |found| *found == id) {
            entry.remove();
        }
        self.free_names.push(id);
        self.name_bytes -= name.text.len();
    }

    pub fn heap_bytes(&self) -> usize {
        let names: usize = self.names.iter().map(|n| n.pairs.capacity() * 4).sum();
        let lists: usize = self.lists.iter().map(|l| l.capacity() * 4).sum();
        let tables = (self.name_table.capacity() + self.pair_table.capacity()) * 6;
        self.name_bytes
            + self.values.heap_bytes()
            + names
            + lists
            + self.lists.capacity() * size_of::<Vec<u32>>()
            + tables
            + self.names.capacity() * size_of::<Name>()
            + self.pairs.capacity() * size_of::<Pair>()
    }
}

fn hash_pair(hasher: &foldhash::fast::RandomState, name: NameId, value: &str) -> u64 {
    hasher.hash_one((name, value))
}

/// Puts `value` at a free index.
fn place<T>(list: &mut Vec<T>, free: &mut Vec<u32>, value: T) -> u32 {
    if let Some(id) = free.pop() {
        list[id as usize] = value;
        return id;
    }
    push_tight(list, value);
    list.len() as u32 - 1
}
