"""Named tuples that cost a start little: the classes of typing.NamedTuple, made without it.

Theory of operation. The daemon's values are named tuples. typing, where they come from, imports
a good part of the standard library, and compiles source for each class: together that was a quarter
of the time from the daemon's start to its first answer. Here a class is made of what C has already.
Its `__new__` is compiled with this module: those of two classes with as many fields differ in their
names alone, so a class gets a copy that has its own. For a type checker it is typing's own.

Rules:

- The module of a class has `from __future__ import annotations`: only the names of its fields are
  looked at.
- What typing's classes do is done here as well. `_make` alone does not count its values.

Sources: Lib/collections/__init__.py (namedtuple), Lib/typing.py (NamedTupleMeta).
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own would be what this module is without
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
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
            made = {
                "__slots__": (),
                "__match_args__": fields,
                "_fields": fields,
                "_field_defaults": defaults,
            }
            getters = {field: _tuplegetter(place, "") for place, field in enumerate(fields)}
            new = {"__new__": _constructor(fields, tuple(defaults.values()))}
            return type(name, (_Record,), {**new, **namespace, **made, **getters})

    NamedTuple = type.__new__(_Maker, "NamedTuple", (), {})


_new: Any = tuple.__new__
_values: Any = tuple
_locals: Any = locals
_NEW: tuple[Any, ...] = (  # by the number of fields, of which none begins with _ as these names do
    lambda _cls: _new(_cls, ()),
    lambda _cls, a: _new(_cls, (a,)),
    lambda _cls, a, b: _new(_cls, (a, b)),
    lambda _cls, a, b, c: _new(_cls, (a, b, c)),
    lambda _cls, a, b, c, d: _new(_cls, (a, b, c, d)),
    lambda _cls, a, b, c, d, e: _new(_cls, (a, b, c, d, e)),
    lambda _cls, a, b, c, d, e, f: _new(_cls, (a, b, c, d, e, f)),
    lambda _cls, a, b, c, d, e, f, g: _new(_cls, (a, b, c, d, e, f, g)),
    lambda _cls, a, b, c, d, e, f, g, h: _new(_cls, (a, b, c, d, e, f, g, h)),
)
# For any number; a value takes three times as long.
_NEW_OF_MANY: Any = lambda _cls: _new(_cls, _values(_locals().values())[1:])  # noqa: E731 (as above)
_Function: Any = type(_NEW_OF_MANY)


def _constructor(fields: tuple[str, ...], defaults: tuple[object, ...]) -> Callable[..., Any]:
    """A class's `__new__`; `defaults` are those of its last fields."""
    function = _NEW[len(fields)] if len(fields) < len(_NEW) else _NEW_OF_MANY
    names = ("_cls", *fields)
    code = function.__code__.replace(
        co_name="__new__",
        co_qualname="__new__",
        co_varnames=names,
        co_argcount=len(names),
        co_nlocals=len(names),
    )
    made: Callable[..., Any] = _Function(code, globals(), "__new__", defaults)
    return made


class _Record(tuple):  # type: ignore[type-arg]  # there is no Any here
    """What all classes have."""

    __slots__ = ()
    _fields: tuple[str, ...]

    _make: Any = classmethod(_new)

    def _replace(self, /, **named: Any) -> Any:  # noqa: ANN401 (any named tuple)
        """A copy with other values in these fields."""
        values: Iterable[Any] = tuple(map(named.pop, self._fields, self))
        if named:
            raise ValueError(f"{type(self).__name__} has no {', '.join(named)}")
        return _new(type(self), values)

    def _asdict(self, /) -> dict[str, Any]:
        """The values by their fields."""
        return dict(zip(self._fields, self, strict=True))

    def __getnewargs__(self, /) -> tuple[Any, ...]:
        """To copy one, and to pickle it."""
        return tuple(self)

    def __repr__(self, /) -> str:
        values = ", ".join(f"{field}={value!r}" for field, value in self._asdict().items())
        return f"{type(self).__name__}({values})"


__all__ = ["NamedTuple"]
