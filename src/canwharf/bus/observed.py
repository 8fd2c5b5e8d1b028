"""The host's links and our gateway rules, as last observed. Pure.

Rules:

- It starts with a full dump of the kernel. Then it is kept current with the steps that we apply,
  and with the kernel's announcements. After a failed batch or lost announcements there is another
  dump.
- Rules have the indexes of their two interfaces, and go with either of these, as in the kernel.
- It remembers which links it has seen up: an adapter that was up and is down was taken down by an
  operator; one that was never up still needs its settings. It also remembers which links are about
  to be moved into a container.
- A renamed host end of this driver is also found by the name with which it was made, unless another
  link has that name: its alias has its endpoint.
- It knows the filters of ours (`traffic_control`) by the index of their link, and what this kernel
  can do of them.
- A dump may still list a filter whose deletion was announced, and lack one whose deletion was not:
  what either of both says is gone is gone.
- Rules that do not have exactly a form of ours are foreign, and are not in here.
"""

from __future__ import annotations

from canwharf.bus import naming
from canwharf.kernel import injection
from canwharf.kernel.firewall import NO_FIREWALL, Filtering, Firewall, Side
from canwharf.kernel.gateway import Rule
from canwharf.kernel.impairment import NOTHING as NO_QDISCS
from canwharf.kernel.impairment import UNIMPAIRED, Found, Impaired
from canwharf.kernel.link import Link
from canwharf.kernel.traffic_control import DAMAGED, MISSING, NOTHING, WHOLE, Ability, Marks

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import TypeAlias

Injected: TypeAlias = "Mapping[injection.Key, injection.Found]"


class Observed:
    """Links by index and by name; gateway rules, each as often as it exists.

    `seen_up` are the indexes of links that were up, `moved` of those that an engine will move and
    that are still here, `former` of those that had another name, by this name. The kernel reports
    none of these, so they are kept when all else is renewed. So is `ability`, what this kernel has
    for a linear bus; None before a first try; `filtering` is what it has for policies.
    """

    def __init__(
        self,
        links: Iterable[Link] = (),
        rules: Iterable[Rule] = (),
        marks: Mapping[int, Marks] = {},
        driver: str = "",
        firewalls: Mapping[int, Firewall] = {},
        *,
        injected: Mapping[int, Injected] = {},
        impaired: Impaired = UNIMPAIRED,
    ) -> None:
        self.driver = driver
        self.ability: Ability | None = None
        self.filtering: Filtering | None = None
        self.seen_up: set[int] = set()
        self.moved: set[int] = set()
        self.former: dict[str, set[int]] = {}
        self._links: dict[int, Link] = {}
        self._names: dict[str, int] = {}
        self._made_as: dict[str, int] = {}  # the indexes of renamed host ends
        self._marks: dict[int, Marks] = {}
        self._unmarked: dict[int, Marks] = {}  # as announced: a dump may still have the old ones
        self._opened: dict[int, Firewall] = {}  # in the same way
        # source -> destination -> the rules from one to the other, each as often as it exists
        self._rules: dict[int, dict[int, tuple[Rule, ...]]] = {}
        self._sources: dict[int, set[int]] = {}  # destination -> the sources of rules to it
        self._firewalls: dict[int, Firewall] = {}
        self._injected: dict[int, Injected] = {}
        self._ended: dict[int, frozenset[injection.Key]] = {}  # a dump may still have these
        self._redirects: dict[int, int] = {}
        self._qdiscs: dict[int, Found] = {}
        self.renew(links, rules, marks, firewalls, injected=injected, impaired=impaired)

    @property
    def linear(self) -> bool:
        """Whether buses are to be linear: until a try fails, they are."""
        return self.ability is None or bool(self.ability.classifier)

    def renew(
        self,
        links: Iterable[Link],
        rules: Iterable[Rule],
        marks: Mapping[int, Marks],
        firewalls: Mapping[int, Firewall],
        *,
        injected: Mapping[int, Injected] = {},
        impaired: Impaired = UNIMPAIRED,
    ) -> None:
        """Replace all links, rules and filters by those of a new dump."""
        before = self._links
        self._links, self._names, self._made_as = {}, {}, {}
        self._rules, self._sources = {}, {}
        told = {
            index: _marked(marks.get(index, NOTHING), each)
            for index, each in self._unmarked.items()
        }
        self._marks = {**marks, **told}
        kept = {
            index: _guarded(firewalls.get(index, NO_FIREWALL), each)
            for index, each in self._opened.items()
        }
        self._firewalls = {**firewalls, **kept}
        self._injected = {
            index: {key: there[key] for key in there.keys() - self._ended.get(index, ())}
            for index, there in injected.items()
        }
        self._redirects, self._qdiscs = dict(impaired.redirects), dict(impaired.qdiscs)
        for link in links:
            self.put(link)
            self._remember(before.get(link.ifindex), link)
        for rule in rules:
            self.add(rule)
        for indexes in (self.seen_up, self.moved, *self.former.values()):
            indexes.intersection_update(self._links)

    def link(self, name: str) -> Link | None:
        """The link of this name."""
        return self._links.get(self._names.get(name) or self._made_as.get(name, 0))

    def missing(self, names: Mapping[str, object]) -> set[str]:
        """Those of these names that no link has: quick, as there may be a thousand."""
        return names.keys() - self._names.keys() - self._made_as.keys()

    def other(self, name: str) -> Link | None:
        """The link that has this as an alternative name."""
        return next((link for link in self._links.values() if name in link.altnames), None)

    def at(self, index: int) -> Link | None:
        """The link of this index."""
        return self._links.get(index)

    def names(self, link: Link) -> list[str]:
        """The name of a link, and the name that a plan has for it, if that differs."""
        made_as = naming.renamed_from(link, self.driver)
        return [link.name, made_as] if made_as else [link.name]

    def links(self) -> Iterable[Link]:
        """All links."""
        return self._links.values()

    def put(self, link: Link) -> None:
        """Add or replace a link."""
        old = self._links.get(link.ifindex)
        if old is not None:
            self._forget_names(old)
        self._links[link.ifindex] = link
        self._names[link.name] = link.ifindex
        if made_as := naming.renamed_from(link, self.driver):
            self._made_as[made_as] = link.ifindex
        self._remember(old, link)
        if link.up:
            self.seen_up.add(link.ifindex)

    def drop(self, index: int) -> Link | None:
        """Remove a link and its rules; returns the link, or None if it was not observed."""
        gone = self._links.pop(index, None)
        if gone is None:
            return None
        self.seen_up.discard(index)
        self.moved.discard(index)
        for indexes in self.former.values():
            indexes.discard(index)
        self._forget_names(gone)
        self._marks.pop(index, None)
        self._unmarked.pop(index, None)
        filters = (self._firewalls, self._opened, self._injected, self._ended, self._redirects)
        for known in filters:
            known.pop(index, None)
        if self._qdiscs.pop(index, None):
            gone_too = (port for port, target in self._redirects.items() if target == index)
            self._redirects.update(dict.fromkeys(gone_too, 0))
        for destination in self._rules.pop(index, {}):
            self._sources[destination].discard(index)
        for source in self._sources.pop(index, ()):
            self._rules.get(source, {}).pop(index, None)
        return gone

    def mark_moved(self, name: str) -> None:
        """Remember that the engine will move this link into a container."""
        if link := self.link(name):
            self.moved.add(link.ifindex)

    def _forget_names(self, link: Link) -> None:
        for name, names in zip(self.names(link), (self._names, self._made_as), strict=False):
            if names.get(name) == link.ifindex:
                del names[name]

    def _remember(self, old: Link | None, link: Link) -> None:
        if old is None or old.name == link.name:
            return
        # A new link under the index of a deleted one was not renamed.
        if (old.kind, old.group, old.alias) == (link.kind, link.group, link.alias):
            self.former.setdefault(old.name, set()).add(link.ifindex)

    def rules(self, source: int, destination: int) -> tuple[Rule, ...]:
        """The rules from one link to another, each as often as it exists."""
        return self._rules.get(source, {}).get(destination, ())

    def destinations(self, source: int) -> list[int]:
        """The links to which there are rules from this one."""
        return [index for index, rules in self._rules.get(source, {}).items() if rules]

    def sources(self, destination: int) -> Iterator[int]:
        """The links from which there are rules to this one."""
        sources = self._sources.get(destination, ())
        return (index for index in sources if self._rules[index].get(destination))

    def marks(self, index: int) -> Marks:
        """What there is of our filters on this link."""
        return self._marks.get(index, NOTHING)

    def put_marks(self, index: int, marks: Marks) -> None:
        """Remember that this link has these filters now."""
        self._marks[index] = marks
        self._unmarked.pop(index, None)
        if not marks.whole:
            self._unmarked[index] = marks

    @property
    def has_firewalls(self) -> bool:
        """Whether a link keeps some frames from or to a container."""
        return any(each != NO_FIREWALL for each in self._firewalls.values())

    def firewall(self, index: int) -> Firewall:
        """What this link lets a container send and receive."""
        return self._firewalls.get(index, NO_FIREWALL)

    def put_firewall(self, index: int, firewall: Firewall, *, announced: bool = False) -> None:
        """Remember what this link lets pass now; `announced`: by an announcement of a deletion."""
        self._firewalls[index] = firewall
        self._opened.pop(index, None)
        if announced:
            self._opened[index] = firewall

    def injected(self, index: int) -> Injected:
        """The filters of faults on this link."""
        return self._injected.get(index, injection.NOTHING)

    def put_injected(self, index: int, injected: Injected) -> None:
        """Remember that this link has these filters of faults now."""
        before = self._injected.get(index, injection.NOTHING).keys() | self._ended.get(index, ())
        self._ended[index] = frozenset(before - injected.keys())
        self._injected[index] = injected

    def redirect(self, index: int) -> int | None:
        """The index of the interface to which this link redirects what enters; 0: it is gone.

        None: it goes straight on.
        """
        return self._redirects.get(index)

    def put_redirect(self, index: int, target: int | None) -> None:
        """Remember to where this link redirects now."""
        if target is None:
            self._redirects.pop(index, None)
        else:
            self._redirects[index] = target

    def qdiscs(self, index: int) -> Found:
        """What there is of our qdiscs on this link."""
        return self._qdiscs.get(index, NO_QDISCS)

    def put_qdiscs(self, index: int, found: Found) -> None:
        """Remember that this link has these qdiscs now."""
        self._qdiscs[index] = found

    def trust_dump(self) -> None:
        """Let the next dump decide about filters whose deletion was announced."""
        self._unmarked.clear()
        self._ended.clear()

    def add(self, rule: Rule) -> None:
        """Add one rule; equal ones are counted."""
        destinations = self._rules.setdefault(rule.source, {})
        destinations[rule.destination] = (*destinations.get(rule.destination, ()), rule)
        self._sources.setdefault(rule.destination, set()).add(rule.source)

    def remove(self, rule: Rule) -> None:
        """Remove one of the rules that are equal to this one."""
        left = list(self._rules[rule.source][rule.destination])
        left.remove(rule)
        self._rules[rule.source][rule.destination] = tuple(left)


def _marked(dumped: Marks, announced: Marks) -> Marks:
    """The marks of a link, of which the dump and announcements tell."""
    worst = (MISSING, DAMAGED, WHOLE).index
    mark = min(dumped.mark, announced.mark, key=worst)
    return dumped._replace(mark=mark, drop=min(dumped.drop, announced.drop, key=worst))


def _guarded(dumped: Firewall, announced: Firewall) -> Firewall:
    """What a link lets pass, of which the dump and announcements tell."""
    if not announced.send.digest:
        dumped = dumped._replace(send=Side())
    if not announced.receive.digest:
        dumped = dumped._replace(receive=Side())
    return dumped if announced.rate else dumped._replace(rate=0)
