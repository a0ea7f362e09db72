use super::asker::Asker;
use super::events::Notice;
use policy::{CallDetails, Context, Pin, Question, Reply};
use std::sync::Arc;
use std::sync::mpsc::channel;

/// Result of asking a question.
#[must_use]
pub enum Asked {
    /// The reply is there.
    Now(Reply),
    /// The reply comes later: a plugin may wait for an outside server, or the question is an event.
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

/// A question that is asked only once its receiver is set by [`Later::then`], [`Later::tell`] or
/// [`Asked::wait`]. Dropping it asks nothing.
#[must_use]
pub struct Later {
    asker: Asker,
    pin: Pin,
    details: Option<Arc<CallDetails>>,
    question: Question,
}

impl Later {
    pub(super) fn new(asker: &Asker, context: Context<'_>, question: &Question) -> Later {
        let mut pin = context.pin.clone();
        if is_event(question) {
            pin.notes = Arc::new(context.pin.notes.copy());
        }
        Later {
            asker: asker.beside(question.hook()),
            pin,
            details: context.details.cloned(),
            question: question.clone(),
        }
    }

    /// Asks on the host's own threads. `deliver` gets the reply there, once, within the wall time
    /// of the plugin's settings; for an event, after the events that wait before it. Until then the
    /// question keeps its pinned generation alive. An event that is dropped, because too many wait,
    /// has no reply.
    pub fn then(self, deliver: impl FnOnce(Reply) + Send + 'static) {
        if is_event(&self.question) {
            return self.queue(Some(Box::new(deliver)));
        }
        let services = Arc::clone(self.asker.services());
        let watching = services.pace.watch();
        let hook = self.question.hook();
        let task = async move {
            let context = Context { pin: &self.pin, details: self.details.as_ref() };
            let reply = self.asker.ask(watching.watched(), context, &self.question).await;
            deliver(reply);
        };
        // Loading a plugin that may wait has started the lane.
        if let Some(lane) = services.lanes.of(hook) {
            lane.spawn(task);
        }
    }

    /// [`Later::then`] for an event whose reply nobody takes.
    pub fn tell(self) {
        if is_event(&self.question) {
            self.queue(None);
        } else {
            self.then(drop);
        }
    }

    fn queue(self, deliver: Option<super::events::Deliver>) {
        let Later { asker, pin, details, question } = self;
        let shared = Arc::clone(&asker.shared);
        shared.events.put(Notice { asker, pin, details, question, deliver });
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

pub(super) fn is_event(question: &Question) -> bool {
    matches!(question, Question::Event(_))
}
