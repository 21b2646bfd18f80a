//! A body of remote write, packed and not, stores what it says or is refused.
#![no_main]

use std::sync::{Arc, LazyLock};

use ferula::metrics::Registry;
use ferula::model::{Labels, SeriesRef};
use ferula::remote::{AcceptedMessages, Options, Receiver};
use ferula::stdx::clock::ManualClock;
use ferula::storage::{Appendable, Appender, Committed, StorageError};
use libfuzzer_sys::fuzz_target;

/// Keeps nothing.
struct Nothing;

impl Appendable for Nothing {
    fn resolve(&self, labels: &Labels) -> Result<SeriesRef, StorageError> {
        assert!(!labels.is_empty());
        let names: Vec<&str> = labels.iter().map(|(name, _)| name).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{labels}");
        Ok(SeriesRef(labels.iter().count() as u64))
    }

    fn takes_exemplars(&self) -> bool {
        true
    }

    fn commit(&self, batch: &Appender) -> Result<Committed, StorageError> {
        Ok(Committed {
            appended: batch.samples.len() as u64,
            ..Committed::default()
        })
    }
}

static RECEIVER: LazyLock<Receiver> = LazyLock::new(|| {
    let names = ["prometheus.WriteRequest"];
    Receiver::new(Options {
        storage: Arc::new(Nothing),
        clock: Arc::new(ManualClock::new(1_700_000_000_000)),
        registry: Registry::new(),
        accepted: AcceptedMessages::from_names(&names).expect("a message that there is"),
    })
});

fuzz_target!(|body: &[u8]| {
    let _ = RECEIVER.receive(None, None, body);
    let packed = snap::raw::Encoder::new().compress_vec(body);
    let _ = RECEIVER.receive(None, None, &packed.expect("a short body is packed"));
});
