"""Every state with every kind of segment: the answer, the next state, and the sentence of RFC 9293 that says so.

``n`` is SND.NXT, ``u`` SND.UNA, ``r`` RCV.NXT, ``w`` RCV.WND; in answers ``s`` is SEG.SEQ, ``a`` SEG.ACK, ``e`` the
number after the segment.  An empty cell fails.
"""

from __future__ import annotations

import re

import pytest

from synfin.spec.tcp_states import State
from tests.tcp.dialogue import Dialogue, in_state

#: Kind of segment -> flags, SEG.SEQ, SEG.ACK, octets of text.
KINDS = {
    "SYN": ("SYN", "0", "", 0),
    "SYN in window": ("SYN", "r+10", "", 0),
    "SYN-ACK": ("SYN,ACK", "0", "n", 0),
    "ACK": ("ACK", "r", "n", 0),
    "ACK of what was not sent": ("ACK", "r", "n+100", 0),
    "ACK of long ago": ("ACK", "r", "u-100000", 0),
    "FIN": ("FIN", "r", "", 0),
    "FIN-ACK": ("FIN,ACK", "r", "n", 0),
    "FIN-ACK, nothing new": ("FIN,ACK", "r", "u", 0),
    "RST": ("RST", "r", "", 0),
    "RST in window": ("RST", "r+10", "", 0),
    "RST at the edge": ("RST", "r+w", "", 0),
    "RST-ACK": ("RST,ACK", "r", "n", 0),
    "SYN-FIN": ("SYN,FIN", "r", "", 0),
    "data": ("ACK", "r", "n", 10),
    "old data": ("ACK", "r-10", "n", 10),
    "data beyond the window": ("ACK", "r+w", "n", 10),
    "no flags": ("-", "r", "", 0),
}
#: State -> SND.UNA, SND.NXT, RCV.NXT.
NUMBERS = {
    "CLOSED": (0, 0, 0),
    "LISTEN": (0, 0, 0),
    "SYN_SENT": (0, 1, 0),
    "SYN_RECEIVED": (0, 1, 1),
    "SYN_RECEIVED active": (0, 1, 1),
    "ESTABLISHED": (1, 1, 1),
    "FIN_WAIT_1": (1, 2, 1),
    "FIN_WAIT_2": (2, 2, 1),
    "CLOSE_WAIT": (1, 1, 2),
    "CLOSING": (1, 2, 2),
    "LAST_ACK": (1, 2, 2),
    "TIME_WAIT": (2, 2, 2),
}
RECEIVED = ("SYN_RECEIVED", "SYN_RECEIVED active")
SYNCHRONIZED = ("ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING", "LAST_ACK", "TIME_WAIT")
LATER = (*RECEIVED, *SYNCHRONIZED)
SAME = ""

CELLS: dict[tuple[str, str], tuple[str, str, str]] = {}


def cells(states: str | tuple[str, ...], kinds: str, answer: str, after: str, sentence: str) -> None:
    """Fill cells; one that is filled already is a mistake."""
    for state in (states,) if isinstance(states, str) else states:
        for kind in kinds.split("; "):
            assert (state, kind) not in CELLS, (state, kind)
            assert kind in KINDS, kind
            CELLS[state, kind] = (answer, after, sentence)


RST_KINDS = "RST; RST in window; RST at the edge; RST-ACK"
ACK_KINDS = (
    "SYN-ACK; ACK; ACK of what was not sent; ACK of long ago; FIN-ACK; FIN-ACK, nothing new; data; old data; "
    "data beyond the window"
)
# 3.10.7.1
cells("CLOSED", RST_KINDS, "", SAME, "An incoming segment containing a RST is discarded.")
cells(
    "CLOSED",
    "SYN; SYN in window; FIN; SYN-FIN; no flags",
    "RST,ACK 0 e",
    SAME,
    "If the ACK bit is off, sequence number zero is used, <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>.",
)
cells("CLOSED", ACK_KINDS, "RST a -", SAME, "If the ACK bit is on, <SEQ=SEG.ACK><CTL=RST>.")
# 3.10.7.2
cells(
    "LISTEN", RST_KINDS, "", SAME, "An incoming RST segment could not be valid ... An incoming RST should be ignored."
)
cells(
    "LISTEN",
    ACK_KINDS,
    "RST a -",
    SAME,
    "Any acknowledgment is bad if it arrives on a connection still in the LISTEN state.",
)
cells(
    "LISTEN",
    "SYN; SYN in window; SYN-FIN",
    "SYN,ACK 0 s+1",
    "SYN_RECEIVED",
    "ISS should be selected and a SYN segment sent of the form <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>.",
)
cells("LISTEN", "FIN; no flags", "", SAME, "This should not be reached. Drop the segment and return.")
# 3.10.7.3
cells(
    "SYN_SENT",
    "SYN; SYN in window; SYN-FIN",
    "SYN,ACK 0 s+1",
    "SYN_RECEIVED",
    "Otherwise, enter SYN-RECEIVED, form a SYN,ACK segment <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK> and send it.",
)
cells(
    "SYN_SENT",
    "SYN-ACK",
    "ACK n s+1",
    "ESTABLISHED",
    "If SND.UNA > ISS (our SYN has been ACKed), change the connection state to ESTABLISHED, form an ACK segment.",
)
cells(
    "SYN_SENT",
    "ACK of what was not sent; ACK of long ago; FIN-ACK, nothing new",
    "RST a -",
    SAME,
    "If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset <SEQ=SEG.ACK><CTL=RST> and discard the segment.",
)
cells(
    "SYN_SENT",
    "ACK; FIN; FIN-ACK; data; old data; data beyond the window; no flags",
    "",
    SAME,
    "Fifth, if neither of the SYN or RST bits is set, then drop the segment and return.",
)
cells("SYN_SENT", "RST; RST in window; RST at the edge", "", SAME, "Otherwise (no ACK), drop the segment and return.")
cells(
    "SYN_SENT",
    "RST-ACK",
    "",
    "CLOSED",
    "If the ACK was acceptable, then signal to the user 'error: connection reset', enter CLOSED state.",
)
# 3.10.7.4, first
UNACCEPTABLE = (
    "If an incoming segment is not acceptable, an acknowledgment should be sent in reply (unless the RST bit is set)."
)
cells(LATER, "old data; data beyond the window", "ACK n r", SAME, UNACCEPTABLE)
cells(LATER, "SYN", "ACK n r", SAME, UNACCEPTABLE)
cells(("SYN_RECEIVED", *SYNCHRONIZED), "SYN-ACK", "ACK n r", SAME, UNACCEPTABLE)
cells(
    "SYN_RECEIVED active",
    "SYN-ACK",
    "",
    "ESTABLISHED",
    "Figure 7: ESTABLISHED <-- <SEQ=300><ACK=101><CTL=SYN,ACK> <-- SYN-RECEIVED",
)
# second
cells(
    LATER,
    "RST at the edge",
    "",
    SAME,
    "If the RST bit is set and the sequence number is outside the current receive window, silently drop the segment.",
)
cells(
    LATER,
    "RST in window",
    "ACK n r",
    SAME,
    "... does not exactly match the next expected sequence value, yet is within the window, ... challenge ACK.",
)
cells(
    "SYN_RECEIVED",
    "RST; RST-ACK",
    "",
    "CLOSED",
    "If this connection was initiated with a passive OPEN, then return this connection to LISTEN state.",
)
cells(
    "SYN_RECEIVED active",
    "RST; RST-ACK",
    "",
    "CLOSED",
    "... then the connection was refused; signal the user 'connection refused'. ... enter the CLOSED state.",
)
cells(SYNCHRONIZED, "RST; RST-ACK", "", "CLOSED", "If the RST bit is set ... Enter the CLOSED state.")
# fourth
cells(
    "SYN_RECEIVED",
    "SYN in window; SYN-FIN",
    "",
    "CLOSED",
    "If the connection was initiated with a passive OPEN, then return this connection to the LISTEN state.",
)
cells(
    ("SYN_RECEIVED active", *SYNCHRONIZED),
    "SYN in window; SYN-FIN",
    "ACK n r",
    SAME,
    "... if the SYN bit is set, irrespective of the sequence number, TCP endpoints MUST send a 'challenge ACK'.",
)
# fifth
cells(LATER, "FIN; no flags", "", SAME, "If the ACK bit is off, drop the segment and return.")
cells(
    RECEIVED,
    "ACK of what was not sent; ACK of long ago; FIN-ACK, nothing new",
    "RST a -",
    SAME,
    "If the segment acknowledgment is not acceptable, form a reset segment <SEQ=SEG.ACK><CTL=RST> and send it.",
)
cells(
    RECEIVED,
    "ACK",
    "",
    "ESTABLISHED",
    "If SND.UNA < SEG.ACK =< SND.NXT, then enter ESTABLISHED state and continue processing.",
)
cells(
    SYNCHRONIZED,
    "ACK of what was not sent",
    "ACK n r",
    SAME,
    "If the ACK acks something not yet sent (SEG.ACK > SND.NXT), then send an ACK, drop the segment, and return.",
)
cells(
    SYNCHRONIZED,
    "ACK of long ago",
    "ACK n r",
    SAME,
    "... only if it is in the range ((SND.UNA - MAX.SND.WND) =< SEG.ACK =< SND.NXT) ... an ACK sent back.",
)
DUPLICATE = "If the ACK is a duplicate (SEG.ACK =< SND.UNA), it can be ignored."
cells(("ESTABLISHED", "FIN_WAIT_2", "CLOSE_WAIT", "TIME_WAIT"), "ACK", "", SAME, DUPLICATE)
cells(
    "FIN_WAIT_1",
    "ACK",
    "",
    "FIN_WAIT_2",
    "If the FIN segment is now acknowledged, then enter FIN-WAIT-2 and continue processing in that state.",
)
cells("CLOSING", "ACK", "", "TIME_WAIT", "If the ACK acknowledges our FIN, then enter the TIME-WAIT state.")
cells(
    "LAST_ACK", "ACK", "", "CLOSED", "If our FIN is now acknowledged, delete the TCB, enter the CLOSED state, return."
)
# seventh
TEXT = "Send an acknowledgment of the form <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>."
cells(RECEIVED, "data", "ACK n r+10", "ESTABLISHED", TEXT)
cells(("ESTABLISHED", "FIN_WAIT_2"), "data", "ACK n r+10", SAME, TEXT)
cells("FIN_WAIT_1", "data", "ACK n r+10", "FIN_WAIT_2", TEXT)
IGNORE = "This should not occur since a FIN has been received from the remote side. Ignore the segment text."
cells(("CLOSE_WAIT", "TIME_WAIT"), "data", "", SAME, IGNORE)
cells("CLOSING", "data", "", "TIME_WAIT", IGNORE)
cells("LAST_ACK", "data", "", "CLOSED", IGNORE)
# eighth
FINS = "... advance RCV.NXT over the FIN, and send an acknowledgment for the FIN."
cells(RECEIVED, "FIN-ACK", "ACK n r+1", "CLOSE_WAIT", FINS)
cells("ESTABLISHED", "FIN-ACK; FIN-ACK, nothing new", "ACK n r+1", "CLOSE_WAIT", FINS)
cells(
    "FIN_WAIT_1",
    "FIN-ACK",
    "ACK n r+1",
    "TIME_WAIT",
    "If our FIN has been ACKed (perhaps in this segment), then enter TIME-WAIT, start the time-wait timer.",
)
cells("FIN_WAIT_1", "FIN-ACK, nothing new", "ACK n r+1", "CLOSING", "... otherwise, enter the CLOSING state.")
cells(
    "FIN_WAIT_2",
    "FIN-ACK; FIN-ACK, nothing new",
    "ACK n r+1",
    "TIME_WAIT",
    "Enter the TIME-WAIT state. Start the time-wait timer, turn off the other timers.",
)
cells("CLOSE_WAIT", "FIN-ACK; FIN-ACK, nothing new", "ACK n r", SAME, "Remain in the CLOSE-WAIT state.")
cells("CLOSING", "FIN-ACK", "ACK n r", "TIME_WAIT", "If the ACK acknowledges our FIN, then enter the TIME-WAIT state.")
cells("CLOSING", "FIN-ACK, nothing new", "", SAME, "If the ACK acknowledges our FIN, ...; otherwise, ignore it.")
cells("LAST_ACK", "FIN-ACK", "", "CLOSED", "If our FIN is now acknowledged, delete the TCB, enter the CLOSED state.")
cells("LAST_ACK", "FIN-ACK, nothing new", "ACK n r", SAME, "Remain in the LAST-ACK state.")
cells(
    "TIME_WAIT",
    "FIN-ACK; FIN-ACK, nothing new",
    "ACK n r",
    SAME,
    "Acknowledge it, and restart the 2 MSL timeout. ... Remain in the TIME-WAIT state.",
)


def value(text: str, names: dict[str, int]) -> int:
    """A sum of names and numbers."""
    return sum(
        (-1 if sign == "-" else 1) * (names[word] if word in names else int(word))
        for sign, word in re.findall(r"([+-]?)(\w+)", text)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", NUMBERS)
def test_state_by_segment(state: str, kind: str) -> None:
    assert (state, kind) in CELLS, "an empty cell"
    answer, after, sentence = CELLS[state, kind]
    d = in_state(state)
    una, nxt, rcv = NUMBERS[state]
    window = d.connection.rcv_wnd if d.connection is not None and rcv else 65535
    names = {"u": una, "n": nxt, "r": rcv, "w": window}
    flags, seq_text, ack_text, size = KINDS[kind]
    seq, ack = value(seq_text, names), value(ack_text, names) if ack_text else 0
    names |= {"s": seq, "a": ack, "e": seq + size + ("SYN" in flags) + ("FIN" in flags)}
    said = d.hear(flags, seq, ack, size=size)
    expected = []
    if answer:
        word, *numbers = answer.split()
        expected = [" ".join([word, *("-" if text == "-" else str(value(text, names)) for text in numbers)])]
    assert said == expected, sentence
    check_state(d, state, after or state, sentence)


def check_state(d: Dialogue, before: str, after: str, sentence: str) -> None:
    if after in ("CLOSED", "LISTEN"):
        assert not d.host.connections, sentence
        if d.connection is not None:
            assert d.state == State.CLOSED
        if before == "SYN_RECEIVED":  # "return this connection to the LISTEN state": a SYN is welcome
            assert d.listener is not None
            assert not d.listener.half_open
            d.connection = None
            assert d.hear("SYN", 0) == ["SYN,ACK 0 1"]
    else:
        assert d.state == after.split()[0], sentence


def test_no_cell_is_empty() -> None:
    assert set(CELLS) == {(state, kind) for state in NUMBERS for kind in KINDS}
    assert all(sentence for _, _, sentence in CELLS.values())
