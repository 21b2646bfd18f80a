//! Infos about operators.

use crate::promql::eval::Run;
use crate::promql::parser::Binary;

/// Adds infos for operators of histograms, which give no result for floats.
pub(super) fn inform_of_types(node: &Binary, run: &mut Run<'_>) {
    let op = node.op.as_str();
    let text = format!(
        "incompatible sample types encountered for binary operator \"{op}\": float {op} float"
    );
    run.annotations.inform(&node.span, text);
}
