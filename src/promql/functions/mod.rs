//! PromQL's functions. Those that need the time, the query or the storage are in the evaluator.
//!
//! Owns nothing. **Invariant:** sees only the windows, values and rows that it is given, never the
//! storage.

mod implementation;
mod table;

mod extended;
mod falls;
mod over_time;
mod plans;
mod rank;
mod ranks;
mod rate;
mod stretch;
mod trend;

mod date;
mod math;

mod classic;
mod labels;
mod sort;

mod args;
mod buckets;
mod natural;
mod remarks;
mod scratch;
mod sum;

#[cfg(test)]
mod tests;

pub(super) use extended::{extend, extended};
pub(super) use implementation::{Implementation, ValueFn, WholeFn, WindowFn};
pub(super) use rank::quantile_ranked;
pub(super) use remarks::{check_arguments, is_counters_name, remark_name, remarks_names};
pub(super) use scratch::Scratch;
pub(super) use table::implementation;
