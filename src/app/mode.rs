//! What the daemon is, and so which components it has.

use crate::cli::Flags;

/// Everything that depends on `--agent` asks here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Stores samples and answers queries.
    Server,
    /// Passes samples on and keeps none. Not built yet.
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

    /// The database and the query engine; with them rules and alerts, once they are built.
    pub fn has_database(self) -> bool {
        self == Mode::Server
    }
}
