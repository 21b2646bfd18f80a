//! `/series`, `/labels`, `/label/<name>/values`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::document::Document;
use super::folded::Folded;
use super::parameters::{limit, matchers, time_or};
use super::query::{truncate, truncated};
use super::{Answer, ApiError, ErrorKind};
use crate::model::names::unescape;
use crate::model::{Labels, Matcher, timestamp};
use crate::stdx::clock::Clock;
use crate::stdx::gofmt;
use crate::storage::{Querier, Queryable as _, SelectHints, StorageError};
use crate::web::context::Context;
use crate::web::json;
use crate::web::server::{Form, Request};

/// The parameters that all three take.
struct Selection {
    limit: usize,
    hints: SelectHints,
    sets: Vec<Vec<Matcher>>,
}

impl Selection {
    /// Reads the parameters. `refuse` makes the error for an invalid selector.
    fn of(form: &Form, refuse: fn(String) -> ApiError) -> Result<Selection, ApiError> {
        let limit = limit(form)?;
        let start = time_or(form, "start", timestamp::MIN_MS)?;
        let end = time_or(form, "end", timestamp::MAX_MS)?;
        let sets = matchers(form).map_err(refuse)?;
        // One more than is shown reveals that there are more.
        let asked = if limit > 0 { limit + 1 } else { 0 };
        let hints = SelectHints {
            start,
            end,
            limit: asked,
            ..SelectHints::default()
        };
        Ok(Selection { limit, hints, sets })
    }

    fn querier(&self, context: &Context) -> Result<Box<dyn Querier>, ApiError> {
        let db = &context.database()?.db;
        Ok(db.querier(self.hints.start, self.hints.end)?)
    }

    /// Starts the engine's time limit for a query.
    fn deadline<'r>(context: &'r Context, request: &'r Request) -> Result<Deadline<'r>, ApiError> {
        let timeout = context.database()?.engine.settings().timeout;
        Ok(Deadline {
            request,
            clock: &*context.clock,
            at: context.clock.mono().saturating_add(timeout),
        })
    }

    /// Asks once per set of matchers, or once without any, for sorted texts. Returns the union, cut
    /// at the limit.
    fn texts(
        &self,
        deadline: &Deadline<'_>,
        ask: impl Fn(&[Matcher]) -> Result<Vec<String>, StorageError>,
    ) -> Result<Answer, ApiError> {
        let mut all = match &self.sets[..] {
            [] => ask(&[])?,
            [set] => ask(set)?,
            sets => {
                let mut all = BTreeSet::new();
                for set in sets {
                    deadline.look()?;
                    all.extend(ask(set)?);
                }
                all.into_iter().collect()
            }
        };
        let cut = truncate(&mut all, self.limit);
        let bytes_of = |text: &String| size_of::<String>() + text.len();
        let list = Document::default().list(all, bytes_of, |out, text| json::push_text(out, &text));
        Ok(Answer::of(list).warn(cut.then(truncated)))
    }
}

/// The end of a request's time, since it may ask for thousands of selectors.
struct Deadline<'r> {
    request: &'r Request,
    clock: &'r dyn Clock,
    at: Duration,
}

impl Deadline<'_> {
    fn look(&self) -> Result<(), ApiError> {
        if self.request.is_canceled() {
            return Err(ApiError::new(ErrorKind::Canceled, "context canceled"));
        }
        if self.clock.mono() >= self.at {
            let text = "context deadline exceeded";
            return Err(ApiError::new(ErrorKind::Timeout, text));
        }
        Ok(())
    }
}

pub fn names(context: &Context, request: &Request) -> Result<Answer, ApiError> {
    let selection = Selection::of(&request.form()?, ApiError::bad_data)?;
    let querier = selection.querier(context)?;
    let deadline = Selection::deadline(context, request)?;
    selection.texts(&deadline, |set| {
        querier.label_names(set, selection.hints.limit)
    })
}

pub fn values(context: &Context, request: &Request, name: &str) -> Result<Answer, ApiError> {
    let refuse = |name: String| ApiError::bad_data(format!("invalid label name: {name}"));
    let raw = request.raw_path.rsplit('/').nth(1).unwrap_or_default();
    let bytes = unescaped(raw);
    if std::str::from_utf8(&bytes).is_err() {
        let name = bytes.strip_prefix(b"U__").unwrap_or(&bytes);
        return Err(refuse(gofmt::quote_bytes(name)));
    }
    let name = unescape(name);
    if name.is_empty() {
        return Err(refuse(gofmt::quote(&name)));
    }
    let selection = Selection::of(&request.form()?, ApiError::bad_data)?;
    let querier = selection.querier(context)?;
    let deadline = Selection::deadline(context, request)?;
    selection.texts(&deadline, |set| {
        querier.label_values(&name, set, selection.hints.limit)
    })
}

/// Returns the bytes of a path's part. Its escapes are known to be valid.
fn unescaped(raw: &str) -> Vec<u8> {
    let mut parts = raw.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        bytes.extend(u8::from_str_radix(digits, 16));
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

pub fn series(context: &Context, request: &Request) -> Result<Answer, ApiError> {
    let form = request.form()?;
    if form.get("match[]").is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let selection = Selection::of(&form, |why| ApiError::parameter("match[]", why))?;
    let querier = selection.querier(context)?;
    let deadline = Selection::deadline(context, request)?;
    let each = |set: &[Matcher], take: &mut dyn FnMut(Labels)| -> Result<(), ApiError> {
        deadline.look()?;
        let mut series = querier.select(&selection.hints, set)?;
        while let Some(series) = series.next() {
            deadline.look()?;
            take(series?.labels());
        }
        Ok(())
    };
    let (mut shown, mut cut, mut text) = (Folded::default(), false, String::new());
    let mut show = |labels: Labels| {
        cut = selection.limit > 0 && shown.len() == selection.limit;
        if !cut {
            text.clear();
            json::push_labels(&mut text, &labels);
            shown.push(&text);
        }
    };
    if let [set] = &selection.sets[..] {
        // NOTE: they are sorted already.
        each(set, &mut show)?;
    } else {
        let mut union = BTreeSet::new();
        for set in &selection.sets {
            each(set, &mut |labels| {
                union.insert(labels);
            })?;
        }
        union.into_iter().for_each(show);
    }
    let list = Document::default()
        .text("[")
        .parts(shown.unfold())
        .text("]");
    Ok(Answer::of(list).warn(cut.then(truncated)))
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> ApiError {
        ApiError::new(ErrorKind::Execution, error)
    }
}
