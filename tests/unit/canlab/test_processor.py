"""Guests of one processor do not share one while another is free."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack

import pytest

from tests.canlab.caller import SOURCE

PROGRAM = """
import os, sys
sys.path.insert(0, sys.argv[1])
from canlab.processor import take_one
take_one(sys.argv[2])
print(*os.sched_getaffinity(0), flush=True)
sys.stdin.read()
"""


def _take(stack: ExitStack, mark: str) -> tuple[subprocess.Popen[str], set[int]]:
    """A process that has taken one, and the processors that it may use now."""
    command = [sys.executable, "-S", "-c", PROGRAM, str(SOURCE), mark]
    process = stack.enter_context(
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    )
    assert process.stdout
    return process, {int(word) for word in process.stdout.readline().split()}


def test_each_has_its_own_until_all_are_taken(tmp_path: os.PathLike[str]) -> None:
    """And one that has ended gives its own back."""
    allowed = os.sched_getaffinity(0)
    if len(allowed) == 1:
        pytest.skip("this machine has one processor")
    mark = f"test-{os.fspath(tmp_path)}"[-80:]
    with ExitStack() as stack:
        each = [_take(stack, mark) for _ in allowed]
        assert all(len(mine) == 1 for _, mine in each)
        assert set().union(*(mine for _, mine in each)) == allowed
        _, late = _take(stack, mark)
        assert late == allowed
        ended, given_back = each[0]
        ended.communicate()
        assert _take(stack, mark)[1] == given_back
