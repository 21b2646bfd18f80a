//! Aggregations: series are grouped, one at a time.
//!
//! Those that fold (`sum`, `max`, …) keep up to three numbers per group and step, whatever the
//! number of series. Those that choose (`topk`, …) keep what may still be chosen. `quantile` and
//! `count_values` keep all values, and count them.
//!
//! Owns nothing beyond a query. **Invariant:** series are taken in the order in which they come.
//! That order decides the last bits of sums, and ties.

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
