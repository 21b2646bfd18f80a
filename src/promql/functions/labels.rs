//! `label_replace` and `label_join`: series with other labels.

use super::args::Args;
use crate::model::LabelsBuilder;
use crate::model::names::METRIC_NAME;
use crate::promql::error::QueryError;
use crate::promql::eval::{Grid, Operand, Row, Rows, Run};
use crate::promql::parser::{Call, Expr, StringLiteral};
use crate::regex::{Captures, Regex, Template};

pub(super) fn replace<'q>(
    call: &'q Call,
    operands: Vec<Operand<'q>>,
    _: Grid,
    _: &mut Run<'_>,
) -> Result<Operand<'q>, QueryError> {
    let mut args = Args::new(operands);
    let rows = args.vector()?;
    let destination = args.text()?;
    let template = Template::new(&args.text()?);
    let source = args.text()?;
    let pattern = args.text()?;
    let invalid = || {
        let text = "invalid regular expression in label_replace()";
        QueryError::Execution(format!("{text}: {pattern}"))
    };
    if literal(call, 4).is_some_and(|text| text.bytes.is_some()) {
        return Err(invalid());
    }
    let regex = Regex::wrapped(&pattern).map_err(|_| invalid())?;
    check_name("destination", call, 1)?;
    let mut captures = Captures::default();
    let make = move |row: &Row, value: &mut String| {
        let text = row.labels.get(&source).unwrap_or("");
        if !regex.captures(text, &mut captures) {
            return Made::Nothing;
        }
        if template.expand_within(VALUE_BYTES_MAX, &regex, &captures, text, value) {
            Made::Value
        } else {
            Made::TooMuch
        }
    };
    Ok(relabelled(call, rows, destination, make))
}

pub(super) fn join<'q>(
    call: &'q Call,
    operands: Vec<Operand<'q>>,
    _: Grid,
    _: &mut Run<'_>,
) -> Result<Operand<'q>, QueryError> {
    let mut args = Args::new(operands);
    let rows = args.vector()?;
    let destination = args.text()?;
    let separator = args.text()?;
    let sources = args.texts()?;
    for at in 3..call.args.len() {
        check_name("source", call, at)?;
    }
    check_name("destination", call, 1)?;
    let make = move |row: &Row, value: &mut String| {
        for (i, source) in sources.iter().enumerate() {
            if i > 0 {
                value.push_str(&separator);
            }
            value.push_str(row.labels.get(source).unwrap_or(""));
            if value.len() > VALUE_BYTES_MAX {
                return Made::TooMuch;
            }
        }
        Made::Value
    };
    Ok(relabelled(call, rows, destination, make))
}

/// Checks that argument `at` is a valid label name.
fn check_name(which: &str, call: &Call, at: usize) -> Result<(), QueryError> {
    match literal(call, at) {
        Some(text) if !text.is_label_name() => {
            let (function, name) = (call.function.name, &text.value);
            let text = format!("invalid {which} label name in {function}(): {name}");
            Err(QueryError::Execution(text))
        }
        _ => Ok(()),
    }
}

fn literal(call: &Call, at: usize) -> Option<&StringLiteral> {
    match call.args.get(at)?.inner() {
        Expr::Text(text) => Some(text),
        _ => None,
    }
}

/// LIMIT: a label value that a query makes. Nested calls could double it each time.
const VALUE_BYTES_MAX: usize = 1 << 20;

/// The outcome of a row's new value.
enum Made {
    Value,
    Nothing,
    TooMuch,
}

/// Rows whose label `destination` gets the value that `make` returns.
struct Relabelled<'q, F> {
    call: &'q Call,
    rows: Box<dyn Rows + 'q>,
    destination: String,
    make: F,
    value: String,
    builder: LabelsBuilder,
}

fn relabelled<'q, F>(
    call: &'q Call,
    rows: Box<dyn Rows + 'q>,
    destination: String,
    make: F,
) -> Operand<'q>
where
    F: FnMut(&Row, &mut String) -> Made + 'q,
{
    Operand::Vector(Box::new(Relabelled {
        call,
        rows,
        destination,
        make,
        value: String::new(),
        builder: LabelsBuilder::default(),
    }))
}

impl<F: FnMut(&Row, &mut String) -> Made> Rows for Relabelled<'_, F> {
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        let Some(mut row) = self.rows.next(run)? else {
            return Ok(None);
        };
        self.value.clear();
        match (self.make)(&row, &mut self.value) {
            Made::Value => {
                self.builder.reset(&row.labels);
                self.builder.set(&self.destination, &self.value);
                row.labels = self.builder.labels();
                // A name that was set on purpose stays.
                row.drops_name &= self.destination != METRIC_NAME;
            }
            Made::Nothing => {}
            Made::TooMuch => {
                let function = self.call.function.name;
                let text =
                    format!("{function}() makes a label value of over {VALUE_BYTES_MAX} bytes");
                return Err(QueryError::Execution(text));
            }
        }
        Ok(Some(row))
    }
}
