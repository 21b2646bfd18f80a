//! The running queries, in a file that outlives the process. After a crash it names the culprit.
//!
//! The file is Prometheus's `queries.active`: `[`, then 1,000 bytes per place, each with one object
//! and a comma in its last byte, or zeroes. The whole file is allocated in advance, so that a full
//! disk cannot get in the way later. It is never synced: what a killed process wrote is in the page
//! cache, and a power cut is not a query's fault. The thread `queries-active` writes it, so that on
//! a disk that stands still no query waits.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use serde::{Deserialize, Serialize};

use crate::stdx::limits::THREAD_STACK;
use crate::stdx::locked::locked;
use crate::stdx::thread::{Thread, spawn};

const PLACE_BYTES: usize = 1000;

/// LIMIT: the file of the process before, which is read at the start: 4,000 places.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// LIMIT: at the end the thread is waited for so long: where the disk stands still it is left
/// behind.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct ActiveQueries {
    wanted: Arc<Wanted>,
    /// Rings the thread; dropped, it ends it.
    bell: Option<Sender<()>>,
    thread: Option<Thread>,
}

/// What the places are to hold and do not hold yet.
#[derive(Debug, Default)]
struct Wanted(Mutex<BTreeMap<usize, Vec<u8>>>);

/// A query that had not ended when the last process did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnfinishedQuery {
    pub query: String,
    /// The query's start, in seconds.
    pub timestamp_sec: i64,
}

impl ActiveQueries {
    /// Takes over the file of the last process, and returns its unfinished queries.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn open(path: &Path, places: usize) -> io::Result<(ActiveQueries, Vec<UnfinishedQuery>)> {
        let unfinished = unfinished(path);
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .open(path)?;
        let mut zeroes = vec![0; 1 + places * PLACE_BYTES];
        if let Some(first) = zeroes.first_mut() {
            *first = b'[';
        }
        file.write_all_at(&zeroes, 0)?;
        let wanted = Arc::new(Wanted::default());
        // LIMIT: one; whoever hears it writes all that is wanted.
        let (bell, rung) = bounded(1);
        let thread = {
            let wanted = wanted.clone();
            let run = move || wanted.write_when_rung(&file, &rung);
            spawn("queries-active", THREAD_STACK, run)?
        };
        let active = ActiveQueries {
            wanted,
            bell: Some(bell),
            thread: Some(thread),
        };
        Ok((active, unfinished))
    }

    /// Notes the query's start. A failed write does not matter to the query.
    pub(super) fn begin(&self, place: usize, query: &str, now_sec: i64) {
        let mut entry = entry(query, now_sec);
        entry.resize(PLACE_BYTES - 1, 0);
        entry.push(b',');
        self.put(place, entry);
    }

    pub(super) fn end(&self, place: usize) {
        self.put(place, vec![0; PLACE_BYTES]);
    }

    fn put(&self, place: usize, entry: Vec<u8>) {
        self.wanted.put(place, entry);
        if let Some(bell) = &self.bell {
            // NOTE: a full channel has rung already.
            let _ = bell.try_send(());
        }
    }
}

impl Drop for ActiveQueries {
    fn drop(&mut self) {
        drop(self.bell.take());
        if let Some(thread) = self.thread.take() {
            thread.join_within(PATIENCE);
        }
    }
}

impl Wanted {
    fn put(&self, place: usize, entry: Vec<u8>) {
        // NOTE: whole at all times, here and below.
        let mut wanted = locked(&self.0);
        wanted.insert(place, entry);
    }

    fn next(&self) -> Option<(usize, Vec<u8>)> {
        let mut wanted = locked(&self.0);
        wanted.pop_first()
    }

    fn write_when_rung(&self, file: &File, rung: &Receiver<()>) {
        let mut goes_on = true;
        while goes_on {
            goes_on = rung.recv().is_ok();
            while let Some((place, entry)) = self.next() {
                let _ = file.write_all_at(&entry, offset(place));
            }
        }
    }
}

fn offset(place: usize) -> u64 {
    1 + (place * PLACE_BYTES) as u64
}

/// Returns as much of the query as a place holds, in JSON.
fn entry(query: &str, now_sec: i64) -> Vec<u8> {
    let mut chars = query.chars().count().min(PLACE_BYTES);
    loop {
        let entry = UnfinishedQuery {
            query: query.chars().take(chars).collect(),
            timestamp_sec: now_sec,
        };
        let json = serde_json::to_vec(&entry).unwrap_or_default();
        let over = json.len().saturating_sub(PLACE_BYTES - 1);
        if over == 0 {
            return json;
        }
        // An escaped character takes at most six bytes, another at most four.
        chars = chars.saturating_sub(over.div_ceil(6));
    }
}

/// Returns nothing if the file is missing or not such a file.
fn unfinished(path: &Path) -> Vec<UnfinishedQuery> {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        let _ = file.take(FILE_BYTES_MAX).read_to_end(&mut bytes);
    }
    bytes.retain(|b| *b != 0);
    if bytes.pop() != Some(b',') {
        return Vec::new();
    }
    bytes.push(b']');
    serde_json::from_slice(&bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_end_is_named_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queries.active");
        let unfinished = |text: &str, at: i64| UnfinishedQuery {
            query: text.to_owned(),
            timestamp_sec: at,
        };
        let (active, before) = ActiveQueries::open(&path, 3).unwrap();
        assert_eq!(before, []);
        active.begin(0, "up", 1);
        active.begin(2, "sum(\"a\n\")", 2);
        active.begin(1, "rate(x[5m])", 3);
        active.end(0);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 3001);
        drop(active);
        let (active, before) = ActiveQueries::open(&path, 2).unwrap();
        let expect = [unfinished("rate(x[5m])", 3), unfinished("sum(\"a\n\")", 2)];
        assert_eq!(before, expect);
        active.begin(1, "x", 4);
        active.end(1);
        drop(active);
        assert_eq!(ActiveQueries::open(&path, 2).unwrap().1, []);
    }

    /// Nobody writes here, as while the thread is held in a write: queries go on, and of each
    /// place the last entry is wanted.
    #[test]
    fn a_medium_that_stands_still_holds_up_no_query() {
        let (bell, _rung) = bounded(1);
        let active = ActiveQueries {
            wanted: Arc::default(),
            bell: Some(bell),
            thread: None,
        };
        for place in [1, 2, 0, 1] {
            active.begin(place, "up", 1);
            active.end(place);
        }
        active.begin(2, "down", 2);
        let wanted = std::iter::from_fn(|| active.wanted.next());
        let wanted: Vec<_> = wanted.map(|(place, entry)| (place, entry[0])).collect();
        assert_eq!(wanted, [(0, 0), (1, 0), (2, b'{')]);
    }

    #[test]
    fn a_long_query_is_cut() {
        for unit in ["a", "é", "\"", "\u{1}", "🦀"] {
            let json = entry(&unit.repeat(2000), 1_700_000_000);
            assert!(
                (900..PLACE_BYTES).contains(&json.len()),
                "{unit}: {}",
                json.len()
            );
            serde_json::from_slice::<UnfinishedQuery>(&json).unwrap();
        }
    }

    #[test]
    fn a_file_of_something_else_is_no_query() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queries.active");
        for text in ["", "[", "[,", "[{\"query\":1},", "\0\0", "nonsense,"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(ActiveQueries::open(&path, 1).unwrap().1, [], "{text:?}");
        }
    }
}
