"""The figures of buses, for Prometheus: what the kernel tells at the moment when somebody asks.

Rules:

- Who hears nobody is said by the same survey as `canwharf status` has, from a new look at the
  kernel. What only Docker knows is not in it: Docker is not waited for.
- Labels are identifiers: names of interfaces, ids, and the words of bus.survey. Names that people
  gave stand in `canwharf_endpoint_info` alone, to be joined.
- A figure whose time has not come yet is a zero.

Source: https://prometheus.io/docs/practices/naming/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from canwharf import __version__
from canwharf.bus.service import Service
from canwharf.bus.survey import REASONS, Kernel, Member, Picture, survey
from canwharf.bus.traffic import Count, Traffic
from canwharf.docker.containers import Place
from canwharf.kernel import gateway, link, modules
from canwharf.kernel.can import STATES
from canwharf.kernel.netlink import Requests

_MEMBER = ("bus", "network", "endpoint", "interface")
_FRAMES = {
    "sent": "Frames from this interface to the others of its bus.",
    "received": "Frames from the others of its bus to this interface.",
    "dropped": "Frames that were lost on the way to this interface.",
}
# In the order of can.Statistics
_STATISTICS = (
    ("bus_errors", "Errors on the wire that the adapter reported."),
    ("error_warnings", "How often the adapter went to ERROR-WARNING."),
    ("error_passives", "How often the adapter went to ERROR-PASSIVE."),
    ("bus_offs", "How often the adapter went to BUS-OFF."),
    ("arbitration_losses", "How often the adapter lost an arbitration."),
    ("restarts", "How often the adapter was restarted after a BUS-OFF."),
)

Places = Callable[[], Mapping[str, Place]]


class Buses(Collector):
    """Gathers them; `places` are the names of containers, by endpoint, as far as they are known."""

    def __init__(self, service: Service, requests: Requests, places: Places) -> None:
        self._service = service
        self._requests = requests
        self._places = places
        self._traffic = Traffic()

    def describe(self) -> list[Metric]:
        """Nothing: registering does not look at the kernel."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All families. Raises KernelError."""
        build = GaugeMetricFamily(
            "canwharf_build_info", "The daemon's version.", labels=["version"]
        )
        build.add_metric([__version__], 1)
        yield build
        kernel = Kernel(
            link.links(self._requests),
            gateway.entries(self._requests),
            max_hops=modules.parameters().max_hops,
        )
        self._traffic.look(kernel.entries)
        pictures = survey(self._service.state, kernel)
        yield from _frames(pictures, self._traffic.counts)
        yield from _verdict(pictures)
        yield _names(pictures, self._places())
        yield from _adapters(pictures)


def _labels(picture: Picture, member: Member) -> list[str]:
    return [picture.interface, member.network, member.endpoint, member.interface]


def _members(pictures: Iterable[Picture]) -> Iterator[tuple[Picture, Member]]:
    return ((picture, member) for picture in pictures for member in picture.members)


def _frames(pictures: Iterable[Picture], counts: Mapping[int, Count]) -> Iterator[Metric]:
    families = [
        CounterMetricFamily(f"canwharf_frames_{name}", help, labels=_MEMBER)
        for name, help in _FRAMES.items()
    ]
    for picture, member in _members(pictures):
        if member.link is not None:
            count = counts.get(member.link.ifindex, Count())
            for family, frames in zip(families, count, strict=True):
                family.add_metric(_labels(picture, member), frames)
    yield from families


def _verdict(pictures: Iterable[Picture]) -> Iterator[Metric]:
    connected = GaugeMetricFamily(
        "canwharf_member_connected",
        "Whether this member of a bus has an interface that hears and is heard.",
        labels=_MEMBER,
    )
    gaps = GaugeMetricFamily(
        "canwharf_bus_gaps",
        "Directions between two members in which frames do not arrive exactly once, by reason.",
        labels=("bus", "reason"),
    )
    for picture, member in _members(pictures):
        connected.add_metric(_labels(picture, member), not member.fault)
    for picture in pictures:
        found = [gap.reason for gap in picture.gaps]
        for reason in REASONS:
            gaps.add_metric([picture.interface, reason], found.count(reason))
    yield connected
    yield gaps


def _names(pictures: Iterable[Picture], places: Mapping[str, Place]) -> Metric:
    info = GaugeMetricFamily(
        "canwharf_endpoint_info",
        "What Docker calls the container and the network of an endpoint; empty until it has told.",
        labels=(*_MEMBER, "container", "network_name"),
    )
    for picture, member in _members(pictures):
        if member.endpoint:
            place = places.get(member.endpoint, Place())
            info.add_metric([*_labels(picture, member), *place], 1)
    return info


def _adapters(pictures: Iterable[Picture]) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "canwharf_adapter_state", "1 for the state of the adapter.", labels=("bus", "state")
    )
    errors = GaugeMetricFamily(
        "canwharf_adapter_error_counter",
        "The controller's own error counter, by direction (transmit, receive).",
        labels=("bus", "direction"),
    )
    statistics = [
        CounterMetricFamily(f"canwharf_adapter_{name}", help, labels=["bus"])
        for name, help in _STATISTICS
    ]
    for picture in pictures:
        controller = picture.link.controller if picture.link else None
        if controller is None:
            continue
        bus = picture.interface
        for number, name in enumerate(STATES):
            state.add_metric([bus, name.lower()], controller.state == number)
        for direction, count in zip(("transmit", "receive"), controller.errors, strict=False):
            errors.add_metric([bus, direction], count)
        for family, count in zip(statistics, controller.statistics, strict=True):
            family.add_metric([bus], count)
    yield from (state, errors, *statistics)
