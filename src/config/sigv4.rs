//! `sigv4`, which `alerting` and `remote_write` have: checked, since both refuse it.

use super::section::Section;

pub(super) fn sigv4_section(mut s: Section<'_>) {
    for key in [
        "region",
        "access_key",
        "secret_key",
        "profile",
        "role_arn",
        "external_id",
    ] {
        s.string(key);
    }
    s.bool("use_fips_sts_endpoint");
    if s.has("access_key") != s.has("secret_key") {
        let text = "must provide a AWS SigV4 Access key and Secret Key if credentials are \
                    specified in the SigV4 config";
        s.error(text);
    }
    s.finish();
}
