"""A daemon's identity is an instance: its name, and all paths and units that follow. Pure.

Rules:

- The name is that of the socket's file, by which Docker knows the driver. A managed plugin's
  (`somebody/vxcan:latest`) is found as well: its socket lies in a folder (Docker:
  pkg/plugins/discovery.go).
- One daemon a name: its interfaces are known by that name alone. So no two daemons are ever at one
  path at the same time.
- `usual` is the one table of paths. A daemon may be told others, by --socket and --state-dir.
"""

from __future__ import annotations

from canwharf.bus import naming
from canwharf.errors import StartError
from canwharf.record import NamedTuple

DEFAULT_NAME = "canwharf"  # where no other is given
LOCKS = "/run/canwharf"
# Outside of /run, which a rootless Podman hides from its plugins.
FOR_USERS = "/var/lib/canwharf.rootless"
_LOCK = ".lock"
_PLUGINS = "/docker/plugins/"  # in /run, where Docker looks


class Instance(NamedTuple):
    """A daemon's name, the path of its socket, and the directory of its networks."""

    name: str
    socket: str
    state_dir: str

    @property
    def lock(self) -> str:
        """The file whose lock tells that a daemon of this name runs."""
        return lock_path(self.name)

    @property
    def spans(self) -> str:
        """The file that tells everybody which buses have a span."""
        return f"{LOCKS}/{self.name.replace('/', '%')}.spans"

    @property
    def for_users(self) -> str:
        """The path of the socket for users without root; empty for a managed plugin."""
        return "" if "/" in self.name else f"{FOR_USERS}/{self.name}.sock"

    @property
    def unit(self) -> str:
        """What its units are called, without their suffix."""
        return _unit(self.name)

    @property
    def service(self) -> str:
        """The service unit."""
        return f"{self.unit}.service"

    @property
    def socket_unit(self) -> str:
        """The unit by which systemd holds the socket."""
        return f"{self.unit}.socket"

    @property
    def users_unit(self) -> str:
        """The unit by which systemd holds the socket for users; not there unless it is allowed."""
        return f"{self.unit}-rootless.socket"

    @property
    def rescue(self) -> str:
        """The units that start it once more, without their suffix."""
        return f"{self.unit}-rescue"

    @property
    def refuse(self) -> str:
        """The units that answer Docker while it does not start, without their suffix."""
        return f"{self.unit}-refuse"

    @property
    def span_unit(self) -> str:
        """The unit that connects its buses to those of other hosts."""
        return f"{self.unit}-span.service"

    @property
    def names_unit(self) -> str:
        """The units that tell that one the names of containers, without their suffix."""
        return f"{self.unit}-names"

    @property
    def names_directory(self) -> str:
        """The directory of their socket, which only root may enter."""
        return f"/run/{self.names_unit}"

    @property
    def names_helper(self) -> str:
        """Their socket, as the unit that connects buses sees it."""
        return f"{self.names_directory}/socket"

    @property
    def units(self) -> tuple[str, ...]:
        """Every unit, in the order in which they are installed."""
        return (
            self.socket_unit,
            self.service,
            f"{self.rescue}.service",
            f"{self.rescue}.timer",
            f"{self.refuse}.socket",
            f"{self.refuse}@.service",
            self.span_unit,
            f"{self.names_unit}.socket",
            f"{self.names_unit}@.service",
        )

    @property
    def helpers(self) -> tuple[str, ...]:
        """The units that run only while it does not start."""
        return f"{self.rescue}.timer", f"{self.rescue}.service", f"{self.refuse}.socket"


def usual(name: str) -> Instance:
    """The instance of this name, where `canwharf install` puts it."""
    return Instance(name, f"/run{_PLUGINS}{name}.sock", f"/var/lib/{_unit(name)}")


def _unit(name: str) -> str:
    """A managed plugin's name has a slash, which no unit's and no file's name can have."""
    return (
        DEFAULT_NAME
        if name == DEFAULT_NAME
        else f"{DEFAULT_NAME}-{name.replace('/', '-').replace(':', '-')}"
    )


def name_of(path: str) -> str:
    """The name by which Docker knows the driver on this socket. Raises StartError."""
    _folder, found, name = path.removesuffix(".sock").rpartition(_PLUGINS)
    first, _, last = name.rpartition("/")
    if not found or first == last:  # Docker also finds NAME/NAME.sock
        name = last
    if not naming.is_driver(name):
        raise StartError(
            f"cannot serve {path}: {name!r} is no driver's name: it must be up to "
            f"{naming.MAX_ID} letters and digits, as in /run/docker/plugins/canwharf.sock"
        )
    return name


def lock_path(name: str, directory: str = LOCKS) -> str:
    """The file whose lock tells that a daemon of this name runs."""
    return f"{directory}/{name.replace('/', '%')}{_LOCK}"


def name_of_lock(file: str) -> str:
    """The name whose lock this file in LOCKS is; empty if it is no lock."""
    return file.removesuffix(_LOCK).replace("%", "/") if file.endswith(_LOCK) else ""
