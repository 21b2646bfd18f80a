//! `/query_exemplars`.

use super::document::Document;
use super::parameters::time_or;
use super::{Answer, ApiError};
use crate::model::{Labels, Matcher, timestamp};
use crate::promql;
use crate::stdx::gofmt::push_api_float;
use crate::storage::{Exemplar, ExemplarQueryable};
use crate::web::context::Context;
use crate::web::json::{self, Object};
use crate::web::server::Request;

pub fn query(context: &Context, request: &Request) -> Result<Answer, ApiError> {
    let database = context.database()?;
    let form = request.form()?;
    let start = time_or(&form, "start", timestamp::MIN_MS)?;
    let end = time_or(&form, "end", timestamp::MAX_MS)?;
    if end < start {
        let why = "end timestamp must not be before start timestamp";
        return Err(ApiError::bad_data(why));
    }
    let features = &database.engine.settings().features;
    let text = form.get("query").unwrap_or("");
    let expr = promql::parse(text, features).map_err(ApiError::bad_data)?;
    let selectors = promql::selectors(&expr).into_iter();
    let sets: Vec<Vec<Matcher>> = selectors.map(|s| s.matchers.clone()).collect();
    if sets.is_empty() {
        return Ok(Answer::nothing());
    }
    let found = database.db.exemplars(&sets, start, end)?;
    let list = Document::default().list(found, bytes_of, push_series);
    Ok(Answer::of(list))
}

fn bytes_of((labels, exemplars): &(Labels, Vec<Exemplar>)) -> usize {
    let of_one = |e: &Exemplar| size_of::<Exemplar>() + e.labels.heap_bytes();
    labels.heap_bytes() + exemplars.iter().map(of_one).sum::<usize>()
}

fn push_series(out: &mut String, (labels, exemplars): (Labels, Vec<Exemplar>)) {
    let series = Object::new()
        .labels("seriesLabels", &labels)
        .raw("exemplars", &json::list(&exemplars, push_exemplar));
    out.push_str(&series.end());
}

fn push_exemplar(out: &mut String, exemplar: &Exemplar) {
    out.push_str("{\"labels\":");
    json::push_labels(out, &exemplar.labels);
    out.push_str(",\"value\":\"");
    push_api_float(out, exemplar.v);
    out.push_str("\",\"timestamp\":");
    json::push_timestamp(out, exemplar.t);
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exemplars_as_prometheus_writes_them() {
        let exemplar = |labels: &[(&str, &str)], v, t| Exemplar {
            labels: Labels::from_pairs(labels.iter().copied()),
            v,
            t,
            timed: true,
        };
        let mut out = String::new();
        let all = vec![
            exemplar(&[("id", "a<\"b"), ("a", "1")], 0.1, 1_500),
            exemplar(&[], f64::INFINITY, 2_000),
        ];
        push_series(&mut out, (Labels::from_pairs([("__name__", "m")]), all));
        assert_eq!(
            out,
            r#"{"seriesLabels":{"__name__":"m"},"exemplars":[{"labels":{"a":"1","id":"a<\"b"},"value":"0.1","timestamp":1.500},{"labels":{},"value":"+Inf","timestamp":2}]}"#
        );
    }
}
