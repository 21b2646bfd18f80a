//! The daemon's mode, which decides its components.

use crate::cli::Flags;

/// Everything that depends on `--agent` asks here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Stores samples and answers queries.
    Server,
    /// Forwards samples and keeps none. Not built yet.
    Agent,
}

impl Mode {
    pub fn of(flags: &Flags) -> Mode {
        if flags.is_on("agent") {
            Mode::Agent
        } else {
            Mode::Server
        }
    }

    /// Whether there are a database and a query engine; with them rules and alerts, once they are
    /// built.
    pub fn has_database(self) -> bool {
        self == Mode::Server
    }
}
