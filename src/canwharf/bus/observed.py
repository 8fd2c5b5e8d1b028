"""What is: the host's links and our gateway rules as we know them. Pure.

Rules:

- It starts with a full look at the kernel and is then kept up to date: with what we applied
  ourselves, and with the kernel's announcements. After a failed batch or lost announcements it
  is renewed by another full look.
- Rules are told by interface index and go with either of their interfaces, as in the kernel.
- It remembers which links it has seen up: an adapter that was up and is down now was taken down
  by somebody, one that never was waits for us. And which are about to move into a container.
- The host end of a pair of this driver is found by the name with which it was made, too, if it was
  renamed and nothing else has that name: its alias tells whose it is.
- Rules that do not have exactly a form of ours are somebody else's and are not in here.
"""

from __future__ import annotations

from collections.abc import Iterable

from canwharf.bus import naming
from canwharf.kernel.gateway import Rule
from canwharf.kernel.link import Link


class Observed:
    """Links by index and name, gateway rules with their number.

    `seen_up` are the indexes of links that were up, `moved` of those that an engine was told to
    take and that have not left since, `former` of those that had a name once: none of which the
    kernel tells, so that they are kept when all else is renewed.
    """

    def __init__(
        self, links: Iterable[Link] = (), rules: Iterable[Rule] = (), driver: str = ""
    ) -> None:
        self.driver = driver
        self.seen_up: set[int] = set()
        self.moved: set[int] = set()
        self.former: dict[str, set[int]] = {}
        self._links: dict[int, Link] = {}
        self._names: dict[str, int] = {}
        self._made_as: dict[str, int] = {}  # of host ends that have another name now
        # source -> destination -> the rules from one to the other, equal ones as often as they are
        self._rules: dict[int, dict[int, tuple[Rule, ...]]] = {}
        self.renew(links, rules)

    def renew(self, links: Iterable[Link], rules: Iterable[Rule]) -> None:
        """These are all links and rules that there are now."""
        before = self._links
        self._links, self._names, self._made_as, self._rules = {}, {}, {}, {}
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

    def other(self, name: str) -> Link | None:
        """The link that has this as an alternative name."""
        return next((link for link in self._links.values() if name in link.altnames), None)

    def at(self, index: int) -> Link | None:
        """The link of this index."""
        return self._links.get(index)

    def names(self, link: Link) -> list[str]:
        """The name of a link, and the one that a plan has for it, if that is another."""
        made_as = naming.renamed_from(link, self.driver)
        return [link.name, made_as] if made_as else [link.name]

    def links(self) -> Iterable[Link]:
        """All links."""
        return self._links.values()

    def put(self, link: Link) -> None:
        """A link is there, or has changed."""
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
        """A link is gone, and its rules with it; the link, if we knew it."""
        gone = self._links.pop(index, None)
        if gone is None:
            return None
        self.seen_up.discard(index)
        self.moved.discard(index)
        for indexes in self.former.values():
            indexes.discard(index)
        self._forget_names(gone)
        self._rules.pop(index, None)
        for destinations in self._rules.values():
            destinations.pop(index, None)
        return gone

    def mark_moved(self, name: str) -> None:
        """The engine is told to move this link into a container; until it has, none else may."""
        if link := self.link(name):
            self.moved.add(link.ifindex)

    def _forget_names(self, link: Link) -> None:
        for name, names in zip(self.names(link), (self._names, self._made_as), strict=False):
            if names.get(name) == link.ifindex:
                del names[name]

    def _remember(self, old: Link | None, link: Link) -> None:
        if old is None or old.name == link.name:
            return
        # What was made anew under the index of one that went was not renamed.
        if (old.kind, old.group, old.alias) == (link.kind, link.group, link.alias):
            self.former.setdefault(old.name, set()).add(link.ifindex)

    def rules(self, source: int, destination: int) -> tuple[Rule, ...]:
        """The rules from one link to another; equal ones as often as they are there."""
        return self._rules.get(source, {}).get(destination, ())

    def add(self, rule: Rule) -> None:
        """One more rule like this one."""
        destinations = self._rules.setdefault(rule.source, {})
        destinations[rule.destination] = (*destinations.get(rule.destination, ()), rule)

    def remove(self, rule: Rule) -> None:
        """One rule like this one less."""
        left = list(self._rules[rule.source][rule.destination])
        left.remove(rule)
        self._rules[rule.source][rule.destination] = tuple(left)
