//! Reads the log on a thread of its own, while the entries are being stored.

use std::io;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::entry::{Entry, Order, Position};
use super::part::Part;
use super::replay::{Replayed, read, replay};
use crate::stdx::thread::spawn;
use crate::tsdb::dir::Dir;

const STACK_BYTES: usize = 256 << 10;

/// LIMIT: parts on their way; the reader waits when there are that many. Measured at 50,000 series,
/// half as many take 4 % longer, and twice as many take as long.
const PARTS: usize = 4;

/// Reads as [`replay`] does, on another thread that runs a little ahead. The entries of one series
/// come in order. Scrapes of the same series come together, before entries of other series that
/// were logged between them.
///
/// # Errors
/// Those of [`replay`].
pub fn replay_ahead(
    dir: &Arc<dyn Dir>,
    from: Option<Position>,
    sink: &mut dyn FnMut(Entry<'_>),
) -> io::Result<Replayed> {
    let (tell, hear) = bounded::<Part>(PARTS);
    // NOTE: room for one more that is being stored, and one that is being filled.
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

/// ORDER: the receiver is dropped with this call, however it ends. The reader's owner waits for the
/// reader, which may wait for a place for its part.
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
    /// Parts that were stored, for reuse of their lists. New lists would be new pages each time.
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
        // NOTE: the receiver is gone only when the other thread unwinds.
        let _ = self.tell.send(std::mem::take(&mut self.part));
        self.part = self.emptied.try_recv().unwrap_or_default();
        // NOTE: the thread that made the lists frees them, so that the threads share no lock of the
        // allocator.
        self.part.clear();
    }
}
