//! `/targets`, `/targets/metadata`, `/metadata`, `/scrape_pools`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::document::Document;
use super::parameters::count;
use super::{Answer, ApiError, ErrorKind};
use crate::model::timestamp::rfc3339;
use crate::model::{Labels, Metadata, duration};
use crate::promql;
use crate::scrape::{FamilyMetadata, Target};
use crate::stdx::gourl::split_host_port;
use crate::web::context::{Context, Site};
use crate::web::json::{self, Object};
use crate::web::server::Request;

pub fn targets(context: &Context, request: &Request) -> Answer {
    let parameters = request.query_params();
    let pool = parameters.get("scrapePool").filter(|p| !p.is_empty());
    let state = parameters.get("state").unwrap_or("").to_lowercase();
    let shows = |kind: &str| state.is_empty() || state == "any" || state == kind;
    let mut active = Vec::new();
    if shows("active") {
        for of_pool in context.scrape.active(pool) {
            let name: Arc<str> = of_pool.pool.into();
            active.extend(of_pool.targets.into_iter().map(|t| (name.clone(), t)));
        }
    }
    let (mut dropped, mut counts) = (Vec::new(), Object::new());
    if shows("dropped") {
        for of_pool in context.scrape.dropped(pool) {
            let name: Arc<str> = of_pool.pool.into();
            let labels = of_pool.discovered_labels.into_iter();
            dropped.extend(labels.map(|labels| (name.clone(), labels)));
        }
        for of_pool in context.scrape.dropped(None) {
            counts = counts.number(&of_pool.pool, of_pool.count as f64);
        }
    }
    let counts = if shows("dropped") {
        counts.end()
    } else {
        "null".to_owned()
    };
    let site = context.site.clone();
    let push_active = move |out: &mut String, (pool, target): (Arc<str>, Arc<Target>)| {
        out.push_str(&active_target(&pool, &target, &site));
    };
    let push_dropped = |out: &mut String, (pool, labels): (Arc<str>, Labels)| {
        let target = Object::new().labels("discoveredLabels", &labels);
        out.push_str(&target.text("scrapePool", &pool).end());
    };
    let data = Document::default()
        .text("{\"activeTargets\":")
        .list(active, |_| ACTIVE_BYTES, push_active)
        .text(",\"droppedTargets\":")
        .list(dropped, |(_, labels)| labels.heap_bytes(), push_dropped)
        .text(format!(",\"droppedTargetCounts\":{counts}}}"));
    Answer::of(data)
}

/// About half of the text of an active target.
const ACTIVE_BYTES: usize = 512;

/// Go's zero time.
const NEVER: &str = "0001-01-01T00:00:00Z";

fn active_target(pool: &str, target: &Target, site: &Site) -> String {
    let status = target.status();
    let last = status.last_scrape.map_or_else(|| NEVER.to_owned(), rfc3339);
    Object::new()
        .labels("discoveredLabels", &target.discovered_labels())
        .labels("labels", target.labels())
        .text("scrapePool", pool)
        .text("scrapeUrl", target.url())
        .text("globalUrl", &global_url(target.url(), site))
        .text("lastError", status.last_error.as_deref().unwrap_or(""))
        .text("lastScrape", &last)
        .number("lastScrapeDuration", status.last_duration.as_secs_f64())
        .text("health", status.health.as_str())
        .text("scrapeInterval", &duration::format(target.interval))
        .text("scrapeTimeout", &duration::format(target.timeout))
        .end()
}

/// Returns the URL by which others reach the target. A loopback host becomes that of the external
/// URL, and with the listening port the whole address does.
fn global_url(url: &str, site: &Site) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (address, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (host, port) = split_host_port(address);
    if !["localhost", "127.0.0.1", "::1"].contains(&host) {
        return url.to_owned();
    }
    if port.and_then(|p| p.parse().ok()) == Some(site.listen_port) {
        return format!("{}://{}{tail}", site.external_scheme, site.external_host);
    }
    let (host, _) = split_host_port(&site.external_host);
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    match port {
        Some(port) => format!("{scheme}://{host}:{port}{tail}"),
        None => format!("{scheme}://{host}{tail}"),
    }
}

pub fn target_metadata(context: &Context, request: &Request) -> Result<Answer, ApiError> {
    let form = request.form()?;
    let limit = count(&form, "limit")?;
    let matchers = match form.get("match_target").filter(|m| !m.is_empty()) {
        None => Vec::new(),
        Some(text) => {
            promql::parse_selector(text).map_err(|why| ApiError::parameter("match_target", why))?
        }
    };
    let metric = form.get("metric").filter(|m| !m.is_empty());
    let found = context.scrape.metadata(metric).filter(|m| {
        let labels = m.target.labels();
        matchers
            .iter()
            .all(|matcher| matcher.matches(labels.get(&matcher.name).unwrap_or("")))
    });
    let found = found.take(usize::try_from(limit).unwrap_or(usize::MAX));
    let names_metric = metric.is_none();
    let push = move |out: &mut String, m: FamilyMetadata| {
        let object = Object::new().labels("target", m.target.labels());
        let object = if names_metric {
            object.text("metric", &m.family)
        } else {
            object
        };
        out.push_str(&with_metadata(object, &m.metadata));
    };
    let list = Document::default().list(found.collect(), |m| bytes_of(&m.metadata), push);
    Ok(Answer::of(list))
}

pub fn metadata(context: &Context, request: &Request) -> Result<Answer, ApiError> {
    let form = request.form()?;
    let (limit, per_metric) = (count(&form, "limit")?, count(&form, "limit_per_metric")?);
    let metric = form.get("metric").filter(|m| !m.is_empty());
    let mut families: BTreeMap<String, BTreeSet<Metadata>> = BTreeMap::new();
    for found in context.scrape.metadata(metric) {
        let of_family = families.entry(found.family).or_default();
        if per_metric <= 0 || of_family.len() < per_metric as usize {
            of_family.insert(found.metadata);
        }
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let shown: Vec<_> = families.into_iter().take(limit).collect();
    let push = |out: &mut String, (family, all): (String, BTreeSet<Metadata>)| {
        json::push_text(out, &family);
        out.push(':');
        json::push_list(out, &all, |out, metadata| {
            out.push_str(&with_metadata(Object::new(), metadata));
        });
    };
    let data = Document::default()
        .text("{")
        .items(shown, |(_, all)| all.iter().map(bytes_of).sum(), push)
        .text("}");
    Ok(Answer::of(data))
}

fn bytes_of(metadata: &Metadata) -> usize {
    size_of::<FamilyMetadata>() + metadata.help.len()
}

fn with_metadata(object: Object, metadata: &Metadata) -> String {
    object
        .text("type", metadata.kind.as_str())
        .text("help", &metadata.help)
        .text("unit", &metadata.unit)
        .end()
}

pub fn pools(context: &Context) -> Answer {
    Answer::of(
        Object::new()
            .raw("scrapePools", &json::texts(context.scrape.pools()))
            .end(),
    )
}

pub fn pool_config(context: &Context, request: &Request) -> Result<Answer, ApiError> {
    let parameters = request.query_params();
    let Some(pool) = parameters.get("scrapePool").filter(|p| !p.is_empty()) else {
        return Err(ApiError::bad_data("no scrapePool parameter provided"));
    };
    if let Some(yaml) = context.scrape.config_yaml(pool) {
        Ok(Answer::of(Object::new().text("yaml", &yaml).end()))
    } else {
        let why = format!("scrape pool {pool:?} not found");
        Err(ApiError::new(ErrorKind::NotFound, why))
    }
}
