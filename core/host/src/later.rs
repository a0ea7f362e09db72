use crate::shard::Asker;
use policy::{CallDetails, Context, Pin, Question, Reply};
use std::sync::Arc;
use std::sync::mpsc::channel;

/// What became of a question.
#[must_use]
pub enum Asked {
    /// It is answered.
    Now(Reply),
    /// A plugin that may wait for a server outside answers it later.
    Later(Later),
}

impl Asked {
    /// The reply; the thread waits for one that comes later.
    #[must_use]
    pub fn wait(self) -> Reply {
        match self {
            Asked::Now(reply) => reply,
            Asked::Later(later) => later.wait(),
        }
    }
}

/// A question that is put to its plugins once somebody is named who takes the reply.
/// Dropped, nobody is asked.
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

    /// Asks on threads of the host's own. `deliver` gets the reply there, once, within the
    /// wall time of the plugin's settings; while the question waits, the generation that it
    /// pinned lives.
    pub fn then(self, deliver: impl FnOnce(Reply) + Send + 'static) {
        let services = Arc::clone(self.asker.services());
        let watching = services.pace.watch();
        let task = async move {
            let context = Context { pin: &self.pin, details: self.details.as_ref() };
            let reply = self.asker.ask(watching.watched(), context, &self.question).await;
            deliver(reply);
        };
        // A plugin that may wait was loaded, and that has started the lane.
        if let Some(lane) = services.lane() {
            lane.spawn(task);
        }
    }

    fn wait(self) -> Reply {
        let (sender, receiver) = channel();
        self.then(move |reply| {
            // The receiver is below.
            let _ = sender.send(reply);
        });
        receiver.recv().unwrap_or_else(|_| Reply {
            outcome: Err(policy::Fault::Trap("the host is stopping".to_owned())),
            plugin: None,
            nanos: 0,
            by_previous: false,
            rejects: false,
            earlier: Vec::new(),
        })
    }
}
