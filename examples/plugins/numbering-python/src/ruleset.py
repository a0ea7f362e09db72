"""A list of rules and the choice among those that match; lists that were read before."""

from rule import BadRule, Rule
from wit_world.imports import host_config

# Most rule sets in memory; one more clears them all, and they are read again when needed.
CAPACITY = 4096

# Unicode's white space; `str.strip` would also remove U+001C to U+001F.
SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)

_kept: dict[int, "RuleSet | BadRule"] = {}


class RuleSet:
    def __init__(self, lines: str):
        self.rules = []
        for number, line in enumerate(lines.split("\n"), start=1):
            try:
                self.rules.extend(read_line(line))
            except BadRule as error:
                raise BadRule(f"line {number}: {error}") from error
        # Sorting is stable: the position in the list decides between equals (NUM-13).
        self.rules.sort(key=Rule.rank)

    def rewrite(self, number: str) -> str | None:
        """The number after the one rule that NUM-13 chooses, if any matches."""
        for rule in self.rules:
            result = rule.apply(number)
            if result is not None:
                return result
        return None


def rule_set(handle: int) -> "RuleSet | BadRule | None":
    """The rules behind a handle, or what is wrong with them. Equal handles are equal texts."""
    if handle == 0:
        return None
    if handle not in _kept:
        if len(_kept) >= CAPACITY:
            _kept.clear()
        _kept[handle] = _read(handle)
    return _kept[handle]


def _read(handle: int) -> "RuleSet | BadRule":
    lines = host_config.text(handle)
    if lines is None:
        return BadRule("has no text in this configuration")
    try:
        return RuleSet(lines)
    except BadRule as error:
        return error


def read_line(line: str) -> list[Rule]:
    """No rule or one."""
    rule = without_note(line).strip(SPACE)
    if not rule:
        return []
    source, arrow, target = rule.partition("->")
    if not arrow:
        raise BadRule(f"`{rule}` is no rule; write `source -> target`")
    source, target = side(source), side(target)
    try:
        return [Rule(source, target)]
    except BadRule as error:
        raise BadRule(f"rule `{source} -> {target}`: {error}") from error


def side(part: str) -> str:
    """Source or target without the spaces around it."""
    part = part.strip(SPACE)
    return "" if part == "(nothing)" else part


def without_note(line: str) -> str:
    """A `#` between white space or the ends of the line begins a note."""
    for at, character in enumerate(line):
        before, after = line[at - 1 : at], line[at + 1 : at + 2]
        if character == "#" and before in SPACE and after in SPACE:
            return line[:at]
    return line
