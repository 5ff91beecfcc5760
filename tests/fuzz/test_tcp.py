"""The TCP fuzz target as a test, on inputs drawn by Hypothesis: the target stays able to run."""

from __future__ import annotations

from fuzz.fuzz_tcp import one_input
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_steps(data: bytes) -> None:
    one_input(data)
