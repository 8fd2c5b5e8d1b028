"""What is seen of a span, as text and as JSON. Pure."""

from __future__ import annotations

from canwharf.operator.render.terminal import BAD, DOUBTFUL, FAINT, Color, sanitize
from canwharf.operator.spans import DEAF, HEARS, UNKNOWN, hearing
from canwharf.span.state import Host, State

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterator

_NS, _US = 1_000_000_000, 1_000  # nanoseconds of a second, of a microsecond
_ANSWERS = {HEARS: True, DEAF: False, UNKNOWN: None}


def lines(name: str, told: State | str | None, color: Color) -> Iterator[str]:
    """The span of this name, and a line for each of its hosts.

    `told` is its bridge's state, or why that is not known; None: there is no bridge.
    """
    if told is None:
        words = "but no 'canwharf span' runs: no other host is heard"
        yield f"  {color(f'span {name}, {words}', DOUBTFUL)}"
        return
    if isinstance(told, str):
        yield f"  {color(f'span {name}, by canwharf span; {sanitize(told)}', DOUBTFUL)}"
        return
    alone = "" if told.hosts else ": no other host is seen"
    words = f"span {name}, by 'canwharf span' as {told.host}{alone}"
    yield f"  {color(words, FAINT if told.hosts else DOUBTFUL)}"
    rows = [_cells(told, *each) for each in told.hosts.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for (host, state), row in zip(told.hosts.items(), rows, strict=True):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        line = "  ".join(cell for cell in cells if cell).rstrip()
        level = BAD if hearing(told, state) == DEAF else "" if _well(told, host) else DOUBTFUL
        yield f"      {color(line, level) if level else line}"


def _well(state: State, name: str) -> bool:
    host = state.hosts[name]
    return host.there and hearing(state, host) == HEARS


def _cells(state: State, name: str, host: Host) -> list[str]:
    told = host.told
    age = "no frame yet" if host.age is None else f"last frame {seconds(host.age)} ago"
    return [
        name,
        _presence(host),
        hearing(state, host) if host.there or told else "",
        f"{host.received} frames",
        f"{host.lost} lost",
        f"{host.stale} too old",
        age,
        f"round trip {told.round_trip / 1e6:.1f} ms" if told else "",
        f"clock {clock(told.difference)}" if told else "",
    ]


def _presence(host: Host) -> str:
    if host.there:
        return "is there"
    return "is connected, but tells nothing" if host.linked else "is gone"


def seconds(nanoseconds: int) -> str:
    """A time for people."""
    return f"{nanoseconds / _NS:.1f} s"


def clock(difference: int) -> str:
    """How another clock goes, by its difference in nanoseconds."""
    return f"{abs(difference) / _NS:.3f} s {'ahead' if difference >= 0 else 'behind'}"


def to_dict(told: State | str | None) -> dict[str, object]:
    """The fields of a span that its bridge tells."""
    if told is None or isinstance(told, str):
        return {"fault": told or None, "host": None, "frames": {}, "hosts": []}
    hosts = [_host(told, *each) for each in told.hosts.items()]
    return {"fault": None, "host": told.host, "frames": dict(told.counts), "hosts": hosts}


def _host(state: State, name: str, host: Host) -> dict[str, object]:
    told = host.told
    report = told.report if told else None
    return {
        "name": name,
        "there": host.there,
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
        "uptime_us": report.uptime // _US if report else None,
    }
