//! The index: label pairs as numbers, and for each the series that have it.
//!
//! A series is a list of numbers of pairs (4 bytes a label), so that it costs half of what two
//! symbols a label would, and a pair's number leads to its postings without another table. Names
//! are numbers too; a value is text beside its pair, for few values occur under several names. A
//! pair lives as long as its postings have a series, a name as long as it has a pair.

use hashbrown::HashTable;
use std::hash::BuildHasher;

use super::slab::push_tight;

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
    hasher: foldhash::fast::RandomState,
    /// Of names and values, as they stand here.
    text_bytes: usize,
}

#[derive(Debug, Default)]
pub struct Name {
    pub text: Box<str>,
    /// In no order.
    pub pairs: Vec<PairId>,
}

#[derive(Debug, Default)]
pub struct Pair {
    pub name: NameId,
    /// Whether `series` is in order of places, which only a place used again can break.
    sorted: bool,
    pub value: Box<str>,
    series: Postings,
}

/// Places of series. Many a pair has one alone.
#[derive(Debug, Default)]
enum Postings {
    #[default]
    None,
    One(u32),
    Many(Vec<u32>),
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
            hasher: foldhash::fast::RandomState::default(),
            text_bytes: 0,
        }
    }
}

impl Index {
    pub fn text(&self, pair: PairId) -> (&str, &str) {
        let pair = &self.pairs[pair as usize];
        (&self.names[pair.name as usize].text, &pair.value)
    }

    pub fn name_of(&self, pair: PairId) -> NameId {
        self.pairs[pair as usize].name
    }

    pub fn value(&self, pair: PairId) -> &str {
        &self.pairs[pair as usize].value
    }

    pub fn pair_count(&self) -> usize {
        self.pairs.len() - self.free_pairs.len()
    }

    pub fn text_bytes(&self) -> usize {
        self.text_bytes
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

    /// The pairs with this name, in no order.
    pub fn pairs_of(&self, name: NameId) -> &[PairId] {
        &self.names[name as usize].pairs
    }

    pub fn pair(&self, name: NameId, value: &str) -> Option<PairId> {
        let same = |id: &PairId| {
            let pair = &self.pairs[*id as usize];
            pair.name == name && &*pair.value == value
        };
        let hash = hash_pair(&self.hasher, name, value);
        self.pair_table.find(hash, same).copied()
    }

    /// The places of the series that have the pair, in order.
    pub fn postings(&mut self, pair: PairId) -> &[u32] {
        let pair = &mut self.pairs[pair as usize];
        if !std::mem::replace(&mut pair.sorted, true)
            && let Postings::Many(list) = &mut pair.series
        {
            list.sort_unstable();
        }
        pair.series.as_slice()
    }

    /// The places of the series that have the pair, in no order.
    pub fn postings_unsorted(&self, pair: PairId) -> &[u32] {
        self.pairs[pair as usize].series.as_slice()
    }

    /// How many series have the pair.
    pub fn series_count(&self, pair: PairId) -> usize {
        self.pairs[pair as usize].series.as_slice().len()
    }

    /// The pair's number, which is made if there is none; [`Index::add`] a series to it next.
    pub fn intern(&mut self, name: &str, value: &str) -> PairId {
        let name = self.intern_name(name);
        if let Some(found) = self.pair(name, value) {
            return found;
        }
        let pair = Pair {
            name,
            sorted: true,
            value: value.into(),
            series: Postings::None,
        };
        let id = place(&mut self.pairs, &mut self.free_pairs, pair);
        push_tight(&mut self.names[name as usize].pairs, id);
        self.text_bytes += value.len();
        let (pairs, hasher) = (&self.pairs, &self.hasher);
        let rehash = |id: &PairId| {
            let pair = &pairs[*id as usize];
            hash_pair(hasher, pair.name, &pair.value)
        };
        let hash = hash_pair(hasher, name, value);
        self.pair_table.insert_unique(hash, id, rehash);
        id
    }

    fn intern_name(&mut self, text: &str) -> NameId {
        if let Some(found) = self.name(text) {
            return found;
        }
        let name = Name {
            text: text.into(),
            pairs: Vec::new(),
        };
        let id = place(&mut self.names, &mut self.free_names, name);
        self.text_bytes += text.len();
        let (names, hasher) = (&self.names, &self.hasher);
        let rehash = |id: &NameId| hasher.hash_one(&*names[*id as usize].text);
        self.name_table
            .insert_unique(hasher.hash_one(text), id, rehash);
        id
    }

    pub fn add(&mut self, pair: PairId, series: u32) {
        let pair = &mut self.pairs[pair as usize];
        match &mut pair.series {
            Postings::None => pair.series = Postings::One(series),
            Postings::One(first) => {
                pair.sorted = *first < series;
                pair.series = Postings::Many(vec![*first, series]);
            }
            Postings::Many(list) => {
                pair.sorted &= list.last().is_none_or(|last| *last < series);
                push_tight(list, series);
            }
        }
    }

    /// Takes the series for which `gone` holds out of these pairs' postings, and releases the pairs
    /// and names of which nothing is left.
    pub fn sweep(&mut self, pairs: &[PairId], gone: impl Fn(u32) -> bool) {
        let mut names = Vec::new();
        for id in pairs {
            let pair = &mut self.pairs[*id as usize];
            pair.series.remove(&gone);
            if pair.series.as_slice().is_empty() {
                names.push(pair.name);
                self.release(*id);
            }
        }
        names.sort_unstable();
        names.dedup();
        for id in names {
            let (name, pairs) = (&mut self.names[id as usize], &self.pairs);
            name.pairs
                .retain(|pair| !pairs[*pair as usize].series.as_slice().is_empty());
            if name.pairs.is_empty() {
                self.release_name(id);
            }
        }
    }

    /// The pair's name keeps it in its list until the sweep ends.
    fn release(&mut self, id: PairId) {
        let pair = std::mem::take(&mut self.pairs[id as usize]);
        let hash = hash_pair(&self.hasher, pair.name, &pair.value);
        if let Ok(entry) = self.pair_table.find_entry(hash, |found| *found == id) {
            entry.remove();
        }
        self.free_pairs.push(id);
        self.text_bytes -= pair.value.len();
    }

    fn release_name(&mut self, id: NameId) {
        let name = std::mem::take(&mut self.names[id as usize]);
        let hash = self.hasher.hash_one(&*name.text);
        if let Ok(entry) = self.name_table.find_entry(hash, |found| *found == id) {
            entry.remove();
        }
        self.free_names.push(id);
        self.text_bytes -= name.text.len();
    }

    pub fn heap_bytes(&self) -> usize {
        let names: usize = self.names.iter().map(|n| n.pairs.capacity() * 4).sum();
        let pairs: usize = self.pairs.iter().map(|p| p.series.heap_bytes()).sum();
        let tables = (self.name_table.capacity() + self.pair_table.capacity()) * 6;
        self.text_bytes
            + names
            + pairs
            + tables
            + self.names.capacity() * size_of::<Name>()
            + self.pairs.capacity() * size_of::<Pair>()
    }
}

fn hash_pair(hasher: &foldhash::fast::RandomState, name: NameId, value: &str) -> u64 {
    hasher.hash_one((name, value))
}

/// Puts `value` at a number that is free.
fn place<T>(list: &mut Vec<T>, free: &mut Vec<u32>, value: T) -> u32 {
    if let Some(id) = free.pop() {
        list[id as usize] = value;
        return id;
    }
    push_tight(list, value);
    list.len() as u32 - 1
}

impl Postings {
    fn as_slice(&self) -> &[u32] {
        match self {
            Postings::None => &[],
            Postings::One(one) => std::slice::from_ref(one),
            Postings::Many(list) => list,
        }
    }

    fn remove(&mut self, gone: impl Fn(u32) -> bool) {
        match self {
            Postings::One(series) if gone(*series) => *self = Postings::None,
            Postings::None | Postings::One(_) => {}
            Postings::Many(list) => {
                list.retain(|series| !gone(*series));
                match *list.as_slice() {
                    [] => *self = Postings::None,
                    [one] => *self = Postings::One(one),
                    _ if list.len() * 2 < list.capacity() => list.shrink_to_fit(),
                    _ => {}
                }
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Postings::Many(list) => list.capacity() * size_of::<u32>(),
            Postings::None | Postings::One(_) => 0,
        }
    }
}
