"""Named tuples of ours do what typing's do."""

from __future__ import annotations

import copy
import subprocess
import sys
import typing
from typing import Any

import pytest

from canwharf.record import NamedTuple


class Ours(NamedTuple):
    """One with a default, a property and a method."""

    first: int
    second: str = "two"

    @property
    def both(self) -> str:
        """Both."""
        return f"{self.first}{self.second}"


class Theirs(typing.NamedTuple):
    """The same."""

    first: int
    second: str = "two"

    @property
    def both(self) -> str:
        """Both."""
        return f"{self.first}{self.second}"


class Awkward(NamedTuple):
    """Names that its making could have for its own."""

    new: int
    cls: int
    self: int = 3


Maker = type[Ours] | type[Theirs]
BOTH: tuple[Maker, Maker] = (Ours, Theirs)


class Many(NamedTuple):
    """More fields than most have: their `__new__` is made in another way."""

    a: int
    b: int
    c: int
    d: int
    e: int
    f: int
    g: int
    locals: int
    tuple: int = 9


@pytest.mark.parametrize("made", BOTH)
def test_it_is_made_by_place_by_name_and_by_default(made: Maker) -> None:
    for one in (
        made(1),
        made(1, "two"),
        made(first=1),
        made(1, second="two"),
        made._make([1, "two"]),
    ):
        assert one == (1, "two")
        assert (one.first, one.second, one.both, hash(one)) == (1, "two", "1two", hash((1, "two")))
    assert made(second="x", first=2) == (2, "x")


@pytest.mark.parametrize("made", BOTH)
def test_it_is_replaced_matched_and_shown(made: Maker) -> None:
    one = made(1)
    assert one._replace(second="x") == made(1, "x")
    assert type(one._replace(second="x")) is made
    assert list(one._asdict().items()) == [("first", 1), ("second", "two")]
    assert (made._fields, made._field_defaults) == (("first", "second"), {"second": "two"})
    assert repr(one) == f"{made.__name__}(first=1, second='two')"
    assert copy.copy(one) == one
    match one:
        case Ours(first, second) | Theirs(first, second):
            assert (first, second) == one
        case _:
            raise AssertionError


@pytest.mark.parametrize("made", BOTH)
def test_a_mistake_is_an_error(made: Maker) -> None:
    """Never a value with other fields."""
    wrong: list[tuple[list[Any], dict[str, Any]]] = [
        ([], {}),
        ([1, "x", 3], {}),
        ([1], {"first": 1}),
        ([1], {"third": 3}),
        ([], {"second": "x"}),
    ]
    for values, named in wrong:
        with pytest.raises(TypeError):
            made(*values, **named)
    one: Any = made(1)
    with pytest.raises((TypeError, ValueError)):
        one._replace(third=3)
    with pytest.raises(AttributeError):
        one.first = 2
    with pytest.raises(AttributeError):
        _ = one.third


def test_a_field_may_have_any_name() -> None:
    one = Awkward(new=1, cls=2)
    assert (one.new, one.cls, one.self) == one == Awkward(1, 2, 3)
    assert one._replace(new=4, cls=5) == (4, 5, 3)


def test_it_may_have_many_fields() -> None:
    made: Any = Many
    values = tuple(range(1, 9))
    assert made(*values) == made(*values[:7], locals=8) == (*values, 9)
    assert made(*values)._replace(a=2, tuple=3) == (2, *values[1:], 3)
    for wrong in (values[:7], (*values, 9, 10)):
        with pytest.raises(TypeError, match="__new__"):
            made(*wrong)


def test_it_imports_no_typing() -> None:
    """For that it is there."""
    code = "import sys, canwharf.record; print('typing' in sys.modules)"
    words = [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
