//! From a path to the handler: prefix, CORS, readiness, API, management.

use std::sync::Arc;

use super::api;
use super::context::Context;
use super::management;
use super::server::{Class, Handler, Method, Request, Response};

/// Answers every request.
pub struct Router {
    context: Arc<Context>,
}

impl Router {
    pub fn new(context: Arc<Context>) -> Router {
        Router { context }
    }

    fn route(&self, request: &Request) -> Option<Response> {
        let path = strip(&self.context.site.route_prefix, &request.path)?;
        let Some(api_path) = path.strip_prefix("/api/v1") else {
            return management::handle(&self.context, request, path);
        };
        let response = if request.method == Method::Options {
            Response::new(204)
        } else if let Some(not_ready) = management::not_ready(&self.context) {
            not_ready
        } else {
            api::handle(&self.context, request, api_path)?
        };
        Some(self.with_cors(request, response))
    }

    /// Headers that let pages of other origins use the API (reference section 3.1).
    fn with_cors(&self, request: &Request, response: Response) -> Response {
        let response = response.header("Vary", "Origin");
        let Some(origin) = request.header("origin") else {
            return response;
        };
        let response = response
            .header(
                "Access-Control-Allow-Headers",
                "Accept, Authorization, Content-Type, Origin",
            )
            .header("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
            .header("Access-Control-Expose-Headers", "Date");
        match &self.context.site.cors_origin {
            None => response.header("Access-Control-Allow-Origin", "*"),
            Some(allowed) if allowed.is_match(origin) => {
                response.header("Access-Control-Allow-Origin", origin)
            }
            Some(_) => response,
        }
    }
}

impl Handler for Router {
    fn handle(&self, request: Request) -> Response {
        self.route(&request).unwrap_or_else(|| {
            Response::text(404, "404 page not found\n").header("X-Content-Type-Options", "nosniff")
        })
    }
}

/// Which workers a path goes to.
pub fn classify(prefix: &str, path: &str) -> Class {
    match strip(prefix, path) {
        Some(path) if management::RESERVED.contains(&path) => Class::Management,
        Some(path) if path.strip_prefix("/api/v1").is_some_and(api::is_heavy) => Class::Query,
        _ => Class::Normal,
    }
}

/// The `handler` labels of all paths, so that their counters are there from the start.
pub fn handlers() -> Vec<&'static str> {
    management::HANDLERS
        .iter()
        .copied()
        .chain(api::handlers())
        .collect()
}

/// The path below the prefix, which is empty or starts with a slash and does not end with one.
fn strip<'a>(prefix: &str, path: &'a str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix)?;
    rest.starts_with('/').then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        assert_eq!(strip("", "/metrics"), Some("/metrics"));
        assert_eq!(strip("/prom", "/prom/metrics"), Some("/metrics"));
        assert_eq!(strip("/prom", "/prometheus"), None);
        assert_eq!(strip("/prom", "/metrics"), None);
        assert_eq!(classify("/prom", "/prom/-/healthy"), Class::Management);
        assert_eq!(classify("", "/-/reload"), Class::Normal);
    }
}
