//! A client: one checked `<http_config>`, with what its connections share.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::auth::Credentials;
use super::deadline::{Canceller, Deadline};
use super::dial::Dialer;
use super::fetch::Fetcher;
use super::gzip::Unpackers;
use super::{ClientSettings, Connection, Env, NetError};

/// Cheap to clone. The loops of a pool share one.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    follow_redirects: bool,
    dialer: Arc<Dialer>,
    credentials: Credentials,
    /// Made for the first fetch: most clients only scrape.
    fetcher: OnceLock<Fetcher>,
    shut_down: AtomicBool,
}

/// Whether the files that a client needs must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// A certificate or secret that cannot be read or used is an error. For reloads and checks.
    Strict,
    /// Such a file is logged, and fails only the requests that need it, until it can be used. For
    /// the start.
    Lenient,
}

impl Client {
    /// Makes a client; everything that can fail is checked here. `name` is the `dialer_name` of the
    /// metrics: the job's name, or Prometheus's name of the component.
    pub fn new(settings: &ClientSettings, name: &str, env: &Env) -> Result<Client, NetError> {
        Client::with(settings, name, env, Strictness::Strict)
    }

    /// Makes a client as [`Client::new`] does, with the given strictness.
    pub fn with(
        settings: &ClientSettings,
        name: &str,
        env: &Env,
        strictness: Strictness,
    ) -> Result<Client, NetError> {
        let client = Client::unchecked(settings, name, env)?;
        match (client.check(), strictness) {
            (Ok(()), _) => {}
            (Err(why), Strictness::Strict) => return Err(why),
            (Err(why), Strictness::Lenient) => log::warn!(client = name;
                "{why}; the requests that need it fail until it can be used"),
        }
        Ok(client)
    }

    /// Makes a client whose files nobody has looked at yet.
    pub(super) fn unchecked(
        settings: &ClientSettings,
        name: &str,
        env: &Env,
    ) -> Result<Client, NetError> {
        let dialer = Arc::new(Dialer::new(settings, name, env)?);
        Ok(Client(Arc::new(Inner {
            follow_redirects: settings.follow_redirects,
            credentials: Credentials::new(settings, name, env)?,
            fetcher: OnceLock::new(),
            shut_down: AtomicBool::new(false),
            dialer,
        })))
    }

    /// Reads and tries every file.
    pub(super) fn check(&self) -> Result<(), NetError> {
        if self.0.dialer.tls.needs_check() {
            self.0.dialer.tls.config()?;
        }
        self.0.credentials.check()
    }

    /// Makes a connection for one scrape loop. It connects when it is first used.
    pub fn connection(&self) -> Connection {
        Connection::new(self.clone(), Canceller::new())
    }

    /// Makes one request and returns the whole answer. Any status is an answer.
    pub fn fetch(&self, request: &FetchRequest<'_>) -> Result<Fetched, NetError> {
        self.fetcher().fetch(self, request)
    }

    /// Ends the requests under way in [`Client::fetch`], and refuses new ones.
    pub fn shutdown(&self) {
        // ORDER: the flag first, for a fetcher that is being made right now.
        self.0.shut_down.store(true, SeqCst);
        if let Some(fetcher) = self.0.fetcher.get() {
            fetcher.shutdown();
        }
    }

    fn fetcher(&self) -> &Fetcher {
        let fetcher = self.0.fetcher.get_or_init(|| Fetcher::new(&self.0.dialer));
        if self.0.shut_down.load(SeqCst) {
            fetcher.shutdown();
        }
        fetcher
    }

    pub(super) fn follows(&self) -> bool {
        self.0.follow_redirects
    }

    pub(super) fn dialer(&self) -> &Dialer {
        &self.0.dialer
    }

    pub(super) fn credentials(&self) -> &Credentials {
        &self.0.credentials
    }

    pub(super) fn unpackers(&self) -> &Unpackers {
        &self.0.dialer.env.unpackers
    }

    pub(super) fn now(&self) -> Duration {
        self.0.dialer.env.clock.mono()
    }

    pub(super) fn deadline(&self, timeout: Duration, cancel: &Canceller) -> Deadline {
        Deadline::new(&self.0.dialer.env.clock, timeout, cancel)
    }
}

/// A request of [`Client::fetch`].
#[derive(Debug, Clone, Copy)]
pub struct FetchRequest<'a> {
    pub method: &'a str,
    pub url: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: Option<&'a [u8]>,
    /// Covers the whole request, including the body of the answer.
    pub timeout: Duration,
    /// The largest answer, uncompressed.
    pub body_limit: u64,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub status: u16,
    pub reason: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Fetched {
    /// Returns the first header of this name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Writes `404 Not Found`, for messages.
    pub fn status_line(&self) -> String {
        format!("{} {}", self.status, self.reason)
    }
}
