"""The metrics of buses for Prometheus, read from the kernel at each request.

Rules:

- Members that are not connected come from the same report as in `canwharf status`, from a new dump
  of the kernel. Facts that only Docker knows are not in it: the daemon does not wait for Docker.
- Labels are identifiers: interface names, ids, and the reasons of bus.report. The names of
  containers and networks are in `canwharf_endpoint_info` only, for a join in a query.
- A counter without an event yet is zero.

Source: https://prometheus.io/docs/practices/naming/.
"""

from __future__ import annotations

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from canwharf import __version__
from canwharf.bus import naming
from canwharf.bus.delivery import REASONS, Member
from canwharf.bus.reconcile import Reconciler, snapshot
from canwharf.bus.report import BusReport, Kernel, bus_reports
from canwharf.bus.service import Service
from canwharf.bus.traffic import Count, Traffic
from canwharf.docker.containers import ContainerName
from canwharf.kernel import modules
from canwharf.kernel.can import STATES
from canwharf.kernel.firewall import NO_FIREWALL
from canwharf.kernel.request import Requests

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import TypeAlias

_MEMBER = ("bus", "network_id", "endpoint_id", "interface")
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

ContainerNames: TypeAlias = "Callable[[], Mapping[str, ContainerName]]"


class Buses(Collector):
    """Collects the metrics; `container_names` has the known names by endpoint."""

    def __init__(
        self,
        service: Service,
        reconciler: Reconciler,
        requests: Requests,
        container_names: ContainerNames,
    ) -> None:
        self._service = service
        self._reconciler = reconciler
        self._requests = requests
        self._container_names = container_names
        self._traffic = Traffic()

    def describe(self) -> list[Metric]:
        """No families, so that registering does not read the kernel."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All families. Raises KernelError."""
        build = GaugeMetricFamily(
            "canwharf_build_info", "The daemon's version.", labels=["version"]
        )
        build.add_metric([__version__], 1)
        yield build
        dump = snapshot(self._requests)
        hops = modules.parameters().max_hops
        kernel = Kernel(dump, max_hops=hops, ability=self._reconciler.ability)
        self._traffic.update(dump.entries, dump.marks, dump.firewalls)
        reports = bus_reports(self._service.state, kernel)
        yield from _frames(reports, self._traffic.counts)
        yield _kept_back(reports)
        yield from _impaired(reports)
        yield _faults(reports)
        yield from _verdict(reports)
        yield _names(reports, self._container_names())
        yield from _adapters(reports)


def _labels(report: BusReport, member: Member) -> list[str]:
    return [report.interface, member.network, member.endpoint, member.interface]


def _members(reports: Iterable[BusReport]) -> Iterator[tuple[BusReport, Member]]:
    return ((report, member) for report in reports for member in report.members)


def _frames(reports: Iterable[BusReport], counts: Mapping[int, Count]) -> Iterator[Metric]:
    families = [
        CounterMetricFamily(f"canwharf_frames_{name}", help, labels=_MEMBER)
        for name, help in _FRAMES.items()
    ]
    for report, member in _members(reports):
        if member.link is not None:
            count = counts.get(member.link.ifindex, Count())
            for family, frames in zip(families, count, strict=True):
                family.add_metric(_labels(report, member), frames)
    yield from families


def _kept_back(reports: Iterable[BusReport]) -> Metric:
    kept = CounterMetricFamily(
        "canwharf_frames_kept_back",
        "Frames that a container may not send (or receive) and that ended at its interface.",
        labels=(*_MEMBER, "direction"),
    )
    for report, member in _members(reports):
        if member.firewall != NO_FIREWALL:
            for direction, frames in member.firewall.kept.items():
                kept.add_metric([*_labels(report, member), direction], frames)
    return kept


def _impaired(reports: Iterable[BusReport]) -> Iterator[Metric]:
    """Of buses with trouble on purpose alone."""
    lost = CounterMetricFamily(
        "canwharf_frames_lost_on_purpose", "Frames that can.loss lost.", labels=["bus"]
    )
    over = CounterMetricFamily(
        "canwharf_frames_over_bandwidth",
        "Frames for which can.bandwidth left no time.",
        labels=["bus"],
    )
    for report in reports:
        if report.impairment.any:
            lost.add_metric([report.interface], report.impaired.lost)
            over.add_metric([report.interface], report.impaired.overflowed)
    yield from (lost, over)


def _faults(reports: Iterable[BusReport]) -> Metric:
    faults = GaugeMetricFamily(
        "canwharf_faults", "Faults on purpose in what a container sends.", labels=_MEMBER
    )
    for report, member in _members(reports):
        if member.endpoint:
            faults.add_metric(_labels(report, member), len(member.faults))
    return faults


def _verdict(reports: Iterable[BusReport]) -> Iterator[Metric]:
    connected = GaugeMetricFamily(
        "canwharf_member_connected",
        "Whether frames can go to and from this member of a bus.",
        labels=_MEMBER,
    )
    errors = GaugeMetricFamily(
        "canwharf_bus_delivery_errors",
        "Directions in which frames do not arrive exactly once, by reason.",
        labels=("bus", "reason"),
    )
    for report, member in _members(reports):
        connected.add_metric(_labels(report, member), not member.reason)
    for report in reports:
        reasons = [error.reason for error in report.delivery_errors]
        for reason in REASONS:
            errors.add_metric([report.interface, reason], reasons.count(reason))
    yield connected
    yield errors


def _names(reports: Iterable[BusReport], container_names: Mapping[str, ContainerName]) -> Metric:
    info = GaugeMetricFamily(
        "canwharf_endpoint_info",
        "The names of an endpoint's container and network; Docker's are empty until it answers.",
        labels=(*_MEMBER, "container", "network"),
    )
    for report, member in _members(reports):
        if member.endpoint:
            name = container_names.get(member.endpoint, ContainerName())
            if naming.is_implied(member.network):
                name = ContainerName(naming.label_of(member.endpoint), member.network)
            info.add_metric([*_labels(report, member), *name], 1)
    return info


def _adapters(reports: Iterable[BusReport]) -> Iterator[Metric]:
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
    for report in reports:
        controller = report.link.controller if report.link else None
        if controller is None:
            continue
        bus = report.interface
        for number, name in enumerate(STATES):
            state.add_metric([bus, name.lower()], controller.state == number)
        for direction, count in zip(("transmit", "receive"), controller.errors, strict=False):
            errors.add_metric([bus, direction], count)
        for family, count in zip(statistics, controller.statistics, strict=True):
            family.add_metric([bus], count)
    yield from (state, errors, *statistics)
