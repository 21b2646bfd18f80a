//! The thread that brings the pools in step with discovery: at once, and then at most once per
//! interval, however often discovery sends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, select};

use super::pools::Pools;
use crate::stdx::clock::Clock;
use crate::stdx::limits::THREAD_STACK;
use crate::stdx::stop::Stop;
use crate::stdx::thread::{self, Thread};

/// Starts the thread. It rings `synced` after each sync; one waiting ring is enough.
pub(super) fn start(
    pools: Arc<Pools>,
    trigger: Receiver<()>,
    synced: crossbeam_channel::Sender<()>,
    stop: Stop,
    clock: Arc<dyn Clock>,
    interval: Duration,
) -> io::Result<Thread> {
    thread::spawn_vital("reloader", THREAD_STACK, move || {
        loop {
            select! {
                recv(stop.channel()) -> _ => return,
                recv(trigger) -> message => if message.is_err() { return },
            }
            pools.sync();
            let _ = synced.try_send(());
            let rest = clock.after(interval);
            select! {
                recv(stop.channel()) -> _ => return,
                recv(rest) -> _ => {}
            }
        }
    })
}
