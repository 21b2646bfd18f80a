//! Discoverers find targets on threads of their own, and send what they find.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use crate::model::TargetGroup;
use crate::stdx::stop::Stop;

/// Updates that wait for the manager. LIMIT: the manager merges faster than any discoverer finds.
/// When it is full the discoverers wait, which costs only freshness.
const UPDATES: usize = 16;

/// Finds targets until it is stopped.
pub trait Discoverer: Send {
    /// Sends groups as they change. A group replaces the earlier one of its source; one without
    /// targets removes it. The first update, even an empty one, replaces the groups of the provider
    /// before this one. A failed search sends nothing at all rather than a part.
    fn run(self: Box<Self>, stop: Stop, updates: Updates);
}

/// A provider's channel to its manager.
#[derive(Debug, Clone)]
pub struct Updates {
    provider: u64,
    sender: Sender<Update>,
    stop: Stop,
}

/// What one provider found.
#[derive(Debug)]
pub(super) struct Update {
    pub provider: u64,
    pub groups: Vec<Arc<TargetGroup>>,
}

pub(super) fn channel() -> (Sender<Update>, Receiver<Update>) {
    bounded(UPDATES)
}

impl Updates {
    pub(super) fn new(provider: u64, sender: Sender<Update>, stop: Stop) -> Updates {
        Updates {
            provider,
            sender,
            stop,
        }
    }

    /// Waits for room. Returns false when the discoverer must stop.
    pub fn send(&self, groups: Vec<TargetGroup>) -> bool {
        let update = Update {
            provider: self.provider,
            groups: groups.into_iter().map(Arc::new).collect(),
        };
        select! {
            recv(self.stop.channel()) -> _ => false,
            send(self.sender, update) -> sent => sent.is_ok(),
        }
    }
}
