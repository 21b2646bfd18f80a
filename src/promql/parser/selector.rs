//! Selectors: `name{label="value"}[5m] offset 1h @ 1700000000`.
//!
//! One function a rule, with one token of lookahead; operators will be climbed here by precedence.

use std::ops::Range;

use super::ast::{At, Expr, MatrixSelector, VectorSelector};
use super::error::ParseError;
use super::lexer::Lexer;
use super::literal;
use super::token::{Keyword, Kind, Token};
use crate::model::names::METRIC_NAME;
use crate::model::{MatchOp, Matcher};
use crate::stdx::gofmt;

/// LIMIT: parentheses inside each other, each a few frames of recursion.
const DEPTH_MAX: usize = 100;

/// Reads a query.
///
/// # Errors
/// The first thing wrong, in Prometheus's words.
pub fn parse(query: &str) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(query)?;
    if parser.token.kind == Kind::End {
        return Err(parser.error(0..0, "no expression found in input"));
    }
    let expr = parser.expr(0)?;
    if parser.token.kind != Kind::End {
        return Err(parser.unexpected("", ""));
    }
    parser.check(&expr)?;
    Ok(expr)
}

/// Reads a selector of series, as `match[]` gives them: without range and modifiers. It may match
/// everything.
///
/// # Errors
/// The first thing wrong, in Prometheus's words.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let mut parser = Parser::new(text)?;
    let name = parser.token.is_metric_name();
    if !name && parser.token.kind != Kind::LeftBrace {
        return Err(parser.unexpected("", ""));
    }
    let selector = parser.vector_selector()?;
    if parser.token.kind != Kind::End {
        return Err(parser.unexpected("", ""));
    }
    Ok(selector.matchers)
}

struct Parser<'q> {
    query: &'q str,
    lexer: Lexer<'q>,
    token: Token<'q>,
    /// Where the token before this ended.
    last_end: usize,
}

impl<'q> Parser<'q> {
    fn new(query: &'q str) -> Result<Parser<'q>, ParseError> {
        let mut lexer = Lexer::new(query);
        let token = lexer.next()?;
        Ok(Parser {
            query,
            lexer,
            token,
            last_end: 0,
        })
    }

    /// Takes the token.
    fn bump(&mut self) -> Result<Token<'q>, ParseError> {
        let next = self.lexer.next()?;
        self.last_end = self.token.span.end;
        Ok(std::mem::replace(&mut self.token, next))
    }

    fn error(&self, span: Range<usize>, message: impl Into<String>) -> ParseError {
        ParseError::new(self.query, span, message)
    }

    fn unexpected(&self, context: &str, expected: &str) -> ParseError {
        let mut message = format!("unexpected {}", self.token.describe());
        for (word, text) in [(" in ", context), (", expected ", expected)] {
            if !text.is_empty() {
                message.push_str(word);
                message.push_str(text);
            }
        }
        self.error(self.token.span.clone(), message)
    }

    fn unsupported(&self, what: &str) -> ParseError {
        let message = format!("not supported yet: {what}");
        self.error(self.token.span.clone(), message)
    }

    /// A selector or something in parentheses, with what follows it.
    fn expr(&mut self, depth: usize) -> Result<Expr, ParseError> {
        let mut expr = self.primary(depth)?;
        loop {
            expr = match self.token.kind {
                Kind::LeftBracket => self.range(expr)?,
                Kind::Keyword(Keyword::Offset) => self.offset(expr)?,
                Kind::At => self.at(expr)?,
                Kind::Keyword(Keyword::Anchored | Keyword::Smoothed) => {
                    let word = self.token.text.to_ascii_lowercase();
                    let message = format!("{word} modifier is experimental and not enabled");
                    return Err(self.error(expr.span(), message));
                }
                Kind::Operator | Kind::NotEqual | Kind::Keyword(Keyword::Operator) => {
                    let what = format!("operator {}", self.token.text);
                    return Err(self.unsupported(&what));
                }
                _ => return Ok(expr),
            };
        }
    }

    fn primary(&mut self, depth: usize) -> Result<Expr, ParseError> {
        match self.token.kind {
            Kind::LeftParen if depth >= DEPTH_MAX => {
                let message = format!("parentheses nest deeper than {DEPTH_MAX}");
                Err(self.error(self.token.span.clone(), message))
            }
            Kind::LeftParen => {
                let start = self.bump()?.span.start;
                let inner = self.expr(depth + 1)?;
                if self.token.kind != Kind::RightParen {
                    return Err(self.unexpected("", ""));
                }
                let end = self.bump()?.span.end;
                Ok(Expr::Paren(Box::new(inner), start..end))
            }
            Kind::Number | Kind::Duration => Err(self.unsupported("numbers")),
            Kind::String => Err(self.unsupported("strings")),
            Kind::Operator if matches!(self.token.text, "+" | "-") => {
                let what = format!("unary {}", self.token.text);
                Err(self.unsupported(&what))
            }
            Kind::LeftBrace => self.vector_selector().map(Expr::Vector),
            _ if self.token.is_metric_name() => self.named(),
            _ => Err(self.unexpected("", "")),
        }
    }

    /// A selector that begins with a name, unless the name is that of a function or aggregation.
    fn named(&mut self) -> Result<Expr, ParseError> {
        let name = self.token.clone();
        let selector = self.vector_selector()?;
        let clause = ["by", "without"];
        let has_clause = clause
            .iter()
            .any(|c| self.token.text.eq_ignore_ascii_case(c));
        let what = match name.kind {
            Kind::Keyword(Keyword::Aggregator)
                if self.token.kind == Kind::LeftParen || has_clause =>
            {
                "aggregation"
            }
            _ if self.token.kind == Kind::LeftParen => "function",
            _ => return Ok(Expr::Vector(selector)),
        };
        let message = format!("not supported yet: {what} {}", name.text);
        Err(self.error(name.span, message))
    }

    fn vector_selector(&mut self) -> Result<VectorSelector, ParseError> {
        let start = self.token.span.start;
        let name = if self.token.is_metric_name() {
            Some(self.bump()?.text)
        } else {
            None
        };
        let mut matchers = Vec::new();
        if self.token.kind == Kind::LeftBrace {
            self.bump()?;
            self.matchers(&mut matchers)?;
        }
        matchers.extend(name.map(|name| Matcher::equal(METRIC_NAME, name)));
        Ok(VectorSelector {
            matchers,
            offset_ms: 0,
            at: None,
            span: start..self.last_end,
        })
    }

    /// After the opening brace, through the closing one.
    fn matchers(&mut self, matchers: &mut Vec<Matcher>) -> Result<(), ParseError> {
        while self.token.kind != Kind::RightBrace {
            matchers.push(self.matcher()?);
            match self.token.kind {
                Kind::Comma => {
                    self.bump()?;
                }
                Kind::RightBrace => {}
                _ => return Err(self.unexpected("label matching", "\",\" or \"}\"")),
            }
        }
        self.bump()?;
        Ok(())
    }

    fn matcher(&mut self) -> Result<Matcher, ParseError> {
        let label = match self.token.kind {
            Kind::Identifier | Kind::String => self.bump()?,
            _ => return Err(self.unexpected("label matching", "identifier or \"}\"")),
        };
        let is_string = label.kind == Kind::String;
        let name = match label.kind {
            Kind::String => self.unquote(&label)?,
            _ => label.text.to_owned(),
        };
        let op = match self.token.kind {
            Kind::Equal => MatchOp::Equal,
            Kind::NotEqual => MatchOp::NotEqual,
            Kind::EqualRegex => MatchOp::Regex,
            Kind::NotEqualRegex => MatchOp::NotRegex,
            Kind::Comma | Kind::RightBrace if is_string => {
                return Ok(Matcher::equal(METRIC_NAME, name));
            }
            _ if is_string => return Err(self.unexpected("label matching", "\",\" or \"}\"")),
            _ => return Err(self.unexpected("label matching", "label matching operator")),
        };
        self.bump()?;
        if self.token.kind != Kind::String {
            return Err(self.unexpected("label matching", "string"));
        }
        // NOTE: the matcher is judged before the lexer goes on, so that its error comes first.
        let value = self.unquote(&self.token)?;
        let span = label.span.start..self.token.span.end;
        let matcher =
            Matcher::new(op, name, value).map_err(|error| self.error(span, error.to_string()))?;
        self.bump()?;
        Ok(matcher)
    }

    fn unquote(&self, token: &Token<'_>) -> Result<String, ParseError> {
        literal::unquote(token.text).map_err(|error| {
            let text = gofmt::quote(token.text);
            let message = format!("error unquoting string {text}: {error}");
            self.error(token.span.clone(), message)
        })
    }

    /// `[5m]` after `expr`.
    fn range(&mut self, expr: Expr) -> Result<Expr, ParseError> {
        let bracket = self.bump()?.span;
        let (seconds, span) = self.duration(
            "subquery or range selector",
            "number, duration, step(), or range()",
        )?;
        if self.token.kind == Kind::Operator {
            return Err(self.unsupported("arithmetic of durations"));
        }
        if seconds <= 0.0 {
            return Err(self.error(span, "duration must be greater than 0"));
        }
        match self.token.kind {
            Kind::RightBracket => {}
            Kind::Colon => return Err(self.unsupported("subqueries")),
            _ => return Err(self.unexpected("subquery or range", "\":\" or \"]\"")),
        }
        let span = bracket.start..self.token.span.end;
        let problem = match &expr {
            Expr::Vector(selector) if selector.offset_ms != 0 => {
                "no offset modifiers allowed before range"
            }
            Expr::Vector(VectorSelector { at: Some(_), .. }) => {
                "no @ modifiers allowed before range"
            }
            Expr::Vector(selector) => {
                let selector = selector.clone();
                let span = selector.span.start..span.end;
                self.bump()?;
                return Ok(Expr::Matrix(MatrixSelector {
                    selector,
                    range_ms: (seconds * 1000.0).round() as i64,
                    span,
                }));
            }
            _ => "ranges only allowed for vector selectors",
        };
        Err(self.error(span, problem))
    }

    /// Seconds, by a number or a duration with an optional sign.
    fn duration(
        &mut self,
        context: &str,
        expected: &str,
    ) -> Result<(f64, Range<usize>), ParseError> {
        let start = self.token.span.start;
        let sign = match self.token.text {
            "-" => -1.0,
            _ => 1.0,
        };
        let signed = self.token.kind == Kind::Operator && matches!(self.token.text, "+" | "-");
        if signed {
            self.bump()?;
        }
        let arithmetic = match self.token.kind {
            Kind::LeftParen | Kind::Keyword(Keyword::Other) => true,
            Kind::Operator => signed,
            _ => false,
        };
        if arithmetic {
            return Err(self.unsupported("arithmetic of durations"));
        }
        if !matches!(self.token.kind, Kind::Number | Kind::Duration) {
            return Err(self.unexpected(context, expected));
        }
        let span = start..self.token.span.end;
        let seconds = sign * self.number()?;
        // Go's durations are 64-bit nanoseconds.
        if seconds.is_nan() || seconds.abs() > i64::MAX as f64 / 1e9 {
            return Err(self.error(span, "duration out of range"));
        }
        Ok((seconds, span))
    }

    /// Takes a number or a duration.
    fn number(&mut self) -> Result<f64, ParseError> {
        let token = &self.token;
        let value = if token.kind == Kind::Duration {
            literal::duration_seconds(token.text)
        } else {
            let text = gofmt::quote(token.text);
            let parsed = literal::number(token.text);
            parsed.ok_or_else(|| {
                format!("error parsing number: strconv.ParseFloat: parsing {text}: invalid syntax")
            })
        };
        let value = value.map_err(|message| self.error(token.span.clone(), message))?;
        self.bump()?;
        Ok(value)
    }

    fn offset(&mut self, mut expr: Expr) -> Result<Expr, ParseError> {
        self.bump()?;
        let (seconds, _) = self.duration("offset", "number, duration, step(), or range()")?;
        let (span, end) = (expr.span(), self.last_end);
        let Some(selector) = modified(&mut expr, end) else {
            let message = "offset modifier must be preceded by an instant vector selector or \
                           range vector selector or a subquery";
            return Err(self.error(span, message));
        };
        if selector.offset_ms != 0 {
            return Err(self.error(span, "offset may not be set multiple times"));
        }
        selector.offset_ms = (seconds * 1000.0).round() as i64;
        Ok(expr)
    }

    fn at(&mut self, mut expr: Expr) -> Result<Expr, ParseError> {
        self.bump()?;
        let preprocessor = match self.token.kind {
            Kind::Keyword(Keyword::Start) => Some(At::Start),
            Kind::Keyword(Keyword::End) => Some(At::End),
            _ => None,
        };
        let at = if let Some(at) = preprocessor {
            self.bump()?;
            for kind in [Kind::LeftParen, Kind::RightParen] {
                if self.token.kind != kind {
                    return Err(self.unexpected("@", "timestamp"));
                }
                self.bump()?;
            }
            at
        } else {
            self.timestamp(&expr)?
        };
        let (span, end) = (expr.span(), self.last_end);
        let Some(selector) = modified(&mut expr, end) else {
            let message = "@ modifier must be preceded by an instant vector selector or range \
                           vector selector or a subquery";
            return Err(self.error(span, message));
        };
        if selector.at.is_some() {
            return Err(self.error(span, "@ <timestamp> may not be set multiple times"));
        }
        selector.at = Some(at);
        Ok(expr)
    }

    fn timestamp(&mut self, expr: &Expr) -> Result<At, ParseError> {
        let signed = self.token.kind == Kind::Operator && matches!(self.token.text, "+" | "-");
        let sign = if self.token.text == "-" { -1.0 } else { 1.0 };
        if signed {
            self.bump()?;
        }
        if !matches!(self.token.kind, Kind::Number | Kind::Duration) {
            return Err(self.unexpected("@", "timestamp"));
        }
        let seconds = sign * self.number()?;
        if seconds.is_nan() || seconds.abs() >= i64::MAX as f64 {
            let shown = if seconds.is_finite() {
                format!("{seconds:.6}")
            } else {
                gofmt::v(seconds)
            };
            let message = format!("timestamp out of bounds for @ modifier: {shown}");
            return Err(self.error(expr.span(), message));
        }
        Ok(At::Time((seconds * 1000.0).round() as i64))
    }

    /// What can be told only of the whole.
    fn check(&self, expr: &Expr) -> Result<(), ParseError> {
        let selector = match expr {
            Expr::Paren(inner, _) => return self.check(inner),
            Expr::Vector(selector) => selector,
            Expr::Matrix(matrix) => &matrix.selector,
        };
        let braced = self
            .query
            .get(selector.span.start..)
            .is_some_and(|s| s.starts_with('{'));
        if !braced {
            let (name, inner) = match selector.matchers.split_last() {
                Some((name, inner)) => (name.value.as_str(), inner),
                None => ("", &[][..]),
            };
            return match inner.iter().find(|m| m.name == METRIC_NAME) {
                Some(twice) => {
                    let (name, other) = (gofmt::quote(name), gofmt::quote(&twice.value));
                    let message = format!("metric name must not be set twice: {name} or {other}");
                    Err(self.error(selector.span.clone(), message))
                }
                None => Ok(()),
            };
        }
        if selector.matchers.iter().all(Matcher::matches_empty) {
            let message = "vector selector must contain at least one non-empty matcher";
            return Err(self.error(selector.span.clone(), message));
        }
        Ok(())
    }
}

/// The selector that a modifier applies to, and whose text now ends at `end`.
fn modified(expr: &mut Expr, end: usize) -> Option<&mut VectorSelector> {
    match expr {
        Expr::Vector(selector) => {
            selector.span.end = end;
            Some(selector)
        }
        Expr::Matrix(matrix) => {
            matrix.span.end = end;
            Some(&mut matrix.selector)
        }
        Expr::Paren(..) => None,
    }
}
