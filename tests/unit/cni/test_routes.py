"""CNI's calls, as containerd, CRI-O and Multus make them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canwharf.bus import events, span
from canwharf.bus.store import Store
from canwharf.cni import api
from canwharf.errors import StateError
from canwharf.kernel import namespace
from tests.fake.answers import Crash
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel
from tests.fake.runtime import Runtime

Content = Mapping[str, object]
ALONE: Content = {
    "cniVersion": "1.1.0",
    "name": "drive",
    "type": "canwharf",
    "can.interface": "vcan0",
}
IP = {"interfaces": [{"name": "eth0", "sandbox": "/ns/a"}], "ips": [{"address": "10.0.0.2/24"}]}
CHAINED: Content = {**ALONE, "prevResult": {"cniVersion": "1.1.0", **IP}}
CHOICE: Content = {
    **{key: value for key, value in CHAINED.items() if key != "can.interface"},
    "buses": {"drive": {"can.interface": "vcan1"}, "vcan0": {}},
    "capabilities": {"io.kubernetes.cri.pod-annotations": True},
}


@pytest.fixture(autouse=True)
def _namespaces(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace, "opened", kernel.opened)


@pytest.fixture
def cni(daemon: Daemon) -> Runtime:
    return Runtime(daemon)


def pod(container: str, ifname: str = "eth0", sandbox: str = "") -> dict[str, str]:
    """The variables of a pod's calls."""
    name = f"K8S_POD_NAME={container};K8S_POD_NAMESPACE=default;IgnoreUnknown=1"
    path = f"/ns/{sandbox or container}"
    return {"CONTAINERID": container, "NETNS": path, "IFNAME": ifname, "ARGS": name}


def add(cni: Runtime, content: Content, **variables: str) -> dict[str, Any]:
    """The result of an ADD that succeeds."""
    status, answer = cni.cni("ADD", content, **variables)
    assert status == 200, answer
    result: dict[str, Any] = answer
    return result


def chosen(choice: str) -> Content:
    """The configuration as a runtime passes it for a pod with this annotation."""
    annotations = {api.ANNOTATION: choice, "other": "x"}
    return {**CHOICE, "runtimeConfig": {"io.kubernetes.cri.pod-annotations": annotations}}


def names(kernel: FakeKernel, sandbox: str) -> list[str]:
    return sorted(link.name for link in kernel.links(sandbox))


def test_alone_the_interface_has_the_runtimes_name(cni: Runtime, kernel: FakeKernel) -> None:
    """Multus: the `interface` of its annotation."""
    result = add(cni, ALONE, **pod("a", "can7"))
    assert result == {
        "cniVersion": "1.1.0",
        "interfaces": [{"name": "can7", "sandbox": "/ns/a"}],
    }
    add(cni, ALONE, **pod("b", "net1"))
    cni.daemon.assert_exactly_once("vcan0")
    assert len(cni.daemon.present("vcan0")) == 3
    assert cni.cni("CHECK", {**ALONE, "prevResult": result}, **pod("a", "can7")) == (200, None)
    for container, ifname in (("a", "can7"), ("b", "net1")):
        assert cni.cni("DEL", ALONE, **pod(container, ifname)) == (200, None)
    assert kernel.names() == {"lo", "vcan0", *cni.daemon.hub("vcan0")}


def test_a_bus_across_hosts(cni: Runtime) -> None:
    """As a network of Docker: `canwharf span` learns of it."""
    add(cni, {**ALONE, "can.span": "bench7"}, **pod("a"))
    told = span.published(cni.daemon.service.state)
    assert told["buses"] == {"vcan0": {"name": "bench7", "max_age": 500}}


def test_chained_the_plugins_before_keep_their_result(cni: Runtime, kernel: FakeKernel) -> None:
    """The pod has its address and a can0."""
    result = add(cni, CHAINED, **pod("a"))
    ours = {"name": "can0", "sandbox": "/ns/a"}
    assert result == {"cniVersion": "1.1.0", **IP, "interfaces": [*IP["interfaces"], ours]}
    assert names(kernel, "a") == ["can0"]


def test_two_buses_in_one_list(cni: Runtime, kernel: FakeKernel) -> None:
    """Both objects have the same container and CNI_IFNAME."""
    second = {**CHAINED, "can.interface": "vcan1", "can.ifname": "body"}
    add(cni, {**second, "prevResult": add(cni, CHAINED, **pod("a"))}, **pod("a"))
    assert names(kernel, "a") == ["body", "can0"]
    final = {**CHAINED, "prevResult": {"interfaces": [{"name": each} for each in ("eth0", "can0")]}}
    assert cni.cni("CHECK", final, **pod("a")) == (200, None)
    cni.cni("DEL", second, **pod("a"))
    cni.cni("DEL", CHAINED, **pod("a"))
    assert kernel.names() == {
        "lo",
        "vcan0",
        "vcan1",
        *cni.daemon.hub("vcan0"),
        *cni.daemon.hub("vcan1"),
    }


@pytest.mark.parametrize(
    ("choice", "there"),
    [
        ("", []),
        ("vcan0", ["can0"]),
        ("can0=vcan0,can1=drive", ["can0", "can1"]),
        ("body0=drive, vcan0", ["body0", "can0"]),
        ("drive,vcan0", ["can0", "can1"]),
    ],
)
def test_a_pod_chooses_its_buses(
    cni: Runtime, kernel: FakeKernel, choice: str, there: list[str]
) -> None:
    """By an annotation, without Multus; a pod without one has none."""
    result = add(cni, chosen(choice), **pod("a"))
    assert [each["name"] for each in result["interfaces"][1:]] == sorted(there) or choice
    assert names(kernel, "a") == there
    assert cni.cni("DEL", CHOICE, **pod("a")) == (200, None)
    assert names(kernel, "a") == []


def test_a_pod_without_annotations(cni: Runtime, kernel: FakeKernel) -> None:
    """Their value is null then; Multus's cni-args choose as well."""
    add(cni, {**CHOICE, "runtimeConfig": {"io.kubernetes.cri.pod-annotations": None}}, **pod("a"))
    add(cni, {**CHOICE, "args": {"cni": {"buses": "can3=drive"}}}, **pod("b"))
    assert (names(kernel, "a"), names(kernel, "b")) == ([], ["can3"])


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("can0=can0", "no bus can0 for pods on this node; there are: drive, vcan0"),
        ("can0=", "no bus  for pods"),
        ("can0=vcan0,can1=vcan0", "the bus on vcan0 is chosen twice"),
        ("averyveryverylongname=vcan0", "at most 15 fit"),
        ("can0=vcan0,can0=drive", "can0 is taken"),
    ],
)
def test_a_pod_gets_no_other_bus(cni: Runtime, kernel: FakeKernel, choice: str, words: str) -> None:
    """An annotation is a tenant's input; and of two interfaces not one is left."""
    status, answer = cni.cni("ADD", chosen(choice), **pod("a"))
    assert status == 400
    assert words in answer["msg"]
    assert names(kernel, "a") == []
    cni.cni("DEL", CHOICE, **pod("a"))
    assert not any(network.endpoints for network in cni.daemon.service.state.networks.values())


def test_removal_succeeds_however_it_comes(cni: Runtime, kernel: FakeKernel) -> None:
    """Twice, late, without a namespace, before any ADD: a pod is never stuck."""
    late = {**pod("a"), "NETNS": ""}
    assert cni.cni("DEL", ALONE, **late) == (200, None)
    add(cni, CHAINED, **pod("a"))
    add(cni, CHAINED, **pod("next"))
    kernel.kill_namespace("a")
    for _twice in range(2):
        assert cni.cni("DEL", {**CHAINED, "prevResult": {}}, **late) == (200, None)
    assert names(kernel, "next") == ["can0"]
    cni.daemon.assert_exactly_once("vcan0")


def test_an_add_without_a_del_replaces(cni: Runtime, kernel: FakeKernel) -> None:
    """A sandbox that was made anew after a power cut, with its old id."""
    add(cni, CHAINED, **pod("a"))
    kernel.kill_namespace("a")
    add(cni, CHAINED, **pod("a", sandbox="b"))
    assert names(kernel, "b") == ["can0"]
    cni.daemon.assert_exactly_once("vcan0")


def test_a_name_that_is_taken(cni: Runtime, kernel: FakeKernel) -> None:
    """Alone, before the IP plugin in a list: CNI_IFNAME is that one's."""
    kernel.add_link("theirs", "vcan")
    kernel.move("theirs", "a", new_name="eth0")
    status, answer = cni.cni("ADD", ALONE, **pod("a"))
    assert (status, answer["code"]) == (400, 100)
    assert "eth0 is taken in this container" in answer["msg"]
    assert kernel.names() == {"lo"}


def test_a_check_finds_what_is_gone(cni: Runtime, kernel: FakeKernel) -> None:
    """The interface, or the rules of it."""
    status, answer = cni.cni("CHECK", CHAINED, **pod("a"))
    assert (status, answer["msg"]) == (
        400,
        "the container is not connected to the bus on vcan0",
    )
    add(cni, CHAINED, **pod("a"))
    kernel.kill_namespace("a")
    assert cni.cni("CHECK", CHAINED, **pod("a"))[0] == 400


def test_garbage_collection_is_of_one_list(cni: Runtime, kernel: FakeKernel) -> None:
    """What the runtime still knows stays, and so does what has another list's name."""
    other = {**ALONE, "name": "drive.vcan0"}
    for container in ("a", "b"):
        add(cni, ALONE, **pod(container))
        add(cni, other, **pod(container, "net1"))
    valid = [{"containerID": "a", "ifname": "eth0"}]
    for field in ("cni.dev/valid-attachments", "cni.dev/attachments"):
        assert cni.cni("GC", {**ALONE, field: valid}) == (200, None)
    assert (names(kernel, "a"), names(kernel, "b")) == (["eth0", "net1"], ["net1"])
    status, answer = cni.cni("GC", ALONE)
    assert (status, "valid-attachments" in answer["msg"]) == (400, True)


def test_status_is_whether_an_add_could_succeed(
    cni: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kubectl describe node` shows its text."""
    assert cni.cni("STATUS", ALONE) == (200, None)

    def full(_self: Store, _state: object) -> None:
        raise StateError("write", "/var/lib/canwharf/state.json", "No space left on device")

    monkeypatch.setattr(Store, "save", full)
    cni.daemon.service.pending.dirty = True
    status, answer = cni.cni("STATUS", ALONE)
    assert (status, answer["code"]) == (400, 50)
    assert "No space left on device" in answer["msg"]


def test_the_versions(cni: Runtime) -> None:
    """The library asks before it uses a list."""
    status, answer = cni.cni("VERSION", {"cniVersion": "1.0.0"})
    assert (status, answer["cniVersion"]) == (200, "1.0.0")
    assert answer["supportedVersions"][-2:] == ["1.0.0", "1.1.0"]
    status, answer = cni.cni("ADD", {**ALONE, "cniVersion": "9.0.0"}, **pod("a"))
    assert (status, answer["code"]) == (400, 1)
    assert "must be one of" in answer["msg"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"can.interface": None}, "can.interface must be a string"),
        ({"can.interface": "a/b"}, "can.interface=a/b"),
        ({"can.bitrat": "5"}, "can.bitrat"),
        ({"ipam": {"type": "host-local"}}, "leave ipam away"),
        ({"name": 5}, "the field name"),
        ({"prevResult": 5}, "the field prevResult"),
        ({"buses": []}, "the field buses"),
        ({"runtimeConfig": {"io.kubernetes.cri.pod-annotations": {api.ANNOTATION: 5}}}, "string"),
    ],
)
def test_a_bad_configuration_is_an_error_in_cnis_form(
    cni: Runtime, kernel: FakeKernel, changed: Content, words: str
) -> None:
    """With a sentence that its user sees whole; nothing is left behind."""
    status, answer = cni.cni("ADD", {**ALONE, **changed}, **pod("a"))
    assert (status, answer["code"], answer["cniVersion"]) == (400, 7, "1.1.0")
    assert words in answer["msg"]
    assert kernel.names() == {"lo"}


def test_a_list_without_a_bus(cni: Runtime) -> None:
    """There is no default one."""
    without = {key: value for key, value in ALONE.items() if key != "can.interface"}
    assert "the bus is missing" in cni.cni("ADD", without, **pod("a"))[1]["msg"]


@pytest.mark.parametrize("verb", ["ADD", "DEL", "CHECK"])
@pytest.mark.parametrize("variable", ["CONTAINERID", "IFNAME"])
def test_a_call_without_its_variables(cni: Runtime, verb: str, variable: str) -> None:
    """By the number that CNI has for it."""
    status, answer = cni.cni(verb, ALONE, **{**pod("a"), variable: ""})
    assert (status, answer["code"]) == (400, 4)
    assert f"CNI_{variable} must be set" in answer["msg"]


@pytest.mark.parametrize("verb", ["", "add", "UPDATE"])
def test_an_unknown_verb(cni: Runtime, verb: str) -> None:
    status, answer = cni.cni(verb, ALONE, **pod("a"))
    assert (status, answer["code"]) == (400, 4)
    assert "ADD, DEL, CHECK, GC, STATUS, VERSION" in answer["msg"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b"x" * 1_000_000])
@pytest.mark.parametrize("verb", ["ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"])
def test_garbage(cni: Runtime, kernel: FakeKernel, verb: str, content: bytes) -> None:
    """In CNI's form, and nothing is left behind."""
    status, answer = cni.cni(verb, content, **pod("a"))
    assert (status, sorted(answer)) == (400, ["cniVersion", "code", "msg"])
    assert kernel.names() == {"lo"}
    assert not cni.daemon.said(events.INTERNAL)


def _lives(tmp_path: Path) -> Iterator[tuple[FakeKernel, Daemon, int]]:
    for step in range(1, 12):
        kernel = FakeKernel()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(namespace, "opened", kernel.opened)
            yield kernel, Daemon(tmp_path / str(step), kernel), step


@pytest.mark.parametrize("verb", ["ADD", "DEL"])
def test_a_crash_at_each_step(tmp_path: Path, verb: str) -> None:
    """The daemon is killed between any two sends to the kernel; the runtime calls DEL and ADD."""
    for kernel, daemon, step in _lives(tmp_path):
        add(Runtime(daemon), CHAINED, **pod("b"))
        if verb == "DEL":
            add(Runtime(daemon), CHAINED, **pod("a"))
        kernel.crash_after(step)
        with suppress(Crash):
            Runtime(daemon).cni(verb, CHAINED, **pod("a"))
        kernel.stop_faults()
        cni = Runtime(daemon.restarted())
        cni.daemon.maintenance.sync()
        assert cni.cni("DEL", CHAINED, **pod("a")) == (200, None)
        assert names(kernel, "a") == []
        add(cni, CHAINED, **pod("a"))
        cni.daemon.assert_exactly_once("vcan0")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
fields = st.sampled_from(
    ["name", "prevResult", "buses", "args", "runtimeConfig", "can.name", "cni.dev/attachments"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    verb=st.sampled_from(["ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"]),
    content=st.dictionaries(fields, anything),
)
def test_whatever_comes_the_answer_has_cnis_form(
    cni: Runtime, verb: str, content: dict[str, object]
) -> None:
    """Never an internal error."""
    cni.cni(verb, {**ALONE, **content}, **pod("a"))
    assert not cni.daemon.said(events.INTERNAL)
