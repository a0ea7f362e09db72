"""Rewrites numbers by the rules of a trunk: what the host asks, and what it is told."""

import json

from componentize_py_types import Err
from rule import ALLOWED, BadRule
from ruleset import RuleSet, rule_set
from wit_world.exports import lifecycle, numbering
from wit_world.exports.numbering import Numbers, Question, Stage
from wit_world.imports.types import Rejection


def reject(code: int, reason: str, detail: str) -> Err:
    return Err(Rejection(code, reason, detail))


def is_number(text: str) -> bool:
    """NUM-03: 1 to 64 characters, `+` only in first place."""
    return 1 <= len(text) <= 64 and all(c in ALLOWED for c in text) and "+" not in text[1:]


def find_rules(handle: int) -> RuleSet | None:
    rules = rule_set(handle)
    if isinstance(rules, BadRule):
        raise reject(500, "internal_error", f"rule set {handle:016x} {rules}")
    return rules


def rewrite_callee(question: Question) -> str:
    number = question.callee
    rules = find_rules(question.callee_rules)
    callee = rules.rewrite(number) if rules else None
    if callee is None:
        if rules and question.reject_unmatched:
            raise reject(484, "number_invalid", f"no rule matches callee `{number}`")
        callee = number
    if not callee:
        raise reject(484, "number_invalid", f"callee `{number}` is empty after its rewrite")
    if not is_number(callee):
        detail = f"callee `{callee}`, rewritten from `{number}`, is not a number"
        raise reject(484, "number_invalid", detail)
    return callee


def rewrite_caller(handle: int, number: str) -> str:
    """A caller that is no number is no caller (NUM-03)."""
    rules = find_rules(handle)
    caller = rules.rewrite(number) if rules else None
    caller = number if caller is None else caller
    return caller if is_number(caller) else ""


class Numbering:
    """Asked by the host. Random draws come in this order: callee, caller, identity."""

    def rewrite(self, q: Question) -> Numbers:
        callee = rewrite_callee(q)
        caller = rewrite_caller(q.caller_rules, q.caller)
        identity = ""
        if q.stage == Stage.EGRESS:
            identity = rewrite_caller(q.identity_rules, caller)
            callee = q.tech_prefix + callee
        return Numbers(caller, callee, identity, route_as="", rate_as="", uri_parameters="")


# Rules, number and result; a result of `None` means that the rules must be refused.
EXAMPLES = [
    ("025 -> 010", "02584316146", "01084316146"),
    ("* -> 025*\n01 -> 00", "0112345678", "0012345678"),
    ("???? -> $$9$", "12345678", "12945678"),
    ("44E10 -> 0\n44 -> 00", "44123456789", "00123456789"),
    ("\\*99 ->", "*99880171", "880171"),
    ("120* -> 5000-4000", "", None),
    ("01 -> $$$", "", None),
]


def outcome(rules: str, number: str) -> str | None:
    try:
        return RuleSet(rules).rewrite(number)
    except BadRule:
        return None


class Lifecycle:
    def describe(self) -> lifecycle.Description:
        return lifecycle.Description(
            name="numbering",
            version="1.0.0",
            summary="Rewrites numbers by pattern rules, longest match, one rule; in Python.",
            config_schema='{"type":"object","unevaluatedProperties":false}',
        )

    def configure(self, config: str) -> None:
        for field in json.loads(config):
            raise Err(f"field `{field}`: unknown field `{field}`, there are no fields")

    def self_test(self) -> int:
        for rules, number, expected in EXAMPLES:
            if outcome(rules, number) != expected:
                raise Err(rules)
        return len(EXAMPLES)
