//! `limitk` and `limit_ratio`: choose series, whatever their values.

use super::groups::projection;
use super::params::Params;
use crate::model::Labels;
use crate::promql::QueryError;
use crate::promql::eval::projection::Groups;
use crate::promql::eval::{Row, Rows, Run, absent, is_absent};
use crate::promql::parser::Aggregate;

/// Passes the first `k` series of each group at each step.
pub(super) struct LimitK<'q> {
    input: Box<dyn Rows + 'q>,
    groups: Groups,
    /// The number of series of each group at each step.
    counts: Vec<Vec<u32>>,
    limits: Vec<u32>,
}

impl<'q> LimitK<'q> {
    pub fn new(
        node: &Aggregate,
        input: Box<dyn Rows + 'q>,
        params: &Params,
        steps: usize,
    ) -> LimitK<'q> {
        LimitK {
            input,
            groups: Groups::new(projection(node)),
            counts: Vec::new(),
            limits: (0..steps)
                .map(|step| params.values.at(step) as u32)
                .collect(),
        }
    }
}

impl Rows for LimitK<'_> {
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        let bytes = self.limits.len() * size_of::<u32>();
        while let Some(mut row) = self.input.next(run)? {
            run.check()?;
            let group = self.groups.number(&row.labels);
            if group == self.counts.len() {
                run.hold(0, bytes)?;
                self.counts.push(vec![0; self.limits.len()]);
            }
            let Some(counts) = self.counts.get_mut(group) else {
                continue;
            };
            let mut chosen = false;
            for ((v, count), limit) in row.values.iter_mut().zip(counts).zip(&self.limits) {
                if is_absent(*v) {
                    continue;
                }
                if *count < *limit {
                    *count += 1;
                    chosen = true;
                } else {
                    *v = absent();
                }
            }
            if chosen {
                return Ok(Some(row));
            }
        }
        run.release(0, bytes * self.counts.len());
        self.counts = Vec::new();
        Ok(None)
    }
}

/// Passes the series whose labels' hash, as a fraction of all hashes, is below the ratio. A
/// negative ratio passes those that its complement does not.
pub(super) struct LimitRatio<'q> {
    pub input: Box<dyn Rows + 'q>,
    pub params: Params,
}

impl Rows for LimitRatio<'_> {
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        while let Some(mut row) = self.input.next(run)? {
            run.check()?;
            let share = share(&row.labels);
            let mut chosen = false;
            for (step, v) in row.values.iter_mut().enumerate() {
                let ratio = self.params.values.at(step).clamp(-1.0, 1.0);
                let is_in = if ratio < 0.0 {
                    share >= 1.0 + ratio
                } else {
                    share < ratio
                };
                if !is_in {
                    *v = absent();
                }
                chosen |= !is_absent(*v);
            }
            if chosen {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

/// Returns a number between 0 and 1: xxHash64 of the labels in Prometheus's layout, where each part
/// follows its length in one byte, or in 255 and three bytes.
fn share(labels: &Labels) -> f64 {
    let mut text = Vec::new();
    for part in labels.iter().flat_map(|(name, value)| [name, value]) {
        let len = part.len() as u32;
        match u8::try_from(len) {
            Ok(short) if short < u8::MAX => text.push(short),
            _ => {
                let [a, b, c, _] = len.to_le_bytes();
                text.extend([u8::MAX, a, b, c]);
            }
        }
        text.extend_from_slice(part.as_bytes());
    }
    xxhash_rust::xxh64::xxh64(&text, 0) as f64 / u64::MAX as f64
}
