//! Parses lengths of time and arithmetic with them: `5m`, `-(1h + step())`.

use super::ast::{BinaryOp, DurationExpr, Length, NumberLiteral};
use super::cursor::{Context, Parser};
use super::error::ParseError;
use super::token::{Keyword, Kind};

const OFFSET: Context = ("offset", "number, duration, step(), or range()");

/// Returns how strongly an operator binds. A sign binds between `*` and `^`.
fn precedence(op: BinaryOp) -> Option<(u8, u8)> {
    match op {
        BinaryOp::Add | BinaryOp::Sub => Some((1, 2)),
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod => Some((2, 3)),
        BinaryOp::Pow => Some((POW, POW)),
        _ => None,
    }
}

const POW: u8 = 3;

impl Parser<'_> {
    /// Parses the length of a range or a step.
    pub fn positive_length(&mut self) -> Result<Length, ParseError> {
        let length = self.length(0)?;
        if let DurationExpr::Number(number) = &length
            && number.value <= 0.0
        {
            let message = "duration must be greater than 0";
            return Err(self.error(number.span.clone(), message));
        }
        Ok(length.into_length())
    }

    /// Parses what follows `offset`, and returns where it ends. Operators after a plain length
    /// belong to the expression around it: `foo offset 5m + 1`.
    pub fn offset_length(&mut self) -> Result<(Length, usize), ParseError> {
        let length = self.within(OFFSET, Parser::offset_expr)?;
        let end = length.end();
        Ok((length.into_length(), end))
    }

    fn offset_expr(&mut self) -> Result<DurationExpr, ParseError> {
        let token = self.peek()?;
        let Some(is_minus) = token.sign() else {
            return match token.kind {
                Kind::LeftParen => self.length(0),
                _ => self.plain_length(),
            };
        };
        self.bump()?;
        let next = self.peek()?;
        if next.sign().is_some() {
            let inner = self.length(POW)?;
            let signed = self.signed(is_minus, token.start, inner)?;
            return self.operators(signed, 0);
        }
        let inner = self.plain_length()?;
        let is_called = matches!(next.kind, Kind::Keyword(_));
        if is_called && !is_minus {
            let span = token.start..inner.end();
            return Ok(DurationExpr::Unary(false, Box::new(inner), span));
        }
        self.signed(is_minus, token.start, inner)
    }

    /// Parses a length whose operators bind at least that strongly.
    fn length(&mut self, binds_at_least: u8) -> Result<DurationExpr, ParseError> {
        let token = self.peek()?;
        let length = match token.sign() {
            Some(is_minus) => {
                self.bump()?;
                let inner = self.nested(|parser| parser.length(POW))?;
                self.signed(is_minus, token.start, inner)?
            }
            None => self.plain_length()?,
        };
        self.operators(length, binds_at_least)
    }

    fn operators(
        &mut self,
        mut lhs: DurationExpr,
        binds_at_least: u8,
    ) -> Result<DurationExpr, ParseError> {
        for chain in 1.. {
            let token = self.peek()?;
            let op = token.binary_op();
            let Some((op, (own, right))) = op.and_then(|op| Some((op, precedence(op)?))) else {
                break;
            };
            if own < binds_at_least {
                break;
            }
            self.deep(chain, token.start)?;
            self.bump()?;
            let rhs = self.nested(|parser| parser.length(right))?;
            self.peek()?;
            let is_zero = matches!(&rhs, DurationExpr::Number(number) if number.value == 0.0);
            match op {
                BinaryOp::Div if is_zero => {
                    return Err(self.error(token.span(), "division by zero"));
                }
                BinaryOp::Mod if is_zero => {
                    return Err(self.error(token.span(), "modulo by zero"));
                }
                _ => {}
            }
            let span = lhs.start()..rhs.end();
            lhs = DurationExpr::Binary(op, Box::new(lhs), Box::new(rhs), span);
        }
        Ok(lhs)
    }

    fn plain_length(&mut self) -> Result<DurationExpr, ParseError> {
        let token = self.peek()?;
        match token.kind {
            Kind::Number | Kind::Duration => {
                let (value, is_duration, _) = self.number()?;
                self.in_range(value, token.span())?;
                Ok(DurationExpr::Number(NumberLiteral {
                    value,
                    is_duration,
                    span: token.span(),
                }))
            }
            Kind::LeftParen => {
                self.bump()?;
                let inner = self.nested(|parser| parser.length(0))?;
                let end = self.expect(Kind::RightParen)?.end();
                Ok(match inner {
                    // Prometheus keeps one pair of parentheses.
                    DurationExpr::Paren(..) => inner,
                    inner => DurationExpr::Paren(Box::new(inner), token.start..end),
                })
            }
            Kind::Keyword(keyword) if keyword.is_duration() => {
                self.bump()?;
                self.expect(Kind::LeftParen)?;
                if matches!(keyword, Keyword::Step | Keyword::Range) {
                    let span = token.start..self.expect(Kind::RightParen)?.end();
                    return Ok(match keyword {
                        Keyword::Step => DurationExpr::Step(span),
                        _ => DurationExpr::Range(span),
                    });
                }
                let first = Box::new(self.nested(|parser| parser.length(0))?);
                self.expect(Kind::Comma)?;
                let second = Box::new(self.nested(|parser| parser.length(0))?);
                let span = token.start..self.expect(Kind::RightParen)?.end();
                Ok(match keyword {
                    Keyword::MinOf => DurationExpr::MinOf(first, second, span),
                    _ => DurationExpr::MaxOf(first, second, span),
                })
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Parses a length after the sign, which stands at `start`.
    fn signed(
        &self,
        is_minus: bool,
        start: usize,
        length: DurationExpr,
    ) -> Result<DurationExpr, ParseError> {
        match length {
            DurationExpr::Number(mut number) => {
                if is_minus {
                    number.value = -number.value;
                }
                self.in_range(number.value, start..start + 1)?;
                number.span.start = start;
                Ok(DurationExpr::Number(number))
            }
            length if is_minus => {
                let span = start..length.end();
                Ok(DurationExpr::Unary(true, Box::new(length), span))
            }
            length => Ok(length),
        }
    }

    fn in_range(&self, seconds: f64, span: std::ops::Range<usize>) -> Result<(), ParseError> {
        // Go's durations are 64-bit nanoseconds.
        if seconds.is_nan() || seconds.abs() > i64::MAX as f64 / 1e9 {
            return Err(self.error(span, "duration out of range"));
        }
        Ok(())
    }
}

impl DurationExpr {
    fn into_length(self) -> Length {
        match self {
            DurationExpr::Number(number) => Length::Fixed(milliseconds(number.value)),
            length => Length::Computed(Box::new(length)),
        }
    }

    fn start(&self) -> usize {
        self.span().start
    }

    fn end(&self) -> usize {
        self.span().end
    }
}

/// Rounds to nanoseconds first, as Prometheus keeps durations.
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1e9).round() as i64 / 1_000_000
}
