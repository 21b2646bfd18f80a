//! Reading the log on a thread of its own, while what it says is being stored.

use std::io;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::entry::{Entry, Position};
use super::part::Part;
use super::replay::{Replayed, replay};
use crate::stdx::thread::spawn;
use crate::tsdb::dir::Dir;

const STACK_BYTES: usize = 256 << 10;

/// As [`replay`], which another thread runs a little ahead. What is said of one series comes in
/// order; scrapes of the same series come together, before what was logged of others between them.
///
/// # Errors
/// As [`replay`].
pub fn replay_ahead(
    dir: &Arc<dyn Dir>,
    from: Option<Position>,
    sink: &mut dyn FnMut(Entry<'_>),
) -> io::Result<Replayed> {
    // LIMIT: one part is stored while the next is read, and none waits between the threads.
    let (tell, hear) = bounded::<Part>(0);
    let (back, emptied) = bounded(1);
    let (end, ended) = bounded(1);
    let theirs = dir.clone();
    let reader = spawn("wal-replay", STACK_BYTES, move || {
        let mut teller = Teller {
            tell,
            emptied,
            part: Part::default(),
        };
        let replayed = replay(&theirs, from, &mut |entry| teller.take(entry));
        teller.send();
        // NOTE: there is room for one, and somebody waits for it.
        let _ = end.send(replayed);
    });
    let Ok(reader) = reader else {
        return replay(dir, from, sink);
    };
    give(hear, &back, sink);
    drop(reader);
    ended
        .recv()
        .unwrap_or_else(|_| Err(io::Error::other("the thread that reads the log panicked")))
}

/// ORDER: the receiver goes with this call, however it ends: the reader's owner waits for the
/// reader, which may wait for a place to put what it read.
fn give(hear: Receiver<Part>, back: &Sender<Part>, sink: &mut dyn FnMut(Entry<'_>)) {
    for mut part in hear {
        part.give(sink);
        part.clear();
        // NOTE: the reader may have ended.
        let _ = back.try_send(part);
    }
}

/// Collects parts.
struct Teller {
    tell: Sender<Part>,
    /// Parts that were stored, for their lists: those of new ones would be new pages each time.
    emptied: Receiver<Part>,
    part: Part,
}

impl Teller {
    fn take(&mut self, entry: Entry<'_>) {
        self.part.take(entry);
        if self.part.is_full() {
            self.send();
        }
    }

    fn send(&mut self) {
        let series = self.part.series;
        // NOTE: nobody hears only when the other thread unwinds.
        let _ = self.tell.send(std::mem::take(&mut self.part));
        // ORDER: who took this part gave the one before it back.
        self.part = self.emptied.try_recv().unwrap_or_default();
        self.part.series = series;
    }
}
