"""Named tuples that cost a start little: the classes of typing.NamedTuple, made without it.

Theory of operation. The daemon's values are named tuples. typing, where they come from, imports
a good part of the standard library, and compiles source for each class: together that was a quarter
of the time from the daemon's start to its first answer. Here a class is made of what C has already,
and its `__new__` is compiled when there is a first value: most classes have none at a start. For a
type checker it is typing's own.

Rules:

- The module of a class has `from __future__ import annotations`: only the names of its fields are
  looked at.
- What typing's classes do is done here as well. `_make` alone does not count its values.

Sources: Lib/collections/__init__.py (namedtuple), Lib/typing.py (NamedTupleMeta).
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own would be what this module is without
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, NamedTuple
else:
    from _collections import _tuplegetter

    class _Maker(type):
        """Makes a subclass of tuple in the place of one of NamedTuple."""

        def __new__(
            maker: type, name: str, _bases: tuple[type, ...], namespace: dict[str, Any]
        ) -> type:
            fields = tuple(namespace.get("__annotations__", ()))
            defaults = {field: namespace[field] for field in fields if field in namespace}
            getters = {field: _tuplegetter(place, "") for place, field in enumerate(fields)}
            methods = {"__new__": _constructor(fields, defaults), "__repr__": _shown}
            made = {
                "__slots__": (),
                "__match_args__": fields,
                "_fields": fields,
                "_field_defaults": defaults,
                "__getnewargs__": _values,
                "_make": classmethod(tuple.__new__),
                "_replace": _replaced,
                "_asdict": _as_dict,
            }
            return type(name, (tuple,), {**methods, **namespace, **made, **getters})

    NamedTuple = type.__new__(_Maker, "NamedTuple", (), {})


def _constructor(fields: tuple[str, ...], defaults: Mapping[str, Any]) -> Callable[..., Any]:
    """A `__new__` that is compiled at its first call, and takes the place of this one then."""

    def __new__(cls: type[Any], /, *values: Any, **named: Any) -> Any:  # noqa: ANN401, N807
        names = "".join(f"{field}, " for field in fields)
        code = f"lambda _cls, {names}: _new(_cls, ({names}))"  # no field begins with _
        compiled: Any = eval(code, {"_new": tuple.__new__})  # noqa: S307 (as collections does)
        compiled.__defaults__ = tuple(defaults.values())
        cls.__new__ = compiled
        return compiled(cls, *values, **named)

    return __new__


def _replaced(self: Any, /, **named: Any) -> Any:  # noqa: ANN401 (any named tuple)
    """A copy with other values in these fields."""
    values: Iterable[Any] = tuple(map(named.pop, self._fields, self))
    if named:
        raise ValueError(f"{type(self).__name__} has no {', '.join(named)}")
    return tuple.__new__(type(self), values)


def _as_dict(self: Any, /) -> dict[str, Any]:  # noqa: ANN401 (any named tuple)
    """The values by their fields."""
    return dict(zip(self._fields, self, strict=True))


def _values(self: Any, /) -> tuple[Any, ...]:  # noqa: ANN401 (any named tuple)
    """To copy one, and to pickle it."""
    return tuple(self)


def _shown(self: Any, /) -> str:  # noqa: ANN401 (any named tuple)
    values = ", ".join(f"{field}={value!r}" for field, value in self._asdict().items())
    return f"{type(self).__name__}({values})"


__all__ = ["NamedTuple"]
