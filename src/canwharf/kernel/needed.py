"""The kernel's modules that a bus needs, the states that they can be in, their parameters. Pure."""

from __future__ import annotations

from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping

LOADED, BUILT_IN, LOADABLE, MISSING = "loaded", "built in", "loadable, not loaded", "missing"
NEEDED = {  # by the names that modprobe knows; what a kernel's configuration calls them
    "can": "CONFIG_CAN",
    "can-raw": "CONFIG_CAN_RAW",
    "can-gw": "CONFIG_CAN_GW",
    "vcan": "CONFIG_CAN_VCAN",
    "vxcan": "CONFIG_CAN_VXCAN",
}
LINEAR = {  # what a linear bus needs beside them (`traffic_control`); of the classifiers either one
    "sch_ingress": "CONFIG_NET_SCH_INGRESS",
    "cls_fw": "CONFIG_NET_CLS_FW",
    "cls_matchall": "CONFIG_NET_CLS_MATCHALL",
    "cls_basic": "CONFIG_NET_CLS_BASIC",
    "act_gact": "CONFIG_NET_ACT_GACT",
    "act_skbedit": "CONFIG_NET_ACT_SKBEDIT",
}
POLICIES = {  # what keeps frames from passing needs beside sch_ingress and act_gact (`firewall`)
    "cls_basic": "CONFIG_NET_CLS_BASIC",
    "em_u32": "CONFIG_NET_EMATCH_U32",
    "act_police": "CONFIG_NET_ACT_POLICE",
    "em_canid": "CONFIG_NET_EMATCH_CANID",
}
IMPAIRMENT = {  # what a bus with trouble on purpose needs beside them (`impairment`)
    "ifb": "CONFIG_IFB",
    "act_mirred": "CONFIG_NET_ACT_MIRRED",
    "sch_netem": "CONFIG_NET_SCH_NETEM",
    "sch_tbf": "CONFIG_NET_SCH_TBF",
    "sch_prio": "CONFIG_NET_SCH_PRIO",
    "cls_bpf": "CONFIG_NET_CLS_BPF",
}
INJECTION = {  # what faults on purpose may need beside those of policies (`injection`)
    "act_pedit": "CONFIG_NET_ACT_PEDIT",
    "em_cmp": "CONFIG_NET_EMATCH_CMP",
    "em_meta": "CONFIG_NET_EMATCH_META",
}
CONFIGURED = {**NEEDED, **LINEAR, **POLICIES, **IMPAIRMENT, **INJECTION}
_IDS = ("sch_ingress", "cls_basic", "act_gact", "em_u32")  # em_u32 stands in for em_canid
_RATE = (*_IDS, "act_police")
_CLASSIFIERS = ("cls_matchall", "cls_basic")  # the second is used where the first is missing


class Parameters(NamedTuple):
    """How modules were loaded: both can be read, and changed only by loading them anew.

    `max_hops` is how often can-gw forwards a frame, `vcan_echo` that a vcan shows frames to the
    host's programs by itself, which af_can does otherwise. Sources: net/can/gw.c,
    drivers/net/can/vcan.c.
    """

    max_hops: int = 1
    vcan_echo: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """A line for each unusual parameter, and its effect on a bus."""
        hops = (
            f"can-gw was loaded with max_hops={self.max_hops}: rules of ours are made with a limit "
            "of 1, so that each frame arrives once; foreign rules may forward one again"
        )
        echo = (
            "vcan was loaded with echo=1: who hears what is the same; a queueing discipline of a "
            "vcan then holds back what the host's programs hear, too"
        )
        return (hops,) * (self.max_hops > 1) + (echo,) * self.vcan_echo


def for_linear(states: Mapping[str, str]) -> dict[str, str]:
    """Of these states those of the modules for a linear bus, with one of the two classifiers."""
    first, second = _CLASSIFIERS
    substituted = states.get(first) == MISSING and states.get(second, MISSING) != MISSING
    spare = first if substituted else second
    return {module: states[module] for module in LINEAR if module in states and module != spare}


def lacking(states: Mapping[str, str]) -> tuple[str, ...]:
    """The missing modules for want of which a bus is not linear."""
    return tuple(module for module, state in for_linear(states).items() if state == MISSING)


def lacking_for_policies(states: Mapping[str, str], *, rate: bool) -> tuple[str, ...]:
    """The missing modules for want of which a policy is refused; `rate`: one with can.rate."""
    return tuple(each for each in (_RATE if rate else _IDS) if states.get(each) == MISSING)
