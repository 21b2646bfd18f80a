//! The API's paths and their handlers.

use super::answer::{Answer, ApiError};
use super::{exemplars, features, labels, parse, query, relabel, status, targets, tsdb, write};
use crate::web::context::Context;
use crate::web::server::{Method, Request, Response};
use Methods::{Get, GetPost, PostPut};

/// The prefix of all paths.
const PREFIX: &str = "/api/v1";

/// The `handler` labels of all routes.
pub fn handlers() -> impl Iterator<Item = &'static str> {
    let routes = ROUTES.iter().map(|r| r.path);
    routes.chain([write::HANDLER])
}

/// Whether a request may compute for long, so that only some workers may be busy with such ones.
/// Parsing a query of a megabyte alone takes half a second.
pub fn is_heavy(path: &str) -> bool {
    [
        "/query",
        "/query_range",
        "/query_exemplars",
        "/format_query",
        "/parse_query",
        "/series",
        "/labels",
    ]
    .contains(&path)
        || path.starts_with("/label/")
        || path.starts_with("/admin/tsdb/")
}

/// Returns the path below `/api/v1` that differs from this one only in case.
pub fn meant(path: &str) -> Option<String> {
    let routes = ROUTES.iter().filter_map(|r| r.path.strip_prefix(PREFIX));
    routes.chain(["/write"]).find_map(|pattern| {
        let lower = path.to_ascii_lowercase();
        let name = matches(pattern, &lower)?;
        if name.is_empty() {
            return Some(pattern.to_owned());
        }
        // The name keeps its case. It is at its place in the pattern.
        let at = pattern.find(":name")?;
        let name = path.get(at..at + name.len())?;
        Some(pattern.replace(":name", name))
    })
}

/// Answers a request below `/api/v1`, where `path` is the rest. Returns `None` for an unknown
/// route.
pub fn handle(context: &Context, request: &Request, path: &str) -> Option<Response> {
    if path == "/write" {
        // NOTE: the only route that answers no JSON, and takes no GET.
        return Some(write::write(context, request).handler(write::HANDLER));
    }
    let (route, parameter) = ROUTES
        .iter()
        .find_map(|r| Some((r, matches(r.path.strip_prefix(PREFIX)?, path)?)))?;
    if !route.methods.take(&request.method) {
        let refused = Response::text(405, "Method Not Allowed\n");
        let refused = refused.header("Allow", route.methods.names());
        return Some(refused.handler(route.path));
    }
    // ORDER: before any parameter is checked, as in Prometheus.
    let missing = route.needs_database.then(|| context.database().err());
    let answer = match missing.flatten() {
        Some(error) => Err(error),
        None => (route.answer)(context, request, parameter),
    };
    let response = match answer {
        Ok(answer) => answer.into_response(),
        Err(error) => error.into_response(),
    };
    Some(response.handler(route.path))
}

struct Route {
    /// May hold one `:name`. It is also Prometheus's name in the `handler` label.
    path: &'static str,
    methods: Methods,
    /// Whether it needs the database, which an agent does not have.
    needs_database: bool,
    answer: fn(&Context, &Request, &str) -> Result<Answer, ApiError>,
}

const fn route(
    path: &'static str,
    methods: Methods,
    answer: fn(&Context, &Request, &str) -> Result<Answer, ApiError>,
) -> Route {
    Route {
        path,
        methods,
        needs_database: false,
        answer,
    }
}

/// A route that needs the database.
const fn stored(
    path: &'static str,
    methods: Methods,
    answer: fn(&Context, &Request, &str) -> Result<Answer, ApiError>,
) -> Route {
    Route {
        needs_database: true,
        ..route(path, methods, answer)
    }
}

#[rustfmt::skip]
const ROUTES: &[Route] = &[
    stored("/api/v1/query", GetPost, |c, r, _| query::instant(c, r)),
    stored("/api/v1/query_range", GetPost, |c, r, _| query::range(c, r)),
    stored("/api/v1/format_query", GetPost, |c, r, _| parse::format_query(c, r)),
    stored("/api/v1/parse_query", GetPost, |c, r, _| parse::parse_query(c, r)),
    stored("/api/v1/query_exemplars", GetPost, |c, r, _| exemplars::query(c, r)),
    stored("/api/v1/series", GetPost, |c, r, _| labels::series(c, r)),
    stored("/api/v1/labels", GetPost, |c, r, _| labels::names(c, r)),
    stored("/api/v1/label/:name/values", Get, labels::values),
    route("/api/v1/targets", Get, |c, r, _| Ok(targets::targets(c, r))),
    route("/api/v1/targets/metadata", Get, |c, r, _| targets::target_metadata(c, r)),
    route("/api/v1/targets/relabel_steps", Get, |c, r, _| relabel::steps(c, r)),
    route("/api/v1/metadata", Get, |c, r, _| targets::metadata(c, r)),
    route("/api/v1/scrape_pools", Get, |c, _, _| Ok(targets::pools(c))),
    route("/api/v1/scrape_pools/config", Get, |c, r, _| targets::pool_config(c, r)),
    route("/api/v1/status/config", Get, |c, _, _| Ok(status::config(c))),
    route("/api/v1/status/reload", Get, |c, _, _| Ok(status::reload(c))),
    route("/api/v1/status/flags", Get, |c, _, _| Ok(status::flags(c))),
    route("/api/v1/status/buildinfo", Get, |_, _, _| Ok(Answer::of(status::build_info()))),
    route("/api/v1/status/runtimeinfo", Get, |c, _, _| Ok(status::runtime_info(c))),
    stored("/api/v1/status/tsdb", Get, |c, r, _| tsdb::status(c, r)),
    stored("/api/v1/status/tsdb/blocks", Get, |c, _, _| tsdb::blocks(c)),
    route("/api/v1/features", Get, |c, _, _| Ok(features::features(c))),
    route("/api/v1/notifications", Get, |c, _, _| Ok(status::notifications(c))),
    route("/api/v1/status/walreplay", Get, |_, _, _| Ok(tsdb::wal_replay())),
    stored("/api/v1/admin/tsdb/delete_series", PostPut, |c, r, _| tsdb::delete_series(c, r)),
    stored("/api/v1/admin/tsdb/clean_tombstones", PostPut, |c, _, _| tsdb::clean_tombstones(c)),
    stored("/api/v1/admin/tsdb/snapshot", PostPut, |c, r, _| tsdb::snapshot(c, r)),
];

/// The methods of a route.
#[derive(Debug, Clone, Copy)]
enum Methods {
    Get,
    GetPost,
    PostPut,
}

impl Methods {
    fn take(self, method: &Method) -> bool {
        match self {
            Methods::Get => *method == Method::Get,
            Methods::GetPost => matches!(method, Method::Get | Method::Post),
            Methods::PostPut => matches!(method, Method::Post | Method::Put),
        }
    }

    /// The value of the header `Allow`.
    fn names(self) -> &'static str {
        match self {
            Methods::Get => "GET, OPTIONS",
            Methods::GetPost => "GET, POST, OPTIONS",
            Methods::PostPut => "POST, PUT, OPTIONS",
        }
    }
}

/// Returns the value of the pattern's parameter ("" without one) if the path fits.
fn matches<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let Some((before, after)) = pattern.split_once(":name") else {
        return (pattern == path).then_some("");
    };
    let value = path.strip_prefix(before)?.strip_suffix(after)?;
    (!value.is_empty() && !value.contains('/')).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert_eq!(matches("/query", "/query"), Some(""));
        assert_eq!(matches("/query", "/query/"), None);
        assert_eq!(
            matches("/label/:name/values", "/label/a.b/values"),
            Some("a.b")
        );
        assert_eq!(matches("/label/:name/values", "/label/a/b/values"), None);
        assert_eq!(matches("/label/:name/values", "/label//values"), None);
    }
}
