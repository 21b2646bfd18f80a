//! Reading the log on a thread of its own, while what it says is being stored.

use std::io;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::entry::{Entry, Position};
use super::part::Part;
use super::replay::{Order, Replayed, read, replay};
use crate::stdx::thread::spawn;
use crate::tsdb::dir::Dir;

const STACK_BYTES: usize = 256 << 10;

/// LIMIT: parts on their way; when they are there, the reader waits. Measured at 50,000 series,
/// half as many take 4 % longer, and twice as many as long.
const PARTS: usize = 4;

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
    let (tell, hear) = bounded::<Part>(PARTS);
    // NOTE: one more is being stored, and one being filled.
    let (back, emptied) = bounded(PARTS + 2);
    let (end, ended) = bounded(1);
    let theirs = dir.clone();
    let reader = spawn("wal-replay", STACK_BYTES, move || {
        let mut teller = Teller {
            tell,
            emptied,
            part: Part::default(),
        };
        let replayed = read(&theirs, from, Order::BySeries, &mut |entry| {
            teller.take(entry);
        });
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
    for part in hear {
        part.give(sink);
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
        // NOTE: nobody hears only when the other thread unwinds.
        let _ = self.tell.send(std::mem::take(&mut self.part));
        self.part = self.emptied.try_recv().unwrap_or_default();
        // NOTE: who made the lists frees them, so that the threads share no lock of the allocator.
        self.part.clear();
    }
}
