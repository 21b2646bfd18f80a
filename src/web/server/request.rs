//! A request as the handler sees it.

use std::fmt;
use std::net::SocketAddr;

use url::form_urlencoded;

use super::headers::Headers;
use super::multipart;
use crate::stdx::stop::Stop;

/// A whole request, including its body.
#[derive(Debug)]
pub struct Request {
    pub method: Method,
    /// Percent-decoded. Bytes that are not UTF-8 show as U+FFFD.
    pub path: String,
    /// As it was sent, without the query.
    pub raw_path: String,
    /// As it was sent, without the question mark.
    pub query: String,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub remote: SocketAddr,
    /// The poller stops it when the client hangs up or the server stops. Long computations check
    /// it.
    pub canceled: Stop,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
    Other(Box<str>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    Http10,
    Http11,
}

/// The parameters of a body and of a query, as in Go's `Request.Form`.
#[derive(Debug, Clone, Default)]
pub struct Form(Vec<(String, String)>);

/// Why a body is not a form.
#[derive(Debug, thiserror::Error)]
#[error("error parsing form values: {0}")]
pub struct FormError(String);

impl Request {
    /// Returns a header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// Returns the decoded parameters of the query.
    pub fn query_params(&self) -> Form {
        let pairs = form_urlencoded::parse(self.query.as_bytes());
        Form(pairs.into_owned().collect())
    }

    /// Returns the parameters of an urlencoded body (POST, PUT, PATCH), then those of the query,
    /// then those of a multipart/form-data body, in Go's order. A body of another type has none.
    ///
    /// # Errors
    /// A multipart/form-data body that cannot be read.
    pub fn form(&self) -> Result<Form, FormError> {
        let mut pairs = Vec::new();
        let kind = self.header("content-type").unwrap_or_default();
        let has_body = matches!(self.method, Method::Post | Method::Put | Method::Patch);
        if has_body && is_urlencoded(kind) {
            pairs.extend(form_urlencoded::parse(&self.body).into_owned());
        }
        pairs.extend(form_urlencoded::parse(self.query.as_bytes()).into_owned());
        let fields = multipart::fields(kind, &self.body).map_err(FormError)?;
        pairs.extend(fields.unwrap_or_default());
        Ok(Form(pairs))
    }

    /// Whether the client has hung up.
    pub fn is_canceled(&self) -> bool {
        self.canceled.is_stopped()
    }
}

fn is_urlencoded(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

impl Form {
    /// Returns the first value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Returns every value of a parameter.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let found = self.0.iter().filter(move |(n, _)| n == name);
        found.map(|(_, v)| v.as_str())
    }
}

impl Method {
    pub fn parse(text: &str) -> Method {
        match text {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            other => Method::Other(other.into()),
        }
    }

    pub fn as_str(&self) -> &str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Other(text) => text,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
