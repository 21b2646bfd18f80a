//! `/query_exemplars`.

use super::parameters::time_or;
use super::{Answer, ApiError};
use crate::model::{Labels, Matcher, timestamp};
use crate::promql::{self, Expr};
use crate::stdx::gofmt::push_api_float;
use crate::storage::{Exemplar, ExemplarQueryable};
use crate::web::context::Context;
use crate::web::json::{self, Object};
use crate::web::server::Request;

pub fn query(context: &Context, request: &Request) -> Result<Answer, ApiError> {
    let form = request.form();
    let start = time_or(&form, "start", timestamp::MIN_MS)?;
    let end = time_or(&form, "end", timestamp::MAX_MS)?;
    if end < start {
        let why = "end timestamp must not be before start timestamp";
        return Err(ApiError::bad_data(why));
    }
    let expr = promql::parse(form.get("query").unwrap_or("")).map_err(ApiError::bad_data)?;
    let sets = selectors(&expr);
    if sets.is_empty() {
        return Ok(Answer::nothing());
    }
    let found = context.db.exemplars(&sets, start, end)?;
    Ok(Answer::of(json::list(&found, push_series)))
}

/// The matchers of every selector in an expression.
fn selectors(expr: &Expr) -> Vec<Vec<Matcher>> {
    match expr {
        Expr::Vector(selector) => vec![selector.matchers.clone()],
        Expr::Matrix(matrix) => vec![matrix.selector.matchers.clone()],
        Expr::Paren(inner, _) => selectors(inner),
    }
}

fn push_series(out: &mut String, (labels, exemplars): &(Labels, Vec<Exemplar>)) {
    let series = Object::new()
        .labels("seriesLabels", labels)
        .raw("exemplars", &json::list(exemplars, push_exemplar));
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
    fn selectors_of_expressions() {
        let check = |text: &str, expect: &str| {
            let sets = selectors(&promql::parse(text).unwrap());
            let text = |set: &Vec<Matcher>| {
                let all: Vec<_> = set.iter().map(ToString::to_string).collect();
                all.join(",")
            };
            let sets: Vec<_> = sets.iter().map(text).collect();
            assert_eq!(sets.join("; "), expect);
        };
        check("a", "__name__=\"a\"");
        check("a{b!=\"c\"} offset 5m", "b!=\"c\",__name__=\"a\"");
        check("({b=~\"c.+\"}[5m])", "b=~\"c.+\"");
    }

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
        push_series(&mut out, &(Labels::from_pairs([("__name__", "m")]), all));
        assert_eq!(
            out,
            r#"{"seriesLabels":{"__name__":"m"},"exemplars":[{"labels":{"a":"1","id":"a<\"b"},"value":"0.1","timestamp":1.500},{"labels":{},"value":"+Inf","timestamp":2}]}"#
        );
    }
}
