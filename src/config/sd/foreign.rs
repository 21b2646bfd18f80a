//! Discoveries that Prometheus has and Ferula does not: refused by name, or skipped. Their content
//! is not checked.

use crate::config::section::Item;

/// Reports that a section is not supported: an error, or with the flag a warning.
pub(super) fn refuse(item: &Item<'_>, kind: &str) {
    if item.cx.options.ignore_unsupported_sd {
        item.warn(format!(
            "{kind} service discovery is not supported by Ferula: skipped"
        ));
    } else {
        item.error(format!(
            "{kind} service discovery is not supported by Ferula; feed it through http_sd_configs, \
             or go on without its targets with --config.ignore-unsupported-sd"
        ));
    }
}
