"""The field's own tools as the reference: what `ip` and `cangw` send is what we send.

Their messages are taken from strace's hex dump and read with our codec; attributes are compared
by type and value, not by order, as the kernel reads them so.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from canwharf.kernel import gateway, link, message, uapi
from canwharf.kernel.gateway import CLASSIC, ERRORS, FD, Frames, Rule
from canwharf.kernel.message import Message
from canwharf.kernel.netlink import Netlink
from canwharf.kernel.request import Request
from tests.kernel.site import GROUP
from tests.world.host import index_of, ip, run

IFINFO, RTCAN = 16, 4  # bytes before the attributes: struct ifinfomsg, struct rtcanmsg
DUMP = re.compile(r"^ \| [0-9a-f]{5}  (.{48}) ", re.MULTILINE)
BINARY = {uapi.IFLA_MTU, uapi.IFLA_EXT_MASK, uapi.IFLA_GROUP}
SENT = {uapi.RTM_NEWLINK, uapi.RTM_DELLINK, uapi.RTM_NEWROUTE, uapi.RTM_DELROUTE}
IGNORED = uapi.NLM_F_ACK  # the batch's last message asks for it, not each


def captured(tmp_path: Path, command: str) -> list[Message]:
    """The changes that a program asks the kernel for.

    Older versions of `ip` first try out the kernel with a message that says nothing.
    """
    file = tmp_path / "strace"
    run(
        *("strace", "-e", "trace=sendto,sendmsg", "-e", "write=all", "-e", "signal=none"),
        *("-o", str(file), *shlex.split(command)),
    )
    sends: list[bytes] = []
    for part in re.split(r"^send(?:to|msg)\(", file.read_text(), flags=re.MULTILINE)[1:]:
        sends.append(bytes.fromhex("".join(DUMP.findall(part))))  # noqa: PERF401
    return [
        each
        for sent in sends
        for each in message.decode(sent)
        if each.type in SENT and any(each.body)
    ]


def tree(kind: int, data: bytes) -> object:
    """An attribute's value: nested ones as a dictionary, strings without their NUL."""
    if kind == uapi.IFLA_LINKINFO:
        inner = message.attributes(data)
        told: dict[str, object] = {"kind": message.read_text(inner.pop(uapi.IFLA_INFO_KIND))}
        for name, value in inner.items():
            assert name == uapi.IFLA_INFO_DATA
            [(peer, body)] = message.attributes(value).items()
            assert peer == uapi.VXCAN_INFO_PEER
            told["peer"] = link_change(body)
        return told
    return message.read_u32(data) if kind in BINARY else message.read_text(data)


def link_change(body: bytes) -> tuple[bytes, dict[int, object]]:
    """A link message's fixed part, and its attributes."""
    found = message.attributes(body, IFINFO)
    return body[:IFINFO], {kind: tree(kind, data) for kind, data in found.items()}


def decoded(sent: Message | Request) -> tuple[int, int, tuple[bytes, dict[int, object]]]:
    """All that matters in a link message."""
    return sent.type, sent.flags & ~IGNORED, link_change(sent.body)


def rule_change(sent: Message | Request) -> tuple[int, bytes, dict[int, bytes]]:
    """All that matters in a gateway message."""
    return sent.type, sent.body[:RTCAN], message.attributes(sent.body, RTCAN)


def with_up(sent: tuple[int, int, tuple[bytes, dict[int, object]]]) -> object:
    """A link message as it would be with IFF_UP, which `ip link add` cannot ask for."""
    kind, flags, (fixed, found) = sent
    up = link._info(up=True)
    assert fixed == link._info()
    return kind, flags, (up, found)


def test_a_pair_as_ip_makes_it(tmp_path: Path) -> None:
    """But for the container's end, which we bring up at once."""
    peer = f"peer name host0 mtu 72 group {GROUP}"
    [theirs] = captured(tmp_path, f"ip link add name cont0 mtu 72 type vxcan {peer}")
    assert with_up(decoded(theirs)) == decoded(link.make_pair("host0", "cont0", GROUP))


def test_a_vcan_as_ip_makes_it(tmp_path: Path) -> None:
    [theirs] = captured(tmp_path, f"ip link add name vcan0 mtu 72 group {GROUP} type vcan")
    assert decoded(theirs) == decoded(link.make_vcan("vcan0", GROUP))


def test_a_claim_as_ip_makes_it(tmp_path: Path) -> None:
    ip("link add vcan0 type vcan")
    alias = "canwharf canwharf bus"
    [theirs] = captured(tmp_path, f"ip link set vcan0 up alias '{alias}'")
    kind, flags, (fixed, found) = decoded(theirs)
    found.pop(uapi.IFLA_IFNAME, None)
    ours = link.bring_up(index_of("vcan0"), "vcan0", alias)
    assert (kind, flags, (fixed, found)) == decoded(ours)


def test_a_deletion_as_ip_does_it(tmp_path: Path) -> None:
    ip("link add vcan0 type vcan")
    ours = decoded(link.delete(index_of("vcan0"), "vcan0"))
    [theirs] = captured(tmp_path, "ip link delete vcan0")
    kind, flags, (fixed, found) = decoded(theirs)
    found.pop(uapi.IFLA_IFNAME, None)
    assert (kind, flags, (fixed, found)) == ours


# As cangw's options: frames, echo, limited
RULES: dict[str, tuple[Frames, bool, bool]] = {
    "-e -i -l 1": (CLASSIC, True, True),
    "-e -i -l 1 -X": (FD, True, True),
    "-i -l 1": (CLASSIC, False, True),
    "-i -l 1 -f 0:3FFFFFFF": (ERRORS, False, True),
    "-e -i": (CLASSIC, True, False),  # of an earlier version
}


@pytest.mark.parametrize("options", RULES)
def test_rules_as_cangw_makes_them(tmp_path: Path, options: str) -> None:
    ip("link add v0 type vcan")
    ip("link add v1 type vcan")
    rule = Rule(index_of("v0"), index_of("v1"), *RULES[options])
    words = f"-s v0 -d v1 {options}"
    [added] = captured(tmp_path, f"cangw -A {words}")
    assert rule_change(added) == rule_change(gateway.add(rule, ""))
    [deleted] = captured(tmp_path, f"cangw -D {words}")
    assert rule_change(deleted) == rule_change(gateway.delete(rule, ""))


def test_each_takes_away_what_the_other_made(netlink: Netlink) -> None:
    ip("link add v0 type vcan")
    ip("link add v1 type vcan")
    rule = Rule(index_of("v0"), index_of("v1"), FD)
    netlink.batch([gateway.add(rule, "")])
    words = ["-s", "v0", "-d", "v1", "-e", "-i", "-X", "-l", "1"]
    run("cangw", "-D", *words)
    assert gateway.entries(netlink) == []
    run("cangw", "-A", *words)
    netlink.batch([gateway.delete(rule, "")])
    assert gateway.entries(netlink) == []
