"""Which hosts a host's session connects to, and how: words -> a validated value -> zenoh's. Pure.

Rules:

- An endpoint is `PROTOCOL/HOST:PORT`, where a session listens or to which it connects. There is no
  listener and no connection but those that are given: nothing is searched for by multicast.
- `tls` and `quic` need this host's certificate and key, and the certificate of the authority that
  signed those of all hosts: each side proves its name. A connection is to the name, or the address,
  that stands in the other host's certificate.
- `tcp` is neither secret nor certain of the other side: only on loopback, or with `insecure`.
- Where there are certificates, a host sends under its own name only, which the common name of its
  certificate proves. Which hosts may send and hear at all is said by `hosts`: zenoh has no rule
  that would take the name from a certificate, so there is one for each host.
- Hosts that cannot connect to each other, as behind NAT, connect to one `relay`, which passes on
  what each sends. They trust it with their names: a connection proves the relay's name only.
- UDP is not among the protocols: zenoh's own loses half of the messages of a fast sender.
- A dead connection is noticed after LEASE, and tried again after RETRY.

Source: zenoh's DEFAULT_CONFIG.json5, 1.10; https://zenoh.io/docs/manual/access-control.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from canwharf.bus.span import is_name
from canwharf.errors import UsageError
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PLAIN, SECURE = "tcp", ("tls", "quic")
ROOT = "canwharf/1"  # of all keys: ROOT/SPAN/HOST/…
LEASE = 2000  # milliseconds
RETRY = {"period_init_ms": 200, "period_max_ms": 1000, "period_increase_factor": 2}

_ENDPOINT = re.compile(r"([a-z]+)/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})")
_SEND, _HEAR = ("put", "liveliness_token"), ("declare_subscriber", "declare_liveliness_subscriber")
_ASK, _ANSWER = ("query",), ("declare_queryable", "reply")
_EXAMPLE = "tls/192.0.2.1:7447"


class Settings(NamedTuple):
    """A session's: this host's name, its endpoints, and the paths of its certificates (PEM).

    Where there are certificates, `hosts` are the others that may send and hear, without those in
    `refuse`. Unless it is `strict`, another one with a certificate of the authority may join them.
    """

    host: str
    listen: tuple[str, ...] = ()
    connect: tuple[str, ...] = ()
    ca: str = ""
    certificate: str = ""
    key: str = ""
    insecure: bool = False
    hosts: tuple[str, ...] = ()
    refuse: tuple[str, ...] = ()
    strict: bool = False
    relay: str = ""  # the host that passes on what others send; maybe this one


def check(settings: Settings, dash: str = "--") -> None:
    """Refuse what no session can have, or should not. Raises UsageError.

    `dash` is before the names of options; those in a file have none.
    """
    check_name(settings.host, f"{dash}name ")
    for each in (*settings.hosts, *settings.refuse):  # a wrong one would shut out none
        check_name(each, f"{dash}host " if dash else "hosts or refuse, ")
    if not (settings.listen or settings.connect):
        raise UsageError(
            f"say where other hosts are: {dash}connect {_EXAMPLE}, or {dash}listen {_EXAMPLE} to "
            "let them connect; once for all, 'canwharf span init' or 'join' does it"
        )
    _check_relay(settings, dash)
    files = {"--ca": settings.ca, "--cert": settings.certificate, "--key": settings.key}
    missing = ", ".join(option for option, path in files.items() if not path)
    where = {f"{dash}listen": settings.listen, f"{dash}connect": settings.connect}
    for option, endpoints in where.items():
        for endpoint in endpoints:
            protocol, loopback = _read(option, endpoint)
            if protocol in SECURE and missing:
                raise UsageError(f"{option} {endpoint}: {protocol} needs {missing} too")
            if protocol == PLAIN and not (loopback or settings.insecure):
                raise UsageError(
                    f"{option} {endpoint}: everybody on the way could read frames and send some. "
                    "Use tls/ in the place of tcp/; or, where the network is your own, add "
                    "--insecure"
                )


def check_name(host: str, about: str = "") -> None:
    """Refuse what can be no host's name; `about` is where it stands. Raises UsageError."""
    if not is_name(host):
        raise UsageError(
            f"{about}{host or 'nothing'}: a host's name must be up to 63 lower-case letters, "
            "digits and - between them, like bench-1"
        )


def _check_relay(settings: Settings, dash: str) -> None:
    """With two ways between two hosts, frames would come twice. Raises UsageError."""
    relay = settings.relay
    if not relay:
        return
    if not is_name(relay):
        raise UsageError(f"{dash}relay {relay}: must be the {dash}name of a host, like bench-1")
    if relay == settings.host and (settings.connect or not settings.listen):
        raise UsageError(f"{dash}relay {relay}: the relay itself listens, and connects to no host")
    if relay != settings.host and settings.listen:
        words = f"behind a relay, a host only connects, and only to {relay}"
        raise UsageError(f"{dash}listen: {words}")


def _read(option: str, endpoint: str) -> tuple[str, bool]:
    """An endpoint's protocol, and whether it is on loopback. Raises UsageError."""
    match = _ENDPOINT.fullmatch(endpoint)
    if match is None or not 0 < int(match[3]) < 1 << 16:
        raise UsageError(f"{option} {endpoint}: must be like {_EXAMPLE}: PROTOCOL/HOST:PORT")
    protocol, host, _port = match.groups()
    if protocol not in (PLAIN, *SECURE):
        raise UsageError(f"{option} {endpoint}: the protocol must be tls, quic or tcp")
    try:
        return protocol, ip_address(host.strip("[]")).is_loopback
    except ValueError as error:
        if host.startswith("[") or host.rpartition(".")[2].isdecimal():  # no name ends so
            raise UsageError(f"{option} {endpoint}: {host} is no address") from error
        return protocol, host == "localhost"


def addresses(listen: Iterable[str], dash: str = "--") -> tuple[str, ...]:
    """Where others reach a host, as it has to stand in its certificate. Raises UsageError."""
    option, found = f"{dash}listen", []
    for endpoint in listen:
        protocol, _loopback = _read(option, endpoint)
        host = endpoint.partition("/")[2].rpartition(":")[0].strip("[]")
        if protocol not in SECURE:
            raise UsageError(f"{option} {endpoint}: a certificate is for tls/ or quic/")
        if not host.strip("0.:"):
            raise UsageError(
                f"{option} {endpoint}: say the address at which other hosts reach this one"
            )
        found.append(host)
    return tuple(found)


def zenoh(settings: Settings) -> dict[str, object]:
    """The keys of zenoh's configuration that are not as it has them by default."""
    tls = {
        "root_ca_certificate": settings.ca,
        "listen_certificate": settings.certificate,
        "listen_private_key": settings.key,
        "connect_certificate": settings.certificate,
        "connect_private_key": settings.key,
        "enable_mtls": True,
        "verify_name_on_connect": True,
        "close_link_on_expiration": True,
    }
    keys: dict[str, object] = {
        "mode": "router" if settings.relay else "peer",
        "listen/endpoints": settings.listen,
        "connect/endpoints": settings.connect,
        "connect/timeout_ms": -1,  # it is tried for ever; opening does not wait for it
        "connect/exit_on_failure": False,
        "connect/retry": RETRY,
        "scouting/multicast/enabled": False,
        "scouting/gossip/enabled": False,
        "transport/link/protocols": (PLAIN, *SECURE),
        "transport/link/tx/lease": LEASE,
        # A busy machine may be late to send a burst. Each message waits so long for a frozen host,
        # until LEASE, and meanwhile a bridge gathers more frames for the next one.
        "transport/link/tx/queue/size/data": 16,  # messages; the most that there can be
        "transport/link/tx/queue/congestion_control/drop/wait_before_drop": 20_000,  # microseconds
        "transport/link/rx/max_message_size": 1 << 16,  # bytes; a bridge sends less than 2^14
        "transport/shared_memory/enabled": False,
        "adminspace/enabled": False,
    }
    if not settings.ca:
        return keys
    return {**keys, "transport/link/tls": tls, "access_control": _access(settings)}


def _access(settings: Settings) -> dict[str, object]:
    """Access control: what is not allowed here is neither sent nor heard.

    A host of this one's own name is heard, so that the mistake can be told.
    """
    relay = settings.relay
    sender = "*" if relay == settings.host else settings.host
    rules = [
        _rule("hear", ("ingress", "egress"), _HEAR, "**"),
        _rule("send", ("egress",), _SEND, f"*/{sender}/*"),
        _rule("ask", ("ingress", "egress"), _ASK, "*/*/state"),
        _rule("answer", ("egress",), _ANSWER, f"*/{sender}/state"),
    ]
    subjects: list[dict[str, object]] = []
    policies: list[dict[str, object]] = []
    behind = relay not in ("", settings.host)
    by_certificate = {
        name: ({"cert_common_names": [name]}, "*" if behind else name)
        for name in ((relay,) if behind else dict.fromkeys((settings.host, *settings.hosts)))
        if name not in settings.refuse
    }
    plain = any(each.startswith(f"{PLAIN}/") for each in (*settings.listen, *settings.connect))
    # No host has a name like that; over plain TCP, there is nothing that proves one.
    others = {PLAIN + "/": ({"link_protocols": [PLAIN]}, "*")} if plain else {}
    for name, (subject, sender) in {**by_certificate, **others}.items():
        rules.append(_rule(f"from {name}", ("ingress",), _SEND, f"*/{sender}/*"))
        rules.append(_rule(f"told by {name}", ("ingress",), _ANSWER, f"*/{sender}/state"))
        subjects.append({"id": name, **subject})
        allowed = ["hear", "send", "ask", "answer", f"from {name}", f"told by {name}"]
        policies.append({"rules": allowed, "subjects": [name]})
    return {
        "enabled": True,
        "default_permission": "deny",
        "rules": rules,
        "subjects": subjects,
        "policies": policies,
    }


def _rule(id: str, flows: Sequence[str], messages: Sequence[str], keys: str) -> dict[str, object]:
    return {
        "id": id,
        "permission": "allow",
        "flows": flows,
        "messages": messages,
        "key_exprs": [f"{ROOT}/{keys}"],
    }
