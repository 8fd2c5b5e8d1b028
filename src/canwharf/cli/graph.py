"""`canwharf graph`: the buses as a drawing, on standard output."""

from __future__ import annotations

from collections.abc import Mapping

from canwharf.cli.options import SOCKET, STATE_DIR, Option, Place
from canwharf.kernel.netlink import Netlink
from canwharf.operator import mermaid, svg
from canwharf.operator.drawing import draw
from canwharf.operator.sight import look

DESCRIPTION = (
    "Draw the buses: each with its host interface, the containers on it, and who does not hear "
    "whom. As SVG, or as text for Mermaid, which many wikis and code hosts show as a drawing."
)
EXAMPLE = "sudo canwharf graph --format svg >buses.svg"
_FORMATS = {"mermaid": mermaid.render, "svg": svg.render}
OPTIONS = (
    Place("bus", "only this bus: its host interface, or a network's name or id", "BUS"),
    Option("format", "mermaid", "what to write", choices=tuple(_FORMATS)),
    SOCKET,
    STATE_DIR,
)


def run(options: Mapping[str, str]) -> int:
    """Draw. Raises CanwharfError."""
    sight = look(options["socket"], options["state-dir"], Netlink())
    if options["bus"]:
        sight = sight.only(options["bus"])
    print(_FORMATS[options["format"]](draw(sight)))
    return 0
