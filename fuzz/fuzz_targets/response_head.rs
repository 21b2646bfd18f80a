//! An answer's head is found, and its body is the same in whatever pieces it comes.
#![no_main]

use ferula::net::check_response;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| check_response(input));
