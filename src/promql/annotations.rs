//! Warnings and infos that an answer carries (reference section 4.5).

use super::parser::Span;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Warning,
    Info,
}

/// Each annotation once, in the order of first occurrence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations(Vec<Annotation>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Annotation {
    severity: Severity,
    /// Without the prefix `PromQL info: ` and the place.
    text: String,
    span: Span,
}

/// LIMIT: different annotations that are kept. An answer shows ten of each severity.
const KEPT_MAX: usize = 1000;

impl Annotations {
    /// Adds a warning. `span` is the part of the query that it is about.
    pub fn warn(&mut self, span: &Span, text: impl Into<String>) {
        self.add(Severity::Warning, span, text.into());
    }

    pub fn inform(&mut self, span: &Span, text: impl Into<String>) {
        self.add(Severity::Info, span, text.into());
    }

    fn add(&mut self, severity: Severity, span: &Span, text: String) {
        let same = |a: &&mut Annotation| a.severity == severity && a.text == text;
        if let Some(kept) = self.0.iter_mut().find(same) {
            // Prometheus gives a text once, with the last place that it is about.
            if kept.span.start < span.start {
                kept.span = span.clone();
            }
        } else if self.0.len() < KEPT_MAX {
            self.0.push(Annotation {
                severity,
                text,
                span: span.clone(),
            });
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the texts as an answer has them: `PromQL warning: text (1:5)`.
    pub fn texts(&self, severity: Severity, query: &str) -> Vec<String> {
        let word = match severity {
            Severity::Warning => "warning",
            Severity::Info => "info",
        };
        let mut texts: Vec<String> = Vec::new();
        for annotation in self.0.iter().filter(|a| a.severity == severity) {
            let (line, column) = place(query, annotation.span.start);
            let text = format!("PromQL {word}: {} ({line}:{column})", annotation.text);
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts
    }
}

/// Returns line and column (in bytes), both from 1.
pub(super) fn place(query: &str, at: usize) -> (usize, usize) {
    let before = query.get(..at).unwrap_or(query);
    let line = 1 + before.matches('\n').count();
    let column = 1 + before.len() - before.rfind('\n').map_or(0, |i| i + 1);
    (line, column)
}
