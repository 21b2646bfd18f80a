//! Operators between scalars and vectors.
//!
//! Of a join, the side that has one series a signature is kept and the other streams past it.
//!
//! Owns nothing beyond a query. **Invariant:** what is kept is counted, so that a join of
//! everything with everything ends in a limit.

mod arithmetic;
mod dispatch;
mod elementwise;
mod join;
mod one_side;
mod results;
mod sets;
mod signature;
mod steps;

#[cfg(test)]
mod tests;

pub(super) use dispatch::binary;
