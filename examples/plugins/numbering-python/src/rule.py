"""One rule, `source -> target`: its grammar and what it does to a number.

    source     = *( literal / "?" ) [ "*" ] *2constraint
    constraint = ( "L" / "E" / "G" ) 1*2DIGIT
    target     = alternative *( ";" alternative )
    alternative= range / *( literal / "?" / "$" / "*" )
    range      = 1*DIGIT "-" 1*DIGIT
    literal    = any allowed character, or "\\" followed by any character
"""

from typing import NamedTuple

from wit_world.imports import host_random

# More digits do not fit in 64 bits.
RANGE_DIGITS = 18
ALL_BITS = 2**64 - 1
DIGITS = "0123456789"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ALLOWED = DIGITS + LETTERS + "+*#._-"


class BadRule(Exception):
    """What is wrong with a rule, for the operator."""


class Token(NamedTuple):
    """A character of a rule; an escaped one has lost its special meaning."""

    character: str
    escaped: bool

    def means(self, character: str) -> bool:
        return not self.escaped and self.character == character

    def is_digit(self) -> bool:
        return not self.escaped and self.character in DIGITS

    def literal(self) -> str:
        if not self.escaped and self.character not in ALLOWED:
            raise BadRule(
                f"`{self.character}` is not allowed in a number (0-9 + * # A-Z a-z . _ -)"
            )
        return self.character


class Digit:
    """Source `?`: any digit. Target `?`: a random digit."""


class Rest:
    """Target `*`."""


class Copy(NamedTuple):
    """Target `$`: the character at this index of the original number."""

    index: int


class Range(NamedTuple):
    """A random number from `low` to `high`, written with `width` digits."""

    low: int
    high: int
    width: int


class Rule:
    def __init__(self, source: str, target: str):
        tokens = tokenize(source)
        self.constraint = take_constraint(tokens)
        self.star = bool(tokens) and tokens[-1].means("*")
        if self.star:
            tokens.pop()
        self.head = []
        for token in tokens:
            if token.means("*"):
                raise BadRule("`*` must be the last of the source")
            self.head.append(Digit if token.means("?") else token.literal())
        self.alternatives = [self._alternative(part) for part in split(tokenize(target))]

    def rank(self) -> tuple:
        """Sorts the best rule first (NUM-13)."""
        literals = sum(part is not Digit for part in self.head)
        constraint = 0 if "E" in self.constraint else 3 - len(self.constraint)
        return -len(self.head), -literals, constraint, self.star

    def apply(self, number: str) -> str | None:
        """The number after this rule, if it matches (NUM-14 to NUM-16)."""
        if not self._matches(number):
            return None
        rest = number[len(self.head) :]
        several = len(self.alternatives) > 1
        chosen = self.alternatives[below(len(self.alternatives)) if several else 0]
        if isinstance(chosen, Range):
            drawn = chosen.low + below(chosen.high - chosen.low + 1)
            pieces = [str(drawn).zfill(chosen.width)]
        else:
            pieces = [write(piece, number, rest) for piece in chosen]
        if not self.star and (isinstance(chosen, Range) or Rest not in chosen):
            pieces.append(rest)
        return "".join(pieces)

    def _matches(self, number: str) -> bool:
        if len(number) < len(self.head):
            return False
        for part, found in zip(self.head, number):
            if found not in DIGITS if part is Digit else found != part:
                return False
        rest = len(number) - len(self.head)
        return (
            self.constraint.get("E", rest) == rest
            and rest < self.constraint.get("L", rest + 1)
            and rest > self.constraint.get("G", rest - 1)
        )

    def _alternative(self, tokens: list[Token]) -> Range | list:
        if found := parse_range(tokens):
            return found
        stars = sum(token.means("*") for token in tokens)
        if stars > 1:
            raise BadRule("a target has at most one `*`")
        rest_kept = stars == 1 or not self.star
        pieces = []
        position = 0
        for token in tokens:
            if token.means("*"):
                pieces.append(Rest)
                continue
            position += 1
            if token.means("?"):
                pieces.append(Digit)
            elif not token.means("$"):
                pieces.append(token.literal())
            elif rest_kept and position > len(self.head):
                raise BadRule(
                    f"`$` at position {position} is beyond the {len(self.head)} characters of "
                    "the source while the rest is kept"
                )
            else:
                pieces.append(Copy(position - 1))
        return pieces


def write(piece, number: str, rest: str) -> str:
    if piece is Rest:
        return rest
    if piece is Digit:
        return str(below(10))
    if isinstance(piece, Copy):
        return number[piece.index : piece.index + 1]
    return piece


def below(limit: int) -> int:
    """A uniform number below `limit`: draws that would favour low ones are drawn again."""
    fair = ALL_BITS - ALL_BITS % limit
    while (bits := host_random.next()) >= fair:
        pass
    return bits % limit


def tokenize(rule: str) -> list[Token]:
    tokens = []
    characters = iter(rule)
    for character in characters:
        escaped = character == "\\"
        if escaped:
            character = next(characters, None)
            if character is None:
                raise BadRule("`\\` at the end escapes nothing")
        tokens.append(Token(character, escaped))
    return tokens


def split(tokens: list[Token]) -> list[list[Token]]:
    parts = [[]]
    for token in tokens:
        if token.means(";"):
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def take_constraint(source: list[Token]) -> dict[str, int]:
    """Removes the constraints from the end of a source: bounds by letter (NUM-15)."""
    constraint = {}
    while found := constraint_at_end(source):
        letter, digits = found
        if letter in constraint:
            raise BadRule(f"`{letter}` is given twice; write `\\{letter}` for the letter")
        constraint[letter] = int(characters(source[-digits:]))
        del source[-1 - digits :]
    if "E" in constraint and len(constraint) > 1:
        raise BadRule("`E` stands alone; write `\\E`, `\\L`, `\\G` for the letters")
    return constraint


def constraint_at_end(source: list[Token]) -> tuple[str, int] | None:
    """Its letter, and how many digits follow."""
    for digits in (1, 2):
        if len(source) > digits and all(token.is_digit() for token in source[-digits:]):
            for letter in "LEG":
                if source[-1 - digits].means(letter):
                    return letter, digits
    return None


def parse_range(tokens: list[Token]) -> Range | None:
    """`a-b`, if the alternative is nothing but digits, one `-` and digits."""
    dash = next((at for at, token in enumerate(tokens) if token.means("-")), None)
    if dash is None:
        return None
    low, high = tokens[:dash], tokens[dash + 1 :]
    if not low or not high or not all(token.is_digit() for token in low + high):
        return None
    low, high = characters(low), characters(high)
    width = len(low)
    if width != len(high):
        raise BadRule(f"range `{low}-{high}`: both ends must have the same width")
    if width > RANGE_DIGITS:
        raise BadRule(f"range `{low}-{high}`: at most {RANGE_DIGITS} digits")
    if low > high:
        raise BadRule(f"range {low}-{high}: the first is above the second")
    return Range(int(low), int(high), width)


def characters(tokens: list[Token]) -> str:
    return "".join(token.character for token in tokens)
