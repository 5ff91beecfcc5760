"""The time budget: phases of made connections to the millisecond, and laws over random and real ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.capture.keylog import KeyLog
from synfin.capture.reader import open_capture
from synfin.observe.budget import budget
from synfin.observe.observer import Observation
from synfin.observe.story import Connection, Phase
from tests.support.packets import START, pcap
from tests.support.shared import SHARED, captures, index, needs_shared

MS = 1_000_000
GET = 'data="GET / HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n"'
OK = 'data="HTTP/1.1 200 OK\\r\\nContent-Length: 8\\r\\n\\r\\nbody"'
OPEN = "0.000 a > b SYN\n0.020 b > a SYN,ACK\n0.0201 a > b ACK\n"
CLOSE = "0.500 a > b FIN,ACK\n0.520 b > a FIN,ACK\n0.521 a > b ACK\n"


def connections(text: str, folder: Path) -> list[Connection]:
    return list(Observation(open_capture(pcap(text, folder / "made.pcap"))))


def phases(text: str, folder: Path) -> list[tuple[str, float, float, str]]:
    """Name, start and end in ms after the first packet, whom it waited for."""
    (connection,) = connections(text, folder)
    check(connection)
    return [
        (phase.name, (phase.start - connection.start) / MS, (phase.end - connection.start) / MS, phase.waited_for)
        for phase in budget(connection)
    ]


def check(connection: Connection) -> None:
    """The law: in order, without overlap, within the connection (the look-up before it)."""
    reached = None
    for phase in budget(connection):
        assert phase.start <= phase.end
        assert reached is None or phase.start >= reached
        reached = phase.end
        if phase.name == "dns" or phase.detail.startswith("between the look-up"):
            assert phase.end <= connection.start
        else:
            assert min(connection.rows.time) <= phase.start and phase.end <= max(connection.rows.time)
        assert phase.round_trips is None or phase.round_trips >= 0


def named(connection: Connection, name: str) -> Phase:
    return next(phase for phase in budget(connection) if phase.name == name)


def test_one_exchange(tmp_path: Path) -> None:
    text = OPEN + f'0.0202 a > b PSH,ACK {GET}\n0.120 b > a PSH,ACK {OK}\n0.140 b > a PSH,ACK data="rest"\n' + CLOSE
    assert phases(text, tmp_path) == [
        ("tcp", 0, 20.1, "network"),
        ("request", 20.1, 20.2, "client"),
        ("wait", 20.2, 120, "server"),
        ("transfer", 120, 140, "network"),
        ("idle", 140, 500, "client"),
        ("close", 500, 521, ""),
    ]
    (connection,) = connections(text, tmp_path)
    assert named(connection, "wait").detail == "server 79.8 ms, network 20.0 ms"
    assert named(connection, "request").detail == "GET /: 200"
    assert named(connection, "close").detail == "client closed first"
    assert named(connection, "tcp").round_trips == pytest.approx(1)


def test_a_quick_answer_waited_for_the_network(tmp_path: Path) -> None:
    text = OPEN + f"0.0202 a > b PSH,ACK {GET}\n0.042 b > a PSH,ACK {OK}\n"
    assert phases(text, tmp_path)[2] == ("wait", 20.2, 42, "network")


def test_syn_retries_are_told(tmp_path: Path) -> None:
    text = "0.0 a > b SYN\n1.0 a > b SYN seq=1000\n3.0 a > b SYN seq=1000\n3.02 b > a SYN,ACK\n3.021 a > b ACK\n"
    (connection,) = connections(text, tmp_path)
    told = named(connection, "tcp")
    assert told.end - told.start == 3021 * MS and told.detail == "SYN sent 3 times"


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("0.0 a > b SYN\n0.02 b > a RST,ACK\n", "refused"),
        ("0.0 a > b SYN\n1.0 a > b SYN seq=1000\n", "no answer, SYN sent 2 times"),
        ("0.0 a > b SYN\n1.0 a > b RST\n", "given up"),
    ],
)
def test_no_connection(text: str, detail: str, tmp_path: Path) -> None:
    (connection,) = connections(text, tmp_path)
    told = named(connection, "tcp")
    assert (told.detail, told.waited_for) == (detail, "server")
    check(connection)


def test_an_answer_that_was_not_captured_was_given(tmp_path: Path) -> None:
    text = f"0.000 a > b SYN\n0.0201 a > b ACK\n0.0202 a > b PSH,ACK {GET}\n9.0 a > b FIN,ACK\n"
    (connection,) = connections(text, tmp_path)
    told = named(connection, "tcp")
    assert (told.end - told.start, told.detail) == (20.1 * MS, "the answer was not captured")


def test_what_took_no_time_is_no_phase(tmp_path: Path) -> None:
    text = OPEN + f"0.0202 a > b PSH,ACK {GET}\n0.042 b > a PSH,ACK {OK}\n".replace(
        "Content-Length: 8", "Content-Length: 4"
    )
    assert [name for name, *_ in phases(text, tmp_path)] == ["tcp", "request", "wait"]


def test_a_request_without_answer_waits_to_the_close(tmp_path: Path) -> None:
    text = OPEN + f"0.0202 a > b PSH,ACK {GET}\n" + CLOSE
    assert phases(text, tmp_path)[2] == ("wait", 20.2, 500, "server")


def test_an_answer_without_its_end_is_waited_for_to_the_close(tmp_path: Path) -> None:
    text = OPEN + f"0.0202 a > b PSH,ACK {GET}\n0.120 b > a PSH,ACK {OK}\n" + CLOSE
    assert phases(text, tmp_path)[3:] == [("transfer", 120, 500, "server"), ("close", 500, 521, "")]
    (connection,) = connections(text, tmp_path)
    assert named(connection, "transfer").detail == "not finished, 380.0 ms of it silence"


def test_further_exchanges_are_told_together(tmp_path: Path) -> None:
    whole = OK.replace("Content-Length: 8", "Content-Length: 4")
    text = OPEN
    for at in (0.1, 0.2, 0.3):
        text += f"{at} a > b PSH,ACK {GET}\n{at + 0.05:.3f} b > a PSH,ACK {whole}\n"
    (connection,) = connections(text + CLOSE, tmp_path)
    told = named(connection, "exchanges")
    assert ((told.start - START) / MS, (told.end - START) / MS) == (200, 350)
    assert told.detail.startswith("2 more exchanges: waiting 100.0 ms (longest 50.0 ms), transferring 0 µs, idle 50.0")


def test_a_look_up_comes_first(tmp_path: Path) -> None:
    question = "0001 0100 0001 0000 0000 0000 01780000010001".replace(" ", "")
    answer = "0001 8180 0001 0001 0000 0000 01780000010001 c00c 0001 0001 0000003c 0004 0a000002".replace(" ", "")
    text = (
        "q = 10.0.0.1:40000\nr = 10.0.0.53:53\n0.0 q > r udp hex=" + question + "\n0.05 r > q udp hex=" + answer + "\n"
    )
    text += "0.1 a > b SYN\n0.12 b > a SYN,ACK\n0.1201 a > b ACK\n"
    (connection,) = connections(text, tmp_path)
    check(connection)
    told = named(connection, "dns")
    assert told.end - told.start == 50 * MS and told.detail == "A of x from 10.0.0.53"


def test_a_closed_window_is_the_receivers_doing(tmp_path: Path) -> None:
    text = OPEN + f"0.021 a > b PSH,ACK {GET}\n0.050 b > a PSH,ACK {OK}\n0.051 a > b ACK win=0\n"
    text += '0.400 a > b ACK win=1000\n0.420 b > a PSH,ACK data="rest"\n' + CLOSE
    (connection,) = connections(text, tmp_path)
    assert connection.tcp.stalls, "the zero window is seen"
    told = named(connection, "transfer")
    assert told.waited_for == "client" and told.detail.startswith("window closed for")


def test_octets_after_an_upgrade_are_transfer(tmp_path: Path) -> None:
    ask = 'data="GET / HTTP/1.1\\r\\nUpgrade: websocket\\r\\nConnection: upgrade\\r\\n\\r\\n"'
    yes = 'data="HTTP/1.1 101 Switching\\r\\nUpgrade: websocket\\r\\n\\r\\n"'
    text = OPEN + f"0.021 a > b PSH,ACK {ask}\n0.041 b > a PSH,ACK {yes}\n0.3 b > a PSH,ACK len=9\n" + CLOSE
    (connection,) = connections(text, tmp_path)
    assert budget(connection)[-3].detail == "websocket"
    assert budget(connection)[-3].end == START + 300 * MS


LINES = st.lists(
    st.tuples(
        st.sampled_from(["a > b", "b > a"]),
        st.sampled_from(
            ["SYN", "SYN,ACK", "ACK", "FIN,ACK", "RST", f"PSH,ACK {GET}", f"PSH,ACK {OK}", "PSH,ACK len=50"]
        ),
        st.integers(-5, 3000),
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=60)
@given(lines=LINES)
def test_phases_are_in_order_whatever_was_sent(
    lines: list[tuple[str, str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    at, text = 100, ""
    for way, what, later in lines:
        at += later
        text += f"{max(at, 0) / 1000:.3f} {way} {what}\n"
    for connection in connections(text, tmp_path_factory.mktemp("made")):
        check(connection)


@needs_shared
def test_phases_of_real_connections() -> None:
    assert SHARED is not None
    told = 0
    for path in captures():
        keys = index().get(path.name, {}).get("keys")
        keylog = KeyLog.parse((SHARED / "keys" / Path(keys).name).read_bytes()) if keys else None
        for connection in Observation(open_capture(path), keylog=keylog):
            check(connection)
            told += bool(budget(connection))
    assert told > 100
