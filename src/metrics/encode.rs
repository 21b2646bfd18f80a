//! The registry as an exposition in text format 0.0.4.
//!
//! OpenMetrics is not offered, as in Prometheus. There a counter's family has no `_total`, so
//! `/api/v1/metadata` and its readers would not find counters by their names.

use std::fmt::Write as _;

use super::registry::{Child, Family, Kind, Registry};
use crate::stdx::gofmt::push_text_float;
use crate::stdx::locked::locked;

impl Registry {
    /// Returns the value of a counter or gauge, which is named as in the exposition, as it is shown
    /// there; `-` if it is not.
    #[cfg(test)]
    pub(crate) fn shown(&self, series: &str) -> String {
        let mut text = String::new();
        self.encode(&mut text);
        let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        let found = lines.find(|(of, _)| *of == series);
        found.map_or("-", |(_, value)| value).to_owned()
    }

    /// Writes every family that has instruments, sorted by name.
    pub fn encode(&self, out: &mut String) {
        for (name, family) in self.families() {
            let children = locked(&family.children).clone();
            if children.is_empty() {
                continue;
            }
            push_head(out, name, &family);
            for (values, child) in &children {
                Sample {
                    out,
                    name,
                    names: family.label_names,
                    values,
                }
                .push(child);
            }
        }
    }
}

fn push_head(out: &mut String, name: &str, family: &Family) {
    let kind = family.kind.as_str();
    let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
        }
    }
}

struct Sample<'a> {
    out: &'a mut String,
    name: &'a str,
    names: &'a [&'a str],
    values: &'a [String],
}

impl Sample<'_> {
    fn push(&mut self, child: &Child) {
        match child {
            Child::Counter(it) => self.line("", None, it.get()),
            Child::Gauge(it) => self.line("", None, it.get()),
            Child::Function(read) => self.line("", None, read()),
            Child::Histogram(it) => {
                let (buckets, sum) = it.read();
                let count = buckets.last().map_or(0, |(_, count)| *count);
                for (le, count) in buckets {
                    self.line("_bucket", Some(("le", le)), count as f64);
                }
                self.line("_sum", None, sum);
                self.line("_count", None, count as f64);
            }
            Child::Summary(it) => {
                let (quantiles, sum, count) = it.read();
                for (quantile, value) in quantiles {
                    self.line("", Some(("quantile", quantile)), value);
                }
                self.line("_sum", None, sum);
                self.line("_count", None, count as f64);
            }
        }
    }

    fn line(&mut self, suffix: &str, extra: Option<(&str, f64)>, value: f64) {
        self.out.push_str(self.name);
        self.out.push_str(suffix);
        let mut separator = '{';
        for (name, value) in self.names.iter().zip(self.values) {
            let value = value
                .replace('\\', "\\\\")
                .replace('\n', "\\n")
                .replace('"', "\\\"");
            let _ = write!(self.out, "{separator}{name}=\"{value}\"");
            separator = ',';
        }
        if let Some((name, value)) = extra {
            let _ = write!(self.out, "{separator}{name}=\"");
            push_text_float(self.out, value);
            self.out.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.out.push('}');
        }
        self.out.push(' ');
        push_text_float(self.out, value);
        self.out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind() {
        let registry = Registry::new();
        registry
            .counter_vec("a_total", "Help of a.", &["job"])
            .with(&["x\"y"])
            .add(2.0);
        registry.gauge_fn("b", "Help of b.", || 1.5);
        let histogram = registry.histogram("c_seconds", "Help of c.", &[0.5, 1.0]);
        histogram.observe(0.7);
        registry.summary("d", "Help of d.", &[0.5]).observe(3.0);
        let mut text = String::new();
        registry.encode(&mut text);
        let expected = r#"# HELP a_total Help of a.
# TYPE a_total counter
a_total{job="x\"y"} 2
# HELP b Help of b.
# TYPE b gauge
b 1.5
# HELP c_seconds Help of c.
# TYPE c_seconds histogram
c_seconds_bucket{le="0.5"} 0
c_seconds_bucket{le="1"} 1
c_seconds_bucket{le="+Inf"} 1
c_seconds_sum 0.7
c_seconds_count 1
# HELP d Help of d.
# TYPE d summary
d{quantile="0.5"} 3
d_sum 3
d_count 1
"#;
        assert_eq!(text, expected);
    }
}
