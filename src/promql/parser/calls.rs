//! Parses calls of functions and aggregations, with their arguments.

use super::ast::{Aggregate, Aggregator, Call, Expr};
use super::cursor::{Context, Node, Parser};
use super::error::ParseError;
use super::functions::function;
use super::token::{Keyword, Kind, Token};
use crate::stdx::gofmt;

const AGGREGATION: Context = ("aggregation", "");

struct Args {
    exprs: Vec<Expr>,
    height: usize,
    /// The end of the closing parenthesis.
    end: usize,
}

impl Parser<'_> {
    /// Parses a call, after the function's name.
    pub fn call(&mut self, name: Token<'_>) -> Result<Node, ParseError> {
        let args = self.args()?;
        let Some(function) = function(name.text) else {
            let message = format!("unknown function with name {}", gofmt::quote(name.text));
            return Err(self.error(name.span(), message));
        };
        if function.is_experimental && !self.features.experimental_functions {
            let message = format!("function {} is not enabled", gofmt::quote(name.text));
            return Err(self.error(name.span(), message));
        }
        self.deep(args.height + 1, name.start)?;
        let call = Call {
            function,
            args: args.exprs,
            span: name.start..args.end,
        };
        Ok(Node::new(Expr::Call(call), args.height + 1))
    }

    /// Parses an aggregation, after its name.
    pub fn aggregate(&mut self, op: Aggregator, name: Token<'_>) -> Result<Node, ParseError> {
        self.within(AGGREGATION, |parser| {
            let before = parser.grouping()?;
            let args = parser.args()?;
            let mut end = args.end;
            let clause = match before {
                Some((clause, _)) => Some(clause),
                None => parser.grouping()?.map(|(clause, after)| {
                    end = after;
                    clause
                }),
            };
            let (without, grouping) = clause.unwrap_or_default();
            let span = name.start..end;
            let height = args.height + 1;
            let (expr, param) = parser.operands(op, &span, args.exprs)?;
            parser.deep(height, name.start)?;
            let aggregate = Aggregate {
                op,
                expr: Box::new(expr),
                param: param.map(Box::new),
                grouping,
                without,
                span,
            };
            Ok(Node::new(Expr::Aggregate(aggregate), height))
        })
    }

    /// Returns the aggregated expression and the parameter.
    fn operands(
        &self,
        op: Aggregator,
        span: &std::ops::Range<usize>,
        args: Vec<Expr>,
    ) -> Result<(Expr, Option<Expr>), ParseError> {
        let got = args.len();
        if got == 0 {
            let message = "no arguments for aggregate expression provided";
            return Err(self.error(span.clone(), message));
        }
        if op.is_experimental() && !self.features.experimental_functions {
            let message = format!(
                "{}() is experimental and must be enabled with \
                 --enable-feature=promql-experimental-functions",
                op.as_str()
            );
            return Err(self.error(span.clone(), message));
        }
        let expected = if op.has_param() { 2 } else { 1 };
        let mut args = args.into_iter();
        let param = if op.has_param() { args.next() } else { None };
        if let (Some(expr), None) = (args.next(), args.next()) {
            return Ok((expr, param));
        }
        let message = format!(
            "wrong number of arguments for aggregate expression provided, expected {expected}, \
             got {got}"
        );
        Err(self.error(span.clone(), message))
    }

    /// Parses `by (labels)` or `without (labels)` if it comes next. Returns whether it is
    /// `without`, the labels, and the end.
    #[expect(clippy::type_complexity, reason = "taken apart at once")]
    fn grouping(&mut self) -> Result<Option<((bool, Vec<String>), usize)>, ParseError> {
        let without = match self.peek()?.kind {
            Kind::Keyword(Keyword::By) => false,
            Kind::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.bump()?;
        let (labels, end) = self.label_list()?;
        Ok(Some(((without, labels), end)))
    }

    fn args(&mut self) -> Result<Args, ParseError> {
        self.expect(Kind::LeftParen)?;
        let mut args = Args {
            exprs: Vec::new(),
            height: 0,
            end: 0,
        };
        if let Some(paren) = self.eat(Kind::RightParen)? {
            args.end = paren.end();
            return Ok(args);
        }
        loop {
            let Node { expr, height } = self.expr(0)?;
            args.exprs.push(*expr);
            args.height = args.height.max(height);
            let Some(comma) = self.eat(Kind::Comma)? else {
                args.end = self.expect(Kind::RightParen)?.end();
                return Ok(args);
            };
            if !self.begins_expr()? {
                let message = "trailing commas not allowed in function call args";
                return Err(self.error(comma.span(), message));
            }
        }
    }

    /// Whether an expression may begin with the next token.
    pub fn begins_expr(&mut self) -> Result<bool, ParseError> {
        let token = self.peek()?;
        let begins = match token.kind {
            Kind::LeftParen | Kind::LeftBrace | Kind::Number | Kind::Duration | Kind::String => {
                true
            }
            _ => token.sign().is_some() || token.is_metric_name(),
        };
        Ok(begins)
    }
}
