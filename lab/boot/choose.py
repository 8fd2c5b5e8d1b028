"""Which boot strategy a guest uses: the first that comes up on this machine.

Rules:

- A strategy that is asked for (`--boot`, CANWHARF_BOOT) is the only one tried: a person who names
  one wants to know how that goes.
- Otherwise the strategies are tried in the order of `AUTOMATIC`, by booting the guest itself, so
  where the first works nothing is lost. One that is out of the question (no such kernel for this
  architecture, no /dev/kvm) is passed over.
- What came up is remembered for this suite, this machine's kernel and its processor: another
  machine that shares the cache, or the same one with a new processor, tries for itself. It is
  remembered only if each one before it is known to be none for this machine (`lab.boot.death`): a
  guest that was killed, or hung as the machine was busy, says nothing.
- A death that is the guest's own fault ends the search: no strategy fixes a broken disk.
- What cannot be made (no archive in reach) is passed over, with its reason.
- Each strategy that failed is told in one line, with the kernel's own words and what is next.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping
from pathlib import Path

from lab import cache
from lab.boot import Boot
from lab.boot.death import GUEST, UNFIT, Failure
from lab.boot.emulation import Emulation
from lab.boot.kvm import Kvm
from lab.boot.own import OWN_SMP, Own
from lab.boot.uml import Uml
from lab.boot.uml_sid import UmlSid
from lab.cache import Report
from lab.errors import GuestDied, LabError
from lab.suites import Suite

AUTOMATIC: tuple[Boot, ...] = (Uml(), UmlSid(), Kvm(), Emulation())
ON_REQUEST: tuple[Boot, ...] = (Own(), OWN_SMP)
BOOTS: Mapping[str, Boot] = {boot.name: boot for boot in (*AUTOMATIC, *ON_REQUEST)}

VARIABLE = "CANWHARF_BOOT"
AUTO = "auto"
CPUINFO = Path("/proc/cpuinfo")

# Tries one strategy: why it did not come up, or None when the guest is up.
Attempt = Callable[[Boot], Failure | None]


def requested(name: str | None = None) -> Boot | None:
    """The strategy of that name, or that CANWHARF_BOOT names; None leaves it to the machine.

    Raises LabError for a name that there is not, and for a strategy that cannot be had here.
    """
    name = name or os.environ.get(VARIABLE) or AUTO
    if name == AUTO:
        return None
    if name not in BOOTS:
        where = f" (from {VARIABLE})" if os.environ.get(VARIABLE) == name else ""
        raise LabError(f"no boot strategy {name!r}{where}; there are {', '.join((AUTO, *BOOTS))}")
    if obstacle := BOOTS[name].obstacle():
        raise LabError(f"no guest can boot by {name} here: {obstacle}")
    return BOOTS[name]


def first_to_come_up(suite: Suite, attempt: Attempt, report: Report) -> Boot:
    """Try the strategies that may boot here; the one by which the guest is up now.

    Raises GuestDied, with a line for each, if there is none.
    """
    failures: list[Failure] = []
    for boot in candidates(suite):
        if failures:
            report(f"{suite.name}: {failures[-1]}; trying {boot.what} ({boot.name})")
        failure = attempt(boot)
        if failure is None:
            if failures and all(each.verdict == UNFIT for each in failures):
                remember(suite, boot, report)
            return boot
        failures.append(failure)
        if failure.verdict == GUEST:
            break
    raise GuestDied(_all_failed(suite, failures), failures[-1].console)


def candidates(suite: Suite) -> list[Boot]:
    """What to try, in order: what came up last time, then all that may."""
    possible = [boot for boot in AUTOMATIC if boot.obstacle() is None]
    if not possible:
        why = "; ".join(f"{boot.name}: {boot.obstacle()}" for boot in AUTOMATIC)
        raise LabError(f"no guest can boot on this machine ({why})")
    known = _recall().get(_key(suite))
    return sorted(possible, key=lambda boot: boot.name != known)  # stable: else in their order


def remember(suite: Suite, boot: Boot, report: Report) -> None:
    """Keep what came up on this machine, and say so; that it cannot be kept is only told."""
    path = _file()
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        # Two machines that come up at once must both be kept.
        with cache.locked(path.with_name(f"{path.name}.lock"), path.name, report):
            kept = {**_recall(), _key(suite): boot.name}
            aside.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
            aside.rename(path)
    except OSError as error:
        report(f"{suite.name}: it boots by {boot.what}; that cannot be kept: {error}")
    else:
        report(f"{suite.name}: it boots by {boot.what}, and does so from now on")


def _all_failed(suite: Suite, failures: list[Failure]) -> str:
    each = "".join(f"\n  - {failure}" for failure in failures)
    hint = ""
    if failures[-1].verdict != GUEST:
        others = [boot.name for boot in ON_REQUEST if boot.obstacle() is None]
        hint = f"\n(not tried, as they are built first: {VARIABLE}={' or '.join(others)})" * bool(
            others
        )
    return f"no {suite.name} guest came up on this machine:{each}{hint}"


def _recall() -> dict[str, str]:
    try:
        return dict(json.loads(_file().read_text()))
    except (OSError, ValueError, TypeError):
        return {}  # lost or garbled: it is found again by trying


def _file() -> Path:
    return cache.folder() / "boots.json"


def _key(suite: Suite) -> str:
    """A suite on this machine: its kernel, and what its processor can do."""
    lines = CPUINFO.read_text().splitlines()
    able = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{suite.name} on {platform.machine()} {cache.key(platform.release(), able)}"
