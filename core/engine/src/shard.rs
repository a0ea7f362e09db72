//! A shard: one thread that owns its calls, transactions, plugin instances and one socket per
//! listener. Reading a message and finding its call takes no lock. State shared between shards is
//! behind locks held for a few instructions: purses of accounts, statistics of vendor trunks,
//! plugin counters, used nonces, the recorder's queue.

mod drive;
mod queue;
mod rescue;

pub(crate) use drive::{ShardParts, WAKER};

use crate::mailbox::{Command, Mailbox};
use platform::{ProcessorSet, keep_to, shorten_time_slice};
use std::io;
use std::thread::JoinHandle;

/// A running shard.
#[derive(Debug)]
pub(crate) struct Shard {
    /// Its mailbox.
    pub(crate) mailbox: Mailbox,
    thread: JoinHandle<()>,
}

impl Shard {
    /// Starts the thread, pinned to `processors` if given.
    pub(crate) fn start(parts: ShardParts, processors: Option<ProcessorSet>) -> io::Result<Shard> {
        let mailbox = parts.own_mailbox();
        let thread = std::thread::Builder::new().name(format!("shard-{}", parts.number())).spawn(
            move || {
                keep_to(processors.as_ref());
                shorten_time_slice();
                parts.run();
            },
        )?;
        Ok(Shard { mailbox, thread })
    }

    /// Ends the thread and waits for it. Remaining calls end with it; the recorder has their
    /// records.
    pub(crate) fn stop(self) {
        self.mailbox.send(Command::Stop);
        if self.thread.join().is_err() {
            tracing::error!("a shard ended in a panic");
        }
    }
}
