//! Target files, as files and HTTP answers give them: read or refused.
#![no_main]

use ferula::config::{TargetFileKind, parse_target_groups};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| {
    for kind in [TargetFileKind::Json, TargetFileKind::Yaml] {
        let _ = parse_target_groups(content, kind);
    }
});
