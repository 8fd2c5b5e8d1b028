"""All events: what can happen, and what a program and an operator call it. Pure.

The log prints an event's sentence, in JSON its identifier, too; figures count it by its identifier.
docs/logs.md tells what each means. A new one is added here and there, and nowhere else.
"""

from __future__ import annotations

from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

INFO = "info"
WARNING = "warning"
ERROR = "error"


class EventType(NamedTuple):
    """A row of the table: its identifier for programs, its level, its sentence for an operator.

    `recovery` says that the daemon put something right by itself: figures count these, and errors.
    """

    id: str
    level: str
    sentence: str
    recovery: bool = False


class Event(NamedTuple):
    """One thing that happened: what, and to which objects (their names by what they are)."""

    type: EventType
    fields: Mapping[str, str]

    @property
    def level(self) -> str:
        """How grave it is: INFO, WARNING or ERROR."""
        return self.type.level


Report: TypeAlias = "Callable[[Event], None]"

# What was asked for, or is normal.
ADAPTER_CONFIGURED = EventType("adapter-configured", INFO, "configured adapter")
ADAPTER_MOVED = EventType("adapter-moved", INFO, "adapter moved to endpoint")
ADAPTER_TAKEN_DOWN = EventType("adapter-taken-down", INFO, "took adapter down")
BUS_CREATED = EventType("bus-created", INFO, "created bus interface")
BUS_RESHAPED = EventType("bus-reshaped", INFO, "connected the containers of a bus anew")
ENDED = EventType("ended", INFO, "ended, all interfaces and rules stay")
ENDPOINT_JOINED = EventType("endpoint-joined", INFO, "endpoint joined")
ENDPOINT_REMOVED = EventType("endpoint-removed", INFO, "endpoint removed")
ENDPOINTS_FORGOTTEN = EventType("endpoints-forgotten", INFO, "forgot endpoints of an earlier boot")
FAULT_ENDED = EventType("fault-ended", INFO, "ended a fault on purpose")
INTERFACE_REMOVED = EventType("interface-removed", INFO, "removed interface")
MIGRATION_READ = EventType(
    "migration-read", INFO, "read the networks of the driver that was here before"
)
NETWORK_CREATED = EventType("network-created", INFO, "network created")
NETWORK_REMOVED = EventType("network-removed", INFO, "network removed")
IMPAIRMENT_SET = EventType(
    "impairment-set", INFO, "set what a bus does to frames on purpose: trouble for tests"
)
POLICY_SET = EventType("policy-set", INFO, "set what a container may send and receive")
RULES_REPLACED = EventType("rules-replaced", INFO, "replaced gateway rules of an earlier version")
RULES_RESTORED = EventType("rules-restored", INFO, "restored rules", recovery=True)
SERVING = EventType("serving", INFO, "serving")

# What the daemon put right by itself.
ADAPTER_MISSING = EventType(
    "adapter-missing", WARNING, "the adapter is missing, waiting for it", recovery=True
)
ADAPTER_NAME_TAKEN = EventType(
    "adapter-name-taken",
    WARNING,
    "something else has the adapter's name, waiting for the adapter",
    recovery=True,
)
ADAPTER_RENAMED = EventType(
    "adapter-renamed", WARNING, "gave the adapter its name again", recovery=True
)
BUS_RECREATED = EventType("bus-recreated", WARNING, "recreated bus interface", recovery=True)
ENDPOINT_ADOPTED = EventType("endpoint-adopted", WARNING, "adopted endpoint", recovery=True)
ENDPOINT_CLOSED = EventType(
    "endpoint-closed",
    WARNING,
    "a container may neither send nor receive until it starts again: the record of what it may is "
    "lost",
)
ENDPOINT_COLLECTED = EventType(
    "endpoint-collected", WARNING, "garbage collecting an endpoint without container", recovery=True
)
ENDPOINT_RECREATED = EventType(
    "endpoint-recreated", WARNING, "endpoint not found, recreating", recovery=True
)
ENDPOINT_SKIPPED = EventType(
    "endpoint-skipped", WARNING, "skipped an endpoint without interface", recovery=True
)
HUB_RECREATED = EventType("hub-recreated", WARNING, "recreated the hub of a bus", recovery=True)
INTERFACE_BROUGHT_UP = EventType(
    "interface-brought-up", WARNING, "brought interface up again", recovery=True
)
NETWORK_ADOPTED = EventType("network-adopted", WARNING, "adopted network", recovery=True)
POLICY_FORGOTTEN = EventType(
    "policy-forgotten",
    WARNING,
    "an earlier version forgot what the containers of a network may send and receive: until the "
    "engine tells, those that start may do neither",
)
POLICY_FOUND = EventType(
    "policy-found",
    WARNING,
    "learned from the engine what the containers of a network may send and receive",
    recovery=True,
)
NETWORK_FROM_DISK = EventType(
    "network-from-disk", WARNING, "network taken from disk", recovery=True
)
PAIR_RECREATED = EventType("pair-recreated", WARNING, "recreated interface pair", recovery=True)
MARKS_RESTORED = EventType(
    "marks-restored",
    WARNING,
    "restored the filters that keep a container's own frames from it",
    recovery=True,
)
RULE_DUPLICATE = EventType(
    "rule-duplicate", WARNING, "removed duplicate gateway rule", recovery=True
)
RULE_LEFT_BEHIND = EventType(
    "rule-left-behind", WARNING, "removed gateway rule of a renamed interface", recovery=True
)
RULE_UNWANTED = EventType("rule-unwanted", WARNING, "removed unwanted gateway rule", recovery=True)
STATE_SET_ASIDE = EventType("state-set-aside", WARNING, "set the state file aside", recovery=True)

# What may not be what was meant.
ADDRESSES_UNUSED = EventType("addresses-unused", WARNING, "the network has unused IP addresses")
BUS_NAMED_LIKE_ADAPTER = EventType(
    "bus-named-like-adapter", WARNING, "the bus is virtual and has an adapter's name"
)
BUS_NOT_LINEAR = EventType(
    "bus-not-linear",
    WARNING,
    "the kernel lacks modules for linear buses, so each container has rules with each other",
)
FAULTS_SET = EventType("faults-set", WARNING, "set the faults on purpose of a container")
OPTIONS_IGNORED = EventType("options-ignored", WARNING, "ignored unknown options of a network")
SETTINGS_WITHOUT_EFFECT = EventType(
    "settings-without-effect", WARNING, "settings without effect on a virtual bus"
)

# What could not be done.
ADAPTER_SET_UP_OTHERWISE = EventType(
    "adapter-set-up-otherwise", ERROR, "the adapter's settings are not those of its network"
)
ANNOUNCEMENTS_NOT_READ = EventType(
    "announcements-not-read", ERROR, "could not read link announcements"
)
BUS_NOT_REPAIRED = EventType("bus-not-repaired", ERROR, "could not repair a bus")
CALL_NOT_UNDONE = EventType("call-not-undone", ERROR, "could not undo a failed call")
CALL_REFUSED = EventType("call-refused", ERROR, "refused a call")
ENDPOINT_NOT_COLLECTED = EventType(
    "endpoint-not-collected", ERROR, "could not garbage collect an endpoint"
)
ENDPOINTS_NOT_LOOKED_FOR = EventType(
    "endpoints-not-looked-for", ERROR, "could not look for abandoned endpoints"
)
FIGURES_NOT_WRITTEN = EventType(
    "figures-not-written", ERROR, "could not write the figures, trying again"
)
INTERNAL = EventType("internal", ERROR, "internal error")
KERNEL_NOT_ADOPTED = EventType("kernel-not-adopted", ERROR, "could not adopt what the kernel holds")
LEFTOVERS_NOT_REMOVED = EventType(
    "leftovers-not-removed", ERROR, "could not remove unowned interfaces"
)
MIGRATION_NOT_READ = EventType(
    "migration-not-read",
    ERROR,
    "could not read the networks of the driver that was here before",
)
NETWORK_NOT_ADOPTED = EventType("network-not-adopted", ERROR, "could not adopt a network")
PATHS_NOT_WRITTEN = EventType("paths-not-written", ERROR, "could not write where the state is")
SPANS_NOT_WRITTEN = EventType(
    "spans-not-written", ERROR, "could not write which buses have a span, trying again"
)
STATE_LOST = EventType("state-lost", ERROR, "the state is lost")
STATE_NOT_SET_ASIDE = EventType("state-not-set-aside", ERROR, "could not set the state file aside")
STATE_NOT_WRITTEN = EventType("state-not-written", ERROR, "could not write the state, trying again")

TABLE = tuple(row for row in tuple(globals().values()) if isinstance(row, EventType))
