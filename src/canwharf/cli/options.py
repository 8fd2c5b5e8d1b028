"""The rows of a verb's option table, and how `serve` reads them without argparse. Pure."""

from __future__ import annotations

from canwharf.daemon.instance import DEFAULT_NAME, usual
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Option(NamedTuple):
    """`--name VALUE`; where there are `choices`, the value is one of them.

    `short` is a letter for it. One that may be given `many` times has each value in a line.
    """

    name: str
    default: str
    help: str
    metavar: str = ""
    choices: Sequence[str] = ()
    short: str = ""
    many: bool = False


class Flag(NamedTuple):
    """`--name`; its value is its name, or empty if it is left out. `short` is a letter for it."""

    name: str
    help: str
    short: str = ""


class Argument(NamedTuple):
    """A word without a name, as BUS in `status BUS`; empty where it is left out.

    Where there may be `many`, each is in a line.
    """

    name: str
    help: str
    metavar: str
    many: bool = False


Row = Option | Flag | Argument

# The options of `serve`; all verbs know a daemon's paths by the same two.
SOCKET = Option(
    "socket",
    usual(DEFAULT_NAME).socket,
    "the socket on which Docker calls the driver; the file's name is the driver's: "
    "…/rustyvxcan.sock serves networks of the driver rustyvxcan, "
    "…/plugins/wsovalle/vxcan:latest.sock those of a managed plugin",
    "PATH",
)
STATE_DIR = Option(
    "state-dir",
    usual(DEFAULT_NAME).state_dir,
    "the directory that keeps the networks over a reboot",
    "DIR",
)
ALLOW_GROUP = Option(
    "allow-group",
    "",
    "let the members of this group connect containers of a rootless Podman to every bus "
    "(docs/podman.md says what that means)",
    "GROUP",
)
JSON = Flag("json", "print JSON")


def first_bus(driver: str = "canwharf") -> str:
    """The command that makes a bus.

    Without `--ipam-driver null`, Docker gives each network one of its about 30 address pools, which
    networks of other drivers then lack. Without `can.name`, the container's interface is vcanp0,
    and most programs open can0.
    """
    return f"docker network create -d {driver} --ipam-driver null -o can.name=can bus0"


def read_plain(options: Iterable[Option], words: Sequence[str]) -> dict[str, str] | None:
    """The value of each option; None if the words are not `--name value` pairs of these options.

    None, too, for an empty value and an option that is given twice: argparse's caller refuses them.
    """
    known = {f"--{option.name}": option for option in options}
    values = {option.name: option.default for option in known.values()}
    if len(words) % 2 or len(set(words[::2])) < len(words[::2]) or "" in words:
        return None
    for word, value in zip(words[::2], words[1::2], strict=True):
        option = known.get(word)
        if option is None or value.startswith("-") or value not in (option.choices or (value,)):
            return None
        values[option.name] = value
    return values
