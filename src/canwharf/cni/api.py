"""CNI: a call's environment and configuration -> validated values, and the answers. Pure.

Rules:

- The words for a bus are Docker's: `can.interface`, `can.bitrate`, … in the plugin's object. There
  is no default bus.
- A pod chooses among the object's `buses` only: its annotations are a tenant's input.
- The interface's name: the pod's, else the object's (`can.ifname`, `can.name`), else CNI_IFNAME
  if we make the container's first interface, else the lowest free number (can0, can1, …).
- An attachment is known by the container's id, CNI_IFNAME, the list's name and the bus. The
  namespace and `prevResult` say nothing of it: after a reboot DEL comes without them, and late.

Source: https://www.cni.dev/docs/spec/ (1.1.0).
"""

from __future__ import annotations

from canwharf.bus import naming
from canwharf.bus.model import Attachment
from canwharf.errors import CniError
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TypeAlias

VERSIONS = ("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
ENGINE = "cni"
ANNOTATION = "canwharf/buses"
_ANNOTATIONS = "io.kubernetes.cri.pod-annotations"  # a capability of containerd and CRI-O
_OPTION = "can."
_VALID = ("cni.dev/valid-attachments", "cni.dev/attachments")  # libcni sends both
BAD_VERSION, BAD_ENVIRONMENT, BAD_JSON, BAD_CONFIGURATION, UNAVAILABLE, FAILED = 1, 4, 6, 7, 50, 100

_Content: TypeAlias = "Mapping[str, object]"


class Call(NamedTuple):
    """A call's environment: the variables CNI_…, empty where there is none.

    `engine` is CNI's name in ids: root's, or a user's.
    """

    command: str
    container: str = ""
    namespace: str = ""
    ifname: str = ""
    label: str = ""
    engine: str = ENGINE

    @property
    def endpoint(self) -> str:
        """The id of this attachment's endpoint on any of its networks."""
        return naming.implied_endpoint(self.label or self.container, self.container, self.ifname)


def call_of(words: Mapping[str, str], engine: str = ENGINE) -> Call:
    """The call of this environment."""
    arguments = (word.partition("=") for word in words.get("CNI_ARGS", "").split(";"))
    pod = {name: value for name, _equals, value in arguments}
    named = (pod.get("K8S_POD_NAMESPACE", ""), pod.get("K8S_POD_NAME", ""))
    return Call(
        words.get("CNI_COMMAND", ""),
        words.get("CNI_CONTAINERID", ""),
        words.get("CNI_NETNS", ""),
        words.get("CNI_IFNAME", ""),
        ".".join(filter(None, named)),
        engine,
    )


def require(call: Call, *fields: str) -> None:
    """Refuse a call without one of these fields. Raises CniError."""
    variables = {"container": "CNI_CONTAINERID", "namespace": "CNI_NETNS", "ifname": "CNI_IFNAME"}
    missing = [variables[field] for field in fields if not getattr(call, field)]
    if missing:
        raise CniError(BAD_ENVIRONMENT, f"{' and '.join(missing)} must be set")
    if not naming.is_id(call.container[: naming.MAX_ID]):
        raise CniError(BAD_ENVIRONMENT, "CNI_CONTAINERID must be letters, digits, dots and dashes")


def version_of(content: _Content) -> str:
    """The configuration's version. Raises CniError."""
    version = content.get("cniVersion")
    if version not in VERSIONS:
        known = ", ".join(VERSIONS)
        raise CniError(BAD_VERSION, f"cniVersion must be one of {known}, and is {version}")
    return str(version)


def network_of(call: Call, content: _Content) -> str:
    """The beginning of the ids of this list's networks. Raises CniError."""
    name = content.get("name")
    if not isinstance(name, str) or not name:
        raise CniError(BAD_CONFIGURATION, "the field name must be the network's name")
    return f"{call.engine}.{naming.part(name)}."


def attachments(call: Call, content: _Content) -> list[Attachment]:
    """The attachments that this call is about. Raises CniError."""
    ipam = content.get("ipam")
    if isinstance(ipam, dict) and ipam.get("type"):
        raise CniError(BAD_CONFIGURATION, "a CAN interface takes no addresses: leave ipam away")
    first = network_of(call, content)
    wanted = []
    for options, name in (*_fixed(call, content), *_chosen(content)):
        interface = options["can.interface"]
        if not isinstance(interface, str):
            raise CniError(BAD_CONFIGURATION, "can.interface must be a string")
        requested = {"can.ifname": name} if name else {}
        network = f"{first}{naming.part(interface)}"
        wanted.append(Attachment(network, call.endpoint, options, requested))
    networks = [each.network for each in wanted]
    for each in wanted:
        if networks.count(each.network) > 1:
            bus = each.options["can.interface"]
            raise CniError(BAD_CONFIGURATION, f"the bus on {bus} is chosen twice")
    return wanted


def _fixed(call: Call, content: _Content) -> Iterator[tuple[Mapping[str, object], str]]:
    """The bus of every pod, and the interface's name if CNI_IFNAME is that."""
    options = {key: value for key, value in content.items() if key.startswith(_OPTION)}
    if "can.interface" in options:
        alone = call.ifname not in _interfaces(content)
        named = options.keys() & {"can.ifname", "can.name"}
        yield options, call.ifname if alone and not named else ""
    elif "buses" not in content:
        raise CniError(
            BAD_CONFIGURATION,
            'the bus is missing: "can.interface": "vcan0" for each pod, or "buses": {"vcan0": {}} '
            f"for the pods' choice by the annotation {ANNOTATION}",
        )


def _chosen(content: _Content) -> Iterator[tuple[Mapping[str, object], str]]:
    """The buses that the pod has chosen, and the names that it wants."""
    allowed = _object(content, "buses")
    for choice in filter(None, _choice(content).replace(" ", "").split(",")):
        name, equals, bus = choice.partition("=")
        if not equals:
            name, bus = "", choice
        if bus not in allowed:
            known = ", ".join(allowed) or "none"
            raise CniError(
                BAD_CONFIGURATION, f"no bus {bus} for pods on this node; there are: {known}"
            )
        yield {"can.interface": bus, **_object(allowed, bus)}, name


def _choice(content: _Content) -> str:
    """What the pod says: by its annotation, or by Multus's cni-args."""
    annotations = _object(_object(content, "runtimeConfig"), _ANNOTATIONS)
    arguments = _object(_object(content, "args"), "cni")
    choice = annotations.get(ANNOTATION) or arguments.get("buses") or ""
    if not isinstance(choice, str):
        raise CniError(BAD_CONFIGURATION, "the choice of buses must be a string like can0=vcan0")
    return choice


def _interfaces(content: _Content) -> list[object]:
    """The names of the interfaces that plugins before us made."""
    made = _object(content, "prevResult").get("interfaces")
    listed = made if isinstance(made, list) else []
    return [each.get("name") for each in listed if isinstance(each, dict)]


def result(call: Call, content: _Content, names: list[str]) -> dict[str, object]:
    """The answer to an ADD that made these interfaces: with those of the plugins before."""
    before = _object(content, "prevResult")
    made = before.get("interfaces")
    ours = [{"name": name, "sandbox": call.namespace} for name in names]
    interfaces = [*(made if isinstance(made, list) else []), *ours]
    return {**before, "cniVersion": version_of(content), "interfaces": interfaces}


def valid_endpoints(content: _Content) -> set[str]:
    """The ends of the ids of the endpoints that a GC is to keep. Raises CniError."""
    listed = next((content[each] for each in _VALID if each in content), None)
    if not isinstance(listed, list):
        raise CniError(BAD_CONFIGURATION, f"the field {_VALID[0]} must be a list")
    valid = set()
    for each in listed:
        if not isinstance(each, dict):
            raise CniError(BAD_CONFIGURATION, f"the field {_VALID[0]} must have objects")
        call = Call("GC", str(each.get("containerID", "")), ifname=str(each.get("ifname", "")))
        valid.add(naming.identity_of(call.endpoint))
    return valid


def _object(content: Mapping[str, object], field: str) -> Mapping[str, object]:
    value = content.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise CniError(BAD_CONFIGURATION, f"the field {field} must be an object")
    return value
