"""`canwharf filter`: what a container may send and receive, shown or changed while it runs.

Rules:

- The change is made by the daemon, in one step. It lasts until the container starts again, and the
  options with which it would last are printed.
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
from canwharf.bus.model import UNKNOWN, Policy
from canwharf.bus.policy import NO_LIMIT
from canwharf.bus.report import BusReport
from canwharf.cli import members, selection
from canwharf.cli.options import JSON, Argument, Flag, Option
from canwharf.control.client import call
from canwharf.errors import CallError, UsageError
from canwharf.kernel.netlink import Netlink
from canwharf.operator.collect import collect
from canwharf.operator.render.terminal import sanitize

DESCRIPTION = (
    "Show which frames a container may send and receive, and how many were kept back. With "
    "--send, --receive or --rate, change it at once, until the container starts again; a frame "
    "that passes before and after is neither lost nor doubled. Ids are hexadecimal: 7DF, 100-1FF, "
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
    Flag("dry-run", "print what it would do, and change nothing"),
    JSON,
    *selection.WHICH,
)
_CALL = "Canwharf.Filter"
_WORDS = {"send": "can.send", "receive": "can.receive", "rate": "can.rate"}


def run(options: Mapping[str, str]) -> int:
    """Show or change it. Raises CanwharfError."""
    if not options["bus"] or not options["container"]:
        raise UsageError("say the bus and the container: 'canwharf status' lists both")
    which = selection.announced(options)
    if which.conflict:
        raise UsageError(f"{which.conflict}: leave that option out")
    given = {_WORDS[each]: options[each] for each in _WORDS if options[each] != _AS_IT_IS}
    dry = bool(options["dry-run"])
    if dry and not given:
        raise UsageError("--dry-run needs a change: --send, --receive or --rate")
    words = driver_options.parse_policy(given)
    status = collect(which.instance, Netlink()).only(options["bus"])
    report, member = members.find(status, options["bus"], options["container"])
    before = _policy(report, member)
    after = words.over(before)
    if given and not dry:
        before, after = _changed(which.instance.socket, member, given)
    names = report.interface, status.member(member)
    if options["json"]:
        told = {
            "bus": names[0],
            "container": names[1],
            "before": before._asdict(),
            "after": after._asdict(),
            "kept_back": member.firewall.kept,
            "dry_run": dry,
        }
        print(json.dumps(told, indent=1))
    elif given:
        _print_change(names, before, after, given, dry=dry)
    else:
        _print_policy(names, before, member)
    return 0


def _policy(report: BusReport, member: Member) -> Policy:
    """What the container may, as far as it is known."""
    network = next(each for each in report.networks if each.id == member.network)
    return network.policy_of(member.endpoint) or UNKNOWN


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
    undo = ""
    for word, option in _WORDS.items():
        if option in given:
            no_limit = "off" if word == "rate" else "all"
            old, new = (getattr(each, word) or no_limit for each in (before, after))
            print(f"  {word:<8} {new}  (before: {old})")
            undo += f" --{word} {shlex.quote(old)}"
    if not dry:
        words = " ".join(
            f"{option}={getattr(after, word)}" for word, option in _WORDS.items() if option in given
        )
        print(f"so that it stays, give its network these options in the container: {words}")
    if not dry and before[:2] != UNKNOWN[:2]:
        print(f"back: canwharf filter {shlex.quote(bus)} {shlex.quote(container)}{undo}")
