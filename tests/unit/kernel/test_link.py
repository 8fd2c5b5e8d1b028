"""What the kernel says of an interface, and what asking it to change one does."""

from __future__ import annotations

import errno

import pytest

from canwharf.errors import KernelError
from canwharf.kernel import link
from canwharf.kernel.link import Link
from canwharf.kernel.message import Message
from tests.fake import wire
from tests.fake.kernel import FakeKernel

ALIAS = "canwharf canwharf bus"
GROUP = 0x63770005


@pytest.fixture
def kernel() -> FakeKernel:
    return FakeKernel()


def get(kernel: FakeKernel, name: str) -> Link | None:
    answers = kernel.batch([link.get(name)])
    return link.parse(answers[0]) if answers else None


def test_every_word_of_the_kernel_is_read(kernel: FakeKernel) -> None:
    """Each of them decides something: what is ours, what is up, what carries FD frames."""
    made = kernel.add_link("vcan7", "vcan", mtu=16, up=False, alias="somebody's")
    assert get(kernel, "vcan7") == Link(
        made.index, "vcan7", "vcan", can=True, up=False, mtu=16, alias="somebody's"
    )


def test_what_is_no_can_interface_is_told_apart(kernel: FakeKernel) -> None:
    """A network on eth0 must be refused, not made."""
    found = get(kernel, "lo")
    assert found is not None
    assert (found.can, found.kind) == (False, "")


@pytest.mark.parametrize(("mtu", "fd"), [(16, False), (71, False), (72, True), (2060, True)])
def test_the_mtu_tells_whether_fd_frames_fit(mtu: int, fd: bool) -> None:
    """Or an adapter that knows classic CAN only would get rules that lose every FD frame."""
    assert Link(1, "can0", mtu=mtu).fd is fd


def test_a_vcan_is_made_with_fd_and_group(kernel: FakeKernel) -> None:
    """Not up and not named: that is by its index, and the group tells whose it is until then."""
    kernel.batch([link.make_vcan("vcan0", GROUP)])
    found = get(kernel, "vcan0")
    assert found == Link(found.ifindex if found else 0, "vcan0", "vcan", up=False, group=GROUP)


def test_a_pair_is_made_with_fd_and_the_hosts_end_has_the_group(kernel: FakeKernel) -> None:
    """The container is told nothing of us; its end is up as soon as the host's is."""
    kernel.batch([link.make_pair("cwh1", "cwc1", GROUP)])
    host, container = get(kernel, "cwh1"), get(kernel, "cwc1")
    assert host is not None
    assert container is not None
    ends = host.ifindex, container.ifindex
    off = {"kind": "vxcan", "carrier": False}  # until both ends are up
    assert host == Link(ends[0], "cwh1", up=False, group=GROUP, peer=ends[1], **off)  # type: ignore[arg-type]
    assert container == Link(ends[1], "cwc1", up=True, peer=ends[0], **off)  # type: ignore[arg-type]


def test_claiming_brings_up_and_names(kernel: FakeKernel) -> None:
    """By the index: by its name, our alias could land on a foreign interface."""
    made = kernel.add_link("vcan0", "vcan", up=False)
    kernel.batch([link.bring_up(made.index, "vcan0", ALIAS)])
    assert (made.up, made.alias) == (True, ALIAS)


def test_claiming_what_is_gone_is_an_error(kernel: FakeKernel) -> None:
    """Somebody deleted it between our two sends; it is to be looked at anew."""
    with pytest.raises(KernelError, match="cannot bring up and name interface vcan0") as caught:
        kernel.batch([link.bring_up(99, "vcan0", ALIAS)])
    assert caught.value.errno == errno.ENODEV


def test_an_end_that_went_into_a_container_is_seen(kernel: FakeKernel) -> None:
    """By this an endpoint with a container is told from an abandoned one."""
    kernel.batch([link.make_pair("cwh1", "cwc1", GROUP)])
    kernel.move("cwc1", "container", new_name="can0")
    found = get(kernel, "cwh1")
    assert found is not None
    assert found.peer_away


def test_deleting_one_end_deletes_both_and_again_is_no_error(kernel: FakeKernel) -> None:
    """Delete means: make sure it is absent."""
    kernel.batch([link.make_pair("cwh1", "cwc1", GROUP)])
    gone = link.delete(kernel.link("cwh1").index, "cwh1")
    kernel.batch([gone])
    kernel.batch([gone])
    assert kernel.names() == {"lo"}


def test_asking_for_what_is_not_there_gets_no_reply(kernel: FakeKernel) -> None:
    """Absence is an answer, not an error."""
    assert get(kernel, "vcan0") is None


def test_a_name_that_is_taken_leaves_nothing(kernel: FakeKernel) -> None:
    """The error names the pair; neither end stays behind."""
    kernel.add_link("cwc1", "vcan")
    with pytest.raises(KernelError, match="cannot create interface pair cwh1: File exists"):
        kernel.batch([link.make_pair("cwh1", "cwc1", GROUP)])
    assert kernel.names() == {"lo", "cwc1"}


@pytest.mark.parametrize("kind", ["vcan", "vxcan"])
def test_a_missing_module_is_named_with_the_remedy(kind: str) -> None:
    """The first thing that goes wrong on a fresh board; the user must learn what to do."""
    kernel = FakeKernel(modules={"can-gw"})
    requests = {
        "vcan": link.make_vcan("vcan0", GROUP),
        "vxcan": link.make_pair("cwh1", "cwc1", GROUP),
    }
    with pytest.raises(KernelError) as caught:
        kernel.batch([requests[kind]])
    assert caught.value.errno == errno.EOPNOTSUPP
    for words in ("Unknown device type", f"modprobe {kind}'", "/etc/modules-load.d/"):
        assert words in str(caught.value)


def test_the_list_has_every_link_of_the_host_and_no_other(kernel: FakeKernel) -> None:
    """What is in a container is not ours to look at."""
    kernel.batch([link.make_pair("cwh1", "cwc1", GROUP)])
    kernel.move("cwc1", "container")
    assert {each.name for each in link.links(kernel)} == {"lo", "cwh1"}


def test_a_message_without_its_fixed_part_is_refused() -> None:
    """As every malformed message: a ValueError and not a struct.error, which is none."""
    with pytest.raises(ValueError):  # noqa: PT011 - the words are struct's
        link.parse(Message(wire.NEWLINK, 0, 0, bytes(15)))


def test_a_number_that_is_too_short_is_refused() -> None:
    """An MTU of two bytes is no MTU."""
    body = wire.ifinfo(wire.CAN, 1, 0, {wire.MTU: b"\0\0"})
    with pytest.raises(ValueError):  # noqa: PT011 - the words are struct's
        link.parse(Message(wire.NEWLINK, 0, 0, body))
