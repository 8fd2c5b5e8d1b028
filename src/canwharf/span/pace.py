"""How often something is said: what another host can cause must not fill the log. Pure.

Rule: LINES at once, and then one each REST.
"""

from __future__ import annotations

LINES = 60
REST = 60_000_000_000  # nanoseconds


class Pace:
    """The lines about one thing. All times are in nanoseconds, of a clock that is never set."""

    def __init__(self, lines: int = LINES, rest: int = REST) -> None:
        self._lines, self._rest = lines, rest
        self._debt = 0  # the uptime at which nothing is owed any more

    def allows(self, now: int) -> bool:
        """Whether a line may be said now."""
        return self._debt + self._rest - now <= self._lines * self._rest

    def spend(self, now: int) -> None:
        """One was said."""
        self._debt = max(self._debt, now) + self._rest


class Presence:
    """Which other hosts are there, and what of it is to be said."""

    def __init__(self, most: int) -> None:
        """So many hosts are known; of more, nothing is said."""
        self._most = most
        self._hosts: dict[str, bool] = {}
        self._said: dict[str, bool] = {}
        self._paces: dict[str, Pace] = {}

    def put(self, host: str, there: bool) -> None:
        """It came, or it is gone."""
        if host in self._hosts or len(self._hosts) < self._most:
            self._hosts[host] = there

    def news(self, now: int) -> list[tuple[str, bool]]:
        """What has changed since it was said."""
        found = []
        for host, there in self._hosts.items():
            if self._said.get(host, False) == there:
                continue
            pace = self._paces.setdefault(host, Pace())
            if pace.allows(now):
                pace.spend(now)
                self._said[host] = there
                found.append((host, there))
        return found
