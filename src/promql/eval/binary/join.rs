//! Joins two vectors: pairs series of equal signature.

use super::arithmetic::with_operator;
use super::one_side::{OneSide, Signature};
use super::remarks::inform_of_types;
use super::results::Results;
use super::signature::{projection, result_labels};
use super::steps::Steps;
use crate::model::Labels;
use crate::promql::QueryError;
use crate::promql::eval::buffered::Buffered;
use crate::promql::eval::distinct::{Names, names};
use crate::promql::eval::projection::Projection;
use crate::promql::eval::{Row, Rows, Run, absent, is_absent};
use crate::promql::parser::{Binary, BinaryOp, Cardinality, Matching};

const NOT_EXPLICIT: &str = "multiple matches for labels: many-to-one matching must be explicit \
                            (group_left/group_right)";

/// Joins two vectors.
///
/// # Errors
/// Ambiguous matches; a limit; those of the sides.
pub(super) fn join<'q>(
    node: &'q Binary,
    matching: &'q Matching,
    lhs: Box<dyn Rows + 'q>,
    rhs: Box<dyn Rows + 'q>,
    steps: usize,
    run: &mut Run<'_>,
) -> Result<Box<dyn Rows + 'q>, QueryError> {
    let (many, one) = match matching.cardinality {
        Cardinality::OneToMany => (rhs, lhs),
        _ => (lhs, rhs),
    };
    let side = OneSide::read(matching, one, steps, run)?;
    let join = Join {
        node,
        matching,
        projection: projection(matching),
        streams: streams(node, matching),
        passing: None,
        results: Results::new(),
        ones: Vec::with_capacity(steps),
        steps,
    };
    let passing = Passing { join, side, many };
    if passing.join.streams {
        return Ok(Box::new(passing));
    }
    Ok(Box::new(passing.collect(run)?))
}

/// Whether the results of different series of the many side surely have different labels.
fn streams(node: &Binary, matching: &Matching) -> bool {
    let many = match matching.cardinality {
        Cardinality::ManyToOne => &node.lhs,
        Cardinality::OneToMany => &node.rhs,
        Cardinality::OneToOne | Cardinality::ManyToMany => return false,
    };
    let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
    let keeps_name = node.op.is_comparison() && !node.returns_bool;
    matching.include.is_empty() && !fills && (keeps_name || names(many) != Names::Many)
}

/// The many side, as it streams past the one side.
struct Passing<'q> {
    join: Join<'q>,
    side: OneSide<'q>,
    many: Box<dyn Rows + 'q>,
}

impl Passing<'_> {
    fn advance(&mut self, row: Row, run: &mut Run<'_>) -> Result<(), QueryError> {
        run.check()?;
        self.side.check(&row)?;
        let makes = self.join.fill_one().is_some();
        match self.side.signature(&row.labels, makes, run)? {
            Some(number) => match self.side.get(number) {
                Some(signature) => self.join.meet(row, number, signature, run),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// Collects all results.
    fn collect(mut self, run: &mut Run<'_>) -> Result<Buffered, QueryError> {
        while let Some(row) = self.many.next(run)? {
            self.advance(row, run)?;
        }
        if let Some(fill) = self.join.fill_many() {
            let mut number = 0;
            while let Some(signature) = self.side.get(number) {
                run.check()?;
                self.join.rest(fill, number, signature, run)?;
                number += 1;
            }
        }
        self.side.forget(run);
        self.join.results.finish(run)
    }
}

impl Rows for Passing<'_> {
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        while let Some(row) = self.many.next(run)? {
            self.advance(row, run)?;
            if let Some(made) = self.join.passing.take()
                && made.values.iter().any(|v| !is_absent(*v))
            {
                return Ok(Some(made));
            }
        }
        self.side.forget(run);
        Ok(None)
    }
}

struct Join<'q> {
    node: &'q Binary,
    matching: &'q Matching,
    projection: Projection,
    /// Whether each result is given at once, by `passing`.
    streams: bool,
    passing: Option<Row>,
    results: Results,
    /// The values of the one side for the current series of the many side.
    ones: Vec<f64>,
    steps: usize,
}

impl Join<'_> {
    /// Returns the fill value for a series of the many side without a match.
    ///
    /// NOTE: the right fill is the one side's even with `group_right`, where that side stands on
    /// the left, as in Prometheus.
    fn fill_one(&self) -> Option<f64> {
        self.matching.fill_right
    }

    fn fill_many(&self) -> Option<f64> {
        self.matching.fill_left
    }

    fn is_one_to_one(&self) -> bool {
        self.matching.cardinality == Cardinality::OneToOne
    }

    /// Joins a series of the many side with those of the one side that have its signature.
    fn meet(
        &mut self,
        mut row: Row,
        number: usize,
        signature: &mut Signature,
        run: &mut Run<'_>,
    ) -> Result<(), QueryError> {
        self.ones.clear();
        self.ones.extend_from_slice(&signature.values);
        self.ones.resize(self.steps, absent());
        let mut fills = Steps::none(if self.fill_one().is_some() {
            self.steps
        } else {
            0
        });
        if let Some(fill) = self.fill_one() {
            fills.add_absent(&self.ones);
            for v in self.ones.iter_mut().filter(|v| is_absent(**v)) {
                *v = fill;
            }
        }
        for (many, one) in row.values.iter_mut().zip(&self.ones) {
            *many = if is_absent(*one) { absent() } else { *many };
        }
        if row.values.iter().all(|v| is_absent(*v)) {
            return Ok(());
        }
        if matches!(self.node.op, BinaryOp::TrimLower | BinaryOp::TrimUpper) {
            inform_of_types(self.node, run);
            return Ok(());
        }
        if signature.matched.add(&row.values) && self.is_one_to_one() {
            return Err(QueryError::Execution(NOT_EXPLICIT.to_owned()));
        }
        let takes_labels = !self.matching.include.is_empty();
        if takes_labels && (signature.members.len() > 1 || self.fill_one().is_some()) {
            let met = Steps::of(&row.values);
            self.compute(&mut row.values);
            return self.split(&row, &met, number, signature, &fills, run);
        }
        let met = self.needs_met().then(|| Steps::of(&row.values));
        self.compute(&mut row.values);
        let one = signature.members.first().cloned().unwrap_or_default();
        self.give(&row.labels, &one, row.values, number, met, run)
    }

    /// Splits a result by the series of the one side that `row` has met, since their labels go into
    /// it.
    fn split(
        &mut self,
        row: &Row,
        met: &Steps,
        number: usize,
        signature: &Signature,
        fills: &Steps,
        run: &mut Run<'_>,
    ) -> Result<(), QueryError> {
        // The last part is the fill's.
        let mut parts: Vec<Option<(Vec<f64>, Steps)>> = vec![None; signature.members.len() + 1];
        for (step, v) in row.values.iter().enumerate() {
            if !met.has(step) {
                continue;
            }
            let owner = if fills.has(step) {
                signature.members.len()
            } else {
                signature.owner(step)
            };
            let Some(part) = parts.get_mut(owner) else {
                continue;
            };
            let (values, met) =
                part.get_or_insert_with(|| (vec![absent(); self.steps], Steps::none(self.steps)));
            if let Some(value) = values.get_mut(step) {
                *value = *v;
            }
            met.insert(step);
        }
        for (owner, part) in parts.into_iter().enumerate() {
            let Some((values, met)) = part else {
                continue;
            };
            let one = match signature.members.get(owner) {
                Some(member) => member.clone(),
                None => self.projection.labels(&row.labels),
            };
            let met = self.needs_met().then_some(met);
            self.give(&row.labels, &one, values, number, met, run)?;
        }
        Ok(())
    }

    /// Pairs the unmatched steps of a signature with the many side's fill.
    fn rest(
        &mut self,
        fill: f64,
        number: usize,
        signature: &Signature,
        run: &mut Run<'_>,
    ) -> Result<(), QueryError> {
        for (owner, one) in signature.members.iter().enumerate() {
            let mut values = vec![absent(); self.steps];
            for (step, (value, v)) in values.iter_mut().zip(&signature.values).enumerate() {
                let is_own = !is_absent(*v) && signature.owner(step) == owner;
                if is_own && !signature.matched.has(step) {
                    *value = fill;
                }
            }
            if values.iter().all(|v| is_absent(*v)) {
                continue;
            }
            if matches!(self.node.op, BinaryOp::TrimLower | BinaryOp::TrimUpper) {
                inform_of_types(self.node, run);
                continue;
            }
            let met = self.needs_met().then(|| Steps::of(&values));
            self.ones.clear();
            self.ones.extend_from_slice(&signature.values);
            self.compute(&mut values);
            let many = self.projection.labels(one);
            self.give(&many, one, values, number, met, run)?;
        }
        Ok(())
    }

    /// Whether a pair that the filter drops may have the same labels as one that it keeps.
    fn needs_met(&self) -> bool {
        let filters = self.node.op.is_comparison() && !self.node.returns_bool;
        filters && !self.matching.include.is_empty()
    }

    /// Replaces the many side's values by the results.
    fn compute(&self, many: &mut [f64]) {
        let filters = self.node.op.is_comparison() && !self.node.returns_bool;
        let swapped = self.matching.cardinality == Cardinality::OneToMany;
        with_operator!(self.node.op, compute => {
            for (many, &one) in many.iter_mut().zip(&self.ones) {
                let (l, r) = if swapped { (one, *many) } else { (*many, one) };
                let result = compute(l, r);
                let result = match filters {
                    true if result == 0.0 => absent(),
                    true => l,
                    false => result,
                };
                *many = if is_absent(*many) { *many } else { result };
            }
        });
    }

    fn give(
        &mut self,
        many: &Labels,
        one: &Labels,
        values: Vec<f64>,
        number: usize,
        met: Option<Steps>,
        run: &mut Run<'_>,
    ) -> Result<(), QueryError> {
        let row = Row {
            labels: result_labels(self.node, self.matching, many, one, run),
            drops_name: self.node.returns_bool && run.delays_names(),
            values,
        };
        if self.streams {
            self.passing = Some(row);
            return Ok(());
        }
        self.results.add(row, number, met, run)
    }
}
