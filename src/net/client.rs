//! A client: one checked `<http_config>`, with what its connections share.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use super::auth::Credentials;
use super::common::Common;
use super::deadline::Canceller;
use super::dial::Dialer;
use super::fetch::Fetcher;
use super::oauth2::TokenSource;
use super::{ClientSettings, Connection, Env, Fetch, FetchRequest, Fetched, NetError};

/// Cheap to clone. The loops of a pool share one.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    common: Arc<Common>,
    /// What the requests of OAuth2's tokens have in common.
    tokens: Option<Arc<Common>>,
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
    fn unchecked(settings: &ClientSettings, name: &str, env: &Env) -> Result<Client, NetError> {
        let common = |settings: &ClientSettings, tokens| {
            Ok::<_, NetError>(Arc::new(Common {
                follow_redirects: settings.follow_redirects,
                dialer: Arc::new(Dialer::new(settings, name, env)?),
                credentials: Credentials::new(settings, tokens)?,
            }))
        };
        let (mut tokens, mut source) = (None, None);
        if let Some(oauth2) = &settings.oauth2 {
            let requests = common(&oauth2.requests(), None)?;
            tokens = Some(requests.clone());
            let connect = move |cancel| -> Box<dyn Fetch> {
                Box::new(Connection::new(requests.clone(), cancel))
            };
            source = Some(TokenSource::new(oauth2, &env.clock, Box::new(connect)));
        }
        Ok(Client(Arc::new(Inner {
            common: common(settings, source)?,
            tokens,
            fetcher: OnceLock::new(),
            shut_down: AtomicBool::new(false),
        })))
    }

    /// Reads and tries every file.
    fn check(&self) -> Result<(), NetError> {
        self.0.common.check()?;
        let tokens = self.0.tokens.as_ref();
        tokens.map_or(Ok(()), |tokens| tokens.check())
    }

    /// Makes a connection for one scrape loop. It connects when it is first used.
    pub fn connection(&self) -> Connection {
        Connection::new(self.0.common.clone(), Canceller::new())
    }

    /// Makes one request and returns the whole answer. Any status is an answer.
    pub fn fetch(&self, request: &FetchRequest<'_>) -> Result<Fetched, NetError> {
        self.fetcher().fetch(request)
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
        let fetcher = self.0.fetcher.get_or_init(|| Fetcher::new(&self.0.common));
        if self.0.shut_down.load(SeqCst) {
            fetcher.shutdown();
        }
        fetcher
    }
}
