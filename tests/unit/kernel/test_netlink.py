"""The netlink socket over a scripted one: what the kernel may answer, and when it does not."""

from __future__ import annotations

import errno
import struct
import sys
from collections.abc import Callable

import pytest

from canwharf.errors import KernelError, NetlinkOverrunError
from canwharf.kernel import gateway, link, message, netlink
from canwharf.kernel.message import Message
from canwharf.kernel.netlink import LinkEvents, Netlink
from canwharf.kernel.request import Request

ERROR, DONE = 2, 3
MULTI, ACK, DUMP_INTR, DUMP = 0x2, 0x4, 0x10, 0x300

Answer = bytes | Exception | Callable[[list[Message]], bytes]


class ScriptedSocket:
    """Records what is sent and answers as written: bytes, an exception, or from what was sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.script: list[Answer] = []
        self.send_error: OSError | None = None
        self.closed = False

    def settimeout(self, limit: float) -> None:
        assert 0 < limit <= 10

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def send(self, data: bytes) -> int:
        if self.send_error:
            raise self.send_error
        self.sent.append(data)
        return len(data)

    def recv(self, size: int, flags: int = 0) -> bytes:
        assert size >= 32768  # the kernel's largest datagram of a dump; what is cut is lost
        if flags and not self.script:
            raise BlockingIOError
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, bytes) else answer(self.messages())

    def messages(self) -> list[Message]:
        return list(message.decode(self.sent[-1]))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> ScriptedSocket:
    one = ScriptedSocket()
    monkeypatch.setattr(netlink, "_open", lambda _groups: one)
    return one


def request(
    target: str = "it", body: bytes = b"body", harmless: frozenset[int] = frozenset()
) -> Request:
    return Request(16, 1, body, "change", target, harmless)


def error(number: int, sequence: int, words: str = "") -> bytes:
    body = struct.pack("=i", -number) + bytes(16)
    if words:
        body += message.attribute(1, words.encode() + b"\0")
    return message.encode(ERROR, 0x300 if words else 0x100, sequence, body)


def acknowledge(sent: list[Message]) -> bytes:
    return error(0, sent[-1].sequence)


def test_only_the_last_of_a_batch_asks_for_an_acknowledgement(scripted: ScriptedSocket) -> None:
    """One for each costs seven times as much."""
    scripted.script = [acknowledge]
    assert Netlink().batch([request()] * 5) == []
    assert [each.flags & ACK for each in scripted.messages()] == [0, 0, 0, 0, ACK]
    assert len({each.sequence for each in scripted.messages()}) == 5


def test_the_replies_come_in_order(scripted: ScriptedSocket) -> None:
    """By them the indexes of new interfaces are learnt."""
    scripted.script = [
        lambda sent: message.encode(16, 0, sent[0].sequence, b"one!"),
        lambda sent: message.encode(16, 0, sent[1].sequence, b"two!") + acknowledge(sent),
    ]
    assert [each.body for each in Netlink().batch([request()] * 2)] == [b"one!", b"two!"]


def test_a_refusal_says_what_was_attempted_and_the_kernels_words(
    scripted: ScriptedSocket,
) -> None:
    """The user sees this sentence and nothing else."""
    scripted.script = [lambda sent: error(errno.EBUSY, sent[0].sequence, "not now")]
    with pytest.raises(KernelError, match=r"cannot change vcan0: .*busy.* \(not now\)") as caught:
        Netlink().batch([request("vcan0")])
    assert caught.value.errno == errno.EBUSY


def test_the_hint_of_the_refused_request_is_given(scripted: ScriptedSocket) -> None:
    """What to do about it."""
    scripted.script = [lambda sent: error(errno.EOPNOTSUPP, sent[0].sequence)]
    with pytest.raises(KernelError, match=r"; load the module$"):
        Netlink().batch([request()._replace(hints={errno.EOPNOTSUPP: "load the module"})])


def test_what_follows_a_refusal_is_waited_for(scripted: ScriptedSocket) -> None:
    """The first error is raised; that there were more is noted, and nothing is left unread."""
    scripted.script = [
        lambda sent: error(errno.EEXIST, sent[0].sequence),
        lambda sent: error(errno.ENODEV, sent[1].sequence),
        acknowledge,
        acknowledge,
    ]
    opened = Netlink()
    with pytest.raises(KernelError) as caught:
        opened.batch([request("first"), request("second"), request("third")])
    assert caught.value.target == "first"
    assert caught.value.__notes__ == ["1 more requests of this batch failed"]
    assert opened.batch([request()]) == []


def test_the_refused_request_is_the_one_of_that_number(scripted: ScriptedSocket) -> None:
    """A refusal in the middle names the right object."""
    scripted.script = [lambda sent: error(errno.EPERM, sent[1].sequence) + acknowledge(sent)]
    with pytest.raises(KernelError) as caught:
        Netlink().batch([request("first"), request("second"), request("third")])
    assert caught.value.target == "second"


def test_harmless_refusals_are_none(scripted: ScriptedSocket) -> None:
    """What is already so is no error, at any place of the batch."""
    harmless = frozenset({errno.ENODEV})
    scripted.script = [
        lambda sent: error(errno.ENODEV, sent[0].sequence),
        lambda sent: error(errno.ENODEV, sent[1].sequence),
    ]
    assert Netlink().batch([request(harmless=harmless)] * 2) == []


def test_late_answers_to_an_earlier_exchange_are_passed_over(scripted: ScriptedSocket) -> None:
    """After a time-out the next call must not take the last one's answers for its own."""
    opened = Netlink()
    scripted.script = [TimeoutError()]
    with pytest.raises(KernelError):
        opened.batch([request("slow")])
    late = scripted.messages()[0].sequence
    scripted.script = [
        message.encode(16, 0, late, b"late"),
        error(errno.EEXIST, late),
        lambda sent: message.encode(16, 0, sent[0].sequence, b"mine") + acknowledge(sent),
    ]
    assert [each.body for each in opened.batch([request("next")])] == [b"mine"]


@pytest.mark.parametrize("kind", ["batch", "dump"])
def test_a_kernel_that_does_not_answer_is_an_error(scripted: ScriptedSocket, kind: str) -> None:
    """A handler that hangs would hang the container's start for ever."""
    scripted.script = [TimeoutError()]
    with pytest.raises(KernelError, match="did not answer within 5 seconds") as caught:
        Netlink().batch([request()]) if kind == "batch" else Netlink().dump(request())
    assert caught.value.errno == errno.ETIMEDOUT


@pytest.mark.parametrize(
    ("fault", "number"),
    [
        (TimeoutError(), errno.ETIMEDOUT),
        (OSError(errno.ENOBUFS, "full"), errno.ENOBUFS),
        (OSError("without number"), errno.EIO),
    ],
)
def test_a_kernel_that_takes_no_message_is_an_error(
    scripted: ScriptedSocket, fault: OSError, number: int
) -> None:
    """With its number, not a traceback."""
    scripted.send_error = fault
    with pytest.raises(KernelError) as caught:
        Netlink().batch([request()])
    assert caught.value.errno == number


def test_answers_that_were_lost_are_said_to_be(scripted: ScriptedSocket) -> None:
    """Or a rule would be taken for made that was refused. Those that came are thrown away."""
    scripted.script = [OSError(errno.ENOBUFS, "lost"), b"what", b"came", BlockingIOError()]
    with pytest.raises(NetlinkOverrunError):
        Netlink().batch([request()])
    assert scripted.script == []
    scripted.script = [OSError(errno.EBADF, "shut")]
    with pytest.raises(KernelError) as caught:
        Netlink().batch([request()])
    assert caught.value.errno == errno.EBADF


def test_a_large_batch_is_cut_and_every_part_is_sent(scripted: ScriptedSocket) -> None:
    """Neither the send buffer (EMSGSIZE) nor the receive buffer's room for the answers."""
    scripted.script = [acknowledge] * 100
    Netlink().batch([request(body=bytes(99))] * 1000)
    assert max(map(len, scripted.sent)) <= 32 * 1024
    messages = [each for data in scripted.sent for each in message.decode(data)]
    assert len({each.sequence for each in messages}) == len(messages) == 1000
    assert len(scripted.sent) < 10
    assert max(len(list(message.decode(data))) for data in scripted.sent) <= 200


def test_a_refusal_in_the_first_part_does_not_keep_the_second(scripted: ScriptedSocket) -> None:
    """All are attempted, as the kernel does within one send."""
    scripted.script = [
        lambda sent: error(errno.EPERM, sent[0].sequence) + acknowledge(sent),
        acknowledge,
    ]
    with pytest.raises(KernelError):
        Netlink().batch([request(body=bytes(20_000))] * 2)
    assert len(scripted.sent) == 2


def test_a_batch_of_nothing_sends_nothing(scripted: ScriptedSocket) -> None:
    """There would be no answer to wait for."""
    assert Netlink().batch([]) == []
    assert scripted.sent == []


def entry(flags: int = MULTI) -> Answer:
    return lambda sent: message.encode(24, flags, sent[0].sequence, b"item")


def done(flags: int = MULTI) -> Answer:
    return lambda sent: message.encode(DONE, flags, sent[0].sequence, bytes(4))


def test_a_dump_gets_all_parts(scripted: ScriptedSocket) -> None:
    """Those of several datagrams."""
    scripted.script = [entry(), entry(), done()]
    assert [each.body for each in Netlink().dump(request())] == [b"item"] * 2


@pytest.mark.skipif(sys.byteorder != "little", reason="the goldens are little-endian")
def test_the_dumps_are_what_the_headers_say(scripted: ScriptedSocket) -> None:
    """Or the kernel would list something else."""
    scripted.script = [done(), done()]
    opened = Netlink()
    assert (link.links(opened), gateway.entries(opened)) == ([], [])
    links = (
        "28000000 1200 0103 01000000 00000000"  # RTM_GETLINK, REQUEST|DUMP (ROOT|MATCH)
        "00 00 0000 00000000 00000000 00000000"
        "0800 1d00 08000000"  # IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS
    )
    rules = (
        "14000000 1a00 0103 02000000 00000000"  # RTM_GETROUTE, REQUEST|DUMP
        "1d 01 0000"  # AF_CAN, CGW_TYPE_CAN_CAN
    )
    assert [data.hex() for data in scripted.sent] == [
        links.replace(" ", ""),
        rules.replace(" ", ""),
    ]


@pytest.mark.parametrize("marked", [(entry(MULTI | DUMP_INTR), done()), (done(DUMP_INTR),)])
def test_an_interrupted_dump_is_taken_again(
    scripted: ScriptedSocket, marked: tuple[Answer, ...]
) -> None:
    """What is listed while it changes has holes: an interface would be taken for missing."""
    scripted.script = [*marked, entry(), done()]
    assert len(Netlink().dump(request())) == 1
    assert len(scripted.sent) == 2


def test_a_dump_that_is_always_interrupted_is_an_error(scripted: ScriptedSocket) -> None:
    """In finite time, rather than a wrong list."""
    scripted.script = [done(DUMP_INTR)] * 100
    with pytest.raises(KernelError, match="changed during every attempt") as caught:
        Netlink().dump(request())
    assert caught.value.errno == errno.EAGAIN
    assert len(scripted.sent) < 20


def test_a_dump_can_be_refused(scripted: ScriptedSocket) -> None:
    """By an error, or by the number in its end."""
    for refusal in (
        lambda sent: error(errno.EPERM, sent[0].sequence),
        lambda sent: message.encode(DONE, MULTI, sent[0].sequence, struct.pack("=i", -errno.EPERM)),
    ):
        scripted.script = [refusal]
        with pytest.raises(KernelError) as caught:
            Netlink().dump(request())
        assert caught.value.errno == errno.EPERM


def test_a_dump_passes_over_late_answers(scripted: ScriptedSocket) -> None:
    """Those of a dump that was given up."""
    scripted.script = [message.encode(24, MULTI, 99, b"late"), entry(), done()]
    assert [each.body for each in Netlink().dump(request())] == [b"item"]


def test_announcements_are_taken_without_waiting(scripted: ScriptedSocket) -> None:
    """All that are there, in order, and then back to the loop."""
    events = [message.encode(16, 0, 0, text) for text in (b"one!", b"two!", b"tri!")]
    scripted.script = [events[0] + events[1], events[2], BlockingIOError()]
    assert [each.body for each in LinkEvents().take()] == [b"one!", b"two!", b"tri!"]


def test_lost_announcements_are_said_to_be(scripted: ScriptedSocket) -> None:
    """Or an interface that went away would be taken for there until the next start."""
    scripted.script = [message.encode(16, 0, 0, b"one!"), OSError(errno.ENOBUFS, "lost")]
    with pytest.raises(NetlinkOverrunError):
        LinkEvents().take()
    scripted.script = [OSError(errno.EBADF, "shut")]
    with pytest.raises(KernelError):
        LinkEvents().take()


def test_both_sockets_are_given_back(scripted: ScriptedSocket) -> None:
    """At the end of the daemon, and in each test of the kernel."""
    LinkEvents().close()
    assert scripted.closed
    scripted.closed = False
    Netlink().close()
    assert scripted.closed


def test_the_real_socket_answers() -> None:
    """Any kernel has `lo` and lets anybody ask for it: options, binding and codec do fit it."""
    opened, events = Netlink(), LinkEvents()
    try:
        (answer,) = opened.batch([link.get("lo")])
        assert link.parse(answer) in link.links(opened)
        assert opened.batch([link.get("no-such-link")]) == []
        assert events.take() == []
        assert events.fileno() >= 0
    finally:
        opened.close()
        events.close()


def test_a_socket_that_cannot_be_opened_is_a_kernel_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without netlink gets a sentence, not a traceback."""

    def refuse(*_arguments: int) -> None:
        raise OSError(errno.EAFNOSUPPORT, "no such family")

    monkeypatch.setattr("canwharf.kernel.netlink.Socket", refuse)
    with pytest.raises(KernelError, match="cannot open a netlink socket"):
        Netlink()
