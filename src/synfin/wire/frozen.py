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
    fields = [
        (
            field.name,
            Any,
            dataclasses.field(default=field.default, default_factory=field.default_factory, init=field.init),
        )
        for field in dataclasses.fields(kind)  # type: ignore[arg-type]
    ]
    twin = dataclasses.make_dataclass(kind.__name__, fields, slots=True, eq=False, repr=False)
    fill = twin.__init__  # type: ignore[misc]

    @wraps(kind.__init__)
    def init(self: Any, *given: Any, **named: Any) -> None:
        _become(self, twin)
        fill(self, *given, **named)
        _become(self, kind)

    kind.__init__ = init  # type: ignore[method-assign]
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
    for name, value in changes.items():
        if name not in twin.__slots__:  # type: ignore[attr-defined]
            raise TypeError(f"{kind.__name__} has no {name}")
        setattr(fresh, name, value)
    _become(fresh, kind)
    return fresh  # type: ignore[no-any-return]
