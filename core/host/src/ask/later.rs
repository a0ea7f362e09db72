use super::asker::Asker;
use policy::{CallDetails, Context, Pin, Question, Reply};
use std::sync::Arc;
use std::sync::mpsc::channel;

/// Result of asking a question.
#[must_use]
pub enum Asked {
    /// The reply is there.
    Now(Reply),
    /// A plugin that may wait for an outside server replies later.
    Later(Later),
}

impl Asked {
    /// The reply; blocks the thread for one that comes later.
    #[must_use]
    pub fn wait(self) -> Reply {
        match self {
            Asked::Now(reply) => reply,
            Asked::Later(later) => later.wait(),
        }
    }
}

/// A question that is asked only once its receiver is set by [`Later::then`] or [`Asked::wait`].
/// Dropping it asks nothing.
#[must_use]
pub struct Later {
    asker: Asker,
    pin: Pin,
    details: Option<Arc<CallDetails>>,
    question: Question,
}

impl Later {
    pub(crate) fn new(asker: Asker, context: Context<'_>, question: &Question) -> Later {
        Later {
            asker,
            pin: context.pin.clone(),
            details: context.details.cloned(),
            question: question.clone(),
        }
    }

    /// Asks on the host's own threads. `deliver` gets the reply there, once, within the wall time
    /// of the plugin's settings. While the question waits, it keeps its pinned generation alive.
    pub fn then(self, deliver: impl FnOnce(Reply) + Send + 'static) {
        let services = Arc::clone(self.asker.services());
        let watching = services.pace.watch();
        let task = async move {
            let context = Context { pin: &self.pin, details: self.details.as_ref() };
            let reply = self.asker.ask(watching.watched(), context, &self.question).await;
            deliver(reply);
        };
        // Loading a plugin that may wait has started the lane.
        if let Some(lane) = services.lane() {
            lane.spawn(task);
        }
    }

    fn wait(self) -> Reply {
        let (sender, receiver) = channel();
        self.then(move |reply| {
            // The receiver below outlives the task.
            let _ = sender.send(reply);
        });
        receiver.recv().unwrap_or_else(|_| Reply {
            outcome: Err(policy::Fault::Trap("the host is stopping".to_owned())),
            plugin: None,
            nanos: 0,
            by_previous: false,
            instead_of: None,
            rejects: false,
            earlier: Vec::new(),
        })
    }
}
