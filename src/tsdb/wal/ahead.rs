//! Reading the log on a thread of its own, while what it says is being stored.

use std::io;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::entry::{Entry, Logged, Position};
use super::replay::{Replayed, replay};
use crate::model::{Labels, Matcher, TimestampMs};
use crate::stdx::thread::spawn;
use crate::storage::Exemplar;
use crate::tsdb::dir::Dir;

/// LIMIT: samples that are told at once, some 200 KiB of them. Fewer wake the other thread too
/// often.
const SAMPLES_AT_ONCE: usize = 8_192;

/// LIMIT: definitions that are told at once.
const SERIES_AT_ONCE: usize = 1_024;

/// LIMIT: how many such parts the reader is ahead.
const PARTS_AHEAD: usize = 2;

const STACK_BYTES: usize = 256 << 10;

/// As [`replay`], which another thread runs a little ahead. At most some 2 MiB are under way.
///
/// # Errors
/// As [`replay`].
pub fn replay_ahead(
    dir: &Arc<dyn Dir>,
    from: Option<Position>,
    sink: &mut dyn FnMut(Entry<'_>),
) -> io::Result<Replayed> {
    let (tell, hear) = bounded::<Vec<Told>>(PARTS_AHEAD);
    let (end, ended) = bounded(1);
    let theirs = dir.clone();
    let reader = spawn("wal-replay", STACK_BYTES, move || {
        let mut teller = Teller::new(tell);
        let replayed = replay(&theirs, from, &mut |entry| teller.take(&entry));
        teller.send();
        // NOTE: there is room for one, and somebody waits for it.
        let _ = end.send(replayed);
    });
    let Ok(reader) = reader else {
        return replay(dir, from, sink);
    };
    give(hear, sink);
    drop(reader);
    ended
        .recv()
        .unwrap_or_else(|_| Err(io::Error::other("the thread that reads the log panicked")))
}

/// ORDER: the receiver goes with this call, however it ends: the reader's owner waits for the
/// reader, which may wait for a place to put what it read.
fn give(hear: Receiver<Vec<Told>>, sink: &mut dyn FnMut(Entry<'_>)) {
    for part in hear {
        for told in &part {
            sink(told.entry());
        }
    }
}

/// An [`Entry`] that goes from thread to thread.
enum Told {
    Series(u32, Labels),
    Samples(Vec<Logged>),
    OutOfOrder(Vec<Logged>),
    Delete(Vec<Matcher>, TimestampMs, TimestampMs),
    Exemplars(Vec<(u32, Exemplar)>),
}

impl Told {
    fn of(entry: &Entry<'_>) -> Told {
        match *entry {
            Entry::Series { id, labels } => Told::Series(id, labels.clone()),
            Entry::Samples(samples) => Told::Samples(samples.to_vec()),
            Entry::OutOfOrder(samples) => Told::OutOfOrder(samples.to_vec()),
            Entry::Delete {
                matchers,
                start,
                end,
            } => Told::Delete(matchers.to_vec(), start, end),
            Entry::Exemplars(exemplars) => Told::Exemplars(exemplars.to_vec()),
        }
    }

    fn entry(&self) -> Entry<'_> {
        match self {
            Told::Series(id, labels) => Entry::Series { id: *id, labels },
            Told::Samples(samples) => Entry::Samples(samples),
            Told::OutOfOrder(samples) => Entry::OutOfOrder(samples),
            Told::Delete(matchers, start, end) => Entry::Delete {
                matchers,
                start: *start,
                end: *end,
            },
            Told::Exemplars(exemplars) => Entry::Exemplars(exemplars),
        }
    }
}

/// Collects parts.
struct Teller {
    tell: Sender<Vec<Told>>,
    part: Vec<Told>,
    samples: usize,
}

impl Teller {
    fn new(tell: Sender<Vec<Told>>) -> Teller {
        Teller {
            tell,
            part: Vec::new(),
            samples: 0,
        }
    }

    fn take(&mut self, entry: &Entry<'_>) {
        if let Entry::Samples(samples) | Entry::OutOfOrder(samples) = entry {
            self.samples += samples.len();
        }
        self.part.push(Told::of(entry));
        if self.samples >= SAMPLES_AT_ONCE || self.part.len() >= SERIES_AT_ONCE {
            self.send();
        }
    }

    fn send(&mut self) {
        self.samples = 0;
        // NOTE: nobody hears only when the other thread unwinds.
        let _ = self.tell.send(std::mem::take(&mut self.part));
    }
}
