"""What a user without root may ask for, by a runtime of their own (rootless Podman).

Theory of operation. The kernel says which user calls; that comes with the call, and becomes part
of the ids of the user's networks. So no call of a user finds what is another's, or root's. What
is left to check is where an interface is made, and on what.

Rules:

- A container's network namespace belongs to a user namespace that the same user made. The host's
  own, and those of root's containers, are root's. What else comes along is never opened: to open a
  device can have effects, and a user can pass one on without any right to it (O_PATH).
- A user chooses a bus, and names in the container. An adapter is root's to set up, to move and to
  wait for.
- A bus interface that is not there is made under a name that begins with vcan, and no other: a name
  may be what another program waits for.
- A user has at most MOST interfaces: each takes memory of the kernel's, and time of each frame.
"""

from __future__ import annotations

from canwharf.bus import naming, options
from canwharf.bus.model import Attachment, Settings
from canwharf.bus.service import Service
from canwharf.errors import ConflictError, NamespaceError, OptionError
from canwharf.kernel import namespace

TYPE_CHECKING = False  # typing's own would be one more import
if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 256  # interfaces of one user
_MADE = "vcan"  # the beginning of the name of a bus interface that may be made


def engine_of(engine: str, uid: int) -> str:
    """An engine's name in the ids of this user's networks."""
    return f"{engine}-{uid}"


def check(service: Service, wanted: Attachment, descriptor: int, uid: int) -> None:
    """Refuse an attachment that this user may not have. Raises CanwharfError.

    `descriptor` is that of the container's network namespace (-1: none came along).
    """
    settings = check_options(wanted.options)
    name = settings.interface
    _check_namespace(descriptor, uid)
    known = service.state.bus(name) or service.observe().link(name)
    physical = options.parse_type(wanted.options) == "physical"
    if not known and (physical or not name.startswith(_MADE)):
        reason = f"the host has no such CAN interface; without root, only a {_MADE}… is made"
        raise OptionError(options.interface_option(wanted.options), name, reason)
    if _interfaces(service, uid) >= MOST:
        raise ConflictError(f"the user {uid} has {MOST} CAN interfaces, and that is the limit")


def _check_namespace(descriptor: int, uid: int) -> None:
    """Refuse a namespace that is not this user's. Raises NamespaceError."""
    what, path = "a CAN interface", f"/proc/self/fd/{descriptor}"
    if descriptor < 0:
        raise NamespaceError(what, "", "the engine named none")
    if not namespace.is_network(descriptor):
        raise NamespaceError(what, path, "it is not a network namespace")
    try:
        owner = namespace.owner(descriptor)
    except OSError as error:
        raise NamespaceError(what, path, f"its user cannot be read: {error}") from error
    if owner != uid:
        raise NamespaceError(what, path, f"it belongs to the user {owner}, and not to {uid}")


def check_options(given: Mapping[str, object]) -> Settings:
    """A network's settings, if a user may make it. Raises OptionError."""
    settings = options.parse_network(given)
    for option, value in settings.adapter.options.items():
        raise OptionError(option, value, "without root, an adapter is used as root has set it up")
    return settings


def _interfaces(service: Service, uid: int) -> int:
    """How many interfaces a user's containers have."""
    end = engine_of("", uid)
    networks = service.state.networks.values()
    mine = [each for each in networks if naming.engine_of(each.id).endswith(end)]
    return sum(len(network.endpoints) for network in mine)
