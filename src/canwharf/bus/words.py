"""Steps and outcomes in words, for a person who asks what is to be done or was. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from canwharf.bus import adapter
from canwharf.bus.maintain import Outcome
from canwharf.bus.plan import (
    DOUBLED,
    LEFT,
    UNWANTED,
    AddRule,
    BringUp,
    Configure,
    DeleteLink,
    DeleteRule,
    MakeBus,
    MakePair,
    Rename,
    ReplaceRule,
    RuleStep,
    Step,
    TakeDown,
)

# Each line begins with its verb; what that comes to, in the order of a summary.
_SORTS = {
    "made": ("make", "add"),
    "removed": ("delete",),
    "repaired": ("bring", "set", "rename", "replace", "take"),
}
_WHICH = {DOUBLED: "doubled", LEFT: "a renamed interface's", UNWANTED: "unwanted"}


def changes(done: Outcome) -> list[str]:
    """What is to be changed, or was: one line each, in the order of the steps."""
    taken = [f"take over endpoint {endpoint}" for endpoint in sorted(done.adopted)]
    return taken + list(steps(done.steps))


def steps(planned: Iterable[Step]) -> list[str]:
    """One line a step; the rules from one interface to another share a line."""
    kinds: dict[str, dict[str, None]] = {}  # a line -> the kinds of frames, if it is about rules
    for step in planned:
        kinds.setdefault(_line(step), {}).update(dict.fromkeys(_kinds(step)))
    return [f"{line} ({', '.join(told)})" if told else line for line, told in kinds.items()]


def counts(lines: Iterable[str]) -> dict[str, int]:
    """How many of the lines of `changes` made, removed or repaired something."""
    verbs = Counter(line.partition(" ")[0] for line in lines)
    return {sort: sum(verbs[verb] for verb in each) for sort, each in _SORTS.items()}


def touched(step: Step) -> set[str]:
    """The names of the interfaces that a step is about."""
    match step:
        case AddRule() | ReplaceRule() | DeleteRule():
            return {step.source, step.destination}
        case MakeBus(port) | MakePair(port) | BringUp(port):
            return {port.name}
        case Rename(link, name):
            return {link.name, name}
        case _:
            return {step.link.name}


def _line(step: Step) -> str:  # noqa: PLR0911 (a table of kinds)
    match step:
        case DeleteLink(link):
            return f"delete interface {link.name}, which nobody owns"
        case MakeBus(port):
            return f"make bus interface {port.name}"
        case MakePair(port):
            return f"make interface pair {port.name}"
        case BringUp(_, link):
            return f"bring up and name interface {link.name}"
        case Configure(link, setup):
            return f"set adapter {link.name} up: {adapter.asked(setup) or 'only its alias'}"
        case TakeDown(link):
            return f"take adapter {link.name} down, which no network wants"
        case Rename(link, name):
            return f"rename adapter {link.name} to {name}"
        case AddRule() | ReplaceRule() | DeleteRule():
            return f"{_verb(step)} gateway rule {step.source} -> {step.destination}"


def _verb(step: RuleStep) -> str:
    match step:
        case AddRule():
            return "add"
        case ReplaceRule():
            return "replace an earlier version's"
        case DeleteRule():
            return f"delete {_WHICH[step.why]}"


def _kinds(step: Step) -> list[str]:
    match step:
        case AddRule():
            return [step.frames]
        case ReplaceRule(rule) | DeleteRule(rule):
            return [rule.frames]
    return []
