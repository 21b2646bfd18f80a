//! Tokens by the client credentials grant (RFC 6749, section 4.4), kept until shortly before they
//! expire. One request fetches a token; others wait for it, each until its own deadline. The fetch
//! uses a short-lived connection, because the request that needs the token runs on a small
//! stack and must be cancellable.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::deadline::{Canceller, Deadline};
use super::request::basic;
use super::watched_file::Source;
use super::{ClientSettings, Fetch, NetError, OAuth2, ScrapeRequest, ScrapeResponse};
use crate::stdx::clock::Clock;
use crate::stdx::locked::locked;

/// A token is renewed this long before it expires, as in Go.
const LEEWAY: Duration = Duration::from_secs(10);
/// LIMIT: an answer with a token in it.
const TOKEN_BYTES_MAX: u64 = 1 << 20;
/// LIMIT: how long a waiting request may overlook its cancellation.
const WAIT_SLICE: Duration = Duration::from_millis(100);

/// Makes a connection for one request of a token.
pub(super) type Connect = Box<dyn Fn(Canceller) -> Box<dyn Fetch> + Send + Sync>;

pub(super) struct TokenSource {
    settings: OAuth2,
    secret: Option<Source>,
    connect: Connect,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    fetching: bool,
    /// Set once the server has refused credentials in the header and accepted them in the form.
    in_form: bool,
}

struct Token {
    /// The value of `Authorization`.
    header: String,
    until: Option<Duration>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    #[serde(default)]
    token_type: String,
    expires_in: Option<serde_json::Value>,
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource")
    }
}

impl OAuth2 {
    /// Returns the settings of the requests that fetch tokens.
    pub(super) fn requests(&self) -> ClientSettings {
        ClientSettings {
            tls: self.tls.clone(),
            proxy: self.proxy.clone(),
            follow_redirects: false,
            ..ClientSettings::default()
        }
    }
}

impl TokenSource {
    pub fn new(settings: &OAuth2, clock: &Arc<dyn Clock>, connect: Connect) -> TokenSource {
        let secret = settings.client_secret.as_ref();
        TokenSource {
            secret: secret.map(|s| Source::new(s, "oauth2 client secret")),
            settings: settings.clone(),
            connect,
            clock: clock.clone(),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Reads the secret's file.
    pub fn check(&self) -> Result<(), NetError> {
        self.secret().map(drop)
    }

    /// Returns `Bearer …`. It fetches a token if there is no valid one.
    pub fn header(&self, deadline: &Deadline) -> Result<String, NetError> {
        let mut state = self.lock();
        loop {
            let now = self.clock.mono();
            if let Some(token) = &state.token
                && token.until.is_none_or(|until| now < until)
            {
                return Ok(token.header.clone());
            }
            if !state.fetching {
                break;
            }
            let slice = deadline.remaining()?.min(WAIT_SLICE);
            let waited = self.changed.wait_timeout(state, slice);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.fetching = true;
        let in_form = state.in_form;
        drop(state);
        // NOTE: clears the flag on every way out, including a panic.
        let _done = Done(self);
        let token = self.fetch(in_form, deadline)?;
        let header = token.header.clone();
        self.lock().token = Some(token);
        Ok(header)
    }

    pub fn forget(&self) -> bool {
        self.lock().token.take().is_some()
    }

    fn fetch(&self, in_form: bool, deadline: &Deadline) -> Result<Token, NetError> {
        let mut body = Vec::new();
        let mut answer = self.ask(in_form, &mut body, deadline)?;
        if answer.status / 100 == 4 && !in_form {
            // NOTE: servers that know only one way refuse the other. Go tries both too.
            let second = self.ask(true, &mut body, deadline)?;
            if second.status / 100 == 2 {
                self.lock().in_form = true;
                answer = second;
            }
        }
        if answer.status / 100 != 2 {
            let text = format!("cannot fetch token: {} {}", answer.status, answer.reason);
            return Err(NetError::OAuth2(text));
        }
        self.parse(&body)
    }

    fn ask(
        &self,
        in_form: bool,
        body: &mut Vec<u8>,
        deadline: &Deadline,
    ) -> Result<ScrapeResponse, NetError> {
        let secret = self.secret()?;
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !self.settings.scopes.is_empty() {
            form.append_pair("scope", &self.settings.scopes.join(" "));
        }
        for (name, value) in &self.settings.endpoint_params {
            form.append_pair(name, value);
        }
        if in_form {
            form.append_pair("client_id", &self.settings.client_id);
            form.append_pair("client_secret", &secret);
        }
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let auth = basic(&encoded(&self.settings.client_id), &encoded(&secret));
        let mut headers = vec![
            ("User-Agent", super::USER_AGENT),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        if !in_form {
            headers.push(("Authorization", &auth));
        }
        let request = ScrapeRequest::new(&self.settings.token_url, &headers)?
            .post(form.finish().into_bytes())
            .timeout(deadline.remaining()?)
            .body_limit(TOKEN_BYTES_MAX);
        let cancel = deadline.canceller().clone();
        (self.connect)(cancel).get(&request, body)
    }

    fn parse(&self, body: &[u8]) -> Result<Token, NetError> {
        let wrong = |what: &str| NetError::OAuth2(format!("cannot parse token: {what}"));
        let parsed: TokenAnswer =
            serde_json::from_slice(body).map_err(|_| wrong("not JSON with an access_token"))?;
        if parsed.access_token.is_empty() {
            return Err(NetError::OAuth2(
                "server response missing access_token".to_owned(),
            ));
        }
        // NOTE: some servers write the number as a text.
        let seconds = parsed.expires_in.as_ref().and_then(|value| match value {
            serde_json::Value::String(text) => text.parse().ok(),
            value => value.as_u64(),
        });
        let lasts = seconds.filter(|s| *s > 0).map(Duration::from_secs);
        let now = self.clock.mono();
        Ok(Token {
            header: format!("{} {}", kind(&parsed.token_type), parsed.access_token),
            until: lasts.map(|lasts| now.saturating_add(lasts.saturating_sub(LEEWAY))),
        })
    }

    fn secret(&self) -> Result<Arc<str>, NetError> {
        match &self.secret {
            Some(source) => source.text(),
            None => Ok("".into()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // NOTE: each change is one step, so a panic leaves nothing half done.
        locked(&self.state)
    }
}

struct Done<'a>(&'a TokenSource);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.lock().fetching = false;
        self.0.changed.notify_all();
    }
}

fn kind(token_type: &str) -> &str {
    match token_type {
        text if text.is_empty() || text.eq_ignore_ascii_case("bearer") => "Bearer",
        text if text.eq_ignore_ascii_case("mac") => "MAC",
        text if text.eq_ignore_ascii_case("basic") => "Basic",
        text => text,
    }
}
