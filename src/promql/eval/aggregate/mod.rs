//! Aggregations: series by group, one at a time.
//!
//! What folds (`sum`, `max`, …) keeps a value or three a group and step, whatever the number of
//! series; what chooses (`topk`, …) keeps what may still be chosen; `quantile` and `count_values`
//! keep all values, and count them.
//!
//! Owns nothing beyond a query. **Invariant:** series are taken in the order in which they come,
//! which decides the last bits of sums as well as ties.

mod count_values;
mod dispatch;
mod fold;
mod groups;
mod heap;
mod limit;
mod mean;
mod params;
mod quantile;
mod top;

#[cfg(test)]
mod tests;

pub(super) use dispatch::aggregate;
pub(super) use fold::totals;
pub(super) use groups::projection;
