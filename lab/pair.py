"""Guests with a network between them, each with its own disk and Docker.

Usage::

    with two_machines("trixie") as (a, b):
        a.run("ping -c 1 b")
        b.link.cut()
        b.link.fix()
        b.power_cut()
        b.boot()

Each has its own copy of the suite's prepared disk, and knows the others by name. The network has
no way out, and none to this machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from lab.cache import Report, say
from lab.guest import Guest
from lab.hub import Cable, Hub
from lab.suites import DEFAULT_SUITE

NAMES = ("a", "b")


class Host(Guest):
    """A guest that others can reach: by `link`, which can be cut and fixed (`lab.hub.Cable`)."""

    def __init__(
        self,
        link: Cable,
        suite: str = DEFAULT_SUITE,
        *,
        mem: str = "2G",
        systemd: bool = False,
        boot: str | None = None,
        report: Report = say,
    ) -> None:
        super().__init__(suite, mem=mem, systemd=systemd, boot=boot, cable=link, report=report)
        self.link = link
        self.name = link.host
        self.address = link.address


@contextmanager
def machines(
    names: Sequence[str],
    suite: str = DEFAULT_SUITE,
    *,
    mem: str = "2G",
    systemd: bool = False,
    boot: str | None = None,
    report: Report = say,
) -> Iterator[list[Host]]:
    """Guests of these host names, on one hub, all up. What may be given is as for `Guest`."""
    with ExitStack() as stack:
        hub = stack.enter_context(Hub())
        cables = [hub.cable(name) for name in names]  # each boots with the names of all
        yield [
            stack.enter_context(
                Host(cable, suite, mem=mem, systemd=systemd, boot=boot, report=report)
            )
            for cable in cables
        ]


@contextmanager
def two_machines(
    suite: str = DEFAULT_SUITE,
    *,
    mem: str = "2G",
    systemd: bool = False,
    boot: str | None = None,
    report: Report = say,
) -> Iterator[tuple[Host, Host]]:
    """Two guests, `a` and `b`, as `machines` makes them."""
    with machines(NAMES, suite, mem=mem, systemd=systemd, boot=boot, report=report) as (a, b):
        yield a, b
