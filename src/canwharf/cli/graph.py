"""`canwharf graph`: the buses as a drawing, on standard output."""

from __future__ import annotations

from collections.abc import Mapping

from canwharf.cli import selection
from canwharf.cli.options import Argument, Option
from canwharf.errors import UsageError
from canwharf.kernel.netlink import Netlink
from canwharf.operator.collect import collect
from canwharf.operator.render import mermaid, svg
from canwharf.operator.render.layout import draw

DESCRIPTION = (
    "Draw the buses: each with its host interface, its containers, and those that are not "
    "connected. The format is SVG, or text for Mermaid, which many wikis and code hosts draw."
)
EXAMPLE = "sudo canwharf graph --format svg >buses.svg"
_FORMATS = {"mermaid": mermaid.render, "svg": svg.render}
OPTIONS = (
    Argument("bus", "only this bus: its host interface, or a network's name or id", "BUS"),
    Option("format", "mermaid", "the output format", choices=tuple(_FORMATS)),
    *selection.WHICH,
)


def run(options: Mapping[str, str]) -> int:
    """Draw. Raises CanwharfError; a drawing of another state would be empty, without a word."""
    which = selection.announced(options)
    if which.conflict:
        raise UsageError(f"{which.conflict}: leave that option out")
    status = collect(which.instance, Netlink())
    if options["bus"]:
        status = status.only(options["bus"])
    print(_FORMATS[options["format"]](draw(status)))
    return 0
