//! {{name}}: receives each state change of a call.

use plugin_sdk::{Event, EventKind, Events, NoConfig, Plugin, export_plugin, host};

/// The plugin; state kept here is a cache, one per signalling thread.
#[derive(Debug)]
pub struct Listener;

impl Plugin for Listener {
    const NAME: &'static str = "{{name}}";
    const SUMMARY: &'static str = "{{summary}}";
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Listener)
    }
}

impl Events for Listener {
    fn notify(&mut self, event: &Event) {
        // Logs answered calls. Change this line:
        if event.kind == EventKind::Answered {
            let trunk = event.trunk.map_or(0, |trunk| trunk.0);
            host::log!(Info, "{} was answered by trunk {trunk}", event.callee);
        }
    }
}

export_plugin!(Listener: events);

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::FakeHost;

    #[test]
    fn only_answers_are_logged() {
        let switch = FakeHost::install();
        Listener.notify(&Event { kind: EventKind::Answered, ..Event::default() });
        Listener.notify(&Event { kind: EventKind::Ended, ..Event::default() });
        assert_eq!(switch.lines().len(), 1);
    }
}
