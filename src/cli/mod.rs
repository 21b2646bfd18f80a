//! The command line: Prometheus's flags from one table, and the tools.
//!
//! Owns nothing. **Invariant:** no other room knows a flag's name. `app` knows what the flags mean
//! to a component.

mod command;
mod flags;
mod parse;
mod query_tools;
mod table;
mod tools;
mod tsdb_tools;

pub use flags::{Flags, LogFormat};
pub use parse::{Invocation, parse};
pub use query_tools::{Ask, QueryTool};
pub use tools::{CheckConfig, CheckServer, Tool};
pub use tsdb_tools::{Analyze, CreateBlocks, Dump, Export, Import, List, TsdbTool};
