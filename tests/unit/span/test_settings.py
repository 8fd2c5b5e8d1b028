"""A session listens and connects where it was told, and to nobody else."""

from __future__ import annotations

import pytest

from canwharf.errors import UsageError
from canwharf.span.settings import Settings, check, zenoh

SECURE = Settings("a", ca="ca.pem", certificate="a.pem", key="a.key")
PLAIN = Settings("a")


@pytest.mark.parametrize(
    "settings",
    [
        SECURE._replace(listen=("tls/192.0.2.1:7447",)),
        SECURE._replace(connect=("quic/bench-2.example:7447", "tls/[2001:db8::1]:1")),
        PLAIN._replace(listen=("tcp/127.0.0.1:7447",), host="bench-1"),
        PLAIN._replace(connect=("tcp/localhost:7447", "tcp/[::1]:65535")),
        PLAIN._replace(connect=("tcp/192.0.2.1:7447",), insecure=True),
        SECURE._replace(listen=("tls/192.0.2.1:7447",), relay="a"),
        SECURE._replace(connect=("tls/192.0.2.1:7447",), relay="b"),
    ],
)
def test_what_may_be(settings: Settings) -> None:
    check(settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (PLAIN, "--connect tls/192.0.2.1:7447, or --listen"),
        (PLAIN._replace(host="Bench_1"), "lower-case letters"),
        (PLAIN._replace(host="a/b"), "lower-case letters"),
        (PLAIN._replace(host=""), "lower-case letters"),
        (PLAIN._replace(host="*"), "lower-case letters"),
        (PLAIN._replace(listen=("tcp/0.0.0.0:7447",)), "--insecure"),
        (PLAIN._replace(listen=("tcp/[::]:7447",)), "--insecure"),
        (PLAIN._replace(connect=("tcp/bench-2:7447",)), "--insecure"),
        (PLAIN._replace(connect=("tcp/localhost.example:7447",)), "--insecure"),
        (PLAIN._replace(connect=("tls/bench-2:7447",)), "tls needs --ca, --cert, --key too"),
        (SECURE._replace(key="", listen=("quic/[::]:1",)), "quic needs --key too"),
        (PLAIN._replace(connect=("udp/127.0.0.1:7447",)), "must be tls, quic or tcp"),
        (PLAIN._replace(connect=("127.0.0.1:7447",)), "PROTOCOL/HOST:PORT"),
        (PLAIN._replace(connect=("tcp/127.0.0.1",)), "PROTOCOL/HOST:PORT"),
        (PLAIN._replace(connect=("tcp/127.0.0.1:0",)), "PROTOCOL/HOST:PORT"),
        (PLAIN._replace(connect=("tcp/127.0.0.1:65536",)), "PROTOCOL/HOST:PORT"),
        (PLAIN._replace(connect=("tls/192.0.2.300:7447",)), "192.0.2.300 is no address"),
        (SECURE._replace(listen=("tls/[::::]:7447",)), r"[::::] is no address"),
        (SECURE._replace(refuse=("Bench-2",)), "--host Bench-2: a host's name must be"),
        (SECURE._replace(hosts=("b", "bench-2.local")), "--host bench-2.local: a host's name"),
        (SECURE._replace(connect=("tls/b:1",), relay="a"), "the relay itself listens"),
        (SECURE._replace(connect=("tls/b:1",), listen=("tls/a:1",), relay="a"), "connects to no"),
        (SECURE._replace(connect=("tls/b:1",), listen=("tls/a:1",), relay="b"), "and only to b"),
        (SECURE._replace(connect=("tls/b:1",), relay="B"), "--relay B: must be"),
        (PLAIN._replace(connect=("tcp/127.0.0.1:1#iface=eth0",)), "PROTOCOL/HOST:PORT"),
        (PLAIN._replace(connect=("tcp/127.0.0.1:1?prio=1-2",)), "PROTOCOL/HOST:PORT"),
    ],
)
def test_what_may_not_be_and_what_is_said_of_it(settings: Settings, words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("[", r"\[")):
        check(settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (SECURE._replace(host="Bench-1", listen=("tls/192.0.2.1:1",)), "^name Bench-1: a host's"),
        (SECURE._replace(refuse=("Bench-2",)), "^hosts or refuse, Bench-2: a host's name must be"),
        (SECURE, "where other hosts are: connect tls/.*, or listen tls/"),
        (SECURE._replace(connect=("tls/b",)), "^connect tls/b: must be like"),
        (SECURE._replace(listen=("tls/a:1",), relay="B"), "^relay B: must be the name of a host"),
    ],
)
def test_what_stands_in_a_file_is_named_as_there(settings: Settings, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check(settings, dash="")


def test_the_other_side_must_prove_its_name() -> None:
    """Without these, zenoh would take any certificate of the authority, or none."""
    keys = zenoh(SECURE._replace(listen=("tls/192.0.2.1:7447",)))
    tls = keys["transport/link/tls"]
    assert isinstance(tls, dict)
    assert tls["enable_mtls"] is tls["verify_name_on_connect"] is True


def test_plain_tcp_on_loopback_beside_certificates_lets_in_who_has_none() -> None:
    """Its hosts have no certificate that could be asked for; those with one are bound to it."""
    both = SECURE._replace(
        listen=("tcp/127.0.0.1:1", "tls/192.0.2.1:1"), hosts=("b", "c"), refuse=("c",)
    )
    access = zenoh(both)["access_control"]
    assert isinstance(access, dict)
    assert [each["id"] for each in access["subjects"]] == ["a", "b", "tcp/"]
    senders = {each["id"]: each["key_exprs"] for each in access["rules"]}
    assert senders["from tcp/"] == ["canwharf/1/*/*/*"]
    assert senders["from b"] == ["canwharf/1/*/b/*"]


def test_without_certificates_there_is_no_access_control() -> None:
    """It could not tell hosts from each other."""
    assert "access_control" not in zenoh(PLAIN._replace(listen=("tcp/127.0.0.1:1",)))
