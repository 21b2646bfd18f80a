//! The labels by which series match, and those of their results.

use crate::model::{Labels, LabelsBuilder};
use crate::promql::eval::Run;
use crate::promql::eval::projection::Projection;
use crate::promql::eval::row::is_of_the_metric;
use crate::promql::parser::{Binary, Cardinality, Matching};

/// Returns the projection by which series match: equal projections do.
pub(super) fn projection(matching: &Matching) -> Projection {
    if matching.on {
        Projection::keeping(&matching.labels)
    } else {
        Projection::dropping(&matching.labels)
    }
}

/// Returns the labels of the result from a series of the many side and one of the other.
pub(super) fn result_labels(
    node: &Binary,
    matching: &Matching,
    many: &Labels,
    one: &Labels,
    run: &Run<'_>,
) -> Labels {
    let nameless = !node.op.is_comparison() || (node.returns_bool && !run.delays_names());
    let is_one_to_one = matching.cardinality == Cardinality::OneToOne;
    if !nameless && !is_one_to_one && matching.include.is_empty() {
        return many.clone();
    }
    let kept = many.iter().filter(|(name, _)| {
        let is_told = !is_one_to_one || matching.labels.iter().any(|l| l == name) == matching.on;
        is_told && !(nameless && is_of_the_metric(name))
    });
    let labels = Labels::from_sorted(kept);
    if matching.include.is_empty() {
        return labels;
    }
    let mut builder = LabelsBuilder::new(&labels);
    for name in &matching.include {
        builder.set(name, one.get(name).unwrap_or(""));
    }
    builder.labels()
}
