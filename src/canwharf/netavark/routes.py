"""Netavark's calls: the verb of each -> the use case.

Rules:

- A setup for a container that is known replaces its interface: after a power cut there was no
  teardown.
- Podman does not say when a network is removed, but its file is gone then.
- An error is an object with `error` on the standard output.

Source: netavark, plugins(5).
"""

from __future__ import annotations

from canwharf import jsontext
from canwharf.bus import rootless
from canwharf.bus.attach import Caller, attach, detach
from canwharf.bus.service import Service
from canwharf.errors import RequestError
from canwharf.lean import exists
from canwharf.netavark import api
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

NETWORKS = "/etc/containers/networks"  # network_config_dir of containers.conf(5), for root

_Content: TypeAlias = "Mapping[str, object]"


class _From(NamedTuple):
    """Where a call comes from: the caller, and Podman's path for the container's namespace."""

    caller: Caller
    path: str

    @property
    def engine(self) -> str:
        """Podman's name in ids: root's, or a user's."""
        return self.caller.engine(api.ENGINE)


def answer(service: Service, words: Sequence[str], content: bytes, caller: Caller) -> bytes:
    """The standard output of one call. Raises CanwharfError."""
    verb, path = [*words[:2], "", ""][:2]
    if verb not in _VERBS:
        raise RequestError(
            f"{verb or 'no word'} is no call of netavark's ({', '.join(_VERBS)}): canwharf is a "
            "plugin that Podman starts"
        )
    parsed = _parse(content) if verb != "info" else {}
    done = _VERBS[verb](service, parsed, _From(caller, path))
    return b"" if done is None else jsontext.dumps(done).encode()


def refusal(_error: Exception, text: str) -> bytes:
    """The form of an error."""
    return jsontext.dumps({"error": text}).encode()


def recorded(network: str) -> bool:
    """Whether Podman has a file of this network, for root."""
    engine, _dot, name = network.partition(".")
    return engine == api.ENGINE and exists(f"{NETWORKS}/{name}.json")


def _create(_service: Service, content: _Content, where: _From) -> dict[str, object]:
    created = api.created(content)
    if where.caller.uid is not None:
        rootless.check_options(api.network_options(content))
    return created


def _setup(service: Service, content: _Content, where: _From) -> dict[str, object]:
    return api.joined(attach(service, api.attachment(content, where.engine), *where))


def _teardown(service: Service, content: _Content, where: _From) -> None:
    network = content.get("network")
    networks = [api.network_id(network if isinstance(network, dict) else {}, where.engine)]
    detach(service, networks, api.endpoint_id(content), where.caller.inside)


def _info(_service: Service, _content: _Content, _where: _From) -> dict[str, object]:
    return api.info()


_VERBS: dict[str, Callable[[Service, _Content, _From], dict[str, object] | None]] = {
    "create": _create,
    "setup": _setup,
    "teardown": _teardown,
    "info": _info,
}


def _parse(content: bytes) -> dict[str, object]:
    try:
        return jsontext.loads_object(content, "the standard input")
    except ValueError as error:
        raise RequestError(str(error)) from error
