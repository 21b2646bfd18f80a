//! Joins the head and blocks in one selection, whose series are matched by numbers.
//!
//! A block finds for each of its series the row of the head's selection that has it, if any
//! (`head/lookup.rs`). Series of two blocks with the same row are the same. Texts of labels are
//! compared only to order two different series, and for series that the head does not have. If any
//! order is allowed the head is not sorted: its rows come in the order of the blocks, and those
//! that no block has come last.

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::sync::Arc;

use crate::model::labels::pairs_of;
use crate::storage::{Parts, Series, SeriesSet, StorageError, Whole};
use crate::tsdb::block::{BlockSeries, SeriesView};
use crate::tsdb::head::{HeadSeries, Lookup, Selection};

/// LIMIT: series that are joined at once, as many as the head copies in one hold of its lock.
const SERIES: usize = 32;

pub struct Join {
    head: Arc<Selection>,
    /// The sources, those that count most first. The head is among them only if all are sorted.
    sources: Vec<Source>,
    /// If the head is no source, a bit per row that was given.
    given: Vec<u64>,
    /// All rows before this one were given.
    next_row: u32,
    rows_left: usize,
    /// The series of the current fill, the next one last; and where they are put together.
    ready: Vec<Box<dyn Series>>,
    found: Vec<Found>,
    failed: Option<StorageError>,
    through: bool,
}

struct Source {
    from: From,
    at: Option<At>,
}

enum From {
    Head(std::ops::Range<u32>),
    Block(Box<BlockSeries>),
}

/// The series that a source stands at.
struct At {
    row: Option<u32>,
    /// `None` in the head.
    view: Option<SeriesView>,
    /// A row's text, once it was asked for.
    text: OnceCell<String>,
}

/// A series, and its places.
#[derive(Default)]
struct Found {
    row: Option<u32>,
    /// The series in blocks, the newest first.
    first: Option<SeriesView>,
    more: Vec<SeriesView>,
}

impl Join {
    /// `blocks` are the newest first.
    pub fn new(head: Arc<Selection>, blocks: Vec<BlockSeries>) -> Result<Join, StorageError> {
        let lookup = Arc::new(Lookup::new(&head)?);
        let rows = head.len();
        let mut sources = Vec::with_capacity(blocks.len() + 1);
        let mut given = Vec::new();
        if head.is_sorted {
            sources.push(Source::new(From::Head(0..rows as u32)));
        } else {
            given.resize(rows.div_ceil(64), 0);
        }
        for mut block in blocks {
            block.find_in(lookup.clone());
            sources.push(Source::new(From::Block(Box::new(block))));
        }
        let mut join = Join {
            head,
            sources,
            given,
            next_row: 0,
            rows_left: rows,
            ready: Vec::new(),
            found: Vec::new(),
            failed: None,
            through: false,
        };
        for source in &mut join.sources {
            source.advance(&mut join.failed);
        }
        Ok(join)
    }

    /// Fills in the next series, as many as share a batch of the head.
    fn fill(&mut self) -> Result<(), StorageError> {
        self.found.clear();
        while self.found.len() < SERIES && self.failed.is_none() {
            match self.find_next() {
                Ok(Some(next)) => self.found.push(next),
                Ok(None) => break,
                Err(error) => self.failed = Some(error),
            }
        }
        self.through = self.found.is_empty();
        let mut rows = Vec::with_capacity(self.found.len());
        rows.extend(self.found.iter().filter_map(|found| found.row));
        self.rows_left = self.rows_left.saturating_sub(rows.len());
        let mut rows = self.head.series(rows)?;
        // NOTE: from the last to the first, as they are taken.
        self.ready.extend(self.found.drain(..).map(|found| {
            let head = found.row.and_then(|_| rows.next());
            found.series(head)
        }));
        self.ready.reverse();
        Ok(())
    }

    fn find_next(&mut self) -> Result<Option<Found>, StorageError> {
        let Some(first) = self.first()? else {
            return Ok(self.next_row().map(|row| Found {
                row: Some(row),
                ..Found::default()
            }));
        };
        let mut found = Found::default();
        for source in self.sources.iter_mut().skip(first) {
            // NOTE: the sources before it stand at later series.
            let is_it = match &source.at {
                Some(at) if found.is_none() => Some(at),
                Some(at) => found.is(at).then_some(at),
                None => None,
            };
            if is_it.is_some() {
                found.add(source.advance(&mut self.failed));
            }
        }
        if let Some(row) = found.row
            && let Some(word) = self.given.get_mut(row as usize / 64)
        {
            *word |= 1 << (row % 64);
        }
        Ok(Some(found))
    }

    /// Returns the first source that stands at the first of all series.
    fn first(&self) -> Result<Option<usize>, StorageError> {
        let mut first: Option<(usize, &At)> = None;
        for (i, source) in self.sources.iter().enumerate() {
            let Some(at) = &source.at else {
                continue;
            };
            if match first {
                Some((_, first)) => self.is_before(at, first)?,
                None => true,
            } {
                first = Some((i, at));
            }
        }
        Ok(first.map(|(i, _)| i))
    }

    fn is_before(&self, a: &At, b: &At) -> Result<bool, StorageError> {
        if let (Some(a), Some(b)) = (a.row, b.row)
            && (a == b || self.head.is_sorted)
        {
            return Ok(a < b);
        }
        let (a, b) = (a.text(&self.head)?, b.text(&self.head)?);
        Ok(pairs_of(a).cmp(pairs_of(b)) == Ordering::Less)
    }

    /// Returns a row that no block has.
    fn next_row(&mut self) -> Option<u32> {
        loop {
            let row = self.next_row;
            let word = self.given.get(row as usize / 64)?;
            if row as usize >= self.head.len() {
                return None;
            }
            self.next_row += 1;
            if word >> (row % 64) & 1 == 0 {
                return Some(row);
            }
        }
    }
}

impl SeriesSet for Join {
    fn next(&mut self) -> Option<Result<Box<dyn Series>, StorageError>> {
        loop {
            if let Some(series) = self.ready.pop() {
                return Some(Ok(series));
            }
            if let Some(error) = self.failed.take() {
                self.through = true;
                return Some(Err(error));
            }
            if self.through {
                return None;
            }
            if let Err(error) = self.fill() {
                self.failed = Some(error);
            }
        }
    }

    /// NOTE: the largest count, since most series are in several sources.
    fn left(&self) -> Option<usize> {
        let blocks = self.sources.iter().map(Source::left).max();
        Some(self.ready.len() + self.rows_left.max(blocks.unwrap_or(0)))
    }
}

impl Source {
    fn new(from: From) -> Source {
        Source { from, at: None }
    }

    /// Moves to its next series. Returns the one that it stood at.
    fn advance(&mut self, failed: &mut Option<StorageError>) -> Option<At> {
        let next = match &mut self.from {
            From::Head(rows) => rows.next().map(|row| At::new(Some(row), None)),
            From::Block(series) => match series.next_series() {
                Some(Ok(view)) => Some(At::new(view.elsewhere(), Some(view))),
                Some(Err(error)) => {
                    *failed = Some(error.into());
                    None
                }
                None => None,
            },
        };
        std::mem::replace(&mut self.at, next)
    }

    fn left(&self) -> usize {
        let behind = match &self.from {
            From::Head(rows) => rows.len(),
            From::Block(series) => series.left().unwrap_or(0),
        };
        behind + usize::from(self.at.is_some())
    }
}

impl At {
    fn new(row: Option<u32>, view: Option<SeriesView>) -> At {
        At {
            row,
            view,
            text: OnceCell::new(),
        }
    }

    /// Returns its labels, in the form of `Labels`.
    fn text(&self, head: &Selection) -> Result<&str, StorageError> {
        if let Some(text) = self.text.get() {
            return Ok(text);
        }
        let text = match (self.row, &self.view) {
            (Some(row), _) => head.text(row)?,
            (None, Some(view)) => view.text().into_owned(),
            (None, None) => String::new(),
        };
        Ok(self.text.get_or_init(|| text))
    }
}

impl Found {
    fn is_none(&self) -> bool {
        self.row.is_none() && self.first.is_none()
    }

    /// Whether `at` is the same series.
    fn is(&self, at: &At) -> bool {
        match (self.row, at.row, &self.first, &at.view) {
            (Some(row), other, ..) => other == Some(row),
            (None, None, Some(first), Some(view)) => first.text() == view.text(),
            _ => false,
        }
    }

    fn add(&mut self, at: Option<At>) {
        let Some(at) = at else {
            return;
        };
        self.row = at.row;
        match &self.first {
            None => self.first = at.view,
            Some(_) => self.more.extend(at.view),
        }
    }

    fn series(self, head: Option<HeadSeries>) -> Box<dyn Series> {
        match (head, self.first) {
            (None, Some(first)) if self.more.is_empty() => Box::new(first),
            (Some(head), None) => Box::new(head),
            (head, first) => Box::new(Whole(Joined {
                head,
                first,
                more: self.more,
            })),
        }
    }
}

/// A series in several places.
struct Joined {
    head: Option<HeadSeries>,
    /// The series in blocks, the newest first; without labels if the head has it.
    first: Option<SeriesView>,
    more: Vec<SeriesView>,
}

impl Parts for Joined {
    fn named(&self) -> Option<&dyn Series> {
        let head = self.head.as_ref().map(|head| head as &dyn Series);
        head.or(self.first.as_ref().map(|view| view as &dyn Series))
    }

    fn oldest_first(&self) -> impl Iterator<Item = &dyn Series> + Clone {
        let more = self.more.iter().rev().map(|view| view as &dyn Series);
        let first = self.first.iter().map(|view| view as &dyn Series);
        let head = self.head.iter().map(|head| head as &dyn Series);
        more.chain(first).chain(head)
    }
}
