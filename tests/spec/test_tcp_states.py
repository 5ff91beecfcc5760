"""The state table: complete, free of contradictions, and as the figure has it."""

from __future__ import annotations

import pytest

from synfin.spec.tcp_states import TABLE, Cause, Row, Sent, State, by_cause, by_sent


def test_a_cause_has_one_row_at_most() -> None:
    assert len({(row.state, row.cause) for row in TABLE}) == len(TABLE)


def test_every_row_is_found_by_cause_and_by_what_it_sends() -> None:
    for row in TABLE:
        assert by_cause(row.state, row.cause) is row
        assert row in by_sent(row.state, row.sends)


def test_every_state_is_left_and_reached() -> None:
    assert {row.state for row in TABLE} == {row.next for row in TABLE} == set(State)


def test_every_state_leads_to_closed() -> None:
    reaching = {State.CLOSED}
    while more := {row.state for row in TABLE if row.next in reaching} - reaching:
        reaching |= more
    assert reaching == set(State)


# RFC 9293 figure 5, arrow by arrow
FIGURE = """
    CLOSED       passive open          -        LISTEN
    CLOSED       active open           SYN      SYN_SENT
    LISTEN       rcv SYN               SYN,ACK  SYN_RECEIVED
    LISTEN       send                  SYN      SYN_SENT
    LISTEN       close                 -        CLOSED
    SYN_SENT     close                 -        CLOSED
    SYN_SENT     rcv SYN               SYN,ACK  SYN_RECEIVED
    SYN_SENT     rcv SYN,ACK           ACK      ESTABLISHED
    SYN_RECEIVED rcv ACK of SYN        -        ESTABLISHED
    SYN_RECEIVED close                 FIN      FIN_WAIT_1
    ESTABLISHED  close                 FIN      FIN_WAIT_1
    ESTABLISHED  rcv FIN               ACK      CLOSE_WAIT
    FIN_WAIT_1   rcv ACK of FIN        -        FIN_WAIT_2
    FIN_WAIT_1   rcv FIN               ACK      CLOSING
    FIN_WAIT_1   rcv FIN, ACK of FIN   ACK      TIME_WAIT
    FIN_WAIT_2   rcv FIN               ACK      TIME_WAIT
    CLOSING      rcv ACK of FIN        -        TIME_WAIT
    CLOSE_WAIT   close                 FIN      LAST_ACK
    LAST_ACK     rcv ACK of FIN        -        CLOSED
    TIME_WAIT    2 MSL passed          -        CLOSED
"""


@pytest.mark.parametrize("line", [line.strip() for line in FIGURE.splitlines() if line.strip()])
def test_figure(line: str) -> None:
    state, *cause, sends, after = line.split()
    wanted = Row(State(state), Cause(" ".join(cause)), Sent("" if sends == "-" else sends), State(after))
    assert by_cause(wanted.state, wanted.cause) == wanted


def test_a_segment_that_moves_nothing_has_no_row() -> None:
    assert by_cause(State.TIME_WAIT, Cause.FIN) is None
    assert by_sent(State.FIN_WAIT_2, Sent.FIN) == ()
