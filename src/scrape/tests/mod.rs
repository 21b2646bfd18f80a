//! Tests of the room through its loops, pools and manager.

mod cache;
mod exemplars;
mod handover;
mod house;
mod limits;
mod manager;
mod merging;
mod pools;
mod refusals;
mod staleness;
mod targets;
