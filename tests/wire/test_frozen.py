"""A class with a quicker constructor is the same class otherwise."""

from __future__ import annotations

import copy
import inspect
from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synfin.wire.frozen import changed, quick


@dataclass(frozen=True, slots=True)
class Plain:
    """As dataclasses make it."""

    one: int
    two: tuple[int, ...] = ()
    three: bytes = field(default=b"", repr=False)
    four: list[int] = field(default_factory=list, compare=False)
    five: int | None = field(default=None, init=False)


@quick
@dataclass(frozen=True, slots=True)
class Quick:
    """The same fields."""

    one: int
    two: tuple[int, ...] = ()
    three: bytes = field(default=b"", repr=False)
    four: list[int] = field(default_factory=list, compare=False)
    five: int | None = field(default=None, init=False)


def values(thing: object) -> list[object]:
    return [getattr(thing, name) for name in ("one", "two", "three", "four", "five")]


@given(st.integers(), st.lists(st.integers()).map(tuple), st.binary())
def test_it_is_made_the_same(one: int, two: tuple[int, ...], three: bytes) -> None:
    plain, made = Plain(one, two, three=three), Quick(one, two, three=three)
    assert type(made) is Quick
    assert values(made) == values(plain)
    assert hash(made) == hash(Quick(one, two, three))
    assert made == Quick(one, two, three)
    assert repr(made) == repr(plain).replace("Plain", "Quick")
    assert copy.deepcopy(made) == made
    assert values(changed(made, one=one + 1, five=5)) == [one + 1, two, three, [], 5]
    assert values(changed(plain, one=one + 1)) == values(replace(plain, one=one + 1))
    assert values(made) == values(plain)


def test_it_is_frozen_and_takes_what_it_took() -> None:
    made = Quick(1)
    for name in ("one", "new"):
        with pytest.raises((FrozenInstanceError, TypeError)):
            setattr(made, name, 2)
    assert made.four is not Quick(1).four
    assert inspect.signature(Quick) == inspect.signature(Plain)
    with pytest.raises(TypeError):
        Quick()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Quick(1, five=5)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="has no six"):
        changed(made, six=6)
    with pytest.raises(FrozenInstanceError):
        changed(made, two=(1,)).one = 2  # type: ignore[misc]
