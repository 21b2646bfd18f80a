//! What a checked configuration means for each component: [`Plan::prepare`] may fail and touches
//! nothing, [`Plan::apply`] touches and cannot fail.
//!
//! Owns nothing. **Invariant:** knows no flag, no file and no YAML; the order of `apply` stands
//! here and nowhere else.

mod difference;
mod prepare;

pub use difference::difference;
pub use prepare::{Components, Plan, Surroundings};
