//! The segments for everyone but the writer: syncing, holding and dropping them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::entry::Position;
use super::format::{Begins, HEADER_BYTES, Header};
use super::metrics::WalMetrics;
use crate::model::TimestampMs;
use crate::stdx::clock::Clock;
use crate::stdx::locked::locked;
use crate::tsdb::dir::{Dir, File, is_read_only};
use crate::tsdb::filenames::{WAL_DIR, segment as segment_path, segment_number};

/// Shared by all except the writer. The writer never waits for their disk work.
#[derive(Debug, Clone)]
pub struct Segments(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub dir: Arc<dyn Dir>,
    pub clock: Arc<dyn Clock>,
    pub metrics: WalMetrics,
    /// ORDER: taken before `files`, and held while the disk works. `files` never is.
    syncing: Mutex<()>,
    files: Mutex<Files>,
}

/// A segment, and a handle for syncing it.
type Dirty = (u32, Arc<Mutex<Box<dyn File>>>);

#[derive(Debug, Default)]
struct Files {
    /// The size of each segment in bytes.
    segments: BTreeMap<u32, u64>,
    /// Segments with something unreadable.
    damaged: BTreeSet<u32>,
    /// The writer's position.
    position: Position,
    durable: Position,
    /// Segments whose bytes or names are not durable, the oldest first.
    dirty: Vec<Dirty>,
    /// How many names were made, and how many of them are durable.
    names: u64,
    names_durable: u64,
    /// The segment whose sync failed. Its content is uncertain, and the writer leaves it.
    failed: Option<u32>,
    holds: BTreeMap<u64, (String, Position)>,
    next_hold: u64,
}

impl Segments {
    /// Makes durable what was written before the call. Does nothing if all of it is durable.
    ///
    /// # Errors
    /// What was written since the last sync may be lost at a power cut. The writer begins a new
    /// segment.
    pub fn sync(&self) -> io::Result<Position> {
        let _one = locked(&self.0.syncing);
        let files = self.0.files();
        let (to, names) = (files.position, files.names);
        let names_dirty = names != files.names_durable;
        let dirty = files.dirty.clone();
        if files.durable == to || dirty.is_empty() {
            return Ok(files.durable);
        }
        drop(files);
        let began = self.0.clock.mono();
        let done = self.sync_all(&dirty, names_dirty);
        let took = self.0.clock.mono().saturating_sub(began);
        self.0.metrics.sync_duration.observe(took.as_secs_f64());
        let mut files = self.0.files();
        match done {
            Ok(()) => {
                files.durable = to;
                files.dirty.retain(|(number, _)| *number >= to.segment);
                files.names_durable = names;
                Ok(to)
            }
            Err((number, error)) => {
                self.0.metrics.syncs_failed.inc();
                files.failed = Some(number);
                // NOTE: a second sync of the same bytes would succeed without having stored them.
                files.dirty.retain(|(dirty, _)| *dirty != number);
                Err(error)
            }
        }
    }

    fn sync_all(&self, dirty: &[Dirty], names: bool) -> Result<(), (u32, io::Error)> {
        for (number, file) in dirty {
            locked(file).sync().map_err(|e| (*number, e))?;
        }
        if names {
            let newest = dirty.last().map_or(0, |(number, _)| *number);
            let dirs = ["", WAL_DIR];
            let synced = dirs
                .into_iter()
                .try_for_each(|dir| self.0.dir.sync_dir(dir));
            synced.map_err(|e| (newest, e))?;
        }
        Ok(())
    }

    /// The position up to which everything survives a power cut.
    pub fn durable(&self) -> Position {
        self.0.files().durable
    }

    /// The writer's position.
    pub fn position(&self) -> Position {
        self.0.files().position
    }

    /// The bytes of all segments together.
    pub fn bytes(&self) -> u64 {
        self.0.files().segments.values().sum()
    }

    /// Removes the segments before that of `position`, unless they are held. If held ones have more
    /// than `held_bytes_max` bytes, it removes the oldest of them too. It leaves the files of
    /// damaged segments to the caller, and never removes segments of unknown versions.
    pub fn drop_before(&self, position: Position, held_bytes_max: u64) -> io::Result<Dropped> {
        let _one = locked(&self.0.syncing);
        let victims = self.0.files().victims(position, held_bytes_max);
        if !victims.is_empty() {
            self.0.metrics.truncations.inc();
        }
        let mut dropped = Dropped::default();
        for (number, bytes, held) in victims {
            // ORDER: first, since the next segment's beginning is this one's end.
            let times = held.then(|| self.0.times_of(number));
            if let Some(Begins::Unknown(_)) = self.0.beginning(number) {
                continue;
            }
            if self.0.files().damaged.remove(&number) {
                dropped.damaged.push(number);
            } else if let Err(error) = self.0.dir.remove(&segment_path(number))
                && error.kind() != io::ErrorKind::NotFound
            {
                self.0.metrics.truncations_failed.inc();
                return Err(error);
            }
            let mut files = self.0.files();
            files.segments.remove(&number);
            files.dirty.retain(|(dirty, _)| *dirty != number);
            dropped.segments += 1;
            dropped.bytes += bytes;
            dropped.held += u32::from(held);
            dropped.held_times = match (dropped.held_times, times) {
                (Some(before), Some(times)) => Some((before.0, times.1)),
                (before, times) => before.or(times),
            };
        }
        self.0.show();
        Ok(dropped)
    }

    /// Keeps the segments from `from` on until the holder advances or is dropped.
    pub fn hold(&self, name: &str, from: Position) -> Hold {
        let mut files = self.0.files();
        let id = files.next_hold;
        files.next_hold += 1;
        files.holds.insert(id, (name.to_owned(), from));
        Hold {
            shared: self.0.clone(),
            id,
        }
    }

    /// Returns the holders, and the positions they hold from.
    pub fn holds(&self) -> Vec<(String, Position)> {
        self.0.files().holds.values().cloned().collect()
    }
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Dropped {
    pub segments: u32,
    pub bytes: u64,
    /// How many of the dropped segments were held.
    pub held: u32,
    /// The times between which the held ones were written.
    pub held_times: Option<(TimestampMs, TimestampMs)>,
    /// The dropped segments whose files still exist.
    pub damaged: Vec<u32>,
}

/// Holds segments until it is dropped.
#[derive(Debug)]
pub struct Hold {
    shared: Arc<Shared>,
    id: u64,
}

impl Hold {
    pub fn advance(&self, to: Position) {
        if let Some((_, held)) = self.shared.files().holds.get_mut(&self.id) {
            *held = to.max(*held);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shared.files().holds.remove(&self.id);
    }
}

impl Shared {
    /// Makes it for the existing segments.
    pub fn open(
        dir: Arc<dyn Dir>,
        clock: Arc<dyn Clock>,
        metrics: WalMetrics,
        damaged: BTreeSet<u32>,
    ) -> io::Result<Shared> {
        // NOTE: a medium that cannot be written now is one later; the first segment makes it then.
        let made = dir.create_dir(WAL_DIR);
        let may_miss = made.as_ref().is_err_and(is_read_only);
        let mut files = Files {
            damaged,
            ..Files::default()
        };
        let entries = match dir.list(WAL_DIR) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && may_miss => Vec::new(),
            entries => entries?,
        };
        for entry in entries {
            if let Some(number) = segment_number(&entry.name) {
                files.segments.insert(number, entry.len);
            }
        }
        Ok(Shared {
            dir,
            clock,
            metrics,
            syncing: Mutex::default(),
            files: Mutex::new(files),
        })
    }

    pub fn newest(&self) -> Option<u32> {
        self.files().segments.last_key_value().map(|(n, _)| *n)
    }

    /// Returns when a segment was begun, and when the next one was.
    fn times_of(&self, segment: u32) -> (TimestampMs, TimestampMs) {
        let next = self.next(segment.saturating_add(1));
        let begun = self.begun_ms(segment).unwrap_or_default();
        let until = next.and_then(|(number, _)| self.begun_ms(number));
        (begun, until.unwrap_or_else(|| self.clock.wall_ms()))
    }

    fn begun_ms(&self, segment: u32) -> Option<TimestampMs> {
        match self.beginning(segment)? {
            Begins::Known(header) => Some(header.created_ms),
            _ => None,
        }
    }

    /// Returns `None` if it cannot be read.
    fn beginning(&self, segment: u32) -> Option<Begins> {
        let mut header = [0; HEADER_BYTES];
        let file = self.dir.open(&segment_path(segment)).ok()?;
        file.read_at(0, &mut header).ok()?;
        Some(Header::read(&header))
    }

    /// Returns the first segment from `from` on.
    pub fn next(&self, from: u32) -> Option<(u32, u64)> {
        let files = self.files();
        files
            .segments
            .range(from..)
            .next()
            .map(|(n, len)| (*n, *len))
    }

    /// The writer tells where the next record will be, in a segment that is still empty.
    pub fn begins(&self, position: Position) {
        let mut files = self.files();
        // NOTE: if all before it is durable, so is this.
        if files.durable == files.position || files.position == Position::default() {
            files.durable = position;
        }
        files.position = position;
    }

    /// The writer created a segment's file. `sync` is a second handle of it.
    pub fn created(&self, position: Position, sync: Box<dyn File>) {
        let mut files = self.files();
        let number = position.segment;
        files.position = position;
        files.segments.insert(number, position.offset.into());
        self.metrics.storage_bytes.add(position.offset.into());
        files.dirty.push((number, Arc::new(Mutex::new(sync))));
        files.names += 1;
        self.metrics.segment_current.set(f64::from(number));
    }

    /// The writer wrote a record up to `position`.
    pub fn wrote(&self, position: Position) {
        let mut files = self.files();
        files.position = position;
        let len = u64::from(position.offset);
        let before = files.segments.insert(position.segment, len).unwrap_or(0);
        let more = len.saturating_sub(before);
        self.metrics.storage_bytes.add(more as f64);
    }

    /// Whether the writer must leave its segment.
    pub fn has_failed(&self, segment: u32) -> bool {
        self.files().failed == Some(segment)
    }

    pub fn forget(&self, segment: u32) {
        let mut files = self.files();
        files.segments.remove(&segment);
        files.dirty.retain(|(dirty, _)| *dirty != segment);
    }

    pub fn show(&self) {
        let bytes: u64 = self.files().segments.values().sum();
        self.metrics.storage_bytes.set(bytes as f64);
    }

    /// NOTE: each change is one assignment, so a panic leaves a valid state.
    fn files(&self) -> MutexGuard<'_, Files> {
        locked(&self.files)
    }
}

impl Files {
    /// Returns the segments to drop: number, bytes, and whether it is held.
    fn victims(&self, position: Position, held_bytes_max: u64) -> Vec<(u32, u64, bool)> {
        let end = position.segment.min(self.position.segment);
        let held_from = self.holds.values().map(|(_, held)| held.segment).min();
        let held_from = held_from.unwrap_or(u32::MAX).min(end);
        let mut held_bytes: u64 = self.segments.range(held_from..end).map(|(_, b)| b).sum();
        let mut victims = Vec::new();
        for (number, bytes) in self.segments.range(..end) {
            let held = *number >= held_from;
            if held {
                if held_bytes <= held_bytes_max {
                    break;
                }
                held_bytes -= bytes;
            }
            victims.push((*number, *bytes, held));
        }
        victims
    }
}
