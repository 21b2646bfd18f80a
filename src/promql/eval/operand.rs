//! The value of a part of an expression.

use super::rows::Rows;

/// An argument of a function, or a side of an operator.
pub enum Operand<'q> {
    Scalar(Scalars),
    Text(String),
    Vector(Box<dyn Rows + 'q>),
}

/// A scalar at every step.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalars {
    Constant(f64),
    /// One value per step of the grid. Never absent.
    Each(Vec<f64>),
}

impl Scalars {
    pub fn at(&self, step: usize) -> f64 {
        match self {
            Scalars::Constant(v) => *v,
            Scalars::Each(values) => values.get(step).copied().unwrap_or(f64::NAN),
        }
    }
}
