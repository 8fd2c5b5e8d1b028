"""Real adapters on the real kernel: set up, pulled out, plugged in again, lent."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import pytest

from canwharf.errors import CanwharfError, ConflictError, KernelError, OptionError
from canwharf.kernel import uapi
from canwharf.kernel.netlink import LinkEvents
from tests.adapter import RATES, Adapter
from tests.frames import Member, exchange, raw_socket
from tests.kernel.world import (
    LIMIT,
    Daemon,
    Site,
    can_interfaces,
    cangw_lines,
    full_mesh,
    gateway_rules,
    index_of,
    ip,
    shown,
    wait_until,
)
from tests.plugging import Wire, virtual

N, M = "n" * 64, "m" * 64
NAME = "motor"  # none that the kernel gives
RATE = "500000"

_CAN_RAW_ERR_FILTER = 2  # linux/can/raw.h

Plug = Callable[..., Adapter]


@pytest.fixture
def plug(stack: ExitStack) -> Plug:
    """Plugs in an adapter; it is pulled out at the end."""

    def made(name: str = NAME, bitrate: int = 0) -> Adapter:
        adapter = Adapter(name, bitrate)
        stack.callback(adapter.remove)
        return adapter

    return made


@pytest.fixture
def _never_virtual() -> Iterator[None]:
    """Nobody made a virtual interface of the adapter's name during the test."""
    events = LinkEvents()
    yield
    made = [found for name in (NAME, "can0") for found in virtual(events, name)]
    events.close()
    assert made == []


never_virtual = pytest.mark.usefixtures("_never_virtual")


def make(site: Site, network: str = N, **options: str) -> None:
    """A network on the adapter; the options without `can.`, and with `_` for `-`."""
    given = {"interface": NAME, "name": "can", "bitrate": RATE, **options}
    named = {f"can.{name.replace('_', '-')}": value for name, value in given.items() if value}
    site.service.create_network(network, named)


def settings(name: str = NAME) -> dict[str, object]:
    """What `ip` says of an adapter's settings."""
    told = shown(name)
    data = told["linkinfo"]["info_data"]
    return {
        "up": "UP" in told["flags"],
        "bitrate": data.get("bittiming_bitrate", 0),  # of an adapter with a list of rates
        "modes": data.get("ctrlmode", []),
        "txqueuelen": told["txqlen"],
    }


UP = {"up": True, "bitrate": 500000, "modes": [], "txqueuelen": 10}


class Ear:
    """A program in a container that hears all frames, error frames too."""

    def __init__(self, member: Member) -> None:
        self._socket = raw_socket(member)
        every = struct.pack("=I", uapi.CAN_ERR_MASK)
        self._socket.setsockopt(socket.SOL_CAN_RAW, _CAN_RAW_ERR_FILTER, every)
        self._socket.settimeout(LIMIT)

    def say(self, id: int) -> None:
        self._socket.send(struct.pack("=IB3x8x", id, 0))

    def until(self, last: int) -> list[int]:
        """The ids of all frames up to this one; error frames are the negative of their class."""
        heard: list[int] = []
        deadline = monotonic() + LIMIT
        while not heard or heard[-1] != last:
            assert monotonic() < deadline
            [id] = struct.unpack_from("=I", self._socket.recv(72))
            heard.append(-(id & uapi.CAN_ERR_MASK) if id & uapi.CAN_ERR_FLAG else id)
        return heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def ears(stack: ExitStack) -> Callable[[Site], list[Ear]]:
    """A program in each container of the bus."""

    def opened(site: Site) -> list[Ear]:
        made = [Ear(member) for member in site.members(NAME)[1:]]
        for ear in made:
            stack.callback(ear.close)
        return made

    return opened


def assert_on_the_wire(site: Site, adapter: Adapter) -> None:
    """Frames from the wire arrive once in each container, theirs once there and on the wire."""
    with Wire(site.members(adapter.name)[1:]) as wire:
        assert wire.check(adapter) == []


def error_rules() -> int:
    """How many gateway rules pass error frames."""
    return sum(line.endswith("-f 000:3FFFFFFF") for line in cangw_lines())


# Settings


def test_an_adapter_is_set_up_with_its_network(site: Site, plug: Plug) -> None:
    adapter = plug()
    make(site, txqueuelen="100", listen_only="on")
    assert settings() == UP | {"modes": ["LISTEN-ONLY"], "txqueuelen": 100}
    adapter.wait_for("L")  # slcan's word for a channel that only listens
    assert "S6" in adapter.asked()
    assert site.daemon.said("configured adapter")


def test_two_networks_share_what_one_of_them_asks_for(site: Site, plug: Plug) -> None:
    plug()
    make(site)
    make(site, M, bitrate="")
    with pytest.raises(OptionError, match=r"asks for can\.bitrate=500000"):
        make(site, "x" * 64, bitrate="250000")
    site.service.delete_network(M)
    assert settings() == UP


def test_an_adapter_is_taken_down_with_the_last_network_that_set_it_up(
    site: Site, plug: Plug
) -> None:
    """So the next one can have another rate: `docker compose down`, edit, `up`."""
    plug()
    make(site)
    make(site, M, bitrate="")
    site.service.delete_network(N)
    assert settings() == UP
    site.service.delete_network(M)
    assert settings() == UP | {"up": False}
    assert "ifalias" not in shown(NAME)
    make(site, bitrate="250000")
    assert settings() == UP | {"bitrate": 250000}


def test_an_adapter_that_somebody_set_up_stays_as_it_is(site: Site, plug: Plug) -> None:
    adapter = plug()
    adapter.start()
    ip(f"link set {NAME} alias mine")
    make(site)
    assert not site.daemon.said("configured adapter")
    site.service.delete_network(N)
    assert settings() == UP
    assert shown(NAME)["ifalias"] == "mine"


def test_an_alias_of_the_users_is_kept(site: Site, plug: Plug) -> None:
    plug()
    ip(f"link set {NAME} alias mine")
    make(site)
    assert settings() == UP
    assert shown(NAME)["ifalias"] == "mine"


def test_other_settings_of_somebody_else_are_an_error_that_says_which(
    site: Site, plug: Plug
) -> None:
    adapter = plug()
    adapter.start(250000)
    before = shown(NAME)
    with pytest.raises(OptionError, match=r"bitrate 250000 instead of 500000.*can\.force=true"):
        make(site)
    assert shown(NAME) == before
    assert not site.service.state.networks
    make(site, force="true")
    assert settings() == UP
    assert adapter.asked()[-2:] == ["S6", "O"]


def test_one_that_somebody_took_down_is_set_up_by_its_network(site: Site, plug: Plug) -> None:
    """As the error for other settings says; else frames would go out at the old rate."""
    plug().start(250000)
    site.daemon.reconciler.observe()
    ip(f"link set {NAME} down")
    make(site)
    assert settings() == UP


@pytest.mark.parametrize("force", ["", "true"])
def test_a_rate_that_it_cannot_do_is_refused_in_the_kernels_words(
    site: Site, plug: Plug, force: str
) -> None:
    """With the rates that it can; and nothing is left behind, even where it was up before."""
    adapter = plug()
    if force:
        adapter.start()
    before = settings(), shown(NAME).get("ifalias")
    with pytest.raises(KernelError) as caught:
        make(site, bitrate="123456", force=force)
    assert f"configure adapter {NAME}: Invalid argument" in str(caught.value)
    assert all(str(rate) in str(caught.value) for rate in RATES)
    assert (settings(), shown(NAME).get("ifalias")) == before
    assert not site.service.state.networks


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fd": "on", "dbitrate": "2000000"}, "can.fd=on: the adapter motor cannot do this"),
        ({"one_shot": "on"}, "can.one-shot=on: the adapter motor cannot do this"),
        ({"triple_sampling": "on"}, "can.triple-sampling=on: the adapter motor cannot"),
        ({"type": "virtual"}, "can.type=virtual: motor is a real adapter"),
        ({"type": "virtual", "bitrate": ""}, "can.type=virtual: motor is a real adapter"),
    ],
)
def test_what_the_adapter_is_not_is_refused(
    site: Site, plug: Plug, options: dict[str, str], words: str
) -> None:
    plug()
    before = shown(NAME)
    with pytest.raises(OptionError) as caught:
        make(site, **options)
    assert words in str(caught.value)
    assert shown(NAME) == before


def test_a_restart_time_reaches_the_adapter_or_is_refused(site: Site, plug: Plug) -> None:
    """Newer kernels know that a serial line cannot restart; older ones take it."""
    plug()
    try:
        make(site, restart_ms="100")
    except KernelError as error:
        assert "configure adapter motor" in str(error)  # noqa: PT017 - one of two right ends
        assert settings()["up"] is False
    else:
        assert shown(NAME)["linkinfo"]["info_data"]["restart_ms"] == 100


# Hot-plug


@pytest.mark.parametrize("name", ["", NAME], ids=["under its name", "renamed by udev"])
@never_virtual
def test_it_is_pulled_out_and_plugged_in_again(site: Site, plug: Plug, name: str) -> None:
    adapter = plug(name)
    interface = adapter.name
    make(site, interface=interface)
    site.start(N, "e1", "e2")
    assert_on_the_wire(site, adapter)
    index = index_of(interface)
    for turn in range(2):
        adapter.unplug()
        site.daemon.upkeep.repair()
        assert interface not in can_interfaces()
        assert len(site.daemon.said("the adapter is missing, waiting for it")) == turn + 1
        assert exchange(site.members(interface)[1:]).faults == []
        adapter = plug(name)
        site.daemon.upkeep.repair()
        assert index_of(interface) != index
        assert settings(interface) == UP
        assert gateway_rules() == full_mesh(site.ports(interface), [interface])
        assert error_rules() == 2
        assert_on_the_wire(site, adapter)
    assert not site.daemon.said("could not repair a bus")


def test_down_and_up_by_hand_needs_nothing_and_gets_nothing(
    site: Site, plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = plug()
    make(site)
    site.start(N, "e1", "e2")
    before, rules = list(site.daemon.events), sorted(cangw_lines())

    def send(_data: bytes) -> None:
        raise AssertionError("something was sent to the kernel")

    with monkeypatch.context() as patched:
        patched.setattr(site.daemon.netlink, "_send", send)
        for words in ("down", "up"):
            ip(f"link set {NAME} {words}")
            assert site.daemon.upkeep.repair()
            assert settings() == UP | {"up": words == "up"}
    assert (site.daemon.events, sorted(cangw_lines())) == (before, rules)
    assert_on_the_wire(site, adapter)


def test_one_that_came_back_with_other_settings_is_told_of_once(site: Site, plug: Plug) -> None:
    adapter = plug()
    make(site)
    ip(f"link set {NAME} down")
    ip(f"link set {NAME} type can bitrate 250000")
    ip(f"link set {NAME} up")
    for _look in range(2):
        site.daemon.upkeep.look()
    [told] = site.daemon.said("somebody set the adapter up otherwise")
    assert told.fields == {"interface": NAME, "difference": "bitrate 250000 instead of 500000"}
    assert settings() == UP | {"bitrate": 250000}
    adapter.unplug()
    plug()
    site.daemon.upkeep.repair()
    assert settings() == UP


def test_one_whose_network_insists_is_put_right(site: Site, plug: Plug) -> None:
    plug()
    make(site, force="true")
    ip(f"link set {NAME} down")
    ip(f"link set {NAME} type can bitrate 250000")
    ip(f"link set {NAME} up")
    site.daemon.upkeep.repair()
    assert settings() == UP


def test_adapters_that_change_names_change_buses(site: Site, plug: Plug) -> None:
    """Their rules stay with them: each bus would hear the other's wire."""
    adapters = {"cana": plug("cana"), "canb": plug("canb")}
    make(site, interface="cana")
    make(site, M, interface="canb")
    site.start(N, "e1")
    site.start(M, "f1")
    for name in adapters:
        ip(f"link set {name} down")  # older kernels refuse the new name of one that is up
    for name, new in (("cana", "x"), ("canb", "cana"), ("x", "canb")):
        ip(f"link set {name} name {new}")
    adapters["cana"].name, adapters["canb"].name = "canb", "cana"
    for name in adapters:
        ip(f"link set {name} up")
    site.daemon.upkeep.repair()
    ports = site.ports("cana"), site.ports("canb")
    assert gateway_rules() == full_mesh(ports[0], ["cana"]) + full_mesh(ports[1], ["canb"])
    assert error_rules() == 2
    for adapter in adapters.values():
        assert_on_the_wire(site, adapter)


@never_virtual
def test_the_container_is_up_before_the_adapter(site: Site, plug: Plug) -> None:
    """After a boot: the containers run, hear each other, and the wire as soon as it is there."""
    make(site, type="physical")
    site.start(N, "e1", "e2")
    assert NAME not in can_interfaces()
    missing = site.daemon.said("the adapter is missing, waiting for it")
    assert [each.level for each in missing] == ["warning"] * 2  # at each Join
    assert exchange(site.members(NAME)[1:]).faults == []
    assert site.service.describe(N, "e1")["canwharf.adapter"] == "missing"
    adapter = plug()
    site.daemon.upkeep.repair()
    assert settings() == UP
    assert_on_the_wire(site, adapter)


@never_virtual
def test_after_a_power_cut_the_name_is_kept_for_the_adapter(site: Site, plug: Plug) -> None:
    """Nobody said can.type: it was an adapter when the network was made."""
    adapter = plug()
    make(site, bitrate="")
    adapter.unplug()
    site.power_cut()
    site.daemon.upkeep.recover()
    site.start(N, "e1")
    site.daemon.upkeep.look()
    assert NAME not in can_interfaces()
    adapter = plug()
    adapter.start()  # no settings of ours: somebody else's
    site.daemon.upkeep.repair()
    assert_on_the_wire(site, adapter)


def test_a_vcan_of_somebodys_is_not_taken_for_the_adapter(site: Site, plug: Plug) -> None:
    make(site, type="physical")
    site.start(N, "e1")
    ip(f"link add {NAME} mtu 72 type vcan")
    ip(f"link set {NAME} up")
    site.daemon.upkeep.repair()
    assert gateway_rules() == {}
    assert site.daemon.said("something else has the adapter's name, waiting for the adapter")
    with pytest.raises(OptionError, match="motor is there and is virtual"):
        make(site, M, type="physical", bitrate="", interface=NAME)
    ip(f"link delete {NAME}")
    plug()
    site.daemon.upkeep.repair()
    assert settings() == UP
    assert len(gateway_rules()) == 2


def test_an_adapter_is_not_asked_of_a_virtual_bus(site: Site) -> None:
    site.service.create_network(M, {"can.interface": "vcan0"})
    for options, words in (
        ({"interface": "vcan0"}, "can.bitrate=500000: only an adapter can have this"),
        ({"interface": "vcan0", "type": "physical"}, "can.type=physical: vcan0 is there"),
        ({"interface": "free0"}, "there is no free0; plug it in, or say can.type=physical"),
        ({"interface": "free0", "type": "virtual"}, "can.type says virtual"),
        ({"type": "hardware"}, "right would be auto or virtual or physical"),
    ):
        with pytest.raises(OptionError) as caught:
            make(site, **options)
        assert words in str(caught.value)
    assert can_interfaces() == {"vcan0"}
    make(site, interface="vcan0", type="virtual", bitrate="")


def test_an_adapter_belongs_to_one_driver(site: Site, plug: Plug, tmp_path: Path) -> None:
    plug()
    make(site)
    other = Daemon(str(tmp_path / "other"), driver="rustyvxcan")
    try:
        with pytest.raises(OptionError, match="the driver canwharf has its bus on it"):
            other.service.create_network(M, {"can.interface": NAME})
    finally:
        other.close()


# Errors of the bus


@pytest.mark.parametrize("errors", ["", "on", "off"])
def test_error_frames_reach_the_containers_once_or_not_at_all(
    site: Site, plug: Plug, ears: Callable[[Site], list[Ear]], errors: str
) -> None:
    adapter = plug()
    make(site, errors=errors)
    site.start(N, "e1", "e2")
    listening = ears(site)
    adapter.change_state("p", 130, 0)
    adapter.change_state("b", 255, 0)
    adapter.send("t1230")
    controller, bus_off = -0x4, -0x40  # linux/can/error.h: CAN_ERR_CRTL, CAN_ERR_BUSOFF
    for ear in listening:
        heard = ear.until(0x123)
        told = [-(-each & 0x44) for each in heard[:-1]]  # newer kernels tell more classes
        assert told == ([] if errors == "off" else [controller, bus_off])


def test_another_network_can_silence_the_error_frames(site: Site, plug: Plug) -> None:
    plug().start()
    make(site, bitrate="")
    site.start(N, "e1", "e2")
    assert error_rules() == 2
    make(site, M, bitrate="", errors="off")
    assert error_rules() == 0
    site.service.delete_network(M)
    assert error_rules() == 2
    assert len(gateway_rules()) == len(full_mesh(site.ports(NAME), [NAME]))


def test_the_wrong_rate_is_seen_in_the_container(
    site: Site, plug: Plug, ears: Callable[[Site], list[Ear]]
) -> None:
    """Not silence: error frames, which candump shows."""
    adapter = plug(bitrate=250000)
    make(site)
    site.start(N, "e1")
    [ear] = ears(site)
    adapter.send("t1230")
    assert ear.until(-(0x8 | 0x80))[-1] == -0x88  # CAN_ERR_PROT | CAN_ERR_BUSERROR


def test_state_and_counters_are_told(site: Site, plug: Plug) -> None:
    adapter = plug()
    make(site)
    site.create(N, "e1")
    told = site.service.describe(N, "e1")
    assert (told["canwharf.adapter"], told["canwharf.state"]) == ("up", "ERROR-ACTIVE")
    assert told["canwharf.bitrate"] == RATE
    for state, words in (("w", "ERROR-WARNING"), ("p", "ERROR-PASSIVE"), ("b", "BUS-OFF")):
        adapter.change_state(state, 0, 0)
        wait_until(lambda words=words: site.service.describe(N, "e1")["canwharf.state"] == words)  # type: ignore[misc]
    told = site.service.describe(N, "e1")
    counters = ("error-warning", "error-passive", "bus-off", "bus-errors", "restarts")
    assert [told[f"canwharf.{name}"] for name in counters] == ["1", "1", "1", "0", "0"]


# The state on disk


def test_settings_outlive_the_daemon_and_the_machine(site: Site, plug: Plug) -> None:
    adapter = plug()
    make(site, txqueuelen="77", restart_ms="0", errors="off")
    kept = site.service.state.networks[N]
    site.restart()
    assert site.service.state.networks[N] == kept
    adapter.unplug()
    site.power_cut()
    plug()
    site.daemon.upkeep.recover()
    assert settings() == UP | {"txqueuelen": 77}


def test_a_state_from_before_is_read(site: Site, plug: Plug, tmp_path: Path) -> None:
    plug()
    make(site, bitrate="")
    state = tmp_path / "state" / "state.json"
    content = json.loads(state.read_text())
    del content["networks"][N]["adapter"]
    site.restart(lambda: _write(state, content))
    assert site.service.state.networks[N].settings.physical
    make(site, bitrate="")


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))


# A whole adapter for one container


def lend(site: Site, endpoint: str = "e1", prefix: str = "can") -> None:
    """Start a container with the adapter in it."""
    site.create(N, endpoint)
    joined = site.service.join(N, endpoint)
    assert joined[:2] == (NAME, prefix)
    site.settle(N, endpoint, joined)


def test_a_container_has_the_adapter_itself(site: Site, plug: Plug) -> None:
    adapter = plug()
    make(site, mode="move")
    lend(site)
    container = site.containers[N, "e1"]
    assert can_interfaces() == set()
    assert container.links()["can0"].up
    ear = Ear(container.member("can0"))
    adapter.send("t1230")
    assert ear.until(0x123) == [0x123]
    ear.say(0x321)
    adapter.wait_for("t3210")
    ear.close()
    assert cangw_lines() == []
    with pytest.raises(ConflictError, match="for endpoint e1 alone"):
        site.create(N, "e2")
    with pytest.raises(ConflictError, match="for endpoint e1 alone"):
        site.service.join(N, "e2")


def test_a_second_container_is_refused_at_every_moment(site: Site, plug: Plug) -> None:
    plug()
    make(site, mode="move")
    site.create(N, "e1")
    with pytest.raises(ConflictError, match="for endpoint e1 alone"):
        site.create(N, "e2")
    site.service.join(N, "e1")  # and the engine has not taken it yet
    with pytest.raises(ConflictError, match="for endpoint e1 alone"):
        site.create(N, "e2")
    assert set(site.service.state.networks[N].endpoints) == {"e1"}
    assert site.service.join(N, "e1").interface == NAME  # asked again


def test_it_is_taken_back_when_the_container_leaves(site: Site, plug: Plug) -> None:
    plug()
    make(site, mode="move")
    for endpoint in ("e1", "e2"):
        lend(site, endpoint)
        site.service.leave(N, endpoint)
        with site.containers.pop((N, endpoint)) as container:
            container.give_back("can0", NAME)
        site.service.delete_endpoint(N, endpoint)
        site.daemon.upkeep.repair()
        assert settings() == UP | {"up": False}
    site.service.delete_network(N)
    assert can_interfaces() == {NAME}
    assert "ifalias" not in shown(NAME)


@pytest.mark.parametrize("restart", [False, True], ids=["", "and the daemon was away"])
def test_it_comes_back_from_a_namespace_that_died(site: Site, plug: Plug, restart: bool) -> None:
    """Under the name that it had in there; it gets its own, and the next container gets it."""
    plug()
    make(site, mode="move")
    lend(site)
    if restart:
        site.restart()
    site.containers.pop((N, "e1")).close()
    wait_until(lambda: site.daemon.upkeep.repair() and can_interfaces() == {NAME})
    assert site.daemon.said("gave the adapter its name again")
    lend(site, "e2")
    assert set(site.service.state.networks[N].endpoints) == {"e2"}


def test_one_that_came_back_under_another_buss_name_is_not_that_buss(
    site: Site, plug: Plug
) -> None:
    """can0's adapter is unplugged, and motor's comes back as can0."""
    make(site, M, interface="can0", type="physical", bitrate="250000")
    site.start(M, "a")
    plug()
    make(site, mode="move")
    lend(site)
    site.containers.pop((N, "e1")).close()
    wait_until(lambda: bool(can_interfaces() & {"can0", NAME}))
    wait_until(lambda: site.daemon.upkeep.repair() and NAME in can_interfaces())
    assert "can0" not in can_interfaces()
    assert settings()["bitrate"] == 500000
    assert cangw_lines() == []


def test_an_endpoint_whose_container_died_is_collected(site: Site, plug: Plug) -> None:
    plug()
    make(site, mode="move")
    lend(site)
    for _look in range(3):
        site.daemon.upkeep.look()
    assert set(site.service.state.networks[N].endpoints) == {"e1"}
    site.containers.pop((N, "e1")).close()
    wait_until(lambda: site.daemon.upkeep.repair() and can_interfaces() == {NAME})
    for _look in range(3):
        site.daemon.upkeep.look()
    assert not site.service.state.networks[N].endpoints


def test_a_network_that_lends_has_the_adapter_alone(site: Site, plug: Plug) -> None:
    plug()
    make(site, mode="move")
    with pytest.raises(OptionError, match="a moved adapter is for one alone"):
        make(site, M, bitrate="")
    site.service.delete_network(N)
    make(site)
    with pytest.raises(OptionError, match="a moved adapter is for one alone"):
        make(site, M, mode="move")


def test_an_adapter_that_is_not_ready_is_not_lent(site: Site, plug: Plug) -> None:
    make(site, type="physical", mode="move", bitrate="")
    site.create(N, "e1")
    with pytest.raises(ConflictError, match="it is not there"):
        site.service.join(N, "e1")
    adapter = plug()
    with pytest.raises(ConflictError, match="it has no bit rate"):
        site.service.join(N, "e1")
    adapter.start(250000)
    assert site.service.join(N, "e1")[:2] == (NAME, "can")
    assert settings()["bitrate"] == 250000


def test_an_adapter_with_another_rate_is_not_lent(site: Site, plug: Plug) -> None:
    """A program that speaks at the wrong rate takes the whole bus down."""
    adapter = plug()
    make(site, mode="move")
    ip(f"link set {NAME} down")
    adapter.start(250000)
    site.create(N, "e1")
    with pytest.raises(ConflictError, match="bitrate 250000 instead of 500000"):
        site.service.join(N, "e1")
    ip(f"link set {NAME} down")
    lend(site)
    assert adapter.asked()[-2:] == ["S6", "O"]


@never_virtual
def test_one_that_is_pulled_out_of_its_container_and_plugged_in_waits_for_the_next(
    site: Site, plug: Plug
) -> None:
    adapter = plug()
    make(site, mode="move")
    lend(site)
    adapter.unplug()
    site.daemon.upkeep.repair()
    plug()
    site.daemon.upkeep.repair()
    site.service.delete_endpoint(N, "e1")
    site.containers.pop((N, "e1")).close()
    lend(site, "e2")


def test_a_failed_write_leaves_the_adapter_as_it_was(
    site: Site, plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug()
    before = settings() | {"bitrate": 500000}

    def full(_state: object) -> None:
        raise CanwharfError("the disk is full")

    monkeypatch.setattr(site.daemon.store, "save", full)
    with pytest.raises(CanwharfError, match="full"):
        make(site)
    assert settings() == before
    assert "ifalias" not in shown(NAME)
