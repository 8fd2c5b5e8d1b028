"""`canwharf fault`: trouble on purpose, for tests.

Rules:

- A fault lasts as long as this command, in whatever way that ends; with --keep until it is cleared,
  at most until the container stops.
- What is not meant passes as before. What is wrong in the words is said before anything is done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from canwharf.bus import fault_options
from canwharf.bus.delivery import Member
from canwharf.cli import duration, members, selection
from canwharf.cli.options import JSON, Argument, Flag, Option
from canwharf.cli.selection import Selection
from canwharf.cli.signals import end_by
from canwharf.control.client import Held, call
from canwharf.errors import CallError, CanwharfError, UsageError
from canwharf.kernel.netlink import Netlink
from canwharf.operator.collect import collect
from canwharf.operator.render.terminal import sanitize
from canwharf.operator.status import Status

DESCRIPTION = (
    "Trouble on purpose, for tests. add: frames that a container sends have wrong bytes (--set), "
    "are lost (--drop, --loss) or late (--delay), for all receivers alike; others pass as before. "
    "bus-off: a container neither sends nor receives, and gets the error frame of a bus-off, until "
    "bus-on. A fault ends with this command (Ctrl-C), after --for, with its container, and at a "
    "reboot; with --keep the command returns at once. list shows all faults, clear ends them."
)
EXAMPLE = "sudo canwharf fault add bus0 --from ecu1 --id 123 --set 'data[2]^=FF'"
OPTIONS = (
    Argument("action", "add, list, clear, bus-off or bus-on", "ACTION"),
    Argument("bus", "the bus: its host interface, or a network's name or id", "BUS"),
    Argument("container", "only this container (add: see --from)", "CONTAINER"),
    Option("from", "", "add: the container that sends the frames", "CONTAINER"),
    Option("id", "", "add: the frames that are meant: 123, 100-1FF, pgn:F004, ~7E0, all", "IDS"),
    Option(
        "set",
        "",
        "add: change a byte of the payload, with =, ^=, &= or |=: data[2]^=FF; may be repeated",
        "CHANGE",
        many=True,
    ),
    Flag("drop", "add: all of these frames are lost"),
    Option("loss", "", "add: so many of these frames are lost, by chance: 5%%", "PERCENT"),
    Option("delay", "", "add: these frames arrive so much later: 20ms, 500us, 1s", "TIME"),
    Option("for", "", "end it after this time: 500ms, 30s, 5m", "TIME"),
    Flag("keep", "return at once; the fault lasts until it is cleared"),
    JSON,
    *selection.WHICH,
)
_BEGIN, _END = "Canwharf.Fault", "Canwharf.FaultEnd"
_OF_ADD = ("from", "id", "set", "drop", "loss", "delay")
_OF_BEGINNING = ("for", "keep")  # of add and bus-off


def run(options: Mapping[str, str]) -> int:
    """Do one of the actions. Raises CanwharfError."""
    action = _ACTIONS.get(options["action"])
    if action is None:
        raise UsageError(f"say what to do: {', '.join(_ACTIONS)}")
    which = selection.announced(options)
    if which.conflict:
        raise UsageError(f"{which.conflict}: leave that option out")
    if options["action"] != "add" and (given := [each for each in _OF_ADD if options[each]]):
        raise UsageError(f"--{given[0]} is for 'canwharf fault add'")
    begins = action in (_add, _bus_off)
    if not begins and (given := [each for each in _OF_BEGINNING if options[each]]):
        raise UsageError(f"--{given[0]} is for 'canwharf fault add' and 'canwharf fault bus-off'")
    if options["action"] != "list" and not options["bus"] and options["action"] != "clear":
        raise UsageError("say the bus: 'canwharf status' lists them")
    return action(options, which)


def _add(options: Mapping[str, str], which: Selection) -> int:
    if not options["from"] or options["container"]:
        raise UsageError("say the container that sends the frames: --from CONTAINER")
    if options["drop"] and options["loss"]:
        raise UsageError("--drop and --loss contradict each other: leave one of them out")
    words = {
        "id": options["id"],
        "set": options["set"].replace("\n", "+"),
        "loss": "100%" if options["drop"] else options["loss"],
        "delay": options["delay"],
    }
    words = {name: value for name, value in words.items() if value}
    fault_options.parse(words)
    return _begin({**options, "container": options["from"]}, which, words)


def _bus_off(options: Mapping[str, str], which: Selection) -> int:
    return _begin(options, which, {})


def _begin(options: Mapping[str, str], which: Selection, words: Mapping[str, str]) -> int:
    """Begin a fault, and hold it unless it is to be kept. Raises CanwharfError."""
    seconds = duration.seconds("--for", options["for"]) if options["for"] else 0
    status, chosen = _chosen(options, which)
    content = {
        "Members": [[each.network, each.endpoint] for each in chosen],
        "Fault": words,
        "Keep": bool(options["keep"]),
        "Seconds": seconds,
    }
    names = {(each.network, each.endpoint): status.member(each) for each in chosen}
    end_by(_interrupt)
    last: dict[str, Any] | None = None
    with _explained(which, _BEGIN, lambda: Held(which.instance.socket, _BEGIN, content)) as held:
        try:
            _print("in force", held.answer.get("Faults"), names, options)
            if options["keep"]:
                return 0
            if not options["json"]:
                print("it ends with this command: Ctrl-C", flush=True)
            while last is None:
                last = held.wait(60.0)
        except KeyboardInterrupt:
            last = held.end()
    if "Ended" not in last:
        reason = "the daemon ended; the fault ends when it starts again"
        raise CallError(_BEGIN, which.instance.socket, reason)
    _print("ended", last["Ended"], names, options)
    return 0


def _interrupt(_number: int) -> None:
    raise KeyboardInterrupt


def _list(options: Mapping[str, str], which: Selection) -> int:
    status, chosen = _chosen(options, which, every=True)
    rows = [
        {
            "bus": report.interface,
            "container": status.member(member),
            "number": fault.number,
            "fault": str(fault),
            "kept": fault.keep,
            "frames": fault.frames(member.injected),
        }
        for report in status.reports
        for member in report.members
        if member in chosen
        for fault in member.faults
    ]
    if options["json"]:
        print(json.dumps(rows, indent=1))
    for row in rows if not options["json"] else ():
        line = f"{row['bus']}  {row['container']}  {row['fault']}  ({_counts(row['frames'])})"
        print(sanitize(line))
    if not (rows or options["json"]):
        print("no fault is in force")
    return 0


def _clear(options: Mapping[str, str], which: Selection) -> int:
    return _end(options, which, only_bus_off=False)


def _bus_on(options: Mapping[str, str], which: Selection) -> int:
    return _end(options, which, only_bus_off=True)


def _end(options: Mapping[str, str], which: Selection, *, only_bus_off: bool) -> int:
    status, chosen = _chosen(options, which, every=True)
    faulty = [each for each in chosen if each.faults or each.injected]
    content = {
        "Members": [[each.network, each.endpoint] for each in faulty],
        "BusOff": only_bus_off,
    }
    names = {(each.network, each.endpoint): status.member(each) for each in chosen}
    socket = which.instance.socket
    answer = _explained(which, _END, lambda: call(socket, _END, content)) if faulty else {}
    _print("ended", answer.get("Faults", []), names, options)
    return 0


_ACTIONS: dict[str, Callable[[Mapping[str, str], Selection], int]] = {
    "add": _add,
    "list": _list,
    "clear": _clear,
    "bus-off": _bus_off,
    "bus-on": _bus_on,
}


def _chosen(
    options: Mapping[str, str], which: Selection, *, every: bool = False
) -> tuple[Status, Sequence[Member]]:
    """The containers that are meant: one, those of a bus, or all. Raises CanwharfError.

    `every` says that there may be none.
    """
    status = collect(which.instance, Netlink())
    if options["bus"]:
        status = status.only(options["bus"])
    if len(status.reports) > 1 and options["bus"] and not options["container"]:
        several = ", ".join(each.interface for each in status.reports)
        raise CanwharfError(
            f"{options['bus']} stands for several buses ({several}): give the id of a network"
        )
    if options["container"]:
        found = members.find(status, options["bus"], options["container"])
        return status, [found[1]]
    there = [each for report in status.reports for each in report.members if each.endpoint]
    if not (there or every):
        raise CanwharfError("there is no container on this bus")
    return status, there


def _explained(which: Selection, name: str, make: Callable[[], Any]) -> Any:  # noqa: ANN401
    """The result of a call; of an older daemon, the error says so. Raises CallError."""
    try:
        return make()
    except CallError as error:
        if "has no call" not in error.reason:
            raise
        reason = "the daemon is of an earlier version, which has no faults; restart it"
        raise CallError(name, which.instance.socket, reason) from error


def _print(
    what: str,
    faults: object,
    names: Mapping[tuple[str, str], str],
    options: Mapping[str, str],
) -> None:
    """Print faults of an answer: a line for each, or one object."""
    told: Iterable[dict[str, Any]] = faults if isinstance(faults, list) else []
    rows = [
        {"container": names[each["network"], each["endpoint"]]}
        | {name: each[name] for name in ("number", "fault", "frames") if name in each}
        for each in told
    ]
    if options["json"]:
        print(json.dumps({what.replace(" ", "_"): rows}), flush=True)
        return
    if not rows:
        print("no fault was in force")
    for row in rows:
        fault = f": {row['fault']}" if "fault" in row else ""
        counts = f" ({_counts(row['frames'])})" if "frames" in row else ""
        print(sanitize(f"{what}: {row['container']}{fault}{counts}"), flush=True)


def _counts(frames: Any) -> str:  # noqa: ANN401
    return (
        ", ".join(f"{count} frames {name.replace('_', ' ')}" for name, count in frames.items())
        or "not counted"
    )
