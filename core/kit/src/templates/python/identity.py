"""{{name}}: which caller identity does a vendor see?"""

from wit_world.exports import identity as wire
from wit_world.exports import lifecycle
from wit_world.imports.types import Header


class Identity:
    def present(self, q: wire.Question) -> wire.Answer:
        """Asked for each attempt."""
        headers = []
        # The number that is asserted, if there is one. Change this line:
        if q.identity_out:
            headers.append(Header("P-Asserted-Identity", f"<sip:{q.identity_out}@{q.host}>"))
        return wire.Answer(display=q.display, user=q.caller_out, host=q.host, headers=headers)
