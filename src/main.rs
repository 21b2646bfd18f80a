//! The binary: everything is in the library.

fn main() -> std::process::ExitCode {
    ferula::run(cfg!(target_feature = "crt-static"))
}
