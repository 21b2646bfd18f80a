//! Compaction: chooses the blocks to merge, and merges them.
//!
//! Owns nothing. **Invariant:** one output at a time, its sources removed only once it is durable.

mod merge;
mod plan;

pub use merge::{Outcome, merge, obsolete, remove};
pub use plan::{PlanOptions, plan};

#[cfg(test)]
mod tests;
