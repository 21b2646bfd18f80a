//! Label pairs, and the series that have them, while a block is written.

use std::hash::BuildHasher as _;

use crate::stdx::cursor::Cursor;
use crate::stdx::varint::put_varint;
use hashbrown::HashTable;

/// Each pair once: its text in one arena, its series as gaps in varints. A writer holds this much
/// of a block's index: some 60 bytes per pair, and a byte or two per label of a series.
#[derive(Debug, Default)]
pub struct Pairs {
    texts: String,
    pairs: Vec<Pair>,
    known: HashTable<u32>,
    hasher: foldhash::fast::RandomState,
}

#[derive(Debug)]
struct Pair {
    at: u32,
    name_len: u32,
    value_len: u32,
    count: u32,
    /// One after the last series.
    next: u32,
    gaps: Vec<u8>,
}

impl Pairs {
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    pub fn text_bytes(&self) -> usize {
        self.texts.len()
    }

    pub fn of(&self, id: u32) -> (&str, &str) {
        text(&self.texts, &self.pairs, id)
    }

    /// Returns the number of a pair. A new pair gets the next number.
    pub fn id(&mut self, name: &str, value: &str) -> u32 {
        let hash = self.hasher.hash_one((name, value));
        let (texts, pairs) = (&self.texts, &self.pairs);
        let found = { &self.known }.find(hash, |id| text(texts, pairs, *id) == (name, value));
        if let Some(id) = found {
            return *id;
        }
        let id = self.pairs.len() as u32;
        self.pairs.push(Pair {
            at: self.texts.len() as u32,
            name_len: name.len() as u32,
            value_len: value.len() as u32,
            count: 0,
            next: 0,
            gaps: Vec::new(),
        });
        self.texts.push_str(name);
        self.texts.push_str(value);
        let (texts, pairs, hasher) = (&self.texts, &self.pairs, &self.hasher);
        let hash_of = |id: &u32| hasher.hash_one(text(texts, pairs, *id));
        self.known.insert_unique(hash, id, hash_of);
        id
    }

    /// Adds a series to a pair. Series must come in order.
    pub fn add(&mut self, id: u32, series: u32) {
        if let Some(pair) = self.pairs.get_mut(id as usize) {
            put_varint(&mut pair.gaps, u64::from(series - pair.next));
            pair.next = series + 1;
            pair.count += 1;
        }
    }

    /// Returns the numbers of all pairs, in order of names and values. Drops the table that finds
    /// them.
    pub fn sorted(&mut self) -> Vec<u32> {
        self.known = HashTable::new();
        let mut ids: Vec<u32> = (0..self.pairs.len() as u32).collect();
        ids.sort_unstable_by_key(|id| self.of(*id));
        ids
    }

    pub fn count(&self, id: u32) -> u32 {
        self.pairs.get(id as usize).map_or(0, |pair| pair.count)
    }

    /// Appends a pair's series as they are stored: gaps, or runs where those are shorter.
    pub fn put_postings(&self, id: u32, out: &mut Vec<u8>) {
        let Some(pair) = self.pairs.get(id as usize) else {
            return;
        };
        let at = out.len();
        out.push(RUNS);
        let (mut gap, mut len) = (0, 0u64);
        let mut from = Cursor::new(&pair.gaps);
        while let Some(next) = from.varint() {
            if next > 0 || len == 0 {
                put_run(out, gap, len);
                (gap, len) = (next, 0);
            }
            len += 1;
        }
        put_run(out, gap, len);
        if out.len() - at > pair.gaps.len() + 1 {
            out.truncate(at);
            out.push(GAPS);
            out.extend_from_slice(&pair.gaps);
        }
    }
}

/// Each series is stored as the gap after the one before.
pub const GAPS: u8 = 0;
/// Gaps, each with the number of series that follow one another, less one.
pub const RUNS: u8 = 1;

fn put_run(out: &mut Vec<u8>, gap: u64, len: u64) {
    if len > 0 {
        put_varint(out, gap);
        put_varint(out, len - 1);
    }
}

/// Calls `each` with the first of each run of series, and one after its last.
pub fn read_postings(bytes: &[u8], mut each: impl FnMut(u32, u32)) -> Option<()> {
    let mut from = Cursor::new(bytes);
    let is_runs = match from.byte()? {
        GAPS => false,
        RUNS => true,
        _ => return None,
    };
    let mut next = 0u32;
    while !from.is_empty() {
        let first = next.checked_add(from.small()?)?;
        let more = if is_runs { from.small()? } else { 0 };
        next = first.checked_add(more)?.checked_add(1)?;
        each(first, next);
    }
    Some(())
}

fn text<'a>(texts: &'a str, pairs: &[Pair], id: u32) -> (&'a str, &'a str) {
    let Some(pair) = pairs.get(id as usize) else {
        return ("", "");
    };
    let middle = (pair.at + pair.name_len) as usize;
    let end = middle + pair.value_len as usize;
    (&texts[pair.at as usize..middle], &texts[middle..end])
}
