//! Reads behind the writer, from a position that was reached before.

use std::io;

use super::entry::{Entry, Order, Position};
use super::format::Begins;
use super::reading::Reading;
use super::segments::Segments;

impl Segments {
    /// Reads from a position: a segment's beginning, or one that a reader reached.
    pub fn read(&self, from: Position) -> Reader {
        Reader {
            segments: self.clone(),
            position: from,
            reading: None,
            lost: Lost::default(),
        }
    }
}

/// Follows the writer. It does not keep segments from removal; a [`Hold`](super::Hold) does.
#[derive(Debug)]
pub struct Reader {
    segments: Segments,
    position: Position,
    reading: Option<Reading>,
    lost: Lost,
}

/// What the reader could not give.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    pub records: u64,
    pub samples: u64,
}

impl Reader {
    /// Gives the next record's entries. Returns `false` at the writer's position. If reading begins
    /// inside a segment, its definitions come again.
    pub fn next(&mut self, sink: &mut dyn FnMut(Entry<'_>)) -> io::Result<bool> {
        loop {
            // ORDER: before reading, so that a segment that is left behind has its last record.
            let writer = self.segments.position();
            if self.reading.is_none() && !self.open()? {
                return Ok(false);
            }
            let Some(reading) = &mut self.reading else {
                return Ok(false);
            };
            let current = reading.number >= writer.segment;
            let end = if current {
                writer.offset.into()
            } else {
                reading.file_len()?
            };
            if reading.step(end, sink)? {
                let told = reading.offset() as u32 > self.position.offset;
                self.position.offset = self.position.offset.max(reading.offset() as u32);
                if told {
                    return Ok(true);
                }
            } else if current {
                return Ok(false);
            } else {
                self.leave();
            }
        }
    }

    /// The position after what was given.
    pub fn position(&self) -> Position {
        self.position
    }

    pub fn lost(&self) -> Lost {
        self.lost
    }

    /// Opens the segment of the position or, if it is gone, the next.
    fn open(&mut self) -> io::Result<bool> {
        while let Some((number, _)) = self.segments.0.next(self.position.segment) {
            if number > self.position.segment {
                self.position = Position {
                    segment: number,
                    offset: 0,
                };
            }
            let dir = &self.segments.0.dir;
            let reading = match Reading::open(dir, number, self.position.offset, Order::AsLogged) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                reading => Some(reading?),
            };
            match reading {
                Some(reading) if !matches!(reading.begins, Begins::Unknown(_)) => {
                    self.reading = Some(reading);
                    return Ok(true);
                }
                _ => self.position = after(number),
            }
        }
        Ok(false)
    }

    fn leave(&mut self) {
        if let Some(reading) = self.reading.take() {
            self.lost.records += reading.damage().records + reading.counts().unread_records;
            self.lost.samples += reading.counts().unread_samples;
            self.position = after(reading.number);
        }
    }
}

fn after(segment: u32) -> Position {
    Position {
        segment: segment.saturating_add(1),
        offset: 0,
    }
}
