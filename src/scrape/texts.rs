//! The texts of a page's metadata lines, in order of first occurrence, each without what it shares
//! with the one before it.

/// LIMIT: one in so many texts is stored whole, so that any can be read in few steps.
const RESTART: u32 = 16;

/// Texts by slot: 0, 1, 2, ….
#[derive(Debug, Default)]
pub(super) struct Texts {
    middles: Vec<u8>,
    /// Where each slot's middle starts. It ends where the next one's starts.
    starts: Vec<u32>,
    /// How many bytes each slot shares with the one before it, at the start and at the end.
    shared: Vec<(u8, u8)>,
    /// The text of the slot `loaded`.
    text: Vec<u8>,
    loaded: Option<u32>,
}

impl Texts {
    /// Adds a text. Its slot is the number of texts before it. Returns `None` when they do not fit
    /// 32 bits.
    pub fn push(&mut self, text: &[u8]) -> Option<u32> {
        let slot = u32::try_from(self.starts.len()).ok()?;
        let start = u32::try_from(self.middles.len()).ok()?;
        u32::try_from(self.middles.len() + text.len()).ok()?;
        let (head, tail) = if slot.is_multiple_of(RESTART) {
            (0, 0)
        } else {
            shared(self.load(slot - 1), text)
        };
        let middle = usize::from(head)..text.len() - usize::from(tail);
        self.middles
            .extend_from_slice(text.get(middle).unwrap_or(&[]));
        self.starts.push(start);
        self.shared.push((head, tail));
        self.text.clear();
        self.text.extend_from_slice(text);
        self.loaded = Some(slot);
        Some(slot)
    }

    /// Returns the text of a slot. In order, each costs a copy of its middle.
    #[inline]
    pub fn load(&mut self, slot: u32) -> &[u8] {
        let next = self.loaded.map(|l| l.wrapping_add(1));
        if next == Some(slot) {
            self.step(slot);
        } else if self.loaded != Some(slot) {
            let restart = slot - slot % RESTART;
            let from = match self.loaded {
                Some(loaded) if loaded >= restart && loaded < slot => loaded + 1,
                _ => restart,
            };
            for slot in from..=slot {
                self.step(slot);
            }
        }
        self.loaded = Some(slot);
        &self.text
    }

    /// Moves from the text of the slot before to that of this one.
    #[inline]
    fn step(&mut self, slot: u32) {
        let i = slot as usize;
        let (Some(&start), Some(&(head, tail))) = (self.starts.get(i), self.shared.get(i)) else {
            return;
        };
        let end = self
            .starts
            .get(i + 1)
            .map_or(self.middles.len(), |e| *e as usize);
        let middle = self.middles.get(start as usize..end).unwrap_or(&[]);
        let (head, tail) = (usize::from(head), usize::from(tail));
        let (before, after) = (self.text.len(), head + middle.len() + tail);
        if after > before {
            self.text.resize(after, 0);
        }
        if after != before && tail <= before {
            self.text.copy_within(before - tail..before, after - tail);
            self.text.truncate(after);
        }
        if let Some(place) = self.text.get_mut(head..head + middle.len()) {
            place.copy_from_slice(middle);
        }
    }

    /// Frees unused room, if it is worth it.
    pub fn shrink(&mut self) {
        if self.starts.capacity() > self.starts.len() * 9 / 8 {
            self.middles.shrink_to_fit();
            self.starts.shrink_to_fit();
            self.shared.shrink_to_fit();
        }
    }

    #[cfg(test)]
    pub fn heap_bytes(&self) -> usize {
        self.middles.capacity()
            + self.starts.capacity() * size_of::<u32>()
            + self.shared.capacity() * size_of::<(u8, u8)>()
            + self.text.capacity()
    }
}

/// Returns the lengths that two texts share at the start and, behind that, at the end. LIMIT: 255
/// bytes each.
fn shared(a: &[u8], b: &[u8]) -> (u8, u8) {
    let head = a
        .iter()
        .zip(b)
        .take(255)
        .take_while(|(a, b)| a == b)
        .count();
    let (a, b) = (a.get(head..).unwrap_or(&[]), b.get(head..).unwrap_or(&[]));
    let ends = a.iter().rev().zip(b.iter().rev());
    let tail = ends.take(255).take_while(|(a, b)| a == b).count();
    (head as u8, tail as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_in_any_order() {
        let mut texts = Texts::default();
        let all: Vec<String> = (0..100)
            .map(|i| match i % 9 {
                8 => "z".repeat(i * 9),
                7 => String::new(),
                _ => format!("node_{}{{a=\"{i}\"}}{}", i / 7, "x".repeat(i % 3)),
            })
            .collect();
        for (i, text) in all.iter().enumerate() {
            assert_eq!(texts.push(text.as_bytes()), Some(i as u32));
        }
        for i in (0..100)
            .chain((0..100).rev())
            .chain([50, 3, 50, 17, 15, 16, 99, 0])
        {
            assert_eq!(texts.load(i), all[i as usize].as_bytes(), "{i}");
        }
        let whole: usize = all.iter().map(String::len).sum();
        assert!(texts.middles.len() < whole);
    }
}
