"""Quick paths say what the careful ones say: options whose neighbours are remembered."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.observe.tcpwatch_options import Options, options

LINUX = bytes.fromhex("020405b40402080a0000000100000002010303070000")


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, len(LINUX)),
    st.dictionaries(st.integers(0, len(LINUX) - 1), st.integers(0, 255), max_size=3),
    st.binary(min_size=8, max_size=8),
)
def test_options_whose_timestamps_alone_are_new_are_read_as_any_others(
    size: int, changed: dict[int, int], stamps: bytes
) -> None:
    data = bytearray(LINUX[:8] + stamps + LINUX[16:])
    for place, octet in changed.items():
        data[place] = octet
    cut = bytes(data[:size])
    quick, careful = options(cut), Options(cut)
    assert [getattr(quick, name) for name in Options.__slots__] == [
        getattr(careful, name) for name in Options.__slots__
    ]
