//! A shard: one thread that owns its calls, its transactions, its plugin instances and
//! one socket of each listener. Reading a message and finding its call takes no lock. What
//! shards share is behind locks that are held for a few instructions: the purse of an account,
//! the figures of a vendor trunk, counters of plugins, used nonces, the recorder's queue.

mod drive;
mod mailbox;
mod queue;
mod rescue;

pub(crate) use drive::{ShardParts, WAKER};
pub(crate) use mailbox::{Arrived, Command, Mailbox, ShardCounters, ShardReading, mailbox};
pub(crate) use rescue::words_of;

use platform::{ProcessorSet, keep_to, shorten_time_slice};
use std::io;
use std::thread::JoinHandle;

/// A running shard.
#[derive(Debug)]
pub(crate) struct Shard {
    /// How to reach it.
    pub(crate) mailbox: Mailbox,
    thread: JoinHandle<()>,
}

impl Shard {
    /// Starts the thread, kept to `processors` if there are any.
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

    /// Ends the thread and waits for it. Calls that are left end with it; their records are
    /// with the recorder.
    pub(crate) fn stop(self) {
        self.mailbox.send(Command::Stop);
        if self.thread.join().is_err() {
            tracing::error!("a shard ended in a panic");
        }
    }
}
