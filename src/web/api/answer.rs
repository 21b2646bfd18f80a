//! The envelope of every answer, and the closed table of errors.

use super::document::Document;
use crate::web::context::{Context, Database};
use crate::web::json::{self, Object};
use crate::web::server::{FormError, Response};

/// LIMIT: Prometheus shows ten annotations of a kind, then how many more there are.
const ANNOTATIONS_MAX: usize = 10;

/// A success.
#[derive(Debug, Default)]
pub struct Answer {
    data: Option<Document>,
    warnings: Vec<String>,
    infos: Vec<String>,
}

impl Answer {
    /// `data` is JSON.
    pub fn of(data: impl Into<Document>) -> Answer {
        Answer {
            data: Some(data.into()),
            ..Answer::default()
        }
    }

    /// Success, with no data.
    pub fn nothing() -> Answer {
        Answer::default()
    }

    pub fn warn(mut self, warnings: impl IntoIterator<Item = String>) -> Answer {
        self.warnings.extend(warnings);
        self
    }

    pub fn inform(mut self, infos: impl IntoIterator<Item = String>) -> Answer {
        self.infos.extend(infos);
        self
    }

    pub fn into_response(self) -> Response {
        let Some(data) = self.data else {
            return Response::new(204);
        };
        let mut after = String::new();
        push_annotations(&mut after, "warning", self.warnings);
        push_annotations(&mut after, "info", self.infos);
        after.push('}');
        data.within("{\"status\":\"success\",\"data\":", after)
            .into_response()
    }
}

fn push_annotations(body: &mut String, kind: &str, mut texts: Vec<String>) {
    if texts.is_empty() {
        return;
    }
    let more = texts.len().saturating_sub(ANNOTATIONS_MAX);
    texts.truncate(ANNOTATIONS_MAX);
    if more > 0 {
        texts.push(format!("{more} more {kind} annotations omitted"));
    }
    body.push_str(",\"");
    body.push_str(kind);
    body.push_str("s\":");
    body.push_str(&json::texts(&texts));
}

/// Prometheus's `errorType`s, each with its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    BadData,
    Execution,
    Canceled,
    Timeout,
    Internal,
    NotFound,
    Unavailable,
}

impl ErrorKind {
    fn as_str(self) -> &'static str {
        match self {
            ErrorKind::BadData => "bad_data",
            ErrorKind::Execution => "execution",
            ErrorKind::Canceled => "canceled",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Internal => "internal",
            ErrorKind::NotFound => "not_found",
            ErrorKind::Unavailable => "unavailable",
        }
    }

    fn status(self) -> u16 {
        match self {
            ErrorKind::BadData => 400,
            ErrorKind::Execution => 422,
            ErrorKind::Canceled => 499,
            ErrorKind::Timeout => 503,
            // NOTE: Prometheus also answers 500 for what is switched off.
            ErrorKind::Internal | ErrorKind::Unavailable => 500,
            ErrorKind::NotFound => 404,
        }
    }
}

impl Context {
    /// Returns the database and the engine.
    ///
    /// # Errors
    /// There is none, as in agent mode.
    pub fn database(&self) -> Result<&Database, ApiError> {
        let none = || ApiError::new(ErrorKind::Execution, "unavailable with Prometheus Agent");
        self.database.as_ref().ok_or_else(none)
    }
}

#[derive(Debug)]
pub struct ApiError {
    pub kind: ErrorKind,
    pub message: String,
}

impl ApiError {
    pub fn new(kind: ErrorKind, message: impl ToString) -> ApiError {
        ApiError {
            kind,
            message: message.to_string(),
        }
    }

    pub fn bad_data(message: impl ToString) -> ApiError {
        ApiError::new(ErrorKind::BadData, message)
    }

    /// The error of a parameter that cannot be read.
    pub fn parameter(name: &str, why: impl ToString) -> ApiError {
        let why = why.to_string();
        ApiError::bad_data(format!("invalid parameter \"{name}\": {why}"))
    }

    pub fn into_response(self) -> Response {
        let body = Object::new()
            .text("status", "error")
            .text("errorType", self.kind.as_str())
            .text("error", &self.message)
            .end();
        Response::json(self.kind.status(), body)
    }
}

impl From<FormError> for ApiError {
    fn from(error: FormError) -> ApiError {
        ApiError::bad_data(error)
    }
}
