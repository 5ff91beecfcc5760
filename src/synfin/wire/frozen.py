"""Frozen slotted dataclasses of many fields, made and changed quickly.

A frozen dataclass writes each field through ``object.__setattr__``, which for fifteen fields takes six times as long
as plain assignment, and connections make many such records.  ``quick`` gives a class a twin of the same layout that is
not frozen: a new object is filled as the twin and then becomes what it is.  When the constructor returns, the object
is as frozen as any.  ``changed`` copies with some fields changed.  Neither is for classes with a ``__post_init__`` or a
base class.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache, wraps
from operator import attrgetter
from typing import Any, TypeVar

T = TypeVar("T")

_become: Callable[[Any, type], None] = object.__dict__["__class__"].__set__


def quick(kind: type[T]) -> type[T]:
    """Class decorator, above ``@dataclass(frozen=True, slots=True)``: the same class, with a quicker constructor."""
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    twin = type(kind.__name__, (), {"__slots__": [field.name for field in fields]})
    names: dict[str, Any] = {"_become": _become, "_twin": twin, "_kind": kind, "_missing": dataclasses.MISSING}
    asked, lines = ["self"], []
    for field in fields:
        name, value = field.name, field.name
        default = f"_default_{name}"
        names[default] = field.default
        if field.default_factory is not dataclasses.MISSING:
            names[f"_make_{name}"], names[default] = field.default_factory, dataclasses.MISSING
            value = f"_make_{name}() if {name} is _missing else {name}" if field.init else f"_make_{name}()"
        elif not field.init:
            value = default
        if field.init:
            bare = names[default] is dataclasses.MISSING and value == name
            asked.append(name if bare else f"{name}={default}")
        lines.append(f"    self.{name} = {value}")
    head, tail = f"def init({', '.join(asked)}):", "    _become(self, _kind)"
    exec("\n".join((head, "    _become(self, _twin)", *lines, tail)), names)  # as dataclasses make theirs
    kind.__init__ = wraps(kind.__init__)(names["init"])  # type: ignore[method-assign]
    return kind


@cache
def _copier(kind: type) -> tuple[Callable[[Any], tuple[Any, ...]], type]:
    """What reads all fields of at least two, and the twin that is made of them."""
    names = [field.name for field in dataclasses.fields(kind)]
    return attrgetter(*names), dataclasses.make_dataclass(kind.__name__, names, slots=True, eq=False, repr=False)


def changed(old: T, **changes: Any) -> T:
    """A copy of ``old``, which has two fields or more, with ``changes``.  TypeError for a field it does not have."""
    kind = type(old)
    read, twin = _copier(kind)  # type: ignore[arg-type]
    fresh = twin(*read(old))
    try:
        for name, value in changes.items():
            setattr(fresh, name, value)
    except AttributeError:
        raise TypeError(f"{kind.__name__} has no {name}") from None
    _become(fresh, kind)
    return fresh  # type: ignore[no-any-return]
