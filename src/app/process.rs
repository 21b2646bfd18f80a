//! The process as a whole: its name, its limits, its allocator, its metrics.

use std::env::consts::{ARCH, OS};
use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::metrics::Registry;
use crate::stdx::bugs;
use crate::stdx::clock::{Clock as _, RealClock};

/// Raises the soft limit of open files to the hard one, since each target takes one.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, raised).is_err() {
        log::warn!("cannot raise the limit of open files; many targets may not be scraped");
    }
}

/// Sets two arenas at most. Measured with 16 threads under a scrape-like load: 7.9 MB resident
/// against
/// 17.8 MB with glibc's default of eight arenas per core.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "mallopt has no safe wrapper")]
pub fn tune_allocator() {
    // SAFETY: mallopt is called once, before any other thread exists, with documented parameters.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

/// Gives the allocator's free pages back to the system: after reading a configuration, after
/// queries, and from time to time.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "malloc_trim has no safe wrapper")]
pub fn give_memory_back() {
    // SAFETY: malloc_trim takes the allocator's own locks and touches free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Makes names be looked up in the hosts file and by DNS, whatever `/etc/nsswitch.conf` says. For
/// other entries (mDNS, systemd's resolver) a static glibc loads the host's plugins, and with them
/// the host's own glibc. If that has another version, the process ends with SIGFPE.
#[cfg(target_env = "gnu")]
#[expect(
    unsafe_code,
    reason = "glibc's choice of resolvers has no safe wrapper"
)]
pub fn resolve_without_plugins() {
    use std::ffi::{c_char, c_int};

    unsafe extern "C" {
        fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
    }
    // SAFETY: two C strings, which glibc copies; called before any other thread exists.
    unsafe {
        __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr());
    }
}

#[cfg(not(target_env = "gnu"))]
pub fn resolve_without_plugins() {}

#[cfg(not(target_env = "gnu"))]
pub fn tune_allocator() {}

#[cfg(not(target_env = "gnu"))]
pub fn give_memory_back() {}

/// The machine's name.
pub fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// Registers `*_build_info`, and `process_*` as in Prometheus's client library, read when asked
/// for.
pub fn register_metrics(registry: &Registry) {
    register_build_info(registry);
    let start = start_time_seconds();
    registry.gauge_fn(
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        move || start,
    );
    registry.counter_fn(
        "process_cpu_seconds_total",
        "Total user and system CPU time spent in seconds.",
        || {
            let ticks = stat_field(11) + stat_field(12);
            ticks / rustix::param::clock_ticks_per_second() as f64
        },
    );
    registry.gauge_fn(
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        || stat_field(21) * rustix::param::page_size() as f64,
    );
    registry.gauge_fn(
        "process_virtual_memory_bytes",
        "Virtual memory size in bytes.",
        || stat_field(20),
    );
    registry.gauge_fn(
        "process_virtual_memory_max_bytes",
        "Maximum amount of virtual memory available in bytes.",
        || getrlimit(Resource::As).maximum.map_or(-1.0, |m| m as f64),
    );
    registry.gauge_fn(
        "process_open_fds",
        "Number of open file descriptors.",
        || fs::read_dir("/proc/self/fd").map_or(0.0, |entries| entries.count() as f64 - 1.0),
    );
    registry.gauge_fn(
        "process_max_fds",
        "Maximum number of open file descriptors.",
        || {
            getrlimit(Resource::Nofile)
                .current
                .map_or(-1.0, |m| m as f64)
        },
    );
    registry.counter_fn(
        "ferula_bugs_total",
        "Mistakes of Ferula itself that it met and went on from; each place's first is in the log.",
        || f64::from(bugs::count()),
    );
    registry.gauge_fn(
        "ferula_threads",
        "Number of threads of the process.",
        || stat_field(17),
    );
}

/// Registers the build, under Prometheus's name and ours.
fn register_build_info(registry: &Registry) {
    let names: &[&str] = &[
        "branch",
        "goarch",
        "goos",
        "goversion",
        "revision",
        "tags",
        "version",
    ];
    let help = "A metric with a constant '1' value labeled by version and target.";
    let info = registry.gauge_vec("prometheus_build_info", help, names);
    let arch = goarch(ARCH, cfg!(target_endian = "little"));
    info.with(&["", arch, OS, "", "", "", "3.14.0"]).set(1.0);
    let help = "The version of Ferula, always 1.";
    let info = registry.gauge_vec("ferula_build_info", help, &["version"]);
    info.with(&[env!("CARGO_PKG_VERSION")]).set(1.0);
}

/// Returns Go's name, which dashboards know, of the architecture that Rust calls `arch`.
fn goarch(arch: &'static str, little_endian: bool) -> &'static str {
    match (arch, little_endian) {
        ("x86", _) => "386",
        ("x86_64", _) => "amd64",
        ("aarch64", _) => "arm64",
        ("loongarch64", _) => "loong64",
        ("mips", true) => "mipsle",
        ("mips64", true) => "mips64le",
        ("powerpc", _) => "ppc",
        ("powerpc64", true) => "ppc64le",
        ("powerpc64", false) => "ppc64",
        ("riscv32", _) => "riscv",
        // arm, big-endian mips and mips64, riscv64, s390x.
        (same, _) => same,
    }
}

/// Reads a field of `/proc/self/stat`, counted from 0 after the command's name (proc(5)'s number
/// less 3).
fn stat_field(index: usize) -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    rest.split(' ')
        .nth(index)
        .and_then(|f| f.parse().ok())
        .unwrap_or(0.0)
}

/// Returns the start time. It counts from boot, as the kernel does, and falls back to now.
fn start_time_seconds() -> f64 {
    let now = RealClock::new().wall_ms() as f64 / 1000.0;
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let uptime: Option<f64> = uptime.split(' ').next().and_then(|f| f.parse().ok());
    let started = stat_field(19) / rustix::param::clock_ticks_per_second() as f64;
    uptime.map_or(now, |uptime| now - uptime + started)
}

#[cfg(test)]
mod tests {
    use super::goarch;

    #[test]
    fn architectures_have_gos_names() {
        for (arch, little_endian, expect) in [
            ("x86", true, "386"),
            ("x86_64", true, "amd64"),
            ("arm", true, "arm"),
            ("aarch64", true, "arm64"),
            ("mips", true, "mipsle"),
            ("mips", false, "mips"),
            ("mips64", true, "mips64le"),
            ("powerpc", false, "ppc"),
            ("powerpc64", true, "ppc64le"),
            ("riscv64", true, "riscv64"),
            ("s390x", false, "s390x"),
        ] {
            assert_eq!(goarch(arch, little_endian), expect);
        }
    }
}
