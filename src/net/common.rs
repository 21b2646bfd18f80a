//! What all requests of a client have in common.

use std::sync::Arc;
use std::time::Duration;

use super::NetError;
use super::auth::Credentials;
use super::deadline::{Canceller, Deadline};
use super::dial::Dialer;
use super::gzip::Unpackers;

/// One checked `<http_config>`.
#[derive(Debug)]
pub(super) struct Common {
    pub follow_redirects: bool,
    pub dialer: Arc<Dialer>,
    pub credentials: Credentials,
}

impl Common {
    /// Reads and tries every file.
    pub fn check(&self) -> Result<(), NetError> {
        if self.dialer.tls.needs_check() {
            self.dialer.tls.config()?;
        }
        self.credentials.check()
    }

    pub fn unpackers(&self) -> &Unpackers {
        &self.dialer.env.unpackers
    }

    /// The time on the monotonic clock.
    pub fn now(&self) -> Duration {
        self.dialer.env.clock.mono()
    }

    pub fn deadline(&self, timeout: Duration, cancel: &Canceller) -> Deadline {
        Deadline::new(&self.dialer.env.clock, timeout, cancel)
    }
}
