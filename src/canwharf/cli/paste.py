"""Options of a container as a user pastes them where its engine keeps them. Pure.

Rules:

- A container's options are its engine's to keep: canwharf is not told which container starts.
  Docker tells the network, and the ids of an endpoint and a namespace, which are new at each start.
- An endpoint's options replace those that it had, so all of them are in a line.
- No value needs quotes in a shell. In YAML each has them, which reads 7E0 as a number.
"""

from __future__ import annotations

import shlex

from canwharf.bus import naming
from canwharf.bus.delivery import Member
from canwharf.bus.model import Endpoint, Policy
from canwharf.bus.options import POLICY_OPTIONS
from canwharf.operator.render.terminal import sanitize
from canwharf.operator.status import Status

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping

_PODMAN = "podman"  # with which the ids of its networks begin (`naming`)


def options_of(endpoint: Endpoint, policy: Policy) -> dict[str, str]:
    """The options with which an endpoint's next start has these words, and the name that it has."""
    words = {option: getattr(policy, field) for option, field in POLICY_OPTIONS.items()}
    if name := endpoint.ifname:
        words["can.ifname" if name.name else "can.name"] = name.name or name.prefix
    return {option: value for option, value in words.items() if value}


def command(where: str, options: Mapping[str, str]) -> str:
    """The beginning of a command about the same container, called as in these options.

    `where` are those with which it finds the same daemon.
    """
    words = (shlex.quote(sanitize(options[each])) for each in ("bus", "container"))
    return f"canwharf filter{where} {' '.join(words)}"


def lines(status: Status, member: Member, given: Mapping[str, str]) -> list[str]:
    """The options of a container in the words of its engine, a line for each place."""
    pairs = [f"{option}={value}" for option, value in given.items()]
    if naming.is_implied(member.network):
        engine, _dot, network = member.network.partition(".")
        if engine.startswith(_PODMAN):
            return [f"  podman run --network {shlex.quote(network)}:{','.join(pairs)} ..."]
        entries = ", ".join(f'"{option}": "{value}"' for option, value in given.items())
        return [f"  {entries}", "  in the node's CNI list: for all pods of that list"]
    quoted = ", ".join(f'{option}: "{value}"' for option, value in given.items())
    found = [f"  driver_opts: {{{quoted}}}  # Compose"]
    if status.names:  # without them its names are not known
        names = status.network(member.network), status.member(member)
        where = " ".join(shlex.quote(sanitize(each)) for each in names)
        words = " ".join(f"--driver-opt {each}" for each in pairs)
        found.append(f"  docker network disconnect {where}")
        found.append(f"  docker network connect {words} {where}")
    return found
