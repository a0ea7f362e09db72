"""{{name}}: which caller identity does a vendor see?"""

from wit_world.exports import identity as wire
from wit_world.exports import lifecycle
from wit_world.imports.types import Header


def escaped(number: str) -> str:
    """Numbers may have a #, the user part of a URI may not."""
    return number.replace("#", "%23")


class Identity:
    def present(self, q: wire.Question) -> wire.Answer:
        """Asked for each attempt."""
        headers = []
        # The asserted number, if there is one; a private caller's number only if the vendor is
        # trusted. Change this line:
        if q.identity_out and (not q.private or q.target_trusted):
            value = f"<sip:{escaped(q.identity_out)}@{q.host}>"
            headers.append(Header("P-Asserted-Identity", value))
        if q.private:
            headers.append(Header("Privacy", "id"))
        if q.private or not q.caller_out:
            return wire.Answer("Anonymous", "anonymous", "anonymous.invalid", headers)
        return wire.Answer(q.display, escaped(q.caller_out), q.host, headers)
