"""What the views print for a few small conversations is what it was when somebody last looked."""

from __future__ import annotations

import pytest

from synfin.views.words import width_of
from tests.views.golden import FOLDER, GOLDEN, text_of


@pytest.mark.parametrize("name", GOLDEN)
def test_text_is_golden(name: str) -> None:
    assert text_of(name) == (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(GOLDEN)


@pytest.mark.parametrize("name", [name for name in GOLDEN if name.rpartition("-")[2].isdigit()])
def test_lines_fit_their_width(name: str) -> None:
    width = int(name.rpartition("-")[2])
    assert max(map(width_of, text_of(name).splitlines())) <= width


def test_the_twelve_steps_are_visible() -> None:
    text = text_of("tls12-120")
    steps = (
        "SYN: asks to open",
        "MSS 1,460, window scale 7",
        "SYN, ACK: agrees to open",
        "ClientHello",
        "random 000102",
        "cipher suites: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "compression null",
        "server_name shop.example",
        "ServerHello",
        "over 3 segments, MSS 1,460",
        "ServerKeyExchange",
        "ServerHelloDone",
        "ClientKeyExchange",
        "ChangeCipherSpec",
        "Finished",
        "NewSessionTicket",
        "ChangeCipherSpec",
        "Finished",
        "application data",
        "part of an application data record",
        "close_notify",
        "FIN: has nothing more to send",
        "close_notify",
        "FIN: has nothing more to send",
    )
    at = 0
    for step in steps:
        at = text.index(step, at) + 1
    for state in ("SYN_SENT", "SYN_RECEIVED", "ESTABLISHED", "FIN_WAIT_1", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT"):
        assert state in text


def test_brief_is_a_dozen_lines_or_so() -> None:
    assert len(text_of("tls12-brief").splitlines()) <= 18
