//! The side of a join that has one series per signature.

use super::signature::projection;
use super::steps::Steps;
use crate::model::Labels;
use crate::promql::QueryError;
use crate::promql::eval::projection::Groups;
use crate::promql::eval::{Row, Rows, Run, absent, is_absent};
use crate::promql::parser::{Cardinality, Matching};

/// The values of a signature at every step.
pub(super) struct Signature {
    /// The labels of its series, one after another.
    pub members: Vec<Labels>,
    /// Empty if there is no series.
    pub values: Vec<f64>,
    /// The member whose value it is, by step. Empty while there is only one member.
    owners: Vec<u32>,
    /// The steps at which the many side has matched it.
    pub matched: Steps,
}

impl Signature {
    /// Returns the member that the value at `step` belongs to. Call it only where there is a value.
    pub fn owner(&self, step: usize) -> usize {
        self.owners.get(step).map_or(0, |owner| *owner as usize)
    }
}

/// Two series of one signature have a value at one step. That is an error if the other side has any
/// value at that step.
struct Conflict {
    step: usize,
    text: String,
}

pub(super) struct OneSide<'q> {
    matching: &'q Matching,
    groups: Groups,
    signatures: Vec<Signature>,
    /// In the order of steps; the first of each step.
    conflicts: Vec<Conflict>,
    steps: usize,
    bytes: usize,
}

impl<'q> OneSide<'q> {
    /// Reads the one side.
    ///
    /// # Errors
    /// A limit; those of the side.
    pub fn read<'r>(
        matching: &'q Matching,
        mut rows: Box<dyn Rows + 'r>,
        steps: usize,
        run: &mut Run<'_>,
    ) -> Result<OneSide<'q>, QueryError> {
        let mut side = OneSide {
            matching,
            groups: Groups::new(projection(matching)),
            signatures: Vec::new(),
            conflicts: Vec::new(),
            steps,
            bytes: 0,
        };
        while let Some(row) = rows.next(run)? {
            run.check()?;
            side.add(row, run)?;
        }
        if let Some(conflict) = side.conflicts.first()
            && (matching.fill_left.is_some() || matching.fill_right.is_some())
        {
            return Err(QueryError::Execution(conflict.text.clone()));
        }
        Ok(side)
    }

    /// Returns the signature of a series of the other side. Without `makes`, `None` if no series
    /// has it here.
    pub fn signature(
        &mut self,
        labels: &Labels,
        makes: bool,
        run: &mut Run<'_>,
    ) -> Result<Option<usize>, QueryError> {
        if !makes {
            return Ok(self.groups.find(labels));
        }
        let number = self.groups.number(labels);
        if number == self.signatures.len() {
            self.hold(size_of::<Signature>() + Steps::bytes(self.steps), run)?;
            self.signatures.push(Signature {
                members: Vec::new(),
                values: Vec::new(),
                owners: Vec::new(),
                matched: Steps::none(self.steps),
            });
        }
        Ok(Some(number))
    }

    pub fn get(&mut self, number: usize) -> Option<&mut Signature> {
        self.signatures.get_mut(number)
    }

    /// Checks a row of the other side.
    ///
    /// # Errors
    /// `row` has a value where this side is not unique.
    pub fn check(&self, row: &Row) -> Result<(), QueryError> {
        for conflict in &self.conflicts {
            if row
                .values
                .get(conflict.step)
                .is_some_and(|v| !is_absent(*v))
            {
                return Err(QueryError::Execution(conflict.text.clone()));
            }
        }
        Ok(())
    }

    /// Releases what is held.
    pub fn forget(&mut self, run: &mut Run<'_>) {
        run.release(0, self.bytes);
        self.bytes = 0;
        self.signatures = Vec::new();
    }

    fn hold(&mut self, bytes: usize, run: &mut Run<'_>) -> Result<(), QueryError> {
        self.bytes += bytes;
        run.hold(0, bytes)
    }

    fn add(&mut self, row: Row, run: &mut Run<'_>) -> Result<(), QueryError> {
        let number = self.signature(&row.labels, true, run)?.unwrap_or(0);
        let labels = size_of::<Labels>() + row.labels.heap_bytes();
        self.hold(labels, run)?;
        let more = match self.signatures.get(number).map(|s| s.members.len()) {
            Some(0) => row.values.capacity() * size_of::<f64>(),
            Some(1) => self.steps * size_of::<u32>(),
            _ => 0,
        };
        self.hold(more, run)?;
        let Some(signature) = self.signatures.get_mut(number) else {
            return Ok(());
        };
        if signature.members.is_empty() {
            signature.members.push(row.labels);
            signature.values = row.values;
            return Ok(());
        }
        let owner = signature.members.len() as u32;
        signature.owners.resize(self.steps, 0);
        let mut twice = Vec::new();
        for (step, v) in row.values.iter().enumerate() {
            if is_absent(*v) {
                continue;
            }
            if !is_absent(signature.values.get(step).copied().unwrap_or(absent())) {
                twice.push(step);
            }
            if let (Some(value), Some(of)) = (
                signature.values.get_mut(step),
                signature.owners.get_mut(step),
            ) {
                (*value, *of) = (*v, owner);
            }
        }
        signature.members.push(row.labels);
        self.note(number, &twice);
        Ok(())
    }

    /// Records that the last member of a signature is not alone at `steps`.
    fn note(&mut self, number: usize, steps: &[usize]) {
        if steps.is_empty() {
            return;
        }
        let Some(signature) = self.signatures.get(number) else {
            return;
        };
        let text = self.duplicate(number, signature);
        for &step in steps {
            if let Err(at) = self.conflicts.binary_search_by_key(&step, |c| c.step) {
                let text = text.clone();
                self.conflicts.insert(at, Conflict { step, text });
            }
        }
    }

    fn duplicate(&self, number: usize, signature: &Signature) -> String {
        let mut names = signature
            .members
            .iter()
            .rev()
            .take(2)
            .map(Labels::to_string);
        let (a, b) = (
            names.next().unwrap_or_default(),
            names.next().unwrap_or_default(),
        );
        let (first, second) = if a > b { (b, a) } else { (a, b) };
        let side = match self.matching.cardinality {
            Cardinality::OneToMany => "left",
            _ => "right",
        };
        format!(
            "found duplicate series for the match group {} on the {side} hand-side of the \
             operation: [{first}, {second}];many-to-many matching not allowed: matching labels \
             must be unique on one side",
            self.groups.labels(number)
        )
    }
}
