//! The values of a discovery that Ferula does not have, for its check.

use std::cell::RefCell;

use crate::config::http::Http;

/// The values of one section.
#[derive(Default)]
pub(super) struct Values {
    pub texts: Vec<(&'static str, Option<String>)>,
    pub lists: Vec<(&'static str, Vec<String>)>,
    pub http: Option<Http>,
    /// Whether a filter has no values.
    pub empty_filter: bool,
    pub faults: RefCell<Vec<(&'static str, String)>>,
}

impl Values {
    pub fn fault(&self, key: &'static str, message: impl Into<String>) {
        self.faults.borrow_mut().push((key, message.into()));
    }

    pub fn text(&self, key: &str) -> String {
        self.text_or(key, "")
    }

    pub fn text_or(&self, key: &str, default: &str) -> String {
        let value = self.texts.iter().find(|(name, _)| *name == key);
        value
            .and_then(|(_, text)| text.clone())
            .unwrap_or_else(|| default.to_owned())
    }

    pub fn list(&self, key: &str) -> &[String] {
        let value = self.lists.iter().find(|(name, _)| *name == key);
        value.map_or(&[], |(_, list)| list)
    }

    pub fn required(&self, key: &'static str, message: &str) {
        if self.text(key).is_empty() {
            self.fault(key, message);
        }
    }

    pub fn one_of(
        &self,
        key: &'static str,
        default: &str,
        known: &[&str],
        message: impl Fn(&str) -> String,
    ) {
        let got = self.text_or(key, default);
        if !known.contains(&got.as_str()) {
            self.fault(key, message(&got));
        }
    }

    pub fn uuid(&self, key: &'static str, what: &str) {
        let got = self.text(key);
        let lengths: Vec<usize> = got.split('-').map(str::len).collect();
        let hexadecimal = got.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        if !got.is_empty() && (lengths != [8, 4, 4, 4, 12] || !hexadecimal) {
            self.fault(
                key,
                format!(
                    "scaleway-sdk-go: invalid {what} format '{got}', expected a UUID: \
                     xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
                ),
            );
        }
    }

    pub fn secret_key(&self) {
        let (key, file) = (self.text("secret_key"), self.text("secret_key_file"));
        match (key.is_empty(), file.is_empty()) {
            (true, true) => self.fault(
                "secret_key",
                "one of secret_key & secret_key_file must be configured",
            ),
            (false, false) => self.fault(
                "secret_key_file",
                "at most one of secret_key & secret_key_file must be configured",
            ),
            _ => {}
        }
    }
}
