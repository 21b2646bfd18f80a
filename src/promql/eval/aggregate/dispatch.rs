//! Chooses the implementation of an aggregation.

use super::count_values::CountValues;
use super::fold::{Count, Greatest, Least, Presence, Sum, fold};
use super::limit::{LimitK, LimitRatio};
use super::mean::{Mean, Variance};
use super::params::Params;
use super::quantile::quantiles;
use super::top::Top;
use crate::promql::QueryError;
use crate::promql::eval::{Grid, Operand, Row, Rows, Run};
use crate::promql::parser::{Aggregate, Aggregator};

/// Evaluates an aggregation. `input` is its expression over all steps of `grid`, `param` its first
/// argument.
///
/// # Errors
/// Prometheus's for parameters; a limit; those of `input`.
pub(in crate::promql::eval) fn aggregate<'q>(
    node: &'q Aggregate,
    input: Box<dyn Rows + 'q>,
    param: Option<Operand<'q>>,
    grid: Grid,
    run: &mut Run<'_>,
) -> Result<Box<dyn Rows + 'q>, QueryError> {
    let steps = grid.steps;
    Ok(match node.op {
        Aggregator::Sum => Box::new(fold::<Sum>(node, input, steps, run)?),
        Aggregator::Avg => Box::new(fold::<Mean>(node, input, steps, run)?),
        Aggregator::Count => Box::new(fold::<Count>(node, input, steps, run)?),
        Aggregator::Min => Box::new(fold::<Least>(node, input, steps, run)?),
        Aggregator::Max => Box::new(fold::<Greatest>(node, input, steps, run)?),
        Aggregator::Group => Box::new(fold::<Presence>(node, input, steps, run)?),
        Aggregator::Stddev => Box::new(fold::<Variance<true>>(node, input, steps, run)?),
        Aggregator::Stdvar => Box::new(fold::<Variance<false>>(node, input, steps, run)?),
        Aggregator::CountValues => Box::new(CountValues::new(node, input, param, steps, run)?),
        _ => {
            let params = Params::new(node, param, grid);
            return choose(node, input, params, steps, run);
        }
    })
}

/// Evaluates those that take a number before the vector.
fn choose<'q>(
    node: &'q Aggregate,
    input: Box<dyn Rows + 'q>,
    params: Params,
    steps: usize,
    run: &mut Run<'_>,
) -> Result<Box<dyn Rows + 'q>, QueryError> {
    Ok(match node.op {
        Aggregator::Quantile => Box::new(quantiles(node, input, &params, steps, run)?),
        Aggregator::LimitRatio if !params.ratios(run)? => Box::new(nothing()),
        Aggregator::LimitRatio => Box::new(LimitRatio { input, params }),
        _ if !params.counts()? => Box::new(nothing()),
        Aggregator::Limitk => Box::new(LimitK::new(node, input, &params, steps)),
        _ => Box::new(Top::new(node, input, &params, steps, run)?),
    })
}

fn nothing() -> std::vec::IntoIter<Row> {
    Vec::new().into_iter()
}
