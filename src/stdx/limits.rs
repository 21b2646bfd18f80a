//! Limits that several rooms share, each a constant with its reason. A room's own limits stand in
//! the room.

/// The stack of a scrape loop. LIMIT: a plain turn touches at most 16 KiB; a TLS handshake with a
/// client certificate, or compiling a regex, far more. Pages that are not touched are not resident.
pub const LOOP_STACK: usize = if cfg!(target_pointer_width = "32") {
    128 << 10
} else {
    256 << 10
};

/// The stack of a thread that runs queries. LIMIT: evaluation recurses by an expression's depth (at
/// most 256). A level of calls takes some 17 KiB unoptimized, far less optimized. Pages that are
/// not touched are not resident.
pub const QUERY_STACK: usize = if cfg!(target_pointer_width = "32") {
    4 << 20
} else {
    8 << 20
};

/// The stack of every other thread. Parsers and TLS go deepest in them.
pub const THREAD_STACK: usize = 1 << 20;

/// The largest configuration, rule or target file that is read. LIMIT: the YAML scanner is
/// quadratic in nesting, and no real file comes near.
pub const CONFIG_FILE_BYTES_MAX: u64 = 16 << 20;

/// The largest answer of a service discovery endpoint, uncompressed.
pub const SD_BODY_BYTES_MAX: u64 = 64 << 20;

/// How far ahead of our clock, in milliseconds, others may date samples. LIMIT: Prometheus's; what
/// is scraped or received with a later time is refused.
pub const APPEND_AHEAD_MAX_MS: i64 = 10 * 60 * 1000;
