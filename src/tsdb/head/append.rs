//! Appends: finds the series of labels, and puts batches into chunks.

use std::hash::BuildHasher;
use std::sync::atomic::Ordering::Relaxed;

use super::late::Inserted;
use super::lock::{Head, State};
use super::series::Series;
use super::views::NEVER;
use crate::model::{Labels, LabelsRef, SeriesRef, TimestampMs};
use crate::stdx::limits::APPEND_AHEAD_MAX_MS;
#[cfg(test)]
use crate::storage::Appender;
use crate::storage::{Committed, Fault, Pending, StorageError};
use crate::tsdb::chunk::window_start;

/// LIMIT: how far behind the head's newest sample others are accepted, as in Prometheus (half of
/// its smallest block; reference section 8.7).
const BEHIND_MAX_MS: i64 = 3600 * 1000;

/// A series that has a sample beyond it got it under a clock that was set back: whoever brings
/// samples refuses those that are.
pub const AHEAD_MAX_MS: i64 = APPEND_AHEAD_MAX_MS;

/// The same limit after such a step, while the clock is less than [`AHEAD_MAX_MS`] from where it
/// was. A step of up to a second does not count.
const AHEAD_SET_BACK_MS: i64 = 1000;

/// The oldest times that are accepted.
#[derive(Debug, Clone, Copy)]
struct Window {
    ordered: TimestampMs,
    /// The oldest time of out-of-order samples, if they are accepted.
    late: Option<TimestampMs>,
    /// Samples after this are from before the clock was set back. They narrow nothing, and block no
    /// sample that the corrected clock dates.
    ahead: TimestampMs,
}

impl Window {
    /// Makes the window for samples from the log, which says whether they were late.
    fn of_log(late: bool) -> Window {
        let all = TimestampMs::MIN + 1;
        Window {
            ordered: all,
            late: late.then_some(all),
            ahead: TimestampMs::MAX,
        }
    }
}

/// The samples of a batch that were stored anew, for the log.
#[derive(Debug, Default)]
pub struct Appended {
    pub ordered: Vec<Pending>,
    /// Samples older than the newest of their series.
    pub late: Vec<Pending>,
}

impl Appended {
    /// Makes one with room for so many samples in order.
    pub fn with_room(samples: usize) -> Appended {
        Appended {
            ordered: Vec::with_capacity(samples),
            late: Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.ordered.len() + self.late.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Pending> {
        self.ordered.iter().chain(&self.late)
    }
}

/// The decision about a sample.
enum Verdict {
    Append,
    /// It is older than the series' newest, but within the out-of-order window.
    Late,
    /// It counts as late because the series' newest is dated after the clock.
    Corrected,
    /// It is stored already.
    Same,
    Refuse(Fault),
}

impl Verdict {
    fn is_corrected(&self) -> bool {
        matches!(self, Verdict::Corrected)
    }

    /// Counts a sample that is not appended.
    fn count(self, sample: Pending, done: &mut Committed) {
        match self {
            Verdict::Append | Verdict::Late | Verdict::Corrected | Verdict::Same => {
                done.appended += 1;
            }
            Verdict::Refuse(fault) => done.refuse(fault, sample),
        }
    }
}

impl Head {
    pub fn resolve<'a>(&self, labels: impl Into<LabelsRef<'a>>) -> Result<SeriesRef, StorageError> {
        let labels = labels.into();
        if labels.is_empty() {
            return Err(StorageError::Other(
                "empty labelset: invalid sample".to_owned(),
            ));
        }
        let mut state = self.lock()?;
        let (series, created) = state.resolve(labels)?;
        drop(state);
        if created {
            self.metrics.series_created.inc();
        }
        Ok(series)
    }

    /// Returns the series with these labels, if it exists.
    pub fn find(&self, labels: &Labels) -> Result<Option<SeriesRef>, StorageError> {
        let (state, labels) = (self.lock()?, LabelsRef::from(labels));
        let hash = state.hasher.hash_one(labels) as u32;
        let same = |at: &u32| state.slab.at(*at).hash == hash && state.has_labels(*at, labels);
        let found = state.table.find(spread(hash), same);
        Ok(found.map(|at| state.slab.reference(*at)))
    }

    #[cfg(test)]
    pub fn commit(&self, batch: &Appender) -> Result<Committed, StorageError> {
        let done = self.take(&batch.samples, None)?;
        self.metrics.count(&done);
        Ok(done)
    }

    /// Stores a batch, and adds what is new of it to `stored`. Counts no metrics.
    pub fn take(
        &self,
        batch: &[Pending],
        stored: Option<&mut Appended>,
    ) -> Result<Committed, StorageError> {
        let now = self.clock.wall_ms();
        let mut state = self.lock()?;
        // NOTE: fixed for the batch, so that its own newest samples push no others out of the
        // window.
        let window = state.window(now);
        let mut done = Committed::default();
        state.rewind(batch, window);
        state.commit += 1;
        state.commit_one(batch.iter().copied(), window, &mut done, stored);
        state.samples_appended += done.appended;
        Ok(done)
    }

    /// Stores a batch from the log. It does not check the window, which may have been another. An
    /// out-of-order sample is taken if the batch was logged as `late`. Else it was refused, or
    /// logged again as late.
    pub fn take_again(
        &self,
        batch: impl Iterator<Item = Pending>,
        late: bool,
    ) -> Result<Committed, StorageError> {
        let mut state = self.lock()?;
        let window = Window::of_log(late);
        let mut done = Committed::default();
        state.commit += 1;
        state.commit_one(batch, window, &mut done, None);
        state.samples_appended += done.appended;
        Ok(done)
    }

    /// Stores scrapes of the same series, as [`Head::take_again`] does. Each series has a value at
    /// each of the times; its values are adjacent. All samples of a series are stored before the
    /// next series.
    pub fn take_rows_again(
        &self,
        series: impl Iterator<Item = Option<SeriesRef>>,
        times: &[TimestampMs],
        values: &[f64],
    ) -> Result<(), StorageError> {
        let mut state = self.lock()?;
        state.commit += 1;
        let rows = times.iter().map(|t| (*t, window_start(*t)));
        let columns = values.chunks_exact(times.len().max(1));
        state.append_rows(series.zip(columns), &rows.collect::<Vec<_>>());
        Ok(())
    }

    /// Sets how far behind the newest sample out-of-order samples may be; 0 refuses them.
    pub fn set_late_window(&self, window_ms: i64) -> Result<(), StorageError> {
        self.lock()?.late.window_ms = window_ms.max(0);
        self.metrics.takes_late.store(window_ms > 0, Relaxed);
        Ok(())
    }

    /// Keeps the appendable window from being older than a head with this sample would have it.
    pub fn saw(&self, t: TimestampMs) -> Result<(), StorageError> {
        let mut state = self.lock()?;
        state.max_t = state.max_t.max(t);
        Ok(())
    }

    /// Notes that the clock was set back from `before`.
    pub fn set_back_from(&self, before: TimestampMs) -> Result<(), StorageError> {
        self.lock()?.set_back_from = before;
        Ok(())
    }

    /// Returns the labels of a series; `None` if it is gone, or never had a sample.
    pub fn labels_of_sampled(&self, series: SeriesRef) -> Option<Labels> {
        let is_new = self.lock().ok()?.slab.get(series)?.is_new();
        if is_new { None } else { self.labels(series) }
    }

    /// Returns the labels of a series; `None` if it is gone.
    pub fn labels(&self, series: SeriesRef) -> Option<Labels> {
        let state = self.lock().ok()?;
        state.slab.get(series)?;
        let pairs = state.slab.pairs(series.0 as u32).iter();
        Some(Labels::from_sorted(
            pairs.map(|pair| state.index.text(*pair)),
        ))
    }
}

impl State {
    fn resolve(&mut self, labels: LabelsRef<'_>) -> Result<(SeriesRef, bool), StorageError> {
        // NOTE: half of the hash is kept with each series, to save 4 bytes.
        let hash = self.hasher.hash_one(labels) as u32;
        let same = |at: &u32| self.slab.at(*at).hash == hash && self.has_labels(*at, labels);
        if let Some(at) = self.table.find(spread(hash), same).copied() {
            self.slab.at_mut(at).idle = false;
            return Ok((self.slab.reference(at), false));
        }
        let place = { self.intern(labels) }.then(|| self.slab.insert(hash, &self.interned));
        let Some(at) = place.flatten() else {
            // NOTE: no series is gone, but the new pairs have no series, and are released.
            self.index.sweep(&self.interned, |_| false);
            self.interned.clear();
            let (series, count) = (self.slab.len(), labels.iter().count());
            return Err(StorageError::Other(format!(
                "the head has no place for another series with {count} labels: it has {series}"
            )));
        };
        for pair in &self.interned {
            self.index.add(*pair, at);
        }
        let slab = &self.slab;
        let rehash = |at: &u32| spread(slab.at(*at).hash);
        self.table.insert_unique(spread(hash), at, rehash);
        Ok((self.slab.reference(at), true))
    }

    /// Finds the numbers of the labels' pairs, up to the first that cannot get one. Returns whether
    /// all have one. Most pairs are those of the last new series.
    fn intern(&mut self, labels: LabelsRef<'_>) -> bool {
        let mut count = 0;
        for (name, value) in labels.iter() {
            let before = self.interned.get(count).copied();
            let Some(pair) = self.index.intern(before, name, value) else {
                self.interned.truncate(count);
                return false;
            };
            match self.interned.get_mut(count) {
                Some(before) => *before = pair,
                None => self.interned.push(pair),
            }
            count += 1;
        }
        self.interned.truncate(count);
        true
    }

    /// Lets series of the batch restart before their newest sample, where that is called for.
    fn rewind(&mut self, batch: &[Pending], window: Window) {
        if !self.may_rewind(window) {
            return;
        }
        for pending in batch {
            if let Some((_, series)) = self.slab.get_mut(pending.series)
                && is_rewound(series, pending.t, window)
            {
                series.clear(&mut self.pool);
            }
        }
    }

    /// Commits a batch, and adds what is new of it to `stored`.
    fn commit_one(
        &mut self,
        batch: impl Iterator<Item = Pending>,
        window: Window,
        done: &mut Committed,
        mut stored: Option<&mut Appended>,
    ) {
        let commit = self.commit;
        let (mut min_t, mut max_t) = (TimestampMs::MAX, TimestampMs::MIN);
        let (mut chunks, mut appended) = (0, 0);
        // NOTE: most batches have one time. No sample has the smallest one.
        let (mut last_t, mut since) = (TimestampMs::MIN, TimestampMs::MIN);
        for (position, pending) in (0..).zip(batch) {
            let (t, v) = (pending.t, pending.v);
            let Some((at, series)) = self.slab.get_mut(pending.series) else {
                done.gone.push(position);
                continue;
            };
            let verdict = judge(series, t, v, window, commit);
            match verdict {
                Verdict::Append => {
                    if self.views.needs_mark(series.commit) {
                        self.views.mark(commit, at, newest(series));
                    }
                    series.commit = commit;
                    if t != last_t {
                        (last_t, since) = (t, window_start(t));
                        (min_t, max_t) = (min_t.min(t), max_t.max(t));
                    }
                    chunks += series.append(&mut self.pool, since, t, v);
                    appended += 1;
                    if let Some(stored) = &mut stored {
                        stored.ordered.push(pending);
                    }
                }
                Verdict::Late | Verdict::Corrected => {
                    let in_block = self.floors.of(pending.series, u64::MAX).commit;
                    match self.late.insert(at, (t, v), commit, in_block) {
                        Inserted::Duplicate(existing) => {
                            let new = v;
                            done.refuse(Fault::Duplicate { t, existing, new }, pending);
                        }
                        Inserted::Same => done.appended += 1,
                        Inserted::New => {
                            min_t = min_t.min(t);
                            done.appended += 1;
                            self.corrected += u64::from(verdict.is_corrected());
                            if let Some(stored) = &mut stored {
                                stored.late.push(pending);
                            }
                        }
                    }
                }
                other => other.count(pending, done),
            }
        }
        done.appended += appended;
        self.chunks += chunks;
        self.min_t = self.min_t.min(min_t);
        self.min_t_since = self.min_t_since.min(min_t);
        self.max_t = self.max_t.max(max_t);
    }

    /// Appends rows: each column has a series' values, one per row.
    fn append_rows<'a>(
        &mut self,
        columns: impl Iterator<Item = (Option<SeriesRef>, &'a [f64])>,
        rows: &[Row],
    ) {
        let (window, commit) = (Window::of_log(false), self.commit);
        let (mut min_t, mut max_t) = (TimestampMs::MAX, TimestampMs::MIN);
        let (mut chunks, mut appended) = (0, 0);
        let steady = steady(rows);
        for (reference, values) in columns {
            let found = reference.and_then(|reference| self.slab.get_mut(reference));
            let Some((at, series)) = found else {
                continue;
            };
            let mut last_t = newest(series);
            if self.views.needs_mark(series.commit) {
                self.views.mark(commit, at, last_t);
            }
            // NOTE: nearly half of what exporters say does not change.
            if let Some((since, first_t, delta, n)) = steady
                && last_t.checked_add(delta.into()) == Some(first_t)
                && (is_last_in_all(series, values) && series.open.append_same(since, delta, n)
                    || series
                        .open
                        .append_steadily(&mut self.pool, since, delta, values))
            {
                series.commit = commit;
                min_t = min_t.min(first_t);
                max_t = max_t.max(series.open.last_t());
                appended += u64::from(n);
                continue;
            }
            for ((t, since), v) in rows.iter().zip(values) {
                let (t, since, v) = (*t, *since, *v);
                if t > last_t {
                    chunks += series.append(&mut self.pool, since, t, v);
                    (last_t, min_t) = (t, min_t.min(t));
                    appended += 1;
                    continue;
                }
                // NOTE: the series does not have this commit yet, so a value that a row repeats
                // came in an earlier batch.
                appended += match judge(series, t, v, window, commit) {
                    Verdict::Append | Verdict::Same => 1,
                    Verdict::Late | Verdict::Corrected | Verdict::Refuse(_) => 0,
                };
            }
            series.commit = commit;
            max_t = max_t.max(last_t);
        }
        self.samples_appended += appended;
        self.chunks += chunks;
        self.min_t = self.min_t.min(min_t);
        self.min_t_since = self.min_t_since.min(min_t);
        self.max_t = self.max_t.max(max_t);
    }

    fn window(&self, now: TimestampMs) -> Window {
        let (late, ahead) = (self.late.window_ms, self.ahead(now));
        let oldest = self.max_t.min(ahead).saturating_sub(late);
        Window {
            ordered: self.min_valid(now),
            late: (late > 0).then_some(oldest.max(TimestampMs::MIN + 1)),
            ahead,
        }
    }

    /// Returns the oldest time that is accepted.
    pub fn min_valid(&self, now: TimestampMs) -> TimestampMs {
        // NOTE: the smallest number means "no time" here, and no sample has it.
        let newest = self.max_t.min(self.ahead(now));
        newest
            .saturating_sub(BEHIND_MAX_MS)
            .max(TimestampMs::MIN + 1)
    }

    /// Returns the time after which samples are from before the clock was set back.
    pub fn ahead(&self, now: TimestampMs) -> TimestampMs {
        let left = self.set_back_from.saturating_sub(now);
        let is_near = (1..=AHEAD_MAX_MS).contains(&left);
        now.saturating_add(if is_near {
            AHEAD_SET_BACK_MS
        } else {
            AHEAD_MAX_MS
        })
    }

    /// Whether series may restart before their newest sample.
    fn may_rewind(&self, window: Window) -> bool {
        // NOTE: a sample's time tells views whether they see it, and tells what a block took.
        self.max_t > window.ahead && self.views.start().is_none() && self.floors.is_empty()
    }
}

/// Whether a series restarts with a sample at `t`. It does if all its samples are in blocks, and
/// its newest is dated after the clock, which was set back since. From there on it is an ordinary
/// series, at a fraction of what late samples cost.
fn is_rewound(series: &Series, t: TimestampMs, window: Window) -> bool {
    let has_place = (window.ordered..=window.ahead).contains(&t);
    has_place && series.is_empty() && newest(series) > window.ahead
}

/// A row of [`State::append_rows`]: its time, and the start of that time's window.
type Row = (TimestampMs, TimestampMs);

/// For rows with equal distances, all in one window: returns the window's start, the first time,
/// the distance, and the number of rows.
fn steady(rows: &[Row]) -> Option<(TimestampMs, TimestampMs, u32, u8)> {
    let ([first, second, ..], Some(last)) = (rows, rows.last()) else {
        return None;
    };
    let delta = second.0.checked_sub(first.0)?;
    let follows = |pair: &[Row]| pair[0].0.checked_add(delta) == Some(pair[1].0);
    let is_steady = rows.windows(2).all(follows);
    let n = u8::try_from(rows.len()).ok()?;
    let delta = u32::try_from(delta).ok().filter(|delta| *delta > 0)?;
    (is_steady && first.1 == last.1).then_some((first.1, first.0, delta, n))
}

/// Whether all these values equal the series' last.
fn is_last_in_all(series: &Series, values: &[f64]) -> bool {
    let last = series.open.last_v().to_bits();
    values.iter().all(|v| v.to_bits() == last)
}

/// Returns the newest time of a series, or [`NEVER`].
pub(super) fn newest(series: &Series) -> TimestampMs {
    if series.is_new() {
        NEVER
    } else {
        series.open.last_t()
    }
}

/// Decides about a sample by Prometheus's rules, in its order (reference section 5.4).
#[inline]
fn judge(series: &Series, t: TimestampMs, v: f64, window: Window, commit: u64) -> Verdict {
    let last_t = newest(series);
    if t >= window.ordered {
        // NOTE: `NEVER` is before all times.
        if t > last_t {
            return Verdict::Append;
        }
        if t == last_t {
            let same = series.open.last_v().to_bits() == v.to_bits();
            // NOTE: within one batch even an equal repetition is the sender's fault.
            return if same && series.commit != commit {
                Verdict::Same
            } else {
                Verdict::Refuse(Fault::Duplicate {
                    t,
                    existing: series.open.last_v(),
                    new: v,
                })
            };
        }
        if last_t > window.ahead && t <= window.ahead {
            return Verdict::Corrected;
        }
    }
    match window.late {
        Some(oldest) if t >= oldest => Verdict::Late,
        Some(_) => Verdict::Refuse(Fault::TooOld),
        None if t < window.ordered => Verdict::Refuse(Fault::OutOfBounds),
        None => Verdict::Refuse(Fault::OutOfOrder),
    }
}

/// Spreads a hash, since a table uses its highest bits too.
pub(super) fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
