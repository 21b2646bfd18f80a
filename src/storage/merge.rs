//! Several selections as one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Series, SeriesSet, StorageError, Times};
use crate::model::{Labels, Sample, TimestampMs};

/// Merges sets that are sorted by labels. Of samples at the same time, that of the first set
/// counts: put the newest source first. Reads one series of each set ahead.
pub fn merge_sets(mut sets: Vec<Box<dyn SeriesSet>>) -> Box<dyn SeriesSet> {
    if sets.len() == 1
        && let Some(set) = sets.pop()
    {
        return set;
    }
    Box::new(Merge::new(sets))
}

struct Merge {
    sets: Vec<Box<dyn SeriesSet>>,
    /// The series that each set is at.
    heads: Vec<Option<Box<dyn Series>>>,
    /// Sets by the labels they are at, then by precedence.
    order: BinaryHeap<Reverse<(Labels, usize)>>,
    failed: Option<StorageError>,
}

impl Merge {
    fn new(sets: Vec<Box<dyn SeriesSet>>) -> Merge {
        let mut merge = Merge {
            heads: sets.iter().map(|_| None).collect(),
            order: BinaryHeap::with_capacity(sets.len()),
            sets,
            failed: None,
        };
        for i in 0..merge.sets.len() {
            merge.advance(i);
        }
        merge
    }

    fn advance(&mut self, i: usize) {
        match self.sets.get_mut(i).and_then(|set| set.next()) {
            Some(Ok(series)) => {
                self.order.push(Reverse((series.labels(), i)));
                if let Some(head) = self.heads.get_mut(i) {
                    *head = Some(series);
                }
            }
            Some(Err(error)) => self.failed = Some(error),
            None => {}
        }
    }

    fn pop(&mut self) -> Option<(Labels, Box<dyn Series>)> {
        let Reverse((labels, i)) = self.order.pop()?;
        let series = self.heads.get_mut(i)?.take()?;
        self.advance(i);
        Some((labels, series))
    }
}

impl SeriesSet for Merge {
    fn next(&mut self) -> Option<Result<Box<dyn Series>, StorageError>> {
        if let Some(error) = self.failed.take() {
            self.order.clear();
            return Some(Err(error));
        }
        let (labels, first) = self.pop()?;
        let mut parts = Vec::new();
        while { self.order.peek() }.is_some_and(|Reverse((next, _))| *next == labels) {
            parts.extend(self.pop().map(|(_, series)| series));
        }
        if parts.is_empty() {
            return Some(Ok(first));
        }
        parts.insert(0, first);
        Some(Ok(Box::new(Merged { labels, parts })))
    }
}

/// A series of several sources, the one that counts most first.
struct Merged {
    labels: Labels,
    parts: Vec<Box<dyn Series>>,
}

impl Series for Merged {
    fn labels(&self) -> Labels {
        self.labels.clone()
    }

    fn read(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Vec<Sample>,
    ) -> Result<(), StorageError> {
        let before = out.len();
        let mut sorted = true;
        // NOTE: the oldest source first: mostly it ends before the next begins.
        for part in self.parts.iter().rev() {
            let at = out.len();
            part.read(start, end, out)?;
            let (old, new) = out.split_at(at);
            let old = old.get(before..).unwrap_or_default();
            sorted &= old.last().zip(new.first()).is_none_or(|(a, b)| a.t < b.t);
        }
        if !sorted {
            // NOTE: stable, so that of samples at one time the first source's is the last; and
            // quick, as what it sorts are a few sorted runs.
            let mut new = out.split_off(before);
            new.sort_by_key(|s| s.t);
            new.dedup_by(|next, kept| {
                let same = next.t == kept.t;
                if same {
                    *kept = *next;
                }
                same
            });
            out.append(&mut new);
        }
        Ok(())
    }

    fn read_times(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Times,
    ) -> Result<(), StorageError> {
        let before = out.times.len();
        for part in self.parts.iter().rev() {
            let at = out.times.len();
            part.read_times(start, end, out)?;
            let (old, new) = out.times.split_at(at);
            let old = old.get(before..).unwrap_or_default();
            if old.last().zip(new.first()).is_some_and(|(a, b)| a >= b) {
                out.truncate(before);
                let mut samples = Vec::new();
                self.read(start, end, &mut samples)?;
                out.extend(&samples);
                return Ok(());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// Sets as "series t=v t=v; series ...".
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
}
