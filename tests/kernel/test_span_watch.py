"""`watch` and `dump` on a bus across hosts, whatever runs first, comes and goes."""

from __future__ import annotations

import json
import os
import select
from contextlib import ExitStack
from pathlib import Path

from tests.kernel.seen import N, raw_listeners, send, start
from tests.kernel.site import Site
from tests.kernel.test_span import two_buses
from tests.kernel.test_span_processes import (  # noqa: F401 (a fixture)
    Started,
    directory,
    heard,
    publish,
    span,
    until,
)
from tests.kernel.test_span_recording import WHERE, bridge, own  # noqa: F401 (a fixture)
from tests.kernel.test_watch import Terminal
from tests.world.host import LIMIT, wait_until
from tests.world.member import Member


def connect(stack: ExitStack, own: Path, directory: Path) -> tuple[Started, Started]:  # noqa: F811
    """The services of both hosts, which have met."""
    first = bridge(stack, own)
    second = span(stack, publish(directory, "other", "vcan1"), "--name", "b", "--connect", WHERE)
    until(second, "a is there")
    until(first, "b is there")
    return first, second


def meet(members: list[Member]) -> None:
    """The far container is heard at the near bus."""
    wait_until(lambda: heard(members[4], members[0]))


def appears(terminal: Terminal, word: str, sender: Member) -> bool:
    """Whether this is on the screen by now: what came before it asked has no host."""
    send(sender, 0x123)
    if select.select([terminal._user], [], [], 0.2)[0]:
        terminal._shown += os.read(terminal._user, 65536).decode(errors="replace")
    return word in terminal._shown


def test_the_screen_says_which_hosts_there_are(
    site: Site,
    stack: ExitStack,
    directory: Path,  # noqa: F811
    own: Path,  # noqa: F811
) -> None:
    """It began before the service, and says when that has ended."""
    members = two_buses(site, "linear")
    terminal = Terminal(stack)
    process = start(site, stack, "watch", "bus0", terminal=terminal.descriptor)
    terminal.shows("'canwharf span'", "does not run")
    first, second = connect(stack, own, directory)
    wait_until(lambda: appears(terminal, "clock ", members[4]))
    second.kill()
    until(first, "b is gone")
    terminal.shows("gone")
    first.kill()
    terminal.shows("'canwharf span'")
    terminal.press("q")
    assert process.wait(LIMIT) == 0
    assert terminal.is_as_before()


def test_a_dump_that_began_before_the_service_has_the_names_when_it_runs(
    site: Site,
    stack: ExitStack,
    directory: Path,  # noqa: F811
    own: Path,  # noqa: F811
) -> None:
    """Of a whole host, by its name and a slash. At the end, a host that has gone is told."""
    members = two_buses(site, "linear")
    process = start(site, stack, "dump", "--json", "--from", "b/", "bus0")
    wait_until(lambda: raw_listeners(site.port(N, "e2")) > 0 or process.poll() is not None)
    assert process.stdout
    assert process.stderr
    said = [process.stderr.readline() for _each in range(2)]
    assert "'canwharf span', which connects it to other hosts, does not run" in said[0]
    assert "no bus here is connected to other hosts now: nothing is shown as b/ until" in said[1]
    first, second = connect(stack, own, directory)
    until_said = "'canwharf span' runs: frames of other hosts have names"
    assert until_said in process.stderr.readline()
    meet(members)
    send(members[0], 0x123)
    send(members[3], 0x124)
    senders = []
    while (shown := json.loads(process.stdout.readline()))["id"] != 0x124:
        senders.append(shown["sender"])
    assert set(senders) <= {"b/gate", "b/endpoint f1"}  # until its name is known there
    assert senders
    assert shown["sender"] == "b/host"
    second.kill()
    until(first, "b is gone")
    process.terminate()
    _out, err = process.communicate(timeout=LIMIT)
    assert "bus0: b is not connected now: what it sent last is not here" in err
