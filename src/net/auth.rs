//! What a client adds to each request: its credentials and the settings' headers.

use std::fmt;
use std::sync::Arc;

use super::deadline::Deadline;
use super::oauth2::TokenSource;
use super::request::{basic, push_header};
use super::target_url::TargetUrl;
use super::watched_file::{Source, Text};
use super::{BasicAuth, ClientSettings, NetError};

pub(super) struct Credentials {
    auth: Auth,
    /// Name and value, in the settings' order.
    headers: Vec<(String, Source)>,
    /// The finished header lines, where no file or token can change them.
    fixed: Option<Vec<u8>>,
}

enum Auth {
    /// The URL's own user, if it names one.
    FromUrl,
    Basic {
        username: Source,
        password: Option<Source>,
    },
    Header {
        kind: String,
        credentials: Option<Source>,
    },
    OAuth2(Box<TokenSource>),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl Credentials {
    /// `tokens` are where the settings have OAuth2.
    pub fn new(
        settings: &ClientSettings,
        tokens: Option<TokenSource>,
    ) -> Result<Credentials, NetError> {
        let auth = match settings {
            ClientSettings {
                basic_auth: Some(BasicAuth { username, password }),
                ..
            } => Auth::Basic {
                username: Source::new(username, "basic auth username"),
                password: password
                    .as_ref()
                    .map(|p| Source::new(p, "basic auth password")),
            },
            ClientSettings {
                authorization: Some(authorization),
                ..
            } => Auth::Header {
                kind: authorization.kind.clone(),
                credentials: authorization
                    .credentials
                    .as_ref()
                    .map(|c| Source::new(c, "authorization credentials")),
            },
            _ => match tokens {
                Some(tokens) => Auth::OAuth2(Box::new(tokens)),
                None => Auth::FromUrl,
            },
        };
        let mut credentials = Credentials {
            auth,
            headers: header_sources(settings),
            fixed: None,
        };
        if credentials.is_constant() {
            let mut lines = Vec::new();
            credentials.push_auth(&mut lines, None)?;
            credentials.push_headers(&mut lines)?;
            credentials.fixed = Some(lines);
        } else {
            // NOTE: finds wrong names now. A file's content is checked when it is needed.
            for (name, _) in &credentials.headers {
                push_header(&mut Vec::new(), name, "")?;
            }
        }
        Ok(credentials)
    }

    /// Reads every file once.
    pub fn check(&self) -> Result<(), NetError> {
        match &self.auth {
            Auth::OAuth2(tokens) => tokens.check()?,
            auth => drop(auth.value(None)?),
        }
        self.push_headers(&mut Vec::new())
    }

    /// Appends header lines.
    pub fn push(
        &self,
        out: &mut Vec<u8>,
        url: &TargetUrl,
        deadline: &Deadline,
    ) -> Result<(), NetError> {
        if let Some(lines) = &self.fixed {
            out.extend_from_slice(lines);
        } else {
            self.push_auth(out, Some(deadline))?;
            self.push_headers(out)?;
        }
        if let (Auth::FromUrl, Some((user, password))) = (&self.auth, &url.user) {
            push_header(out, "Authorization", &basic(user, password))?;
        }
        Ok(())
    }

    /// Drops a refused token, so that the next request asks for a new one. Returns false if there
    /// is none.
    pub fn forget_token(&self) -> bool {
        match &self.auth {
            Auth::OAuth2(tokens) => tokens.forget(),
            _ => false,
        }
    }

    fn is_constant(&self) -> bool {
        let auth = match &self.auth {
            Auth::FromUrl => true,
            Auth::Basic { username, password } => {
                !username.is_file() && !password.as_ref().is_some_and(Source::is_file)
            }
            Auth::Header { credentials, .. } => !credentials.as_ref().is_some_and(Source::is_file),
            Auth::OAuth2(_) => false,
        };
        auth && !self.headers.iter().any(|(_, source)| source.is_file())
    }

    fn push_auth(&self, out: &mut Vec<u8>, deadline: Option<&Deadline>) -> Result<(), NetError> {
        match self.auth.value(deadline)? {
            Some(value) => push_header(out, "Authorization", &value),
            None => Ok(()),
        }
    }

    fn push_headers(&self, out: &mut Vec<u8>) -> Result<(), NetError> {
        for (name, source) in &self.headers {
            push_header(out, name, &source.text()?)?;
        }
        Ok(())
    }
}

impl Auth {
    fn value(&self, deadline: Option<&Deadline>) -> Result<Option<String>, NetError> {
        let text = |source: &Option<Source>| match source {
            Some(source) => source.text(),
            None => Ok(Arc::from("")),
        };
        Ok(match (self, deadline) {
            (Auth::Basic { username, password }, _) => {
                Some(basic(&username.text()?, &text(password)?))
            }
            (Auth::Header { kind, credentials }, _) => {
                Some(format!("{kind} {}", text(credentials)?))
            }
            (Auth::OAuth2(tokens), Some(deadline)) => Some(tokens.header(deadline)?),
            (Auth::OAuth2(_), None) | (Auth::FromUrl, _) => None,
        })
    }
}

fn header_sources(settings: &ClientSettings) -> Vec<(String, Source)> {
    let inline = |text: &str| Source::Inline(Text(text.into()));
    let mut sources = Vec::new();
    for header in &settings.headers {
        let values = header.values.iter().map(|value| inline(value));
        let secrets = header.secrets.iter().map(|secret| inline(secret.expose()));
        let files = header
            .files
            .iter()
            .map(|path| Source::file(path, "headers file"));
        let all = values.chain(secrets).chain(files);
        sources.extend(all.map(|source| (header.name.clone(), source)));
    }
    sources
}
