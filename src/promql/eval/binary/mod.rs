//! Operators between scalars and vectors.
//!
//! A join keeps its one side, which has one series per signature, and streams the other past it.
//!
//! Owns nothing beyond a query. **Invariant:** what is kept is counted, so that a join of
//! everything with everything ends at a limit.

mod arithmetic;
mod dispatch;
mod elementwise;
mod join;
mod one_side;
mod remarks;
mod results;
mod sets;
mod signature;
mod steps;

#[cfg(test)]
mod tests;

pub(super) use dispatch::binary;
