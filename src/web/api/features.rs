//! `/features`: what this server can do, by Prometheus's names.

use super::Answer;
use crate::config::sd_kinds;
use crate::promql::{Aggregator, Settings, functions};
use crate::stdx::sort::sort;
use crate::storage::Appendable as _;
use crate::web::context::Context;
use crate::web::json::Object;

const OPERATORS: &[&str] = &[
    "!=", "!~", "%", "*", "+", "-", "/", "<", "<=", "==", "=~", ">", ">=", "@", "^", "and",
    "atan2", "or", "unless",
];

const AGGREGATORS: [Aggregator; 14] = [
    Aggregator::Avg,
    Aggregator::Bottomk,
    Aggregator::Count,
    Aggregator::CountValues,
    Aggregator::Group,
    Aggregator::LimitRatio,
    Aggregator::Limitk,
    Aggregator::Max,
    Aggregator::Min,
    Aggregator::Quantile,
    Aggregator::Stddev,
    Aggregator::Stdvar,
    Aggregator::Sum,
    Aggregator::Topk,
];

/// Returns the features. Each list is sorted, as Go writes a map.
pub fn features(context: &Context) -> Answer {
    let database = context.database.as_ref();
    let settings = database.map_or_else(Settings::default, |d| *d.engine.settings());
    let language = &settings.features;
    let api = [
        ("admin", context.admin),
        ("exclude_alerts", false),
        ("label_values_match", true),
        ("lifecycle", context.control.enabled),
        ("otlp_write_receiver", false),
        ("query_stats", true),
        ("query_warnings", true),
        ("remote_write_receiver", context.receiver.is_some()),
        ("search", false),
        ("time_range_labels", true),
        ("time_range_series", true),
    ];
    let promql = [
        ("anchored", language.extended_ranges),
        ("at_modifier", true),
        ("bool", true),
        ("by", true),
        ("delayed_name_removal", settings.delays_names),
        ("duration_expr", true),
        ("fill", language.fill_modifiers),
        ("fill_left", language.fill_modifiers),
        ("fill_right", language.fill_modifiers),
        ("group_left", true),
        ("group_right", true),
        ("ignoring", true),
        ("negative_offset", true),
        ("offset", true),
        ("on", true),
        ("per_query_lookback_delta", true),
        ("per_step_stats", false),
        ("smoothed", language.extended_ranges),
        ("subqueries", true),
        ("type_and_unit_labels", false),
        ("without", true),
    ];
    let has = |is_experimental: bool| !is_experimental || language.experimental_functions;
    let of_functions = functions().iter().map(|f| {
        let is_start = f.name == "start_timestamp";
        let on = has(f.is_experimental) && (!is_start || language.start_timestamps);
        (f.name, on)
    });
    let aggregators = AGGREGATORS.map(|op| (op.as_str(), has(op.is_experimental())));
    let mut operators: Vec<_> = OPERATORS.iter().map(|op| (*op, true)).collect();
    operators.extend(aggregators);
    sort(&mut operators);
    let tsdb = [
        (
            "exemplar_storage",
            database.is_some_and(|d| d.db.takes_exemplars()),
        ),
        ("isolation", true),
        ("native_histograms", false),
    ];
    let discoverers = sd_kinds().into_iter().map(|name| (name, true));
    let data = Object::new()
        .raw("api", &list(api))
        .raw(
            "prometheus",
            &list([
                ("agent_mode", database.is_none()),
                ("server_mode", database.is_some()),
            ]),
        )
        .raw("promql", &list(promql))
        .raw("promql_functions", &list(of_functions))
        .raw("promql_operators", &list(operators))
        .raw("service_discovery_providers", &list(discoverers))
        .raw("tsdb", &list(tsdb));
    Answer::of(data.end())
}

fn list<'n>(all: impl IntoIterator<Item = (&'n str, bool)>) -> String {
    let object = Object::new();
    let object = all
        .into_iter()
        .fold(object, |object, (name, on)| object.bool(name, on));
    object.end()
}
