"""{{name}}: may this call, which is up, go on?"""

from wit_world.exports import lifecycle
from wit_world.exports import supervision as wire

# Longest call in seconds. Change this line:
LONGEST_S = 3600


class Supervision:
    def supervise(self, q: wire.Question) -> wire.Answer:
        """Asked on answer, and when the answer says so."""
        left = LONGEST_S - q.answered_s
        if left > 0:
            return wire.Answer(wire.Course_GoOn(), [], left)
        ending = wire.Ending("too_long", 31, 0, f"up for {q.answered_s} s")
        return wire.Answer(wire.Course_End(ending), ["long"], 0)
