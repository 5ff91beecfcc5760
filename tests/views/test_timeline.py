"""The ladder's facts: every packet is told once, long runs are folded, trouble gets words."""

from __future__ import annotations

import pytest

from synfin.views.ladder import ladder
from synfin.views.timeline import LONG, MOST, SHORT, fold, timeline
from synfin.views.words import width_of
from tests.support.shared import captures, needs_shared
from tests.views.support import stories, story_of

START = "0.000 a > b SYN\n0.010 b > a SYN,ACK\n0.020 a > b ACK\n0.021 a > b ACK len=50\n"
END = "\n+0.1 a > b FIN,ACK\n+0.1 b > a FIN,ACK\n+0.1 a > b ACK"


def transfer(packets: int) -> str:
    lines = []
    for place in range(packets):
        lines.append("+0.001 b > a ACK len=1000")
        if place % 2:
            lines.append("+0.001 a > b ACK")
    return START + "\n".join(lines) + END


def told(text: str) -> list[str]:
    return [item.text for step in timeline(story_of(text)) for item in step.items]


def test_short_connections_are_told_packet_by_packet() -> None:
    connection = story_of(transfer(10))
    steps = timeline(connection)
    assert len(steps) <= SHORT
    assert fold(steps) == steps


@pytest.mark.parametrize("packets", [60, 500, 3000])
def test_folding_keeps_every_packet_once_and_counts_it(packets: int) -> None:
    connection = story_of(transfer(packets))
    steps = timeline(connection)
    folded = fold(steps)
    assert len(folded) < 20
    assert sorted(number for step in folded for number in step.packets) == connection.rows.number
    text = " ".join(item.text for step in folded for item in step.items)
    assert f"{packets - 1:,} more segments, {1000 * (packets - 1):,} octets" in text


def test_a_long_conversation_stays_bounded() -> None:
    lines = [f"+0.01 {'a > b' if place % 2 else 'b > a'} ACK len=20" for place in range(2 * MOST)]
    steps = timeline(story_of(START + "\n".join(lines)))
    assert len(fold(steps)) <= LONG


def test_retransmissions_name_what_they_repeat() -> None:
    text = told(START + "0.030 b > a ACK len=1000\n0.300 b > a ACK len=1000 seq=-1000")
    assert any("retransmission of packet 5, 270 ms later (1,000 octets)" in line for line in text)


def test_keep_alives_and_windows_have_words() -> None:
    text = told(
        START + "0.03 b > a ACK\n9.0 a > b ACK seq=-1\n9.01 b > a ACK\n9.5 b > a ACK win=0\n9.9 b > a ACK win=500"
    )
    assert any(line.startswith("keep-alive") for line in text)
    assert any(line.startswith("zero window") for line in text)
    assert any(line.startswith("window open again after 400 ms") for line in text)


def test_acknowledgements_name_the_packets() -> None:
    text = told(START + "0.03 b > a ACK len=10\n0.04 b > a ACK len=10\n0.05 a > b ACK")
    assert "ACK of packets 5, 6" in text


def test_sequence_numbers_may_wrap() -> None:
    text = told(
        "0.0 a > b SYN seq=4294967290\n0.01 b > a SYN,ACK\n0.02 a > b ACK\n0.03 a > b ACK len=20\n0.04 b > a ACK"
    )
    assert "ACK of packet 4" in text


def test_clear_text_is_quoted_without_its_escapes() -> None:
    text = told(START + r'0.03 b > a ACK data="220 mail \x1b[31mready\r\n250 next"')
    assert r"“220 mail \x1b[31mready” (29 octets)" in text


def test_icmp_errors_stand_where_they_came() -> None:
    steps = timeline(story_of("0.0 a > b SYN\n0.01 c > a icmp type=3 code=1 quote=1\n1.0 a > b SYN seq=1000"))
    assert [step.packets for step in steps] == [(1,), (2,), (3,)]
    assert steps[1].sender is None
    assert steps[1].items[0].text.startswith("ICMP")


@needs_shared
@pytest.mark.parametrize("path", captures(), ids=lambda path: path.name)
def test_real_ladders_tell_every_packet_and_fit(path: object) -> None:
    for connection in stories(path):  # type: ignore[arg-type]
        steps = timeline(connection)
        numbers = [number for step in fold(steps) for number in step.packets]
        own = [number for number in numbers if number in set(connection.rows.number)]
        assert own == connection.rows.number
        for width in (60, 120):
            for brief in (False, True):
                for line in ladder(steps, connection.start, width, brief=brief):
                    assert width_of(line) <= width or len(line.split()[0]) > 10
                    assert line.isprintable()
