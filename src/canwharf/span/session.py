"""The connection to other hosts: zenoh, behind what a bridge needs of it. Nothing else imports it.

Rules:

- A message that cannot be sent now is dropped (DROP). To wait (BLOCK) would let one frozen host
  stop all others for five seconds; and messages that wait are old when they arrive. What is dropped
  is missing in the sequence, and counted by the receiver.
- A message is sent at once, not gathered (express): a bridge puts several frames into one.
- Received messages are handed over in a thread of zenoh's: `receive` must not wait.
- To close takes as long as a frozen host holds it up, up to ten seconds. CLOSING is enough for one
  that is not: then the thread that closes is left alone.
- A host hears neither itself nor another one under its own name, nor what has no host's name.

Keys: `canwharf/1/SPAN/HOST/frames`, a token of liveliness, `canwharf/1/SPAN/HOST/alive`, and
`canwharf/1/SPAN/HOST/state`, which answers queries. So access control binds a host's certificate to
what it sends.

Source: https://zenoh-python.readthedocs.io; zenoh#2587 (what DROP and BLOCK do).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Self

from canwharf.bus.span import is_name
from canwharf.errors import SetupError, SpanError
from canwharf.span import extra
from canwharf.span.settings import ROOT, Settings, zenoh

if TYPE_CHECKING:
    from typing import Protocol

    from zenoh import Query, Reply, Sample

    class Declared(Protocol):
        """What a session tells others that it has."""

        def undeclare(self) -> None:
            """Tell them that it has it no more."""


CLOSING = 2.0  # seconds
Send = Callable[[bytes], None]
Receive = Callable[[str, bytes], None]  # a host, its message
Tell = Callable[[str, bool], None]  # a host, whether it is there
PATIENCE = 2.0  # seconds in which hosts answer


class Session:
    """This host's session with all others. `repeated` counts messages under its own name."""

    def __init__(self, settings: Settings) -> None:
        """Raises SetupError: no zenoh; SpanError: no such address, an unusable certificate."""
        try:
            import zenoh as library  # noqa: PLC0415 (an extra)
        except ImportError as error:
            reason = f"zenoh, which connects hosts, is not installed: {extra.command()}"
            raise SetupError(f"cannot open a session: {reason}") from error
        self._zenoh = library
        self._host = settings.host
        self._known = {settings.host, settings.relay, *settings.hosts, *settings.refuse}
        self._refuse, self._relay = settings.refuse, settings.relay
        self._only = (*settings.hosts, settings.relay) if settings.strict else ()
        self.repeated = 0
        self._declared: dict[str, list[Declared]] = {}  # by span
        try:
            config = library.Config()
            for key, value in zenoh(settings).items():
                config.insert_json5(key, json.dumps(value))
            self._session = library.open(config)
        except library.ZError as error:
            raise _failed("open a session", error) from error

    def publish(self, span: str) -> Send:
        """What sends a message to all other hosts of a span. Raises SpanError; so does it."""
        library = self._zenoh
        try:
            token = self._session.liveliness().declare_token(f"{ROOT}/{span}/{self._host}/alive")
            self._keep(span, token)
            publisher = self._session.declare_publisher(
                f"{ROOT}/{span}/{self._host}/frames",
                congestion_control=library.CongestionControl.DROP,
                reliability=library.Reliability.RELIABLE,
                express=True,
                allowed_destination=library.Locality.REMOTE,
            )
        except library.ZError as error:
            raise _failed(f"publish {span}", error) from error
        self._keep(span, publisher)

        def send(payload: bytes) -> None:
            try:
                publisher.put(payload)
            except library.ZError as error:
                raise _failed(f"send to {span}", error) from error

        return send

    def subscribe(self, span: str, receive: Receive, tell: Tell) -> None:
        """Hand over what other hosts of a span send, and who comes and goes. Raises SpanError."""
        library = self._zenoh

        def taken(sample: Sample) -> None:
            if (host := _host(sample)) == self._host:
                self.repeated += 1
            elif self._is_heard(host):
                receive(host, sample.payload.to_bytes())

        def seen(sample: Sample) -> None:
            if self._is_heard(host := _host(sample)) and host != self._host:
                tell(host, sample.kind == library.SampleKind.PUT)

        try:
            remote = library.Locality.REMOTE
            frames, alive = f"{ROOT}/{span}/*/frames", f"{ROOT}/{span}/*/alive"
            heard = self._session.declare_subscriber(frames, taken, allowed_origin=remote)
            self._keep(span, heard)
            self._keep(
                span, self._session.liveliness().declare_subscriber(alive, seen, history=True)
            )
        except library.ZError as error:
            raise _failed(f"subscribe to {span}", error) from error

    def answer(self, span: str, told: Callable[[], bytes | None]) -> None:
        """Answer each host of a span that asks; None: not yet. Raises SpanError.

        `told` is called in a thread of zenoh's.
        """
        library = self._zenoh
        key = f"{ROOT}/{span}/{self._host}/state"

        def asked(query: Query) -> None:
            with query, suppress(library.ZError):  # the one that asks has gone
                if (answer := told()) is not None:
                    query.reply(key, answer)

        try:
            origin = library.Locality.REMOTE
            queryable = self._session.declare_queryable(key, asked, allowed_origin=origin)
        except library.ZError as error:
            raise _failed(f"answer in {span}", error) from error
        self._keep(span, queryable)

    def ask(self, span: str, take: Receive) -> None:
        """Ask all other hosts of a span; their answers are handed over. Raises SpanError."""
        library = self._zenoh

        def answered(reply: Reply) -> None:
            if sample := reply.ok:
                host = _host(sample)
                if self._is_heard(host) and host != self._host:
                    take(host, sample.payload.to_bytes())

        try:
            self._session.get(
                f"{ROOT}/{span}/*/state",
                answered,
                target=library.QueryTarget.ALL,
                consolidation=library.ConsolidationMode.NONE,
                timeout=PATIENCE,
                congestion_control=library.CongestionControl.DROP,
                express=True,
                allowed_destination=library.Locality.REMOTE,
            )
        except library.ZError as error:
            raise _failed(f"ask {span}", error) from error

    def linked(self) -> frozenset[str]:
        """Hosts that are connected with a certificate of the authority, whether or not let in."""
        return frozenset(
            filter(is_name, (each.auth_identifier or "" for each in self._session.info.links()))
        )

    def partners(self) -> frozenset[str]:
        """Of these, those that are let in; without a relay, which may have no bus of a span."""
        return frozenset(filter(self._is_heard, self.linked())) - {self._relay}

    def tell(self, span: str, topic: str, payload: bytes) -> None:
        """Say something beside the frames, after them. Raises SpanError."""
        library = self._zenoh
        try:
            self._session.put(
                f"{ROOT}/{span}/{self._host}/{topic}",
                payload,
                congestion_control=library.CongestionControl.DROP,
                priority=library.Priority.DATA_LOW,
                allowed_destination=library.Locality.REMOTE,
            )
        except library.ZError as error:
            raise _failed(f"tell {span}", error) from error

    def hear(self, span: str, topic: str, receive: Receive) -> None:
        """Hand over what other hosts say of this topic. Raises SpanError."""
        library = self._zenoh

        def taken(sample: Sample) -> None:
            if self._is_heard(host := _host(sample)) and host != self._host:
                receive(host, sample.payload.to_bytes())

        try:
            key, origin = f"{ROOT}/{span}/*/{topic}", library.Locality.REMOTE
            self._keep(span, self._session.declare_subscriber(key, taken, allowed_origin=origin))
        except library.ZError as error:
            raise _failed(f"subscribe to {span}", error) from error

    def strangers(self) -> frozenset[str]:
        """Hosts that came with a certificate of the authority, and are not known yet.

        A new session with them among `hosts` hears them, and they it.
        """
        return self.linked() - self._known

    def _is_heard(self, host: str) -> bool:
        """Access control does the same for who connects here; but not for who is behind a relay."""
        known = not self._only or host in self._only
        return known and host not in self._refuse and is_name(host)

    def leave(self, span: str) -> None:
        """Neither send to a span nor hear of it any more; the other hosts are told."""
        for each in self._declared.pop(span, ()):
            with suppress(self._zenoh.ZError):  # the session has ended, and all with it
                each.undeclare()

    def _keep(self, span: str, *declared: Declared) -> None:
        """Hold what zenoh would take back where nobody holds it."""
        self._declared.setdefault(span, []).extend(declared)

    def close(self) -> bool:
        """End it, and tell the other hosts; false: it has not ended in time."""
        closing = Thread(target=self._close, daemon=True)
        closing.start()
        closing.join(CLOSING)
        return not closing.is_alive()

    def _close(self) -> None:
        with suppress(self._zenoh.ZError):  # other hosts notice it all the same, after LEASE
            self._session.close()  # type: ignore[no-untyped-call]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()


def _host(sample: Sample) -> str:
    """The host under whose key it came."""
    return str(sample.key_expr).rsplit("/", 2)[1]


def _failed(operation: str, error: Exception) -> SpanError:
    """Zenoh's words, without the places in its own source."""
    words = str(error).partition(" at /")[0].rstrip(" [.")
    return SpanError(f"cannot {operation}: {words}")
