"""The doctor's check of buses across hosts. Pure.

Rules:

- What the other hosts tell is believed as far as it goes: it is a reason to look there.
- Counts are of the time since this host's `canwharf span` started.
- Clocks that differ harm recordings only: what is too old is found without them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from canwharf.operator.doctor.facts import Facts
from canwharf.operator.doctor.finding import FAILURE, OK, WARN, Finding
from canwharf.operator.render.spans import clock
from canwharf.operator.spans import DEAF, UNKNOWN, hearing
from canwharf.span import extra
from canwharf.span.report import Report
from canwharf.span.state import Host, State

CLOCKS = 1_000_000_000  # nanoseconds that two clocks may differ
SOON = 30 * 24 * 3600  # seconds before a certificate ends
BUFFER = 8 << 20  # bytes that a socket should be allowed to hold

ADAPTER = "adapter"  # the kind of a host's bus, in its report
_SYSCTL = "/etc/sysctl.d/90-can.conf"


def spans(facts: Facts) -> Iterator[Finding]:
    """Whether the buses with a span are connected to those of other hosts."""
    if facts.status is None:
        return
    reports = [each for each in facts.status.reports if each.span.name]
    if not reports:
        yield Finding(OK, "no bus spans several hosts")
    told = {each.interface: facts.status.spanned.get(each.interface) for each in reports}
    states = [each for each in told.values() if isinstance(each, State)]
    for report in reports:
        name, interface, state = report.span.name, report.interface, told[report.interface]
        if isinstance(state, State):
            yield from _state(state, states, facts)
        elif state is not None:
            what = f"'canwharf span' connects {interface}, but what it sees is not known: {state}"
            yield Finding(WARN, what, _restart(facts))
        else:
            yield _unconnected(interface, name, facts)
    for endpoint, fault in facts.unreached.items():
        what = f"this host cannot connect to {endpoint} (connect in settings.toml): {fault}"
        yield Finding(WARN, what, "on that host: canwharf doctor")


def _unconnected(interface: str, name: str, facts: Facts) -> Finding:
    what = f"{interface} has the span {name}, but no 'canwharf span' connects it to other hosts"
    unit = facts.span_unit
    start = f"systemctl enable --now {unit}" if unit else "canwharf span"
    if not facts.span_set_up and unit:
        what += ": neither 'canwharf span init' nor 'join' was run on this host"
        start = "canwharf span init --help"
    if not facts.zenoh:
        return Finding(WARN, f"{what}; zenoh, which it needs, is not installed", extra.command())
    return Finding(WARN, what, start)


def _restart(facts: Facts) -> str:
    """How to restart it; what runs without the unit, only its user knows."""
    return f"systemctl restart {facts.span_unit}" if facts.span_unit else "restart 'canwharf span'"


def _log(facts: Facts) -> str:
    """Where it says more."""
    unit = facts.span_unit
    return f"journalctl -u {unit}" if unit else "read what 'canwharf span' says"


def _there_run(name: str, command: str) -> str:
    """A command for another host, whose name in the span need not be one that a resolver knows."""
    return f"on {name}: {command}"


def _state(state: State, states: Sequence[State], facts: Facts) -> Iterator[Finding]:
    """What a bridge tells; that all is well, if there is nothing else."""
    found = [*_own(state, facts)]
    for name, host in state.hosts.items():
        elsewhere = any(name in each.hosts and each.hosts[name].there for each in states)
        if host.there or host.told:
            found += _there(state, name, host, facts)
        elif host.linked and not elsewhere:
            found.append(_refused(state, name))
        elif host.silence is not None:
            what = f"{name} is gone from the span {state.span}"
            found.append(Finding(WARN, what, _there_run(name, "canwharf doctor")))
    found += _adapters(state)
    others = [name for name, host in state.hosts.items() if host.there]
    if not others:
        what = f"'canwharf span' connects {state.interface}, but no other host is in {state.span}"
        found.append(Finding(WARN, what, "on the other hosts: canwharf doctor"))
    yield from found
    if all(each.level == OK for each in found):
        yield _well(state, others)


def _adapters(state: State) -> Iterator[Finding]:
    """Which other hosts have an adapter, too, if none is known to hang on the same wire."""
    reports = {name: host.told.report for name, host in state.hosts.items() if host.told}
    others = [name for name, each in reports.items() if each.kind == ADAPTER and not each.apart]
    if state.own.kind == ADAPTER and others and not state.own.apart:
        which = f"{state.interface} and the adapters of {', '.join(others)} are one bus by the span"
        yield Finding(OK, f"{which}: no two of them may hang on one wire")


def _well(state: State, others: Sequence[str]) -> Finding:
    what = f"{state.interface} is one bus with those of {', '.join(others)}, as {state.span}"
    return Finding(OK, what)


def _refused(state: State, name: str) -> Finding:
    what = f"{name} is connected, but tells nothing: it does not let {state.host} in, or has no "
    what += f"bus with the span {state.span}; look there for refuse in settings.toml, or --host"
    return Finding(WARN, what, _there_run(name, "canwharf doctor"))


def _own(state: State, facts: Facts) -> Iterator[Finding]:
    """What is wrong on this host."""
    own, counts = state.own, state.counts
    if own.apart:
        bus = state.interface
        what = f"{bus} and the adapter of {own.apart} hang on one wire: each frame would go round "
        what += f"without end, so {bus} is kept apart from the span. Give one of the two buses no "
        what += "can.span, or a wire of its own"
        yield Finding(FAILURE, what, _restart(facts))
    if own.twin:
        what = f"another host is called {state.host}, too: neither hears the other"
        yield Finding(FAILURE, what, "canwharf span init --help")
    if state.rival is not None:
        which = f"process {state.rival}" if state.rival else "one in a container"
        what = f"two 'canwharf span' run for {state.interface}: one connects it, and {which} waits"
        yield Finding(WARN, what, f"systemctl status {state.rival}" if state.rival else "docker ps")
    if state.nameless and facts.docker:
        what = f"other hosts see senders of {state.interface} as 'endpoint …', as 'canwharf span' "
        what += f"does not learn what containers are called: {state.nameless}"
        # With the unit starts the socket of its helper, too.
        yield Finding(WARN, what, _restart(facts) if facts.span_unit else "canwharf names --help")
    now = own.clock // 1_000_000_000
    yield from _certificate(f"{state.host}, this host,", state.host, own, now)
    if overrun := counts.get("overrun", 0):
        what = f"{overrun} frames of {state.interface} were lost, as 'canwharf span' was too slow"
        small = 0 < facts.receive_buffer < BUFFER
        setting = f"net.core.rmem_max={BUFFER}"
        fix = f"echo {setting} >>{_SYSCTL} && sysctl -p {_SYSCTL}" if small else _log(facts)
        yield Finding(WARN, f"{what} for its sockets' buffers", fix)


def _there(state: State, name: str, host: Host, facts: Facts) -> Iterator[Finding]:
    """What is wrong with a host that is there."""
    if host.foreign:
        what = f"two hosts are called {name}: one of them is not heard"
        yield Finding(FAILURE, what, "canwharf span init --help")
    answer = hearing(state, host)
    if answer == UNKNOWN:
        what = f"{name} does not answer: its canwharf is older than this one, or it is frozen"
        yield Finding(WARN, what, _there_run(name, "restart canwharf span"))
    if answer == DEAF:
        what = f"{name} does not hear this host: nothing of {state.interface} arrives there"
        yield Finding(FAILURE, what, _there_run(name, "canwharf doctor"))
    if host.lost:
        what = f"of {name}, {host.lost} frames were lost on the way to {state.interface}"
        yield Finding(WARN, f"{what} since 'canwharf span' started", _log(facts))
    if host.stale:
        what = f"of {name}, {host.stale} frames came later than can.span.max_age, and are not on "
        yield Finding(WARN, f"{what}{state.interface}", _log(facts))
    if told := host.told:
        yield from _differences(state, name, told.report)
        if abs(told.difference) > CLOCKS:
            what = f"the clock of {name} is {clock(told.difference)}: a recording of both hosts is "
            what += "out of order by that; frames on the bus are not affected"
            yield Finding(WARN, what, "timedatectl set-ntp true")
        now = told.report.clock // 1_000_000_000
        yield from _certificate(name, name, told.report, now)


def _differences(state: State, name: str, other: Report) -> Iterator[Finding]:
    own, interface = state.own, state.interface
    if other.apart:
        what = (
            f"{name} keeps apart from the span: its adapter and that of {other.apart} hang on one "
        )
        yield Finding(WARN, f"{what}wire", _there_run(name, "canwharf doctor"))
    if own.message != other.message:
        what = f"{name} sends messages of version {other.message}, this host {own.message}: "
        what += "neither reads the other's"
        older = f"on {name}" if other.message < own.message else "here"
        yield Finding(FAILURE, what, f"upgrade canwharf {older}")
    elif own.canwharf != other.canwharf:
        what = f"{name} has canwharf {other.canwharf}, this host {own.canwharf}"
        yield Finding(WARN, what, "upgrade canwharf on the older one")
    rates = {
        "bit rate": (own.bitrate, other.bitrate),
        "data bit rate": (own.dbitrate, other.dbitrate),
    }
    for which, (here, there) in rates.items():
        if here and there and here != there:
            what = f"the {which} of {interface} is {here} bit/s, that of {name} {there}: the slower"
            yield Finding(WARN, f"{what} bus cannot take all frames", "canwharf status")
    if own.kind and other.kind and own.fd != other.fd:
        lacking = name if own.fd else "this host"
        what = f"the bus of {lacking} takes no CAN FD frames: those of the others are refused there"
        yield Finding(WARN, what, "canwharf status")


def _certificate(whose: str, name: str, report: Report, now: int) -> Iterator[Finding]:
    """Whether it ends within SOON; `now` is in seconds."""
    if report.certificate is None or (left := report.certificate - now) > SOON:
        return
    fix = (
        f"canwharf span invite {name}, on the host that has the authority; or, with a certificate "
        "of your own, canwharf span init again"
    )
    if left <= 0:
        what = f"the certificate of {whose} has ended: no host connects to it"
        yield Finding(FAILURE, what, fix)
    else:
        days = left // (24 * 3600)
        yield Finding(WARN, f"the certificate of {whose} ends in {days} days", fix)
