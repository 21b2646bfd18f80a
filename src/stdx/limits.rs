//! Limits that several rooms share, one constant each with its reason. A room's own limits stand in
//! the room.

/// Stack of a scrape loop. LIMIT: a plain turn touches at most 16 KiB, a TLS handshake with a
/// client certificate or a compiled regex far more; what is not touched is not resident.
pub const LOOP_STACK: usize = if cfg!(target_pointer_width = "32") {
    128 << 10
} else {
    256 << 10
};

/// LIMIT: of a thread that runs queries, which recurse by an expression's depth (at most 256; a
/// level of calls takes some 17 KiB unoptimized, far less optimized). What is not touched is not
/// resident.
pub const QUERY_STACK: usize = if cfg!(target_pointer_width = "32") {
    4 << 20
} else {
    8 << 20
};

/// Stack of every other thread, whose depth parsers and TLS decide.
pub const THREAD_STACK: usize = 1 << 20;

/// Largest configuration, rule or target file that is read. LIMIT: the YAML scanner is quadratic in
/// nesting, and no real file comes near.
pub const CONFIG_FILE_BYTES_MAX: u64 = 16 << 20;

/// Largest answer of a service discovery endpoint, uncompressed.
pub const SD_BODY_BYTES_MAX: u64 = 64 << 20;
