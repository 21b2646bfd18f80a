//! Finds the handler of a path: prefix, CORS, readiness, API, management.

use std::sync::Arc;

use super::api;
use super::context::Context;
use super::server::{Class, Handler, Method, Request, Response};
use super::{management, paths};

/// Answers every request.
pub struct Router {
    context: Arc<Context>,
}

impl Router {
    pub fn new(context: Arc<Context>) -> Router {
        Router { context }
    }

    /// Routes as Prometheus's routers do, in their order: to the clean path, to the prefix, to the
    /// handler, to the path that is meant.
    fn route(&self, request: &Request) -> Option<Response> {
        if let Some(clean) = paths::cleaned(&request.raw_path) {
            return Some(paths::redirect(request, 307, &clean));
        }
        let prefix = &*self.context.site.route_prefix;
        let is_read = matches!(request.method, Method::Get | Method::Head);
        if request.path == "/" && !prefix.is_empty() && is_read {
            return Some(paths::redirect(request, 302, prefix).handler("/"));
        }
        if request.path == prefix {
            return Some(paths::moved(request, &format!("{prefix}/")));
        }
        let path = strip(prefix, &request.path)?;
        if path == API {
            return Some(paths::redirect(request, 307, &format!("{prefix}{path}/")));
        }
        self.answer(request, path).or_else(|| {
            let meant = meant(path)?;
            Some(paths::moved(request, &format!("{prefix}{meant}")))
        })
    }

    fn answer(&self, request: &Request, path: &str) -> Option<Response> {
        let Some(api_path) = path.strip_prefix(API) else {
            return management::handle(&self.context, request, path);
        };
        // NOTE: whatever guards paths in front of this server reads them as they are sent.
        if !request.raw_path.contains("/api/v1/") {
            return None;
        }
        let response = if request.method == Method::Options {
            Response::new(204)
        } else if let Some(not_ready) = management::not_ready(&self.context) {
            not_ready
        } else {
            api::handle(&self.context, request, api_path)?
        };
        Some(self.with_cors(request, response))
    }

    /// Adds the headers that let pages of other origins use the API (reference section 3.1).
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

/// The prefix of all paths of the API.
const API: &str = "/api/v1";

/// Returns the path of a route that differs in case, or by a slash at its end. Escaped dots count
/// as dots.
fn meant(path: &str) -> Option<String> {
    let clean = paths::cleaned(path);
    let known = clean.as_deref().unwrap_or(path).trim_end_matches('/');
    let meant = match known.strip_prefix(API) {
        Some(path) => format!("{API}{}", api::meant(path)?),
        None => management::meant(known)?.to_owned(),
    };
    (meant != path).then_some(meant)
}

/// Returns the class of workers that a path goes to.
pub fn classify(prefix: &str, path: &str) -> Class {
    match strip(prefix, path) {
        Some(path) if management::RESERVED.contains(&path) => Class::Management,
        Some(path) if path.strip_prefix("/api/v1").is_some_and(api::is_heavy) => Class::Query,
        _ => Class::Normal,
    }
}

/// The `handler` labels of all paths, so that their counters exist from the start.
pub fn handlers() -> Vec<&'static str> {
    management::HANDLERS
        .iter()
        .copied()
        .chain(api::handlers())
        .collect()
}

/// Returns the path below the prefix. It is empty, or starts with a slash and does not end with
/// one.
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
        assert_eq!(meant("/-/Ready/").as_deref(), Some("/-/ready"));
        assert_eq!(meant("/../METRICS").as_deref(), Some("/metrics"));
        assert_eq!(meant("/metrics"), None);
        assert_eq!(meant("/metric"), None);
        assert_eq!(meant("//"), None);
        assert_eq!(meant("/api/v1/query/").as_deref(), Some("/api/v1/query"));
        let values = meant("/api/v1/Label/Job/values/");
        assert_eq!(values.as_deref(), Some("/api/v1/label/Job/values"));
        assert_eq!(meant("/API/v1/query"), None);
        assert_eq!(classify("/prom", "/prom/-/healthy"), Class::Management);
        assert_eq!(classify("", "/-/reload"), Class::Normal);
    }
}
