//! Orders the shipped program so that what every run executes lies side by side: see
//! `link/order.py`.
//! Tells who builds a program that ends in 2038.

use std::env::var;

fn main() {
    println!("cargo:rerun-if-changed=link/start.ld");
    println!("cargo:rerun-if-env-changed=RUST_LIBC_UNSTABLE_MUSL_V1_2_3");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    let on_linux = is("CARGO_CFG_TARGET_OS", "linux");
    if is("PROFILE", "release") && on_linux {
        let root = var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo:rustc-link-arg-bins=-T{root}/link/start.ld");
    }
    // NOTE: `make cross` says so to std, which it builds, and to our own calls alike.
    let long_time = is("RUST_LIBC_UNSTABLE_MUSL_V1_2_3", "1");
    if is("CARGO_CFG_TARGET_POINTER_WIDTH", "32") && on_linux && !long_time {
        println!(
            "cargo:warning=std tells the time in 32 bits here, and panics from January 2038 on: \
             `make cross` builds a program that does not"
        );
    }
}
