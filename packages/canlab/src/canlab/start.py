"""All that the guest has to know of a command, and how that travels. Pure."""

from __future__ import annotations

import marshal

# What a standard stream is in the guest.
NULL, PIPE, TTY, FILE = "null", "pipe", "tty", "file"

# uid, gid, supplementary groups
User = tuple[int, int, list[int]]


class Start:
    """A command. No named tuple: `typing` is slow to load."""

    def __init__(
        self,
        *,
        argv: list[str],
        environment: dict[str, str],
        folder: str,
        streams: list[str],
        umask: int = 0o022,
        limits: dict[int, tuple[int, int]],
        ignored: list[int],
        user: User | None,
        terminal: bytes,
        size: tuple[int, int],
        interfaces: list[tuple[str, str, str]],
        bitrate: int,
        hostname: str,
        ports: list[int],
        modules: str,
        input: tuple[str, int],
        canwharf: str,
        python: str,
    ) -> None:
        self.argv = argv
        self.environment = environment
        self.folder = folder
        self.streams = streams
        """What descriptors 0 to 2 are: NULL, PIPE, TTY; the first may be FILE."""
        self.umask = umask
        self.limits = limits
        """By RLIMIT number: soft and hard."""
        self.ignored = ignored
        """Signals that the caller ignores."""
        self.user = user
        """None: root."""
        self.terminal = terminal
        """The terminal's modes as tcgetattr has them, by `pack_modes`; empty if there is none."""
        self.size = size
        """The terminal's rows and columns."""
        self.interfaces = interfaces
        self.bitrate = bitrate
        """bit/s, of each interface that has one."""
        self.hostname = hostname
        self.ports = ports
        """TCP ports of this machine's 127.0.0.1 that are there in the guest, too."""
        self.modules = modules
        """A folder as /lib/modules, of what is built into the guest's kernel; may be empty."""
        self.input = input
        """Path and offset of a FILE."""
        self.canwharf = canwharf
        """The folder of canwharf's package, for Docker in the guest; empty: without Docker."""
        self.python = python
        """The caller's Python, which runs canwharf for the command."""

    def pack(self) -> bytes:
        """As bytes. By marshal: both ends are the same Python, and it needs no import."""
        return marshal.dumps(vars(self))

    @classmethod
    def unpack(cls, packed: bytes) -> Start:
        """What `pack` has packed."""
        return cls(**marshal.loads(packed))  # noqa: S302 - our own bytes


def pack_modes(modes: list[int | list[bytes | int]]) -> bytes:
    """A terminal's modes, as termios.tcgetattr returns them."""
    return marshal.dumps(modes)


def unpack_modes(packed: bytes) -> list[int | list[bytes | int]]:
    """The same for termios.tcsetattr."""
    modes: list[int | list[bytes | int]] = marshal.loads(packed)  # noqa: S302 - our own bytes
    return modes
