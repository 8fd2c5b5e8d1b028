"""What containers may send and receive: the model of it, and who changes it."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from canwharf.bus import firewall, naming, options
from canwharf.bus.model import Policy
from tests.unit.bus.host.base import FAULTS, NOTICES, WORDS, Base, Fault


class Policies(Base):
    """Changes them, and deletes the filters of a container."""

    @precondition(lambda self: self._running() and self._can_filter())
    @rule(data=st.data(), words=WORDS, fault=FAULTS)
    def set_policy(self, data: st.DataObject, words: dict[str, str], fault: Fault) -> None:
        """`canwharf filter`. One whose record was lost needs both of its words."""
        whose = data.draw(st.sampled_from(self._running()))
        blocked = (
            self.daemon.service.state.networks[whose[0]].endpoints[whose[1]].policy is None
            and not {"can.send", "can.receive"} <= words.keys()
        )
        call = lambda: firewall.set_policy(self.daemon.service, *whose, words)  # noqa: E731
        if self._call(fault, call, blocked):
            known = self.policies.get(whose)
            complete = {"can.send", "can.receive"} <= words.keys()
            if known or complete:  # else it stays closed, or what it was
                now = options.parse_policy(words).over(known or Policy(rate="unknown"))
                self.policies[whose] = now
            if complete:
                self.unrecorded.discard(whose)

    @precondition(lambda self: self._filtered_ends())
    @rule(data=st.data(), which=st.sampled_from(["ingress", "egress", "all"]), notice=NOTICES)
    def policy_is_deleted(self, data: st.DataObject, which: str, notice: str) -> None:
        """Somebody's `tc filter del`; what is left of one without a record is not its policy."""
        name = data.draw(st.sampled_from(self._filtered_ends()))
        self.kernel.delete_filters(name, which)
        self._happened(notice)

    def _filtered_ends(self) -> list[str]:
        """The host ends with filters for ids."""
        ends = {naming.host_end(*whose) for whose in self._running()} & self.kernel.names()
        filters = {name: self.kernel.link(name).filters for name in sorted(ends)}
        return [name for name in filters if any(each.kind == "basic" for each in filters[name])]


def may(policy: Policy | None, direction: str, kind: str) -> bool | None:
    """Whether such a frame of any id passes; None: the fake kernel cannot tell."""
    if policy is None:
        return None
    words = policy.send if direction == "send" else policy.receive
    if kind == "errors" and direction == "receive":
        return True
    limited = kind == "errors" and policy.rate not in ("", "off")
    if words not in ("", "all", "none") or limited:
        return None if kind == "errors" else True
    return words != "none"
