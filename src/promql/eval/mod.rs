//! Evaluation by series. Each selector's samples are read once and serve all steps. Series pass
//! through functions and aggregations one at a time.
//!
//! Owns nothing beyond a query. **Invariant:** [`Run`] counts what is held at once, so that no
//! query outgrows its limits.

mod evaluator;

mod absence;
mod aggregate;
mod binary;
mod buffered;
mod call;
mod counted;
mod distinct;
mod edge;
mod grid;
mod info;
mod instant;
mod invariant;
mod operand;
mod outcome;
mod parallel;
mod projection;
mod reach;
mod rollup;
mod row;
mod rows;
mod run;
mod scalar;
mod selecting;
mod stored;
mod tally;
mod view;
mod wanted;
mod window;

#[cfg(test)]
mod testing;

pub(super) use evaluator::Evaluation;
pub(super) use grid::Grid;
pub(super) use operand::{Operand, Scalars};
pub(super) use parallel::Helpers;
pub(super) use row::{Row, absent, is_absent};
pub(super) use rows::Rows;
pub(super) use run::Run;
pub(super) use window::{Span, Window};
