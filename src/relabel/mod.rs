//! Relabelling: rules in, labels out (reference sections 2.5 and 2.6).
//!
//! Owns nothing; pure. **Invariant:** knows no configuration format, no target, no metric.

mod process;
mod rule;

#[cfg(test)]
mod tests;

pub use process::process;
pub use rule::{RawRule, Rule, RuleError};
