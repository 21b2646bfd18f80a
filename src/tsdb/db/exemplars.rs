//! Exemplars: in the log before they are in the ring, and logged again before their segments are
//! dropped.

use std::sync::Arc;

use super::backlog::Exemplars;
use super::error::WorkError;
use super::shared::{Shared, Store, locked};
use crate::model::{Matcher, TimestampMs};
use crate::storage::{
    Committed, ExemplarFault, ExemplarQueryable, PendingExemplar, SeriesExemplars, StorageError,
};
use crate::tsdb::Db;
use crate::tsdb::exemplars::Named;
use crate::tsdb::head::AHEAD_MAX_MS;

/// When segments of the log are dropped, exemplars not older than this are logged again, so that a
/// restart keeps them. Prometheus keeps them at least as long. LIMIT: each flush writes them.
const LOGGED_MS: i64 = 3600 * 1000;

/// LIMIT: exemplars visited per entry of the log's queue; some 50 KiB are written.
const AT_ONCE: usize = 1024;

impl Shared {
    /// Stores the exemplars of a batch. One that cannot be logged is refused and counted, which is
    /// no reason to refuse the samples.
    pub fn commit_exemplars(&self, batch: &[PendingExemplar], done: &mut Committed) {
        if batch.is_empty() || !self.exemplars.is_on() {
            return;
        }
        let ahead = self.clock.wall_ms().saturating_add(AHEAD_MAX_MS);
        self.exemplars.set_ahead(ahead);
        let sifted = self.exemplars.sift(batch, done);
        let mut new = sifted.named;
        for PendingExemplar { series, exemplar } in sifted.unnamed {
            if let Some(labels) = self.head.labels_of_sampled(series) {
                new.push(Named {
                    series,
                    labels,
                    exemplar,
                });
            } else {
                let fault = ExemplarFault::NoSeries;
                self.exemplars.refuse(fault, series, &exemplar, done);
            }
        }
        if new.is_empty() {
            return;
        }
        let Some(store) = &self.store else {
            self.exemplars.add(&new, done);
            return;
        };
        let _order = locked(&store.exemplars);
        // NOTE: a full disk has been logged, and scraped exemplars come again.
        let new = Arc::new(Exemplars::new(new));
        if store.log.log_exemplars(&new).unwrap_or(false) {
            self.exemplars.add(&new.named, done);
        } else {
            for Named {
                series, exemplar, ..
            } in &new.named
            {
                let fault = ExemplarFault::NotLogged;
                self.exemplars.refuse(fault, *series, exemplar, done);
            }
        }
    }

    /// Logs the newer exemplars again, behind a cut. After that, what is before the cut may be
    /// dropped.
    pub fn log_exemplars_again(&self, store: &Store) -> Result<(), WorkError> {
        let since = self.newest()?.saturating_sub(LOGGED_MS);
        let (mut from, mut written) = (0, false);
        while let Some((some, next)) = self.exemplars.since(since, from, AT_ONCE) {
            from = next;
            if some.is_empty() {
                continue;
            }
            if !store.log.log_exemplars(&Arc::new(Exemplars::new(some)))? {
                let why = "the log cannot be written".to_owned();
                return Err(StorageError::Other(why).into());
            }
            written = true;
        }
        if written {
            // ORDER: durable before what they replace is dropped.
            let synced = store.segments.sync();
            synced.map_err(|error| StorageError::Other(error.to_string()))?;
        }
        Ok(())
    }
}

impl Db {
    /// Sets how many exemplars are kept from now on; zero keeps none.
    pub fn set_max_exemplars(&self, max: u64) {
        let before = self.0.shared.exemplars.set_room(max);
        if before != max {
            log::info!(from = before, to = max; "the storage for exemplars was resized");
        }
    }
}

impl ExemplarQueryable for Db {
    fn exemplars(
        &self,
        sets: &[Vec<Matcher>],
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<SeriesExemplars, StorageError> {
        Ok(self.0.shared.exemplars.select(sets, start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Registry;
    use crate::model::{Labels, SeriesRef};
    use crate::stdx::clock::ManualClock;
    use crate::stdx::testing::logged;
    use crate::storage::{Appendable, Appender, Exemplar};
    use crate::tsdb::dir::double::{Choice, Double, Fault};
    use crate::tsdb::head::tests::{fill, resolve};
    use crate::tsdb::{Options, Place};

    const NOW: i64 = 1_700_000_000_000;
    const MINUTE: i64 = 60_000;

    fn start(disk: &Double, exemplars_max: u64) -> Db {
        counted(disk, exemplars_max).0
    }

    fn counted(disk: &Double, exemplars_max: u64) -> (Db, Registry) {
        let (clock, registry) = (Arc::new(ManualClock::new(NOW)), Registry::new());
        let mut options = Options::new(Place::Dir(disk.dir()), clock, registry.clone());
        options.exemplars_max = exemplars_max;
        (Db::open(options).unwrap(), registry)
    }

    fn commit(db: &Db, series: SeriesRef, times: impl IntoIterator<Item = i64>) -> Committed {
        let mut batch = Appender::default();
        for t in times {
            let exemplar = Exemplar {
                labels: Labels::from_pairs([("trace_id", t.to_string())]),
                v: t as f64,
                t,
                timed: true,
            };
            batch.append_exemplar(series, exemplar);
        }
        db.commit(&batch).unwrap()
    }

    /// Writes "series: times; ...".
    fn all(db: &Db) -> String {
        let found = db.exemplars(&[Vec::new()], i64::MIN, i64::MAX).unwrap();
        let text = |(labels, exemplars): &(Labels, Vec<Exemplar>)| {
            let id = |e: &Exemplar| e.labels.get("trace_id") == Some(&e.t.to_string());
            assert!(exemplars.iter().all(id));
            let times: Vec<_> = exemplars.iter().map(|e| e.t.to_string()).collect();
            format!("{}: {}", labels.get("n").unwrap_or("-"), times.join(" "))
        };
        found.iter().map(text).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_killed_process_loses_none() {
        let disk = Double::new();
        let db = start(&disk, 10);
        let (a, b) = (fill(&db, "n=a", [5]), fill(&db, "n=b", [5]));
        assert_eq!(commit(&db, a, [5, 6]), Committed::default());
        commit(&db, b, [5]);
        assert_eq!(commit(&db, a, [6, 4]).exemplars_out_of_order, 1);
        commit(&db, SeriesRef(99), [7]);
        assert_eq!(all(&db), "a: 5 6; b: 5");
        let again = start(&disk.copy(), 10);
        assert_eq!(all(&again), all(&db));
        // The series goes on where it was.
        let a = resolve(&again, "n=a");
        assert_eq!(commit(&again, a, [6, 5, 7]).exemplars_out_of_order, 1);
        assert_eq!(all(&again), "a: 5 6 7; b: 5");
        assert_eq!(all(&start(&disk.copy(), 2)), "a: 6; b: 5");
        assert_eq!(all(&start(&disk.copy(), 0)), "");
    }

    #[test]
    fn a_flush_keeps_those_of_the_last_hour() {
        let disk = Double::new();
        let db = start(&disk, 10_000);
        let a = fill(&db, "n=a", [NOW - 70 * MINUTE, NOW - 61 * MINUTE]);
        commit(&db, a, [NOW - 70 * MINUTE, NOW - 60 * MINUTE - 1]);
        fill(&db, "n=a", [NOW - MINUTE]);
        let kept: Vec<i64> = (0..3_000).map(|i| NOW - 60 * MINUTE + i).collect();
        commit(&db, a, kept.iter().copied());
        let before = all(&db);
        fill(&db, "n=a", [NOW]);
        db.flush().unwrap();
        assert_eq!(all(&db), before);
        fill(&db, "n=b", [NOW]);
        db.flush().unwrap();
        let kept: Vec<_> = kept.iter().map(ToString::to_string).collect();
        let kept = format!("a: {}", kept.join(" "));
        assert_eq!(all(&start(&disk.copy(), 10_000)), kept);
        assert_eq!(all(&start(&disk.crash(Choice::Nothing), 10_000)), kept);
    }

    /// Exemplars that were durable before it are there after it.
    #[test]
    fn a_power_cut_at_each_operation_of_a_flush() {
        let prepare = || {
            let disk = Double::new();
            let db = start(&disk, 10);
            let a = fill(&db, "n=a", [NOW]);
            commit(&db, a, [NOW, NOW + 1]);
            let store = db.0.shared.store.as_ref().unwrap();
            store.segments.sync().unwrap();
            (disk, db)
        };
        let (disk, db) = prepare();
        let (expect, before) = (all(&db), disk.operations());
        db.flush().unwrap();
        let operations = disk.operations() - before;
        assert!(operations > 5, "{operations}");
        for n in 0..=operations {
            for choice in [Choice::Nothing, Choice::Everything, Choice::Seed(n)] {
                let (disk, db) = prepare();
                disk.fault(disk.operations() + n, Fault::PowerCut);
                let _ = db.flush();
                let again = start(&disk.crash(choice), 10);
                assert_eq!(all(&again), expect, "{n} of {operations}, {choice:?}");
            }
        }
    }

    #[test]
    fn what_is_not_logged_is_not_there() {
        let disk = Double::new();
        let (db, registry) = counted(&disk, 10);
        let a = fill(&db, "n=a", [1]);
        commit(&db, a, [1]);
        disk.fault(disk.operations(), Fault::Error);
        assert_eq!(commit(&db, a, [2]).exemplars_refused, 1);
        commit(&db, a, [3]);
        assert_eq!(all(&db), "a: 1 3");
        let unlogged = "ferula_tsdb_exemplar_unlogged_exemplars_total";
        assert_eq!(registry.shown(unlogged), "1");
        assert_eq!(commit(&db, SeriesRef(99), [4]).exemplars_refused, 1);
        let without = "ferula_tsdb_exemplar_without_series_exemplars_total";
        assert_eq!(registry.shown(without), "1");
        assert_eq!(all(&start(&disk.copy(), 10)), "a: 1 3");
    }

    /// A flush drops the part of the log that has them, whether or not they can be logged again.
    #[test]
    fn what_a_restart_will_not_know_is_told() {
        let told = |fault: u64| {
            let disk = Double::new();
            let db = start(&disk, 10);
            let a = fill(&db, "n=a", [NOW]);
            commit(&db, a, [NOW]);
            logged();
            disk.fault(disk.operations() + fault, Fault::Error);
            let store = db.0.shared.store.as_ref().unwrap();
            let flushed = db.0.shared.flush(store, || Ok(()));
            let told = "a restart will not know older exemplars: ";
            flushed.is_ok() && logged().iter().any(|line| line.starts_with(told))
        };
        assert!((0..20).any(told));
    }

    #[test]
    fn another_size() {
        let db = start(&Double::new(), 0);
        let a = fill(&db, "n=a", [1]);
        assert!(!db.takes_exemplars());
        commit(&db, a, [1]);
        assert_eq!(all(&db), "");
        db.set_max_exemplars(3);
        assert!(db.takes_exemplars());
        commit(&db, a, [1, 2, 3, 4]);
        assert_eq!(all(&db), "a: 2 3 4");
        db.set_max_exemplars(2);
        db.set_max_exemplars(4);
        commit(&db, a, [5]);
        assert_eq!(all(&db), "a: 3 4 5");
    }
}
