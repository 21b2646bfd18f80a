//! `quantile`: keeps all values of a group until the last has come.

use super::groups::projection;
use super::params::Params;
use crate::promql::QueryError;
use crate::promql::eval::buffered::Buffered;
use crate::promql::eval::projection::Groups;
use crate::promql::eval::{Row, Rows, Run, absent, is_absent};
use crate::promql::parser::Aggregate;

pub(super) fn quantiles<'q>(
    node: &Aggregate,
    mut input: Box<dyn Rows + 'q>,
    params: &Params,
    steps: usize,
    run: &mut Run<'_>,
) -> Result<Buffered, QueryError> {
    params.warn_of_quantiles(run);
    let mut groups = Groups::new(projection(node));
    let mut members: Vec<(Vec<Vec<f64>>, bool)> = Vec::new();
    let (mut samples, mut bytes) = (0, 0);
    while let Some(row) = input.next(run)? {
        run.check()?;
        let present = row.present();
        if present == 0 {
            continue;
        }
        let group = groups.number(&row.labels);
        if group == members.len() {
            members.push((Vec::new(), false));
        }
        let row_bytes = row.values.capacity() * size_of::<f64>();
        run.hold(present, row_bytes)?;
        (samples, bytes) = (samples + present, bytes + row_bytes);
        if let Some((rows, drops_name)) = members.get_mut(group) {
            rows.push(row.values);
            *drops_name |= row.drops_name;
        }
    }
    let mut results = Vec::with_capacity(members.len());
    let mut scratch = Vec::new();
    for (group, (rows, drops_name)) in members.into_iter().enumerate() {
        let mut values = vec![absent(); steps];
        for (step, value) in values.iter_mut().enumerate() {
            scratch.clear();
            let at_step = rows.iter().filter_map(|row| row.get(step).copied());
            scratch.extend(at_step.filter(|v| !is_absent(*v)));
            if !scratch.is_empty() {
                *value = quantile(params.values.at(step), &mut scratch);
            }
        }
        run.look()?;
        results.push(Row {
            labels: groups.labels(group),
            drops_name,
            values,
        });
    }
    run.release(samples, bytes);
    Buffered::new(results, run)
}

/// Interpolates between the two values next to the rank. NaN counts as the least.
fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let rank = q * (values.len() as f64 - 1.0);
    let weight = rank - rank.floor();
    let order = |a: &f64, b: &f64| {
        let by_nan = b.is_nan().cmp(&a.is_nan());
        by_nan.then_with(|| a.total_cmp(b))
    };
    let lower = (rank.floor() as usize).min(values.len().saturating_sub(1));
    let (_, low, above) = values.select_nth_unstable_by(lower, order);
    let low = *low;
    let high = above.iter().copied().min_by(order).unwrap_or(low);
    low * (1.0 - weight) + high * weight
}
