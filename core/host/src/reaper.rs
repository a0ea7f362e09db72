//! Instances are dropped here, never on a call's thread: giving an instance's memory back
//! takes a tenth of a millisecond.

use crate::LoadError;
use crate::generation::Live;
use crate::instance::Instance;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

/// A handle to the thread; the thread ends with the last handle.
#[derive(Clone)]
pub(crate) struct Reaper {
    sender: Sender<Remains>,
}

/// What is sent to be dropped; it is never read, only dropped.
enum Remains {
    Instance { _instance: Box<Instance> },
    Plugins { _plugins: BTreeMap<Arc<str>, Arc<Live>> },
}

impl Reaper {
    pub(crate) fn start() -> Result<Reaper, LoadError> {
        let (sender, receiver) = channel::<Remains>();
        std::thread::Builder::new()
            .name("policy-reaper".to_owned())
            .spawn(move || receiver.into_iter().for_each(drop))
            .map_err(|cause| LoadError::Engine(format!("no thread for the reaper: {cause}")))?;
        Ok(Reaper { sender })
    }

    pub(crate) fn take_instance(&self, instance: Box<Instance>) {
        // When the thread is gone the process ends, and dropping here is as good.
        let _ = self.sender.send(Remains::Instance { _instance: instance });
    }

    pub(crate) fn take_plugins(&self, plugins: BTreeMap<Arc<str>, Arc<Live>>) {
        let _ = self.sender.send(Remains::Plugins { _plugins: plugins });
    }
}
