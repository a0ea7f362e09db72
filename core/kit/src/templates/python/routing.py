"""{{name}}: which vendor trunks are tried, in which order."""

from wit_world.exports import lifecycle
from wit_world.exports import routing as wire
from wit_world.imports import types


class Routing:
    def select(self, q: wire.Question) -> list[int]:
        """The trunks to try, first to last."""
        # The cheapest first. Change this line to make your own router:
        order = sorted(q.candidates, key=lambda it: (it.buy_price, it.trunk))
        return [candidate.trunk for candidate in order]

    def after_failure(self, c: types.Call, o: wire.Outcome) -> wire.Decision:
        """What after an attempt that failed?"""
        return wire.Decision_Stop() if o.code == 486 else wire.Decision_Next()
