//! `and`, `unless` and `or`: keep series of one side where the other has or lacks their signature.

use std::collections::VecDeque;

use super::signature::projection;
use super::steps::Steps;
use crate::promql::QueryError;
use crate::promql::eval::projection::{Groups, Projection};
use crate::promql::eval::{Row, Rows, Run, absent, is_absent};
use crate::promql::parser::Matching;

/// The steps at which a side has each signature.
struct Presence {
    signatures: Groups,
    present: Vec<Steps>,
    steps: usize,
}

impl Presence {
    fn new(matching: &Matching, steps: usize) -> Presence {
        Presence {
            signatures: Groups::new(projection(matching)),
            present: Vec::new(),
            steps,
        }
    }

    fn add(&mut self, row: &Row, run: &mut Run<'_>) -> Result<(), QueryError> {
        let number = self.signatures.number(&row.labels);
        if number == self.present.len() {
            run.hold(0, Steps::bytes(self.steps))?;
            self.present.push(Steps::none(self.steps));
        }
        if let Some(present) = self.present.get_mut(number) {
            present.add(&row.values);
        }
        Ok(())
    }

    fn of(&self, row: &Row) -> Option<&Steps> {
        self.present.get(self.signatures.find(&row.labels)?)
    }

    fn forget(&mut self, run: &mut Run<'_>) {
        run.release(0, Steps::bytes(self.steps) * self.present.len());
        self.present = Vec::new();
    }
}

/// Removes the values except where `keeps` is true. Returns whether any is left.
fn mask(row: &mut Row, keeps: impl Fn(usize) -> bool) -> bool {
    let mut left = false;
    for (step, v) in row.values.iter_mut().enumerate() {
        if is_absent(*v) {
            continue;
        }
        if keeps(step) {
            left = true;
        } else {
            *v = absent();
        }
    }
    left
}

/// `and`, or with `UNLESS` its opposite.
pub(super) struct Filter<'q, const UNLESS: bool> {
    lhs: Box<dyn Rows + 'q>,
    right: Presence,
}

impl<'q, const UNLESS: bool> Filter<'q, UNLESS> {
    /// Reads the right side.
    ///
    /// # Errors
    /// A limit; those of the right side.
    pub fn new(
        matching: &Matching,
        lhs: Box<dyn Rows + 'q>,
        mut rhs: Box<dyn Rows + 'q>,
        steps: usize,
        run: &mut Run<'_>,
    ) -> Result<Self, QueryError> {
        let mut right = Presence::new(matching, steps);
        while let Some(row) = rhs.next(run)? {
            run.check()?;
            right.add(&row, run)?;
        }
        Ok(Filter { lhs, right })
    }
}

impl<const UNLESS: bool> Rows for Filter<'_, UNLESS> {
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        while let Some(mut row) = self.lhs.next(run)? {
            run.check()?;
            let left = match self.right.of(&row) {
                Some(right) => mask(&mut row, |step| right.has(step) != UNLESS),
                None => UNLESS,
            };
            if left {
                return Ok(Some(row));
            }
        }
        self.right.forget(run);
        Ok(None)
    }
}

/// `or`: passes the left side, then what only the right side has.
///
/// The right side is kept, since it fills gaps and is mostly smaller. A series of the left whose
/// labels the right has too waits for it, so that both become one series.
pub(super) struct Or<'q> {
    lhs: Box<dyn Rows + 'q>,
    left: Presence,
    right: VecDeque<Row>,
    /// The right side's labels, in the order of `right`.
    labels: Groups,
    /// Rows of the left side, by the number of their labels in `labels`.
    waiting: Vec<Option<Row>>,
    given: usize,
}

impl<'q> Or<'q> {
    /// Reads the right side.
    ///
    /// # Errors
    /// A limit; those of the right side.
    pub fn new(
        matching: &Matching,
        lhs: Box<dyn Rows + 'q>,
        mut rhs: Box<dyn Rows + 'q>,
        steps: usize,
        run: &mut Run<'_>,
    ) -> Result<Self, QueryError> {
        let mut labels = Groups::new(Projection::all());
        let mut right: VecDeque<Row> = VecDeque::new();
        while let Some(row) = rhs.next(run)? {
            run.check()?;
            run.keep(&row)?;
            let number = labels.number(&row.labels);
            match right.get_mut(number) {
                Some(same) => join(same, &row),
                None => right.push_back(row),
            }
        }
        Ok(Or {
            lhs,
            left: Presence::new(matching, steps),
            waiting: vec![None; right.len()],
            right,
            labels,
            given: 0,
        })
    }
}

impl Rows for Or<'_> {
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        while let Some(row) = self.lhs.next(run)? {
            run.check()?;
            self.left.add(&row, run)?;
            let same = self.labels.find(&row.labels);
            let Some(place) = same.and_then(|number| self.waiting.get_mut(number)) else {
                return Ok(Some(row));
            };
            run.keep(&row)?;
            match place {
                Some(waiting) => join(waiting, &row),
                None => *place = Some(row),
            }
        }
        while let Some(mut row) = self.right.pop_front() {
            run.check()?;
            run.let_go(&row);
            let waiting = self.waiting.get_mut(self.given).and_then(Option::take);
            self.given += 1;
            let left = match self.left.of(&row) {
                Some(left) => mask(&mut row, |step| !left.has(step)),
                None => true,
            };
            if let Some(mut waiting) = waiting {
                run.let_go(&waiting);
                if left {
                    join(&mut waiting, &row);
                }
                return Ok(Some(waiting));
            }
            if left {
                return Ok(Some(row));
            }
        }
        self.left.forget(run);
        Ok(None)
    }
}

/// Fills the gaps of a row from another row of the same labels.
fn join(row: &mut Row, other: &Row) {
    for (v, other) in row.values.iter_mut().zip(&other.values) {
        *v = if is_absent(*v) { *other } else { *v };
    }
    row.drops_name |= other.drops_name;
}
