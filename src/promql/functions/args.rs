//! The arguments of a function that takes them all at once.

use crate::bug;
use crate::promql::error::QueryError;
use crate::promql::eval::{Operand, Rows, Scalars};
use crate::promql::parser::Type;

/// The arguments in the order of the call.
pub(super) struct Args<'q>(std::vec::IntoIter<Operand<'q>>);

impl<'q> Args<'q> {
    pub(super) fn new(operands: Vec<Operand<'q>>) -> Args<'q> {
        Args(operands.into_iter())
    }

    pub(super) fn vector(&mut self) -> Result<Box<dyn Rows + 'q>, QueryError> {
        match self.0.next() {
            Some(Operand::Vector(rows)) => Ok(rows),
            _ => Err(mismatch(Type::Vector)),
        }
    }

    pub(super) fn scalar(&mut self) -> Result<Scalars, QueryError> {
        match self.0.next() {
            Some(Operand::Scalar(scalars)) => Ok(scalars),
            _ => Err(mismatch(Type::Scalar)),
        }
    }

    pub(super) fn text(&mut self) -> Result<String, QueryError> {
        match self.0.next() {
            Some(Operand::Text(text)) => Ok(text),
            _ => Err(mismatch(Type::Text)),
        }
    }

    /// Returns the remaining texts.
    pub(super) fn texts(&mut self) -> Result<Vec<String>, QueryError> {
        (0..self.0.len()).map(|_| self.text()).collect()
    }

    pub(super) fn scalars(&mut self) -> Result<Vec<Scalars>, QueryError> {
        (0..self.0.len()).map(|_| self.scalar()).collect()
    }
}

/// The error for a wrong type, which the parser has ruled out.
fn mismatch(expected: Type) -> QueryError {
    let expected = expected.as_str();
    bug!("a function was not given the {expected} of its signature");
    QueryError::Execution(format!("unexpected error: no {expected} given"))
}
