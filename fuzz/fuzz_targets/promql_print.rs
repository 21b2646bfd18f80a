//! A printed query parses as the same query.
#![no_main]

use ferula::promql::{BinaryOp, DurationExpr, Expr, Features, Length, parse, pretty};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|query: &str| {
    let all = Features::all();
    let Ok(expr) = parse(query, &all) else {
        return;
    };
    if !is_exact(&expr) {
        return;
    }
    let printed = expr.to_string();
    for text in [printed.clone(), pretty(&expr)] {
        match parse(&text, &all) {
            Ok(again) => assert_eq!(again.to_string(), printed, "{query}"),
            Err(error) => panic!("{query} is printed as {text}: {error}"),
        }
    }
});

/// Whether it is `Inf`, which is printed as `+Inf`. Before `^` that sign parses as the whole
/// power's.
fn is_infinite(expr: &Expr) -> bool {
    matches!(expr, Expr::Number(number) if number.value == f64::INFINITY)
}

/// Whether Prometheus's own text is exact. It is not for fractions of milliseconds, nor for
/// `offset --5 + 3`, whose text parses as `(... offset 5) + 3`, nor for `offset +(5m) + 3`.
fn is_exact(expr: &Expr) -> bool {
    let plain = |offset: &Length| match offset {
        Length::Fixed(_) => true,
        Length::Computed(length) => {
            !matches!(**length, DurationExpr::Binary(..) | DurationExpr::Paren(..))
        }
    };
    let whole = |length: &Length| *length != Length::Fixed(0);
    let own = match expr {
        Expr::Vector(selector) => plain(&selector.offset),
        Expr::Matrix(matrix) => plain(&matrix.selector.offset) && whole(&matrix.range),
        Expr::Subquery(subquery) => {
            plain(&subquery.offset)
                && whole(&subquery.range)
                && subquery.step.as_ref().is_none_or(whole)
        }
        Expr::Text(text) => text.bytes.is_none(),
        Expr::Binary(binary) if binary.op == BinaryOp::Pow => !is_infinite(&binary.lhs),
        _ => true,
    };
    own && expr.children().all(is_exact)
}
