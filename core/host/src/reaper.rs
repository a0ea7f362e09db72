//! Instances are dropped here rather than on a call's thread: giving an instance's memory back
//! takes a tenth of a millisecond. Small ones that answered one question only are cheaper dropped
//! where they are (`isolation = "per-call"`). Those that are slow to make are made anew here.

use crate::generation::Live;
use crate::instance::Instance;
use crate::plugin::LinePass;
use crate::processors::keep_to;
use crate::version::Version;
use crate::{LoadError, ProcessorSet};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

/// A handle to the thread; the thread ends with the last handle.
#[derive(Clone)]
pub(crate) struct Reaper {
    sender: Sender<Work>,
}

enum Work {
    DropInstance(Box<Instance>),
    DropPlugins(BTreeMap<Arc<str>, Arc<Live>>),
    MakeInstance { version: Arc<Version>, shard: usize },
}

impl Work {
    fn carry_out(self) {
        match self {
            Work::DropInstance(instance) => drop(instance),
            Work::DropPlugins(plugins) => drop(plugins),
            Work::MakeInstance { version, shard } => {
                let watching = version.plugin.services.pace.watch();
                let services = &version.plugin.services;
                if let Err(fault) = version.warm(shard, watching.watched())
                    && version.plugin.faults_logged.pass(services.now_ms()) != LinePass::No
                {
                    tracing::warn!(plugin = %version.stamp, %fault, "no new instance after a fault");
                }
            }
        }
    }
}

impl Reaper {
    pub(crate) fn start(housekeeping: Option<ProcessorSet>) -> Result<Reaper, LoadError> {
        let (sender, receiver) = channel::<Work>();
        std::thread::Builder::new()
            .name("policy-reaper".to_owned())
            .spawn(move || {
                keep_to(housekeeping.as_ref());
                receiver.into_iter().for_each(Work::carry_out);
            })
            .map_err(|cause| LoadError::Engine(format!("no thread for the reaper: {cause}")))?;
        Ok(Reaper { sender })
    }

    pub(crate) fn take_instance(&self, instance: Box<Instance>) {
        // When the thread is gone the process ends, and dropping here is as good.
        let _ = self.sender.send(Work::DropInstance(instance));
    }

    pub(crate) fn take_plugins(&self, plugins: BTreeMap<Arc<str>, Arc<Live>>) {
        let _ = self.sender.send(Work::DropPlugins(plugins));
    }

    /// A shard's next instance, when it is ready; failing is logged.
    pub(crate) fn make_instance(&self, version: Arc<Version>, shard: usize) {
        let _ = self.sender.send(Work::MakeInstance { version, shard });
    }
}
