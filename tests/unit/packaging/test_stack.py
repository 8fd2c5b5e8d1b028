"""The image of `canwharf span`, and its Swarm stack: tests/faults/test_swarm_span.py runs both."""

from __future__ import annotations

import os
import re

from canwharf.daemon.instance import usual
from canwharf.span import directory
from tests import REPOSITORY

FOLDER = REPOSITORY / "packaging/span"
STACK = (FOLDER / "stack.yaml").read_text()


def test_each_node_has_its_own_certificate_where_it_is_read() -> None:
    """And no other node's: a task of one node cannot send as another one."""
    for node in ("bench-1", "bench-2"):
        [service] = re.findall(rf"hostname == {node}.*\n(?: {{4,}}.*\n)*", STACK)[:1]
        found = dict(re.findall(r"source: ([\w-]+), target: ([\w/.]+)", service)[:1])
        assert found == {"ca": f"{directory.DEFAULT}/{directory.CA}"}
        assert f"{{source: {node}, target: {directory.DEFAULT}/{directory.SETTINGS}}}" in service
        assert f"{{source: {node}, target: {directory.DEFAULT}/{directory.HOST}, uid" in service
        assert set(re.findall(r"source: (\S+),", service)) == {"ca", node}
        assert f"{node}: {{file: {node}/{directory.HOST}}}" in STACK


def test_it_has_no_right_and_sees_which_buses_have_a_span() -> None:
    """The user that the secrets are for is the image's."""
    assert "cap_drop: [ALL]" in STACK
    assert "read_only: true" in STACK
    assert set(re.findall(r'uid: "(\d+)"', STACK)) == {"65534"}
    assert f"source: {os.path.dirname(usual('canwharf').spans)}," in STACK
    assert "\nUSER nobody\n" in (FOLDER / "Dockerfile").read_text()
