//! Chooses the implementation of a binary operator.

use super::elementwise::{WithScalar, scalars};
use super::join::join;
use super::sets::{Filter, Or};
use crate::bug;
use crate::promql::QueryError;
use crate::promql::eval::{Grid, Operand, Rows, Run};
use crate::promql::parser::{Binary, BinaryOp};

/// Evaluates an operator. `lhs` and `rhs` are its sides over all steps of `grid`.
///
/// # Errors
/// Prometheus's for ambiguous matches; a limit; those of the sides.
pub(in crate::promql::eval) fn binary<'q>(
    node: &'q Binary,
    lhs: Operand<'q>,
    rhs: Operand<'q>,
    grid: Grid,
    run: &mut Run<'_>,
) -> Result<Operand<'q>, QueryError> {
    let with_scalar = |vector, scalar, swapped| {
        Operand::Vector(Box::new(WithScalar {
            node,
            vector,
            scalar,
            swapped,
        }))
    };
    Ok(match (lhs, rhs) {
        (Operand::Scalar(l), Operand::Scalar(r)) => Operand::Scalar(scalars(node.op, &l, &r)),
        (Operand::Vector(vector), Operand::Scalar(scalar)) => with_scalar(vector, scalar, false),
        (Operand::Scalar(scalar), Operand::Vector(vector)) => with_scalar(vector, scalar, true),
        (Operand::Vector(l), Operand::Vector(r)) => {
            Operand::Vector(vectors(node, l, r, grid.steps, run)?)
        }
        _ => {
            bug!("a text on a side of {}", node.op.as_str());
            return Err(QueryError::Execution("text in an operator".to_owned()));
        }
    })
}

fn vectors<'q>(
    node: &'q Binary,
    lhs: Box<dyn Rows + 'q>,
    rhs: Box<dyn Rows + 'q>,
    steps: usize,
    run: &mut Run<'_>,
) -> Result<Box<dyn Rows + 'q>, QueryError> {
    let Some(matching) = &node.matching else {
        bug!("two vectors without matching");
        return Err(QueryError::Execution("vectors without matching".to_owned()));
    };
    Ok(match node.op {
        BinaryOp::And => Box::new(Filter::<false>::new(matching, lhs, rhs, steps, run)?),
        BinaryOp::Unless => Box::new(Filter::<true>::new(matching, lhs, rhs, steps, run)?),
        BinaryOp::Or => Box::new(Or::new(matching, lhs, rhs, steps, run)?),
        _ => join(node, matching, lhs, rhs, steps, run)?,
    })
}
