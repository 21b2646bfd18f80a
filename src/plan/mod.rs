//! What a checked configuration means for each component.
//!
//! [`Plan::prepare`] does all that may fail and touches nothing. The owner of the components hands
//! each its part, which cannot fail. Owns nothing. **Invariant:** knows no flag, no file and no
//! YAML.

mod difference;
mod prepare;

pub use difference::changes;
pub use prepare::{Plan, Surroundings};
