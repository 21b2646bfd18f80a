//! `info()`: adds the labels of the target's info series (`target_info`) to series.

use std::collections::{HashMap, HashSet};

use super::distinct::Merge;
use super::evaluator::Evaluation;
use super::grid::Grid;
use super::instant::{Look, Takes};
use super::operand::Operand;
use super::row::{Row, absent, is_absent};
use super::run::Run;
use super::stored::Stored;
use crate::model::names::METRIC_NAME;
use crate::model::{Labels, LabelsBuilder, MatchOp, Matcher};
use crate::promql::error::QueryError;
use crate::promql::parser::{At, Call, Expr, Extent, Length, VectorSelector};
use crate::stdx::sort::sort;
use crate::storage::Times;

/// The labels that link a series to its info series.
const IDENTITY: [&str; 2] = ["instance", "job"];

type Identity = [String; 2];

/// An info series.
struct Info {
    labels: Labels,
    /// The time of the sample that counts at each step.
    times: Vec<f64>,
}

impl Evaluation {
    pub fn info<'q>(
        &self,
        call: &'q Call,
        grid: Grid,
        run: &mut Run<'_>,
    ) -> Result<Operand<'q>, QueryError> {
        let Some(base) = call.args.first() else {
            return Ok(Operand::Vector(Box::new(Vec::new().into_iter())));
        };
        let wanted = match call.args.get(1).map(Expr::inner) {
            Some(Expr::Vector(selector)) => Wanted::new(&selector.matchers)?,
            _ => Wanted::new(&[])?,
        };
        let mut input = self.rows(base, grid, run)?;
        let mut rows = Vec::new();
        while let Some(row) = input.next(run)? {
            run.keep(&row)?;
            rows.push(row);
        }
        let infos = self.infos(base, &wanted, &rows, grid, run)?;
        let mut enriched = Vec::new();
        for row in rows {
            run.check()?;
            run.let_go(&row);
            if wanted.is_info(row.labels.metric_name()) {
                enriched.push(row);
            } else {
                let known = infos
                    .get(&identity(&row.labels))
                    .map_or(&[][..], Vec::as_slice);
                enrich(&row, known, &wanted, &mut enriched)?;
            }
        }
        Ok(Operand::Vector(Box::new(Merge::new(Box::new(
            enriched.into_iter(),
        )))))
    }

    /// Returns the info series that some of `rows` belong to, at the times that the first selector
    /// of
    /// `base` covers.
    fn infos(
        &self,
        base: &Expr,
        wanted: &Wanted,
        rows: &[Row],
        grid: Grid,
        run: &mut Run<'_>,
    ) -> Result<HashMap<Identity, Vec<Info>>, QueryError> {
        let mut infos: HashMap<Identity, Vec<Info>> = HashMap::new();
        let targets: HashSet<Identity> = { rows.iter() }
            .filter(|row| !wanted.is_info(row.labels.metric_name()))
            .map(|row| identity(&row.labels))
            .filter(|identity| identity.iter().any(|value| !value.is_empty()))
            .collect();
        if targets.is_empty() {
            return Ok(infos);
        }
        let matchers = [wanted.names.clone(), wanted.data.clone()].concat();
        let selector = info_selector(base, matchers);
        let reach = self.reach(selector.at, &selector.offset, grid);
        let look = Look::new(&selector, reach, grid, self.lookback_ms, Takes::Times);
        let counted = run.counted(grid);
        let mut stored = Stored::open(self, &selector.matchers, look.times(), run)?;
        let (mut samples, mut read) = (Vec::new(), Times::default());
        while let Some(series) = stored.next(&mut samples, run)? {
            let labels = series.labels();
            let identity = identity(&labels);
            let mut times = vec![absent(); grid.steps];
            read.clear();
            read.extend(&samples);
            if !targets.contains(&identity) {
                continue;
            }
            let present = look.fill_times(&read, &mut times);
            if present > 0 {
                run.looked_at(present, counted.among_present(&times, present));
                run.hold(
                    grid.steps,
                    grid.steps * size_of::<f64>() + labels.heap_bytes(),
                )?;
                let known = infos.entry(identity).or_default();
                known.push(Info { labels, times });
            }
        }
        Ok(infos)
    }
}

/// Makes the selector of info series, for the times that the first selector of `base` covers.
pub fn info_selector(base: &Expr, matchers: Vec<Matcher>) -> VectorSelector {
    let (at, offset_ms) = first_selector(base).unwrap_or((None, 0));
    VectorSelector {
        matchers,
        is_named: false,
        offset: Length::Fixed(offset_ms),
        at,
        extent: Extent::Plain,
        span: base.span(),
    }
}

/// Returns `@` and `offset` for the first selector inside. The innermost `@` counts, and the
/// offsets up to it add up.
fn first_selector(expr: &Expr) -> Option<(Option<At>, i64)> {
    match expr {
        Expr::Number(_) | Expr::Text(_) => None,
        Expr::Vector(selector) => Some((selector.at, selector.offset.ms())),
        Expr::Matrix(matrix) => Some((matrix.selector.at, matrix.selector.offset.ms())),
        Expr::Unary(unary) => first_selector(&unary.expr),
        Expr::Paren(paren) => first_selector(&paren.expr),
        Expr::Aggregate(node) => first_selector(&node.expr),
        Expr::Binary(node) => first_selector(&node.lhs).or_else(|| first_selector(&node.rhs)),
        Expr::Call(call) => call.args.iter().find_map(first_selector),
        Expr::Subquery(subquery) => match first_selector(&subquery.expr)? {
            (None, offset_ms) => {
                let offset_ms = offset_ms.saturating_add(subquery.offset.ms());
                Some((subquery.at, offset_ms))
            }
            pinned => Some(pinned),
        },
    }
}

/// What the second argument selects.
struct Wanted {
    /// Matchers of the info metric's name.
    names: Vec<Matcher>,
    /// Matchers of its other labels, which are the ones taken. Without matchers all labels are
    /// taken.
    data: Vec<Matcher>,
}

impl Wanted {
    fn new(matchers: &[Matcher]) -> Result<Wanted, QueryError> {
        let is_name = |m: &Matcher| m.name == METRIC_NAME;
        let (mut names, data): (Vec<_>, Vec<_>) = matchers.iter().cloned().partition(is_name);
        let chooses = |m: &Matcher| matches!(m.op, MatchOp::Equal | MatchOp::Regex);
        if names.is_empty() {
            names.push(Matcher::equal(METRIC_NAME, "target_info"));
        } else if !names.iter().any(chooses) {
            let any = Matcher::new(MatchOp::Regex, METRIC_NAME, ".+_info");
            names.push(any.map_err(|error| QueryError::Execution(error.to_string()))?);
        }
        Ok(Wanted { names, data })
    }

    fn is_info(&self, name: &str) -> bool {
        self.names.iter().all(|m| m.matches(name))
    }

    fn takes(&self, label: &str) -> bool {
        self.data.is_empty() || self.data.iter().any(|m| m.name == label)
    }
}

fn identity(labels: &Labels) -> Identity {
    IDENTITY.map(|name| labels.get(name).unwrap_or("").to_owned())
}

/// Adds the results of `row`: one row for each set of labels that its info series had.
fn enrich(
    row: &Row,
    infos: &[Info],
    wanted: &Wanted,
    out: &mut Vec<Row>,
) -> Result<(), QueryError> {
    let mut names: Vec<&str> = infos.iter().map(|i| i.labels.metric_name()).collect();
    sort(&mut names);
    names.dedup();
    let mut choices: Vec<(Vec<Option<usize>>, Option<usize>)> = Vec::new();
    for (step, v) in row
        .values
        .iter()
        .enumerate()
        .filter(|(_, v)| !is_absent(**v))
    {
        let mut chosen = Vec::with_capacity(names.len());
        for name in &names {
            chosen.push(newest(infos, name, step)?);
        }
        let place = if let Some((_, place)) = choices.iter().find(|(c, _)| *c == chosen) {
            *place
        } else {
            let those = chosen.iter().flatten().filter_map(|i| infos.get(*i));
            let place = labels_with(&row.labels, those, wanted)?.map(|labels| {
                out.push(Row {
                    labels,
                    drops_name: row.drops_name,
                    values: vec![absent(); row.values.len()],
                });
                out.len() - 1
            });
            choices.push((chosen, place));
            place
        };
        let made = place.and_then(|place| out.get_mut(place));
        if let Some(slot) = made.and_then(|made| made.values.get_mut(step)) {
            *slot = *v;
        }
    }
    Ok(())
}

/// Returns the info series of that name whose sample at the step is the newest.
fn newest(infos: &[Info], name: &str, step: usize) -> Result<Option<usize>, QueryError> {
    let mut newest: Option<(usize, f64)> = None;
    for (i, info) in infos.iter().enumerate() {
        let t = info.times.get(step).copied().filter(|t| !is_absent(*t));
        let Some(t) = t.filter(|_| info.labels.metric_name() == name) else {
            continue;
        };
        match newest {
            Some((other, at)) if at == t => {
                let existing = infos.get(other).map(|i| i.labels.series_text());
                let (existing, ms) = (existing.unwrap_or_default(), (t * 1000.0).round());
                let new = info.labels.series_text();
                return Err(QueryError::Execution(format!(
                    "found duplicate series for info metric: existing {existing} @ {ms}, \
                     new {new} @ {ms}"
                )));
            }
            Some((_, at)) if at > t => {}
            _ => newest = Some((i, t)),
        }
    }
    Ok(newest.map(|(i, _)| i))
}

/// Adds the labels of `infos` that are missing. Returns none if labels were asked for and there is
/// no info series.
fn labels_with<'i>(
    base: &Labels,
    infos: impl Iterator<Item = &'i Info>,
    wanted: &Wanted,
) -> Result<Option<Labels>, QueryError> {
    let mut found = false;
    let mut added = LabelsBuilder::default();
    for info in infos {
        found = true;
        let labels = info.labels.iter();
        for (name, value) in labels.filter(|(name, _)| *name != METRIC_NAME && wanted.takes(name)) {
            if added.get(name).is_some_and(|other| other != value) {
                return Err(QueryError::Execution(format!("conflicting label: {name}")));
            }
            if base.get(name).is_none() {
                added.set(name, value);
            }
        }
    }
    if !found && !wanted.data.iter().all(Matcher::matches_empty) {
        return Ok(None);
    }
    let mut labels = LabelsBuilder::new(base);
    for (name, value) in added.iter() {
        labels.set(name, value);
    }
    Ok(Some(labels.labels()))
}
