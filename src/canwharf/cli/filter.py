"""`canwharf filter`: what a container may send and receive, shown or changed while it runs.

Rules:

- The change is made by the daemon, in one step. It lasts until the container starts again. Where
  its options stand, and how they would be written there for it to last, is printed (`paste`).
- What it replaced is printed as the command that brings it back.
- Without a word to change it only shows, and needs no daemon.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from canwharf.bus import options as driver_options
from canwharf.bus.delivery import Member
from canwharf.bus.model import OPEN, UNKNOWN, Endpoint, Policy
from canwharf.bus.policy import NO_LIMIT, check_change
from canwharf.cli import members, paste, selection
from canwharf.cli.options import JSON, Argument, Flag, Option
from canwharf.control.client import call
from canwharf.errors import CallError, UsageError
from canwharf.kernel.netlink import Netlink
from canwharf.operator.collect import collect
from canwharf.operator.render.terminal import sanitize

DESCRIPTION = (
    "Show which frames a container may send and receive, and how many were kept back. With "
    "--send, --receive or --rate, change it at once, until the container starts again; a frame "
    "that passes before and after is neither lost nor doubled; the options with which it would "
    "stay are printed, for the place where they stand. Ids are hexadecimal: 7DF, 100-1FF, "
    "18FEF100 (29 bits: 8 digits), 123:7F0 (with a mask), pgn:F004, sff, eff, all, none; ~7E0 is "
    "all but 7E0; several are joined by +, as in 100-1FF+7DF."
)
_AS_IT_IS = "as it is"
EXAMPLE = "sudo canwharf filter bus0 infotainment --send none --receive 100-1FF+7DF"
OPTIONS = (
    Argument("bus", "the bus: its host interface, or a network's name or id", "BUS"),
    Argument("container", "the container's name, as status shows it", "CONTAINER"),
    Option("send", _AS_IT_IS, "the ids that it may send", "IDS"),
    Option("receive", _AS_IT_IS, "the ids that it may receive", "IDS"),
    Option("rate", _AS_IT_IS, "how many frames a second it may send, or off", "FRAMES"),
    Option(
        "learn",
        "",
        "listen for so long (30s, 10m, 2h; Ctrl-C ends it early), and propose options that let "
        "pass what it sent and heard",
        "TIME",
    ),
    Flag("dry-run", "print what it would do, and change nothing"),
    JSON,
    *selection.WHICH,
)
_CALL = "Canwharf.Filter"
_WORDS = {"send": "can.send", "receive": "can.receive", "rate": "can.rate"}


def run(options: Mapping[str, str]) -> int:
    """Show or change it. Raises CanwharfError."""
    given, dry = _given(options), bool(options["dry-run"])
    which = selection.announced(options)
    if which.conflict:
        raise UsageError(f"{which.conflict}: leave that option out")
    words = driver_options.parse_policy(given)
    status = collect(which.instance, Netlink()).only(options["bus"])
    report, member = members.find(status, options["bus"], options["container"])
    if options["learn"]:
        from canwharf.cli.learning import learn  # noqa: PLC0415 (for this only)

        return learn(which, status, report, member, options)
    network = next(each for each in report.networks if each.id == member.network)
    before = network.policy_of(member.endpoint) or UNKNOWN
    after = words.over(before)
    own = network.endpoints.get(member.endpoint, Endpoint())
    if dry:
        check_change(own.policy, words)
    elif given:
        before, after = _changed(which.instance.socket, member, given)
    names = report.interface, status.member(member)
    pasted = paste.options_of(own, words.over(own.policy or OPEN)) if given else {}
    if options["json"]:
        told = {
            "bus": names[0],
            "container": names[1],
            "before": before._asdict(),
            "after": after._asdict(),
            "kept_back": member.firewall.kept,
            "options": pasted,
            "dry_run": dry,
        }
        print(json.dumps(told, indent=1))
    elif given:
        _print_change(names, before, after, given, dry=dry)
        print("so that it stays, write its options where they stand:")
        print("\n".join(paste.lines(status, member, pasted)))
        if not dry:
            _print_back(paste.command(which.where, options), before, given)
    else:
        _print_policy(names, before, member)
    return 0


def _given(options: Mapping[str, str]) -> dict[str, str]:
    """The words to change, by their driver options. Raises UsageError."""
    if not options["bus"] or not options["container"]:
        raise UsageError("say the bus and the container: 'canwharf status' lists both")
    given = {_WORDS[each]: options[each] for each in _WORDS if options[each] != _AS_IT_IS}
    if options["learn"] and (given or options["dry-run"]):
        raise UsageError("--learn changes nothing: leave --send, --receive, --rate, --dry-run out")
    if options["dry-run"] and not given:
        raise UsageError("--dry-run needs a change: --send, --receive or --rate")
    return given


def _changed(socket: str, member: Member, given: Mapping[str, str]) -> tuple[Policy, Policy]:
    """Change it through the daemon; the policy before and after. Raises CallError."""
    content = {"Network": member.network, "Endpoint": member.endpoint, "Policy": given}
    try:
        answer: Any = call(socket, _CALL, content)
    except CallError as error:
        if "has no call" not in error.reason:
            raise
        reason = "the daemon is of an earlier version, which cannot filter; restart it"
        raise CallError(_CALL, socket, reason) from error
    try:
        return Policy(**answer["Before"]), Policy(**answer["After"])
    except (KeyError, TypeError) as error:
        reason = "the daemon is of another version, which answers otherwise; restart it"
        raise CallError(_CALL, socket, reason) from error


def _print_policy(names: tuple[str, str], policy: Policy, member: Member) -> None:
    bus, container = map(sanitize, names)
    print(f"{container} on the bus {bus} may")
    for word, kept in member.firewall.kept.items():
        print(f"  {word:<8} {getattr(policy, word) or 'all'}  ({kept} frames kept back)")
    if policy.rate not in ("", NO_LIMIT):
        print(f"  {'rate':<8} {policy.rate} frames a second")


def _print_change(
    names: tuple[str, str], before: Policy, after: Policy, given: Mapping[str, str], *, dry: bool
) -> None:
    bus, container = map(sanitize, names)
    print(f"{container} on the bus {bus} {'would' if dry else 'may'}, until it starts again")
    for word, option in _WORDS.items():
        if option in given:
            old, new = _word(before, word), _word(after, word)
            print(f"  {word:<8} {new}  (before: {old})")


def _print_back(command: str, before: Policy, given: Mapping[str, str]) -> None:
    """The command that undoes a change."""
    if before[:2] != UNKNOWN[:2]:
        changed = (word for word, option in _WORDS.items() if option in given)
        words = " ".join(f"--{each} {shlex.quote(_word(before, each))}" for each in changed)
        print(f"back: {command} {words}")


def _word(policy: Policy, word: str) -> str:
    return getattr(policy, word) or ("off" if word == "rate" else "all")
