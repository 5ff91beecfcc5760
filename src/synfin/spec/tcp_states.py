"""The TCP state machine as one table: RFC 9293 figure 5, with the notes under it.

A row reads: in ``state``, when ``cause`` happens, ``sends`` goes out and the state becomes ``next``.  An endpoint looks
a row up by its cause (``by_cause``); an observer, who sees only segments, looks rows up by what was sent
(``by_sent``) and takes the silent ones as the usual course.  What is not a transition (windows, retransmission,
acceptability, the checks of 3.10.7) is not here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """The eleven states of RFC 9293 3.3.2."""

    LISTEN = "LISTEN"
    SYN_SENT = "SYN_SENT"
    SYN_RECEIVED = "SYN_RECEIVED"
    ESTABLISHED = "ESTABLISHED"
    FIN_WAIT_1 = "FIN_WAIT_1"
    FIN_WAIT_2 = "FIN_WAIT_2"
    CLOSE_WAIT = "CLOSE_WAIT"
    CLOSING = "CLOSING"
    LAST_ACK = "LAST_ACK"
    TIME_WAIT = "TIME_WAIT"
    CLOSED = "CLOSED"


class Cause(StrEnum):
    """What moves a connection: a call of the user, an accepted segment, a timer."""

    PASSIVE_OPEN = "passive open"
    ACTIVE_OPEN = "active open"
    SEND = "send"
    CLOSE = "close"
    ABORT = "abort"
    SYN = "rcv SYN"
    SYN_ACK = "rcv SYN,ACK"
    ACK_OF_SYN = "rcv ACK of SYN"
    FIN = "rcv FIN"
    FIN_AND_ACK_OF_FIN = "rcv FIN, ACK of FIN"
    ACK_OF_FIN = "rcv ACK of FIN"
    RST = "rcv RST"
    TIMEOUT_2MSL = "2 MSL passed"
    USER_TIMEOUT = "user timeout"


class Sent(StrEnum):
    """What a transition puts on the wire."""

    NOTHING = ""
    SYN = "SYN"
    SYN_ACK = "SYN,ACK"
    ACK = "ACK"
    FIN = "FIN"
    RST = "RST"


class Row(NamedTuple):
    """One transition."""

    state: State
    cause: Cause
    sends: Sent
    next: State


def _rows() -> tuple[Row, ...]:
    s, c, o = State, Cause, Sent
    figure = [
        Row(s.CLOSED, c.PASSIVE_OPEN, o.NOTHING, s.LISTEN),
        Row(s.CLOSED, c.ACTIVE_OPEN, o.SYN, s.SYN_SENT),
        Row(s.LISTEN, c.CLOSE, o.NOTHING, s.CLOSED),
        Row(s.LISTEN, c.SEND, o.SYN, s.SYN_SENT),
        Row(s.LISTEN, c.ACTIVE_OPEN, o.SYN, s.SYN_SENT),
        Row(s.LISTEN, c.SYN, o.SYN_ACK, s.SYN_RECEIVED),
        Row(s.SYN_SENT, c.CLOSE, o.NOTHING, s.CLOSED),
        Row(s.SYN_SENT, c.SYN, o.SYN_ACK, s.SYN_RECEIVED),
        Row(s.SYN_SENT, c.SYN_ACK, o.ACK, s.ESTABLISHED),
        Row(s.SYN_RECEIVED, c.ACK_OF_SYN, o.NOTHING, s.ESTABLISHED),
        Row(s.SYN_RECEIVED, c.CLOSE, o.FIN, s.FIN_WAIT_1),
        Row(s.SYN_RECEIVED, c.FIN, o.ACK, s.CLOSE_WAIT),
        Row(s.ESTABLISHED, c.CLOSE, o.FIN, s.FIN_WAIT_1),
        Row(s.ESTABLISHED, c.FIN, o.ACK, s.CLOSE_WAIT),
        Row(s.FIN_WAIT_1, c.ACK_OF_FIN, o.NOTHING, s.FIN_WAIT_2),
        Row(s.FIN_WAIT_1, c.FIN, o.ACK, s.CLOSING),
        Row(s.FIN_WAIT_1, c.FIN_AND_ACK_OF_FIN, o.ACK, s.TIME_WAIT),
        Row(s.FIN_WAIT_2, c.FIN, o.ACK, s.TIME_WAIT),
        Row(s.CLOSE_WAIT, c.CLOSE, o.FIN, s.LAST_ACK),
        Row(s.CLOSING, c.ACK_OF_FIN, o.NOTHING, s.TIME_WAIT),
        Row(s.LAST_ACK, c.ACK_OF_FIN, o.NOTHING, s.CLOSED),
        Row(s.TIME_WAIT, c.TIMEOUT_2MSL, o.NOTHING, s.CLOSED),
    ]
    synchronized = (s.ESTABLISHED, s.FIN_WAIT_1, s.FIN_WAIT_2, s.CLOSE_WAIT)
    for state in State:
        if state in (s.CLOSED, s.LISTEN):
            continue
        # Note 2 under the figure: a RST ends every state; a passive opener goes back to LISTEN (3.10.7.4, second).
        figure.append(Row(state, c.RST, o.NOTHING, s.CLOSED))
        # 3.10.5: ABORT sends a RST from the synchronized states that may still have data to say or hear.
        resets = state in synchronized or state == s.SYN_RECEIVED
        figure.append(Row(state, c.ABORT, o.RST if resets else o.NOTHING, s.CLOSED))
        # 3.10.8: the user timeout flushes and closes; the retransmission and TIME_WAIT timers have their own rows.
        if state != s.TIME_WAIT:
            figure.append(Row(state, c.USER_TIMEOUT, o.NOTHING, s.CLOSED))
    return tuple(figure)


#: Every transition, in the order of the figure.
TABLE = _rows()

_BY_CAUSE: dict[tuple[str, Cause], Row] = {(row.state, row.cause): row for row in TABLE}
_BY_SENT: dict[tuple[str, Sent], tuple[Row, ...]] = {}
for _row in TABLE:
    _BY_SENT[_row.state, _row.sends] = (*_BY_SENT.get((_row.state, _row.sends), ()), _row)


def by_cause(state: str, cause: Cause) -> Row | None:
    """The row that ``cause`` takes from ``state``; None where it moves nothing."""
    return _BY_CAUSE.get((state, cause))


def by_sent(state: str, sent: Sent) -> tuple[Row, ...]:
    """The rows that leave ``state`` by sending ``sent``: what an observer may conclude from a segment."""
    return _BY_SENT.get((state, sent), ())
