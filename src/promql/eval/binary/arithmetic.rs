//! Operators between two numbers.

use crate::promql::parser::BinaryOp;

/// Computes an arithmetic operator. Comparisons give 1 or 0.
#[inline]
pub(super) fn compute(op: BinaryOp, l: f64, r: f64) -> f64 {
    match op {
        BinaryOp::Add => l + r,
        BinaryOp::Sub => l - r,
        BinaryOp::Mul => l * r,
        BinaryOp::Div => l / r,
        // The sign is the dividend's.
        BinaryOp::Mod => l % r,
        BinaryOp::Pow => l.powf(r),
        BinaryOp::Atan2 => libm::atan2(l, r),
        _ if holds(op, l, r) => 1.0,
        _ => 0.0,
    }
}

/// Returns a comparison's result; false for any other operator.
#[inline]
#[expect(clippy::float_cmp, reason = "it is what the query asks")]
pub(super) fn holds(op: BinaryOp, l: f64, r: f64) -> bool {
    match op {
        BinaryOp::Equal => l == r,
        BinaryOp::NotEqual => l != r,
        BinaryOp::Less => l < r,
        BinaryOp::LessEqual => l <= r,
        BinaryOp::Greater => l > r,
        BinaryOp::GreaterEqual => l >= r,
        _ => false,
    }
}

/// Calls `$with` with the operator's function, so that the loop inside is compiled for each.
macro_rules! with_operator {
    ($op:expr, $f:ident => $body:expr) => {{
        macro_rules! arm {
            ($operator:ident) => {{
                let $f = |l: f64, r: f64| {
                    crate::promql::eval::binary::arithmetic::compute(BinaryOp::$operator, l, r)
                };
                $body
            }};
        }
        match $op {
            BinaryOp::Add => arm!(Add),
            BinaryOp::Sub => arm!(Sub),
            BinaryOp::Mul => arm!(Mul),
            BinaryOp::Div => arm!(Div),
            BinaryOp::Mod => arm!(Mod),
            BinaryOp::Pow => arm!(Pow),
            BinaryOp::Atan2 => arm!(Atan2),
            BinaryOp::Equal => arm!(Equal),
            BinaryOp::NotEqual => arm!(NotEqual),
            BinaryOp::Less => arm!(Less),
            BinaryOp::LessEqual => arm!(LessEqual),
            BinaryOp::Greater => arm!(Greater),
            BinaryOp::GreaterEqual => arm!(GreaterEqual),
            op => {
                let $f =
                    |l: f64, r: f64| crate::promql::eval::binary::arithmetic::compute(op, l, r);
                $body
            }
        }
    }};
}
pub(super) use with_operator;
