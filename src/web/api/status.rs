//! `/status/*`: configuration, reload, flags, build, run time.

use super::Answer;
use crate::model::timestamp::rfc3339;
use crate::web::context::Context;
use crate::web::json::{self, Object};

/// The version by which clients choose their features.
const COMPATIBLE_VERSION: &str = "3.14.0";

pub fn config(context: &Context) -> Answer {
    Answer::of(
        Object::new()
            .text("yaml", &context.state.config().yaml)
            .end(),
    )
}

/// The last attempt to read the configuration. It is not in Prometheus.
pub fn reload(context: &Context) -> Answer {
    let status = context.state.config();
    let last = &status.last_reload;
    let data = Object::new()
        .bool("success", last.success)
        .text("time", &rfc3339(last.at))
        .text("cause", &last.cause)
        .number("durationSeconds", last.duration_ms / 1000.0)
        .raw("errors", &json::texts(&last.errors))
        .raw("warnings", &json::texts(&last.warnings))
        .raw("changes", &json::texts(&last.changes))
        .text("runningSince", &rfc3339(status.applied_at));
    Answer::of(data.end())
}

/// What an operator should know at once.
pub fn notifications(context: &Context) -> Answer {
    let status = context.state.config();
    let failed = (!status.last_reload.success).then_some(&status.last_reload);
    Answer::of(json::list(failed, |out, reload| {
        let notification = Object::new()
            .text("text", "Configuration reload has failed.")
            .text("date", &rfc3339(reload.at))
            .bool("active", true);
        out.push_str(&notification.end());
    }))
}

pub fn flags(context: &Context) -> Answer {
    let flags = context.runtime.flags.iter();
    Answer::of(
        flags
            .fold(Object::new(), |object, (name, value)| {
                object.text(name, value)
            })
            .end(),
    )
}

/// The JSON of `/status/buildinfo` and `/version`.
pub fn build_info() -> String {
    Object::new()
        .text("version", COMPATIBLE_VERSION)
        .text("revision", "")
        .text("branch", "")
        .text("buildUser", "")
        .text("buildDate", "")
        .text("goVersion", "")
        .text("ferulaVersion", env!("CARGO_PKG_VERSION"))
        .end()
}

pub fn runtime_info(context: &Context) -> Answer {
    let runtime = &context.runtime;
    let status = context.state.config();
    let database = context.database.as_ref();
    let retention = database.map_or_else(String::new, |d| d.db.retention().to_string());
    let data = Object::new()
        .text("startTime", &rfc3339(runtime.start))
        .text("CWD", &runtime.working_directory)
        .text("hostname", &runtime.hostname)
        .text("serverTime", &rfc3339(context.clock.wall_ms()))
        .bool("reloadConfigSuccess", status.last_reload.success)
        .text("lastConfigTime", &rfc3339(status.applied_at / 1000 * 1000))
        .number("corruptionCount", 0)
        .number("goroutineCount", 0)
        .number("GOMAXPROCS", runtime.processors as f64)
        .number("GOMEMLIMIT", 0)
        .text("GOGC", "")
        .text("GODEBUG", "")
        .text("storageRetention", &retention);
    Answer::of(data.end())
}
