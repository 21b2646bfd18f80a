//! Tests of the router on a daemon without some components.

use std::sync::Arc;
use std::time::Duration;

use super::server::{Body, Handler as _, Headers, Method, Request, Response};
use super::{Context, Control, Phase, Router, Runtime, Site, State, WebMetrics};
use crate::metrics::Registry;
use crate::scrape;
use crate::stdx::clock::{Clock, ManualClock};
use crate::stdx::mailbox::mailbox;
use crate::stdx::stop::stop;
use crate::tsdb::{Db, Options, Place};

/// Makes the daemon as it will be in agent mode: scrapes, and no database.
fn agent() -> (scrape::Handle, Router) {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(0));
    let registry = Registry::new();
    let storage = Db::open(Options::new(Place::Memory, clock.clone(), registry.clone()));
    let scrape = scrape::Handle::start(scrape::Options {
        storage: Arc::new(storage.unwrap()),
        targets: mailbox().1,
        clock: clock.clone(),
        registry: registry.clone(),
        user_agent: String::new(),
        alignment: scrape::Alignment {
            adjust: false,
            tolerance: Duration::ZERO,
        },
        reload_interval: Duration::from_secs(5),
    });
    let scrape = scrape.unwrap();
    let state = State::default();
    state.set_phase(Phase::Ready);
    let context = Context {
        database: None,
        admin: true,
        scrape: scrape.view().clone(),
        receiver: None,
        state: Arc::new(state),
        clock,
        control: Control {
            enabled: false,
            reload: Box::new(|| Ok(())),
            quit: Box::new(|| ()),
        },
        site: Arc::new(Site {
            route_prefix: String::new(),
            external_host: "agent:9090".to_owned(),
            external_scheme: "http".to_owned(),
            listen_port: 9090,
            cors_origin: None,
        }),
        runtime: Runtime {
            start: 0,
            working_directory: String::new(),
            hostname: String::new(),
            flags: Vec::new(),
            processors: 1,
        },
        metrics: WebMetrics::new(&registry),
        registry,
    };
    (scrape, Router::new(Arc::new(context)))
}

fn get(router: &Router, method: Method, path: &str) -> (u16, String) {
    let Response { status, body, .. } = router.handle(Request {
        method,
        path: path.to_owned(),
        raw_path: path.to_owned(),
        query: "query=up".to_owned(),
        headers: Headers::default(),
        body: Vec::new(),
        remote: ([127, 0, 0, 1], 1).into(),
        canceled: stop().1,
    });
    let bytes = match &body {
        Body::Bytes(bytes) => &bytes[..],
        Body::Pieces(_) => b"",
    };
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

#[test]
fn without_a_database_queries_are_unavailable_and_the_rest_answers() {
    let (_scrape, router) = agent();
    let none =
        r#"{"status":"error","errorType":"execution","error":"unavailable with Prometheus Agent"}"#;
    for path in [
        "query",
        "query_range",
        "query_exemplars",
        "format_query",
        "parse_query",
        "series",
        "labels",
        "label/job/values",
        "status/tsdb",
        "status/tsdb/blocks",
    ] {
        let answer = get(&router, Method::Get, &format!("/api/v1/{path}"));
        assert_eq!(answer, (422, none.to_owned()), "{path}");
    }
    for path in ["delete_series", "clean_tombstones", "snapshot"] {
        let answer = get(&router, Method::Post, &format!("/api/v1/admin/tsdb/{path}"));
        assert_eq!(answer, (422, none.to_owned()), "{path}");
    }
    for path in [
        "/api/v1/targets",
        "/api/v1/scrape_pools",
        "/api/v1/features",
        "/api/v1/status/runtimeinfo",
        "/metrics",
        "/-/ready",
    ] {
        assert_eq!(get(&router, Method::Get, path).0, 200, "{path}");
    }
}
