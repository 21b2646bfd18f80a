//! Functions of classic histograms, where series that differ only in `le` belong together.

use std::collections::HashMap;
use std::vec::IntoIter;

use super::args::Args;
use super::buckets::{Bucket, fraction, push, quantile};
use super::remarks::{Falls, argument_span, remark_bucket, remark_quantile};
use crate::model::{Labels, LabelsBuilder};
use crate::promql::error::QueryError;
use crate::promql::eval::{Grid, Operand, Row, Rows, Run, absent, is_absent};
use crate::promql::parser::{Call, Span};
use crate::stdx::sort::sort_by;
use crate::stdx::{gofloat, gofmt};

const LE: &str = "le";

pub(super) fn histogram_quantile<'q>(
    call: &'q Call,
    operands: Vec<Operand<'q>>,
    grid: Grid,
    run: &mut Run<'_>,
) -> Result<Operand<'q>, QueryError> {
    let mut args = Args::new(operands);
    let phi = args.scalar()?;
    remark_quantile(call, 0, &phi, grid, run);
    let span = argument_span(call, 1);
    let groups = collect(args.vector()?, &span, run)?;
    let compute = move |group: &Group, falls: &mut Falls, run: &mut Run<'_>| {
        let values = group.evaluate(grid, |step, buckets| {
            let (value, forced) = quantile(phi.at(step), buckets);
            falls.add(&group.labels, forced, grid.time(step));
            value
        });
        Ok(vec![nameless(&group.labels, values, run)])
    };
    Ok(results(groups, Falls::new(span), compute))
}

pub(super) fn histogram_quantiles<'q>(
    call: &'q Call,
    operands: Vec<Operand<'q>>,
    grid: Grid,
    run: &mut Run<'_>,
) -> Result<Operand<'q>, QueryError> {
    let mut args = Args::new(operands);
    let (rows, label, phis) = (args.vector()?, args.text()?, args.scalars()?);
    for (i, phi) in phis.iter().enumerate() {
        remark_quantile(call, i + 2, phi, grid, run);
    }
    let span = argument_span(call, 0);
    let groups = collect(rows, &span, run)?;
    let compute = move |group: &Group, falls: &mut Falls, run: &mut Run<'_>| {
        let mut made = Made::new(&label, grid);
        let mut failed = Ok(());
        group.evaluate(grid, |step, buckets| {
            for phi in phis.iter().map(|phi| phi.at(step)) {
                let (value, forced) = quantile(phi, buckets);
                falls.add(&group.labels, forced, grid.time(step));
                if failed.is_ok() {
                    failed = made.add(group, phi, step, value, run);
                }
            }
            absent()
        });
        failed.map(|()| made.rows)
    };
    Ok(results(groups, Falls::new(span), compute))
}

pub(super) fn histogram_fraction<'q>(
    call: &'q Call,
    operands: Vec<Operand<'q>>,
    grid: Grid,
    run: &mut Run<'_>,
) -> Result<Operand<'q>, QueryError> {
    let mut args = Args::new(operands);
    let (lower, upper) = (args.scalar()?, args.scalar()?);
    let span = argument_span(call, 2);
    let groups = collect(args.vector()?, &span, run)?;
    let compute = move |group: &Group, _: &mut Falls, run: &mut Run<'_>| {
        let values = group.evaluate(grid, |step, buckets| {
            fraction(lower.at(step), upper.at(step), buckets)
        });
        Ok(vec![nameless(&group.labels, values, run)])
    };
    Ok(results(groups, Falls::new(span), compute))
}

/// Functions of native histograms only. There are none here, so the result is empty.
pub(super) fn native<'q>(
    _: &'q Call,
    operands: Vec<Operand<'q>>,
    _: Grid,
    run: &mut Run<'_>,
) -> Result<Operand<'q>, QueryError> {
    let mut rows = Args::new(operands).vector()?;
    while rows.next(run)?.is_some() {
        run.check()?;
    }
    Ok(Operand::Vector(Box::new(Vec::new().into_iter())))
}

/// A classic histogram over all steps.
struct Group {
    /// The series' labels without `le`.
    labels: Labels,
    buckets: Vec<Column>,
    samples: usize,
    bytes: usize,
}

/// A bucket over all steps.
struct Column {
    le: f64,
    counts: Vec<f64>,
}

/// Groups series by their labels without `le`. All are held until their group is computed.
fn collect(
    mut rows: Box<dyn Rows + '_>,
    span: &Span,
    run: &mut Run<'_>,
) -> Result<Vec<Group>, QueryError> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut builder = LabelsBuilder::default();
    while let Some(row) = rows.next(run)? {
        run.check()?;
        let samples = row.present();
        if samples == 0 {
            continue;
        }
        let text = row.labels.get(LE).unwrap_or("");
        let Ok(le) = gofloat::parse_float(text) else {
            remark_bucket(&row.labels, text, span, run);
            continue;
        };
        builder.reset(&row.labels);
        builder.delete(LE);
        let labels = builder.labels();
        let mut bytes = row.values.capacity() * size_of::<f64>() + size_of::<Column>();
        let place = places.get(&labels).copied().unwrap_or(groups.len());
        if place == groups.len() {
            bytes += labels.heap_bytes() + 2 * size_of::<Group>();
            places.insert(labels.clone(), place);
            groups.push(Group::new(labels));
        }
        run.hold(samples, bytes)?;
        if let Some(group) = groups.get_mut(place) {
            group.samples += samples;
            group.bytes += bytes;
            let counts = row.values;
            group.buckets.push(Column { le, counts });
        }
    }
    Ok(groups)
}

impl Group {
    fn new(labels: Labels) -> Group {
        Group {
            labels,
            buckets: Vec::new(),
            samples: 0,
            bytes: 0,
        }
    }

    /// Returns `of(step, buckets)` for each step that has buckets.
    fn evaluate(&self, grid: Grid, mut of: impl FnMut(usize, &mut [Bucket]) -> f64) -> Vec<f64> {
        let mut columns: Vec<&Column> = self.buckets.iter().collect();
        sort_by(&mut columns, |a, b| a.le.total_cmp(&b.le));
        let mut buckets = Vec::with_capacity(columns.len());
        let mut values = Vec::with_capacity(grid.steps);
        for step in 0..grid.steps {
            buckets.clear();
            for column in &columns {
                let count = column.counts.get(step).copied().unwrap_or(absent());
                if !is_absent(count) {
                    let le = column.le;
                    push(&mut buckets, Bucket { le, count });
                }
            }
            values.push(if buckets.is_empty() {
                absent()
            } else {
                of(step, &mut buckets)
            });
        }
        values
    }
}

fn nameless(labels: &Labels, values: Vec<f64>, run: &Run<'_>) -> Row {
    let mut row = Row {
        labels: labels.clone(),
        drops_name: false,
        values,
    };
    run.drop_name(&mut row);
    row
}

/// The rows of one group, by the quantile in their label.
struct Made<'m> {
    label: &'m str,
    grid: Grid,
    rows: Vec<Row>,
    /// The quantile of each row, as bits.
    phis: Vec<u64>,
}

impl<'m> Made<'m> {
    fn new(label: &'m str, grid: Grid) -> Made<'m> {
        Made {
            label,
            grid,
            rows: Vec::new(),
            phis: Vec::new(),
        }
    }

    fn add(
        &mut self,
        group: &Group,
        phi: f64,
        step: usize,
        value: f64,
        run: &mut Run<'_>,
    ) -> Result<(), QueryError> {
        let bits = (if phi.is_nan() { f64::NAN } else { phi }).to_bits();
        let known = self.phis.iter().position(|known| *known == bits);
        let place = known.unwrap_or(self.rows.len());
        if known.is_none() {
            run.hold(0, self.grid.steps * size_of::<f64>())?;
            let mut row = nameless(&group.labels, vec![absent(); self.grid.steps], run);
            let mut builder = LabelsBuilder::new(&row.labels);
            builder.set(self.label, &openmetrics(phi));
            row.labels = builder.labels();
            self.rows.push(row);
            self.phis.push(bits);
        }
        let values = self.rows.get_mut(place).map(|row| &mut row.values);
        match values.and_then(|values| values.get_mut(step)) {
            Some(v) if is_absent(*v) => {
                *v = value;
                Ok(())
            }
            _ => Err(QueryError::Execution(
                "vector cannot contain metrics with the same labelset".to_owned(),
            )),
        }
    }
}

/// Writes a number as OpenMetrics does: never as an integer.
fn openmetrics(v: f64) -> String {
    let mut text = String::new();
    gofmt::push_text_float(&mut text, v);
    if v.is_finite() && !text.contains(['e', '.']) {
        text.push_str(".0");
    }
    text
}

/// Gives the rows of one group after another.
struct Results<F> {
    groups: IntoIter<Group>,
    ready: IntoIter<Row>,
    falls: Falls,
    compute: F,
}

fn results<'q, F>(groups: Vec<Group>, falls: Falls, compute: F) -> Operand<'q>
where
    F: FnMut(&Group, &mut Falls, &mut Run<'_>) -> Result<Vec<Row>, QueryError> + 'q,
{
    Operand::Vector(Box::new(Results {
        groups: groups.into_iter(),
        ready: Vec::new().into_iter(),
        falls,
        compute,
    }))
}

impl<F> Rows for Results<F>
where
    F: FnMut(&Group, &mut Falls, &mut Run<'_>) -> Result<Vec<Row>, QueryError>,
{
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        loop {
            if let Some(row) = Iterator::next(&mut self.ready) {
                return Ok(Some(row));
            }
            let Some(group) = self.groups.next() else {
                self.falls.tell(run);
                return Ok(None);
            };
            run.look()?;
            self.ready = (self.compute)(&group, &mut self.falls, run)?.into_iter();
            run.release(group.samples, group.bytes);
        }
    }
}
