//! Compares an answer with what a script expects, by promqltest's rules.

use ferula::model::{Labels, Sample, TimestampMs, is_stale_nan};
use ferula::promql::{Answer, Severity, Value};
use ferula::regex::Regex;

use crate::notation::Point;
use crate::script::{Eval, Text};

/// Compares an answer.
///
/// # Errors
/// What differs.
pub fn answer(eval: &Eval, answer: &Answer) -> Result<(), String> {
    value(eval, &answer.value)?;
    let texts = |severity| answer.annotations.texts(severity, &eval.expr);
    annotations(
        "warnings",
        &eval.warn,
        eval.no_warn,
        &texts(Severity::Warning),
    )?;
    annotations("infos", &eval.info, eval.no_info, &texts(Severity::Info))
}

pub fn value(eval: &Eval, value: &Value) -> Result<(), String> {
    match value {
        Value::Scalar(sample) => match eval.scalar {
            Some(expected) if close(expected, sample.v) => Ok(()),
            expected => Err(format!(
                "got the scalar {}, expected {expected:?}",
                sample.v
            )),
        },
        Value::Text(_, text) if *text == *eval.string.as_deref().unwrap_or("") => Ok(()),
        Value::Text(_, text) => Err(format!("got the string {text:?}")),
        Value::Vector(vector) => {
            one_kind(eval)?;
            let series: Vec<_> = vector
                .iter()
                .map(|(l, s)| (l, std::slice::from_ref(s)))
                .collect();
            if eval.ordered {
                let got: Vec<&Labels> = series.iter().map(|s| s.0).collect();
                let expected: Vec<&Labels> = eval.series.iter().map(|s| &s.0).collect();
                if got != expected {
                    return Err(format!("got the order {got:?}"));
                }
            }
            matrix(eval, &series)
        }
        Value::Matrix(series) => {
            one_kind(eval)?;
            if eval.ordered {
                return Err("got a matrix, expected an ordered vector".to_owned());
            }
            if !series.is_sorted_by(|a, b| a.0 < b.0) {
                return Err("series are not sorted by their labels, or twice there".to_owned());
            }
            let series: Vec<_> = series.iter().map(|(l, s)| (l, s.as_slice())).collect();
            matrix(eval, &series)
        }
    }
}

fn one_kind(eval: &Eval) -> Result<(), String> {
    if eval.scalar.is_some() || eval.string.is_some() {
        return Err("got series".to_owned());
    }
    Ok(())
}

/// Compares series in any order.
fn matrix(eval: &Eval, got: &[(&Labels, &[Sample])]) -> Result<(), String> {
    for (labels, expected) in &eval.series {
        let mut those = got.iter().filter(|g| g.0 == labels);
        let Some((_, samples)) = those.next() else {
            return Err(format!("no {}", labels.series_text()));
        };
        if those.next().is_some() {
            return Err(format!("{} twice", labels.series_text()));
        }
        points(eval, expected, samples)
            .map_err(|what| format!("{}: {what}", labels.series_text()))?;
    }
    let strange = got.iter().find(|g| eval.series.iter().all(|e| e.0 != *g.0));
    strange.map_or(Ok(()), |(labels, samples)| {
        Err(format!(
            "unexpected {} {}",
            labels.series_text(),
            show(samples)
        ))
    })
}

fn points(eval: &Eval, expected: &[Point], got: &[Sample]) -> Result<(), String> {
    let mut want: Vec<(TimestampMs, f64)> = Vec::new();
    for (i, point) in expected.iter().enumerate() {
        if let Point::Float(v) = point {
            want.push((eval.start + i as i64 * eval.step_ms, *v));
        }
    }
    let same = want.len() == got.len()
        && want
            .iter()
            .zip(got)
            .all(|(e, g)| e.0 == g.t && close(e.1, g.v));
    if same {
        return Ok(());
    }
    let want: Vec<Sample> = want.iter().map(|&(t, v)| Sample { t, v }).collect();
    Err(format!("expected {}, got {}", show(&want), show(got)))
}

fn show(samples: &[Sample]) -> String {
    let shown = samples
        .iter()
        .map(|s| format!("{}@{}", s.v, s.t as f64 / 1000.0));
    shown.collect::<Vec<_>>().join(" ")
}

/// Checks that each expectation matches a text and, if there are any, each text an expectation.
fn annotations(what: &str, expected: &[Text], none: bool, got: &[String]) -> Result<(), String> {
    if none && !got.is_empty() {
        return Err(format!("unexpected {what} {got:?}"));
    }
    if expected.is_empty() {
        return Ok(());
    }
    if got.is_empty() {
        return Err(format!("no {what}, expected {expected:?}"));
    }
    if let Some(text) = expected.iter().find(|e| !got.iter().any(|g| e.matches(g))) {
        return Err(format!("of the {what} none is {text:?}: {got:?}"));
    }
    match got.iter().find(|g| !expected.iter().any(|e| e.matches(g))) {
        Some(text) => Err(format!("unexpected {what} {text:?}")),
        None => Ok(()),
    }
}

impl Text {
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Text::Any => true,
            Text::Exactly(expected) => expected == text,
            Text::Matching(pattern) => {
                let anywhere = format!("(?s:.*)(?:{pattern})(?s:.*)");
                Regex::anchored(&anywhere).unwrap().is_match(text)
            }
        }
    }
}

/// Applies promqltest's rule: a difference below a millionth of the sum.
fn close(expected: f64, got: f64) -> bool {
    const EPSILON: f64 = 1e-6;
    if is_stale_nan(expected) || is_stale_nan(got) {
        return is_stale_nan(expected) && is_stale_nan(got);
    }
    if expected == got || (expected.is_nan() && got.is_nan()) {
        return true;
    }
    let (sum, difference) = (expected.abs() + got.abs(), (expected - got).abs());
    if expected == 0.0 || got == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}
