"""{{name}}: which numbers are used."""

from wit_world.exports import lifecycle
from wit_world.exports import numbering as wire


class Numbering:
    def rewrite(self, q: wire.Question) -> wire.Numbers:
        """Asked when a call arrives and again for each attempt."""
        # Removes the 00 of an international call. Change this line:
        callee = q.callee[2:] if q.callee.startswith("00") and len(q.callee) > 2 else q.callee
        return wire.Numbers(
            caller=q.caller,
            callee=callee,
            identity=q.caller,
            route_as="",
            rate_as="",
            uri_parameters="",
        )
