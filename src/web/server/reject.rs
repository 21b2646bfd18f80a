//! Why a request is refused before any handler sees it.

use std::borrow::Cow;

use crate::model::size;

/// Why a request is refused. The connection is closed after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reject {
    pub status: u16,
    pub why: Cow<'static, str>,
}

impl Reject {
    pub fn new(status: u16, why: impl Into<Cow<'static, str>>) -> Reject {
        let why = why.into();
        Reject { status, why }
    }

    /// Makes the refusal of a body that is larger than `bytes_max`.
    pub fn too_large(bytes_max: usize) -> Reject {
        let limit = size::format(bytes_max as u64);
        Reject::new(413, format!("the request's body is larger than {limit}"))
    }
}

pub(super) fn bad(why: &'static str) -> Reject {
    Reject::new(400, why)
}
