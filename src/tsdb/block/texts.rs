//! Spells the labels of a selection's series from the numbers of their pairs.

use std::collections::HashMap;

use super::matching::Value;
use super::reader::Page;
use super::writer::RANKS_PER_PAGE;
use super::{Block, BlockError};
use crate::model::Labels;
use crate::stdx::cursor::Cursor;

/// LIMIT: pairs that a selection remembers per block, and the bytes of their texts.
const PAIRS_MAX: usize = 1_024;
const TEXT_BYTES_MAX: usize = 32 << 10;

/// The number of series that make a pair worth remembering.
const SERIES_MIN: u64 = 4;

/// LIMIT: pages of ranks that it keeps, 4 KiB each, whatever the cache holds.
const PAGES_MAX: usize = 32;

/// LIMIT: positions of values that are remembered, two bytes each. Some more fit, as pages come
/// whole.
const STARTS_MAX: usize = 128 << 10;

type Map<T> = HashMap<u32, T, foldhash::fast::RandomState>;

/// The labels of one series after another. Pairs at the same position as in the series before are
/// copied, which are most of them, since series are in order of labels.
#[derive(Debug, Default)]
pub struct Speller {
    texts: PairTexts,
    last: Spelled,
    /// The series before, while the last is made.
    before: Spelled,
}

#[derive(Debug, Default)]
struct Spelled {
    /// The numbers of pairs, and where each ends in the text.
    pairs: Vec<(u32, u32)>,
    /// The text, in the form of `Labels`.
    text: String,
}

impl Speller {
    /// Appends one pair in the form of `Labels`.
    pub fn push_pair(
        &mut self,
        block: &Block,
        id: u32,
        out: &mut String,
    ) -> Result<(), BlockError> {
        self.texts.push(block, id, out)
    }

    /// Returns the text of labels with these pairs.
    pub fn spell(&mut self, block: &Block, ids: &[u32]) -> Result<&str, BlockError> {
        std::mem::swap(&mut self.last, &mut self.before);
        let Spelled { pairs, text } = &mut self.last;
        let before = &self.before;
        pairs.clear();
        text.clear();
        let alike = { ids.iter().zip(&before.pairs) }.take_while(|(id, (of, _))| *id == of);
        let alike = alike.count();
        let mut start = 0;
        if let Some((same, (_, end))) = before.pairs.get(..alike).and_then(|s| Some((s, s.last()?)))
        {
            start = *end;
            pairs.extend_from_slice(same);
            text.push_str(before.text.get(..start as usize).unwrap_or_default());
        }
        for (at, id) in ids.iter().enumerate().skip(alike) {
            let known = before.pairs.get(at);
            let from = std::mem::replace(&mut start, known.map_or(0, |(_, end)| *end));
            match known {
                Some((of, to)) if of == id => {
                    let same = before.text.get(from as usize..*to as usize);
                    text.push_str(same.unwrap_or_default());
                }
                _ => self.texts.push(block, *id, text)?,
            }
            pairs.push((*id, text.len() as u32));
        }
        Ok(text)
    }
}

/// Remembers pairs by number, and where values begin in their pages, so that the next one is not
/// searched from a page's beginning.
#[derive(Debug, Default)]
struct PairTexts {
    known: Map<Text>,
    /// The texts, in the form of `Labels`.
    text: String,
    ranks: Map<Page>,
    /// Where each value of a page begins, by number of the page.
    starts: Map<Box<[u16]>>,
    starts_known: usize,
}

#[derive(Debug, Clone, Copy)]
struct Text {
    from: u32,
    to: u32,
}

impl PairTexts {
    /// Appends a pair to the text of labels.
    fn push(&mut self, block: &Block, id: u32, labels: &mut String) -> Result<(), BlockError> {
        let Some(text) = self.known.get(&id) else {
            return self.learn(block, id, labels);
        };
        let text = self.text.get(text.from as usize..text.to as usize);
        labels.push_str(text.unwrap_or_default());
        Ok(())
    }

    /// Reads a pair that is not known.
    fn learn(&mut self, block: &Block, id: u32, labels: &mut String) -> Result<(), BlockError> {
        let footer = &block.footer;
        let missing = BlockError::Damaged {
            id: block.id,
            part: "number of a pair",
            offset: u64::from(id),
        };
        let rank = self.rank(block, id)?;
        let values = { &footer.values }.partition_point(|v| v.rank <= rank);
        let name = { &footer.names }.partition_point(|n| n.rank <= rank);
        let (Some(number), Some(name)) = (values.checked_sub(1), name.checked_sub(1)) else {
            return Err(missing);
        };
        let pair = footer.values.get(number).zip(footer.names.get(name));
        let (values, name) = pair.ok_or(missing)?;
        let page = block.page(values.page, "values")?;
        let place = rank - values.rank;
        let value = { self.start(number as u32, &page, place) }
            .and_then(|start| page.bytes().get(usize::from(start)..))
            .and_then(|bytes| Value::read(&mut Cursor::new(bytes)));
        let value = value.ok_or_else(|| block.nonsense("values", values.page))?;
        let from = labels.len();
        Labels::push_pair(labels, &name.name, value.value);
        if value.count >= SERIES_MIN {
            self.remember(id, labels.get(from..).unwrap_or_default());
        }
        Ok(())
    }

    fn remember(&mut self, id: u32, pair: &str) {
        if self.known.len() >= PAIRS_MAX || self.text.len() + pair.len() > TEXT_BYTES_MAX {
            self.known.clear();
            self.text.clear();
        }
        let from = self.text.len() as u32;
        self.text.push_str(pair);
        let to = self.text.len() as u32;
        self.known.insert(id, Text { from, to });
    }

    fn rank(&mut self, block: &Block, id: u32) -> Result<u32, BlockError> {
        let (number, at) = (id as usize / RANKS_PER_PAGE, id as usize % RANKS_PER_PAGE);
        let missing = BlockError::Damaged {
            id: block.id,
            part: "number of a pair",
            offset: u64::from(id),
        };
        let page = *block.footer.ranks.get(number).ok_or(missing)?;
        if !self.ranks.contains_key(&(number as u32)) {
            if self.ranks.len() >= PAGES_MAX {
                self.ranks.clear();
            }
            self.ranks.insert(number as u32, block.page(page, "ranks")?);
        }
        let bytes = self
            .ranks
            .get(&(number as u32))
            .map_or(&[][..], Page::bytes);
        let rank = { bytes.get(at * 4..) }.and_then(|rest| Cursor::new(rest).u32_le());
        rank.ok_or_else(|| block.nonsense("ranks", page))
    }

    /// Returns where a value begins in its page.
    fn start(&mut self, number: u32, page: &Page, place: u32) -> Option<u16> {
        if !self.starts.contains_key(&number) {
            if self.starts_known > STARTS_MAX {
                self.starts.clear();
                self.starts_known = 0;
            }
            let starts = starts(page.bytes());
            self.starts_known += starts.len();
            self.starts.insert(number, starts);
        }
        self.starts.get(&number)?.get(place as usize).copied()
    }
}

/// NOTE: a page is closed at 4 KiB, so that in a good one all values begin below 64 KiB.
fn starts(page: &[u8]) -> Box<[u16]> {
    let mut starts = Vec::new();
    let mut from = Cursor::new(page);
    while !from.is_empty()
        && let Ok(start) = u16::try_from(page.len() - from.rest().len())
    {
        starts.push(start);
        if Value::skip(&mut from).is_none() {
            break;
        }
    }
    starts.into()
}
