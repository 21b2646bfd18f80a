//! Checks that need the whole expression: types, and which operators take which modifiers.

use super::ast::{
    Aggregate, Aggregator, Binary, Call, Cardinality, Expr, Span, Subquery, Type, VectorSelector,
};
use super::error::ParseError;
use super::functions::Arity;
use crate::model::Matcher;
use crate::model::names::METRIC_NAME;
use crate::stdx::gofmt;

type Checked = Result<(), ParseError>;

/// Checks an expression, and completes the matching of its binary operators.
///
/// # Errors
/// The first fault, in Prometheus's words.
pub(super) fn check(query: &str, expr: &mut Expr) -> Checked {
    Checker { query }.expr(expr)
}

struct Checker<'q> {
    query: &'q str,
}

impl Checker<'_> {
    fn error<T>(&self, span: Span, message: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError::new(self.query, span, message))
    }

    fn expr(&self, expr: &mut Expr) -> Checked {
        match expr {
            Expr::Number(_) | Expr::Text(_) => Ok(()),
            Expr::Vector(selector) => self.selector(selector),
            Expr::Matrix(matrix) => self.selector(&matrix.selector),
            Expr::Subquery(subquery) => self.subquery(subquery),
            Expr::Paren(paren) => self.expr(&mut paren.expr),
            Expr::Unary(unary) => {
                self.expr(&mut unary.expr)?;
                let found = unary.expr.value_type();
                if matches!(found, Type::Scalar | Type::Vector) {
                    return Ok(());
                }
                let message = format!(
                    "unary expression only allowed on expressions of type scalar or instant \
                     vector, got \"{}\"",
                    found.as_str()
                );
                self.error(unary.span.clone(), message)
            }
            Expr::Binary(binary) => self.binary(binary),
            Expr::Call(call) => self.call(call),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate),
        }
    }

    fn selector(&self, selector: &VectorSelector) -> Checked {
        let matchers = selector.matchers.as_slice();
        if let (true, Some((name, others))) = (selector.is_named, matchers.split_last()) {
            return match others.iter().find(|m| m.name == METRIC_NAME) {
                Some(twice) => {
                    let (name, other) = (gofmt::quote(&name.value), gofmt::quote(&twice.value));
                    let message = format!("metric name must not be set twice: {name} or {other}");
                    self.error(selector.span.clone(), message)
                }
                None => Ok(()),
            };
        }
        if matchers.iter().all(Matcher::matches_empty) {
            let message = "vector selector must contain at least one non-empty matcher";
            return self.error(selector.span.clone(), message);
        }
        Ok(())
    }

    fn subquery(&self, subquery: &mut Subquery) -> Checked {
        self.expr(&mut subquery.expr)?;
        let found = match subquery.expr.value_type() {
            Type::Vector => return Ok(()),
            found => found.name(),
        };
        let message = format!("subquery is only allowed on instant vector, got {found} instead");
        self.error(subquery.span.clone(), message)
    }

    fn aggregate(&self, aggregate: &mut Aggregate) -> Checked {
        let expected = match aggregate.op {
            Aggregator::CountValues => Type::Text,
            _ => Type::Scalar,
        };
        self.expect(&mut aggregate.expr, Type::Vector, "aggregation expression")?;
        match &mut aggregate.param {
            Some(param) => self.expect(param, expected, "aggregation parameter"),
            None => Ok(()),
        }
    }

    fn expect(&self, expr: &mut Expr, expected: Type, context: &str) -> Checked {
        self.expr(expr)?;
        self.expect_type(expr.value_type(), expected, context, expr.span())
    }

    fn expect_type(&self, found: Type, expected: Type, context: &str, span: Span) -> Checked {
        if found == expected {
            return Ok(());
        }
        let (expected, found) = (expected.as_str(), found.as_str());
        self.error(
            span,
            format!("expected type {expected} in {context}, got {found}"),
        )
    }

    fn call(&self, call: &mut Call) -> Checked {
        self.arity(call)?;
        let function = call.function;
        let context = format!("call to function {}", gofmt::quote(function.name));
        let is_info = function.name == "info";
        if let (true, Some(data)) = (is_info, call.args.get(1)) {
            self.expect_type(data.value_type(), Type::Vector, &context, call.span.clone())?;
            let problem = match data {
                Expr::Vector(selector) if !selector.is_named => None,
                Expr::Vector(_) => {
                    Some("expected label selectors only, got vector selector instead")
                }
                _ => Some("expected label selectors only"),
            };
            if let Some(problem) = problem {
                return self.error(data.span(), problem);
            }
        }
        for (i, arg) in call.args.iter_mut().enumerate() {
            // The matchers that select what `info` joins may match everything.
            if !(is_info && i == 1) {
                self.expr(arg)?;
            }
            let types = function.args;
            if let Some(expected) = types.get(i).or(types.last()) {
                self.expect_type(arg.value_type(), *expected, &context, arg.span())?;
            }
        }
        Ok(())
    }

    fn arity(&self, call: &Call) -> Checked {
        let (types, got) = (call.function.args.len(), call.args.len());
        let least = types.saturating_sub(1);
        let (bound, expected) = match call.function.arity {
            Arity::Exactly if got != types => ("", types),
            Arity::UpTo(_) | Arity::Any if got < least => ("at least ", least),
            Arity::UpTo(more) if got > least + more => ("at most ", least + more),
            _ => return Ok(()),
        };
        let name = gofmt::quote(call.function.name);
        let message =
            format!("expected {bound}{expected} argument(s) in call to {name}, got {got}");
        self.error(call.span.clone(), message)
    }

    fn binary(&self, binary: &mut Binary) -> Checked {
        self.expr(&mut binary.lhs)?;
        self.expr(&mut binary.rhs)?;
        let (op, span) = (binary.op, &binary.span);
        let types = (binary.lhs.value_type(), binary.rhs.value_type());
        if binary.returns_bool && !op.is_comparison() {
            let message = "bool modifier can only be used on comparison operators";
            return self.error(self.operator(binary), message);
        }
        if op.is_comparison() && !binary.returns_bool && types == (Type::Scalar, Type::Scalar) {
            let message = "comparisons between scalars must use BOOL modifier";
            return self.error(self.operator(binary), message);
        }
        if let Some(matching) = &binary.matching
            && matching.on
            && let Some(both) = matching
                .labels
                .iter()
                .find(|l| matching.include.contains(l))
        {
            let label = gofmt::quote(both);
            let message = format!("label {label} must not occur in ON and GROUP clause at once");
            return self.error(self.operator(binary), message);
        }
        for (side, found) in [(&binary.lhs, types.0), (&binary.rhs, types.1)] {
            if !matches!(found, Type::Scalar | Type::Vector) {
                let message = "binary expression must contain only scalar and instant vector types";
                return self.error(side.span(), message);
            }
        }
        let Some(matching) = &mut binary.matching else {
            return Ok(());
        };
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        if types != (Type::Vector, Type::Vector) {
            let problem = if !matching.labels.is_empty() {
                "vector matching only allowed between instant vectors".to_owned()
            } else if fills {
                "filling in missing series only allowed between instant vectors".to_owned()
            } else if op.is_set() {
                let op = op.as_str();
                format!("set operator \"{op}\" not allowed in binary scalar expression")
            } else {
                binary.matching = None;
                return Ok(());
            };
            return self.error(span.clone(), problem);
        }
        if op.is_set() {
            if matching.cardinality != Cardinality::OneToOne {
                let message = format!("no grouping allowed for \"{}\" operation", op.as_str());
                return self.error(span.clone(), message);
            }
            matching.cardinality = Cardinality::ManyToMany;
            if fills {
                let message = "filling in missing series not allowed for set operators";
                return self.error(span.clone(), message);
            }
        }
        Ok(())
    }

    /// The place that Prometheus gives the operator: what follows the left side.
    fn operator(&self, binary: &Binary) -> Span {
        let end = binary.lhs.span().end;
        let rest = self.query.get(end..).unwrap_or("");
        let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
        end + blank..binary.op_span.end
    }
}
