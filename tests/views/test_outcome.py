"""How connections end, in a word and in a phrase."""

from __future__ import annotations

from pathlib import Path

import pytest

from synfin.capture.reader import open_capture
from synfin.observe.listing import Listing, Summary
from synfin.views.outcome import KINDS, matches, outcome, summary_outcome
from tests.support.packets import pcap
from tests.views.support import story_of

OPEN = "0.0 a > b SYN\n0.01 b > a SYN,ACK\n0.02 a > b ACK\n0.03 a > b ACK len=10\n0.04 b > a ACK len=10\n"

CASES = {
    "refused": ("0.0 a > b SYN\n0.01 b > a RST,ACK", "refused", "server refused (RST)", True),
    "unanswered": ("0.0 a > b SYN\n1.0 a > b SYN seq=1000", "unanswered", "no answer to SYN (2 tries)", True),
    "half open": ("0.0 a > b SYN\n0.01 b > a SYN,ACK", "open", "SYN-ACK never answered", True),
    "open": (OPEN, "open", "open at end of capture", False),
    "closed": (
        OPEN + "0.05 a > b FIN,ACK\n0.06 b > a FIN,ACK\n0.07 a > b ACK",
        "closed",
        "closed by both (client first)",
        False,
    ),
    "half closed": (OPEN + "0.05 b > a FIN,ACK\n0.06 a > b ACK", "half-closed", "server closed, client did not", False),
    "reset": (OPEN + "0.05 b > a RST,ACK", "reset", "reset by server", False),
    "reset after FIN": (
        OPEN + "0.05 a > b FIN,ACK\n0.06 b > a RST,ACK",
        "reset",
        "reset by server after FIN of client",
        False,
    ),
    "RST after close": (
        OPEN + "0.05 a > b FIN,ACK\n0.06 b > a FIN,ACK\n0.07 a > b RST",
        "closed",
        "closed by both (client first, then RST by client)",
        False,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_outcome(name: str) -> None:
    text, kind, words, failed = CASES[name]
    assert outcome(story_of(text)) == (kind, words, failed)


def test_icmp_answers_a_syn() -> None:
    ended = outcome(story_of("0.0 a > b SYN\n0.01 c > a icmp type=3 code=1 quote=1"))
    assert ended.kind == "unanswered"
    assert ended.words.startswith("no answer to SYN but ICMP")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("150303000202 28".replace(" ", ""), "alert handshake_failure by server; open at end of capture"),
        ("", "reset by server in TLS handshake"),
    ],
)
def test_a_broken_tls_handshake_has_failed(text: str, words: str) -> None:
    from tests.views import sample

    hello = sample.flights()["client_hello"].hex()
    start = f"0.0 a > b SYN\n0.01 b > a SYN,ACK\n0.02 a > b ACK\n0.03 a > b ACK hex={hello}\n"
    ended = outcome(story_of(start + (f"0.04 b > a ACK hex={text}" if text else "0.04 b > a RST,ACK")))
    assert ended.words == words
    assert ended.failed
    assert matches(ended, "failed")


def test_every_kind_is_a_word_to_filter_by() -> None:
    for text, *_ in CASES.values():
        ended = outcome(story_of(text))
        assert ended.kind in KINDS
        assert matches(ended, ended.kind)


@pytest.mark.parametrize("name", CASES)
def test_quick_listing_says_the_same(name: str, tmp_path: Path) -> None:
    path = pcap(CASES[name][0], tmp_path / "case.pcap")
    with open_capture(path) as capture:
        (line,) = Listing(capture)
        ended = summary_outcome(line) if isinstance(line, Summary) else outcome(line)
    assert ended == outcome(story_of(CASES[name][0]))
