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
        self._said: dict[str, bool] = {}
        self._untold: dict[str, bool] = {}
        self._paces: dict[str, Pace] = {}
        self._gone: dict[str, int] = {}  # when that was said

    def put(self, host: str, there: bool) -> None:
        """It came, or it is gone."""
        if host not in self._said and len(self._said) >= self._most:
            return
        if self._said.setdefault(host, False) == there:
            self._untold.pop(host, None)
        else:
            self._untold[host] = there

    def news(self, now: int) -> list[tuple[str, bool]]:
        """What has changed since it was said."""
        found = []
        for host, there in list(self._untold.items()):
            pace = self._paces.setdefault(host, Pace())
            if pace.allows(now):
                pace.spend(now)
                del self._untold[host]
                self._said[host] = there
                if not there:
                    self._gone[host] = now
                found.append((host, there))
        return found

    def away(self, host: str, now: int) -> int:
        """For how long this one was gone, which is there now; 0: it was not said that it was."""
        return now - self._gone.pop(host, now)
