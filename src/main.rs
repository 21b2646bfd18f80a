//! The binary: everything is in the library.

/// NOTE: read so that cargo links again when it has changed; nothing of it stays in the program.
const _: &str = include_str!("../link/start.ld");

fn main() -> std::process::ExitCode {
    ferula::run(cfg!(target_feature = "crt-static"))
}
