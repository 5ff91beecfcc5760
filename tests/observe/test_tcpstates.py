"""Both ends' states after every packet: a table of shapes, each in packets."""

from __future__ import annotations

import pytest

from synfin.observe.flows import Flows
from synfin.observe.story_tcp import TcpStory
from synfin.observe.tcpstates import states
from synfin.observe.tcpwatch import watch_tcp
from synfin.spec.tcp_states import State
from tests.support.packets import batch, tabulate
from tests.support.tcpflows import connections

SHORT = {
    "CL": State.CLOSED,
    "LI": State.LISTEN,
    "SS": State.SYN_SENT,
    "SR": State.SYN_RECEIVED,
    "ES": State.ESTABLISHED,
    "F1": State.FIN_WAIT_1,
    "F2": State.FIN_WAIT_2,
    "CW": State.CLOSE_WAIT,
    "CG": State.CLOSING,
    "LA": State.LAST_ACK,
    "TW": State.TIME_WAIT,
}
KNOWN = {"": "seen", "!": "proved", "?": "assumed"}

# packets, with both ends' states behind each: seen, proved (!) or assumed (?)
OPEN = """
    0.0 a > b SYN      | SS  LI?
    0.1 b > a SYN,ACK  | SS  SR
    0.2 a > b ACK      | ES  ES?
"""
SHAPES = {
    "four segments": (
        OPEN
        + """
    1.0 a > b FIN,ACK        | F1   ES?
    1.1 b > a ACK            | F2?  CW
    1.2 b > a FIN,ACK        | F2?  LA
    1.3 a > b ACK            | TW   CL?
    1.4 b > a FIN,ACK seq=-1 | TW   LA
    1.5 a > b ACK            | TW   CL?
    """,
        {"four_segment_close"},
    ),
    "three segments": (
        OPEN
        + """
    1.0 b > a FIN,ACK | ES  F1
    1.1 a > b FIN,ACK | LA  F2?
    1.2 b > a ACK     | CL? TW
    """,
        {"three_segment_close"},
    ),
    "simultaneous close": (
        OPEN
        + """
    1.00 a > b FIN,ACK ack=5001          | F1  ES?
    1.01 b > a FIN,ACK ack=1001          | F1  F1
    1.10 a > b ACK seq=1002 ack=5002     | CG  F2?
    1.20 b > a ACK seq=5002 ack=1002     | TW? TW
    """,
        {"simultaneous_close"},
    ),
    "half close": (
        OPEN
        + """
    1.0 a > b FIN,ACK          | F1  ES?
    1.1 b > a ACK              | F2? CW
    1.2 b > a PSH,ACK len=100  | F2? CW
    1.3 a > b ACK              | F2  CW
    1.4 b > a FIN,ACK          | F2  LA
    1.5 a > b ACK              | TW  CL?
    """,
        {"half_close", "four_segment_close"},
    ),
    "FIN that is not acknowledged": (
        OPEN
        + """
    1.0 a > b FIN,ACK               | F1 ES?
    1.2 b > a PSH,ACK len=9 ack=-1  | F1 ES
    1.3 a > b FIN,ACK seq=-1        | F1 ES
    """,
        set(),
    ),
    "simultaneous open": (
        """
    0.00 a > b SYN                           | SS  LI?
    0.01 b > a SYN seq=5000                  | SS  SS
    0.10 a > b SYN,ACK seq=1000 ack=5001     | SR  SS
    0.11 b > a SYN,ACK seq=5000 ack=1001     | ES? SR
    1.00 a > b PSH,ACK len=5                 | ES  ES?
    1.10 b > a ACK                           | ES  ES
    """,
        {"simultaneous_open"},
    ),
    "refused": ("0 a > b SYN | SS LI?\n0.1 b > a RST,ACK seq=0 | CL? CL", set()),
    "SYN asked again": ("0 a > b SYN | SS LI?\n1 a > b SYN seq=1000 | SS LI?\n2 b > a SYN,ACK | SS SR", {"half_open"}),
    "old duplicate SYN (RFC 9293 figure 8)": (
        "0 a > b SYN seq=90 | SS LI?\n1 b > a SYN,ACK seq=300 ack=91 | SS SR\n2 a > b RST seq=91 | CL CL?",
        {"stale_syn"},
    ),
    "SYN-ACK repeated: the ACK was lost": (
        OPEN + "1.1 b > a SYN,ACK | ES SR\n1.2 a > b ACK | ES ES?\n1.3 b > a PSH,ACK len=3 | ES ES",
        set(),
    ),
    "RST by the receiver": (OPEN + "1 a > b PSH,ACK len=5 | ES ES?\n2 b > a RST seq=5001 | CL? CL", set()),
    "RST that was not heard": (
        OPEN + "2 b > a RST seq=5001 | CL? CL\n3 a > b PSH,ACK len=5 | ES CL\n4 b > a ACK | ES ES",
        set(),
    ),
    "RST after the close": (
        OPEN
        + """
    1.0 a > b FIN,ACK | F1  ES?
    1.1 b > a FIN,ACK | F2? LA
    1.2 a > b RST     | CL  CL?
    """,
        {"three_segment_close"},
    ),
    "starts in the middle": (
        """
    0.0 a > b PSH,ACK len=5  | ES  ES!
    0.1 b > a ACK            | ES  ES
    1.0 b > a FIN,ACK        | ES  F1
    1.1 a > b ACK            | CW  F2?
    """,
        {"starts_late"},
    ),
    "A's direction alone": (
        """
    0 a > b SYN seq=1000                        | SS LI?
    1 a > b ACK seq=1001 ack=5001               | ES ES?
    2 a > b FIN,ACK seq=1001 ack=5001           | F1 ES?
    """,
        {"one_sided"},
    ),
    "B's direction alone": (
        """
    0 b > a SYN,ACK seq=5000 ack=1001  | SS! SR
    1 b > a PSH,ACK len=4 ack=1005     | ES! ES
    2 b > a FIN,ACK ack=1005           | ES! F1
    """,
        {"one_sided", "starts_late"},
    ),
    "starts at the SYN-ACK": (
        "0 b > a SYN,ACK seq=5000 ack=1001 | SS! SR\n1 a > b ACK | ES ES?",
        {"starts_late"},
    ),
    "SYN cookies' look": (
        """
    0 a > b SYN <mss 1460, sackOK, wscale 7> | SS LI?
    1 b > a SYN,ACK <mss 1460>               | SS SR
    2 a > b ACK                              | ES ES?
    """,
        {"syn_cookie_look"},
    ),
}


def watched(text: str) -> list[tuple[TcpStory, list[tuple[str, str]]]]:
    flows = Flows()
    assert not list(flows.add(batch(text)))
    out = []
    for flow in flows.finish():
        story, _ = watch_tcp(flow)
        steps = [(f"{a.state} {a.knowledge}", f"{b.state} {b.knowledge}") for a, b in states(flow.rows, story.source)]
        assert states(flow.rows, story.source)[-1] == story.final
        out.append((story, steps))
    return out


@pytest.mark.parametrize("name", SHAPES)
def test_shape(name: str) -> None:
    text, words = SHAPES[name]
    lines = [line for line in text.splitlines() if line.strip()]
    ((story, steps),) = watched("\n".join(line.split("|")[0] for line in lines))
    for line, step in zip(lines, steps, strict=True):
        wanted = [f"{SHORT[word[:2]]} {KNOWN[word[2:]]}" for word in line.split("|")[1].split()]
        assert list(step) == wanted, line
    assert set(story.shape) == words


def test_the_table_of_shapes_visits_every_state() -> None:
    visited = {
        word[:2] for text, _ in SHAPES.values() for line in text.splitlines() for word in line.partition("|")[2].split()
    }
    assert visited == set(SHORT)


def test_port_reuse_starts_over() -> None:
    first, second = watched("0 a > b SYN\n1 b > a SYN,ACK\n2 a > b ACK\n3 a > b SYN seq=77\n4 b > a RST,ACK")
    assert first[0].final[0].state == "ESTABLISHED" and not first[0].reused_ports
    assert second[1][0] == ("SYN_SENT seen", "LISTEN assumed") and second[0].reused_ports


def test_any_flow_has_a_state_of_the_rfc_after_each_packet() -> None:
    flows = Flows()
    assert not list(flows.add(tabulate(connections(11, 150))))
    for flow in flows.finish():
        story, _ = watch_tcp(flow)
        steps = states(flow.rows, story.source)
        assert len(steps) == len(flow.rows)
        assert {end.state for step in steps for end in step} <= {str(state) for state in State}
