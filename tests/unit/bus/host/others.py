"""Everybody else on the host: links, rules and adapters are changed."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.fake import wire
from tests.fake.filters import MODULES
from tests.unit.bus.host.base import (
    FOREIGN,
    NOTICES,
    OTHERS,
    Base,
    Foreign,
)


class Others(Base):
    """Changes what is ours and what is not."""

    @precondition(lambda self: self._ours())
    @rule(data=st.data(), how=st.sampled_from(["delete", "down"]), notice=NOTICES)
    def link_of_ours_is_changed(self, data: st.DataObject, how: str, notice: str) -> None:
        name = data.draw(st.sampled_from(self._ours()))
        if how == "down":
            self.kernel.set_up(name, up=False)
            self._happened(notice)
            return
        self.kernel.delete_link(name)
        self._give_up_lost()
        self._happened(notice)

    @precondition(lambda self: self._rules())
    @rule(data=st.data(), how=st.sampled_from(["delete", "double", "flush"]))
    def rules_are_changed(self, data: st.DataObject, how: str) -> None:
        ours = self._rules()
        self.tampered = True
        if how == "flush":
            self.kernel.rules = [each for each in self.kernel.rules if each not in ours]
            return
        one = ours[data.draw(st.integers(0, len(ours) - 1))]
        if how == "double":
            self.kernel.rules.insert(0, one)
        else:
            self.kernel.rules.remove(one)

    @precondition(lambda self: self._hub_ends())
    @rule(data=st.data(), notice=NOTICES)
    def hub_goes_elsewhere(self, data: st.DataObject, notice: str) -> None:
        """Somebody moves one of its ends into another namespace; its peer stays in silence."""
        name = data.draw(st.sampled_from(self._hub_ends()))
        self.kernel.move(name, "elsewhere", new_name=f"{len(self.kernel.links('elsewhere'))}")
        self._happened(notice)

    @precondition(lambda self: self._marked())
    @rule(data=st.data(), which=st.sampled_from(["ingress", "egress", "all", "changed"]))
    def filters_are_changed(self, data: st.DataObject, which: str) -> None:
        """Frames are counted again after the next resync."""
        name = data.draw(st.sampled_from(self._marked()))
        self.tampered = True
        if which == "changed":
            if self.kernel.marks(name).whole:
                self.kernel.change_filter(name, data.draw(st.sampled_from(["ingress", "egress"])))
            return
        self.kernel.delete_filters(name, which)

    def _marked(self) -> list[str]:
        """The host ends that have clsact."""
        return [name for name in self._ours() if self.kernel.link(name).qdisc == "clsact"]

    @rule(gone=st.booleans(), data=st.data(), start=st.booleans())
    def modules_go_and_come(self, gone: bool, data: st.DataObject, start: bool) -> None:
        """They go while nothing needs them; the daemon looks at its start, or when it is told."""
        if gone and self.daemon.service.state.has_policies:
            return  # without them no container with a policy could start
        if gone and self.unrecorded:
            return
        if gone:
            for link in self.kernel.links():
                if link.qdisc:
                    self.kernel.delete_filters(link.name, "all")
            self.kernel.modules.discard(data.draw(st.sampled_from(sorted(MODULES))))
        else:
            self.kernel.modules |= MODULES
        if start:
            self.daemon = self.daemon.restarted()
            self._give_up_lost()
        assert not self.daemon.maintenance.sync().faults
        self.tampered = self.unnoticed = False

    @rule(
        name=st.sampled_from(FOREIGN),
        mtu=st.sampled_from([16, 72]),
        up=st.booleans(),
        whose=st.sampled_from(OTHERS),
    )
    def foreign_link(self, name: str, mtu: int, up: bool, whose: tuple[str, int]) -> None:
        if name in self.kernel.names():
            return
        alias, group = whose
        made = self.kernel.add_link(name, "vcan", mtu=mtu, up=up, alias=alias, group=group)
        self.foreign_links[made] = made.told()

    @precondition(lambda self: self.foreign_links)
    @rule(data=st.data(), how=st.sampled_from(["delete", "up", "down", "classic"]))
    def foreign_link_changes(self, data: st.DataObject, how: str) -> None:
        name = data.draw(st.sampled_from(sorted(link.name for link in self.foreign_links)))
        one = self.kernel.link(name)
        if how == "delete":
            self.kernel.delete_link(name)
            del self.foreign_links[one]
            return
        if how == "classic":
            one.mtu = 88 - one.mtu
        self.kernel.set_up(name, up=how != "down")
        self.foreign_links[one] = one.told()

    @rule(data=st.data(), fd=st.booleans())
    def foreign_rule(self, data: st.DataObject, fd: bool) -> None:
        """A filtered one between any two links, or one of our form where one end is no bus's."""
        links = [link for link in self.kernel.links() if link.hardware == wire.CAN]
        if len(links) < 2:
            return
        numbers = st.integers(0, len(links) - 1)
        pair = st.tuples(numbers, numbers).filter(lambda both: both[0] != both[1])
        source, destination = (links[number] for number in data.draw(pair))
        plain = "can7" in (source.name, destination.name) and data.draw(st.booleans())
        more = b"" if plain else wire.attribute(wire.FILTER, bytes(8))
        made = self.kernel.add_rule(source.name, destination.name, fd=fd, more=more)
        self.foreign_rules.append(Foreign(made, (source, destination)))

    @precondition(lambda self: "can0" not in self.kernel.names())
    @rule()
    def adapter_comes(self) -> None:
        self._plug()

    @precondition(lambda self: self._adapters())
    @rule(unplugged=st.booleans(), notice=NOTICES)
    def adapter_goes(self, unplugged: bool, notice: str) -> None:
        """For good, or into a container that ends."""
        (one,) = self._adapters()
        if unplugged:
            self.kernel.delete_link("can0")
            del self.foreign_links[one]
        else:
            self.foreign_rules = [each for each in self.foreign_rules if one not in each.ends]
            up = one.up
            self.kernel.move("can0", "elsewhere")
            self.kernel.kill_namespace("elsewhere")
            self.kernel.set_up("can0", up=up)  # by an operator
        self._happened(notice)
