//! The parser of a body. It reads entry by entry; where the caller expects the lines of the last
//! body, it reads line by line, which is faster.

use super::entry::{Entry, Point};
use super::error::ParseError;
use super::float::short_decimal;
use super::labels::labels;
use super::lexer::is_blank;
use super::line::Line;
use super::protocol::Format;
use crate::model::{LabelsBuilder, MetricType};

pub struct Parser<'a> {
    body: &'a [u8],
    format: Format,
    /// The start of the next line.
    pos: usize,
    kind: MetricType,
    /// The position of a TYPE line that was passed over as known and is newer than `kind`.
    type_line: Option<usize>,
}

impl<'a> Parser<'a> {
    pub fn new(body: &'a [u8], format: Format) -> Parser<'a> {
        Parser {
            body,
            format,
            pos: 0,
            kind: MetricType::Unknown,
            type_line: None,
        }
    }

    /// Returns the next entry, or `None` at the body's end. An error consumes nothing, and then no
    /// entry of the body can be trusted.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator has no errors of its own"
    )]
    pub fn next(&mut self) -> Result<Option<Entry<'a>>, ParseError> {
        let mut line = Line::new(self.body, self.format, self.pos);
        let entry = match self.format {
            Format::Text => line.entry_text()?,
            Format::OpenMetrics => line.entry_open_metrics()?,
        };
        if entry.is_some() {
            self.pos = line.lexer.at.min(self.body.len());
        }
        if let Some(Entry::Type { kind, .. }) = &entry {
            self.kind = *kind;
            self.type_line = None;
        }
        Ok(entry)
    }

    /// Returns the point of the next line if its series is `series`, byte by byte. Else it returns
    /// `None` and consumes nothing. `series` comes from `next` on this or an earlier body of the
    /// same format.
    #[inline]
    pub fn next_if_series(&mut self, series: &[u8]) -> Result<Option<Point<'a>>, ParseError> {
        let Some(rest) = self.rest().strip_prefix(series) else {
            return Ok(None);
        };
        let Some((blank, after_blank)) = rest.split_first() else {
            return Ok(None);
        };
        if *blank != b' ' && (*blank != b'\t' || self.format == Format::OpenMetrics) {
            return Ok(None);
        }
        // The plain case: a short number, then the line's end.
        if let Some((v, used)) = short_decimal(after_blank)
            && after_blank.get(used) == Some(&b'\n')
        {
            self.pos += series.len() + 1 + used + 1;
            let (t, exemplar) = (None, None);
            return Ok(Some(Point { v, t, exemplar }));
        }
        self.next_point(self.pos + series.len())
    }

    /// Passes over the next line if it is `line`, byte by byte: HELP, TYPE, UNIT or a comment.
    /// `line` comes from `line_since` on this or an earlier body of the same format.
    #[inline]
    pub fn next_if_line(&mut self, line: &[u8]) -> bool {
        let ended = match self.rest().strip_prefix(line) {
            Some([b'\n', ..]) => true,
            Some([]) => self.format == Format::Text,
            _ => false,
        };
        if !ended || line.is_empty() {
            return false;
        }
        if is_type_line(line) {
            self.type_line = Some(self.pos);
        }
        self.pos = (self.pos + line.len() + 1).min(self.body.len());
        true
    }

    /// The number of bytes of the body that are consumed.
    pub fn pos(&self) -> usize {
        self.pos
    }

    /// Returns the bytes consumed since `pos`, without the last line break.
    pub fn line_since(&self, pos: usize) -> &'a [u8] {
        let since = self.body.get(pos..self.pos).unwrap_or(&[]);
        since.strip_suffix(b"\n").unwrap_or(since)
    }

    /// The type that the last TYPE line gave, whatever its family. `labels` takes it.
    pub fn kind(&mut self) -> MetricType {
        if let Some(at) = self.type_line.take()
            && let Ok(Some(Entry::Type { kind, .. })) = (Parser {
                pos: at,
                type_line: None,
                ..*self
            })
            .next()
        {
            self.kind = kind;
        }
        self.kind
    }

    /// Decodes a series of this body into `builder`, under the type that holds now.
    pub fn labels(&mut self, series: &[u8], builder: &mut LabelsBuilder) -> Result<(), ParseError> {
        labels(series, self.format, self.kind(), builder)
    }

    fn rest(&self) -> &'a [u8] {
        self.body.get(self.pos..).unwrap_or(&[])
    }

    /// Reads what follows a series that ends at `at`, in any form.
    fn next_point(&mut self, at: usize) -> Result<Option<Point<'a>>, ParseError> {
        let rest = self.body.get(at..).unwrap_or(&[]);
        // The series went on after blanks, so it is another one.
        if rest.iter().find(|b| !is_blank(**b)) == Some(&b'{') {
            return Ok(None);
        }
        let mut line = Line::after_series(self.body, self.format, self.pos, at);
        let token = line.lexer.token();
        let point = line.point(token)?;
        self.pos = line.lexer.at.min(self.body.len());
        Ok(Some(point))
    }
}

fn is_type_line(line: &[u8]) -> bool {
    let Some(line) = line.trim_ascii_start().strip_prefix(b"#") else {
        return false;
    };
    let is_spaced = |text: &[u8]| text.first().is_some_and(|b| is_blank(*b));
    let keyword = line.trim_ascii_start();
    is_spaced(line) && keyword.strip_prefix(b"TYPE").is_some_and(is_spaced)
}
