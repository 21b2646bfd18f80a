//! Service discoveries of a job or of Alertmanagers (reference section 2.7).
//!
//! Owns nothing. **Invariant:** checks what is written; finds no target.

mod consul;
mod foreign;
mod foreign_checks;
mod foreign_table;
mod foreign_values;
mod kubernetes;
mod list;
mod own;

pub(super) use list::{check_static_targets, service_discovery};
pub(super) use own::{absolute, group};
