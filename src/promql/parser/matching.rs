//! Parses what stands between a binary operator and its right side: `bool`, matching, filling.

use super::ast::{Cardinality, Matching};
use super::cursor::{Context, Parser};
use super::error::ParseError;
use super::token::{Keyword, Kind};
use crate::stdx::gofmt;

const LIST: Context = ("grouping opts", "\"(\"");

impl Parser<'_> {
    /// Returns whether there is a `bool`, and how the sides match.
    pub fn matching(&mut self) -> Result<(bool, Matching), ParseError> {
        let mut matching = Matching {
            cardinality: Cardinality::OneToOne,
            on: false,
            labels: Vec::new(),
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        };
        let returns_bool = self.eat(Kind::Keyword(Keyword::Bool))?.is_some();
        if let Kind::Keyword(keyword @ (Keyword::On | Keyword::Ignoring)) = self.peek()?.kind {
            self.bump()?;
            matching.on = keyword == Keyword::On;
            matching.labels = self.label_list()?.0;
            self.group(&mut matching)?;
        }
        self.fill(&mut matching)?;
        Ok((returns_bool, matching))
    }

    /// Parses `group_left(labels)` or `group_right(labels)`, if it comes next.
    fn group(&mut self, matching: &mut Matching) -> Result<(), ParseError> {
        matching.cardinality = match self.peek()?.kind {
            Kind::Keyword(Keyword::GroupLeft) => Cardinality::ManyToOne,
            Kind::Keyword(Keyword::GroupRight) => Cardinality::OneToMany,
            _ => return Ok(()),
        };
        self.bump()?;
        let next = self.peek()?;
        if next.kind == Kind::LeftParen {
            matching.include = self.label_list()?.0;
            return Ok(());
        }
        if self.begins_expr()? || matches!(next.kind, Kind::Keyword(word) if word.is_fill()) {
            return Ok(());
        }
        Err(self.unexpected_in(LIST))
    }

    fn fill(&mut self, matching: &mut Matching) -> Result<(), ParseError> {
        use Keyword::{Fill, FillLeft, FillRight};
        let Kind::Keyword(first @ (Fill | FillLeft | FillRight)) = self.peek()?.kind else {
            return Ok(());
        };
        let value = Some(self.fill_value()?);
        let second = match first {
            FillLeft => FillRight,
            FillRight => FillLeft,
            _ => {
                (matching.fill_left, matching.fill_right) = (value, value);
                return Ok(());
            }
        };
        let other = if self.peek()?.kind == Kind::Keyword(second) {
            Some(self.fill_value()?)
        } else {
            None
        };
        (matching.fill_left, matching.fill_right) = if first == FillLeft {
            (value, other)
        } else {
            (other, value)
        };
        Ok(())
    }

    /// Parses a fill keyword and its number.
    fn fill_value(&mut self) -> Result<f64, ParseError> {
        self.bump()?;
        self.expect(Kind::LeftParen)?;
        let is_minus = self.peek()?.sign();
        if is_minus.is_some() {
            self.bump()?;
        }
        let (value, ..) = self.number()?;
        self.expect(Kind::RightParen)?;
        Ok(if is_minus == Some(true) {
            -value
        } else {
            value
        })
    }

    /// Parses `(a, "b.c")`, and returns where it ends. A trailing comma is allowed.
    pub fn label_list(&mut self) -> Result<(Vec<String>, usize), ParseError> {
        const LABEL: Context = ("grouping opts", "label");
        const NEXT: Context = ("grouping opts", "\",\" or \")\"");
        let mut labels = Vec::new();
        self.within(LIST, |parser| parser.expect(Kind::LeftParen))?;
        loop {
            if let Some(paren) = self.eat(Kind::RightParen)? {
                return Ok((labels, paren.end()));
            }
            labels.push(self.within(LABEL, Parser::label)?);
            if let Some(paren) = self.eat(Kind::RightParen)? {
                return Ok((labels, paren.end()));
            }
            self.within(NEXT, |parser| parser.expect(Kind::Comma))?;
        }
    }

    fn label(&mut self) -> Result<String, ParseError> {
        let token = self.peek()?;
        let name = match token.kind {
            Kind::String => self.unquote(token)?,
            _ if token.is_label_name() => token.text.to_owned(),
            _ => return Err(self.unexpected()),
        };
        self.bump()?;
        if name.is_empty() {
            let name = gofmt::quote(&name);
            let message = format!("invalid label name for grouping: {name}");
            return Err(self.error(token.span(), message));
        }
        Ok(name)
    }
}
