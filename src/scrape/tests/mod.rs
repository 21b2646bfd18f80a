//! The room through its loops, pools and manager.

mod cache;
mod exemplars;
mod limits;
mod manager;
mod merging;
mod pools;
mod staleness;
mod targets;
