//! The messages of remote write 1.0, read in place (`prometheus.WriteRequest`).

use super::wire::{BYTES, FIXED64, Reader, Tag, VARINT, WireError};
use crate::model::{Sample, TimestampMs};
use crate::storage::shortened;

/// The keys of fields, as they precede them.
const LABEL_KEY: u8 = 1 << 3 | BYTES;
const VALUE_KEY: u8 = 1 << 3 | FIXED64;
const TIMESTAMP_KEY: u8 = 2 << 3 | VARINT;

/// A request, read series by series.
#[derive(Debug)]
pub(super) struct WriteRequest<'a> {
    all: &'a [u8],
    reader: Reader<'a>,
    /// The number of metadata messages so far, and the first of them.
    pub metadata: u64,
    first_metadata: &'a [u8],
}

impl<'a> WriteRequest<'a> {
    pub fn new(all: &'a [u8]) -> WriteRequest<'a> {
        WriteRequest {
            all,
            reader: Reader::new("WriteRequest", all),
            metadata: 0,
            first_metadata: &[],
        }
    }

    /// Returns the next series' message, and where it begins in the request.
    pub fn next_series(&mut self) -> Result<Option<(u32, &'a [u8])>, WireError> {
        while let Some(tag) = self.reader.tag()? {
            match tag.field {
                1 => {
                    tag.must_be(BYTES, "Timeseries")?;
                    let message = self.reader.bytes()?;
                    let end = self.all.len() - self.reader.rest().len();
                    return Ok(Some(((end - message.len()) as u32, message)));
                }
                3 => {
                    tag.must_be(BYTES, "Metadata")?;
                    let message = self.reader.bytes()?;
                    if self.metadata == 0 {
                        self.first_metadata = message;
                    }
                    self.metadata += 1;
                }
                _ => self.reader.skip(tag)?,
            }
        }
        Ok(None)
    }

    /// Returns the metric of the first metadata message; empty if it does not say.
    pub fn metadata_name(&self) -> String {
        let mut reader = Reader::new("MetricMetadata", self.first_metadata);
        while let Ok(Some(tag)) = reader.tag() {
            if tag.field == 2 && tag.wire == BYTES {
                let name = reader.bytes().unwrap_or_default();
                return shortened(String::from_utf8_lossy(name).into_owned());
            }
            if reader.skip(tag).is_err() {
                break;
            }
        }
        String::new()
    }
}

/// A series' message, scanned once.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeriesMessage<'a> {
    /// The label fields that it begins with: all of them, unless `scattered`.
    pub leading: &'a [u8],
    /// What follows those fields.
    rest: &'a [u8],
    /// Some label fields are between others.
    scattered: bool,
    pub samples: u32,
    pub exemplars: u32,
    pub histograms: u32,
}

impl<'a> SeriesMessage<'a> {
    pub fn look_through(message: &'a [u8]) -> Result<SeriesMessage<'a>, WireError> {
        let mut found = SeriesMessage {
            leading: message,
            rest: &[],
            scattered: false,
            samples: 0,
            exemplars: 0,
            histograms: 0,
        };
        let mut reader = Reader::new("TimeSeries", message);
        reader.pass_short(LABEL_KEY);
        let mut before = reader.rest();
        while let Some(tag) = reader.tag()? {
            if tag.field == 1 {
                tag.must_be(BYTES, "Labels")?;
                reader.bytes()?;
                found.scattered |= !found.rest.is_empty();
                before = reader.rest();
                continue;
            }
            if found.rest.is_empty() {
                found.leading = message.get(..message.len() - before.len()).unwrap_or(&[]);
                found.rest = before;
            }
            found.count(tag, &mut reader)?;
        }
        Ok(found)
    }

    fn count(&mut self, tag: Tag, reader: &mut Reader<'a>) -> Result<(), WireError> {
        let (counter, name) = match tag.field {
            2 => (&mut self.samples, "Samples"),
            3 => (&mut self.exemplars, "Exemplars"),
            4 => (&mut self.histograms, "Histograms"),
            _ => return reader.skip(tag),
        };
        tag.must_be(BYTES, name)?;
        reader.bytes()?;
        *counter += 1;
        Ok(())
    }

    /// Returns all label fields, one after another. Scattered ones are joined in `joined`.
    pub fn labels<'b>(&self, joined: &'b mut Vec<u8>) -> Result<&'b [u8], WireError>
    where
        'a: 'b,
    {
        if !self.scattered {
            return Ok(self.leading);
        }
        joined.clear();
        joined.extend_from_slice(self.leading);
        let mut reader = Reader::new("TimeSeries", self.rest);
        loop {
            let before = reader.rest();
            let Some(tag) = reader.tag()? else {
                return Ok(joined);
            };
            reader.skip(tag)?;
            if tag.field == 1 {
                let field = before.get(..before.len() - reader.rest().len());
                joined.extend_from_slice(field.unwrap_or(&[]));
            }
        }
    }

    /// Returns the time of the first histogram, if it has one.
    pub fn histogram_t(&self) -> Option<TimestampMs> {
        let mut reader = Reader::new("TimeSeries", self.rest);
        while let Some(tag) = reader.tag().ok()? {
            if tag.field != 4 {
                reader.skip(tag).ok()?;
                continue;
            }
            let mut histogram = Reader::new("Histogram", reader.bytes().ok()?);
            while let Some(tag) = histogram.tag().ok()? {
                if tag.field == 15 && tag.wire == VARINT {
                    return Some(histogram.varint().ok()? as i64);
                }
                histogram.skip(tag).ok()?;
            }
            return None;
        }
        None
    }

    pub fn exemplars(&self) -> Exemplars<'a> {
        Exemplars {
            reader: Reader::new("TimeSeries", self.rest),
        }
    }

    pub fn samples(&self) -> Samples<'a> {
        Samples {
            reader: Reader::new("TimeSeries", self.rest),
        }
    }
}

/// The samples of a series, in the order of the message.
#[derive(Debug)]
pub(super) struct Samples<'a> {
    reader: Reader<'a>,
}

impl Samples<'_> {
    #[inline]
    pub fn next(&mut self) -> Result<Option<Sample>, WireError> {
        while let Some(tag) = self.reader.tag()? {
            if tag.field == 2 {
                return sample(self.reader.bytes()?).map(Some);
            }
            self.reader.skip(tag)?;
        }
        Ok(None)
    }
}

/// The exemplars of a series, in the order of the message.
#[derive(Debug)]
pub(super) struct Exemplars<'a> {
    reader: Reader<'a>,
}

/// One exemplar. Its label fields are joined in `labels`.
#[derive(Debug)]
pub(super) struct RawExemplar {
    pub labels: Vec<u8>,
    pub v: f64,
    pub t: TimestampMs,
}

impl Exemplars<'_> {
    pub fn next(&mut self) -> Result<Option<RawExemplar>, WireError> {
        while let Some(tag) = self.reader.tag()? {
            if tag.field == 3 {
                return exemplar(self.reader.bytes()?).map(Some);
            }
            self.reader.skip(tag)?;
        }
        Ok(None)
    }
}

fn exemplar(message: &[u8]) -> Result<RawExemplar, WireError> {
    let mut reader = Reader::new("Exemplar", message);
    let (mut labels, mut v, mut t) = (Vec::new(), 0.0, 0);
    loop {
        let before = reader.rest();
        let Some(tag) = reader.tag()? else {
            return Ok(RawExemplar { labels, v, t });
        };
        match tag.field {
            1 => {
                tag.must_be(BYTES, "Labels")?;
                reader.bytes()?;
                let field = before.get(..before.len() - reader.rest().len());
                labels.extend_from_slice(field.unwrap_or(&[]));
            }
            2 => {
                tag.must_be(FIXED64, "Value")?;
                v = reader.double()?;
            }
            3 => {
                tag.must_be(VARINT, "Timestamp")?;
                t = reader.varint()? as i64;
            }
            _ => reader.skip(tag)?,
        }
    }
}

#[inline]
fn sample(message: &[u8]) -> Result<Sample, WireError> {
    usual_sample(message).map_or_else(|| any_sample(message), Ok)
}

/// Reads a sample as all senders write it: value, then time, both present.
#[inline]
fn usual_sample(message: &[u8]) -> Option<Sample> {
    let (value, rest) = message.strip_prefix(&[VALUE_KEY])?.split_first_chunk()?;
    let mut time = Reader::new("Sample", rest.strip_prefix(&[TIMESTAMP_KEY])?);
    let t = time.varint().ok()? as i64;
    let v = f64::from_le_bytes(*value);
    time.rest().is_empty().then_some(Sample { t, v })
}

fn any_sample(message: &[u8]) -> Result<Sample, WireError> {
    let mut reader = Reader::new("Sample", message);
    let mut sample = Sample { t: 0, v: 0.0 };
    while let Some(tag) = reader.tag()? {
        match tag.field {
            1 => {
                tag.must_be(FIXED64, "Value")?;
                sample.v = reader.double()?;
            }
            2 => {
                tag.must_be(VARINT, "Timestamp")?;
                sample.t = reader.varint()? as i64;
            }
            _ => reader.skip(tag)?,
        }
    }
    Ok(sample)
}

/// A label's name and value, which may be any bytes.
type RawLabel<'a> = (&'a [u8], &'a [u8]);

/// Returns the next label.
pub(super) fn next_label<'a>(fields: &mut Reader<'a>) -> Result<Option<RawLabel<'a>>, WireError> {
    let Some(tag) = fields.tag()? else {
        return Ok(None);
    };
    tag.must_be(BYTES, "Labels")?;
    let mut reader = Reader::new("Label", fields.bytes()?);
    let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
    while let Some(tag) = reader.tag()? {
        match tag.field {
            1 => {
                tag.must_be(BYTES, "Name")?;
                name = reader.bytes()?;
            }
            2 => {
                tag.must_be(BYTES, "Value")?;
                value = reader.bytes()?;
            }
            _ => reader.skip(tag)?,
        }
    }
    Ok(Some((name, value)))
}
