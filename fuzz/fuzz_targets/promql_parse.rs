//! Parsing a query, and resolving its durations, never panics.
#![no_main]

use ferula::promql::{Features, parse, parse_selector, resolve};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|query: &str| {
    let _ = parse_selector(query);
    if let Ok(expr) = parse(query, &Features::all()) {
        let _ = resolve(&expr, 15_000, 3_600_000);
    }
});
