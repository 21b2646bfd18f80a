//! Merges several selections into one.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::parts::{Parts, Whole};
use super::{Series, SeriesSet, StorageError};
use crate::model::labels::pairs_of;

/// Merges sets that are sorted by labels. Of samples at the same time, the first set's counts, so
/// put the newest source first. Reads one series of each set ahead.
pub fn merge_sets(mut sets: Vec<Box<dyn SeriesSet>>) -> Box<dyn SeriesSet> {
    if sets.len() == 1
        && let Some(set) = sets.pop()
    {
        return set;
    }
    Box::new(Merge::new(sets))
}

struct Merge {
    sets: Vec<Source>,
    failed: Option<StorageError>,
    /// The sets that stand at the next series; kept for its allocation.
    next: Vec<usize>,
}

struct Source {
    set: Box<dyn SeriesSet>,
    /// The series that the set stands at.
    head: Option<Box<dyn Series>>,
}

impl Merge {
    fn new(sets: Vec<Box<dyn SeriesSet>>) -> Merge {
        let source = |set| Source { set, head: None };
        let mut merge = Merge {
            sets: sets.into_iter().map(source).collect(),
            failed: None,
            next: Vec::new(),
        };
        for source in &mut merge.sets {
            source.advance(&mut merge.failed);
        }
        merge
    }

    /// Finds the sets that stand at the first of all series, in their order. NOTE: looks at all
    /// sets. They are few and mostly at the same series, and equality is quicker to test than
    /// order.
    fn find_next(&mut self) {
        self.next.clear();
        let mut first: Option<Cow<'_, str>> = None;
        for (i, source) in self.sets.iter().enumerate() {
            let Some(series) = &source.head else {
                continue;
            };
            let text = series.text();
            let order = match &first {
                Some(first) if *first == text => Ordering::Equal,
                Some(first) => pairs_of(&text).cmp(pairs_of(first)),
                None => Ordering::Less,
            };
            if order == Ordering::Less {
                self.next.clear();
                first = Some(text);
            }
            if order != Ordering::Greater {
                self.next.push(i);
            }
        }
    }
}

impl Source {
    fn advance(&mut self, failed: &mut Option<StorageError>) -> Option<Box<dyn Series>> {
        let next = match self.set.next() {
            Some(Ok(series)) => Some(series),
            Some(Err(error)) => {
                *failed = Some(error);
                None
            }
            None => None,
        };
        std::mem::replace(&mut self.head, next)
    }
}

impl SeriesSet for Merge {
    fn next(&mut self) -> Option<Result<Box<dyn Series>, StorageError>> {
        if let Some(error) = self.failed.take() {
            self.sets.clear();
            return Some(Err(error));
        }
        self.find_next();
        let mut taken = self.next.iter().filter_map(|i| {
            let source = self.sets.get_mut(*i)?;
            source.advance(&mut self.failed)
        });
        let first = taken.next()?;
        let Some(second) = taken.next() else {
            return Some(Ok(first));
        };
        let mut parts = Vec::with_capacity(self.next.len());
        parts.extend([first, second]);
        parts.extend(taken);
        Some(Ok(Box::new(Whole(Merged(parts)))))
    }

    /// NOTE: the largest count, since most series are in several sets.
    fn left(&self) -> Option<usize> {
        let left = self.sets.iter().filter_map(|source| source.set.left());
        left.max()
    }
}

/// One series from several sources, the one that counts most first.
struct Merged(Vec<Box<dyn Series>>);

impl Parts for Merged {
    fn named(&self) -> Option<&dyn Series> {
        self.0.first().map(|part| &**part)
    }

    fn oldest_first(&self) -> impl Iterator<Item = &dyn Series> + Clone {
        self.0.iter().rev().map(|part| &**part)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{Labels, Sample};
    use crate::storage::Times;

    struct Set(std::vec::IntoIter<(&'static str, Vec<(i64, f64)>)>);
    struct One(&'static str, Vec<(i64, f64)>);

    impl SeriesSet for Set {
        fn next(&mut self) -> Option<Result<Box<dyn Series>, StorageError>> {
            let (name, samples) = self.0.next()?;
            Some(match name {
                "fails" => Err(StorageError::Closed),
                name => Ok(Box::new(One(name, samples))),
            })
        }
    }

    impl Series for One {
        fn labels(&self) -> Labels {
            Labels::from_pairs([("a", self.0)])
        }

        fn read(&self, start: i64, end: i64, out: &mut Vec<Sample>) -> Result<(), StorageError> {
            let within = self.1.iter().filter(|(t, _)| start <= *t && *t <= end);
            out.extend(within.map(|(t, v)| Sample { t: *t, v: *v }));
            Ok(())
        }
    }

    /// Sets are written "series t=v t=v; series ...".
    fn check(sets: &[&'static str], expect: &str) {
        let sample = |text: &str| {
            let (t, v) = text.split_once('=').unwrap();
            (t.parse().unwrap(), v.parse().unwrap())
        };
        let series = |text: &'static str| {
            let mut words = text.split_whitespace();
            (words.next().unwrap(), words.map(sample).collect())
        };
        let set = |text: &&'static str| -> Box<dyn SeriesSet> {
            let all = text.split(';').filter(|s| !s.is_empty());
            Box::new(Set(all.map(series).collect::<Vec<_>>().into_iter()))
        };
        let mut merged = merge_sets(sets.iter().map(set).collect());
        let mut found = Vec::new();
        while let Some(next) = merged.next() {
            let Ok(series) = next else {
                found.push("fails".to_owned());
                continue;
            };
            let mut samples = vec![Sample { t: -1, v: 0.0 }];
            series.read(0, 100, &mut samples).unwrap();
            let mut text = series.labels().get("a").unwrap().to_owned();
            for s in &samples[1..] {
                text += &format!(" {}={}", s.t, s.v);
            }
            found.push(text);
        }
        assert_eq!(found.join(";"), expect, "{sets:?}");
    }

    #[test]
    fn table() {
        check(&[], "");
        check(&["", ""], "");
        check(&["x 1=1"], "x 1=1");
        check(&["x 1=1;z 1=1", "y 2=2"], "x 1=1;y 2=2;z 1=1");
        check(&["x 5=1 6=1", "x 1=2 2=2"], "x 1=2 2=2 5=1 6=1");
        check(&["x 1=2 2=2", "x 5=1 6=1"], "x 1=2 2=2 5=1 6=1");
        check(&["x 2=1 4=1", "x 1=2 2=2 3=2"], "x 1=2 2=1 3=2 4=1");
        check(&["x 2=1", "x 2=2", "x 2=3"], "x 2=1");
        check(&["x 2=3", "y 1=1", "x 1=2 2=2"], "x 1=2 2=3;y 1=1");
        check(&["x 101=1", "x 1=1"], "x 1=1");
        check(&["x 1=1;fails", "y 1=1"], "x 1=1;fails");
    }

    /// Sets of samples by series and time. The first set's value of a sample counts.
    type Model = Vec<BTreeMap<&'static str, BTreeMap<i64, i32>>>;

    fn any_sets() -> impl Strategy<Value = Model> {
        let name = prop::sample::select(vec!["a", "b", "ba", "c", "ca", "d"]);
        let samples = prop::collection::btree_map(0i64..20, any::<i32>(), 1..8);
        prop::collection::vec(prop::collection::btree_map(name, samples, 0..6), 0..6)
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_twice(sets in any_sets()) {
            let mut expected: BTreeMap<&str, BTreeMap<i64, f64>> = BTreeMap::new();
            for (name, samples) in sets.iter().rev().flatten() {
                let all = expected.entry(name).or_default();
                all.extend(samples.iter().map(|(t, v)| (*t, f64::from(*v))));
            }
            let set = |set: &BTreeMap<&'static str, BTreeMap<i64, i32>>| -> Box<dyn SeriesSet> {
                let of = |samples: &BTreeMap<i64, i32>| {
                    samples.iter().map(|(t, v)| (*t, f64::from(*v))).collect()
                };
                let all: Vec<_> = set.iter().map(|(name, samples)| (*name, of(samples))).collect();
                Box::new(Set(all.into_iter()))
            };
            let mut merged = merge_sets(sets.iter().map(set).collect());
            let mut found = Vec::new();
            while let Some(series) = merged.next() {
                let series = series.unwrap();
                let (mut samples, mut times) = (Vec::new(), Times::default());
                series.read(0, 100, &mut samples).unwrap();
                series.read_times(0, 100, &mut times).unwrap();
                prop_assert!(times.times.iter().eq(samples.iter().map(|s| &s.t)));
                let samples: BTreeMap<_, _> = samples.iter().map(|s| (s.t, s.v)).collect();
                found.push((series.labels().get("a").unwrap().to_owned(), samples));
            }
            let expected: Vec<_> = expected.into_iter().map(|(n, s)| (n.to_owned(), s)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
