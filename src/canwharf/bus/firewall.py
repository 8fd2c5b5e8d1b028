"""What one container may send and receive, changed while it runs: a use case of the service.

Rules:

- It lasts until the container starts again: then its own options count, and those of its network.
- A word that is not given stays as it is.
- All is changed in one step, in the kernel and on disk, or nothing is.
"""

from __future__ import annotations

from canwharf.bus import options, policy
from canwharf.bus.model import UNKNOWN, Endpoint, Policy
from canwharf.bus.service import Service
from canwharf.bus.steps import Scope
from canwharf.errors import ConflictError

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping


def set_policy(
    service: Service, network: str, endpoint: str, given: Mapping[str, object]
) -> tuple[Policy, Policy]:
    """Let a container send and receive what these options say; the policy before and after.

    Raises CanwharfError.
    """
    words = options.parse_policy(given)
    net = service.state.networks.get(network)
    old = net.endpoints.get(endpoint) if net else None
    if net is None or old is None:
        raise ConflictError("the container is not on this bus any more")
    if net.settings.adapter.moved:
        options.check_moved(Endpoint(policy=words))
    policy.check_change(old.policy, words)
    observed = service.observe()
    port = service.state.port(net, endpoint)
    link = observed.link(port.name)
    if link is None:
        raise ConflictError("the container is not running")
    rate = observed.firewall(link.ifindex).rate  # of a lost record, this can be known
    before = old.policy or Policy(rate=str(rate or ""))
    new = old._replace(policy=words.over(before))
    state = service.state.with_endpoint(network, endpoint, new)
    service.change(state, observed, net.settings.interface, Scope({port.name}))
    after = state.networks[network].policy_of(endpoint)
    return net.policy_of(endpoint) or UNKNOWN, after or UNKNOWN
