//! The ring: exemplars in order of arrival, those of a series linked in order of time.

use super::table::{Place, Table};
use crate::model::{Labels, SeriesRef, TimestampMs};
use crate::storage::Exemplar;

/// The index that means no slot.
pub(super) const NONE: u32 = u32::MAX;

/// LIMIT: links have 32 bits, and one value means none. At 56 bytes per slot this is 240 GB.
const ROOM_MAX: u64 = NONE as u64;

/// LIMIT: the list grows by this part, not to the double, so that little is empty.
const GROWTH: u32 = 8;

#[derive(Debug)]
struct Slot {
    exemplar: Exemplar,
    series: Place,
    /// The slot before it in the same series, in order of time.
    before: u32,
    after: u32,
}

const _: () = assert!(size_of::<Slot>() <= 56);

#[derive(Debug, Default)]
pub(super) struct Ring {
    /// As long as the number of exemplars that came, at most `room`.
    slots: Vec<Slot>,
    /// Where the next goes: the oldest's slot once the ring is full.
    next: u32,
    room: u32,
    /// How much older than the newest of its series an exemplar may be.
    window_ms: i64,
    /// Later exemplars are from before a clock was set back, and block no others.
    pub ahead: Option<TimestampMs>,
    pub series: Table,
}

/// The decision about an exemplar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Taken,
    /// It equals the newest of its series.
    Same,
    OutOfOrder,
}

impl Ring {
    pub fn room(&self) -> u32 {
        self.room
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns the one that came first.
    pub fn oldest(&self) -> Option<&Exemplar> {
        self.slots.get(self.first()).map(|slot| &slot.exemplar)
    }

    /// Returns the slot of the one that came first: where the next goes, or 0 until the ring is
    /// full.
    fn first(&self) -> usize {
        let next = self.next as usize;
        if next < self.slots.len() { next } else { 0 }
    }

    pub fn set_window(&mut self, window_ms: i64) {
        self.window_ms = window_ms.max(0);
    }

    /// Changes the size. The newest exemplars stay.
    pub fn set_room(&mut self, room: u64) {
        self.room = room.min(ROOM_MAX) as u32;
        let len = self.slots.len() as u32;
        let first = self.first() as u32;
        let gone = len.saturating_sub(self.room);
        for i in 0..gone {
            self.unlink((first + i) % len);
        }
        // The order of arrival becomes that of the slots, from 0 on.
        self.slots.rotate_left(first as usize);
        self.slots.drain(..gone as usize);
        self.slots.shrink_to(self.room as usize);
        let moved = |link: u32| match link {
            NONE => NONE,
            link => (link + len - first) % len - gone,
        };
        for slot in &mut self.slots {
            slot.before = moved(slot.before);
            slot.after = moved(slot.after);
        }
        self.series.relink(moved);
        self.next = if self.slots.len() as u32 >= self.room {
            0
        } else {
            self.slots.len() as u32
        };
    }

    /// Decides about an exemplar of this series.
    pub fn judge(&self, series: Place, new: &Exemplar) -> Verdict {
        let newest = self.series.get(series).and_then(|s| self.slot(s.newest));
        let Some(Slot { exemplar: last, .. }) = newest else {
            return Verdict::Taken;
        };
        let same_time = new.t == last.t;
        let same_value = new.v == last.v;
        if same_value && new.labels == last.labels && (same_time || !(new.timed || last.timed)) {
            return Verdict::Same;
        }
        // NOTE: exemplars of the same time belong to several buckets of a native histogram and come
        // in this order, so that repeats are recognised without looking at all of them.
        let corrected = self.ahead.is_some_and(|t| last.t > t && new.t <= t);
        let late = new.t < last.t && new.t <= last.t.saturating_sub(self.window_ms);
        let before = late && !corrected
            || same_time && new.v < last.v
            || same_time && same_value && new.labels.stable_hash() < last.labels.stable_hash();
        if before {
            return Verdict::OutOfOrder;
        }
        // NOTE: late ones at the time of another are not compared with it.
        let newest = self.series.get(series).map_or(NONE, |s| s.newest);
        let beside = self.slot(self.place_after(newest, new.t));
        if new.t < last.t && beside.is_some_and(|slot| slot.exemplar.t == new.t) {
            return Verdict::Same;
        }
        Verdict::Taken
    }

    /// Inserts an exemplar that was accepted, in place of the oldest.
    pub fn insert(&mut self, labels: &Labels, reference: SeriesRef, exemplar: Exemplar) {
        if self.room == 0 {
            return;
        }
        let at = self.next;
        self.next = (at + 1) % self.room;
        if (at as usize) < self.slots.len() {
            self.unlink(at);
        }
        // ORDER: looked up now, since the oldest may have been its only exemplar.
        let found = self.series.find_labels(labels, reference);
        let series = found.unwrap_or_else(|| self.series.insert(labels.clone(), reference));
        let newest = self.series.get(series).map_or(NONE, |s| s.newest);
        let before = self.place_after(newest, exemplar.t);
        let slot = Slot {
            exemplar,
            series,
            before,
            after: NONE,
        };
        if let Some(old) = self.slots.get_mut(at as usize) {
            *old = slot;
        } else {
            if self.slots.len() == self.slots.capacity() {
                let more = (at / GROWTH).max(16).min(self.room - at);
                self.slots.reserve_exact(more as usize);
            }
            self.slots.push(slot);
        }
        self.link(at);
    }

    /// Returns the exemplars of a series between two times (inclusive).
    pub fn of_series(&self, series: Place, start: TimestampMs, end: TimestampMs) -> Vec<Exemplar> {
        let mut found = Vec::new();
        let mut at = self.series.get(series).map_or(NONE, |s| s.oldest);
        while let Some(slot) = self.slot(at) {
            if slot.exemplar.t > end {
                break;
            }
            if slot.exemplar.t >= start {
                found.push(slot.exemplar.clone());
            }
            at = slot.after;
        }
        found
    }

    /// Whether the series may have exemplars between two times (inclusive).
    pub fn overlaps(&self, series: Place, start: TimestampMs, end: TimestampMs) -> bool {
        let Some(series) = self.series.get(series) else {
            return false;
        };
        let oldest = self.slot(series.oldest);
        let newest = self.slot(series.newest);
        oldest.is_some_and(|s| s.exemplar.t <= end) && newest.is_some_and(|s| s.exemplar.t >= start)
    }

    /// Returns the `i`th in order of arrival, with its series.
    pub fn in_order(&self, i: usize) -> Option<(Place, &Exemplar)> {
        let len = self.slots.len();
        let slot = self.slots.get((self.first() + i) % len.max(1))?;
        Some((slot.series, &slot.exemplar))
    }

    fn slot(&self, at: u32) -> Option<&Slot> {
        self.slots.get(at as usize)
    }

    /// Returns the slot that an exemplar of time `t` follows. It searches back from `newest`, since
    /// most are newer.
    fn place_after(&self, newest: u32, t: TimestampMs) -> u32 {
        let mut at = newest;
        while let Some(slot) = self.slot(at) {
            if slot.exemplar.t <= t {
                return at;
            }
            at = slot.before;
        }
        NONE
    }

    /// Links a slot's neighbours to it. The slot itself says which one is before it.
    fn link(&mut self, at: u32) {
        let Some((place, before)) = self.slot(at).map(|slot| (slot.series, slot.before)) else {
            return;
        };
        let Some(series) = self.series.get_mut(place) else {
            return;
        };
        let after = match self.slots.get_mut(before as usize) {
            Some(slot) => std::mem::replace(&mut slot.after, at),
            None => std::mem::replace(&mut series.oldest, at),
        };
        match self.slots.get_mut(after as usize) {
            Some(slot) => slot.before = at,
            None => series.newest = at,
        }
        if let Some(slot) = self.slots.get_mut(at as usize) {
            slot.after = after;
        }
    }

    /// Removes a slot from its series, and the series with its last slot.
    fn unlink(&mut self, at: u32) {
        let Some(slot) = self.slot(at) else {
            return;
        };
        let (place, before, after) = (slot.series, slot.before, slot.after);
        let Some(series) = self.series.get_mut(place) else {
            return;
        };
        match self.slots.get_mut(before as usize) {
            Some(slot) => slot.after = after,
            None => series.oldest = after,
        }
        match self.slots.get_mut(after as usize) {
            Some(slot) => slot.before = before,
            None => series.newest = before,
        }
        if before == NONE && after == NONE {
            self.series.remove(place);
        }
    }
}
