"""Every state meets every kind of segment: what RFC 9293 3.10.7 asks for, RFC 5961's checks on.

A row is ``segment -> answers -> state after``; ``.`` stands for no answer, or for the same state.  The window is of
4000 octets.  Each row is played with initial numbers in the middle and at the ends of the circle.
"""

from __future__ import annotations

import pytest

from tests.tcp.letter import NUMBERS, WAY, play

TABLE = {
    "CLOSED": """
        # 3.10.7.1: a segment with RST is discarded; without ACK <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>;
        # with ACK <SEQ=SEG.ACK><CTL=RST>
        SYN 0                   -> RST,ACK 0 1    -> .
        SYN 0 len=3             -> RST,ACK 0 4    -> .
        SYN,FIN 0               -> RST,ACK 0 2    -> .
        SYN,FIN 0 len=3         -> RST,ACK 0 5    -> .
        - 1                     -> RST,ACK 0 1    -> .
        - 1 len=5               -> RST,ACK 0 6    -> .
        FIN 1                   -> RST,ACK 0 2    -> .
        FIN,URG,PSH 1 urg=1     -> RST,ACK 0 2    -> .
        SYN,ACK 0 7             -> RST 7          -> .
        ACK 1 7                 -> RST 7          -> .
        ACK 1 7 len=5           -> RST 7          -> .
        ACK 1 0                 -> RST 0          -> .
        FIN,ACK 1 7             -> RST 7          -> .
        SYN,FIN,ACK 1 7         -> RST 7          -> .
        RST 1                   -> .              -> .
        RST,ACK 1 7             -> .              -> .
        SYN,RST 1               -> .              -> .
        RST,FIN 1               -> .              -> .
    """,
    "LISTEN": """
        # 3.10.7.2: RST ignored; any ACK <SEQ=SEG.ACK><CTL=RST>; SYN <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>; others dropped
        RST 1                   -> .              -> .
        RST,ACK 1 7             -> .              -> .
        SYN,RST 0               -> .              -> .
        ACK 1 7                 -> RST 7          -> .
        ACK 1 7 len=5           -> RST 7          -> .
        SYN,ACK 0 7             -> RST 7          -> .
        FIN,ACK 1 7             -> RST 7          -> .
        SYN,FIN,ACK 1 7         -> RST 7          -> .
        SYN 0                   -> SYN,ACK 0 1    -> SYN_RECEIVED
        SYN,PSH 0               -> SYN,ACK 0 1    -> SYN_RECEIVED
        SYN,FIN 0               -> SYN,ACK 0 1    -> SYN_RECEIVED
        SYN 0 len=5             -> SYN,ACK 0 1    -> SYN_RECEIVED
        SYN,URG 0 urg=1         -> SYN,ACK 0 1    -> SYN_RECEIVED
        - 1                     -> .              -> .
        - 1 len=5               -> .              -> .
        FIN 1                   -> .              -> .
        FIN,URG,PSH 1 urg=1     -> .              -> .
    """,
    "SYN_SENT": """
        # 3.10.7.3: SEG.ACK =< ISS or > SND.NXT: a reset unless RST is set; RST with a good ACK: CLOSED
        ACK 1 0                 -> RST 0          -> .
        ACK 1 2                 -> RST 2          -> .
        ACK 1 -5                -> RST -5         -> .
        ACK 1 0 len=5           -> RST 0          -> .
        ACK 1 1                 -> .              -> .
        ACK 1 1 len=5           -> .              -> .
        FIN,ACK 1 1             -> .              -> .
        FIN,ACK 1 2             -> RST 2          -> .
        FIN 1                   -> .              -> .
        - 1 len=5               -> .              -> .
        - 1                     -> .              -> .
        RST 0                   -> .              -> .
        SYN,RST 0               -> .              -> .
        RST,ACK 0 0             -> .              -> .
        RST,ACK 0 2             -> .              -> .
        RST,ACK 0 1             -> .              -> CLOSED
        RST,ACK 77 1            -> .              -> CLOSED
        SYN,RST,ACK 0 1         -> .              -> CLOSED
        SYN,RST,ACK 0 2         -> .              -> .
        SYN,ACK 0 0             -> RST 0          -> .
        SYN,ACK 0 2             -> RST 2          -> .
        SYN,ACK 0 1             -> ACK 1 1        -> ESTABLISHED
        SYN,ACK 0 1 len=5       -> ACK 1 6        -> ESTABLISHED
        SYN,FIN,ACK 0 1         -> ACK 1 2        -> CLOSE_WAIT
        SYN,FIN,ACK 0 1 len=5   -> ACK 1 7        -> CLOSE_WAIT
        SYN 0                   -> SYN,ACK 0 1    -> SYN_RECEIVED
        SYN,FIN 0               -> SYN,ACK 0 1    -> SYN_RECEIVED
        SYN 0 len=5             -> SYN,ACK 0 1    -> SYN_RECEIVED
    """,
    "SYN_RECEIVED": """
        # 3.10.7.4: first the number, then RST (passive OPEN: back to LISTEN), SYN (back to LISTEN), ACK (or a reset)
        RST 1                   -> .              -> LISTEN
        RST,ACK 1 1             -> .              -> LISTEN
        RST,ACK 1 99            -> .              -> LISTEN
        RST 2                   -> ACK 1 1        -> .
        RST 4000                -> ACK 1 1        -> .
        RST 4001                -> .              -> .
        RST 0                   -> .              -> .
        SYN 0                   -> ACK 1 1        -> .
        SYN,ACK 0 1             -> ACK 1 1        -> .
        SYN 4001                -> ACK 1 1        -> .
        SYN 1                   -> .              -> LISTEN
        SYN 500                 -> .              -> LISTEN
        SYN,FIN 1               -> .              -> LISTEN
        # "trimming off any portions that lie outside the window (including SYN and FIN)"; the rest has no ACK
        SYN 0 len=5             -> .              -> .
        SYN,FIN 0               -> .              -> .
        SYN,FIN 0 len=5         -> .              -> .
        SYN,ACK 0 1 len=5       -> ACK 1 6        -> ESTABLISHED
        SYN,FIN,ACK 0 1         -> ACK 1 2        -> CLOSE_WAIT
        SYN,ACK 1 1             -> .              -> LISTEN
        - 1                     -> .              -> .
        - 1 len=5               -> .              -> .
        FIN 1                   -> .              -> .
        ACK 1 1                 -> .              -> ESTABLISHED
        ACK 1 0                 -> RST 0          -> .
        ACK 1 2                 -> RST 2          -> .
        ACK 1 2 len=5           -> RST 2          -> .
        FIN,ACK 1 2             -> RST 2          -> .
        ACK 0 1                 -> ACK 1 1        -> .
        ACK 4001 1              -> ACK 1 1        -> .
        ACK 4001 1 len=5        -> ACK 1 1        -> .
        ACK 4000 1              -> .              -> ESTABLISHED
        ACK 1 1 len=5           -> ACK 1 6        -> ESTABLISHED
        FIN,ACK 1 1             -> ACK 1 2        -> CLOSE_WAIT
        FIN,ACK 1 1 len=5       -> ACK 1 7        -> CLOSE_WAIT
        FIN,ACK 6 1             -> ACK 1 1        -> ESTABLISHED
    """,
    "SYN_RECEIVED active": """
        # second: "if this connection was initiated with an active OPEN, the connection was refused ... CLOSED"
        RST 1                   -> .              -> CLOSED
        RST,ACK 1 99            -> .              -> CLOSED
        RST 2                   -> ACK 1 1        -> .
        RST 4001                -> .              -> .
        SYN 0                   -> ACK 1 1        -> .
        SYN 0 len=5             -> .              -> .
        SYN 1                   -> ACK 1 1        -> .
        SYN 4001                -> ACK 1 1        -> .
        SYN,ACK 0 1             -> .              -> ESTABLISHED
        SYN,ACK 0 1 len=5       -> ACK 1 6        -> ESTABLISHED
        SYN,FIN,ACK 0 1         -> ACK 1 2        -> CLOSE_WAIT
        SYN,ACK 0 0             -> RST 0          -> .
        SYN,ACK 0 2             -> RST 2          -> .
        ACK 1 1                 -> .              -> ESTABLISHED
        ACK 1 0                 -> RST 0          -> .
        ACK 1 2                 -> RST 2          -> .
        FIN 1                   -> .              -> .
        FIN,ACK 1 1             -> ACK 1 2        -> CLOSE_WAIT
        ACK 4001 1 len=5        -> ACK 1 1        -> .
        ACK 1 1 len=5           -> ACK 1 6        -> ESTABLISHED
    """,
    "ESTABLISHED": """
        # first: the window, an ACK for what is outside unless RST; second: RFC 5961 3; fourth: RFC 5961 4; fifth: 5
        SYN 0                   -> ACK 1 1        -> .
        SYN 1                   -> ACK 1 1        -> .
        SYN 500                 -> ACK 1 1        -> .
        SYN 4001                -> ACK 1 1        -> .
        SYN -99999              -> ACK 1 1        -> .
        SYN,ACK 0 1             -> ACK 1 1        -> .
        SYN,ACK 1 1             -> ACK 1 1        -> .
        SYN,FIN 1               -> ACK 1 1        -> .
        SYN,RST 1               -> .              -> CLOSED
        RST 1                   -> .              -> CLOSED
        RST,ACK 1 1             -> .              -> CLOSED
        RST,ACK 1 99            -> .              -> CLOSED
        RST,FIN 1               -> .              -> CLOSED
        RST 1 len=9             -> .              -> CLOSED
        RST 2                   -> ACK 1 1        -> .
        RST 4000                -> ACK 1 1        -> .
        RST,ACK 4000 1          -> ACK 1 1        -> .
        RST 4001                -> .              -> .
        RST,ACK 4001 1          -> .              -> .
        RST 0                   -> .              -> .
        ACK 1 1                 -> .              -> .
        ACK 1 0                 -> .              -> .
        ACK 1 -65534            -> .              -> .
        ACK 1 -65535            -> ACK 1 1        -> .
        ACK 1 2                 -> ACK 1 1        -> .
        ACK 1 2 len=5           -> ACK 1 1        -> .
        ACK 1 -65535 len=5      -> ACK 1 1        -> .
        ACK 1 0 len=5           -> ACK 1 6        -> .
        ACK 0 1                 -> ACK 1 1        -> .
        ACK 0 1 len=1           -> ACK 1 1        -> .
        ACK 4000 1              -> .              -> .
        ACK 4001 1              -> ACK 1 1        -> .
        ACK 1 1 len=5           -> ACK 1 6        -> .
        ACK 1 1 len=4000        -> ACK 1 4001     -> .
        ACK 1 1 len=4001        -> ACK 1 4001     -> .
        ACK 4000 1 len=5        -> ACK 1 1        -> .
        ACK 4001 1 len=5        -> ACK 1 1        -> .
        ACK -4 1 len=5          -> ACK 1 1        -> .
        ACK -3 1 len=5          -> ACK 1 2        -> .
        - 1                     -> .              -> .
        - 1 len=5               -> .              -> .
        - 4001 len=5            -> ACK 1 1        -> .
        URG 1 len=5 urg=1       -> .              -> .
        FIN 1                   -> .              -> .
        FIN,ACK 1 1             -> ACK 1 2        -> CLOSE_WAIT
        FIN,ACK 1 1 len=5       -> ACK 1 7        -> CLOSE_WAIT
        FIN,ACK 1 1 len=3999    -> ACK 1 4001     -> CLOSE_WAIT
        FIN,ACK 1 1 len=4000    -> ACK 1 4001     -> .
        FIN,ACK 6 1             -> ACK 1 1        -> .
        FIN,ACK 1 2             -> ACK 1 1        -> .
        FIN,ACK 4001 1          -> ACK 1 1        -> .
        FIN,ACK 0 1             -> ACK 1 1        -> .
    """,
    "FIN_WAIT_1": """
        SYN 0                   -> ACK 2 1        -> .
        SYN 1                   -> ACK 2 1        -> .
        SYN,ACK 0 1             -> ACK 2 1        -> .
        SYN,FIN 1               -> ACK 2 1        -> .
        RST 1                   -> .              -> CLOSED
        RST,ACK 1 2             -> .              -> CLOSED
        RST 2                   -> ACK 2 1        -> .
        RST 4001                -> .              -> .
        RST 0                   -> .              -> .
        ACK 1 1                 -> .              -> .
        ACK 1 2                 -> .              -> FIN_WAIT_2
        ACK 1 3                 -> ACK 2 1        -> .
        ACK 0 2                 -> ACK 2 1        -> .
        ACK 1 1 len=5           -> ACK 2 6        -> .
        ACK 1 2 len=5           -> ACK 2 6        -> FIN_WAIT_2
        ACK 4001 2 len=5        -> ACK 2 1        -> .
        ACK 2 2 len=5           -> ACK 2 1        -> FIN_WAIT_2
        - 1 len=5               -> .              -> .
        FIN 1                   -> .              -> .
        FIN,ACK 1 1             -> ACK 2 2        -> CLOSING
        FIN,ACK 1 2             -> ACK 2 2        -> TIME_WAIT
        FIN,ACK 1 1 len=5       -> ACK 2 7        -> CLOSING
        FIN,ACK 1 2 len=5       -> ACK 2 7        -> TIME_WAIT
        FIN,ACK 1 3             -> ACK 2 1        -> .
        FIN,ACK 6 2             -> ACK 2 1        -> FIN_WAIT_2
    """,
    "FIN_WAIT_2": """
        SYN 0                   -> ACK 2 1        -> .
        SYN 1                   -> ACK 2 1        -> .
        SYN,ACK 0 1             -> ACK 2 1        -> .
        SYN,FIN 1               -> ACK 2 1        -> .
        RST 1                   -> .              -> CLOSED
        RST,ACK 1 2             -> .              -> CLOSED
        RST 2                   -> ACK 2 1        -> .
        RST 4001                -> .              -> .
        RST 0                   -> .              -> .
        ACK 1 2                 -> .              -> .
        ACK 1 1                 -> .              -> .
        ACK 1 3                 -> ACK 2 1        -> .
        ACK 0 2                 -> ACK 2 1        -> .
        ACK 1 2 len=5           -> ACK 2 6        -> .
        ACK 4001 2 len=5        -> ACK 2 1        -> .
        - 1 len=5               -> .              -> .
        FIN 1                   -> .              -> .
        FIN,ACK 1 2             -> ACK 2 2        -> TIME_WAIT
        FIN,ACK 1 1             -> ACK 2 2        -> TIME_WAIT
        FIN,ACK 1 2 len=5       -> ACK 2 7        -> TIME_WAIT
        FIN,ACK 1 3             -> ACK 2 1        -> .
        FIN,ACK 6 2             -> ACK 2 1        -> .
    """,
    "CLOSE_WAIT": """
        SYN 0                   -> ACK 1 2        -> .
        SYN 2                   -> ACK 1 2        -> .
        SYN,ACK 0 1             -> ACK 1 2        -> .
        SYN,FIN 2               -> ACK 1 2        -> .
        RST 2                   -> .              -> CLOSED
        RST,ACK 2 1             -> .              -> CLOSED
        RST 3                   -> ACK 1 2        -> .
        RST 1                   -> .              -> .
        ACK 2 1                 -> .              -> .
        ACK 2 2                 -> ACK 1 2        -> .
        ACK 1 1                 -> ACK 1 2        -> .
        ACK 1 1 len=1           -> ACK 1 2        -> .
        ACK -4 1 len=5          -> ACK 1 2        -> .
        - 2 len=5               -> .              -> .
        FIN 2                   -> .              -> .
        FIN,ACK 1 1             -> ACK 1 2        -> .
        FIN,ACK 2 2             -> ACK 1 2        -> .
    """,
    "CLOSING": """
        SYN 0                   -> ACK 2 2        -> .
        SYN 2                   -> ACK 2 2        -> .
        SYN,ACK 0 1             -> ACK 2 2        -> .
        SYN,FIN 2               -> ACK 2 2        -> .
        RST 2                   -> .              -> CLOSED
        RST,ACK 2 2             -> .              -> CLOSED
        RST 3                   -> ACK 2 2        -> .
        RST 1                   -> .              -> .
        ACK 2 1                 -> .              -> .
        ACK 2 2                 -> .              -> TIME_WAIT
        ACK 2 3                 -> ACK 2 2        -> .
        ACK 1 2                 -> ACK 2 2        -> .
        - 2 len=5               -> .              -> .
        FIN 2                   -> .              -> .
        FIN,ACK 1 1             -> ACK 2 2        -> .
        FIN,ACK 1 2             -> ACK 2 2        -> .
    """,
    "LAST_ACK": """
        SYN 0                   -> ACK 2 2        -> .
        SYN 2                   -> ACK 2 2        -> .
        SYN,ACK 0 1             -> ACK 2 2        -> .
        SYN,FIN 2               -> ACK 2 2        -> .
        RST 2                   -> .              -> CLOSED
        RST,ACK 2 2             -> .              -> CLOSED
        RST 3                   -> ACK 2 2        -> .
        RST 1                   -> .              -> .
        ACK 2 1                 -> .              -> .
        ACK 2 2                 -> .              -> CLOSED
        ACK 2 3                 -> ACK 2 2        -> .
        ACK 1 2                 -> ACK 2 2        -> .
        - 2 len=5               -> .              -> .
        FIN 2                   -> .              -> .
        FIN,ACK 1 1             -> ACK 2 2        -> .
        FIN,ACK 1 2             -> ACK 2 2        -> .
    """,
    "TIME_WAIT": """
        # "the only thing that can arrive in this state is a retransmission of the remote FIN.  Acknowledge it"
        SYN 0                   -> ACK 2 2        -> .
        SYN -7                  -> ACK 2 2        -> .
        SYN,ACK 0 1             -> ACK 2 2        -> .
        RST 2                   -> .              -> CLOSED
        RST,ACK 2 2             -> .              -> CLOSED
        RST 3                   -> ACK 2 2        -> .
        RST 1                   -> .              -> .
        ACK 2 2                 -> .              -> .
        ACK 2 1                 -> .              -> .
        ACK 2 3                 -> ACK 2 2        -> .
        ACK 1 2                 -> ACK 2 2        -> .
        - 2 len=5               -> .              -> .
        FIN 2                   -> .              -> .
        FIN,ACK 1 2             -> ACK 2 2        -> .
        FIN,ACK 1 1             -> ACK 2 2        -> .
        FIN,ACK 1 2 len=0       -> ACK 2 2        -> .
    """,
}


def rows() -> list[tuple[str, str, str, str]]:
    out = []
    for state, table in TABLE.items():
        for line in table.strip().splitlines():
            if not line.strip().startswith("#"):
                segment, answer, after = (cell.strip() for cell in line.split("->"))
                out.append((state, " ".join(segment.split()), answer, after))
    return out


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
@pytest.mark.parametrize(("state", "segment", "answer", "after"), rows())
def test_every_state_meets_every_segment(state: str, segment: str, answer: str, after: str, v6: bool) -> None:
    end = state.split()[0] if after == "." else after
    said = "" if answer == "." else f"> {answer}"
    play(f"{WAY[state]}\n< {segment}\n{said}\n= {end}", v6=v6, numbers=NUMBERS[:1] if v6 else NUMBERS)


def test_no_row_twice() -> None:
    assert len({row[:2] for row in rows()}) == len(rows())
