//! The base of all grammar rules: one token of lookahead, the errors' context, the depth.

use std::ops::Range;

use super::Features;
use super::ast::Expr;
use super::error::ParseError;
use super::lexer::Lexer;
use super::literal;
use super::token::{Kind, Token};
use crate::stdx::gofmt;

/// LIMIT: how deep an expression may nest. A chain `1+1+1` counts as deep as it is long. Reading,
/// printing, evaluating and dropping recurse to this depth on `limits::QUERY_STACK`.
pub(super) const DEPTH_MAX: usize = 256;

pub(super) struct Parser<'q> {
    pub query: &'q str,
    pub features: Features,
    lexer: Lexer<'q>,
    /// The next token, once it was read. ORDER: it is read no sooner than the grammar needs it, so
    /// that of two errors Prometheus's first is reported.
    ahead: Option<Token<'q>>,
    /// The construct that an error at an unexpected token names.
    pub context: Context,
    /// The number of rules that are open inside each other.
    nesting: usize,
}

/// The construct with an unexpected token, and what was expected.
pub(super) type Context = (&'static str, &'static str);

/// An expression and its depth.
pub(super) struct Node {
    /// Boxed, so that the frames of the rules' recursion stay small.
    pub expr: Box<Expr>,
    pub height: usize,
}

impl Node {
    pub fn new(expr: Expr, height: usize) -> Node {
        Node {
            expr: Box::new(expr),
            height,
        }
    }

    pub fn leaf(expr: Expr) -> Node {
        Node::new(expr, 1)
    }
}

impl<'q> Parser<'q> {
    pub fn new(query: &'q str, features: Features) -> Parser<'q> {
        Parser {
            query,
            features,
            lexer: Lexer::new(query),
            ahead: None,
            context: ("", ""),
            nesting: 0,
        }
    }

    pub fn peek(&mut self) -> Result<Token<'q>, ParseError> {
        if let Some(token) = self.ahead {
            return Ok(token);
        }
        let token = self.lexer.next()?;
        self.ahead = Some(token);
        Ok(token)
    }

    pub fn bump(&mut self) -> Result<Token<'q>, ParseError> {
        let token = self.peek()?;
        self.ahead = None;
        Ok(token)
    }

    /// Takes the next token if it is of that kind.
    pub fn eat(&mut self, kind: Kind) -> Result<Option<Token<'q>>, ParseError> {
        if self.peek()?.kind == kind {
            return self.bump().map(Some);
        }
        Ok(None)
    }

    /// Takes a token of that kind. Another kind is an error in the current context.
    pub fn expect(&mut self, kind: Kind) -> Result<Token<'q>, ParseError> {
        match self.eat(kind)? {
            Some(token) => Ok(token),
            None => Err(self.unexpected()),
        }
    }

    /// Runs a rule with this context for its errors.
    pub fn within<T>(
        &mut self,
        context: Context,
        rule: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        let outer = std::mem::replace(&mut self.context, context);
        let result = rule(self);
        self.context = outer;
        result
    }

    /// Runs a rule that may recurse into itself.
    pub fn nested<T>(
        &mut self,
        rule: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        self.nesting += 1;
        let start = self.ahead.map_or(0, |token| token.start);
        let deep = self.deep(self.nesting, start);
        let result = match deep {
            Ok(()) => rule(self),
            Err(error) => Err(error),
        };
        self.nesting -= 1;
        result
    }

    /// Checks the depth.
    ///
    /// # Errors
    /// The expression that begins at `start` is too deep.
    pub fn deep(&self, height: usize, start: usize) -> Result<(), ParseError> {
        if height <= DEPTH_MAX {
            return Ok(());
        }
        let message = format!("expression nests deeper than {DEPTH_MAX}");
        Err(self.error(start..start, message))
    }

    pub fn error(&self, span: Range<usize>, message: impl Into<String>) -> ParseError {
        ParseError::new(self.query, span, message)
    }

    /// Returns the error that the next token may not stand here.
    pub fn unexpected(&mut self) -> ParseError {
        self.unexpected_in(self.context)
    }

    pub fn unexpected_in(&mut self, (context, expected): Context) -> ParseError {
        let token = match self.peek() {
            Ok(token) => token,
            Err(error) => return error,
        };
        let mut message = format!("unexpected {}", token.describe());
        for (word, text) in [(" in ", context), (", expected ", expected)] {
            if !text.is_empty() {
                message.push_str(word);
                message.push_str(text);
            }
        }
        self.error(token.span(), message)
    }

    /// Returns a string's value. Labels here must be UTF-8.
    pub fn unquote(&self, token: Token<'_>) -> Result<String, ParseError> {
        let bytes = self.unquote_bytes(token)?;
        String::from_utf8(bytes).map_err(|_| self.bad_string(token, "invalid UTF-8"))
    }

    pub fn unquote_bytes(&self, token: Token<'_>) -> Result<Vec<u8>, ParseError> {
        literal::unquote(token.text).map_err(|error| self.bad_string(token, &error))
    }

    fn bad_string(&self, token: Token<'_>, error: &str) -> ParseError {
        let text = gofmt::quote(token.text);
        let message = format!("error unquoting string {text}: {error}");
        self.error(token.span(), message)
    }

    /// Reads a number or a duration, the latter in seconds. Returns the value, and whether it is a
    /// duration.
    pub fn number(&mut self) -> Result<(f64, bool, Token<'q>), ParseError> {
        let token = self.peek()?;
        let is_duration = match token.kind {
            Kind::Number => false,
            Kind::Duration => true,
            _ => return Err(self.unexpected()),
        };
        self.bump()?;
        let value = if is_duration {
            literal::duration_seconds(token.text)
        } else {
            literal::number(token.text)
        };
        let value = value.map_err(|message| self.error(token.span(), message))?;
        Ok((value, is_duration, token))
    }
}
