"""Pods on the same buses, by containerd and a kubelet's calls: in a guest of sid."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lab.guest import Guest
from tests.system.test_adapters import HERE, NAME, WAIT, plugged, pull
from tests.system.test_firewall import heard
from tests.world.engines import CNI, Engines

FAULT = "python3 -m canwharf fault add"
ANNOTATION = "canwharf/buses"
ALONE = {"cniVersion": "1.1.0", "name": "bus0", "type": "canwharf", "can.interface": "vcan0"}
MEGABYTES = "head -c 2000000 /dev/zero"  # a command that prints them
BUSES = {"vcan0": {}, "drive": {"can.interface": "vcan1"}}


@pytest.fixture(scope="module")
def machine() -> Iterator[Engines]:
    with Guest("sid") as guest:
        board = Engines(guest)
        board.start()
        board.start_containerd(buses=BUSES)
        yield board


@pytest.fixture
def node(machine: Engines) -> Iterator[Engines]:
    yield machine
    for name in machine.sh("ip netns list | cut -d' ' -f1").split():
        if not name.startswith("cni-"):
            machine.sh(f"ip netns del {name}")
    machine.clean()


def direct(
    node: Engines, verb: str, name: str, content: object = ALONE, ifname: str = "can0"
) -> str:
    """Start the executable as a runtime does, for a namespace of this name; its output."""
    words = {
        "CNI_COMMAND": verb,
        "CNI_CONTAINERID": name,
        "CNI_NETNS": f"/run/netns/{name}",
        "CNI_IFNAME": ifname,
        "CNI_PATH": "/opt/cni/bin",
    }
    variables = " ".join(f"{key}={value}" for key, value in words.items())
    text = content if isinstance(content, str) else json.dumps(content)
    input = MEGABYTES if text == MEGABYTES else f"printf %s '{text}'"
    done = node.guest.run(f"{input} | env {variables} {CNI}", check=False)
    assert (done.status == 0) is ("msg" not in done.stdout), done
    return done.stdout


def test_a_pod_chooses_two_buses(node: Engines) -> None:
    """By an annotation; beside its IP address, and with containers of Docker and Podman."""
    node.network()
    node.container("ecu1")
    node.sh("podman network create --driver canwharf --opt can.interface=vcan0 net0")
    podman = node.podman("ecu2", "net0")
    id, pod = node.pod("both", f"{ANNOTATION}=can0=vcan0,can1=drive")
    other, second = node.pod("second", f"{ANNOTATION}=can0=drive")
    assert node.links(f"{pod}:can0") == ["can0", "can1"]
    assert "10.88." in node.sh(f"ip netns exec {pod} ip -br addr show eth0")
    node.assert_exactly_once(
        *("host:vcan0", node.member("ecu1"), podman, f"{pod}:can0"),
        *("--members", "host:vcan1", f"{pod}:can1", f"{second}:can0"),
    )
    said = node.sh("python3 -m canwharf status")
    assert "default.both" in said
    for sandbox in (id, other):
        node.cri(f"stop {sandbox}")
        node.cri(f"stop {sandbox}")
        node.cri(f"remove {sandbox}")
    node.assert_exactly_once("host:vcan0", node.member("ecu1"), podman)


def test_a_pod_gets_no_bus_that_the_node_does_not_allow(node: Engines) -> None:
    """And its user reads which there are; nothing is left."""
    why = node.refused(f"cd /repo && python3 -m tests.world.cri run bad {ANNOTATION}=can0=can9")
    assert "no bus can9 for pods on this node; there are: drive, vcan0" in why


def test_a_pod_without_annotation_has_no_bus(node: Engines) -> None:
    id, pod = node.pod("plain")
    assert node.links(f"{pod}:eth0") == []
    node.cri(f"stop {id}")
    node.cri(f"remove {id}")


def test_without_the_daemon_pods_go_and_none_comes(node: Engines) -> None:
    """The node says so by itself, and is ready again by itself."""
    id, _pod = node.pod("goes", f"{ANNOTATION}=can0=vcan0")
    assert "NetworkReady=True" in node.cri("status")
    node.end_daemon("KILL")
    status = node.cri("status")
    assert "NetworkReady=False" in status
    assert "canwharf's daemon does not answer" in status
    node.cri(f"stop {id}")
    node.cri(f"remove {id}")
    why = node.refused(f"cd /repo && python3 -m tests.world.cri run none {ANNOTATION}=vcan0")
    assert "see 'canwharf doctor'" in why
    node.start_daemon()
    assert "NetworkReady=True" in node.cri("status")
    node.daemon.wait_for("garbage collecting an endpoint", 30)


def test_containerd_is_killed(node: Engines) -> None:
    """Pods live on, on their bus; their end comes later."""
    id, pod = node.pod("stays", f"{ANNOTATION}=can0=vcan0")
    node.sh("pkill -KILL -f '[c]ontainerd --config /etc/containerd'")
    node.run_containerd()
    node.assert_exactly_once("host:vcan0", f"{pod}:can0")
    node.cri(f"stop {id}")
    node.cri(f"remove {id}")


def test_four_pods_at_once_and_up_and_down(node: Engines) -> None:
    """Containerd calls for several at the same time; nothing is left of any."""
    before = set(node.sh("ls /run/netns", check=False).split())
    run = f"python3 -m tests.world.cri run many$0 {ANNOTATION}=can0=vcan0 >/tmp/pod$0; echo"
    node.sh(f"cd /repo && seq 4 | xargs -P 4 -n 1 sh -c '{run}'", timeout=300)
    sandboxes = [node.sh(f"cat /tmp/pod{number}") for number in range(1, 5)]
    pods = set(node.sh("ls /run/netns").split()) - before
    assert len(pods) == 4
    node.assert_exactly_once("host:vcan0", *(f"{pod}:can0" for pod in sorted(pods)))
    for sandbox in sandboxes:
        node.cri(f"stop {sandbox}")
        node.cri(f"remove {sandbox}")


def test_alone_for_multus(node: Engines) -> None:
    """The name is CNI_IFNAME; checked, and collected by the runtime's own list."""
    node.sh("ip netns add a && ip netns add b")
    for name, ifname in (("a", "can3"), ("b", "net1")):
        result = json.loads(direct(node, "ADD", name, ifname=ifname))
        assert result["interfaces"] == [{"name": ifname, "sandbox": f"/run/netns/{name}"}]
        assert direct(node, "CHECK", name, {**ALONE, "prevResult": result}, ifname) == ""
    node.assert_exactly_once("host:vcan0", "a:can3", "b:net1")
    valid = [{"containerID": "a", "ifname": "can3"}]
    assert direct(node, "GC", "", {**ALONE, "cni.dev/valid-attachments": valid}) == ""
    assert (node.links("a:can3"), node.links("b:net1")) == (["can3"], [])
    node.sh("ip netns del a")  # and its end comes after that
    for _twice in range(2):
        assert direct(node, "DEL", "a", ifname="can3") == ""


def test_the_firewall_and_trouble_on_purpose(node: Engines) -> None:
    """By the node's own object: a pod cannot change it."""
    node.sh("ip netns add a && ip netns add b")
    slow = {**ALONE, "name": "slow", "can.interface": "vcan2", "can.send": "100-1FF"}
    slow |= {"can.rate": "1000", "can.bandwidth": "500000", "can.delay": "1ms"}
    for name in ("a", "b"):
        direct(node, "ADD", name, slow)
    assert heard(node, "a:can0", "host:vcan2", "b:can0") == [["100", "1FF"]] * 2
    node.sh(f"{FAULT} vcan2 --from a --id 1FF --drop --keep")
    assert heard(node, "a:can0", "host:vcan2", "b:can0") == [["100"]] * 2
    said = node.sh("python3 -m canwharf status vcan2")
    assert "trouble on purpose: bandwidth 500000, delay 1ms" in said
    assert "may send 100-1FF" in said
    for name in ("a", "b"):
        assert direct(node, "DEL", name, slow) == ""


def test_the_firewall_and_trouble_on_purpose_with_podman(node: Engines) -> None:
    """By the options of a network, and of one container; a fault by the container's name."""
    options = "--opt can.send=100-1FF --opt can.rate=1000 --opt can.bandwidth=500000"
    node.sh(f"podman network create --driver canwharf --opt can.interface=vcan3 {options} slow")
    first, second = node.podman("ecu1", "slow"), node.podman("ecu2", "slow:can.receive=100")
    assert heard(node, first, "host:vcan3", second) == [["100", "1FF"], ["100"]]
    node.sh(f"{FAULT} vcan3 --from ecu1 --id 1FF --drop --keep")
    assert heard(node, first, "host:vcan3", second) == [["100"], ["100"]]
    assert "on purpose: bandwidth 500000" in node.sh("python3 -m canwharf status vcan3")


@pytest.mark.parametrize(
    ("verb", "content", "code", "said"),
    [
        ("ADD", "garbage", 6, "the standard input is not JSON"),
        ("ADD", "", 6, "the standard input is not JSON"),
        ("DEL", "[]", 6, "must be a JSON object"),
        ("ADD", MEGABYTES, 7, "1000000 bytes or more"),
        ("UPDATE", "{}", 4, "CNI_COMMAND must be one of ADD, DEL,"),
        ("ADD", {**ALONE, "cniVersion": "9"}, 1, "cniVersion must be one of 0.3.0,"),
        ("STATUS", {**ALONE, "cniVersion": 1}, 1, "cniVersion must be one of 0.3.0,"),
        ("ADD", {"cniVersion": "1.1.0", "name": "x"}, 7, "the bus is missing"),
        ("ADD", {**ALONE, "name": ""}, 7, "the field name must be"),
        ("ADD", ALONE, 100, "/run/netns/none"),  # a namespace that is gone
    ],
)
def test_bad_input(node: Engines, verb: str, content: object, code: int, said: str) -> None:
    """An error in CNI's form; nothing is left behind."""
    error = json.loads(direct(node, verb, "none", content))
    assert (error["cniVersion"], error["code"]) == ("1.1.0", code)
    assert said in error["msg"]
    assert node.endpoints() == []


def test_a_name_that_is_taken(node: Engines) -> None:
    """By an interface of the container itself: the pod's user reads which."""
    node.sh("ip netns add a && ip -n a link add can9 type vcan")
    for name in ("can9", "lo"):
        error = json.loads(direct(node, "ADD", "a", ifname=name))
        assert f"{name} is taken" in error["msg"]
    assert node.links("a:can9") == ["can9"]
    assert node.endpoints() == []


def test_a_pod_has_the_adapter_itself(node: Engines) -> None:
    """And gives it back at DEL, while its namespace lives; also beside a shared bus."""
    mode = {"can.interface": NAME, "can.bitrate": "500000", "can.mode": "move"}
    alone = {**ALONE, **mode, "can.name": "can"}
    buses = {"m": mode, "v": {"can.interface": "vcan0"}}
    two = {"cniVersion": "1.1.0", "name": "two", "type": "canwharf", "buses": buses}
    two["args"] = {"cni": {"buses": "can1=v,can0=m"}}
    node.sh("ip netns add one && ip -n one link add can0 type vcan && ip netns add two")
    with plugged(node) as wire:
        made = json.loads(direct(node, "ADD", "one", alone))
        assert [each["name"] for each in made["interfaces"]] == ["can1"]
        direct(node, "CHECK", "one", alone)
        node.sh("ip netns exec one cansend can1 451#CAFE")
        why = json.loads(direct(node, "ADD", "two", two))["msg"]
        assert "a moved adapter is for one alone" in why
        direct(node, "DEL", "one", alone)
        assert NAME in node.interfaces()
        named = {**ALONE, **mode}  # by CNI_IFNAME
        assert "can0 is taken" in json.loads(direct(node, "ADD", "one", named))["msg"]
        assert NAME in node.interfaces()
        made = json.loads(direct(node, "ADD", "two", two))
        assert [each["name"] for each in made["interfaces"]] == ["can1", "can0"]
        node.sh("ip netns exec two cansend can0 452#CAFE")
        node.assert_exactly_once("host:vcan0", "two:can1")
        node.sh("ip netns del two")
        node.sh(WAIT.format(HERE))
        direct(node, "DEL", "two", two)
        _plugged, _name, *written = pull(wire).split()
    assert written == ["t4512CAFE", "t4522CAFE"]


def test_a_container_of_podman_has_the_adapter_itself(node: Engines) -> None:
    """And gives it back, however it ends."""
    create = f"podman network create --driver canwharf --opt can.interface={NAME}"
    with plugged(node) as wire:
        node.sh(f"{create} --opt can.bitrate=500000 --opt can.mode=move motor")
        node.podman("ecu1", "motor")
        assert NAME not in node.interfaces()
        node.sh("podman exec ecu1 cansend can0 451#CAFE")
        why = node.refused("podman run --rm --network motor ecu true")
        assert "alone (can.mode=move)" in why
        node.sh("podman restart -t 0 ecu1 && podman exec ecu1 cansend can0 452#CAFE")
        node.sh("podman network disconnect motor ecu1")
        assert NAME in node.interfaces()
        node.sh("podman network connect motor ecu1 && podman exec ecu1 cansend can0 453#CAFE")
        node.end_daemon("KILL")
        node.sh("podman rm -ft 0 ecu1")
        node.start_daemon()
        node.sh(WAIT.format(HERE))
        member = node.podman("ecu2", "motor:interface_name=drive0")
        node.sh(f"kill -9 {member.partition(':')[0]} && podman wait ecu2 && podman rm ecu2")
        node.podman("ecu3", "motor")
        node.sh("podman exec ecu3 cansend can0 454#CAFE")
        node.sh("podman rm -ft 0 ecu3")
        assert NAME in node.interfaces()
        _plugged, _name, *written = pull(wire).split()
    assert written == [f"t45{number}2CAFE" for number in (1, 2, 3, 4)]


def test_the_manifests(node: Engines) -> None:
    """Each is YAML, and of the kind that it should be; Multus's definition makes a pod's bus."""
    load = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin))))"
    folder = "/repo/packaging/kubernetes"
    found = {
        name: json.loads(node.sh(f'python3 -c "{load}" <{folder}/{name}.yaml'))
        for name in ("daemonset", "multus", "pod", "span")
    }
    kinds = {name: [each["kind"] for each in all_of_it] for name, all_of_it in found.items()}
    definition = "NetworkAttachmentDefinition"
    one, pod = ["DaemonSet"], ["Pod"]
    assert kinds == {
        "daemonset": one,
        "multus": [definition, *pod],
        "pod": pod,
        "span": [*one, *pod, *pod],
    }
    for name in ("daemonset", "span"):
        daemonset = found[name][0]
        labels = daemonset["spec"]["template"]["metadata"]["labels"]
        assert daemonset["spec"]["selector"]["matchLabels"] == labels
        spec = daemonset["spec"]["template"]["spec"]
        volumes = {each["name"] for each in spec["volumes"]}
        containers = (*spec.get("initContainers", ()), *spec["containers"])
        mounts = [each for container in containers for each in container["volumeMounts"]]
        assert {each["name"] for each in mounts} == volumes
    assert spec["volumes"][0]["secret"]["defaultMode"] == 0o440  # YAML's octal number
    config = json.loads(found["multus"][0]["spec"]["config"])
    made = {**config, "can.interface": "vcan0"}
    del made["can.bitrate"]
    node.sh("ip netns add one")
    [interface] = json.loads(direct(node, "ADD", "one", made))["interfaces"]
    assert interface["name"] == "can0"
    direct(node, "DEL", "one", made)
