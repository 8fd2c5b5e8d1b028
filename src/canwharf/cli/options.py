"""A verb's options as a table, and the plain way to read them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from canwharf.daemon.instance import DEFAULT_NAME, usual


class Option(NamedTuple):
    """`--name VALUE`; where there are `choices`, the value is one of them."""

    name: str
    default: str
    help: str
    metavar: str = ""
    choices: Sequence[str] = ()


class Flag(NamedTuple):
    """`--name`; its value is its name where it is given, else empty."""

    name: str
    help: str


class Argument(NamedTuple):
    """A word without a name, as BUS in `status BUS`; empty where it is left out."""

    name: str
    help: str
    metavar: str


Row = Option | Flag | Argument

# Whoever looks at a daemon's work finds it as the daemon was told to keep it.
SOCKET = Option(
    "socket",
    usual(DEFAULT_NAME).socket,
    "where Docker finds the driver, whose name is that of the file: "
    "…/rustyvxcan.sock serves networks of the driver rustyvxcan, "
    "…/plugins/wsovalle/vxcan:latest.sock those of a managed plugin",
    "PATH",
)
STATE_DIR = Option(
    "state-dir",
    usual(DEFAULT_NAME).state_dir,
    "where the networks are kept over a reboot",
    "DIR",
)
JSON = Flag("json", "for machines")


def first_bus(driver: str = "canwharf") -> str:
    """The command that makes a bus.

    Docker's own address management would give each its one of some 30 pools, of which then other
    drivers' networks have none; and the container's interface a name that no program looks for.
    """
    return f"docker network create -d {driver} --ipam-driver null -o can.name=can bus0"


def read_plain(options: Iterable[Option], words: Sequence[str]) -> dict[str, str] | None:
    """The value of each option; None where the words are not `--name value` pairs of these."""
    known = {f"--{option.name}": option for option in options}
    values = {option.name: option.default for option in known.values()}
    if len(words) % 2:
        return None
    for word, value in zip(words[::2], words[1::2], strict=True):
        option = known.get(word)
        if option is None or value.startswith("-") or value not in (option.choices or (value,)):
            return None
        values[option.name] = value
    return values
