//! Merges series that become equal when they lose their names.
//!
//! Most queries name one metric. Its series stay distinct without the name, and stream through.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use foldhash::quality::RandomState;

use super::row::{Row, is_absent};
use super::rows::Rows;
use super::run::Run;
use crate::model::names::METRIC_NAME;
use crate::model::{Labels, MatchOp, Matcher};
use crate::promql::error::QueryError;
use crate::promql::parser::{Aggregate, Aggregator, Binary, BinaryOp, Call, Expr, Type};

/// How many metric names the series of a vector may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Names {
    None,
    One,
    Many,
}

/// Returns the number of names in an expression's result, or a larger one.
pub fn names(expr: &Expr) -> Names {
    match expr {
        Expr::Number(_) | Expr::Text(_) => Names::None,
        Expr::Vector(selector) => names_selected(&selector.matchers),
        Expr::Matrix(matrix) => names_selected(&matrix.selector.matchers),
        Expr::Subquery(subquery) => names(&subquery.expr),
        Expr::Unary(unary) if unary.is_minus => Names::None,
        Expr::Unary(unary) => names(&unary.expr),
        Expr::Paren(paren) => names(&paren.expr),
        Expr::Binary(binary) => names_joined(binary),
        Expr::Call(call) => names_called(call),
        Expr::Aggregate(aggregate) => names_grouped(aggregate),
    }
}

fn names_selected(matchers: &[Matcher]) -> Names {
    let is_name = |m: &Matcher| m.op == MatchOp::Equal && m.name == METRIC_NAME;
    if matchers.iter().any(is_name) {
        Names::One
    } else {
        Names::Many
    }
}

fn names_joined(binary: &Binary) -> Names {
    let includes_name = { binary.matching.as_ref() }
        .is_some_and(|m| m.include.iter().any(|label| label == METRIC_NAME));
    let (lhs, rhs) = (&*binary.lhs, &*binary.rhs);
    match binary.op {
        _ if includes_name => Names::Many,
        BinaryOp::Or => match (names(lhs), names(rhs)) {
            (Names::None, Names::None) => Names::None,
            _ => Names::Many,
        },
        op if op.is_set() => names(lhs),
        op if op.is_comparison() && !binary.returns_bool => match lhs.value_type() {
            Type::Scalar => names(rhs),
            _ => names(lhs).max(names(rhs)),
        },
        _ => Names::None,
    }
}

fn names_called(call: &Call) -> Names {
    let of_args = || call.args.iter().map(names).max().unwrap_or(Names::None);
    match call.function.name {
        "label_replace" | "label_join" | "info" => Names::Many,
        "first_over_time" | "last_over_time" | "sort" | "sort_desc" | "sort_by_label"
        | "sort_by_label_desc" => of_args(),
        _ => Names::None,
    }
}

fn names_grouped(aggregate: &Aggregate) -> Names {
    use Aggregator::{Bottomk, CountValues, LimitRatio, Limitk, Topk};
    match aggregate.op {
        CountValues => Names::Many,
        Topk | Bottomk | Limitk | LimitRatio => names(&aggregate.expr),
        _ if aggregate.without => Names::None,
        _ if aggregate.grouping.iter().any(|label| label == METRIC_NAME) => names(&aggregate.expr),
        _ => Names::None,
    }
}

/// Merges the rows of a function that maps one row to one and has dropped the names of `of`. Rows
/// of the same labels that never meet at one step become one.
pub fn merged<'q>(rows: Box<dyn Rows + 'q>, of: &Expr, run: &Run<'_>) -> Box<dyn Rows + 'q> {
    if run.delays_names() || names(of) != Names::Many {
        return rows;
    }
    Box::new(Merge::new(rows))
}

/// Does as [`merged`], where Prometheus refuses rows of the same labels even if they never meet.
pub fn refused<'q>(rows: Box<dyn Rows + 'q>, of: &Expr, run: &Run<'_>) -> Box<dyn Rows + 'q> {
    if run.delays_names() || names(of) != Names::Many {
        return rows;
    }
    Box::new(Distinct {
        rows,
        seen: HashSet::new(),
    })
}

pub fn same_labels() -> QueryError {
    QueryError::Execution("vector cannot contain metrics with the same labelset".to_owned())
}

struct Distinct<'q> {
    rows: Box<dyn Rows + 'q>,
    seen: HashSet<Labels>,
}

impl Rows for Distinct<'_> {
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        let row = self.rows.next(run)?;
        if let Some(row) = &row {
            run.hold(0, row.labels.heap_bytes() + 2 * size_of::<Labels>())?;
            if !self.seen.insert(row.labels.clone()) {
                return Err(same_labels());
            }
        }
        Ok(row)
    }
}

/// Merges rows of the same labels. Rows before the first one with a gap stream through, since
/// nothing can be added to them. From that row on all are held, since a later row may fill the gap.
/// A caller that takes parts gets every row immediately; then only each series' steps are held.
pub struct Merge<'q> {
    rows: Option<Box<dyn Rows + 'q>>,
    parts: Option<Parts>,
    /// The labels of the rows that streamed through.
    given: HashSet<Labels>,
    given_bytes: usize,
    merged: std::vec::IntoIter<Row>,
}

impl<'q> Merge<'q> {
    pub fn new(rows: Box<dyn Rows + 'q>) -> Merge<'q> {
        Merge {
            rows: Some(rows),
            parts: None,
            given: HashSet::new(),
            given_bytes: 0,
            merged: Vec::new().into_iter(),
        }
    }

    fn give(&mut self, row: Row, run: &mut Run<'_>) -> Result<Row, QueryError> {
        let bytes = row.labels.heap_bytes() + 2 * size_of::<Labels>();
        self.given_bytes += bytes;
        run.hold(0, bytes)?;
        if self.given.insert(row.labels.clone()) {
            Ok(row)
        } else {
            Err(same_labels())
        }
    }

    /// Collects `first` and all rows behind it.
    fn collect(
        &mut self,
        first: Option<Row>,
        mut rows: Box<dyn Rows + 'q>,
        run: &mut Run<'_>,
    ) -> Result<Vec<Row>, QueryError> {
        let mut merged: Vec<Row> = Vec::new();
        let mut places: HashMap<Labels, usize> = HashMap::new();
        let mut next = first;
        while let Some(row) = next {
            run.check()?;
            if self.given.contains(&row.labels) {
                if row.present() > 0 {
                    return Err(same_labels());
                }
                next = rows.next(run)?;
                continue;
            }
            let place = *places.entry(row.labels.clone()).or_insert(merged.len());
            if let Some(old) = merged.get_mut(place) {
                overlay(old, &row)?;
            } else {
                run.keep(&row)?;
                merged.push(row);
            }
            next = rows.next(run)?;
        }
        self.given = HashSet::new();
        run.release(0, std::mem::take(&mut self.given_bytes));
        Ok(merged)
    }
}

/// The rows that were given as parts.
#[derive(Default)]
struct Parts {
    /// The series' numbers by a hash of their labels, which collides as rarely as an identity.
    numbers: HashMap<u64, usize, RandomState>,
    /// One bit per step, in whole words per series.
    steps: Vec<u64>,
    bytes_held: usize,
}

impl Parts {
    /// Records the steps of a part, where no other part may have values.
    fn add(&mut self, row: &Row, run: &mut Run<'_>) -> Result<(), QueryError> {
        let words = row.values.len().div_ceil(STEPS_A_WORD);
        let (hash, new) = (
            self.numbers.hasher().hash_one(&row.labels),
            self.numbers.len(),
        );
        let number = *self.numbers.entry(hash).or_insert(new);
        if number == new {
            let bytes = 2 * size_of::<(u64, usize)>() + words * size_of::<u64>();
            self.bytes_held += bytes;
            run.hold(0, bytes)?;
            self.steps.resize((number + 1) * words, 0);
        }
        let steps = self.steps.get_mut(number * words..);
        for (word, values) in { steps.into_iter().flatten() }.zip(row.values.chunks(STEPS_A_WORD)) {
            let bits = values.iter().rev();
            let bits = bits.fold(0, |bits, v| bits << 1 | u64::from(!is_absent(*v)));
            if *word & bits != 0 {
                return Err(same_labels());
            }
            *word |= bits;
        }
        Ok(())
    }
}

const STEPS_A_WORD: usize = u64::BITS as usize;

/// Adds the values of `row` to `old`, which must have none at the same steps.
fn overlay(old: &mut Row, row: &Row) -> Result<(), QueryError> {
    for (slot, value) in old.values.iter_mut().zip(&row.values) {
        if is_absent(*value) {
            continue;
        }
        if !is_absent(*slot) {
            return Err(same_labels());
        }
        *slot = *value;
    }
    Ok(())
}

impl Rows for Merge<'_> {
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        if let Some(parts) = &mut self.parts {
            run.check()?;
            let rows = self.rows.as_mut();
            let row = rows.map_or(Ok(None), |rows| rows.next(run))?;
            match &row {
                Some(row) => parts.add(row, run)?,
                None => run.release(0, std::mem::take(parts).bytes_held),
            }
            return Ok(row);
        }
        if let Some(mut rows) = self.rows.take() {
            run.check()?;
            match rows.next(run)? {
                Some(row) if !row.values.iter().copied().any(is_absent) => {
                    let row = self.give(row, run)?;
                    self.rows = Some(rows);
                    return Ok(Some(row));
                }
                first => self.merged = self.collect(first, rows, run)?.into_iter(),
            }
        }
        let row = Iterator::next(&mut self.merged);
        if let Some(row) = &row {
            run.let_go(row);
        }
        Ok(row)
    }

    fn take_parts(&mut self) {
        self.parts = Some(Parts::default());
        if let Some(rows) = &mut self.rows {
            rows.take_parts();
        }
    }
}
