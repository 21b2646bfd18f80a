//! Writes the canonical text of an expression, Prometheus's `String()`.

use std::fmt::{Display, Formatter, Result};
use std::time::Duration;

use super::ast::{
    Aggregate, At, Binary, Call, Cardinality, DurationExpr, Expr, Extent, Length, Matching,
    MatrixSelector, NumberLiteral, Subquery, VectorSelector,
};
use crate::model::duration;
use crate::model::names::{METRIC_NAME, is_legacy_label_name};
use crate::stdx::gofmt;
use crate::stdx::sort::sort;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Expr::Number(number) => number.fmt(f),
            Expr::Text(text) => {
                let bytes = text.bytes.as_deref().unwrap_or(text.value.as_bytes());
                f.write_str(&gofmt::quote_bytes(bytes))
            }
            Expr::Vector(selector) => selector.fmt(f),
            Expr::Matrix(matrix) => matrix.fmt(f),
            Expr::Subquery(subquery) => write!(f, "{}{}", subquery.expr, Brackets(subquery)),
            Expr::Unary(unary) => write!(f, "{}{}", sign(unary.is_minus), unary.expr),
            Expr::Binary(binary) => {
                write!(f, "{} {} {}", binary.lhs, Operator(binary), binary.rhs)
            }
            Expr::Call(call) => call.fmt(f),
            Expr::Aggregate(aggregate) => aggregate.fmt(f),
            Expr::Paren(paren) => write!(f, "({})", paren.expr),
        }
    }
}

pub(super) fn sign(is_minus: bool) -> &'static str {
    if is_minus { "-" } else { "+" }
}

impl Display for NumberLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if !self.is_duration {
            return f.write_str(&gofmt::plain(self.value));
        }
        let minus = if self.value < 0.0 { "-" } else { "" };
        write!(f, "{minus}{}", Milliseconds((self.value * 1000.0) as i64))
    }
}

/// Written as an amount, without a sign.
struct Milliseconds(i64);

impl Display for Milliseconds {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let length = Duration::from_millis(self.0.unsigned_abs());
        f.write_str(&duration::format(length))
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.series(f)?;
        place(f, self.at)?;
        extent(f, self.extent)?;
        offset(f, &self.offset)
    }
}

impl VectorSelector {
    /// Returns the name that stands before the braces.
    pub fn name(&self) -> Option<&str> {
        let last = self.matchers.last().filter(|_| self.is_named)?;
        Some(&last.value)
    }

    /// Writes which series are selected, without the times.
    fn series(&self, f: &mut Formatter<'_>) -> Result {
        let name = self.name();
        f.write_str(name.unwrap_or(""))?;
        let others = self.matchers.iter().filter(|m| {
            // NOTE: without a name nothing is left out, not even `__name__=""`.
            m.name != METRIC_NAME || Some(m.value.as_str()) != name
        });
        let mut texts: Vec<String> = others.map(ToString::to_string).collect();
        if texts.is_empty() {
            return if name.is_none() {
                f.write_str("{}")
            } else {
                Ok(())
            };
        }
        sort(&mut texts);
        write!(f, "{{{}}}", texts.join(","))
    }
}

impl Display for MatrixSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.selector.series(f)?;
        write!(f, "[{}]", self.range)?;
        extent(f, self.selector.extent)?;
        place(f, self.selector.at)?;
        offset(f, &self.selector.offset)
    }
}

/// Writes what follows the expression of a subquery.
pub(super) struct Brackets<'e>(pub &'e Subquery);

impl Display for Brackets<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "[{}:", self.0.range)?;
        if let Some(step) = &self.0.step {
            step.fmt(f)?;
        }
        f.write_str("]")?;
        place(f, self.0.at)?;
        offset(f, &self.0.offset)
    }
}

fn place(f: &mut Formatter<'_>, at: Option<At>) -> Result {
    match at {
        None => Ok(()),
        Some(At::Time(ms)) => write!(f, " @ {:.3}", ms as f64 / 1000.0),
        Some(At::Start) => f.write_str(" @ start()"),
        Some(At::End) => f.write_str(" @ end()"),
    }
}

fn extent(f: &mut Formatter<'_>, extent: Extent) -> Result {
    match extent {
        Extent::Plain => Ok(()),
        extent => write!(f, " {}", extent.as_str()),
    }
}

fn offset(f: &mut Formatter<'_>, offset: &Length) -> Result {
    match offset {
        Length::Fixed(0) => Ok(()),
        Length::Fixed(ms) if *ms < 0 => write!(f, " offset -{offset}"),
        _ => write!(f, " offset {offset}"),
    }
}

/// Writes a fixed length without its sign.
impl Display for Length {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Length::Fixed(ms) => Milliseconds(*ms).fmt(f),
            Length::Computed(length) => length.fmt(f),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            DurationExpr::Number(number) => number.fmt(f),
            DurationExpr::Step(_) => f.write_str("step()"),
            DurationExpr::Range(_) => f.write_str("range()"),
            DurationExpr::Unary(true, length, _) => write!(f, "-{length}"),
            DurationExpr::Unary(false, length, _) => length.fmt(f),
            DurationExpr::Binary(op, lhs, rhs, _) => write!(f, "{lhs} {} {rhs}", op.as_str()),
            DurationExpr::MinOf(a, b, _) => write!(f, "min_of({a}, {b})"),
            DurationExpr::MaxOf(a, b, _) => write!(f, "max_of({a}, {b})"),
            DurationExpr::Paren(length, _) => write!(f, "({length})"),
        }
    }
}

/// Writes a binary operator with its modifiers.
pub(super) struct Operator<'e>(pub &'e Binary);

impl Display for Operator<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(self.0.op.as_str())?;
        if self.0.returns_bool {
            f.write_str(" bool")?;
        }
        self.0.matching.as_ref().map_or(Ok(()), |m| m.fmt(f))
    }
}

impl Display for Matching {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let group = match self.cardinality {
            Cardinality::ManyToOne => Some("left"),
            Cardinality::OneToMany => Some("right"),
            _ => None,
        };
        if !self.labels.is_empty() || self.on || group.is_some() {
            let clause = if self.on { "on" } else { "ignoring" };
            write!(f, " {clause} ({})", Names(&self.labels))?;
        }
        if let Some(side) = group {
            write!(f, " group_{side} ({})", Names(&self.include))?;
        }
        let fill = |f: &mut Formatter<'_>, word, value| write!(f, " {word} ({})", gofmt::v(value));
        if let (Some(left), Some(right)) = (self.fill_left, self.fill_right)
            && left == right
        {
            return fill(f, "fill", left);
        }
        self.fill_left.map_or(Ok(()), |v| fill(f, "fill_left", v))?;
        self.fill_right.map_or(Ok(()), |v| fill(f, "fill_right", v))
    }
}

/// Writes labels, quoted where needed.
struct Names<'e>(&'e [String]);

impl Display for Names<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for (i, name) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            if is_legacy_label_name(name) {
                f.write_str(name)?;
            } else {
                f.write_str(&gofmt::quote(name))?;
            }
        }
        Ok(())
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}(", self.function.name)?;
        for (i, arg) in self.args.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{arg}")?;
        }
        f.write_str(")")
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}(", Clause(self))?;
        if let Some(param) = &self.param {
            write!(f, "{param}, ")?;
        }
        write!(f, "{})", self.expr)
    }
}

/// Writes an aggregation up to its opening parenthesis.
pub(super) struct Clause<'e>(pub &'e Aggregate);

impl Display for Clause<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Aggregate {
            op,
            grouping,
            without,
            ..
        } = self.0;
        f.write_str(op.as_str())?;
        if *without {
            write!(f, " without ({}) ", Names(grouping))
        } else if grouping.is_empty() {
            Ok(())
        } else {
            write!(f, " by ({}) ", Names(grouping))
        }
    }
}
