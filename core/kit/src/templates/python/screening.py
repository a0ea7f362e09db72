"""{{name}}: may this call go on?"""

from wit_world.exports import lifecycle
from wit_world.exports import screening as wire
from wit_world.imports.types import Rejection

# Numbers that nobody may call. Change this line:
BARRED = ("4490", "4987")


class Screening:
    def screen(self, q: wire.Question) -> wire.Verdict:
        if not q.callee.startswith(BARRED):
            return wire.Verdict_Allow()
        detail = f"nobody may call {q.callee}"
        return wire.Verdict_Reject(Rejection(403, "destination_barred", detail))
