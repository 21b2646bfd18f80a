//! `count_values`: one series per value.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::groups::projection;
use crate::model::{Labels, LabelsBuilder};
use crate::promql::QueryError;
use crate::promql::eval::projection::{Groups, Projection};
use crate::promql::eval::{Operand, Row, Rows, Run, absent, is_absent};
use crate::promql::parser::{Aggregate, Expr};
use crate::stdx::gofmt;

/// A series number and a step, of one value that was seen.
type Seen = (u32, u32);

/// The bytes of a series besides its labels' text.
const ENTRY_BYTES: usize = 2 * size_of::<((usize, u64), u32)>() + size_of::<Labels>();

/// The least number of entries seen between two counts.
const SEEN_MIN: usize = 1 << 16;

pub(super) struct CountValues {
    labels: Vec<Labels>,
    /// How often each value was seen, by series and step.
    counts: std::iter::Peekable<std::vec::IntoIter<(Seen, u32)>>,
    steps: usize,
    held: usize,
    bytes: usize,
}

impl CountValues {
    /// Reads `input` and counts its values.
    ///
    /// # Errors
    /// An invalid label name; a limit; those of `input`.
    pub fn new<'q>(
        node: &Aggregate,
        mut input: Box<dyn Rows + 'q>,
        param: Option<Operand<'q>>,
        steps: usize,
        run: &mut Run<'_>,
    ) -> Result<CountValues, QueryError> {
        let name = node.param.as_deref().map(Expr::inner);
        if let Some(name @ Expr::Text(text)) = name
            && !text.is_label_name()
        {
            return Err(QueryError::Execution(format!("invalid label name {name}")));
        }
        let label = match param {
            Some(Operand::Text(label)) => label,
            _ => String::new(),
        };
        let mut series = Series::new(node, &label);
        let mut counts = Counts::default();
        while let Some(row) = input.next(run)? {
            run.check()?;
            let group = series.groups.number(&row.labels);
            let mut last = None;
            for (step, &v) in row.values.iter().enumerate() {
                if is_absent(v) {
                    continue;
                }
                let number = match last {
                    Some((bits, number)) if bits == v.to_bits() => number,
                    _ => series.number(group, v, &label, run)?,
                };
                last = Some((v.to_bits(), number));
                counts.add((number, step as u32), run)?;
            }
        }
        counts.finish(run)?;
        Ok(CountValues {
            bytes: series.bytes + counts.bytes,
            labels: series.labels,
            held: counts.held,
            counts: counts.settled.into_iter().peekable(),
            steps,
        })
    }
}

impl Rows for CountValues {
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        run.check()?;
        let Some(&((series, _), _)) = self.counts.peek() else {
            run.release(self.held, self.bytes);
            (self.held, self.bytes) = (0, 0);
            return Ok(None);
        };
        let mut values = vec![absent(); self.steps];
        while let Some(((_, step), count)) = self.counts.next_if(|((s, _), _)| *s == series) {
            if let Some(value) = values.get_mut(step as usize) {
                *value = f64::from(count);
            }
        }
        let labels = self.labels.get(series as usize);
        Ok(Some(Row {
            labels: labels.cloned().unwrap_or_default(),
            drops_name: false,
            values,
        }))
    }
}

/// The result series, by group and value.
struct Series {
    /// Groups by all labels that the clause keeps, apart from the value's.
    groups: Groups,
    /// Whether the clause keeps the value's label.
    shows: bool,
    numbers: HashMap<(usize, u64), u32, RandomState>,
    labels: Vec<Labels>,
    bytes: usize,
}

impl Series {
    fn new(node: &Aggregate, label: &str) -> Series {
        let mut names = node.grouping.clone();
        let (others, shows) = if node.without {
            let shows = projection(node).keeps(label);
            names.push(label.to_owned());
            (Projection::dropping(&names), shows)
        } else {
            names.retain(|name| name != label);
            (Projection::keeping(&names), true)
        };
        Series {
            groups: Groups::new(others),
            shows,
            numbers: HashMap::default(),
            labels: Vec::new(),
            bytes: 0,
        }
    }

    fn number(
        &mut self,
        group: usize,
        v: f64,
        label: &str,
        run: &mut Run<'_>,
    ) -> Result<u32, QueryError> {
        let bits = match v {
            _ if !self.shows => 0,
            _ if v.is_nan() => f64::NAN.to_bits(),
            _ => v.to_bits(),
        };
        if let Some(number) = self.numbers.get(&(group, bits)) {
            return Ok(*number);
        }
        run.check()?;
        let mut labels = self.groups.labels(group);
        if self.shows {
            let mut builder = LabelsBuilder::new(&labels);
            builder.set(label, &plain(v));
            labels = builder.labels();
        }
        let bytes = labels.heap_bytes() + ENTRY_BYTES;
        self.bytes += bytes;
        run.hold(0, bytes)?;
        let number = self.labels.len() as u32;
        self.labels.push(labels);
        self.numbers.insert((group, bits), number);
        Ok(number)
    }
}

/// Writes Go's `FormatFloat(v, 'f', -1, 64)`.
fn plain(v: f64) -> String {
    if v.is_finite() {
        v.to_string()
    } else {
        gofmt::v(v)
    }
}

/// The values seen. They are counted now and then, so that they take one to three times as many
/// entries as the results have values.
#[derive(Default)]
struct Counts {
    settled: Vec<(Seen, u32)>,
    seen: Vec<Seen>,
    held: usize,
    bytes: usize,
}

impl Counts {
    fn add(&mut self, seen: Seen, run: &mut Run<'_>) -> Result<(), QueryError> {
        self.seen.push(seen);
        if self.seen.len() >= SEEN_MIN.max(self.settled.len()) {
            self.settle(run)?;
            if self.settled.len() > SEEN_MIN {
                self.seen.reserve_exact(self.settled.len());
                self.hold(run)?;
            }
        }
        Ok(())
    }

    fn settle(&mut self, run: &mut Run<'_>) -> Result<(), QueryError> {
        // ORDER: before long work, and before memory is taken.
        run.look()?;
        self.settled.reserve_exact(self.seen.len());
        self.hold(run)?;
        self.settled
            .extend(self.seen.drain(..).map(|seen| (seen, 1)));
        self.settled.sort_unstable_by_key(|(seen, _)| *seen);
        self.settled.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        self.hold(run)?;
        run.look()
    }

    fn finish(&mut self, run: &mut Run<'_>) -> Result<(), QueryError> {
        self.settle(run)?;
        self.seen = Vec::new();
        self.settled.shrink_to_fit();
        self.hold(run)
    }

    /// Replaces the counted bytes by those in use now.
    fn hold(&mut self, run: &mut Run<'_>) -> Result<(), QueryError> {
        run.release(self.held, self.bytes);
        self.held = self.settled.len();
        self.bytes = self.settled.capacity() * size_of::<(Seen, u32)>()
            + self.seen.capacity() * size_of::<Seen>();
        run.hold(self.held, self.bytes)
    }
}
