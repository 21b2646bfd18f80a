//! `/status/tsdb`, `/status/walreplay`, and the administration of the database.

use super::parameters::{matchers, time_or};
use super::{Answer, ApiError, ErrorKind};
use crate::model::timestamp;
use crate::stdx::clock::Step;
use crate::stdx::gofmt;
use crate::tsdb::block::BlockMeta;
use crate::tsdb::{Counted, Db};
use crate::web::context::Context;
use crate::web::json::{self, Object};
use crate::web::server::Request;

/// LIMIT: Prometheus's, for the lists of `/status/tsdb`.
const LIST_MAX: i64 = 10_000;

/// The head's cardinality, and what a power cut may lose.
pub fn status(context: &Context, request: &Request) -> Result<Answer, ApiError> {
    let db = &context.database()?.db;
    let limit = match request.form()?.get("limit").map(str::parse::<i64>) {
        None => 10,
        Some(Ok(limit)) if limit > LIST_MAX => {
            return Err(ApiError::bad_data(format!(
                "limit must not exceed {LIST_MAX}"
            )));
        }
        Some(Ok(limit)) if limit > 0 => limit as usize,
        Some(_) => return Err(ApiError::bad_data("limit must be a positive number")),
    };
    let stats = db.stats()?;
    let lists = db.cardinality(limit)?;
    let empty = stats.min_t > stats.max_t;
    let (min_t, max_t) = if empty {
        (0, 0)
    } else {
        (stats.min_t, stats.max_t)
    };
    let head = Object::new()
        .number("numSeries", stats.series as f64)
        .number("numLabelPairs", stats.label_pairs as f64)
        .number("chunkCount", stats.chunks as f64)
        .number("minTime", min_t as f64)
        .number("maxTime", max_t as f64)
        .end();
    let data = Object::new()
        .raw("headStats", &head)
        .raw(
            "seriesCountByMetricName",
            &counted(&lists.series_count_by_metric_name),
        )
        .raw(
            "labelValueCountByLabelName",
            &counted(&lists.label_value_count_by_label_name),
        )
        .raw(
            "memoryInBytesByLabelName",
            &counted(&lists.memory_in_bytes_by_label_name),
        )
        .raw(
            "seriesCountByLabelValuePair",
            &counted(&lists.series_count_by_label_value_pair),
        );
    // Not in Prometheus: how much a power cut loses at most.
    let data = match db.loss_window() {
        Some(window) => data.number("lossWindowSeconds", window.as_secs_f64()),
        None => data,
    };
    // Nor is this: what waits in memory for the disk, and why.
    let (unwritable, waiting) = db.unwritten()?;
    let data = match unwritable {
        Some(why) => data
            .text("logUnwritable", &why)
            .number("waitingSamples", waiting as f64),
        None => data,
    };
    // Nor is this: whether the clock was set, and samples are from the future.
    let ahead = db.newest_ahead()?;
    let data = data.number("newestAheadSeconds", ahead.as_secs_f64());
    let data = match db.last_clock_step() {
        Some(Step { from_ms, to_ms }) => data
            .number("lastClockStepSeconds", (to_ms - from_ms) as f64 / 1000.0)
            .number("lastClockStepTime", to_ms as f64),
        None => data,
    };
    Ok(Answer::of(data.end()))
}

/// The blocks in Prometheus's form, where the last time is excluded, and levels count from 1.
pub fn blocks(context: &Context) -> Result<Answer, ApiError> {
    let blocks = context.database()?.db.blocks()?;
    let blocks = json::list(&blocks, |out, meta: &BlockMeta| {
        let stats = Object::new()
            .number("numSamples", meta.samples as f64)
            .number("numFloatSamples", meta.samples as f64)
            .number("numSeries", meta.series as f64);
        let stats = match meta.tombstones {
            0 => stats,
            tombstones => stats.number("numTombstones", tombstones as f64),
        };
        let sources = match &meta.sources[..] {
            [] => json::texts([meta.id.to_string()]),
            sources => json::texts(sources.iter().map(ToString::to_string)),
        };
        let compaction = Object::new()
            .number("level", f64::from(meta.level) + 1.0)
            .raw("sources", &sources);
        let object = Object::new()
            .text("ulid", &meta.id.to_string())
            .number("minTime", meta.min_t as f64)
            .number("maxTime", meta.max_t.saturating_add(1) as f64)
            .raw("stats", &stats.end())
            .raw("compaction", &compaction.end())
            .number("version", 1);
        out.push_str(&object.end());
    });
    Ok(Answer::of(Object::new().raw("blocks", &blocks).end()))
}

fn counted(list: &[Counted]) -> String {
    json::list(list, |out, item: &Counted| {
        let object = Object::new()
            .text("name", &item.name)
            .number("value", item.value as f64);
        out.push_str(&object.end());
    })
}

/// The log is read before the server answers, so it is always done.
pub fn wal_replay() -> Answer {
    let data = Object::new()
        .number("min", 0)
        .number("max", 0)
        .number("current", 0)
        .text("state", "done");
    Answer::of(data.end())
}

/// Deletes samples of series. They are gone from answers at once, and from the disk with the next
/// compaction.
pub fn delete_series(context: &Context, request: &Request) -> Result<Answer, ApiError> {
    let db = administered(context)?;
    let form = request.form()?;
    if form.get("match[]").is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let start = time_or(&form, "start", timestamp::MIN_MS)?;
    let end = time_or(&form, "end", timestamp::MAX_MS)?;
    let refuse = |why| ApiError::parameter("match[]", why);
    for set in matchers(&form).map_err(refuse)? {
        let deleted = db.delete(&set, start, end);
        deleted.map_err(|why| ApiError::new(ErrorKind::Internal, why))?;
    }
    Ok(Answer::nothing())
}

/// Rewrites blocks with deleted samples, which frees their bytes.
pub fn clean_tombstones(context: &Context) -> Result<Answer, ApiError> {
    let db = administered(context)?;
    let cleaned = db.clean_tombstones();
    cleaned.map_err(|why| ApiError::new(ErrorKind::Internal, why))?;
    Ok(Answer::nothing())
}

/// Copies all that is stored into a directory below `snapshots` in the data directory.
pub fn snapshot(context: &Context, request: &Request) -> Result<Answer, ApiError> {
    let db = administered(context)?;
    let skip_head = match request.form()?.get("skip_head") {
        None | Some("") => false,
        Some(text) => parse_bool(text).map_err(|why| ApiError::parameter("skip_head", why))?,
    };
    let name = db.snapshot(skip_head);
    let name =
        name.map_err(|why| ApiError::new(ErrorKind::Internal, format!("create snapshot: {why}")))?;
    Ok(Answer::of(Object::new().text("name", &name).end()))
}

/// Returns the database, if it may be administered.
fn administered(context: &Context) -> Result<&Db, ApiError> {
    let database = context.database()?;
    if context.admin {
        return Ok(&database.db);
    }
    Err(ApiError::new(ErrorKind::Unavailable, "admin APIs disabled"))
}

/// Reads a boolean as Go does.
fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => {
            let text = gofmt::quote(text);
            Err(format!(
                "unable to parse boolean: strconv.ParseBool: parsing {text}: invalid syntax"
            ))
        }
    }
}
