"""{{name}}: what does a call cost? Money is a whole number of 10^-10 of the currency unit."""

from wit_world.exports import lifecycle
from wit_world.exports import rating as wire


class Rating:
    def rate(
        self, who: wire.Subject, row: wire.DeckRow, rounding: wire.Rounding, duration_ms: int
    ) -> wire.Charge:
        """Asked at admission for the first increment, at the end for each side."""
        if duration_ms == 0:
            return wire.Charge(amount=0, billed_seconds=0)
        seconds = (duration_ms + 999) // 1000
        # Billed by the second; prices are per minute. Change this line:
        amount = row.connect_fee + (row.price_next * seconds + 59) // 60
        return wire.Charge(amount=amount, billed_seconds=seconds)
