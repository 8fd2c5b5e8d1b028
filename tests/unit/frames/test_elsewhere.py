"""A sender is named by itself, or with all others of its host."""

from __future__ import annotations

import pytest

from canwharf.frames.elsewhere import is_among


@pytest.mark.parametrize(
    ("sender", "names", "expected"),
    [
        ("ecu1", {"ecu1"}, True),
        ("b/ecu1", {"b/ecu1"}, True),
        ("b/ecu1", {"ecu2", "b/"}, True),
        ("b/endpoint 3f2a", {"b/"}, True),
        ("b/ecu1", {"ecu1"}, False),  # a namesake on another host
        ("b/ecu1", {"b"}, False),
        ("ecu1", {"b/", "ecu1/"}, False),
        ("bb/ecu1", {"b/"}, False),
        ("b", {"b/"}, False),  # a container of this host
        ("ecu1", set(), False),
    ],
)
def test_a_name_or_a_host(sender: str, names: set[str], expected: bool) -> None:
    assert is_among(sender, names) == expected
