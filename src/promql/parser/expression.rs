//! Parses expressions by precedence climbing.

use super::Features;
use super::ast::{Binary, BinaryOp, Expr, Extent, NumberLiteral, Paren, StringLiteral, Unary};
use super::cursor::{Node, Parser};
use super::error::ParseError;
use super::token::{Keyword, Kind};

/// Parses a query.
///
/// # Errors
/// The first fault, in Prometheus's words.
pub fn parse(query: &str, features: &Features) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(query, *features);
    if parser.peek()?.kind == Kind::End {
        return Err(parser.error(0..0, "no expression found in input"));
    }
    let mut expr = *parser.expr(0)?.expr;
    parser.expect(Kind::End)?;
    super::check::check(query, &mut expr)?;
    Ok(expr)
}

/// Returns how strongly an operator binds, and the strength with which its right side is read (one
/// more where it is left associative).
fn precedence(op: BinaryOp) -> (u8, u8) {
    use BinaryOp::{Add, And, Atan2, Div, Mod, Mul, Or, Pow, Sub, Unless};
    match op {
        Or => (1, 2),
        And | Unless => (2, 3),
        Add | Sub => (4, 5),
        Mul | Div | Mod | Atan2 => (5, 6),
        Pow => (POW, POW),
        _ => (3, 4),
    }
}

/// The precedence of `^`, the only operator that binds stronger than a sign.
const POW: u8 = 6;

impl Parser<'_> {
    /// Parses an expression whose operators bind at least that strongly.
    pub fn expr(&mut self, binds_at_least: u8) -> Result<Node, ParseError> {
        self.nested(|parser| {
            let mut node = parser.operand()?;
            loop {
                let token = parser.peek()?;
                let op = token.binary_op().map(|op| (op, precedence(op)));
                // NOTE: all arms give one result, which keeps the frame of this recursion small.
                let grown = match (token.kind, op) {
                    (Kind::LeftBracket, _) => parser.range(node),
                    (Kind::At, _) => parser.at(node),
                    (Kind::Keyword(Keyword::Offset), _) => parser.offset(node),
                    (Kind::Keyword(Keyword::Anchored), _) => parser.extent(node, Extent::Anchored),
                    (Kind::Keyword(Keyword::Smoothed), _) => parser.extent(node, Extent::Smoothed),
                    (_, Some((op, (own, right)))) if own >= binds_at_least => {
                        parser.binary(node, op, right)
                    }
                    _ => return Ok(node),
                };
                node = grown?;
            }
        })
    }

    fn binary(&mut self, lhs: Node, op: BinaryOp, right: u8) -> Result<Node, ParseError> {
        let op_span = self.bump()?.span();
        let (returns_bool, matching) = self.matching()?;
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        let rhs = self.expr(right)?;
        let span = lhs.expr.span().start..rhs.expr.span().end;
        if fills && !self.features.fill_modifiers {
            let message = "binop fill modifiers are experimental and not enabled";
            return Err(self.error(span, message));
        }
        let height = 1 + lhs.height.max(rhs.height);
        self.deep(height, op_span.start)?;
        let expr = Expr::Binary(Binary {
            op,
            returns_bool,
            lhs: lhs.expr,
            rhs: rhs.expr,
            matching: Some(matching),
            span,
            op_span,
        });
        Ok(Node::new(expr, height))
    }

    fn operand(&mut self) -> Result<Node, ParseError> {
        let token = self.peek()?;
        if let Some(is_minus) = token.sign() {
            return self.unary(is_minus);
        }
        match token.kind {
            Kind::LeftParen => self.paren(),
            Kind::Number | Kind::Duration => self.number_literal(),
            Kind::String => self.string_literal(),
            Kind::LeftBrace => self.vector(None),
            _ => self.named(),
        }
    }

    fn number_literal(&mut self) -> Result<Node, ParseError> {
        let (value, is_duration, token) = self.number()?;
        Ok(Node::leaf(Expr::Number(NumberLiteral {
            value,
            is_duration,
            span: token.span(),
        })))
    }

    fn string_literal(&mut self) -> Result<Node, ParseError> {
        let token = self.bump()?;
        let (value, bytes) = match String::from_utf8(self.unquote_bytes(token)?) {
            Ok(value) => (value, None),
            Err(error) => {
                let value = String::from_utf8_lossy(error.as_bytes()).into_owned();
                (value, Some(error.into_bytes()))
            }
        };
        let span = token.span();
        Ok(Node::leaf(Expr::Text(StringLiteral { value, bytes, span })))
    }

    fn unary(&mut self, is_minus: bool) -> Result<Node, ParseError> {
        let start = self.bump()?.start;
        let Node { mut expr, height } = self.expr(POW)?;
        if let Expr::Number(number) = &mut *expr {
            number.span.start = start;
            if is_minus {
                number.value = -number.value;
            }
            return Ok(Node { expr, height });
        }
        self.deep(height + 1, start)?;
        let span = start..expr.span().end;
        let unary = Unary {
            is_minus,
            expr,
            span,
        };
        Ok(Node::new(Expr::Unary(unary), height + 1))
    }

    fn paren(&mut self) -> Result<Node, ParseError> {
        let start = self.bump()?.start;
        let Node { expr, height } = self.expr(0)?;
        let end = self.expect(Kind::RightParen)?.end();
        self.deep(height + 1, start)?;
        let span = start..end;
        Ok(Node::new(Expr::Paren(Paren { expr, span }), height + 1))
    }

    /// Parses what begins with a name: an aggregation, a call of a function, or a selector.
    fn named(&mut self) -> Result<Node, ParseError> {
        let name = self.peek()?;
        if !name.is_metric_name() {
            return Err(self.unexpected());
        }
        self.bump()?;
        let next = self.peek()?.kind;
        match name.kind {
            Kind::Keyword(Keyword::Aggregator(op)) => match next {
                Kind::LeftParen | Kind::Keyword(Keyword::By | Keyword::Without) => {
                    self.aggregate(op, name)
                }
                _ => self.vector(Some(name)),
            },
            Kind::Identifier if next == Kind::LeftParen => self.call(name),
            Kind::Keyword(keyword) if keyword.is_function() && next == Kind::LeftParen => {
                self.call(name)
            }
            _ => self.vector(Some(name)),
        }
    }
}
