"""The lists that users copy, from the page and from packaging/kubernetes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from canwharf.bus import options
from canwharf.cni import api
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
