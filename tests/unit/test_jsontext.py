"""Our JSON is Python's, but for what two programs read differently."""

from __future__ import annotations

import builtins
import importlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf import jsontext

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
WRONG = (
    "",
    " ",
    "[",
    "[1",
    "[1,]",
    "{",
    '{"a"}',
    '{"a":1,"a":2}',
    "1 2",
    "NaN",
    "-Infinity",
    "tru",
)


@pytest.fixture(params=["in C", "by json"])
def ours(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module, on this Python and on a later one whose reader in C wants something else."""
    if request.param == "in C":
        assert "json" not in vars(jsontext), "this Python has the reader and the writer"
        yield jsontext
        return
    take = builtins.__import__

    def other(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if "make_scanner" in (fromlist or ()) and name == "_json":
            raise ImportError(name)
        return take(name, globals, locals, fromlist or (), level)

    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "canwharf.jsontext")
        patch.setattr(builtins, "__import__", other)
        later = importlib.import_module("canwharf.jsontext")
    assert "json" in vars(later)
    yield later


@given(value=VALUES)
def test_what_json_writes_is_read_and_written(value: object) -> None:
    text = json.dumps(value)
    assert jsontext.loads(f" {text}\n".encode()) == value
    assert jsontext.dumps(value) == text


def test_on_either_way(ours: ModuleType) -> None:
    """A distribution's next Python must not keep the daemon from starting."""
    value = {"a": [1, 2.5, None, True, "é"], "b": {}}
    assert ours.loads(json.dumps(value, indent=1).encode()) == value
    assert ours.dumps(value) == json.dumps(value)
    for text in WRONG:
        with pytest.raises(ValueError, match=r"[a-z]"):
            ours.loads(text.encode())
    with pytest.raises(ValueError, match="utf-8"):
        ours.loads(json.dumps(value).encode("utf-16"))
    with pytest.raises(RecursionError):
        ours.loads(b"[" * 100_000)
    with pytest.raises(TypeError):
        ours.dumps({"a": object()})


def test_an_error_says_what_and_where() -> None:
    with pytest.raises(ValueError, match=r"Expecting value: line 1 column 1 \(char 0\)"):
        jsontext.loads(b"")
    with pytest.raises(ValueError, match=r"Extra data: line 1 column 3 \(char 2\)"):
        jsontext.loads(b"1 2")
    with pytest.raises(ValueError, match="the name 'a' stands twice"):
        jsontext.loads(b'{"a": 1, "a": 1}')
