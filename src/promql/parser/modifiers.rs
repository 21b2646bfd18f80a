//! Parses what follows a selector or a subquery: `[5m]`, `[1h:5m]`, `offset 5m`, `@ end()`,
//! `anchored`.

use super::ast::{At, Expr, Extent, Length, MatrixSelector, Subquery, VectorSelector};
use super::cursor::{Context, Node, Parser};
use super::error::ParseError;
use super::token::{Keyword, Kind};
use crate::model::TimestampMs;
use crate::stdx::gofmt;

const RANGE: Context = (
    "subquery or range selector",
    "number, duration, step(), or range()",
);
const STEP: Context = (
    "subquery selector",
    "number, duration, step(), range(), or \"]\"",
);
const AT: Context = ("@", "timestamp");

impl Parser<'_> {
    /// Parses a range or a subquery: the brackets after the node.
    pub fn range(&mut self, node: Node) -> Result<Node, ParseError> {
        let bracket = self.bump()?.start;
        let range = self.within(RANGE, Parser::positive_length)?;
        match self.peek()?.kind {
            Kind::RightBracket => {
                let end = self.bump()?.end();
                self.matrix(node, range, bracket..end)
            }
            Kind::Colon => {
                self.bump()?;
                self.subquery(node, range)
            }
            _ => Err(self.unexpected_in(("subquery or range", "\":\" or \"]\""))),
        }
    }

    fn matrix(
        &mut self,
        node: Node,
        range: Length,
        brackets: std::ops::Range<usize>,
    ) -> Result<Node, ParseError> {
        let problem = match *node.expr {
            Expr::Vector(selector) if selector.offset.is_zero() && selector.at.is_none() => {
                let span = selector.span.start..brackets.end;
                let matrix = MatrixSelector {
                    selector,
                    range,
                    span,
                };
                return Ok(Node::new(Expr::Matrix(matrix), node.height));
            }
            Expr::Vector(selector) if selector.at.is_none() || !selector.offset.is_zero() => {
                "no offset modifiers allowed before range"
            }
            Expr::Vector(_) => "no @ modifiers allowed before range",
            _ => "ranges only allowed for vector selectors",
        };
        Err(self.error(brackets, problem))
    }

    fn subquery(&mut self, node: Node, range: Length) -> Result<Node, ParseError> {
        let mut step = None;
        if self.peek()?.kind != Kind::RightBracket {
            step = Some(self.within(STEP, Parser::positive_length)?);
        }
        let close = ("subquery selector", "\"]\"");
        let end = self.within(close, |parser| parser.expect(Kind::RightBracket))?;
        let height = node.height + 1;
        let span = node.expr.span().start..end.end();
        self.deep(height, span.start)?;
        let subquery = Subquery {
            expr: node.expr,
            range,
            step,
            offset: Length::Fixed(0),
            at: None,
            span,
        };
        Ok(Node::new(Expr::Subquery(subquery), height))
    }

    pub fn offset(&mut self, mut node: Node) -> Result<Node, ParseError> {
        self.bump()?;
        let (length, end) = self.offset_length()?;
        let before = node.expr.span();
        let Some(modified) = Modified::of(&mut node.expr) else {
            let message = "offset modifier must be preceded by an instant vector selector or \
                           range vector selector or a subquery";
            return Err(self.error(before, message));
        };
        if !modified.offset.is_zero() {
            return Err(self.error(before, "offset may not be set multiple times"));
        }
        *modified.offset = length;
        *modified.end = end;
        Ok(node)
    }

    pub fn at(&mut self, mut node: Node) -> Result<Node, ParseError> {
        self.bump()?;
        let before = node.expr.span();
        let (at, end) = self.within(AT, |parser| {
            let fixed = match parser.peek()?.kind {
                Kind::Keyword(Keyword::Start) => At::Start,
                Kind::Keyword(Keyword::End) => At::End,
                _ => return parser.timestamp(before.start),
            };
            parser.bump()?;
            parser.expect(Kind::LeftParen)?;
            Ok((fixed, parser.expect(Kind::RightParen)?.end()))
        })?;
        let Some(modified) = Modified::of(&mut node.expr) else {
            let message = "@ modifier must be preceded by an instant vector selector or range \
                           vector selector or a subquery";
            return Err(self.error(before, message));
        };
        if modified.at.is_some() {
            return Err(self.error(before, "@ <timestamp> may not be set multiple times"));
        }
        *modified.at = Some(at);
        *modified.end = end;
        Ok(node)
    }

    /// Parses the time of an `@` whose expression begins at `start`.
    fn timestamp(&mut self, start: usize) -> Result<(At, usize), ParseError> {
        let sign = self.peek()?.sign();
        if sign.is_some() {
            self.bump()?;
        }
        let (value, _, token) = self.number()?;
        let seconds = if sign == Some(true) { -value } else { value };
        if seconds.is_nan() || seconds.abs() >= i64::MAX as f64 {
            let shown = if seconds.is_finite() {
                format!("{seconds:.6}")
            } else {
                gofmt::v(seconds)
            };
            let message = format!("timestamp out of bounds for @ modifier: {shown}");
            return Err(self.error(start..start, message));
        }
        let at = At::Time((seconds * 1000.0).round() as TimestampMs);
        Ok((at, token.end()))
    }

    pub fn extent(&mut self, mut node: Node, extent: Extent) -> Result<Node, ParseError> {
        self.bump()?;
        let word = extent.as_str();
        let before = node.expr.span();
        let problem = match &mut *node.expr {
            _ if !self.features.extended_ranges => {
                format!("{word} modifier is experimental and not enabled")
            }
            Expr::Vector(selector) | Expr::Matrix(MatrixSelector { selector, .. }) => {
                if selector.extent == Extent::Plain || selector.extent == extent {
                    selector.extent = extent;
                    return Ok(node);
                }
                "anchored and smoothed modifiers cannot be used together".to_owned()
            }
            Expr::Subquery(_) => format!("{word} modifier is not supported for subqueries"),
            _ => format!("{word} modifier not implemented"),
        };
        Err(self.error(before, problem))
    }
}

/// The fields that modifiers set, and the end of the text that they belong to.
struct Modified<'e> {
    offset: &'e mut Length,
    at: &'e mut Option<At>,
    end: &'e mut usize,
}

impl Modified<'_> {
    fn of(expr: &mut Expr) -> Option<Modified<'_>> {
        match expr {
            Expr::Vector(VectorSelector {
                offset, at, span, ..
            })
            | Expr::Matrix(MatrixSelector {
                selector: VectorSelector { offset, at, .. },
                span,
                ..
            })
            | Expr::Subquery(Subquery {
                offset, at, span, ..
            }) => Some(Modified {
                offset,
                at,
                end: &mut span.end,
            }),
            _ => None,
        }
    }
}
