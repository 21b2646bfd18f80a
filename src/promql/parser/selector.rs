//! Selectors of series: `name{label="value"}`.

use super::Features;
use super::ast::{Expr, Extent, Length, VectorSelector};
use super::cursor::{Context, Node, Parser};
use super::error::ParseError;
use super::token::{Kind, Token};
use crate::model::names::METRIC_NAME;
use crate::model::{MatchOp, Matcher};

/// Parses a series selector as `match[]` gives it: without range and modifiers. It may match
/// everything.
///
/// # Errors
/// The first fault, in Prometheus's words.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let mut parser = Parser::new(text, Features::default());
    let name = parser.peek()?;
    let selector = if name.is_metric_name() {
        parser.bump()?;
        parser.vector_selector(Some(name))?
    } else if name.kind == Kind::LeftBrace {
        parser.vector_selector(None)?
    } else {
        return Err(parser.unexpected());
    };
    parser.expect(Kind::End)?;
    Ok(selector.matchers)
}

const LABEL: Context = ("label matching", "identifier or \"}\"");
const OPERATOR: Context = ("label matching", "label matching operator");
const VALUE: Context = ("label matching", "string");
const NEXT: Context = ("label matching", "\",\" or \"}\"");

impl Parser<'_> {
    /// Parses a selector. Its name, if it has one, is already consumed.
    pub fn vector(&mut self, name: Option<Token<'_>>) -> Result<Node, ParseError> {
        let selector = self.vector_selector(name)?;
        Ok(Node::leaf(Expr::Vector(selector)))
    }

    fn vector_selector(&mut self, name: Option<Token<'_>>) -> Result<VectorSelector, ParseError> {
        let mut span = name.map_or(0..0, |name| name.span());
        let mut matchers = Vec::new();
        if let Some(brace) = self.eat(Kind::LeftBrace)? {
            let end = self.matchers(&mut matchers)?;
            span = name.map_or(brace.start, |name| name.start)..end;
        }
        matchers.extend(name.map(|name| Matcher::equal(METRIC_NAME, name.text)));
        Ok(VectorSelector {
            matchers,
            is_named: name.is_some(),
            offset: Length::Fixed(0),
            at: None,
            extent: Extent::Plain,
            span,
        })
    }

    /// Parses from behind the opening brace through the closing one, and returns the end.
    fn matchers(&mut self, matchers: &mut Vec<Matcher>) -> Result<usize, ParseError> {
        loop {
            if let Some(brace) = self.eat(Kind::RightBrace)? {
                return Ok(brace.end());
            }
            matchers.push(self.matcher()?);
            if self.peek()?.kind != Kind::RightBrace {
                self.within(NEXT, |parser| parser.expect(Kind::Comma))?;
            }
        }
    }

    fn matcher(&mut self) -> Result<Matcher, ParseError> {
        let label = self.peek()?;
        let name = match label.kind {
            Kind::String => self.unquote(label)?,
            Kind::Identifier => label.text.to_owned(),
            _ => return Err(self.unexpected_in(LABEL)),
        };
        self.bump()?;
        let is_string = label.kind == Kind::String;
        let op = match self.peek()?.kind {
            Kind::Equal => MatchOp::Equal,
            Kind::NotEqual => MatchOp::NotEqual,
            Kind::EqualRegex => MatchOp::Regex,
            Kind::NotEqualRegex => MatchOp::NotRegex,
            Kind::Comma | Kind::RightBrace if is_string => {
                return Ok(Matcher::equal(METRIC_NAME, name));
            }
            _ if is_string => return Err(self.unexpected_in(NEXT)),
            _ => return Err(self.unexpected_in(OPERATOR)),
        };
        self.bump()?;
        let value = self.within(VALUE, |parser| parser.expect(Kind::String))?;
        let span = label.start..value.end();
        let text = self.unquote(value)?;
        Matcher::new(op, name, text).map_err(|error| self.error(span, error.to_string()))
    }
}
