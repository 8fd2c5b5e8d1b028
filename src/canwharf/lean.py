"""suppress, sockets, a selector and paths that cost a start little.

Theory of operation. contextlib, socket and selectors import enum, functools, collections and more:
with json and re, that was a third of the time from the daemon's start to its first answer, and a
tenth of its memory. os, which makes the abstract classes of collections, was a tenth of the rest.
Here is the part of them that the daemon uses, made of what C has already: most of os is in posix. A
Selector is used as one of selectors is.

Rules:

- The daemon's modules import these, `jsontext` and `record` in the place of the standard library's.
- What a start does not need is imported where it is used. Names of collections.abc and typing are
  imported for the type checker alone, and an alias made of them is a string.

Sources: Lib/contextlib.py (suppress), Lib/socket.py (socket), Lib/selectors.py (EpollSelector),
Lib/os.py (environ, makedirs).
"""

from __future__ import annotations

import _socket
import posix
import select
import stat

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from typing import Any, Self

READ, WRITE = 1, 2  # as selectors has them
_EPOLL = {READ: select.EPOLLIN, WRITE: select.EPOLLOUT}


class suppress:  # noqa: N801 (as contextlib's)
    """Ends the block at one of these exceptions, and goes on behind it."""

    def __init__(self, *exceptions: type[BaseException]) -> None:
        self._exceptions = exceptions

    def __enter__(self) -> None:
        pass

    def __exit__(self, raised: type[BaseException] | None, *_rest: object) -> bool:
        return raised is not None and issubclass(raised, self._exceptions)


def variable(name: str) -> str:
    """What the environment says of this name when the program starts; or nothing."""
    return posix.environ.get(name.encode(), b"").decode(errors="surrogateescape")


def exists(path: str) -> bool:
    """Whether there is something at this path, or where a link there leads."""
    try:
        posix.stat(path)
    except OSError:
        return False
    return True


def join(directory: str, name: str) -> str:
    """The path of a name in a directory; an empty one is the present."""
    return f"{directory}{'' if directory[-1:] in ('', '/') else '/'}{name}"


def make_directory(path: str) -> None:
    """Make sure that there is a directory, and those that it is in. Raises OSError.

    A new one can be read by all, unless the mask is stricter (umask(2)).
    """
    above = path.rstrip("/").rpartition("/")[0]
    if above and not exists(above):
        make_directory(above)
    try:
        posix.mkdir(path, 0o755)
    except OSError:
        if not exists(path) or not stat.S_ISDIR(posix.stat(path).st_mode):
            raise


class Socket(_socket.socket):
    """A socket that a `with` closes, and that accepts others of its kind."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def accept(self) -> tuple[Socket, Any]:
        """A connection and its address; it blocks, as by default. Raises OSError."""
        descriptor, address = self._accept()  # type: ignore[attr-defined]
        return Socket(fileno=descriptor), address


class Key:
    """A file that is registered, and what belongs to it."""

    def __init__(self, fileobj: Any, data: Any) -> None:  # noqa: ANN401 (as selectors)
        self.fileobj = fileobj
        self.data = data


class Selector:
    """Waits for files, each for one event: READ or WRITE (epoll(7))."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._keys: dict[int, Key] = {}

    def register(self, file: Any, event: int, data: object = None) -> None:  # noqa: ANN401
        """Wait for this file. Raises OSError."""
        self._epoll.register(file, _EPOLL[event])
        self._keys[file.fileno()] = Key(file, data)

    def modify(self, file: Any, event: int, data: object = None) -> None:  # noqa: ANN401
        """Wait for another event of this file. Raises OSError."""
        self._epoll.modify(file, _EPOLL[event])
        self._keys[file.fileno()] = Key(file, data)

    def unregister(self, file: Any) -> None:  # noqa: ANN401
        """Wait for this file no more; before it is closed."""
        del self._keys[file.fileno()]
        self._epoll.unregister(file)

    def select(self, timeout: float | None = None) -> list[tuple[Key, int]]:
        """The files for which something has happened within so many seconds; None: for ever.

        An error and the other end's close count as any event.
        """
        ready = self._epoll.poll(timeout)
        return [(self._keys[number], events) for number, events in ready]
