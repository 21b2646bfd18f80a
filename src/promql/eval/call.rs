//! Evaluates calls: the evaluator's own functions, and those in the table.

use super::absence::absence;
use super::counted::Counted;
use super::distinct::{Merge, Names, merged, names, refused};
use super::evaluator::Evaluation;
use super::grid::Grid;
use super::instant::Takes;
use super::operand::{Operand, Scalars};
use super::parallel::{Make, Parallel};
use super::projection::Projection;
use super::rollup::{Kind, Rollup, Slide, Source, Windows};
use super::row::{Row, absent, is_absent};
use super::rows::Rows;
use super::run::Run;
use super::scalar;
use super::wanted::Wanted;
use crate::model::Labels;
use crate::promql::error::QueryError;
use crate::promql::functions::{
    Implementation, ValueFn, WholeFn, WindowFn, extended, implementation, remarks_names,
};
use crate::promql::parser::{Call, Expr, Extent, MatrixSelector, Type};

impl Evaluation {
    pub fn call<'q>(
        &self,
        call: &'q Call,
        grid: Grid,
        run: &mut Run<'_>,
    ) -> Result<Operand<'q>, QueryError> {
        if let Some(implementation) = implementation(call.function.name) {
            return match implementation {
                Implementation::Window { f, keeps_name } => {
                    let rows: Box<dyn Rows + 'q> =
                        Box::new(self.rollup(call, f, keeps_name, Wanted::all(), grid, run)?);
                    Ok(Operand::Vector(match range_of(call) {
                        Some(range) if !keeps_name => refused(rows, range, run),
                        _ => rows,
                    }))
                }
                Implementation::Value { f } => self.mapped(call, f, grid, run),
                Implementation::Whole(f) => self.whole(call, f, grid, run),
            };
        }
        self.own(call, grid, run)
    }

    fn whole<'q>(
        &self,
        call: &'q Call,
        f: WholeFn,
        grid: Grid,
        run: &mut Run<'_>,
    ) -> Result<Operand<'q>, QueryError> {
        let mut args = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            args.push(self.eval(arg, grid, run)?);
        }
        let result = f(call, args, grid, run)?;
        // NOTE: new labels can make any two series equal, with or without names.
        let relabels = matches!(call.function.name, "label_replace" | "label_join");
        Ok(match result {
            Operand::Vector(rows) if relabels => Operand::Vector(Box::new(Merge::new(rows))),
            result => result,
        })
    }

    /// Evaluates a function that needs the time, the query, or the storage.
    fn own<'q>(
        &self,
        call: &'q Call,
        grid: Grid,
        run: &mut Run<'_>,
    ) -> Result<Operand<'q>, QueryError> {
        let seconds = |ms: i64| Ok(Operand::Scalar(Scalars::Constant(ms as f64 / 1000.0)));
        match (call.function.name, &call.args[..]) {
            ("pi", _) => Ok(Operand::Scalar(Scalars::Constant(std::f64::consts::PI))),
            ("time", _) => Ok(Operand::Scalar(Scalars::times(grid))),
            ("start", _) => seconds(self.grid.start),
            ("end", _) => seconds(self.end),
            ("range", _) => seconds(self.end.saturating_sub(self.grid.start)),
            ("step", _) if self.grid.start == self.end => seconds(0),
            ("step", _) => seconds(self.grid.step_ms),
            ("min_of" | "max_of", [a, b]) => {
                let (a, b) = (self.scalars(a, grid, run)?, self.scalars(b, grid, run)?);
                let is_min = call.function.name == "min_of";
                let f = if is_min { scalar::min } else { scalar::max };
                Ok(Operand::Scalar(a.zip(&b, grid.steps, f)))
            }
            ("scalar", [vector]) => {
                let mut rows = self.rows(vector, grid, run)?;
                let scalars = Scalars::only(&mut *rows, grid.steps, run)?;
                Ok(Operand::Scalar(scalars))
            }
            ("vector", [scalars]) => {
                let values = self.scalars(scalars, grid, run)?.into_values(grid.steps);
                Ok(Operand::Vector(only(values)))
            }
            ("timestamp", [vector]) => self.timestamp(vector, grid, run),
            // The storage does not know when a counter began.
            ("start_timestamp", _) => Ok(Operand::Vector(Box::new(Vec::new().into_iter()))),
            ("absent", [vector]) => {
                let mut rows = match vector.inner() {
                    Expr::Vector(selector) if selector.extent == Extent::Plain => {
                        let wanted = Wanted::few(Projection::keeping(&[]), true);
                        let rows = self.instant(selector, Takes::Presence, wanted, grid, run)?;
                        Box::new(rows)
                    }
                    _ => self.rows(vector, grid, run)?,
                };
                let rows = absence(&mut *rows, vector, grid.steps, run)?;
                Ok(Operand::Vector(Box::new(rows.into_iter())))
            }
            ("absent_over_time", [range]) => {
                let wanted = Wanted::few(Projection::keeping(&[]), true);
                let mut rows = self.rollup(call, |_, _, _| 1.0, true, wanted, grid, run)?;
                let rows = absence(&mut rows, range, grid.steps, run)?;
                Ok(Operand::Vector(Box::new(rows.into_iter())))
            }
            ("info", _) => self.info(call, grid, run),
            (name, _) => Err(QueryError::Execution(format!(
                "unknown function with name \"{name}\""
            ))),
        }
    }

    /// Maps each value. The functions of date parts take `time()` by default.
    fn mapped<'q>(
        &self,
        call: &'q Call,
        f: ValueFn,
        grid: Grid,
        run: &mut Run<'_>,
    ) -> Result<Operand<'q>, QueryError> {
        let (mut vector, mut args) = (None, Vec::new());
        for arg in &call.args {
            match self.eval(arg, grid, run)? {
                Operand::Scalar(scalars) => args.push(scalars),
                Operand::Vector(rows) => vector = Some((rows, arg)),
                Operand::Text(_) => {}
            }
        }
        let Some((rows, of)) = vector else {
            let rows = only(Scalars::times(grid).into_values(grid.steps));
            return Ok(Operand::Vector(Box::new(Mapped { rows, f, args })));
        };
        let rows: Box<dyn Rows + 'q> = Box::new(Mapped { rows, f, args });
        Ok(Operand::Vector(merged(rows, of, run)))
    }

    fn timestamp<'q>(
        &self,
        vector: &'q Expr,
        grid: Grid,
        run: &mut Run<'_>,
    ) -> Result<Operand<'q>, QueryError> {
        let rows: Box<dyn Rows + 'q> = if let Expr::Vector(selector) = vector.inner() {
            let rows = self.instant(selector, Takes::Times, Wanted::all(), grid, run)?;
            Box::new(Mapped {
                rows: Box::new(rows),
                f: |v, _| v,
                args: Vec::new(),
            })
        } else {
            Box::new(Mapped {
                rows: self.rows(vector, grid, run)?,
                f: |_, args| args.first().copied().unwrap_or(f64::NAN),
                args: vec![Scalars::times(grid)],
            })
        };
        Ok(Operand::Vector(merged(rows, vector, run)))
    }

    /// Returns the rows of a function over stored ranges, with no more labels than `projection`
    /// keeps. Returns `None` for another call.
    pub(super) fn windows_of<'q>(
        &self,
        call: &'q Call,
        projection: Projection,
        grid: Grid,
        run: &mut Run<'_>,
    ) -> Result<Option<Rollup<'q>>, QueryError> {
        let Some(Implementation::Window { f, keeps_name }) = implementation(call.function.name)
        else {
            return Ok(None);
        };
        let Some(range @ Expr::Matrix(_)) = range_of(call).map(Expr::inner) else {
            return Ok(None);
        };
        let may_be_alike = !keeps_name && names(range) == Names::Many;
        let wanted = Wanted::few(projection, !keeps_name).telling_identity(may_be_alike);
        self.rollup(call, f, keeps_name, wanted, grid, run)
            .map(Some)
    }

    /// Applies `f` to the windows over the call's range.
    fn rollup<'q>(
        &self,
        call: &'q Call,
        f: WindowFn,
        keeps_name: bool,
        wanted: Wanted,
        grid: Grid,
        run: &mut Run<'_>,
    ) -> Result<Rollup<'q>, QueryError> {
        let wanted = wanted.telling_name(remarks_names(call));
        let (mut args, mut range) = (Vec::new(), None);
        for arg in &call.args {
            match arg.inner() {
                range_arg @ (Expr::Matrix(_) | Expr::Subquery(_)) => range = Some(range_arg),
                _ => args.push(self.scalars(arg, grid, run)?),
            }
        }
        match range {
            Some(Expr::Matrix(matrix)) => {
                let mut slide = self.slide(matrix, grid);
                slide.args = args;
                slide.counted = run.counted(grid);
                slide.f = match matrix.selector.extent {
                    Extent::Plain => f,
                    extent => extended(call.function.name, extent)?,
                };
                if matrix.selector.extent == Extent::Plain {
                    slide.kind = Kind::of(call.function.name);
                }
                let matchers = &matrix.selector.matchers;
                let any_order = !wanted.is_all();
                let set = self.select(matchers, slide.times(), any_order, run)?;
                let windows = Windows::new(call, slide, keeps_name, wanted);
                let parallel = Parallel::new(set, windows.another(), run);
                Ok(Rollup::new(
                    call,
                    Source::Stored(Box::new(parallel)),
                    windows,
                ))
            }
            Some(Expr::Subquery(subquery)) => {
                let (source, reach) = self.subquery(subquery, grid, run)?;
                let slide = Slide {
                    f,
                    kind: Kind::of(call.function.name),
                    args,
                    reach,
                    range_ms: subquery.range.ms(),
                    before_ms: 0,
                    ahead_ms: 0,
                    grid,
                    counted: Counted::default(),
                };
                Ok(Rollup::new(
                    call,
                    source,
                    Windows::new(call, slide, keeps_name, wanted),
                ))
            }
            _ => {
                let name = call.function.name;
                let text = format!("expected type range vector in call to function \"{name}\"");
                Err(QueryError::Execution(text))
            }
        }
    }

    /// Returns the windows of a range selector, before their function is known.
    pub fn slide(&self, matrix: &MatrixSelector, grid: Grid) -> Slide {
        let selector = &matrix.selector;
        let (before_ms, ahead_ms) = match selector.extent {
            Extent::Plain => (0, 0),
            Extent::Anchored => (self.lookback_ms, 0),
            Extent::Smoothed => (self.lookback_ms, self.lookback_ms),
        };
        Slide {
            f: |_, _, _| absent(),
            kind: Kind::Any,
            args: Vec::new(),
            reach: self.reach(selector.at, &selector.offset, grid),
            range_ms: matrix.range.ms(),
            before_ms,
            ahead_ms,
            grid,
            counted: Counted::default(),
        }
    }
}

/// Returns the argument that is a range.
fn range_of(call: &Call) -> Option<&Expr> {
    let is_range = |arg: &&Expr| arg.value_type() == Type::Matrix;
    call.args.iter().find(is_range)
}

/// Makes one series without labels.
fn only<'q>(values: Vec<f64>) -> Box<dyn Rows + 'q> {
    let row = Row {
        labels: Labels::empty(),
        drops_name: false,
        values,
    };
    Box::new(vec![row].into_iter())
}

/// Applies `f` to each value, with the scalar arguments at its step.
struct Mapped<'q> {
    rows: Box<dyn Rows + 'q>,
    f: ValueFn,
    args: Vec<Scalars>,
}

impl Rows for Mapped<'_> {
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        while let Some(mut row) = self.rows.next(run)? {
            let mut args: Vec<f64> = self.args.iter().map(|scalars| scalars.at(0)).collect();
            let vary = { self.args.iter() }.any(|scalars| matches!(scalars, Scalars::Each(_)));
            let mut found = false;
            for (step, v) in row.values.iter_mut().enumerate() {
                if is_absent(*v) {
                    continue;
                }
                if vary {
                    for (arg, scalars) in args.iter_mut().zip(&self.args) {
                        *arg = scalars.at(step);
                    }
                }
                *v = (self.f)(*v, &args);
                found |= !is_absent(*v);
            }
            if found {
                run.drop_name(&mut row);
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    fn take_parts(&mut self) {
        self.rows.take_parts();
    }
}
