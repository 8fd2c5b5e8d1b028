"""CNI's calls: the verb of each -> the use case.

Rules:

- ADD for an attachment that is known replaces it: its sandbox was made anew.
- DEL and GC need the container's id and the list's name only, and succeed for what is unknown.
- STATUS fails where an ADD would: without a daemon by the executable itself.
- An error is an object with a code on the standard output; libcni shows its `msg`.

Source: https://www.cni.dev/docs/spec/ (1.1.0).
"""

from __future__ import annotations

from canwharf import jsontext
from canwharf.bus import naming
from canwharf.bus.attach import Caller, attach, detach, is_whole
from canwharf.bus.model import Attachment
from canwharf.bus.service import Service
from canwharf.cni import api
from canwharf.cni.api import Call
from canwharf.errors import CanwharfError, CniError, OptionError, RequestError

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

_Content: TypeAlias = "Mapping[str, object]"
_Answer = dict[str, object] | None


def answer(service: Service, words: Sequence[str], content: bytes, caller: Caller) -> bytes:
    """The standard output of one call. Raises CanwharfError."""
    environment = {name: value for name, _equals, value in (each.partition("=") for each in words)}
    call = api.call_of(environment, caller.engine(api.ENGINE))
    if call.command not in _VERBS:
        known = ", ".join(_VERBS)
        raise CniError(
            api.BAD_ENVIRONMENT, f"CNI_COMMAND must be one of {known}, and is {call.command}"
        )
    done = _VERBS[call.command](service, call, _parse(content), caller)
    return b"" if done is None else jsontext.dumps(done).encode()


def refusal(error: Exception, text: str) -> bytes:
    """The form of an error."""
    code = api.FAILED
    if isinstance(error, CniError):
        code = error.code
    elif isinstance(error, OptionError | RequestError):
        code = api.BAD_CONFIGURATION
    return jsontext.dumps({"cniVersion": api.VERSIONS[-1], "code": code, "msg": text}).encode()


def _add(service: Service, call: Call, content: _Content, caller: Caller) -> _Answer:
    api.require(call, "container", "namespace", "ifname")
    api.version_of(content)
    done: list[Attachment] = []
    names = []
    try:
        for wanted in api.attachments(call, content):
            names.append(attach(service, wanted, caller, call.namespace))
            done.append(wanted)
    except Exception:
        detach(service, [each.network for each in done], call.endpoint)
        raise
    return api.result(call, content, names)


def _del(service: Service, call: Call, content: _Content, caller: Caller) -> _Answer:
    api.require(call, "container", "ifname")
    networks = _networks(service, call, content)
    detach(service, networks, call.endpoint, caller.inside)
    return None


def _check(service: Service, call: Call, content: _Content, _caller: Caller) -> _Answer:
    api.require(call, "container", "namespace", "ifname")
    for wanted in api.attachments(call, content):
        if not is_whole(service, wanted):
            bus = wanted.options["can.interface"]
            raise CniError(api.FAILED, f"the container is not connected to the bus on {bus}")
    return None


def _gc(service: Service, call: Call, content: _Content, _caller: Caller) -> _Answer:
    valid = api.valid_endpoints(content)
    for network in _networks(service, call, content):
        for endpoint in list(service.state.networks[network].endpoints):
            if naming.identity_of(endpoint) not in valid:
                service.delete_endpoint(network, endpoint)
    return None


def _status(service: Service, _call: Call, content: _Content, _caller: Caller) -> _Answer:
    api.version_of(content)
    try:
        service.save()
    except CanwharfError as error:
        raise CniError(api.UNAVAILABLE, str(error)) from error
    return None


def _version(_service: Service, _call: Call, content: _Content, _caller: Caller) -> _Answer:
    version = content.get("cniVersion", api.VERSIONS[-1])
    return {"cniVersion": version, "supportedVersions": list(api.VERSIONS)}


def _networks(service: Service, call: Call, content: _Content) -> list[str]:
    """The networks of this list that there are."""
    first = api.network_of(call, content)
    return [each for each in service.state.networks if each.startswith(first)]


_VERBS: dict[str, Callable[[Service, Call, _Content, Caller], _Answer]] = {
    "ADD": _add,
    "DEL": _del,
    "CHECK": _check,
    "GC": _gc,
    "STATUS": _status,
    "VERSION": _version,
}


def _parse(content: bytes) -> dict[str, object]:
    try:
        return jsontext.loads_object(content, "the standard input")
    except ValueError as error:
        raise CniError(api.BAD_JSON, str(error)) from error
