"""The TLS fuzz target as a test: inputs drawn by Hypothesis, and each message damaged once in every setting."""

from __future__ import annotations

import pytest
from fuzz.fuzz_tls import KINDS, one_input
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=250, deadline=None)
@given(
    st.integers(0, 127),
    st.integers(0, len(KINDS) - 1),
    st.integers(0, 15),
    st.one_of(st.integers(0, 64), st.integers(0, 0xFFFF)),
    st.integers(0, 8),
    st.binary(max_size=8),
)
def test_mutants(flags: int, kind: int, how: int, at: int, gone: int, octets: bytes) -> None:
    one_input(bytes([flags, kind, how]) + at.to_bytes(2, "big") + bytes([gone]) + octets)


@pytest.mark.parametrize("flags", range(0, 64, 5))
def test_every_message_once(flags: int) -> None:
    for kind in range(len(KINDS)):
        one_input(bytes([flags, kind, 5, 0, 1, 0, 0x80]))
        one_input(bytes([flags, kind, 6, 0, 4, 1]))
