//! The thread that brings the pools in step with what was discovered: at once, and then at most
//! once an interval, however often discovery speaks.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, select};

use super::pools::Pools;
use crate::stdx::clock::Clock;
use crate::stdx::limits::THREAD_STACK;
use crate::stdx::stop::Stop;
use crate::stdx::thread::{self, Thread};

/// `synced` is rung after each sync; it holds one ring, which says all.
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
