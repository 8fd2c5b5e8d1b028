"""Trouble on purpose: a bus whose network says that it delays, loses or doubles frames."""

from __future__ import annotations

import json
import re

import pytest

from canwharf.bus import events, naming
from canwharf.bus.model import Settings
from canwharf.errors import CanwharfError, ConflictError
from canwharf.kernel import impairment
from canwharf.kernel.impairment import UNIMPAIRED
from tests.kernel.site import DRIVER, Site
from tests.kernel.test_shapes import dying
from tests.world.host import SYS_NET, index_of, ip, run, wait_until

N, M = "n" * 64, "m" * 64
IFB = naming.ifb(DRIVER, "vcan0")
GIVEN = {"can.interface": "vcan0", "can.name": "can"}
DELAY = {**GIVEN, "can.delay": "3ms"}
MODULES = ("ifb", "sch_netem", "sch_tbf", "sch_prio", "cls_bpf", "cls_basic", "act_mirred")


@pytest.fixture(autouse=True, scope="module")
def _loaded() -> None:
    """A kernel without one module loads no other by itself."""
    run("modprobe", "-a", *MODULES)


@pytest.fixture(name="slow")
def _slow(site: Site) -> Site:
    """Three containers on a bus with a delay."""
    site.service.create_network(N, DELAY)
    site.start(N, "e1", "e2", "e3")
    assert_slow(site)
    return site


def found(site: Site) -> impairment.Impaired:
    """What the kernel has."""
    netlink = site.daemon.netlink
    return impairment.Impaired(impairment.redirects(netlink), impairment.qdiscs(netlink))


def assert_slow(site: Site, delay: int = 3000) -> None:
    """All that containers send is delayed, and arrives exactly once."""
    wanted = impairment.wanted(impairment.Impairment(delay=delay))
    ifb = index_of(IFB)
    ports = [index_of(site.port(*each)) for each in site.containers]
    wait_until(lambda: found(site).redirects == dict.fromkeys(ports, ifb))
    assert found(site).qdiscs[ifb].form == wanted.form
    assert site.daemon.maintenance.sync().steps == ()
    site.assert_whole()


def assert_nothing_is_left(site: Site) -> None:
    """Neither an interface nor a filter."""
    assert not (SYS_NET / IFB).exists()
    wait_until(lambda: found(site) == UNIMPAIRED)


def test_it_comes_with_its_network_and_goes_with_it(slow: Site) -> None:
    """Containers come and go; the daemon may be another one."""
    slow.stop(N, "e2")
    slow.start(N, "e4")
    assert_slow(slow)
    slow.restart()
    assert slow.daemon.maintenance.recover()
    assert_slow(slow)
    for endpoint in ("e1", "e3", "e4"):
        slow.stop(N, endpoint)
    slow.service.delete_network(N)
    assert_nothing_is_left(slow)
    assert slow.daemon.maintenance.sync().steps == ()


@pytest.mark.parametrize("no_module", ["act_skbedit"], indirect=True)
@pytest.mark.usefixtures("no_module")
def test_on_a_mesh_it_is_the_same(site: Site) -> None:
    """Each frame once, later."""
    site.service.create_network(N, DELAY)
    site.start(N, "e1", "e2")
    site.service.create_endpoint(N, "e3", {})
    site.join(N, "e3")
    wait_until(lambda: set(found(site).redirects.values()) == {index_of(IFB)})
    assert len(found(site).redirects) == len(site.containers)


@pytest.mark.parametrize(
    "command",
    [
        f"ip link delete {IFB}",
        f"ip link set {IFB} down",
        f"ip link set {IFB} alias nobody",
        f"tc qdisc delete dev {IFB} root",
        f"tc filter delete dev {{port}} ingress pref {impairment.PRIORITY}",
        "tc qdisc delete dev {port} clsact",
    ],
)
def test_what_a_person_deletes_comes_back(slow: Site, command: str) -> None:
    """At once, and after a start of a daemon that did not see it."""
    words = command.format(port=slow.port(N, "e1")).split()
    run(*words)
    if "nobody" in command:
        ip(f"link set {IFB} down")  # a foreign one is left alone
        assert not slow.daemon.maintenance.repair()
        run("ip", "link", "delete", IFB)
    assert slow.daemon.maintenance.repair()
    assert_slow(slow)
    if "nobody" not in command:

        def unseen() -> None:
            run(*words)

        slow.restart(unseen)
        assert slow.daemon.maintenance.recover()
        assert_slow(slow)


def test_what_a_person_changes_is_put_right_at_the_next_look(slow: Site) -> None:
    """The kernel announces no more than that there is something new."""
    run("tc", "qdisc", "change", "dev", IFB, "root", "netem", "delay", "1s")
    assert slow.daemon.maintenance.sync().steps
    assert_slow(slow)


@pytest.mark.parametrize("qdisc", ["3:", "1f:"])
@pytest.mark.parametrize("part", ["qdisc", "filter"])
@pytest.mark.parametrize("seen", [True, False])
def test_a_part_of_the_arbitration_comes_back(
    site: Site, part: str, qdisc: str, seen: bool
) -> None:
    """One qdisc of seventeen, or its filter; also where no daemon was there to see it go."""
    site.service.create_network(N, {**GIVEN, "can.bandwidth": "500000"})
    site.start(N, "e1", "e2")
    goal = impairment.wanted(impairment.Impairment(500_000))
    assert found(site).qdiscs[index_of(IFB)].form == goal.form
    listed = run("tc", "qdisc", "show", "dev", IFB)
    (parent,) = re.findall(rf"qdisc prio {qdisc} parent (\S+)", listed)

    def delete() -> None:
        if part == "qdisc":
            run("tc", "qdisc", "delete", "dev", IFB, "parent", parent, "handle", qdisc)
        else:
            run("tc", "filter", "delete", "dev", IFB, "parent", qdisc)

    if seen:
        delete()
        assert site.daemon.maintenance.repair()
    else:
        site.restart(delete)
        assert site.daemon.maintenance.recover()
    assert found(site).qdiscs[index_of(IFB)].form == goal.form
    assert site.daemon.said(events.IMPAIRMENT_SET)


def test_networks_of_one_bus_share_it(slow: Site) -> None:
    """Another may say the same, or nothing; when the one that says it goes, frames go straight."""
    slow.service.create_network(M, GIVEN)
    slow.start(M, "f1")
    assert_slow(slow)
    with pytest.raises(CanwharfError, match=r"asks for can.delay=3ms"):
        slow.service.create_network("o" * 64, {**GIVEN, "can.loss": "1%"})
    for endpoint in ("e1", "e2", "e3"):
        slow.stop(N, endpoint)
    slow.service.delete_network(N)
    assert_nothing_is_left(slow)
    slow.start(M, "f2")
    slow.assert_whole()


def test_it_can_come_to_a_bus_that_is_in_use(site: Site) -> None:
    """The containers that are there get it, too."""
    site.network(N)
    site.start(N, "e1", "e2")
    site.service.create_network(M, DELAY)
    assert_slow(site)
    site.service.delete_network(M)
    assert_nothing_is_left(site)
    site.assert_whole()


def test_a_foreign_interface_of_the_name_is_left_alone(site: Site) -> None:
    """The error names it."""
    ip(f"link add {IFB} type ifb")
    with pytest.raises(ConflictError, match=IFB):
        site.service.create_network(N, DELAY)
    assert site.service.state.networks == {}
    assert json.loads(run("ip", "-j", "link", "show", IFB))[0]["ifname"] == IFB


@pytest.mark.parametrize("no_module", ["sch_netem", "sch_tbf", "cls_bpf", "ifb"], indirect=True)
def test_a_kernel_without_a_module_refuses_it(site: Site, no_module: str) -> None:
    """Before there is a container; nothing is left behind."""
    with pytest.raises(CanwharfError, match=f"kernel module {no_module} "):
        site.service.create_network(N, {**DELAY, "can.bandwidth": "500k"})
    assert site.service.state.networks == {}
    assert not (SYS_NET / "vcan0").exists()
    assert_nothing_is_left(site)
    site.network(N)


def test_an_adapter_refuses_it(site: Site) -> None:
    """Its wire has manners of its own."""
    with pytest.raises(CanwharfError, match=r"can\.delay=3ms: only a virtual bus does this"):
        site.service.create_network(
            N, {"can.interface": "can7", "can.type": "physical", "can.delay": "3ms"}
        )


def test_a_crash_at_any_message_leaves_what_the_next_start_completes(site: Site) -> None:
    """While the network is made, and while a container joins."""
    place, going = 1, True
    while going:
        with pytest.MonkeyPatch.context() as patch:
            going = dying(site, patch, place, lambda: site.service.create_network(N, DELAY))
        site.restart()
        assert site.daemon.maintenance.recover()
        if going:
            assert_nothing_is_left(site)
            site.service.create_network(N, DELAY)
        site.start(N, "e1", "e2")
        assert_slow(site)
        site.stop(N, "e1")
        site.stop(N, "e2")
        site.service.delete_network(N)
        place += 1
    assert place > 5


def test_a_crash_at_any_message_of_a_repair(slow: Site) -> None:
    """No frame arrives twice afterwards."""
    place, going = 1, True
    while going:
        ip(f"link delete {IFB}")
        with pytest.MonkeyPatch.context() as patch:
            going = dying(slow, patch, place)
        slow.restart()
        assert slow.daemon.maintenance.recover()
        assert_slow(slow)
        place += 1
    assert place > 5


def test_a_power_cut_keeps_what_the_network_says(slow: Site) -> None:
    """On disk, in the words of the options."""
    settings: Settings = slow.service.state.networks[N].settings
    slow.power_cut()
    assert slow.service.state.networks[N].settings == settings
    assert slow.daemon.maintenance.recover()
    slow.start(N, "e1", "e2")
    assert_slow(slow)
