//! How many queries run at once. The others wait, and waiting counts against their time.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::error::QueryError;
use crate::stdx::clock::Clock;
use crate::stdx::stop::Stop;

const QUEUE: &str = "query queue";

/// A place for each query that may run, in a channel of just that capacity: it can't be full when
/// a place is given back.
#[derive(Debug)]
pub(super) struct Gate {
    places_tx: Sender<()>,
    places: Receiver<()>,
}

/// Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place<'g>(&'g Sender<()>);

impl Gate {
    pub fn new(places_max: usize) -> Gate {
        let (places_tx, places) = bounded(places_max.max(1));
        while places_tx.try_send(()).is_ok() {}
        Gate { places_tx, places }
    }

    /// Waits for a place until `deadline` of the monotonic clock.
    pub fn enter(
        &self,
        clock: &dyn Clock,
        deadline: Duration,
        cancel: &Stop,
    ) -> Result<Place<'_>, QueryError> {
        if self.places.try_recv().is_err() {
            select! {
                recv(self.places) -> _ => {}
                recv(cancel.channel()) -> _ => return Err(QueryError::Canceled(QUEUE)),
                recv(clock.at(deadline)) -> _ => return Err(QueryError::Timeout(QUEUE)),
            }
        }
        Ok(Place(&self.places_tx))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let _ = self.0.try_send(());
    }
}
