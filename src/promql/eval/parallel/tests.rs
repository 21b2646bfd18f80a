//! Tests that rows come out the same, in the same order, with and without help.

use super::*;
use crate::model::{Labels, Sample};
use crate::promql::eval::absent;
use crate::stdx::clock::ManualClock;
use crate::stdx::stop::stop;
use crate::storage::StorageError;

/// This many series, each with its number as value.
struct Numbers {
    next: u32,
    end: u32,
    fails_at: u32,
}

struct Number(u32);

impl SeriesSet for Numbers {
    fn next(&mut self) -> Option<Result<Box<dyn Series>, StorageError>> {
        if self.next == self.end {
            return None;
        }
        self.next += 1;
        if self.next == self.fails_at {
            return Some(Err(StorageError::Closed));
        }
        Some(Ok(Box::new(Number(self.next))))
    }
}

impl Series for Number {
    fn labels(&self) -> Labels {
        Labels::empty()
    }

    fn read(&self, _: i64, _: i64, out: &mut Vec<Sample>) -> Result<(), StorageError> {
        let v = f64::from(self.0);
        out.extend((0..100).map(|t| Sample { t, v }));
        Ok(())
    }
}

/// Leaves every seventh series out, and panics at one of them.
struct Read {
    panics_at: f64,
}

impl Make for Read {
    fn make(&mut self, series: &dyn Series, run: &mut Run<'_>) -> Result<Option<Made>, QueryError> {
        let mut samples = Vec::new();
        series.read(0, 0, &mut samples)?;
        run.statistics.decoded_samples += samples.len() as u64;
        let v = samples.first().map_or(absent(), |s| s.v);
        assert!(v != self.panics_at, "at {v}");
        if v % 7.0 == 0.0 {
            return Ok(None);
        }
        Ok(Some(Made::of(Row {
            labels: Labels::empty(),
            drops_name: false,
            values: vec![v],
        })))
    }

    fn another(&self) -> Read {
        Read {
            panics_at: self.panics_at,
        }
    }

    fn steps(&self) -> usize {
        1
    }

    fn bytes(&self) -> usize {
        8
    }
}

/// Returns the rows of `end` series, as far as they come, and how the run ends.
fn rows(count: usize, end: u32, fails_at: u32, panics_at: f64) -> (Vec<f64>, String) {
    let clock = Arc::new(ManualClock::new(0));
    let (_hold, cancel) = stop();
    let helpers = Helpers::with(clock.clone(), count, 1_000);
    let mut run =
        Run::new(&*clock, Duration::from_secs(1), &cancel, 1_000, false).with_helpers(&helpers);
    let set = Box::new(Numbers {
        next: 0,
        end,
        fails_at,
    });
    let mut parallel = Parallel::new(set, Read { panics_at }, &run);
    let mut found = Vec::new();
    let how = loop {
        match parallel.next(&mut run) {
            Ok(Some(made)) => found.push(made.row.unwrap().values[0]),
            Ok(None) => break format!("{} samples", run.statistics.decoded_samples),
            Err(error) => break error.to_string(),
        }
    };
    drop(parallel);
    assert_eq!(
        helpers.free.load(Ordering::Relaxed),
        count,
        "no helper is at work any more"
    );
    (found, how)
}

#[test]
fn with_help_the_rows_are_the_same_in_the_same_order() {
    for end in [0, 1, 9, 10, 11, 500, 5_000] {
        let alone = rows(0, end, 0, 0.0);
        assert_eq!(alone.1, format!("{} samples", end * 100));
        for _ in 0..5 {
            assert_eq!(rows(1, end, 0, 0.0), alone, "{end}");
        }
    }
}

#[test]
fn what_fails_fails_in_its_place() {
    for at in [1, 11, 200, 1_999] {
        let alone = rows(0, 2_000, at, 0.0);
        assert_eq!(alone.1, "expanding series: the storage is closed");
        assert_eq!(rows(1, 2_000, at, 0.0), alone, "{at}");
    }
}

#[test]
fn a_helpers_panic_costs_the_query_alone() {
    // NOTE: either thread may meet the panic. One on the query's own thread is the engine's to
    // catch.
    if let Ok((_, how)) = catch_unwind(|| rows(1, 5_000, 0, 4_000.0)) {
        assert_eq!(how, "unexpected error: at 4000");
    }
}
