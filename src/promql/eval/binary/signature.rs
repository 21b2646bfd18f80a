//! Which series match, and what their result is called.

use crate::model::names::METRIC_NAME;
use crate::model::{Labels, LabelsBuilder};
use crate::promql::eval::Run;
use crate::promql::eval::projection::Projection;
use crate::promql::parser::{Binary, Cardinality, Matching};

/// What the names of a metric's nature are; whoever makes another metric of it takes them off.
const NATURE: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

/// Series of equal projections match.
pub(super) fn projection(matching: &Matching) -> Projection {
    if matching.on {
        Projection::keeping(&matching.labels)
    } else {
        Projection::dropping(&matching.labels)
    }
}

/// The labels of what comes of a series of the many side and one of the other.
pub(super) fn result_labels(
    node: &Binary,
    matching: &Matching,
    many: &Labels,
    one: &Labels,
    run: &Run<'_>,
) -> Labels {
    let mut builder = LabelsBuilder::new(many);
    let changes = !node.op.is_comparison();
    if changes || (node.returns_bool && !run.delays_names()) {
        for name in NATURE {
            builder.delete(name);
        }
    }
    if matching.cardinality == Cardinality::OneToOne {
        builder.retain(|name, _| matching.labels.iter().any(|l| l == name) == matching.on);
    }
    for name in &matching.include {
        builder.set(name, one.get(name).unwrap_or(""));
    }
    builder.labels()
}
