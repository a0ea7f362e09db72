"""{{name}}: told of each state change of a call."""

from wit_world.exports import events as wire
from wit_world.exports import lifecycle
from wit_world.imports import host_log


class Events:
    def notify(self, e: wire.Event) -> None:
        # Logs answered calls. Change this line:
        if e.kind == wire.Kind.ANSWERED:
            host_log.log(host_log.Level.INFO, f"{e.callee} was answered by trunk {e.trunk}")
