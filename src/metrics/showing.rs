//! Metrics that show something when they are read.

use std::sync::{Arc, Weak};

use super::registry::Registry;

/// Shows values of something that the registry outlives: held weakly, and 0 once it is gone.
#[derive(Debug)]
pub struct Showing<T> {
    registry: Registry,
    of: Weak<T>,
}

impl<T: Send + Sync + 'static> Showing<T> {
    pub fn new(registry: &Registry, of: &Arc<T>) -> Showing<T> {
        Showing {
            registry: registry.clone(),
            of: Arc::downgrade(of),
        }
    }

    pub fn gauge(&self, name: &'static str, help: &'static str, read: fn(&T) -> f64) {
        self.registry.gauge_fn(name, help, self.reader(read));
    }

    pub fn counter(&self, name: &'static str, help: &'static str, read: fn(&T) -> f64) {
        self.registry.counter_fn(name, help, self.reader(read));
    }

    fn reader(&self, read: fn(&T) -> f64) -> impl Fn() -> f64 + Send + Sync + use<T> {
        let of = self.of.clone();
        move || of.upgrade().map_or(0.0, |of| read(&of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_zero() {
        let (registry, shown) = (Registry::new(), Arc::new(7.0));
        let showing = Showing::new(&registry, &shown);
        showing.gauge("a", "Help of a.", |value| *value);
        showing.counter("b_total", "Help of b.", |value| *value + 1.0);
        assert_eq!(
            ["a", "b_total"].map(|name| registry.shown(name)),
            ["7", "8"]
        );
        drop(shown);
        assert_eq!(
            ["a", "b_total"].map(|name| registry.shown(name)),
            ["0", "0"]
        );
    }
}
