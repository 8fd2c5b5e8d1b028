"""Calls of runtimes that start an executable, canwharf.plugin: its words and its input, unparsed.

Rules:

- The body is the words, an empty word and the input, with a NUL between each two. The words are
  the variables CNI_… of the environment, if there are any, else the arguments.
- The namespace comes along as a descriptor: the path that the caller has may be one of its own
  mount namespace, or need rights to be opened that the daemon lacks.
- The kernel tells which user calls on the socket for users without root.
- For an adapter that moves, the executable is asked for a netlink socket in the namespace: it makes
  the same call again, with that in the place of the namespace (see `bus.handover`).
- Every answer has the form of its runtime. The status of an error is 400, by which the executable
  fails, too.
"""

from __future__ import annotations

import posix
import stat

from canwharf.bus import events, naming
from canwharf.bus.attach import Caller
from canwharf.bus.service import Service
from canwharf.errors import CanwharfError, RequestError, SocketNeededError
from canwharf.kernel import namespace
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CNI, NETAVARK = "CNI", "netavark"
SOCKET_NEEDED = 428  # HTTP's status: the executable is to send a netlink socket of the namespace
INPUT_LIMIT = 1_000_000  # bytes; the executable reads no more


class Invocation(NamedTuple):
    """One call: its words, its input, and the process that makes it."""

    words: Sequence[str]
    content: bytes
    caller: Caller


class FrontEnd(NamedTuple):
    """A runtime's protocol.

    `answer` makes the call, and raises CanwharfError. `refusal` has the form of an error, from it
    and its text.
    """

    answer: Callable[[Service, Sequence[str], bytes, Caller], bytes]
    refusal: Callable[[Exception, str], bytes]


class Runtimes:
    """Answers each call by the front end of its protocol."""

    def __init__(self, service: Service, netavark: FrontEnd, cni: FrontEnd) -> None:
        self._service = service
        self._table = {NETAVARK: netavark, CNI: cni}

    def answer(self, body: bytes, descriptor: int, uid: int | None) -> tuple[int, bytes]:
        """The HTTP status and body for one call; see `Caller`. Raises nothing."""
        if uid is None and _is_socket(descriptor):
            try:
                with namespace.of_socket(descriptor) as place:
                    return self._answer(body, Caller(place, socket=descriptor))
            except OSError:
                descriptor = -1  # of a kind that has no namespace
        return self._answer(body, Caller(descriptor, uid))

    def _answer(self, body: bytes, caller: Caller) -> tuple[int, bytes]:
        call = _invocation(body, caller)
        name = CNI if any(word.startswith("CNI_") for word in call.words) else NETAVARK
        front_end = self._table[name]
        try:
            _check(call)
            return 200, front_end.answer(self._service, *call)
        except SocketNeededError:
            return SOCKET_NEEDED, b""
        except CanwharfError as error:
            text, place = str(error), call.caller.namespace
            text = text.replace(f" {place}:", ":") if place else text
            self._service.say(events.CALL_REFUSED, call=_called(name, call), error=text)
            return 400, front_end.refusal(error, naming.without_internal(text))
        except Exception as error:  # noqa: BLE001
            # A defect in one call must not take the bus away from the other containers.
            self._service.say(events.INTERNAL, call=_called(name, call), error=repr(error))
            return 400, front_end.refusal(error, f"internal error in canwharf: {error!r}")


def _is_socket(descriptor: int) -> bool:
    return descriptor >= 0 and stat.S_ISSOCK(posix.fstat(descriptor).st_mode)


def _invocation(body: bytes, caller: Caller) -> Invocation:
    words, _end, content = body.partition(b"\0\0")
    if body[:1] == b"\0":  # no words
        words, content = b"", body[1:]
    return Invocation(
        [word.decode(errors="replace") for word in words.split(b"\0") if word],
        content,
        caller,
    )


def _check(call: Invocation) -> None:
    if len(call.content) >= INPUT_LIMIT:
        raise RequestError(f"the input has {INPUT_LIMIT} bytes or more")


def _called(name: str, call: Invocation) -> str:
    """The call as the log names it: `netavark setup`, `CNI ADD`."""
    verb = next((word for word in call.words if word.startswith("CNI_COMMAND=")), "")
    user = "" if call.caller.uid is None else f" of user {call.caller.uid}"
    return f"{name} {verb.partition('=')[2] or next(iter(call.words), '')}"[:80] + user
