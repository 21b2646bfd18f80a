//! `/format_query` and `/parse_query`: describe a query without running it.

use std::fmt::Write as _;

use super::parameters::query;
use super::{Answer, ApiError};
use crate::model::Matcher;
use crate::promql::{
    self, Aggregate, Arity, At, Binary, Call, Cardinality, DurationExpr, Expr, Extent, Length,
    Matching, Subquery, VectorSelector,
};
use crate::stdx::gofmt;
use crate::web::context::Context;
use crate::web::json;
use crate::web::server::Request;

pub fn format_query(context: &Context, request: &Request) -> Result<Answer, ApiError> {
    let mut data = String::new();
    json::push_text(&mut data, &promql::pretty(&parse(context, request)?));
    Ok(Answer::of(data))
}

pub fn parse_query(context: &Context, request: &Request) -> Result<Answer, ApiError> {
    let mut data = String::new();
    push_expr(&mut data, &parse(context, request)?);
    Ok(Answer::of(data))
}

fn parse(context: &Context, request: &Request) -> Result<Expr, ApiError> {
    query(context, request.form()?.get("query").unwrap_or(""))
}

/// Writes an object whose keys must come in Go's order: sorted.
struct Object<'o> {
    out: &'o mut String,
    is_first: bool,
}

impl<'o> Object<'o> {
    fn new(out: &'o mut String) -> Object<'o> {
        out.push('{');
        Object {
            out,
            is_first: true,
        }
    }

    fn key(&mut self, key: &str) -> &mut String {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(',');
        }
        json::push_text(self.out, key);
        self.out.push(':');
        self.out
    }

    fn text(&mut self, key: &str, value: &str) -> &mut Self {
        json::push_text(self.key(key), value);
        self
    }

    fn bool(&mut self, key: &str, value: bool) -> &mut Self {
        self.key(key).push_str(if value { "true" } else { "false" });
        self
    }

    fn integer(&mut self, key: &str, value: i64) -> &mut Self {
        let _ = write!(self.key(key), "{value}");
        self
    }

    fn null(&mut self, key: &str) -> &mut Self {
        self.key(key).push_str("null");
        self
    }

    fn texts(&mut self, key: &str, values: &[String]) -> &mut Self {
        let out = self.key(key);
        push_list(out, values, |out, value| json::push_text(out, value));
        self
    }

    fn expr(&mut self, key: &str, expr: &Expr) -> &mut Self {
        push_expr(self.key(key), expr);
        self
    }

    fn length(&mut self, key: &str, length: Option<&Length>) -> &mut Self {
        match length {
            Some(Length::Computed(length)) => push_length(self.key(key), length, false),
            _ => return self.null(key),
        }
        self
    }

    fn at(&mut self, at: Option<At>) -> &mut Self {
        match at {
            Some(At::Start) => self.text("startOrEnd", "start"),
            Some(At::End) => self.text("startOrEnd", "end"),
            _ => self.null("startOrEnd"),
        }
    }

    fn timestamp(&mut self, at: Option<At>) -> &mut Self {
        match at {
            Some(At::Time(ms)) => self.integer("timestamp", ms),
            _ => self.null("timestamp"),
        }
    }

    fn end(&mut self, kind: &str) {
        self.text("type", kind).out.push('}');
    }
}

fn push_list<T>(out: &mut String, items: &[T], push: impl Fn(&mut String, &T)) {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        push(out, item);
    }
    out.push(']');
}

fn push_expr(out: &mut String, expr: &Expr) {
    match expr {
        Expr::Number(number) => {
            let mut object = Object::new(out);
            object.text("type", "numberLiteral");
            object
                .text("val", &gofmt::plain(number.value))
                .out
                .push('}');
        }
        Expr::Text(text) => {
            let mut object = Object::new(out);
            object.text("type", "stringLiteral");
            match &text.bytes {
                Some(bytes) => push_bytes(object.key("val"), bytes),
                None => json::push_text(object.key("val"), &text.value),
            }
            object.out.push('}');
        }
        Expr::Vector(selector) => push_selector(out, selector, None),
        Expr::Matrix(matrix) => push_selector(out, &matrix.selector, Some(&matrix.range)),
        Expr::Subquery(subquery) => push_subquery(out, subquery),
        Expr::Unary(unary) => {
            let op = if unary.is_minus { "-" } else { "+" };
            Object::new(out)
                .expr("expr", &unary.expr)
                .text("op", op)
                .end("unaryExpr");
        }
        Expr::Binary(binary) => push_binary(out, binary),
        Expr::Call(call) => push_call(out, call),
        Expr::Aggregate(aggregate) => push_aggregate(out, aggregate),
        Expr::Paren(paren) => Object::new(out).expr("expr", &paren.expr).end("parenExpr"),
    }
}

/// Writes a text that is not UTF-8, with an escape for each invalid byte, as Go does.
fn push_bytes(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        let mut valid = String::new();
        json::push_text(&mut valid, chunk.valid());
        let inner = valid.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
        out.push_str(inner.unwrap_or(""));
        chunk.invalid().iter().for_each(|_| out.push_str("\\ufffd"));
    }
    out.push('"');
}

fn push_selector(out: &mut String, selector: &VectorSelector, range: Option<&Length>) {
    let mut object = Object::new(out);
    object.bool("anchored", selector.extent == Extent::Anchored);
    push_list(object.key("matchers"), &selector.matchers, push_matcher);
    object
        .text("name", selector.name().unwrap_or(""))
        .integer("offset", selector.offset.ms())
        .length("offsetExpr", Some(&selector.offset));
    if let Some(range) = range {
        object.integer("range", range.ms());
        object.length("rangeExpr", Some(range));
    }
    object
        .bool("smoothed", selector.extent == Extent::Smoothed)
        .at(selector.at)
        .timestamp(selector.at)
        .end(match range {
            Some(_) => "matrixSelector",
            None => "vectorSelector",
        });
}

fn push_matcher(out: &mut String, matcher: &Matcher) {
    let mut object = Object::new(out);
    object
        .text("name", &matcher.name)
        .text("type", matcher.op.as_str())
        .text("value", &matcher.value);
    object.out.push('}');
}

fn push_subquery(out: &mut String, subquery: &Subquery) {
    Object::new(out)
        .expr("expr", &subquery.expr)
        .integer("offset", subquery.offset.ms())
        .length("offsetExpr", Some(&subquery.offset))
        .integer("range", subquery.range.ms())
        .length("rangeExpr", Some(&subquery.range))
        .at(subquery.at)
        .integer("step", subquery.step.as_ref().map_or(0, Length::ms))
        .length("stepExpr", subquery.step.as_ref())
        .timestamp(subquery.at)
        .end("subquery");
}

fn push_binary(out: &mut String, binary: &Binary) {
    let mut object = Object::new(out);
    object.bool("bool", binary.returns_bool);
    object.expr("lhs", &binary.lhs);
    match &binary.matching {
        Some(matching) => push_matching(object.key("matching"), matching),
        None => {
            object.null("matching");
        }
    }
    object
        .text("op", binary.op.as_str())
        .expr("rhs", &binary.rhs)
        .end("binaryExpr");
}

fn push_matching(out: &mut String, matching: &Matching) {
    let mut object = Object::new(out);
    object.text(
        "card",
        match matching.cardinality {
            Cardinality::OneToOne => "one-to-one",
            Cardinality::ManyToOne => "many-to-one",
            Cardinality::OneToMany => "one-to-many",
            Cardinality::ManyToMany => "many-to-many",
        },
    );
    let mut fills = Object::new(object.key("fillValues"));
    for (key, value) in [("lhs", matching.fill_left), ("rhs", matching.fill_right)] {
        match value.filter(|v| v.is_finite()) {
            Some(value) => gofmt::push_api_float(fills.key(key), value),
            None => {
                fills.null(key);
            }
        }
    }
    fills.out.push('}');
    object
        .texts("include", &matching.include)
        .texts("labels", &matching.labels)
        .bool("on", matching.on);
    object.out.push('}');
}

fn push_call(out: &mut String, call: &Call) {
    let mut object = Object::new(out);
    push_list(object.key("args"), &call.args, push_expr);
    let mut function = Object::new(object.key("func"));
    push_list(function.key("argTypes"), call.function.args, |out, arg| {
        json::push_text(out, arg.name());
    });
    let variadic = match call.function.arity {
        Arity::Exactly => 0,
        Arity::UpTo(more) => more as i64,
        Arity::Any => -1,
    };
    function
        .text("name", call.function.name)
        .text("returnType", call.function.returns.name())
        .integer("variadic", variadic);
    function.out.push('}');
    object.end("call");
}

fn push_aggregate(out: &mut String, aggregate: &Aggregate) {
    let mut object = Object::new(out);
    object
        .expr("expr", &aggregate.expr)
        .texts("grouping", &aggregate.grouping)
        .text("op", aggregate.op.as_str());
    match &aggregate.param {
        Some(param) => object.expr("param", param),
        None => object.null("param"),
    };
    object.text("type", "aggregation");
    object.bool("without", aggregate.without).out.push('}');
}

/// Writes a length. `is_wrapped` says that it is in parentheses, which are no node in Prometheus's
/// tree.
fn push_length(out: &mut String, length: &DurationExpr, is_wrapped: bool) {
    let (op, lhs, rhs) = match length {
        DurationExpr::Number(number) if !is_wrapped => {
            let mut object = Object::new(out);
            object
                .bool("duration", number.is_duration)
                .text("type", "numberLiteral")
                .text("val", &gofmt::plain(number.value));
            return object.out.push('}');
        }
        DurationExpr::Paren(inner, _) => return push_length(out, inner, true),
        DurationExpr::Number(_) => ("+", None, Some(length)),
        DurationExpr::Step(_) => ("step", None, None),
        DurationExpr::Range(_) => ("range", None, None),
        DurationExpr::Unary(true, inner, _) => ("-", None, Some(&**inner)),
        DurationExpr::Unary(false, inner, _) => ("+", None, Some(&**inner)),
        DurationExpr::Binary(op, a, b, _) => (op.as_str(), Some(&**a), Some(&**b)),
        DurationExpr::MinOf(a, b, _) => ("min_of", Some(&**a), Some(&**b)),
        DurationExpr::MaxOf(a, b, _) => ("max_of", Some(&**a), Some(&**b)),
    };
    let mut object = Object::new(out);
    push_operand(object.key("lhs"), lhs);
    object.text("op", op);
    push_operand(object.key("rhs"), rhs);
    object.text("type", "durationExpr");
    object.bool("wrapped", is_wrapped).out.push('}');
}

fn push_operand(out: &mut String, length: Option<&DurationExpr>) {
    match length {
        Some(length) => push_length(out, length, false),
        None => out.push_str("null"),
    }
}
