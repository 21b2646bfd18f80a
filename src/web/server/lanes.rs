//! The channels from the poller to the workers.

use std::collections::VecDeque;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::worker::Job;

/// The poller's ends of the channels to the workers.
pub(super) struct Lanes {
    pub handshake: Lane,
    pub management: Lane,
    pub normal: Lane,
    pub query: Lane,
}

pub(super) struct LaneEnds {
    pub handshake: Receiver<Job>,
    pub management: Receiver<Job>,
    pub normal: Receiver<Job>,
    pub query: Receiver<Job>,
}

/// A channel to the workers, and those who wait for room in it.
pub(super) struct Lane {
    pub tx: Sender<Job>,
    /// Ids in order of arrival. Those that have gone meanwhile are skipped.
    pub waiting: VecDeque<u64>,
}

impl Lanes {
    /// Makes the channels. Each holds as many jobs as there are workers, so that none of these
    /// idles while the poller is busy. The rest waits in the poller, which sees a hang-up.
    pub fn new(workers: usize) -> (Lanes, LaneEnds) {
        let lane = |capacity| {
            let (tx, rx) = bounded(capacity);
            let waiting = VecDeque::new();
            (Lane { tx, waiting }, rx)
        };
        let (handshake, handshake_rx) = lane(workers);
        let (management, management_rx) = lane(1);
        let (normal, normal_rx) = lane(workers);
        let (query, query_rx) = lane(query_workers(workers));
        let lanes = Lanes {
            handshake,
            management,
            normal,
            query,
        };
        let ends = LaneEnds {
            handshake: handshake_rx,
            management: management_rx,
            normal: normal_rx,
            query: query_rx,
        };
        (lanes, ends)
    }

    pub fn each(&mut self) -> [&mut Lane; 4] {
        [
            &mut self.handshake,
            &mut self.management,
            &mut self.normal,
            &mut self.query,
        ]
    }
}

/// The number of workers that take queries.
pub(super) fn query_workers(workers: usize) -> usize {
    workers.saturating_sub(2).max(1)
}
