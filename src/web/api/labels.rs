//! `/series`, `/labels`, `/label/<name>/values`.

use std::collections::BTreeSet;

use super::parameters::{limit, matchers, time_or};
use super::query::truncated;
use super::{Answer, ApiError, ErrorKind};
use crate::model::names::unescape;
use crate::model::{Labels, Matcher, timestamp};
use crate::stdx::gofmt;
use crate::storage::{Querier, SelectHints, StorageError};
use crate::web::context::Context;
use crate::web::json;
use crate::web::server::{Form, Request};

/// What all three take.
struct Selection {
    limit: usize,
    hints: SelectHints,
    sets: Vec<Vec<Matcher>>,
}

impl Selection {
    fn of(form: &Form) -> Result<Selection, ApiError> {
        let limit = limit(form)?;
        let start = time_or(form, "start", timestamp::MIN_MS)?;
        let end = time_or(form, "end", timestamp::MAX_MS)?;
        let sets = matchers(form)?;
        // One more than is shown tells that there are more.
        let asked = if limit > 0 { limit + 1 } else { 0 };
        let hints = SelectHints {
            start,
            end,
            limit: asked,
            labels_only: true,
        };
        Ok(Selection { limit, hints, sets })
    }

    fn querier(&self, context: &Context) -> Result<Box<dyn Querier>, ApiError> {
        Ok(context.storage.querier(self.hints.start, self.hints.end)?)
    }

    /// Asks once for each set of matchers, or once without any; the union, cut at the limit.
    fn union(
        &self,
        ask: impl Fn(&[Matcher]) -> Result<Vec<String>, StorageError>,
    ) -> Result<Answer, ApiError> {
        let mut all = BTreeSet::new();
        if self.sets.is_empty() {
            all.extend(ask(&[])?);
        }
        for set in &self.sets {
            all.extend(ask(set)?);
        }
        let cut = self.limit > 0 && all.len() > self.limit;
        let shown = all.iter().take(if cut { self.limit } else { usize::MAX });
        Ok(Answer::of(json::texts(shown)).warn(cut.then(truncated)))
    }
}

pub fn names(context: &Context, request: &Request) -> Result<Answer, ApiError> {
    let selection = Selection::of(&request.form())?;
    let querier = selection.querier(context)?;
    selection.union(|set| querier.label_names(set, selection.hints.limit))
}

pub fn values(context: &Context, request: &Request, name: &str) -> Result<Answer, ApiError> {
    let name = unescape(name);
    if name.is_empty() {
        let name = gofmt::quote(&name);
        return Err(ApiError::bad_data(format!("invalid label name: {name}")));
    }
    let selection = Selection::of(&request.form())?;
    let querier = selection.querier(context)?;
    selection.union(|set| querier.label_values(&name, set, selection.hints.limit))
}

pub fn series(context: &Context, request: &Request) -> Result<Answer, ApiError> {
    let form = request.form();
    if form.get("match[]").is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let selection = Selection::of(&form)?;
    let querier = selection.querier(context)?;
    let mut found: BTreeSet<Labels> = BTreeSet::new();
    for set in &selection.sets {
        let mut series = querier.select(&selection.hints, set)?;
        while let Some(series) = series.next() {
            if request.is_canceled() {
                return Err(ApiError::new(ErrorKind::Canceled, "context canceled"));
            }
            found.insert(series?.labels());
        }
    }
    let cut = selection.limit > 0 && found.len() > selection.limit;
    let shown = found
        .iter()
        .take(if cut { selection.limit } else { usize::MAX });
    Ok(Answer::of(json::list(shown, json::push_labels)).warn(cut.then(truncated)))
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> ApiError {
        ApiError::new(ErrorKind::Execution, error)
    }
}
