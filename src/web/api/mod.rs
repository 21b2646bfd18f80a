//! Prometheus's HTTP API v1 (reference section 3).
//!
//! **Invariant:** no other room knows the API's JSON.

mod answer;
mod labels;
mod parameters;
mod query;
mod status;
mod targets;

pub use answer::{Answer, ApiError, ErrorKind};

use super::context::Context;
use super::server::{Method, Request, Response};

/// A route below `/api/v1`: its path, which may hold one `:name`, and who answers.
struct Route {
    path: &'static str,
    /// Prometheus's name for it in the `handler` label.
    handler: &'static str,
    post: bool,
    answer: fn(&Context, &Request, &str) -> Result<Answer, ApiError>,
}

const ROUTES: &[Route] = &[
    route("/query", "/api/v1/query", true, |c, r, _| {
        query::instant(c, r)
    }),
    route("/query_range", "/api/v1/query_range", true, |c, r, _| {
        query::range(c, r)
    }),
    route("/series", "/api/v1/series", true, |c, r, _| {
        labels::series(c, r)
    }),
    route("/labels", "/api/v1/labels", true, |c, r, _| {
        labels::names(c, r)
    }),
    route(
        "/label/:name/values",
        "/api/v1/label/:name/values",
        false,
        labels::values,
    ),
    route("/targets", "/api/v1/targets", false, |c, r, _| {
        Ok(targets::targets(c, r))
    }),
    route(
        "/targets/metadata",
        "/api/v1/targets/metadata",
        false,
        |c, r, _| targets::target_metadata(c, r),
    ),
    route("/metadata", "/api/v1/metadata", false, |c, r, _| {
        targets::metadata(c, r)
    }),
    route("/scrape_pools", "/api/v1/scrape_pools", false, |c, _, _| {
        Ok(targets::pools(c))
    }),
    route(
        "/scrape_pools/config",
        "/api/v1/scrape_pools/config",
        false,
        |c, r, _| targets::pool_config(c, r),
    ),
    route(
        "/status/config",
        "/api/v1/status/config",
        false,
        |c, _, _| Ok(status::config(c)),
    ),
    route(
        "/status/reload",
        "/api/v1/status/reload",
        false,
        |c, _, _| Ok(status::reload(c)),
    ),
    route("/status/flags", "/api/v1/status/flags", false, |c, _, _| {
        Ok(status::flags(c))
    }),
    route(
        "/status/buildinfo",
        "/api/v1/status/buildinfo",
        false,
        |_, _, _| Ok(Answer::of(status::build_info())),
    ),
    route(
        "/status/runtimeinfo",
        "/api/v1/status/runtimeinfo",
        false,
        |c, _, _| Ok(status::runtime_info(c)),
    ),
];

const fn route(
    path: &'static str,
    handler: &'static str,
    post: bool,
    answer: fn(&Context, &Request, &str) -> Result<Answer, ApiError>,
) -> Route {
    Route {
        path,
        handler,
        post,
        answer,
    }
}

/// The `handler` labels of all routes.
pub fn handlers() -> impl Iterator<Item = &'static str> {
    ROUTES.iter().map(|r| r.handler)
}

pub use status::build_info;

/// Whether a request may compute for long, so that only some workers may be busy with such ones.
pub fn is_heavy(path: &str) -> bool {
    ["/query", "/query_range", "/series", "/labels"].contains(&path) || path.starts_with("/label/")
}

/// Answers a request below `/api/v1`; `path` is what follows. `None` when there is no such route.
pub fn handle(context: &Context, request: &Request, path: &str) -> Option<Response> {
    let (route, parameter) = ROUTES
        .iter()
        .find_map(|r| Some((r, matches(r.path, path)?)))?;
    let allowed = match request.method {
        Method::Get => true,
        Method::Post => route.post,
        _ => false,
    };
    if !allowed {
        let allow = if route.post {
            "GET, POST, OPTIONS"
        } else {
            "GET, OPTIONS"
        };
        let refused = Response::text(405, "Method Not Allowed\n").header("Allow", allow);
        return Some(refused.handler(route.handler));
    }
    let response = match (route.answer)(context, request, parameter) {
        Ok(answer) => answer.into_response(),
        Err(error) => error.into_response(),
    };
    Some(response.handler(route.handler))
}

/// The value of the pattern's parameter ("" without one) when the path fits.
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
