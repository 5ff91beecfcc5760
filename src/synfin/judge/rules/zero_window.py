"""TCP220: the receiver stopped reading and closed its window.

 What it sees.  One side announced a window of zero, so the other could not send, for a second or more; and the
connection did not recover: the window stayed shut to the end, or somebody gave up.

Why it matters.  Uploads and downloads hang: "Operation timed out".  The side that closed its window is the slow
one: its program does not read.  It is not the network.

How to fix.  At the side that closed the window: find out why the program does not read: blocked on a disk, a lock,
a backend, a slow consumer, or a full buffer of its own.

Confused with.  A short zero window, or one that opens again, is flow control at work: at most a note.  A player or
a paused download closes its window on purpose.

References.  RFC 9293 3.8.6.1 (zero-window probing), RFC 1122 4.2.2.17.
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import client_side, first_close
from synfin.judge.model import Actor, Confidence, Finding, Severity
from synfin.judge.telling import SECOND, at, end, finding, numbers, span
from synfin.observe.story import Connection

CODE = "TCP220"

#: A shut window shorter than this is flow control at work.
NOTICED = SECOND

#: A window still shut at the end of the capture counts as stuck after this long.
STUCK = 2 * SECOND


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on a window that stayed shut; note a long one that opened again."""
    stalls = [
        stall for stall in connection.tcp.stalls if stall.kind == "zero_window" and stall.end - stall.start >= NOTICED
    ]
    if not stalls:
        return None
    stall = max(stalls, key=lambda item: item.end - item.start)
    slow = 1 - stall.sender
    rows = connection.rows
    moved = [
        i
        for i in range(len(rows))
        if rows.sender[i] == stall.sender and rows.time[i] > stall.end and rows.load_len[i] > 1
    ]
    close = first_close(connection)
    gave_up = close is not None and close.time >= stall.start and not moved and close.side == stall.sender
    stuck = not moved and close is None and stall.end - stall.start >= STUCK
    broke_off = (
        not moved
        and close is not None
        and close.reset
        and close.side == slow != client_side(connection)
        and close.time - stall.start >= STUCK
    )
    bad = gave_up or stuck or broke_off
    total = sum(item.end - item.start for item in stalls)
    ended = (
        f" {end(connection, close.side).capitalize()} then ended the connection ({'RST' if close.reset else 'FIN'}, "
        f"packet {close.packet})."
        if gave_up and close is not None
        else f" It never opened again, and {end(connection, slow)} reset the connection with octets unread."
        if broke_off
        else " It was still shut at the end of the capture."
        if stuck
        else " It opened again, and the transfer went on."
        if moved
        else " The side that had stopped reading then closed, so it may have wanted no more."
    )
    return finding(
        CODE,
        f"{end(connection, slow)} stopped reading: its window was shut for {span(stall.end - stall.start)}",
        f"{at(connection, stall.start).capitalize()} {end(connection, slow)} announced a window of zero "
        f"({numbers(list(stall.packets[:4]))}), so {end(connection, stall.sender)} had to wait "
        f"{span(stall.end - stall.start)}"
        + (f" ({len(stalls)} times, {span(total)} in all)" if len(stalls) > 1 else "")
        + f". Who shuts the window is who is slow.{ended}",
        f"Operator of {end(connection, slow)}: find out why its program does not read from this connection (blocked on "
        "disk, lock, backend, or paused on purpose).",
        [*stall.packets[:8], *([close.packet] if gave_up and close is not None else [])],
        actor=Actor.CLIENT if slow == client_side(connection) else Actor.SERVER,
        severity=Severity.WARNING if bad else Severity.NOTICE,
        sure=Confidence.CERTAIN,
        reason="the window is announced by the side that does not read",
        disproof="a program that pauses its reading on purpose",
    )
