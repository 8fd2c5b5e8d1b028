"""Programs that a verb runs: their own words are told."""

from __future__ import annotations

import pytest

from canwharf.errors import InstallError
from canwharf.operator import command


def test_a_programs_own_words_are_told() -> None:
    """A reason is better than a status."""
    assert command.run("sh", "-c", "echo yes") == "yes\n"
    with pytest.raises(InstallError, match="failed: the reason"):
        command.run("sh", "-c", "echo the reason >&2; exit 3")
    with pytest.raises(InstallError, match="exit status 3"):
        command.run("sh", "-c", "exit 3")
    with pytest.raises(InstallError, match="there is no program nonesuch"):
        command.run("nonesuch")
    assert not command.succeeds("false")
