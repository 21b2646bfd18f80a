//! Operators with a scalar on one side. Series stream through one at a time.

use super::arithmetic::{compute, with_operator};
use super::remarks::inform_of_types;
use crate::promql::QueryError;
use crate::promql::eval::{Row, Rows, Run, Scalars, absent, is_absent};
use crate::promql::parser::{Binary, BinaryOp};

pub(super) fn scalars(op: BinaryOp, l: &Scalars, r: &Scalars) -> Scalars {
    match (l, r) {
        (Scalars::Constant(l), Scalars::Constant(r)) => Scalars::Constant(compute(op, *l, *r)),
        (Scalars::Each(some), Scalars::Constant(_)) | (_, Scalars::Each(some)) => {
            let of = |step| compute(op, l.at(step), r.at(step));
            Scalars::Each((0..some.len()).map(of).collect())
        }
    }
}

/// A vector with a scalar on its right, or on its left if `swapped`.
pub(super) struct WithScalar<'q> {
    pub node: &'q Binary,
    pub vector: Box<dyn Rows + 'q>,
    pub scalar: Scalars,
    pub swapped: bool,
}

impl Rows for WithScalar<'_> {
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        let op = self.node.op;
        let filters = op.is_comparison() && !self.node.returns_bool;
        while let Some(mut row) = self.vector.next(run)? {
            run.check()?;
            if matches!(op, BinaryOp::TrimLower | BinaryOp::TrimUpper) {
                if row.present() > 0 {
                    inform_of_types(self.node, run);
                }
                continue;
            }
            with_operator!(op, compute => self.apply(&mut row.values, filters, compute));
            if filters && row.values.iter().all(|v| is_absent(*v)) {
                continue;
            }
            if !filters {
                run.drop_name(&mut row);
            }
            return Ok(Some(row));
        }
        Ok(None)
    }

    fn take_parts(&mut self) {
        self.vector.take_parts();
    }
}

impl WithScalar<'_> {
    #[inline]
    fn apply(&self, values: &mut [f64], filters: bool, compute: impl Fn(f64, f64) -> f64) {
        let swapped = self.swapped;
        let one = |v: f64, scalar: f64| {
            let result = if swapped {
                compute(scalar, v)
            } else {
                compute(v, scalar)
            };
            let result = match filters {
                true if result == 0.0 => absent(),
                true => v,
                false => result,
            };
            if is_absent(v) { v } else { result }
        };
        match &self.scalar {
            Scalars::Constant(scalar) => {
                for v in values {
                    *v = one(*v, *scalar);
                }
            }
            Scalars::Each(scalars) => {
                for (v, scalar) in values.iter_mut().zip(scalars) {
                    *v = one(*v, *scalar);
                }
            }
        }
    }
}
