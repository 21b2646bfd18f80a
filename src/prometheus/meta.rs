//! `meta.json`: a block's metadata.

use serde::{Deserialize, Serialize};

use super::ulid::Ulid;

/// Unknown keys (Thanos has one of its own) are skipped.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    pub ulid: String,
    /// Milliseconds, inclusive.
    pub min_time: i64,
    /// Milliseconds, exclusive.
    pub max_time: i64,
    #[serde(default)]
    pub stats: Stats,
    #[serde(default)]
    pub compaction: Compaction,
    pub version: u32,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stats {
    #[serde(skip_serializing_if = "is_zero")]
    pub num_samples: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub num_float_samples: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub num_histogram_samples: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub num_series: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub num_chunks: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub num_tombstones: u64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Compaction {
    pub level: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deletable: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<Parent>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parent {
    pub ulid: String,
    pub min_time: i64,
    pub max_time: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(v: &u64) -> bool {
    *v == 0
}

impl Meta {
    /// Makes the metadata of a block that was made from samples, not from other blocks.
    pub(super) fn first_level(ulid: Ulid, min_time: i64, max_time: i64, stats: Stats) -> Meta {
        Meta {
            ulid: ulid.to_string(),
            min_time,
            max_time,
            stats,
            compaction: Compaction {
                level: 1,
                sources: vec![ulid.to_string()],
                ..Compaction::default()
            },
            version: 1,
        }
    }

    /// Writes it indented with tabs, as Prometheus does.
    pub(super) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut out = Vec::new();
        let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        self.serialize(&mut serde_json::Serializer::with_formatter(&mut out, tabs))?;
        Ok(out)
    }

    /// Whether the block does not show how far the head goes, for example because its samples came
    /// out of order.
    pub(super) fn is_beside_the_head(&self) -> bool {
        let hints = &self.compaction.hints;
        hints
            .iter()
            .any(|h| h == "from-out-of-order" || h == "from-stale-series")
    }
}
