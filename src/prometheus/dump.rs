//! `tsdb dump` and `tsdb dump-openmetrics`.

use std::io::Write;

use super::error::PromError;
use super::stream::SeriesStream;
use crate::model::names::METRIC_NAME;
use crate::model::{Labels, Sample};
use crate::stdx::gofmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DumpFormat {
    /// `{__name__="up"} 1 1700000000000`
    Prom,
    /// One object of labels per line, no samples.
    SeriesJson,
    OpenMetrics,
}

/// Writes a stream as text. A reader that goes away ends it without an error.
pub fn dump(
    stream: &mut dyn SeriesStream,
    format: DumpFormat,
    out: &mut dyn Write,
) -> Result<(), PromError> {
    let mut text = String::new();
    while let Some((labels, samples)) = stream.next()? {
        text.clear();
        match format {
            DumpFormat::Prom => {
                let labels = labels.to_string();
                push_lines(&mut text, &labels, &samples, |t| t.to_string());
            }
            DumpFormat::OpenMetrics => {
                let series = condensed(&labels);
                push_lines(&mut text, &series, &samples, seconds);
            }
            DumpFormat::SeriesJson => push_json(&mut text, &labels),
        }
        if out.write_all(text.as_bytes()).is_err() {
            return Ok(());
        }
    }
    if format == DumpFormat::OpenMetrics {
        let _ = out.write_all(b"# EOF\n");
    }
    let _ = out.flush();
    Ok(())
}

fn push_lines(text: &mut String, series: &str, samples: &[Sample], time: fn(i64) -> String) {
    for sample in samples {
        text.push_str(series);
        text.push(' ');
        gofmt::push_text_float(text, sample.v);
        text.push(' ');
        text.push_str(&time(sample.t));
        text.push('\n');
    }
}

fn seconds(t: i64) -> String {
    let sign = if t < 0 { "-" } else { "" };
    let t = t.unsigned_abs();
    format!("{sign}{}.{:03}", t / 1000, t % 1000)
}

/// Writes labels with the name outside of the braces, and no blank after commas.
fn condensed(labels: &Labels) -> String {
    let rest = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
    let rest: Vec<String> = rest
        .map(|(n, v)| format!("{n}={}", gofmt::quote(v)))
        .collect();
    format!("{}{{{}}}", labels.metric_name(), rest.join(","))
}

/// Writes labels as Go does, which escapes what could be read as HTML.
fn push_json(text: &mut String, labels: &Labels) {
    let quote = |part: &str| serde_json::Value::from(part).to_string();
    let pairs = labels
        .iter()
        .map(|(n, v)| format!("{}:{}", quote(n), quote(v)));
    let object = format!("{{{}}}", pairs.collect::<Vec<_>>().join(","));
    for c in object.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                text.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => text.push(c),
        }
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::stream::LabelledSamples;
    use super::*;

    struct Given(Vec<LabelledSamples>);

    impl SeriesStream for Given {
        fn next(&mut self) -> Result<Option<LabelledSamples>, PromError> {
            Ok(self.0.pop())
        }
    }

    fn check(format: DumpFormat, expected: &str) {
        let labels = Labels::from_pairs([("__name__", "up"), ("a", "<\"x\">"), ("b", "2")]);
        let samples = [(1_500, 1e6), (-20, f64::INFINITY)].map(|(t, v)| Sample { t, v });
        let mut out = Vec::new();
        dump(
            &mut Given(vec![(labels, samples.to_vec())]),
            format,
            &mut out,
        )
        .unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn formats() {
        check(
            DumpFormat::Prom,
            "{__name__=\"up\", a=\"<\\\"x\\\">\", b=\"2\"} 1e+06 1500\n\
             {__name__=\"up\", a=\"<\\\"x\\\">\", b=\"2\"} +Inf -20\n",
        );
        check(
            DumpFormat::OpenMetrics,
            "up{a=\"<\\\"x\\\">\",b=\"2\"} 1e+06 1.500\n\
             up{a=\"<\\\"x\\\">\",b=\"2\"} +Inf -0.020\n# EOF\n",
        );
        check(
            DumpFormat::SeriesJson,
            "{\"__name__\":\"up\",\"a\":\"\\u003c\\\"x\\\"\\u003e\",\"b\":\"2\"}\n",
        );
    }
}
