"""The list from columns alone says what the full stories say."""

from __future__ import annotations

from pathlib import Path

import pytest

from synfin.capture import open_capture
from synfin.observe import observe
from synfin.observe.listing import Listing, Summary
from synfin.views.names import spoken, summary_spoken
from synfin.views.outcome import outcome, summary_outcome
from tests.support.shared import captures

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.pcapng"))


def both(path: Path) -> tuple[int, dict[int, tuple[object, ...]], dict[int, tuple[object, ...]]]:
    """How many were told from columns, then (id -> what is said) of the list and of the stories."""
    listed: dict[int, tuple[object, ...]] = {}
    told: dict[int, tuple[object, ...]] = {}
    ordinary = 0
    with open_capture(path) as capture:
        for item in Listing(capture):
            if isinstance(item, Summary):
                ordinary += 1
                speaks = summary_spoken(item.tls_version, item.alpn, item.http_version)
                said: tuple[object, ...] = (summary_outcome(item), speaks, item.packets, item.octets)
                listed[item.id] = (item.a, item.b, item.name, item.start, item.end, *said)
            else:
                listed[item.id] = ()
    with observe(path, embedded=False) as story:
        for one in story:
            sides = one.tcp.sides
            said = (outcome(one), spoken(one), len(one.rows), sides[0].wire_bytes + sides[1].wire_bytes)
            told[one.id] = (one.a, one.b, one.name, one.start, one.end, *said)
    return ordinary, listed, told


@pytest.mark.parametrize("path", [*EXAMPLES, *captures()], ids=lambda path: path.name)
def test_the_list_tells_what_the_stories_tell(path: Path) -> None:
    _, listed, told = both(path)
    assert listed.keys() == told.keys()
    for number, said in listed.items():
        assert said in ((), told[number])


def test_ordinary_connections_are_listed_from_columns() -> None:
    counted = sum(both(path)[0] for path in EXAMPLES)
    assert counted >= 4
