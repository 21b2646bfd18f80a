//! The two grammars: reads one entry, from its first token to its line's end.

use std::borrow::Cow;

use super::entry::{Entry, Point};
use super::error::{ParseError, Problem, excerpt};
use super::escape::{unescape, unescape_help};
use super::float;
use super::labels::{Braces, walk_braces};
use super::lexer::{Lexer, State, Token};
use super::protocol::Format;
use crate::model::{MetricType, TimestampMs};

/// The reader of one entry.
pub(super) struct Line<'a> {
    pub(super) lexer: Lexer<'a>,
    /// The position where error texts begin.
    start: usize,
    format: Format,
}

impl<'a> Line<'a> {
    pub(super) fn new(body: &'a [u8], format: Format, start: usize) -> Line<'a> {
        Line {
            lexer: Lexer::new(body, format, start, State::LineStart),
            start,
            format,
        }
    }

    /// Continues behind a series that began at `start` and ended at `at`.
    pub(super) fn after_series(
        body: &'a [u8],
        format: Format,
        start: usize,
        at: usize,
    ) -> Line<'a> {
        Line {
            lexer: Lexer::new(body, format, at, State::Value),
            start,
            format,
        }
    }

    pub(super) fn entry_text(&mut self) -> Result<Option<Entry<'a>>, ParseError> {
        loop {
            self.start = self.lexer.at;
            match self.lexer.token() {
                Token::Eof => return Ok(None),
                Token::Linebreak => {}
                Token::Comment => {
                    self.linebreak("linebreak expected after comment")?;
                    return Ok(Some(Entry::Comment));
                }
                token @ (Token::Help | Token::Type) => {
                    let entry = self.metadata(token)?;
                    self.linebreak("linebreak expected after metadata")?;
                    return Ok(Some(entry));
                }
                token => return self.series(token).map(Some),
            }
        }
    }

    pub(super) fn entry_open_metrics(&mut self) -> Result<Option<Entry<'a>>, ParseError> {
        match self.lexer.token() {
            Token::EofWord => match self.lexer.token() {
                Token::Eof => Ok(None),
                _ => Err(Problem::AfterEof.into()),
            },
            Token::Eof => Err(Problem::NoEof.into()),
            token @ (Token::Help | Token::Type | Token::Unit) => self.metadata(token).map(Some),
            token => self.series(token).map(Some),
        }
    }

    /// Reads what follows the keyword.
    fn metadata(&mut self, keyword: Token) -> Result<Entry<'a>, ParseError> {
        let token = self.lexer.token();
        if token != Token::MetricName {
            let expected = match keyword {
                Token::Help => "expected metric name after HELP",
                Token::Type => "expected metric name after TYPE",
                _ => "expected metric name after UNIT",
            };
            return Err(self.unexpected(expected, token));
        }
        let raw_name = unquoted(self.lexer.text());
        let text = self.metadata_text(keyword)?;
        let name = lossy(raw_name, unescape);
        match keyword {
            Token::Help => {
                let text = std::str::from_utf8(text).map_err(|_| Problem::Help(excerpt(text)))?;
                let text = match self.format {
                    Format::Text => unescape_help(text),
                    Format::OpenMetrics => unescape(text),
                };
                Ok(Entry::Help { name, text })
            }
            Token::Type => {
                let kind = metric_type(text, self.format);
                let kind = kind.ok_or_else(|| Problem::Type(excerpt(text)))?;
                Ok(Entry::Type { name, kind })
            }
            _ => {
                let stem = raw_name.strip_suffix(text);
                if !text.is_empty() && !stem.is_some_and(|stem| stem.ends_with(b"_")) {
                    let (unit, metric) = (excerpt(text), excerpt(raw_name));
                    return Err(Problem::Unit { unit, metric }.into());
                }
                let unit = lossy(text, Cow::Borrowed);
                Ok(Entry::Unit { name, unit })
            }
        }
    }

    /// Reads what follows the name, without the byte between them.
    fn metadata_text(&mut self, keyword: Token) -> Result<&'a [u8], ParseError> {
        let token = self.lexer.token();
        if token != Token::Text {
            let got = match self.format {
                Format::Text => format!(", got {}", token.name()),
                Format::OpenMetrics => String::new(),
            };
            let keyword = keyword.name();
            return Err(Problem::Text { keyword, got }.into());
        }
        let text = self.lexer.text().get(1..).unwrap_or(&[]);
        Ok(match self.format {
            Format::Text => text,
            Format::OpenMetrics => text.strip_suffix(b"\n").unwrap_or(text),
        })
    }

    fn linebreak(&mut self, expected: &'static str) -> Result<(), ParseError> {
        match self.lexer.token() {
            Token::Linebreak => Ok(()),
            token => Err(self.unexpected(expected, token)),
        }
    }

    /// Reads a series from its first token to the line's end.
    fn series(&mut self, token: Token) -> Result<Entry<'a>, ParseError> {
        let start = self.lexer.start;
        let mut after = self.lexer.at;
        let mut named = token == Token::MetricName;
        let mut token = token;
        match token {
            Token::MetricName => token = self.lexer.token(),
            Token::BraceOpen => {}
            token => return Err(self.unexpected("expected a valid start token", token)),
        }
        if token == Token::BraceOpen {
            let inside = Braces::Series { named };
            named = walk_braces(&mut self.lexer, self.start, inside, |_| Ok(()))?;
            after = self.lexer.at;
            token = self.lexer.token();
        }
        if !named {
            return Err(Problem::NameMissing(excerpt(self.lexer.since(self.start))).into());
        }
        let point = self.point(token)?;
        let series = self.lexer.between(start, after);
        Ok(Entry::Series { series, point })
    }

    /// Reads from the value to the line's end.
    pub(super) fn point(&mut self, token: Token) -> Result<Point<'a>, ParseError> {
        let v = self.float(token, Token::Value, "expected value after metric")?;
        match self.format {
            Format::Text => {
                let t = self.timestamp()?;
                let exemplar = None;
                Ok(Point { v, t, exemplar })
            }
            Format::OpenMetrics => self.point_open_metrics(v),
        }
    }

    fn timestamp(&mut self) -> Result<Option<TimestampMs>, ParseError> {
        match self.lexer.token() {
            Token::Linebreak => Ok(None),
            Token::Timestamp => {
                let text = self.lexer.text();
                let t = std::str::from_utf8(text).ok().and_then(|t| t.parse().ok());
                let t = t.ok_or_else(|| Problem::TimestampRange {
                    text: excerpt(text),
                    parsing: excerpt(self.lexer.since(self.start)),
                })?;
                self.linebreak("expected next entry after timestamp")?;
                Ok(Some(t))
            }
            token => Err(self.unexpected("expected timestamp or new record", token)),
        }
    }

    fn point_open_metrics(&mut self, v: f64) -> Result<Point<'a>, ParseError> {
        let (mut t, mut exemplar) = (None, None);
        let mut token = self.lexer.token();
        if token == Token::Timestamp {
            t = Some(self.seconds("")?);
            token = self.lexer.token();
        }
        match token {
            Token::Linebreak => {}
            Token::Comment => exemplar = Some(self.exemplar()?),
            token if t.is_some() => {
                return Err(self.unexpected("expected next entry after timestamp", token));
            }
            Token::Eof => return Err(Problem::NoEof.into()),
            // Prometheus takes the point, and then fails at what follows.
            _ => {
                self.start = self.lexer.at;
                return Err(match self.lexer.token() {
                    Token::Eof => Problem::NoEof.into(),
                    token => self.unexpected("expected a valid start token", token),
                });
            }
        }
        Ok(Point { v, t, exemplar })
    }

    /// Reads an exemplar, after its brace.
    fn exemplar(&mut self) -> Result<&'a [u8], ParseError> {
        let start = self.lexer.at - 1;
        walk_braces(&mut self.lexer, self.start, Braces::Exemplar, |_| Ok(()))?;
        let token = self.lexer.token();
        self.float(token, Token::Value, "expected value after exemplar labels")?;
        match self.lexer.token() {
            Token::Linebreak => {}
            Token::Eof => return Err(Problem::NoEof.into()),
            Token::Timestamp => {
                self.seconds("exemplar ")?;
                self.linebreak("expected next entry after exemplar timestamp")?;
            }
            token => return Err(self.unexpected("expected timestamp or comment", token)),
        }
        Ok(self.lexer.between(start, self.lexer.at - 1))
    }

    /// Reads the last token as an OpenMetrics timestamp in seconds.
    fn seconds(&mut self, exemplar: &'static str) -> Result<TimestampMs, ParseError> {
        let seconds = self.float(Token::Timestamp, Token::Timestamp, "")?;
        milliseconds(seconds, exemplar)
    }

    /// Reads the last token as a number.
    fn float(
        &self,
        token: Token,
        expect: Token,
        expected: &'static str,
    ) -> Result<f64, ParseError> {
        if token != expect {
            return Err(self.unexpected(expected, token));
        }
        let text = self.lexer.text();
        // In OpenMetrics the space before the number is part of the token.
        let text = text.strip_prefix(b" ").unwrap_or(text);
        float::parse(text).map_err(|fault| {
            let parsing = excerpt(self.lexer.since(self.start));
            Problem::Float { fault, parsing }.into()
        })
    }

    fn unexpected(&self, expected: &'static str, token: Token) -> ParseError {
        unexpected(&self.lexer, self.start, expected, token)
    }
}

pub(super) fn unexpected(
    lexer: &Lexer,
    start: usize,
    expected: &'static str,
    token: Token,
) -> ParseError {
    let problem = Problem::Token {
        expected,
        got: lexer.seen(lexer.start),
        token,
        parsing: lexer.seen(start),
    };
    problem.into()
}

/// Turns OpenMetrics seconds into milliseconds. `exemplar` is "exemplar " or empty, for the error's
/// text.
pub(super) fn milliseconds(
    seconds: f64,
    exemplar: &'static str,
) -> Result<TimestampMs, ParseError> {
    if seconds.is_finite() {
        return Ok((seconds * 1000.0) as TimestampMs);
    }
    let value = match seconds {
        _ if seconds.is_nan() => "NaN",
        _ if seconds > 0.0 => "+Inf",
        _ => "-Inf",
    };
    Err(Problem::Timestamp { exemplar, value }.into())
}

/// Returns a quoted string without its quotes, or a bare name as it is.
pub(super) fn unquoted(token: &[u8]) -> &[u8] {
    let inside = token.strip_prefix(b"\"");
    inside.and_then(|t| t.strip_suffix(b"\"")).unwrap_or(token)
}

/// Decodes a name in metadata, where wrong UTF-8 is replaced. A series with such a name is refused.
fn lossy<'a>(bytes: &'a [u8], decode: impl Fn(&'a str) -> Cow<'a, str>) -> Cow<'a, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => decode(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

fn metric_type(name: &[u8], format: Format) -> Option<MetricType> {
    Some(match (name, format) {
        (b"counter", _) => MetricType::Counter,
        (b"gauge", _) => MetricType::Gauge,
        (b"histogram", _) => MetricType::Histogram,
        (b"summary", _) => MetricType::Summary,
        (b"untyped", Format::Text) | (b"unknown", Format::OpenMetrics) => MetricType::Unknown,
        (b"gaugehistogram", Format::OpenMetrics) => MetricType::GaugeHistogram,
        (b"info", Format::OpenMetrics) => MetricType::Info,
        (b"stateset", Format::OpenMetrics) => MetricType::Stateset,
        _ => return None,
    })
}
