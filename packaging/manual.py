"""The manual page, canwharf(1), made of the tables that make --help. Pure.

Source: man(7), groff_man_style(7): the order of the sections, and what is bold or italic.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from textwrap import wrap

from canwharf import __version__
from canwharf.cli import EXIT_STATUS, VERBS
from canwharf.cli.options import SOCKET, STATE_DIR, Argument, Flag, Option, Row, first_bus
from canwharf.daemon.instance import DEFAULT_NAME, usual
from canwharf.operator.service import modules

_ABOUT = """\
A Docker network of the driver canwharf is a CAN bus: on the host a virtual CAN interface, or a real
adapter, and in each container an interface like can0. All of them hear each other, each frame
once, and the containers need no privileges.

The daemon, canwharf serve, answers Docker; a service starts it before Docker at each boot. While it
is away, the kernel forwards frames all the same. The other commands show, draw, check and set up.
"""
_NETWORK = f"""\
{first_bus()}
docker run -d --restart always --network bus0 my-image
"""
_LOOKING = """\
canwharf status
sudo canwharf doctor
"""
_EXAMPLES = (
    ("A bus, and a container on it, which has can0:", _NETWORK),
    ("What there is, and what is wrong:", _LOOKING),
)
_SEE_ALSO = (
    *(("docker-network-create", 1), ("docker-run", 1), ("candump", 1), ("cansend", 1)),
    *(("cangw", 1), ("systemctl", 1), ("modules-load.d", 5), ("ip-link", 8)),
)


def page() -> str:
    """The page's source. Its date is that of the build (reproducible-builds.org)."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    date = datetime.fromtimestamp(float(epoch), UTC) if epoch else datetime.now(UTC)
    lines = (
        f'.TH CANWHARF 1 "{date:%Y-%m-%d}" "canwharf {__version__}" "User Commands"',
        *(".SH NAME", r"canwharf \- CAN buses for containers: a Docker network driver"),
        *(".SH SYNOPSIS", ".B canwharf", r".I COMMAND", r".RI [ OPTION .\|.\|.]"),
        *(".SH DESCRIPTION", "\n.PP\n".join(_text(text) for text in _ABOUT.split("\n\n"))),
        *(".SH COMMANDS", *(line for verb in VERBS for line in _command(verb))),
        *(".SH EXIT STATUS", *_terms(EXIT_STATUS.items())),
        *(".SH FILES", *_terms(_files())),
        *(".SH EXAMPLES", "\n.PP\n".join(_example(*each) for each in _EXAMPLES)),
        *(".SH SEE ALSO", *_references()),
    )
    return "\n".join(lines) + "\n"


def _command(verb: str) -> Iterator[str]:
    module = import_module(f"canwharf.cli.{verb}")
    yield f".SS canwharf {verb}"
    yield _text(module.DESCRIPTION)
    for row in module.OPTIONS:
        yield from (".TP", *_option(row))
    yield from (".PP", _example("For example:", module.EXAMPLE))


def _option(row: Row) -> tuple[str, str]:
    """What is typed, and what it means."""
    match row:
        case Option(name, default, help, metavar, choices):
            value = f"{{{','.join(choices)}}}" if choices else metavar or name.upper()
            if default:
                help += f" (default: {default})"
            return rf".BI \-\-{_text(name)} \ {_text(value)}", _text(help)
        case Flag(name, help):
            return rf".B \-\-{_text(name)}", _text(help)
        case Argument(_name, help, metavar):
            return f".I {_text(metavar)}", _text(help)


def _files() -> Iterator[tuple[str, str]]:
    one = usual(DEFAULT_NAME)
    yield SOCKET.default, "the driver's socket, where Docker finds it"
    yield f"{STATE_DIR.default}/state.json", "the networks, kept over a reboot"
    yield f"{one.service}, {one.socket_unit}", f"systemd's units: 'systemctl cat {one.service}'"
    yield (
        f"/usr/lib/modules-load.d/{os.path.basename(modules.FILE)}",
        ("the kernel modules that each boot loads"),
    )


def _terms(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, text in rows:
        yield from (".TP", f".B {_text(term)}", _text(text))


def _example(text: str, code: str) -> str:
    lines = (_text(line.strip()) for line in code.splitlines())
    return "\n".join((_text(text), ".PP", ".EX", *lines, ".EE"))


def _references() -> Iterator[str]:
    for name, section in _SEE_ALSO:
        comma = "" if (name, section) == _SEE_ALSO[-1] else ","
        yield f'.BR {_text(name)} "({section}){comma}"'


def _text(plain: str) -> str:
    """As roff takes it: short lines, a - can be copied, a dot begins no request, ASCII only."""
    escaped = plain.replace("\\", r"\e").replace("-", r"\-")
    lines = wrap(escaped, 79, break_long_words=False, break_on_hyphens=False)
    text = "\n".join(rf"\&{line}" if line[0] in ".'" else line for line in lines)
    return "".join(each if each.isascii() else f"\\[u{ord(each):04X}]" for each in text)
