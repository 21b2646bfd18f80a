//! Bounds how many queries run at once. The others wait, and waiting counts against their time.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::error::QueryError;
use crate::stdx::clock::Clock;
use crate::stdx::stop::Stop;

const QUEUE: &str = "query queue";

/// Holds a place for each query that may run. The channel has just that capacity, so it cannot be
/// full when a place is given back.
#[derive(Debug)]
pub(super) struct Gate {
    places_tx: Sender<usize>,
    places: Receiver<usize>,
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place<'g> {
    /// Counts from 0.
    pub number: usize,
    places_tx: &'g Sender<usize>,
}

impl Gate {
    pub fn new(places_max: usize) -> Gate {
        let (places_tx, places) = bounded(places_max.max(1));
        for number in 0..places_max.max(1) {
            let _ = places_tx.try_send(number);
        }
        Gate { places_tx, places }
    }

    /// Waits for a place until `deadline` on the monotonic clock.
    pub fn enter(
        &self,
        clock: &dyn Clock,
        deadline: Duration,
        cancel: &Stop,
    ) -> Result<Place<'_>, QueryError> {
        let number = self.places.try_recv().or_else(|_| {
            select! {
                // The gate holds a sender itself.
                recv(self.places) -> number => number.map_err(|_| QueryError::Canceled(QUEUE)),
                recv(cancel.channel()) -> _ => Err(QueryError::Canceled(QUEUE)),
                recv(clock.at(deadline)) -> _ => Err(QueryError::Timeout(QUEUE)),
            }
        })?;
        Ok(Place {
            number,
            places_tx: &self.places_tx,
        })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let _ = self.places_tx.try_send(self.number);
    }
}
