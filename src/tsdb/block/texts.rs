//! Texts of pairs, as one selection meets them.

use std::collections::HashMap;

use super::bytes::Cursor;
use super::matching::Value;
use super::reader::Page;
use super::writer::RANKS_PER_PAGE;
use super::{Block, BlockError};
use crate::model::Labels;

/// LIMIT: pairs that a selection remembers, and bytes of their texts.
const PAIRS_MAX: usize = 4_096;
const TEXT_BYTES_MAX: usize = 256 << 10;

/// LIMIT: pages of the index that it keeps, 4 KiB each, whatever the cache has room for.
const PAGES_MAX: usize = 32;

type Map<T> = HashMap<u32, T, foldhash::fast::RandomState>;

/// Remembers pairs by number, and pages of values with what they hold, so that the next pair is not
/// looked for from a page's beginning.
#[derive(Debug, Default)]
pub struct PairTexts {
    known: Map<Text>,
    /// As labels have it.
    text: String,
    ranks: Map<Page>,
    values: Map<Values>,
}

#[derive(Debug, Clone, Copy)]
struct Text {
    from: u32,
    to: u32,
}

#[derive(Debug)]
struct Values {
    page: Page,
    /// Where each begins.
    starts: Vec<u32>,
}

impl PairTexts {
    /// Appends a pair to the text of labels.
    pub fn push(&mut self, block: &Block, id: u32, labels: &mut String) -> Result<(), BlockError> {
        let text = match self.known.get(&id) {
            Some(text) => *text,
            None => self.learn(block, id)?,
        };
        let text = self.text.get(text.from as usize..text.to as usize);
        labels.push_str(text.unwrap_or_default());
        Ok(())
    }

    /// Reads a pair that is not known.
    fn learn(&mut self, block: &Block, id: u32) -> Result<Text, BlockError> {
        if self.known.len() >= PAIRS_MAX || self.text.len() > TEXT_BYTES_MAX {
            self.known.clear();
            self.text.clear();
        }
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
        if !self.values.contains_key(&(number as u32)) {
            if self.values.len() >= PAGES_MAX {
                self.values.clear();
            }
            let page = block.page(values.page, "values")?;
            let read = Values::new(page);
            self.values.insert(number as u32, read);
        }
        let value = { self.values.get(&(number as u32)) }.and_then(|v| v.get(rank - values.rank));
        let value = value.ok_or_else(|| block.nonsense("values", values.page))?;
        let from = self.text.len() as u32;
        Labels::push_pair(&mut self.text, &name.name, value);
        let text = Text {
            from,
            to: self.text.len() as u32,
        };
        self.known.insert(id, text);
        Ok(text)
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
        let rank = { bytes.get(at * 4..) }.and_then(|rest| Cursor::new(rest).u32());
        rank.ok_or_else(|| block.nonsense("ranks", page))
    }
}

impl Values {
    fn new(page: Page) -> Values {
        let mut starts = Vec::new();
        let mut from = Cursor::new(page.bytes());
        while !from.is_empty() {
            starts.push((page.bytes().len() - from.rest().len()) as u32);
            if Value::skip(&mut from).is_none() {
                break;
            }
        }
        Values { page, starts }
    }

    fn get(&self, number: u32) -> Option<&str> {
        let start = *self.starts.get(number as usize)?;
        let mut from = Cursor::new(self.page.bytes().get(start as usize..)?);
        from.text()
    }
}
