//! Compares what a view answers, in every form of reading, with what it should see.

use std::collections::{BTreeMap, BTreeSet};

use super::naive::{Bits, Naive, Samples, matches};
use super::{ALL, Dice, SERIES, labels};
use crate::model::{Labels, Matcher, Sample, TimestampMs};
use crate::storage::{Columns, Querier, SelectHints, Series, SeriesSet, Spans, Times};

type Range = (TimestampMs, TimestampMs);

/// An open view, and what it sees.
pub struct View {
    querier: Box<dyn Querier>,
    range: Range,
    expected: Samples,
    /// Deleted since it began: these samples may be seen or not.
    pub deleted: Vec<(Vec<Matcher>, TimestampMs, TimestampMs)>,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Samples,
    Columns,
    Times,
}

/// A selection to check.
#[derive(Debug)]
pub struct Asked {
    matchers: Vec<Matcher>,
    hints: SelectHints,
    /// The range that is read from each series.
    read: Range,
    form: Form,
    /// Makes two selections at once.
    twice: bool,
}

pub fn ask(dice: &mut Dice, naive: &Naive) -> Asked {
    let mut range = || match dice.below(2) {
        0 => ALL,
        _ => naive.range(dice),
    };
    let ((start, end), read) = (range(), range());
    Asked {
        matchers: naive.matchers(dice),
        hints: SelectHints {
            start,
            end,
            limit: dice.one(&[0, 0, 0, 1, 3]),
            any_order: dice.below(2) == 0,
        },
        read,
        form: dice.one(&[Form::Samples, Form::Columns, Form::Times]),
        twice: dice.below(3) == 0,
    }
}

impl View {
    /// Makes a view that sees `expected`, of which retention may have removed the oldest.
    pub fn new(querier: Box<dyn Querier>, range: Range, expected: &Samples, naive: &Naive) -> View {
        let seen = read_all(&*querier);
        let within = |t: &TimestampMs| (range.0..=range.1).contains(t);
        let kept = |samples: &Samples| -> Samples {
            let kept = |bits: &Bits| -> Bits {
                let bits = bits.iter().map(|(t, v)| (*t, *v));
                bits.filter(|(t, _)| *t >= naive.forgotten_before && within(t))
                    .collect()
            };
            let all = samples
                .iter()
                .map(|(labels, bits)| (labels.clone(), kept(bits)));
            all.filter(|(_, bits)| !bits.is_empty()).collect()
        };
        assert_same(&kept(&seen), &kept(expected));
        let view = View {
            querier,
            range,
            expected: seen,
            deleted: Vec::new(),
        };
        view.check_texts(&[]);
        view
    }

    pub fn compare(&self, asked: &Asked) {
        self.check_texts(&asked.matchers);
        let Asked {
            matchers, hints, ..
        } = asked;
        let mut set = self.querier.select(hints, matchers).unwrap();
        let mut other = asked
            .twice
            .then(|| self.querier.select(hints, matchers).unwrap());
        let mut found: BTreeMap<Labels, Bits> = BTreeMap::new();
        let mut last: Option<Labels> = None;
        while let Some(series) = set.next() {
            let series = series.unwrap();
            let labels = series.labels();
            if !hints.any_order {
                assert!(last < Some(labels.clone()), "the order of {labels}");
            }
            assert!(matches(matchers, &labels), "{labels} matches");
            self.check_series(&*series, asked);
            if let Some(other) = &mut other {
                let again = other.next().unwrap().unwrap();
                let mut pairs = Vec::new();
                again
                    .each_label(&mut |name, value| pairs.push((name.to_owned(), value.to_owned())));
                assert_eq!(Labels::from_pairs(pairs), labels, "the same series again");
                self.check_series(&*again, asked);
            }
            let samples = read(&*series, ALL);
            assert!(
                found.insert(labels.clone(), samples).is_none(),
                "{labels} is there twice"
            );
            last = Some(labels);
        }
        assert!(other.is_none_or(|mut other| other.next().is_none()));
        let is_cut = hints.limit > 0 && found.len() >= hints.limit;
        assert!(hints.limit == 0 || found.len() <= hints.limit, "the limit");
        for (labels, bits) in &self.expected {
            let range = self.within((hints.start, hints.end));
            let is_due = bits
                .range_or_none(range)
                .any(|(t, _)| !self.is_deleted(labels, *t));
            if matches(matchers, labels) && is_due && !is_cut {
                assert!(found.contains_key(labels), "{labels} is missing");
            }
        }
    }

    fn within(&self, (start, end): Range) -> Range {
        (self.range.0.max(start), self.range.1.min(end))
    }

    fn is_deleted(&self, labels: &Labels, t: TimestampMs) -> bool {
        let mut deleted = self.deleted.iter();
        deleted.any(|(of, start, end)| (*start..=*end).contains(&t) && matches(of, labels))
    }

    /// Checks what is read from one series, in the chosen form.
    fn check_series(&self, series: &dyn Series, asked: &Asked) {
        let (start, end) = asked.read;
        let labels = series.labels();
        let range = self.within((start.max(asked.hints.start), end.min(asked.hints.end)));
        let expected = self.expected.get(&labels);
        let expected = expected
            .into_iter()
            .flat_map(|bits| bits.range_or_none(range));
        let expected: Bits = expected.map(|(t, v)| (*t, *v)).collect();
        let found: Vec<(TimestampMs, u64)> = match asked.form {
            Form::Samples => {
                let mut out = vec![Sample { t: 5, v: 5.0 }];
                series.read(start, end, &mut out).unwrap();
                out.iter().skip(1).map(|s| (s.t, s.v.to_bits())).collect()
            }
            Form::Columns => {
                let mut out = Columns::default();
                out.push(Sample { t: 5, v: 5.0 });
                series.read_columns(start, end, &mut out).unwrap();
                let all = out.samples().skip(1);
                all.map(|s| (s.t, s.v.to_bits())).collect()
            }
            Form::Times => return self.check_times(series, asked.read, &expected),
        };
        assert!(
            found.windows(2).all(|pair| pair[0].0 < pair[1].0),
            "the order of times"
        );
        self.check_samples(&labels, &found.into_iter().collect(), &expected);
    }

    fn check_samples(&self, labels: &Labels, found: &Bits, expected: &Bits) {
        let all: BTreeSet<_> = found.keys().chain(expected.keys()).copied().collect();
        for t in all {
            let (found, expected) = (found.get(&t), expected.get(&t));
            let may_miss = found.is_none() && self.is_deleted(labels, t);
            assert!(
                found == expected || may_miss,
                "{labels} {t}: {found:x?}, not {expected:x?}"
            );
        }
    }

    /// Checks the times of all samples, which are stale, and the spans between.
    fn check_times(&self, series: &dyn Series, (start, end): Range, expected: &Bits) {
        let stale = crate::model::STALE_NAN_BITS;
        let mut spans = (Spans::new(60_000), Spans::new(60_000));
        let mut out = Times::default();
        series.read_times(start, end, &mut out).unwrap();
        spans.0.read(series, start, end).unwrap();
        spans.1.add(&out);
        assert!(spans.0.iter().eq(spans.1.iter()), "spans");
        out.clear();
        let first = Sample {
            t: 5,
            v: f64::from_bits(stale),
        };
        out.extend(&[first]);
        series.read_times(start, end, &mut out).unwrap();
        assert_eq!((out.times[0], out.stale[0]), (5, 0));
        // A value of which only staleness is known.
        let known = |is_stale: bool| if is_stale { stale } else { 0 };
        let times = out.times.iter().enumerate().skip(1);
        let found = times.map(|(at, t)| (*t, known(out.stale.contains(&(at as u32)))));
        let expected = expected.iter().map(|(t, v)| (*t, known(*v == stale)));
        assert!(
            out.times[1..].windows(2).all(|pair| pair[0] < pair[1]),
            "the order of times"
        );
        self.check_samples(&series.labels(), &found.collect(), &expected.collect());
    }

    /// Checks names and values: all that are seen, and none that never existed.
    fn check_texts(&self, matchers: &[Matcher]) {
        let (mut least, mut most) = (BTreeSet::new(), BTreeSet::new());
        let seen = self.expected.iter().filter(|(labels, bits)| {
            bits.keys().any(|t| !self.is_deleted(labels, *t)) && matches(matchers, labels)
        });
        seen.for_each(|(labels, _)| add_pairs(labels, &mut least));
        let all = SERIES.map(labels).into_iter();
        let all = all.filter(|labels| matches(matchers, labels));
        all.for_each(|labels| add_pairs(&labels, &mut most));
        let names = self.querier.label_names(matchers, 0).unwrap();
        check_list(&names, &names_of(&least), &names_of(&most));
        for name in ["n", "job", "i", "never"] {
            let values = self.querier.label_values(name, matchers, 0).unwrap();
            check_list(&values, &values_of(name, &least), &values_of(name, &most));
            let two = self.querier.label_values(name, matchers, 2).unwrap();
            assert_eq!(
                two,
                values[..values.len().min(2)],
                "the first values of {name}"
            );
        }
    }
}

type Pairs = BTreeSet<(String, String)>;

fn add_pairs(labels: &Labels, to: &mut Pairs) {
    to.extend(
        labels
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
}

fn names_of(pairs: &Pairs) -> BTreeSet<&str> {
    pairs.iter().map(|(name, _)| name.as_str()).collect()
}

fn values_of<'a>(name: &str, pairs: &'a Pairs) -> BTreeSet<&'a str> {
    let pairs = pairs.iter().filter(|pair| pair.0 == name);
    pairs.map(|(_, value)| value.as_str()).collect()
}

fn check_list(found: &[String], least: &BTreeSet<&str>, most: &BTreeSet<&str>) {
    assert!(
        found.windows(2).all(|pair| pair[0] < pair[1]),
        "{found:?} is in order"
    );
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    assert!(
        found.is_superset(least) && found.is_subset(most),
        "{least:?} {found:?} {most:?}"
    );
}

fn read(series: &dyn Series, (start, end): Range) -> Bits {
    let mut samples: Vec<Sample> = Vec::new();
    series.read(start, end, &mut samples).unwrap();
    samples.iter().map(|s| (s.t, s.v.to_bits())).collect()
}

fn read_all(querier: &dyn Querier) -> Samples {
    let mut set: Box<dyn SeriesSet> = querier.select(&SelectHints::default(), &[]).unwrap();
    let mut all = Samples::new();
    while let Some(series) = set.next() {
        let series = series.unwrap();
        let bits = read(&*series, ALL);
        if !bits.is_empty() {
            all.insert(series.labels(), bits);
        }
    }
    all
}

/// Reports the first difference only.
fn assert_same(found: &Samples, expected: &Samples) {
    let none = Bits::new();
    let all: BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    for labels in all {
        let of = |samples: &Samples| samples.get(labels).unwrap_or(&none).clone();
        let (found, expected) = (of(found), of(expected));
        let times: BTreeSet<_> = found.keys().chain(expected.keys()).collect();
        for t in times {
            let (found, expected) = (found.get(t), expected.get(t));
            assert!(
                found == expected,
                "{labels} {t}: {found:x?}, not {expected:x?}"
            );
        }
    }
}

trait RangeOrNone {
    fn range_or_none(&self, range: Range) -> impl Iterator<Item = (&TimestampMs, &u64)>;
}

impl RangeOrNone for Bits {
    fn range_or_none(&self, (start, end): Range) -> impl Iterator<Item = (&TimestampMs, &u64)> {
        let is_range = start <= end;
        let range = is_range.then(|| self.range(start..=end));
        range.into_iter().flatten()
    }
}
