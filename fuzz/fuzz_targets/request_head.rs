//! A request's head is whole or not, whatever follows it.
#![no_main]

use ferula::web::server::check_request_head;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| check_request_head(input));
