"""A board with Podman and containerd beside Docker: all on the same buses.

A guest of sid only: the other suites have no Podman. There is no Kubernetes: a kubelet's calls are
made by tests.world.cri.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.world.board import UP, Board

PLUGIN = "/repo/src/canwharf/plugin.py"
NETAVARK, CNI = "/usr/local/libexec/netavark/canwharf", "/opt/cni/bin/canwharf"
_CONTAINERD = """\
version = 3
root = "/var/lib/cri"
state = "/run/cri"
[grpc]
address = "/run/cri/containerd.sock"
[ttrpc]
address = "/run/cri/ttrpc.sock"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "docker.io/library/pause:1"
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["/usr/lib/cni", "/opt/cni/bin"]
conf_dir = "/etc/cni/net.d"
"""
# A pod's IP network, and ours after it. The address is the node's own business.
_PTP = {
    "type": "ptp",
    "ipam": {
        "type": "host-local",
        "ranges": [[{"subnet": "10.88.0.0/16"}]],
        "dataDir": "/run/ipam",
    },
}
_POD_ANNOTATIONS = {"capabilities": {"io.kubernetes.cri.pod-annotations": True}}

_CONTAINER = "{name: %s, image: docker.io/library/ecu, command: [sleep, '100000']}"
# A pod of two containers.
POD = f"""\
apiVersion: v1
kind: Pod
metadata: {{name: twin}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{_CONTAINER % "ecu1"}, {_CONTAINER % "ecu2"}]
"""
MY_IMAGE = """\
podman commit --change 'CMD ["sleep", "100000"]' "$(podman create --name made ecu)" my-image
podman rm made
"""


class Engines(Board):
    """Docker, Podman, and containerd as Kubernetes has it."""

    def start(self) -> None:
        """Docker and the daemon; the executables, the images."""
        super().start()
        for path in (NETAVARK, CNI):
            self.sh(f"install -D -m 755 {PLUGIN} {path}")
        self.sh("mkdir -p /var/lib/containers && mount -t tmpfs none /var/lib/containers")
        self.sh("docker save ecu | podman load", timeout=120)

    def start_containerd(self, **bus: object) -> None:
        """As a node has it, with a list of a ptp and this object of ours, and a pod's image."""
        self.boot_containerd(**bus)
        sleep = """--change 'ENTRYPOINT ["/bin/sleep", "100000"]'"""
        self.sh("docker create --name pause ecu && docker export pause >/tmp/pause.tar")
        self.sh(f"docker rm pause && docker import {sleep} /tmp/pause.tar pause:1")
        ctr = "ctr -a /run/cri/containerd.sock -n k8s.io"
        self.sh(f"docker save pause:1 | {ctr} images import -", timeout=120)

    def boot_containerd(self, **bus: object) -> None:
        """As each boot of a node does: its sandboxes and libcni's results are on the disk."""
        plugins = [_PTP, {"type": "canwharf", **_POD_ANNOTATIONS, **bus}]
        self.write("/etc/cni/net.d/10-pods.conflist", _list("pods", plugins))
        self.write("/etc/containerd/config.toml", _CONTAINERD)
        for each in ("cri", "cni"):
            self.sh(f"mkdir -p /persist/{each} /var/lib/{each}")
            self.sh(f"mount --bind /persist/{each} /var/lib/{each}")
        self.run_containerd()

    def run_containerd(self) -> None:
        """Start containerd alone."""
        process = self.guest.start(["containerd", "--config", "/etc/containerd/config.toml"])
        process.wait_for("containerd successfully booted", UP)

    def write(self, path: str, text: str) -> None:
        """Write a file in the guest."""
        self.sh(f"mkdir -p $(dirname {path}) && cat >{path} <<'END'\n{text}\nEND")

    def podman(self, name: str, network: str = "drive", more: str = "") -> str:
        """Start a container of Podman's that sleeps; its interface's member for frames."""
        self.sh(f"podman run -d --name {name} --network {network} {more} ecu sleep 100000")
        return self.of_podman(name)

    def of_podman(self, name: str, interface: str = "can0") -> str:
        """A container's interface in the words of tests.world.frames."""
        pid = self.sh(f"podman inspect -f '{{{{.State.Pid}}}}' {name}")
        return f"{pid}:{interface}"

    def links(self, member: str) -> list[str]:
        """The CAN interfaces beside a member's."""
        place = member.rpartition(":")[0]
        enter = (
            f"nsenter --net=/proc/{place}/ns/net" if place.isdigit() else f"ip netns exec {place}"
        )
        found = json.loads(self.sh(f"{enter} ip -j link"))
        return sorted(link["ifname"] for link in found if link["link_type"] == "can")

    def pod(self, name: str, annotation: str = "") -> tuple[str, str]:
        """Run a pod's sandbox, `NAME` or `NAME/ATTEMPT`; its id, and its namespace's name."""
        before = set(self.sh("ls /run/netns", check=False).split())
        id = self.cri(f"run {name} {annotation}")
        [namespace] = set(self.sh("ls /run/netns").split()) - before
        return id, namespace

    def cri(self, words: str) -> str:
        """What a kubelet would ask of containerd."""
        return self.sh(f"cd /repo && python3 -m tests.world.cri {words}")

    def endpoints(self) -> list[str]:
        """All endpoints of the daemon's state."""
        state = json.loads(self.sh("cat /var/lib/canwharf/state.json"))
        return sorted(id for each in state["networks"].values() for id in each["endpoints"])

    def clean(self) -> None:
        """Remove all containers and networks of a test.

        The bus of an idle network stays, and its hub, also where its adapter was pulled out.
        """
        self.sh("podman pod rm -fat 0; podman rm -fat 0; podman network prune -f")
        super().clean()
        ends = [each for each in self.interfaces() if each.startswith(("cwh", "cwc"))]
        left = self.endpoints(), ends
        assert left == ([], []), f"left behind: {left}"
        assert self.rules() == []


def _list(name: str, plugins: list[object]) -> str:
    content: Mapping[str, object] = {"cniVersion": "1.1.0", "name": name, "plugins": plugins}
    return json.dumps(content)
