//! The run group: components started in order, stopped in reverse, each with a deadline.

use std::time::Duration;

/// Stops a component; false when it still ran at the deadline.
type StopFn = Box<dyn FnOnce(Duration) -> bool + Send>;

/// What runs, in the order of starting.
#[derive(Default)]
pub struct RunGroup {
    stages: Vec<(&'static str, StopFn)>,
}

impl RunGroup {
    pub fn started(
        &mut self,
        name: &'static str,
        stop: impl FnOnce(Duration) -> bool + Send + 'static,
    ) {
        self.stages.push((name, Box::new(stop)));
    }

    /// Stops everything, the last started first. True when every stage kept its deadline.
    pub fn stop(mut self, deadline: Duration) -> bool {
        let mut in_time = true;
        while let Some((name, stop)) = self.stages.pop() {
            if stop(deadline) {
                log::info!(stage = name; "Stopped");
            } else {
                let deadline = format!("{deadline:?}");
                log::error!(stage = name, deadline = deadline.as_str();
                    "Did not stop within its deadline and is left behind");
                in_time = false;
            }
        }
        in_time
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn stages_stop_in_reverse_and_one_that_hangs_stops_no_other() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut group = RunGroup::default();
        for (name, stops) in [("storage", true), ("web", false), ("scrape", true)] {
            let order = order.clone();
            group.started(name, move |_| {
                order.lock().unwrap().push(name);
                stops
            });
        }
        assert!(!group.stop(Duration::ZERO));
        assert_eq!(*order.lock().unwrap(), ["scrape", "web", "storage"]);
    }
}
