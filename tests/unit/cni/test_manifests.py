"""The lists that users copy, from the page and from packaging/kubernetes."""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from canwharf.bus import options
from canwharf.cni import api
from canwharf.daemon.instance import usual
from canwharf.operator.service import executables
from canwharf.span import directory
from tests import REPOSITORY

FOLDER = REPOSITORY / "packaging/kubernetes"
PAGE = (REPOSITORY / "docs/kubernetes.md").read_text()
POD = (FOLDER / "pod.yaml").read_text()


def ours() -> Iterator[dict[str, Any]]:
    """Each object of ours."""
    yield json.loads((FOLDER / "10-canwharf.conflist").read_text())["plugins"][-1]
    yield json.loads(
        (FOLDER / "multus.yaml").read_text().partition("config: |\n")[2].partition("---")[0]
    )
    for block in re.findall(r"^    (\{.*?^    \}|\{.*?\})$", PAGE, re.MULTILINE | re.DOTALL):
        yield json.loads(block)


@pytest.mark.parametrize("content", list(ours()), ids=",".join)
def test_each_is_accepted(content: dict[str, Any]) -> None:
    """With its options, and for each bus that a pod can choose."""
    assert content["type"] == "canwharf"
    call = api.Call("ADD", "c1", "/ns/c1", "eth0")
    for choice in content.get("buses", {"": {}}):
        arguments = {"cni": {"buses": choice}}
        whole = {"cniVersion": "1.1.0", "name": "list", **content, "args": arguments}
        [wanted] = api.attachments(call, whole)
        options.parse_network(wanted.options)


def test_there_are_some() -> None:
    """Two files, and two blocks of the page."""
    assert len(list(ours())) == 4


@pytest.mark.parametrize("text", [POD, PAGE])
def test_a_pod_that_chooses(text: str) -> None:
    """By the annotation that is read, and buses that the list has."""
    [choice] = re.findall(rf"^ +{api.ANNOTATION}: (\S+=\S+)$", text, re.MULTILINE)
    content = next(ours())
    whole = {"cniVersion": "1.1.0", "name": "list", **content, "args": {"cni": {"buses": choice}}}
    found = api.attachments(api.Call("ADD", "c1", "/ns/c1", "eth0"), whole)
    assert [each.requested["can.ifname"] for each in found] == ["can0", "can1"]


def test_the_daemonset_is_what_the_managed_plugin_is() -> None:
    """The same program and privileges; on the host the same paths as by `canwharf install`."""
    text = (FOLDER / "daemonset.yaml").read_text()
    managed = json.loads((REPOSITORY / "packaging/plugin/config.json").read_text())
    [command] = re.findall(r"name: canwharf\n +image: .*\n +command:\n((?: +- .*\n)+)", text)
    assert re.findall(r"- (.*)", command) == managed["entrypoint"]
    [capabilities] = re.findall(r"drop: \[ALL\], add: \[(.*)\]", text)
    added = [f"CAP_{each}" for each in capabilities.split(", ")]
    assert added == managed["linux"]["capabilities"]
    assert "hostNetwork: true" in text
    own = usual("canwharf")
    assert own.socket.startswith("/run/")
    assert own.lock.startswith("/run/")
    mounted = dict(re.findall(r"\{name: (\w+), mountPath: ([\w/]+)", text))
    assert (mounted["run"], mounted["state"]) == ("/run", own.state_dir)
    hosts = dict(re.findall(r"\{name: (\w+), hostPath: \{path: ([\w/]+)", text))
    assert hosts == {"run": "/run", "state": own.state_dir, "plugins": executables._FOLDERS[0]}
    assert set(re.findall(r"# k3s: (.*)", text)) <= set(executables._FOLDERS)


def test_the_daemonset_writes_the_executable(tmp_path: Path) -> None:
    """Whole, executable, and over one that runs."""
    text = (FOLDER / "daemonset.yaml").read_text()
    [script] = re.findall(r"            - \|\n((?: {14}.*\n)+)", text)
    source = REPOSITORY / "src/canwharf/plugin.py"
    program = textwrap.dedent(script).replace("/host", str(tmp_path))
    program = program.replace("/usr/lib/python3/dist-packages/canwharf/plugin.py", str(source))
    (tmp_path / "canwharf").write_text("old")
    with (tmp_path / "canwharf").open() as old:
        exec(program, {})
        assert old.read() == "old"
    assert (tmp_path / "canwharf").read_bytes() == source.read_bytes()
    assert (tmp_path / "canwharf").stat().st_mode & 0o777 == 0o755
    assert [each.name for each in tmp_path.iterdir()] == ["canwharf"]


def test_the_span_of_each_node() -> None:
    """The files where the program looks, of its own node only; the user of the image; no right."""
    text = (FOLDER / "span.yaml").read_text()
    where = directory.DEFAULT
    mounted = dict(re.findall(r"mountPath: (\S+?), subPath(?:Expr)?: (\S+?),", text))
    assert mounted == {
        f"{where}/{directory.SETTINGS}": "$(NODE).toml",
        f"{where}/{directory.HOST}": "$(NODE).pem",
        f"{where}/{directory.CA}": "ca.pem",
    }
    assert os.path.dirname(usual("canwharf").spans) in re.findall(r"mountPath: ([^,]+),", text)
    assert "capabilities: {drop: [ALL]}" in text
    assert "add:" not in text
    image = (REPOSITORY / "packaging/span/Dockerfile").read_text()
    assert "\nUSER nobody\n" in image
    assert {"runAsUser: 65534", "fsGroup: 65534"} <= set(re.findall(r"\w+: 65534", text))
    [annotation, other] = re.findall(rf"{api.ANNOTATION}: (\S+)", text)
    assert annotation == other
    content = {"cniVersion": "1.1.0", "name": "list", **spanned()}
    call = api.Call("ADD", "c1", "/ns/c1", "eth0")
    [one] = api.attachments(call, {**content, "args": {"cni": {"buses": annotation}}})
    assert options.parse_network(one.options).span.name == "bench"


def spanned() -> dict[str, Any]:
    """The object of a node's list on the page of spans."""
    page = (REPOSITORY / "docs/span.md").read_text()
    [block] = re.findall(r"^    (\{.*?^    \})$", page, re.MULTILINE | re.DOTALL)
    return dict(json.loads(block))
