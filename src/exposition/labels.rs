//! Decodes labels from the bytes of a series or an exemplar. Only a line that the caller has not
//! seen before costs this.

use std::borrow::Cow;

use super::error::{ParseError, Problem, excerpt};
use super::escape::unescape;
use super::float;
use super::lexer::{Lexer, State, Token};
use super::line::{milliseconds, unexpected, unquoted};
use super::protocol::Format;
use crate::model::names::METRIC_NAME;
use crate::model::{Labels, LabelsBuilder, MetricType, TimestampMs};
use crate::stdx::gofloat::parse_float;
use crate::stdx::gofmt;

/// A sample that stands for one observation, with the labels that identify it.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    pub labels: Labels,
    pub v: f64,
    pub t: Option<TimestampMs>,
}

/// Decodes the name and the labels of a series, as `Parser` gave them, into `builder`, which is
/// cleared first. `kind` is `Parser::kind`. In a histogram `le` and in a summary `quantile` are
/// written as OpenMetrics writes numbers, so that `1` and `1.0` are one series.
pub fn labels(
    series: &[u8],
    format: Format,
    kind: MetricType,
    builder: &mut LabelsBuilder,
) -> Result<(), ParseError> {
    builder.clear();
    let mut put = |name: &[u8], value: &[u8]| {
        let name = name_of(name)?;
        let text = std::str::from_utf8(value).map_err(|_| Problem::LabelValue(excerpt(value)))?;
        let value = normalised(kind, &name, unescape(text));
        // An empty value means that the label is absent, so it repeats nothing.
        if value.is_empty() {
            builder.note_empty(&name);
            return Ok(());
        }
        if builder.get(&name).is_some() {
            return Err(Problem::LabelTwice(name.into_owned()).into());
        }
        builder.set(&name, &value);
        Ok(())
    };
    let mut lexer = Lexer::new(series, format, 0, State::LineStart);
    let mut token = lexer.token();
    let named = token == Token::MetricName;
    if named {
        put(METRIC_NAME.as_bytes(), lexer.text())?;
        if lexer.at >= series.len() {
            return Ok(());
        }
        token = lexer.token();
    }
    if token != Token::BraceOpen {
        return Err(unexpected(&lexer, 0, "expected a valid start token", token));
    }
    let inside = Braces::Series { named };
    let named = walk_braces(&mut lexer, 0, inside, |part| match part {
        Part::Metric(name) if std::str::from_utf8(name).is_err() => {
            Err(Problem::Names(excerpt(name)).into())
        }
        Part::Metric(name) => put(METRIC_NAME.as_bytes(), name),
        Part::Label(name, value) => put(name, value),
    })?;
    if named {
        Ok(())
    } else {
        Err(Problem::NameMissing(excerpt(series)).into())
    }
}

/// Decodes an exemplar as `Point` gave it: `{labels} value [seconds]`.
pub fn parse_exemplar(raw: &[u8]) -> Result<Exemplar, ParseError> {
    let mut builder = LabelsBuilder::default();
    let inside = raw.strip_prefix(b"{").unwrap_or(raw);
    let mut lexer = Lexer::new(inside, Format::OpenMetrics, 0, State::Exemplar);
    walk_braces(&mut lexer, 0, Braces::Exemplar, |part| {
        if let Part::Label(name, value) = part {
            let text = std::str::from_utf8(value);
            let text = text.map_err(|_| Problem::LabelValue(excerpt(value)))?;
            builder.set(&name_of(name)?, &unescape(text));
        }
        Ok(())
    })?;
    let token = lexer.token();
    let expected = "expected value after exemplar labels";
    let v = number(&lexer, token, Token::Value, expected)?;
    let t = match lexer.token() {
        Token::Eof => None,
        token => {
            let expected = "expected timestamp or comment";
            let seconds = number(&lexer, token, Token::Timestamp, expected)?;
            Some(milliseconds(seconds, "exemplar ")?)
        }
    };
    let labels = builder.labels();
    Ok(Exemplar { labels, v, t })
}

fn number(
    lexer: &Lexer,
    token: Token,
    expect: Token,
    expected: &'static str,
) -> Result<f64, ParseError> {
    if token != expect {
        return Err(unexpected(lexer, 0, expected, token));
    }
    float::parse(lexer.text().trim_ascii_start()).map_err(|fault| {
        let parsing = excerpt(lexer.since(0));
        Problem::Float { fault, parsing }.into()
    })
}

fn name_of(raw: &[u8]) -> Result<Cow<'_, str>, ParseError> {
    match std::str::from_utf8(raw) {
        Ok(name) if !name.is_empty() => Ok(unescape(name)),
        _ => Err(Problem::Names(excerpt(raw)).into()),
    }
}

fn normalised<'a>(kind: MetricType, name: &str, value: Cow<'a, str>) -> Cow<'a, str> {
    let number = match (kind, name) {
        (MetricType::Histogram, "le") | (MetricType::Summary, "quantile") => parse_float(&value),
        _ => return value,
    };
    let Ok(number) = number else {
        return value;
    };
    let mut text = String::new();
    // A negative zero loses its sign.
    gofmt::push_text_float(&mut text, if number == 0.0 { 0.0 } else { number });
    if number.is_finite() && !text.contains(['.', 'e']) {
        text.push_str(".0");
    }
    Cow::Owned(text)
}

/// What the braces belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Braces {
    /// `named` says that the metric's name stood before the braces.
    Series {
        named: bool,
    },
    Exemplar,
}

/// One piece between braces, without its quotes but with its escapes.
pub(super) enum Part<'a> {
    Metric(&'a [u8]),
    Label(&'a [u8], &'a [u8]),
}

/// Walks from behind the opening brace to behind the closing one. Returns whether the metric has a
/// name. Error texts begin at `start`.
pub(super) fn walk_braces<'a>(
    lexer: &mut Lexer<'a>,
    start: usize,
    inside: Braces,
    mut each: impl FnMut(Part<'a>) -> Result<(), ParseError>,
) -> Result<bool, ParseError> {
    let mut named = inside == Braces::Series { named: true };
    let mut token = lexer.token();
    loop {
        match token {
            Token::BraceClose => return Ok(named),
            Token::LabelName | Token::Quoted => {}
            _ => return Err(unexpected(lexer, start, "expected label name", token)),
        }
        let name = unquoted(lexer.text());
        let next = lexer.token();
        // A quoted string without a value is the metric's name.
        if token == Token::Quoted && matches!(next, Token::Comma | Token::BraceClose) {
            if inside == Braces::Exemplar {
                return Err(unexpected(lexer, start, "expected label name", next));
            }
            if named {
                return Err(Problem::NameTwice(excerpt(lexer.since(start))).into());
            }
            named = true;
            each(Part::Metric(name))?;
            if next == Token::BraceClose {
                return Ok(named);
            }
            token = lexer.token();
            continue;
        }
        if next != Token::Equal {
            return Err(unexpected(lexer, start, "expected equal", next));
        }
        let next = lexer.token();
        if next != Token::LabelValue {
            return Err(unexpected(lexer, start, "expected label value", next));
        }
        if std::str::from_utf8(lexer.text()).is_err() {
            return Err(Problem::LabelValue(excerpt(lexer.text())).into());
        }
        each(Part::Label(name, unquoted(lexer.text())))?;
        token = after_label(lexer, start)?;
    }
}

/// Reads what follows a label, with its comma. The Prometheus format does not insist on the comma.
fn after_label(lexer: &mut Lexer, start: usize) -> Result<Token, ParseError> {
    match lexer.token() {
        Token::Comma => Ok(lexer.token()),
        token if lexer.is_open_metrics() && token != Token::BraceClose => {
            let expected = "expected comma or brace close";
            Err(unexpected(lexer, start, expected, token))
        }
        token => Ok(token),
    }
}
