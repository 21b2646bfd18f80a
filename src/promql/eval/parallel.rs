//! Makes rows of stored series on two threads, where that pays.
//!
//! The query's own thread hands every other batch of series to a helper, and takes the rows back in
//! the order of the series. Which thread made a row changes no bit of the result.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use super::row::Row;
use super::run::Run;
use crate::promql::error::QueryError;
use crate::stdx::clock::Clock;
use crate::stdx::stop::Stop;
use crate::stdx::thread::{Thread, panic_message, spawn};
use crate::storage::{Series, SeriesSet};

/// Makes a row of a series.
pub trait Make: Send + Sized + 'static {
    /// Returns `None` where the series has nothing within the selection.
    fn make(&mut self, series: &dyn Series, run: &mut Run<'_>) -> Result<Option<Made>, QueryError>;

    /// Makes rows of successive series.
    fn make_all(&mut self, job: Job, run: &mut Run<'_>) -> Result<Vec<Made>, QueryError> {
        let mut rows = Vec::with_capacity(job.len());
        for series in job {
            run.check()?;
            rows.extend(self.make(&*series, run)?);
        }
        Ok(rows)
    }

    /// Returns a copy for another thread.
    fn another(&self) -> Self;

    /// The number of values in a row.
    fn steps(&self) -> usize;

    /// The number of bytes kept from series to series.
    fn bytes(&self) -> usize;
}

/// The result of one series.
pub struct Made {
    /// `None` if no step has a value.
    pub row: Option<Row>,
    /// The name of a metric that deserves a remark.
    pub remark: Option<String>,
    /// A hash of the labels without the metric's name; only where asked for.
    pub identity: Option<u64>,
}

impl Made {
    /// The result of a series whose samples give no value.
    pub fn nothing() -> Made {
        Made {
            row: None,
            remark: None,
            identity: None,
        }
    }

    pub fn of(row: Row) -> Made {
        Made {
            row: Some(row),
            remark: None,
            identity: None,
        }
    }
}

/// LIMIT: values or samples of a batch, whichever are more. A batch takes a fraction of a
/// millisecond, and all batches under way less than a megabyte.
const BATCH_VALUES: usize = 1 << 14;
/// LIMIT: series of a batch. It bounds the first batch, before the samples per series are known.
const BATCH_SERIES: usize = 256;
const FIRST_SERIES: usize = 32;
/// A batch is at most this part of the rest, so that both threads end together.
const BATCH_PART: usize = 8;
/// LIMIT: batches that wait for the helper, and batches whose rows wait to be taken.
const JOBS_MAX: usize = 2;
const SLOTS_MAX: usize = 6;
/// LIMIT: a helper's stack, in bytes. It runs decoding and window functions, without recursion.
const STACK: usize = 256 << 10;

/// The helpers that an engine's queries share.
#[derive(Debug)]
pub struct Helpers {
    clock: Arc<dyn Clock>,
    free: AtomicUsize,
    /// The estimated number of samples from which on a selection gets a helper.
    patience: u64,
}

/// Fewer samples are read in half a millisecond, and starting a thread takes a tenth of one.
const PATIENCE: u64 = 30_000;

impl Helpers {
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Helpers> {
        // LIMIT: one helper, however many cores there are, since the machine has other work.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Helpers::with(clock, cores.saturating_sub(1).min(1), PATIENCE)
    }

    pub fn with(clock: Arc<dyn Clock>, count: usize, patience: u64) -> Arc<Helpers> {
        Arc::new(Helpers {
            clock,
            free: AtomicUsize::new(count),
            patience,
        })
    }

    /// Takes a helper's place, if one is free.
    fn take(self: &Arc<Helpers>) -> Option<Permit> {
        let one_less = |free: usize| free.checked_sub(1);
        let taken = (self.free).fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less);
        taken.ok().map(|_| Permit(self.clone()))
    }
}

struct Permit(Arc<Helpers>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.free.fetch_add(1, Ordering::AcqRel);
    }
}

/// Makes the series of a selection into rows, in their order.
pub struct Parallel<M: Make> {
    set: Box<dyn SeriesSet>,
    make: M,
    /// Batches under way, oldest first. Without a helper there is at most one.
    slots: VecDeque<Slot>,
    team: Option<Team>,
    /// Whether a helper was asked for.
    asked: bool,
    through: bool,
    series: u64,
    read_before: u64,
    bytes_held: usize,
}

enum Slot {
    Here(std::vec::IntoIter<Made>),
    /// With the helper, whose results come in order.
    Away,
    Failed(QueryError),
}

impl<M: Make> Parallel<M> {
    pub fn new(set: Box<dyn SeriesSet>, make: M, run: &Run<'_>) -> Parallel<M> {
        Parallel {
            set,
            make,
            slots: VecDeque::new(),
            team: None,
            asked: false,
            through: false,
            series: 0,
            read_before: run.statistics.decoded_samples,
            bytes_held: 0,
        }
    }

    pub fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Made>, QueryError> {
        loop {
            match self.slots.front_mut() {
                Some(Slot::Here(rows)) => match rows.next() {
                    Some(made) => return Ok(Some(made)),
                    None => drop(self.slots.pop_front()),
                },
                Some(Slot::Away) => self.fetch(run)?,
                Some(Slot::Failed(_)) => {
                    if let Some(Slot::Failed(error)) = self.slots.pop_front() {
                        return Err(error);
                    }
                }
                None if self.through => {
                    self.team = None;
                    run.release(0, std::mem::take(&mut self.bytes_held));
                    return Ok(None);
                }
                None => self.work(run)?,
            }
        }
    }

    /// Starts a helper once it is clear that there is much to do.
    fn hire(&mut self, run: &Run<'_>) -> Option<Team> {
        let helpers = run.helpers()?;
        let (read, each) = self.so_far(run);
        let left = self.set.left().unwrap_or(0) as u64;
        let too_wide = self.make.steps() > BATCH_VALUES;
        let is_little = read.saturating_add(left.saturating_mul(each)) < helpers.patience;
        if self.asked || self.series == 0 || too_wide || is_little {
            return None;
        }
        self.asked = true;
        Team::new(helpers.take()?, &self.make, run)
    }

    /// Returns the number of samples read, and their average per series.
    fn so_far(&self, run: &Run<'_>) -> (u64, u64) {
        let read = run
            .statistics
            .decoded_samples
            .saturating_sub(self.read_before);
        (read, read / self.series.max(1))
    }

    /// Takes what the helper has made, or works itself until that is there.
    fn fetch(&mut self, run: &mut Run<'_>) -> Result<(), QueryError> {
        let lost = || QueryError::Execution("unexpected error: a helper is gone".to_owned());
        let team = self.team.as_ref().ok_or_else(lost)?;
        let done = match team.results.try_recv() {
            Err(TryRecvError::Empty) if !self.through && self.slots.len() < SLOTS_MAX => {
                return self.work(run);
            }
            Err(TryRecvError::Empty) => team.results.recv().map_err(|_| lost())?,
            done => done.map_err(|_| lost())?,
        };
        let done = done?;
        run.statistics.decoded_samples += done.decoded_samples;
        run.statistics.read_samples += done.read_samples;
        run.statistics.queryable_samples += done.queryable_samples;
        self.hold(self.make.bytes() + done.bytes, run)?;
        if let Some(front) = self.slots.front_mut() {
            *front = Slot::Here(done.rows.into_iter());
        }
        Ok(())
    }

    /// Gives the helper as much as it takes, and makes a batch here.
    fn work(&mut self, run: &mut Run<'_>) -> Result<(), QueryError> {
        run.look()?;
        if self.team.is_none() {
            self.team = self.hire(run);
        }
        let size = self.batch_size(run);
        while let Some(team) = self.team.as_ref()
            && team.jobs.len() < JOBS_MAX
            && self.slots.len() < SLOTS_MAX
        {
            let batch = pull(&mut *self.set, size, &mut self.through);
            let (batch, failed) = batch;
            self.series += batch.len() as u64;
            if !batch.is_empty() && team.jobs.send(batch).is_ok() {
                self.slots.push_back(Slot::Away);
            }
            if let Some(error) = failed {
                self.slots.push_back(Slot::Failed(error));
            }
            if self.through {
                return Ok(());
            }
        }
        let (batch, failed) = pull(&mut *self.set, size, &mut self.through);
        self.series += batch.len() as u64;
        let rows = self.make.make_all(batch, run)?;
        self.slots.push_back(Slot::Here(rows.into_iter()));
        self.slots.extend(failed.map(Slot::Failed));
        self.hold(self.make.bytes(), run)
    }

    fn batch_size(&self, run: &Run<'_>) -> usize {
        let (_, each) = self.so_far(run);
        let size = BATCH_VALUES / (each as usize).max(self.make.steps()).max(1);
        let size = size.clamp(1, BATCH_SERIES);
        match self.set.left() {
            _ if self.series == 0 => size.min(FIRST_SERIES),
            Some(left) => size.min((left / BATCH_PART).max(FIRST_SERIES)),
            None => size,
        }
    }

    fn hold(&mut self, bytes: usize, run: &mut Run<'_>) -> Result<(), QueryError> {
        let more = bytes.saturating_sub(self.bytes_held);
        self.bytes_held += more;
        if more > 0 { run.hold(0, more) } else { Ok(()) }
    }
}

pub type Job = Vec<Box<dyn Series>>;

/// Pulls the next series, and the error behind them.
fn pull(set: &mut dyn SeriesSet, size: usize, through: &mut bool) -> (Job, Option<QueryError>) {
    let mut batch = Vec::with_capacity(size);
    while batch.len() < size {
        match set.next() {
            Some(Ok(series)) => batch.push(series),
            Some(Err(error)) => {
                *through = true;
                return (batch, Some(error.into()));
            }
            None => {
                *through = true;
                break;
            }
        }
    }
    (batch, None)
}

/// What a helper made of a job.
struct Done {
    rows: Vec<Made>,
    decoded_samples: u64,
    read_samples: u64,
    queryable_samples: u64,
    bytes: usize,
}

/// A helper at work. When dropped it ends after its current job.
struct Team {
    // ORDER: dropping this ends the thread, which is joined before its place is free again.
    jobs: Sender<Job>,
    results: Receiver<Result<Done, QueryError>>,
    _thread: Thread,
    _permit: Permit,
}

impl Team {
    /// Returns `None` if the system cannot start a thread.
    fn new<M: Make>(permit: Permit, make: &M, run: &Run<'_>) -> Option<Team> {
        let (jobs, to_do) = bounded(JOBS_MAX);
        let (made, results) = bounded(SLOTS_MAX);
        let limits = run.limits();
        let clock = permit.0.clock.clone();
        let mut make = make.another();
        let thread = spawn("query-helper", STACK, move || {
            let mut run = limits.run(&*clock);
            for job in to_do {
                let done = done(&mut make, job, &mut run);
                let failed = done.is_err();
                if made.send(done).is_err() || failed {
                    return;
                }
            }
        });
        Some(Team {
            jobs,
            results,
            _thread: thread.ok()?,
            _permit: permit,
        })
    }
}

/// Runs a job. A panic fails the query, as on the query's own thread.
fn done<M: Make>(make: &mut M, job: Job, run: &mut Run<'_>) -> Result<Done, QueryError> {
    let made = catch_unwind(AssertUnwindSafe(|| make.make_all(job, run)));
    let rows = made.unwrap_or_else(|panic| {
        let text = panic_message(&*panic);
        Err(QueryError::Execution(format!("unexpected error: {text}")))
    })?;
    let statistics = std::mem::take(&mut run.statistics);
    Ok(Done {
        rows,
        decoded_samples: statistics.decoded_samples,
        read_samples: statistics.read_samples,
        queryable_samples: statistics.queryable_samples,
        bytes: make.bytes(),
    })
}

/// A query's limits, for a thread that does not outlive it.
pub struct Limits {
    pub deadline: Duration,
    pub cancel: Stop,
    pub delays_names: bool,
}

impl Limits {
    fn run<'e>(&'e self, clock: &'e dyn Clock) -> Run<'e> {
        Run::new(
            clock,
            self.deadline,
            &self.cancel,
            usize::MAX,
            self.delays_names,
        )
    }
}

#[cfg(test)]
mod tests;
