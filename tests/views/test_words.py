"""Numbers, times and hostile text as words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.views import words


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_000, "1.00 µs"),
        (340_000, "340 µs"),
        (999_600, "1.00 ms"),
        (12_340_000, "12.3 ms"),
        (999_900_000, "1.00 s"),
        (59_990_000_000, "1 min 0 s"),
        (125_000_000_000, "2 min 5 s"),
        (3_600_000_000_000, "1 h 0 min"),
        (864_000_000_000_000, "10 d"),
        (-12_340_000, "-12.3 ms"),
    ],
)
def test_duration(ns: int, text: str) -> None:
    assert words.duration(ns) == text


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0.000000"), (1_234_567_890, "1.234567"), (-500_000_000, "-0.500000")],
)
def test_moment(ns: int, text: str) -> None:
    assert words.moment(ns) == text


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([4], "4"), ([5, 4], "4, 5"), ([1, 2, 3, 7, 9, 10], "1-3, 7, 9, 10")]
)
def test_ranges(numbers: list[int], text: str) -> None:
    assert words.ranges(numbers) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("bücher.example", "bücher.example"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\r\nb\x00", "a\\x0d\\x0ab\\x00"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\x9b2J", "\\x9b2J"),
        ("\udcff", "\\udcff"),
    ],
)
def test_clean(text: str, shown: str) -> None:
    assert words.clean(text) == shown


@given(st.text(st.characters(codec=None), max_size=40))
@settings(max_examples=200)
def test_clean_leaves_nothing_that_steers_a_terminal(text: str) -> None:
    shown = words.clean(text)
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 or "\u202a" <= char <= "\u202e" for char in shown)
    shown.encode("utf-8")


@given(st.text("ab é界 ", max_size=60), st.integers(1, 40))
@settings(max_examples=150)
def test_shorten_and_pad_hit_the_width(text: str, width: int) -> None:
    assert words.width_of(words.shorten(text, width)) <= width
    assert words.width_of(words.pad(text, width)) == width
    assert words.width_of(words.shorten_middle(text, width)) <= width


@given(st.text("ab é界 ", max_size=200), st.integers(8, 60), st.integers(0, 4))
@settings(max_examples=200)
def test_wrap_loses_no_word_and_fits(text: str, width: int, indent: int) -> None:
    lead = len(text) - len(text.lstrip(" "))
    lines = words.wrap(text, width, indent)
    assert "".join("".join(lines).split()) == "".join(text.split())
    room = max(width, lead + indent + 4)
    assert all(words.width_of(line.rstrip()) <= room for line in lines)
