//! The labels that an aggregation groups by.

use crate::promql::eval::projection::Projection;
use crate::promql::parser::Aggregate;

pub(in crate::promql::eval) fn projection(node: &Aggregate) -> Projection {
    if node.without {
        Projection::dropping(&node.grouping)
    } else {
        Projection::keeping(&node.grouping)
    }
}
