"""What is seen of a span, as text and as JSON. Pure."""

from __future__ import annotations

from canwharf.operator.render.terminal import BAD, DOUBTFUL, FAINT, Color, sanitize
from canwharf.operator.spans import DEAF, HEARS, UNKNOWN, hearing
from canwharf.span.state import Host, State

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterator

_NS, _US = 1_000_000_000, 1_000  # nanoseconds of a second, of a microsecond
_HEAD = ("host", "state", "frames", "lost", "too old", "last", "round trip", "clock")
_NUMBERS = range(2, 8)  # the columns of numbers
_LEVELS = (BAD, DOUBTFUL, DOUBTFUL, DOUBTFUL, "", "")  # by rank
_WELL = 4  # the first rank of hosts that are well
_ANSWERS = {HEARS: True, DEAF: False, UNKNOWN: None}


def lines(name: str, told: State | str | None, color: Color) -> Iterator[str]:
    """The span of this name, and a table of its hosts, those first of which something is wrong.

    `told` is its bridge's state, or why that is not known; None: there is no bridge.
    """
    if told is None:
        words = "but no 'canwharf span' runs: no other host is heard"
        yield f"  {color(f'span {name}, {words}', DOUBTFUL)}"
        return
    if isinstance(told, str):
        yield f"  {color(f'span {name}, by canwharf span; {sanitize(told)}', DOUBTFUL)}"
        return
    well = sum(_rank(told, each) >= _WELL for each in told.hosts.values())
    seen = (
        f"{well} of {len(told.hosts)} other hosts well" if told.hosts else "no other host is seen"
    )
    words = f"span {name}, by 'canwharf span' as {told.host}: {seen}"
    yield f"  {color(words, FAINT if 0 < len(told.hosts) == well else DOUBTFUL)}"
    if other := told.own.apart:
        words = f"it is kept apart: {told.interface} hangs on one wire with the adapter of {other}"
        yield f"  {color(words, BAD)}"
    if told.hosts:
        yield from _table(told, color)


def _table(told: State, color: Color) -> Iterator[str]:
    hosts = sorted(told.hosts.items(), key=lambda each: (_rank(told, each[1]), each[0]))
    rows = [_HEAD, *(_cells(told, *each) for each in hosts)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    levels = [FAINT, *(_LEVELS[_rank(told, host)] for _name, host in hosts)]
    for row, level in zip(rows, levels, strict=True):
        cells = zip(row, widths, strict=True)
        words = [
            cell.rjust(width) if place in _NUMBERS else cell.ljust(width)
            for place, (cell, width) in enumerate(cells)
        ]
        line = "  ".join(words).rstrip()
        yield f"    {color(line, level) if level else line}"


def _rank(state: State, host: Host) -> int:
    """How much is wrong with a host: the lower, the worse."""
    answer = hearing(state, host)
    if not host.there:
        return 2 if host.linked else 3
    if answer != HEARS:
        return 0 if answer == DEAF else 1
    if host.told and host.told.report.apart:
        return 1
    return _WELL if host.lost or host.stale else _WELL + 1


def _cells(state: State, name: str, host: Host) -> tuple[str, ...]:
    told = host.told
    return (
        name,
        _condition(state, host),
        *(str(each) for each in (host.received, host.lost, host.stale)),
        "-" if host.age is None else ago(host.age),
        f"{told.round_trip / 1e6:.1f} ms" if told else "-",
        f"{told.difference / _NS:+.3f} s" if told else "-",
    )


def _condition(state: State, host: Host) -> str:
    if host.there:
        apart = host.told and host.told.report.apart
        well = "keeps apart" if apart else "well"
        return well if (answer := hearing(state, host)) == HEARS else answer
    return "tells nothing" if host.linked else "gone"


def ago(nanoseconds: int) -> str:
    """A time for people, in five letters or so."""
    seconds = nanoseconds / _NS
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f} s"


def clock(difference: int) -> str:
    """How another clock goes, by its difference in nanoseconds."""
    return f"{abs(difference) / _NS:.3f} s {'ahead' if difference >= 0 else 'behind'}"


def to_dict(told: State | str | None) -> dict[str, object]:
    """The fields of a span that its bridge tells."""
    if told is None or isinstance(told, str):
        nothing: dict[str, object] = dict.fromkeys(
            ("host", "apart", "second_pid", "certificate_end")
        )
        return {"fault": told or None, **nothing, "frames": {}, "hosts": []}
    return {
        "fault": None,
        "host": told.host,
        "apart": told.own.apart or None,
        "second_pid": told.rival,
        "certificate_end": told.own.certificate,
        "frames": dict(told.counts),
        "hosts": [_host(told, *each) for each in told.hosts.items()],
    }


def _host(state: State, name: str, host: Host) -> dict[str, object]:
    told = host.told
    report = told.report if told else None
    return {
        "name": name,
        "there": host.there,
        "linked": host.linked,
        "hears_this_host": _ANSWERS[hearing(state, host)],
        "frames_received": host.received,
        "frames_lost": host.lost,
        "frames_repeated": host.repeated,
        "frames_too_old": host.stale,
        "last_frame_age_us": None if host.age is None else host.age // _US,
        "round_trip_us": told.round_trip // _US if told else None,
        "clock_difference_us": told.difference // _US if told else None,
        "canwharf": report.canwharf if report else None,
        "kind": (report.kind or None) if report else None,
        "bitrate": (report.bitrate or None) if report else None,
        "dbitrate": (report.dbitrate or None) if report else None,
        "fd": report.fd if report else None,
        "certificate_end": report.certificate if report else None,
        "apart": (report.apart or None) if report else None,
        "uptime_us": report.uptime // _US if report else None,
    }
