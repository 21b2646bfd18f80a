//! Writes expressions over several lines, as Prometheus's `format_query` does.

use super::ast::Expr;
use super::printer::{Brackets, Clause, Operator, sign};

/// LIMIT: Prometheus's. A longer text is split.
const LINE_MAX: usize = 100;

/// Writes the text, split where a line would be too long.
pub fn pretty(expr: &Expr) -> String {
    at_level(expr, 0)
}

fn at_level(expr: &Expr, level: usize) -> String {
    let indent = "  ".repeat(level);
    let text = expr.to_string();
    let is_short = text.len() <= LINE_MAX;
    match expr {
        // NOTE: a short one is not indented, as in Prometheus.
        Expr::Subquery(_) if is_short => text,
        Expr::Subquery(subquery) => {
            let inner = at_level(&subquery.expr, level);
            format!("{inner}{}", Brackets(subquery))
        }
        Expr::Unary(unary) => {
            let inner = at_level(&unary.expr, level);
            format!("{indent}{}{}", sign(unary.is_minus), inner.trim())
        }
        _ if is_short => format!("{indent}{text}"),
        Expr::Number(_) | Expr::Text(_) | Expr::Vector(_) | Expr::Matrix(_) => {
            format!("{indent}{text}")
        }
        Expr::Binary(binary) => {
            let lhs = at_level(&binary.lhs, level + 1);
            let rhs = at_level(&binary.rhs, level + 1);
            format!("{lhs}\n{indent}{}\n{rhs}", Operator(binary))
        }
        Expr::Call(call) => {
            let args = call.args.iter().map(|arg| at_level(arg, level + 1));
            let args = args.collect::<Vec<_>>().join(",\n");
            format!("{indent}{}(\n{args}\n{indent})", call.function.name)
        }
        Expr::Aggregate(aggregate) => {
            let param = aggregate.param.as_ref();
            let param = param.map_or(String::new(), |p| at_level(p, level + 1) + ",\n");
            let inner = at_level(&aggregate.expr, level + 1);
            format!("{indent}{}(\n{param}{inner}\n{indent})", Clause(aggregate))
        }
        Expr::Paren(paren) => {
            let inner = at_level(&paren.expr, level + 1);
            format!("{indent}(\n{inner}\n{indent})")
        }
    }
}
