//! A loop's memory of its target's pages: which line is which series, in page order, and which
//! series the last page had, so that those that went away are marked stale.
//!
//! A target gives nearly the same lines in the same order every time. So each line is first
//! compared with the one that followed its predecessor the last time. Only if they differ is it
//! looked up. Of a line the cache keeps its length and a 64-bit hash that is keyed at random, not
//! its text, which took two thirds of a line's bytes and longer to compare. Two lines of a target's
//! pages are confused once in 2^64. HELP, TYPE and UNIT lines are kept as text too, since they are
//! the metadata.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::texts::Texts;
use crate::exposition::{Entry as Line, Format, Parser};
use crate::model::{MetricType, SeriesRef};
use crate::stdx::sort::sort;

/// A line's index in the cache, until the next flush.
pub(super) type Slot = u32;
const NONE: Slot = Slot::MAX;

/// Metadata is kept for this many scrapes after it was last seen, as in Prometheus.
const METADATA_TURNS: u32 = 10;

/// After this many pages as expected the index is dropped. It is a tenth of the cache.
const QUIET_TURNS: u32 = 4;

/// A line. It has 32 bytes, because there is one for every series.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// `DROPPED` if relabelling drops the series. For a metadata line, the number of its text.
    series: SeriesRef,
    hash: u64,
    /// The last turn that saw the line.
    seen: u32,
    /// The last turn in which the series was tracked for staleness.
    tracked: u32,
    /// The line that followed in the page.
    next: Slot,
    /// The line's length, type and flags.
    shape: u32,
}

const DROPPED: SeriesRef = SeriesRef(u64::MAX);
/// A flag: the line is metadata.
const META: u32 = 1;
/// A flag: tracked in this turn, and before that in the last good one.
const WAS_LIVE: u32 = 2;
const KIND_SHIFT: u32 = 2;
const LEN_SHIFT: u32 = 5;

impl Entry {
    fn is_meta(&self) -> bool {
        self.shape & META != 0
    }

    fn len(&self) -> usize {
        (self.shape >> LEN_SHIFT) as usize
    }

    fn kind(&self) -> MetricType {
        metric_type(self.shape >> KIND_SHIFT & ((1 << (LEN_SHIFT - KIND_SHIFT)) - 1))
    }
}

/// A line is too long, or there are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge;

/// The meaning of a known series' line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// `fresh`: it counts as added, because the last good page did not have it.
    Series {
        series: SeriesRef,
        fresh: bool,
    },
    Dropped,
    /// The line came before in this page. Then nothing was changed.
    Again(SeriesRef),
}

#[derive(Debug)]
pub(super) struct Cache {
    entries: Vec<Entry>,
    /// Slots by hash, while it is needed.
    index: Option<HashTable<Slot>>,
    /// The texts of the metadata lines: those of types, which are much alike, and the others.
    texts: [Texts; 2],
    /// The number of successive pages that came as expected.
    quiet: u32,
    hasher: RandomState,
    format: Format,
    /// Numbers the pages, including failed ones; never 0.
    turn: u32,
    /// The last turn that succeeded.
    success: u32,
    /// The turn whose tracked series are live; 0 if none are.
    live: u32,
    live_count: usize,
    /// The number of lines in the last good page.
    success_count: usize,
    first: Slot,
    reading: Reading,
    /// Live series whose lines were in another format, or read by another configuration.
    orphans: Vec<SeriesRef>,
    metadata_changed: bool,
}

/// The reader's position in the page, and counts of what it met.
#[derive(Debug, Clone, Copy)]
struct Reading {
    before: Slot,
    expected: Slot,
    touched: usize,
    live_again: usize,
    newly_tracked: usize,
    mispredicted: usize,
    jumps: usize,
    inserted: usize,
}

impl Reading {
    fn new(first: Slot) -> Reading {
        Reading {
            before: NONE,
            expected: first,
            touched: 0,
            live_again: 0,
            newly_tracked: 0,
            mispredicted: 0,
            jumps: 0,
            inserted: 0,
        }
    }
}

impl Default for Cache {
    fn default() -> Cache {
        Cache {
            entries: Vec::new(),
            index: Some(HashTable::new()),
            texts: <[Texts; 2]>::default(),
            quiet: 0,
            hasher: RandomState::default(),
            format: Format::Text,
            turn: 0,
            success: 0,
            live: 0,
            live_count: 0,
            success_count: 0,
            first: NONE,
            reading: Reading::new(NONE),
            orphans: Vec::new(),
            metadata_changed: false,
        }
    }
}

/// Methods for reading a page.
impl Cache {
    pub fn format(&self) -> Format {
        self.format
    }

    pub fn begin(&mut self, format: Format, body: &[u8]) {
        if format != self.format && !self.entries.is_empty() {
            self.start_over();
        }
        if self.entries.is_empty() {
            // NOTE: room is made at once, as lists that grow leave holes. It takes at most as many
            // bytes as the body.
            let lines = memchr::memchr_iter(b'\n', body).count();
            let lines = lines.min(body.len() / size_of::<Entry>());
            self.entries.reserve_exact(lines);
        }
        self.turn += 1;
        self.format = format;
        self.reading = Reading::new(self.first);
    }

    /// Forgets all lines, since another format or configuration gives them another meaning. The
    /// series that were there are kept for their stale markers.
    pub fn start_over(&mut self) {
        *self = Cache {
            orphans: self.tracked_series(),
            turn: self.turn,
            success: self.success,
            metadata_changed: true,
            ..Cache::default()
        };
    }

    /// Returns the line at the start of `rest` if it is the one expected next, and whether it is
    /// metadata.
    #[inline]
    pub fn expected<'a>(&self, rest: &'a [u8]) -> Option<(bool, &'a [u8])> {
        let entry = self.entries.get(self.reading.expected as usize)?;
        let text = rest.get(..entry.len())?;
        let same = self.hasher.hash_one(text) == entry.hash;
        same.then_some((entry.is_meta(), text))
    }

    /// Moves behind the expected line, which came.
    #[inline]
    pub fn met(&mut self) -> Slot {
        let slot = self.reading.expected;
        if let Some(entry) = self.entries.get(slot as usize) {
            if entry.next != slot + 1 {
                self.reading.jumps += 1;
            }
            self.reading.expected = entry.next;
        }
        self.reading.before = slot;
        slot
    }

    /// Looks up another line. If it is known, the line that followed it is expected next.
    pub fn find(&mut self, text: &[u8]) -> Option<Slot> {
        let hash = self.hasher.hash_one(text);
        self.quiet = 0;
        let index = self.index.get_or_insert_with(|| index_of(&self.entries));
        let same = |slot: &Slot| {
            let entry = self.entries.get(*slot as usize);
            entry.is_some_and(|entry| entry.hash == hash && entry.len() == text.len())
        };
        let slot = *index.find(hash, same)?;
        let entry = *self.entries.get(slot as usize)?;
        // A line that came before in this page does not change the order.
        if entry.seen != self.turn {
            self.reading.mispredicted += 1;
            self.link(slot);
            self.reading.expected = entry.next;
        }
        Some(slot)
    }

    /// Adds a series that `find` did not know; `None` for a dropped one.
    pub fn insert_series(
        &mut self,
        text: &[u8],
        kind: MetricType,
        series: Option<SeriesRef>,
    ) -> Result<Slot, TooLarge> {
        let flags = (kind as u32) << KIND_SHIFT;
        self.insert(text, series.unwrap_or(DROPPED), flags)
    }

    pub fn insert_metadata(&mut self, line: &[u8]) -> Result<Slot, TooLarge> {
        self.metadata_changed = true;
        let number = push_metadata(&mut self.texts, line)?;
        self.insert(line, number, META)
    }

    fn insert(&mut self, text: &[u8], series: SeriesRef, flags: u32) -> Result<Slot, TooLarge> {
        let slot = Slot::try_from(self.entries.len()).map_err(|_| TooLarge)?;
        let len = u32::try_from(text.len()).map_err(|_| TooLarge)?;
        if len > u32::MAX >> LEN_SHIFT {
            return Err(TooLarge);
        }
        let hash = self.hasher.hash_one(text);
        self.quiet = 0;
        let index = self.index.get_or_insert_with(|| index_of(&self.entries));
        self.entries.push(Entry {
            series,
            hash,
            seen: self.turn,
            tracked: 0,
            // The line expected here may well come after the new one.
            next: self.reading.expected,
            shape: len << LEN_SHIFT | flags,
        });
        let hash_of = |slot: &Slot| self.entries.get(*slot as usize).map_or(0, |e| e.hash);
        index.insert_unique(hash, slot, hash_of);
        self.reading.touched += 1;
        self.reading.inserted += 1;
        self.link(slot);
        Ok(slot)
    }

    fn link(&mut self, slot: Slot) {
        match self.entries.get_mut(self.reading.before as usize) {
            Some(before) => before.next = slot,
            None => self.first = slot,
        }
        self.reading.before = slot;
    }

    /// Notes that a known series' line was seen in this page.
    #[inline]
    pub fn see(&mut self, slot: Slot) -> Known {
        let Some(entry) = self.entries.get_mut(slot as usize) else {
            return Known::Dropped;
        };
        let before = std::mem::replace(&mut entry.seen, self.turn);
        if before == self.turn {
            return match entry.series {
                DROPPED => Known::Dropped,
                series => Known::Again(series),
            };
        }
        self.reading.touched += 1;
        match entry.series {
            DROPPED => Known::Dropped,
            series => Known::Series {
                series,
                fresh: before < self.success,
            },
        }
    }

    pub fn see_metadata(&mut self, slot: Slot) {
        let (turn, success) = (self.turn, self.success);
        let Some(entry) = self.entries.get_mut(slot as usize) else {
            return;
        };
        let before = std::mem::replace(&mut entry.seen, turn);
        self.reading.touched += usize::from(before != turn);
        // It may replace what another line said in between.
        self.metadata_changed |= before < success;
    }

    /// Marks the series for a stale marker when it goes away.
    #[inline]
    pub fn track(&mut self, slot: Slot) {
        let Some(entry) = self.entries.get_mut(slot as usize) else {
            return;
        };
        if entry.tracked == self.turn {
            return;
        }
        if entry.tracked == self.live && self.live != 0 {
            entry.shape |= WAS_LIVE;
            self.reading.live_again += 1;
        } else {
            entry.shape &= !WAS_LIVE;
            self.reading.newly_tracked += 1;
        }
        entry.tracked = self.turn;
    }
}

/// Methods after a page.
impl Cache {
    /// Ends a good page. Gives the series that it lacks to `stale`.
    pub fn succeed(&mut self, mut stale: impl FnMut(SeriesRef)) {
        if self.reading.live_again < self.live_count || !self.orphans.is_empty() {
            self.gone_series().into_iter().for_each(&mut stale);
            self.orphans = Vec::new();
        }
        self.live = self.turn;
        self.live_count = self.reading.live_again + self.reading.newly_tracked;
        self.success = self.turn;
        self.success_count = self.reading.touched;
        self.tidy();
    }

    /// Ends a page that failed, wholly or in part. Gives all series of the last good page to
    /// `stale`. Returns whether the cache was flushed because failures had made it grow so much.
    pub fn fail(&mut self, mut stale: impl FnMut(SeriesRef)) -> bool {
        self.live_series().for_each(&mut stale);
        std::mem::take(&mut self.orphans)
            .into_iter()
            .for_each(&mut stale);
        (self.live, self.live_count) = (0, 0);
        let forced = self.entries.len() > self.success_count * 2 + 1000;
        if forced {
            self.rebuild();
        }
        forced
    }

    /// Yields the series of the last good page. Valid until the next `begin`, and before `fail`.
    fn live_series(&self) -> impl Iterator<Item = SeriesRef> + '_ {
        let (live, turn) = (self.live, self.turn);
        let is_live = move |e: &&Entry| {
            live != 0 && (e.tracked == live || (e.tracked == turn && e.shape & WAS_LIVE != 0))
        };
        self.entries.iter().filter(is_live).map(|e| e.series)
    }

    /// Returns all series to mark stale when the target goes away.
    pub fn tracked_series(&self) -> Vec<SeriesRef> {
        let live = self
            .entries
            .iter()
            .filter(|e| self.live != 0 && e.tracked == self.live);
        let orphans = self.orphans.iter().copied();
        live.map(|e| e.series).chain(orphans).collect()
    }

    /// Returns series that were tracked in the last good page and not in this one, under any text.
    fn gone_series(&self) -> Vec<SeriesRef> {
        let known = self
            .entries
            .iter()
            .filter(|e| self.live != 0 && e.tracked == self.live);
        let mut gone: Vec<SeriesRef> = known.map(|e| e.series).collect();
        gone.extend(&self.orphans);
        gone.sort_unstable();
        gone.dedup();
        let mut still = vec![false; gone.len()];
        for entry in self.entries.iter().filter(|e| e.tracked == self.turn) {
            if let Ok(i) = gone.binary_search(&entry.series)
                && let Some(still) = still.get_mut(i)
            {
                *still = true;
            }
        }
        let mut i = 0;
        gone.retain(|_| {
            i += 1;
            !still.get(i - 1).copied().unwrap_or(false)
        });
        gone
    }

    /// Drops lines that went away if they are many. Reorders the slots by the page if the two have
    /// diverged.
    fn tidy(&mut self) {
        let reading = self.reading;
        let gone = self.entries.len() - reading.touched.min(self.entries.len());
        let parted =
            reading.jumps > 64 + reading.touched / 8 && reading.mispredicted < reading.touched / 16;
        if gone > 64 + self.entries.len() / 4 || parted {
            self.rebuild();
        } else if reading.inserted == 0 {
            if self.entries.capacity() > self.entries.len() * 9 / 8 {
                self.entries.shrink_to_fit();
            }
            self.texts.iter_mut().for_each(Texts::shrink);
        }
        self.quiet += 1;
        if self.quiet > QUIET_TURNS {
            self.index = None;
        }
    }

    /// Keeps this page's lines, and metadata for a while, in the order of the page.
    fn rebuild(&mut self) {
        let keep = |entry: &Entry| {
            entry.seen == self.turn || (entry.is_meta() && entry.seen + METADATA_TURNS >= self.turn)
        };
        let order = self.page_order();
        let kept: Vec<Slot> = order
            .into_iter()
            .filter(|s| keep(&self.entries[*s as usize]))
            .collect();
        let mut texts = <[Texts; 2]>::default();
        let mut entries: Vec<Entry> = Vec::with_capacity(kept.len());
        for slot in &kept {
            let mut entry = self.entries[*slot as usize];
            if entry.is_meta() {
                let text = load_metadata(&mut self.texts, entry.series);
                // It cannot be too many, since these are a part of what fitted before.
                let Ok(number) = push_metadata(&mut texts, text) else {
                    break;
                };
                entry.series = number;
            }
            entry.next = match entries.len() + 1 {
                next if next < kept.len() => next as Slot,
                _ => NONE,
            };
            entries.push(entry);
        }
        texts.iter_mut().for_each(Texts::shrink);
        self.first = if entries.is_empty() { NONE } else { 0 };
        self.index = Some(index_of(&entries));
        (self.texts, self.entries) = (texts, entries);
        self.metadata_changed = true;
    }

    /// Returns all slots: first along the page, then the others.
    fn page_order(&self) -> Vec<Slot> {
        let mut order = Vec::with_capacity(self.entries.len());
        let mut placed = vec![false; self.entries.len()];
        let mut slot = self.first;
        while let Some(done) = placed.get_mut(slot as usize)
            && !*done
        {
            *done = true;
            order.push(slot);
            slot = self.entries[slot as usize].next;
        }
        let rest = placed
            .iter()
            .enumerate()
            .filter(|(_, done)| !**done)
            .map(|(i, _)| i as Slot);
        order.extend(rest);
        order
    }
}

/// Methods for series whose references the storage no longer knows.
impl Cache {
    /// Gives the page's lines of these series, which must be sorted, each with its type.
    pub fn each_line_of(
        &self,
        series: &[SeriesRef],
        page: &[u8],
        mut f: impl FnMut(SeriesRef, &[u8], MetricType),
    ) {
        let is_wanted = |e: &&Entry| !e.is_meta() && series.binary_search(&e.series).is_ok();
        let wanted = self.entries.iter().filter(is_wanted);
        let wanted: HashMap<_, _> = wanted.map(|e| ((e.hash, e.len()), e)).collect();
        let mut parser = Parser::new(page, self.format);
        while let Ok(Some(line)) = parser.next() {
            if let Line::Series { series: text, .. } = line
                && let Some(entry) = wanted.get(&(self.hasher.hash_one(text), text.len()))
            {
                f(entry.series, text, entry.kind());
            }
        }
    }

    pub fn replace(&mut self, old: SeriesRef, new: SeriesRef) {
        let of_old = self.entries.iter_mut();
        let of_old = of_old.filter(|e| e.series == old && !e.is_meta());
        of_old.for_each(|e| e.series = new);
    }
}

fn index_of(entries: &[Entry]) -> HashTable<Slot> {
    let mut index = HashTable::with_capacity(entries.len());
    let hash_of = |slot: &Slot| entries.get(*slot as usize).map_or(0, |e| e.hash);
    for (slot, entry) in (0..).zip(entries) {
        index.insert_unique(entry.hash, slot, hash_of);
    }
    index
}

/// Adds a text and returns its number: its index in its list, and the list in the lowest bit.
fn push_metadata(texts: &mut [Texts; 2], line: &[u8]) -> Result<SeriesRef, TooLarge> {
    let list = usize::from(line.starts_with(b"# TYPE"));
    let place = texts[list].push(line).ok_or(TooLarge)?;
    Ok(SeriesRef(u64::from(place) << 1 | list as u64))
}

fn load_metadata(texts: &mut [Texts; 2], number: SeriesRef) -> &[u8] {
    texts[(number.0 & 1) as usize].load((number.0 >> 1) as u32)
}

fn metric_type(code: u32) -> MetricType {
    use MetricType as T;
    let all = [
        T::Counter,
        T::Gauge,
        T::Histogram,
        T::GaugeHistogram,
        T::Summary,
        T::Info,
        T::Stateset,
    ];
    all.into_iter()
        .find(|t| *t as u32 == code)
        .unwrap_or(T::Unknown)
}

/// Methods for metadata.
impl Cache {
    /// Whether [`Cache::each_metadata`] may differ from when this was last asked.
    pub fn take_metadata_changed(&mut self) -> bool {
        std::mem::take(&mut self.metadata_changed)
    }

    /// Gives every known metadata line, decoded, the least recently seen first.
    pub fn each_metadata(&mut self, mut f: impl FnMut(Line<'_>)) {
        let turn = self.turn;
        let is_known = |e: &&Entry| e.is_meta() && e.seen + METADATA_TURNS >= turn;
        let known = self.entries.iter().filter(is_known);
        let mut known: Vec<_> = known.map(|e| (e.seen, e.series)).collect();
        sort(&mut known);
        let mut line = Vec::new();
        for (_, number) in known {
            line.clear();
            line.extend_from_slice(load_metadata(&mut self.texts, number));
            line.push(b'\n');
            if let Ok(Some(entry)) = Parser::new(&line, self.format).next() {
                f(entry);
            }
        }
    }

    #[cfg(test)]
    pub fn heap_bytes(&self) -> usize {
        self.texts.iter().map(Texts::heap_bytes).sum::<usize>()
            + self.entries.capacity() * size_of::<Entry>()
            + self.index.as_ref().map_or(0, HashTable::allocation_size)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}
