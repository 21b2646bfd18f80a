//! What tests let a database do.

use super::*;
use crate::model::Labels;
use crate::stdx::thread::{Thread, spawn};
use crate::storage::{Committed, Exemplar};

/// Acts on a thread of its own, which the test may keep waiting.
pub fn beside(world: &World, act: impl FnOnce(&Db) + Send + 'static) -> Thread {
    let db = world.db.clone();
    spawn("beside", 1 << 20, move || act(&db)).unwrap()
}

/// Commits samples for which nobody waits, one for each time.
pub fn deferred(world: &World, series: SeriesRef, times: std::ops::Range<i64>) {
    let mut batch = Appender {
        is_deferred: true,
        ..Appender::default()
    };
    times.for_each(|t| batch.append(series, t, t as f64));
    let done = world.db.commit(&batch).unwrap();
    assert_eq!(done.appended, batch.samples.len() as u64);
}

/// Commits an exemplar.
pub fn exemplar(db: &Db, series: SeriesRef) -> Committed {
    let mut batch = Appender::default();
    let exemplar = Exemplar {
        labels: Labels::empty(),
        v: 1.0,
        t: 1,
        timed: true,
    };
    batch.append_exemplar(series, exemplar);
    db.commit(&batch).unwrap()
}
