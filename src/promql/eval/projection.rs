//! Groups series by some of their labels: an aggregation's groups, a join's signatures.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;
use hashbrown::HashTable;

use crate::model::Labels;
use crate::model::names::METRIC_NAME;
use crate::stdx::sort::sort;

/// The labels that count.
#[derive(Debug, Clone)]
pub(super) struct Projection {
    /// Sorted, each once.
    names: Vec<String>,
    /// True: only `names` count. False: all labels but `names` count.
    keeps: bool,
}

impl Projection {
    /// For `by (names)` and `on (names)`.
    pub fn keeping(names: &[String]) -> Projection {
        Projection::new(names.to_vec(), true)
    }

    /// For `without (names)` and `ignoring (names)`. The metric's name never counts.
    pub fn dropping(names: &[String]) -> Projection {
        let name = std::iter::once(METRIC_NAME.to_owned());
        Projection::new(name.chain(names.iter().cloned()).collect(), false)
    }

    /// Counts all labels, including the metric's name.
    pub fn all() -> Projection {
        Projection::new(Vec::new(), false)
    }

    fn new(mut names: Vec<String>, keeps: bool) -> Projection {
        sort(&mut names);
        names.dedup();
        Projection { names, keeps }
    }

    /// Whether no label counts.
    pub fn keeps_none(&self) -> bool {
        self.keeps && self.names.is_empty()
    }

    pub fn keeps(&self, name: &str) -> bool {
        self.names.iter().any(|n| n == name) == self.keeps
    }

    pub fn pairs<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut names = self.names.iter().map(String::as_str).peekable();
        labels.iter().filter(move |(name, _)| {
            while names.next_if(|n| n < name).is_some() {}
            (names.peek() == Some(name)) == self.keeps
        })
    }

    pub fn labels(&self, labels: &Labels) -> Labels {
        Labels::from_sorted(self.pairs(labels))
    }
}

/// The known projections, numbered in the order of first occurrence.
pub(super) struct Groups {
    projection: Projection,
    // NOTE: seeded, since labels come from strangers.
    hasher: RandomState,
    table: HashTable<u32>,
    labels: Vec<Labels>,
}

impl Groups {
    pub fn new(projection: Projection) -> Groups {
        Groups {
            projection,
            hasher: RandomState::default(),
            table: HashTable::new(),
            labels: Vec::new(),
        }
    }

    /// Returns the number of the group of `labels`. A new group gets the next number.
    pub fn number(&mut self, labels: &Labels) -> usize {
        let Groups {
            projection,
            hasher,
            table,
            labels: known,
        } = self;
        let hash = hash(hasher, projection.pairs(labels));
        let same = |i: &u32| {
            let known = known.get(*i as usize);
            known.is_some_and(|k| k.iter().eq(projection.pairs(labels)))
        };
        if let Some(i) = table.find(hash, same) {
            return *i as usize;
        }
        let number = known.len();
        known.push(projection.labels(labels));
        // NOTE: the limit on samples ends a query long before four billion groups.
        table.insert_unique(hash, number as u32, |i| {
            let known = known.get(*i as usize);
            known.map_or(0, |k| self::hash(hasher, k.iter()))
        });
        number
    }

    /// Returns the number of the group of `labels`, if it is known.
    pub fn find(&self, labels: &Labels) -> Option<usize> {
        let hash = hash(&self.hasher, self.projection.pairs(labels));
        let same = |i: &u32| {
            let known = self.labels.get(*i as usize);
            known.is_some_and(|k| k.iter().eq(self.projection.pairs(labels)))
        };
        self.table.find(hash, same).map(|i| *i as usize)
    }

    /// The labels of a group.
    pub fn labels(&self, number: usize) -> Labels {
        self.labels.get(number).cloned().unwrap_or_default()
    }
}

fn hash<'a>(hasher: &RandomState, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
    let mut hasher = hasher.build_hasher();
    for (name, value) in pairs {
        hasher.write(name.as_bytes());
        hasher.write_usize(name.len());
        hasher.write(value.as_bytes());
        hasher.write_usize(value.len());
    }
    hasher.finish()
}
