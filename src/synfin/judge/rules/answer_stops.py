"""HTP104: the answer stops in the middle, and the client gives up waiting.

What it sees.  A response with a Content-Length, or the head of one, came in part; then nothing more for seconds, until
the client closed.  The client had acknowledged all that came and had room for more.  Sealed, a part of a TLS record
shows the same.  Or, readable or not, data was
under way, in the one direction or the other, when every packet of the server ceased, and what the client repeats is
not acknowledged either.

Why it matters.  "Operation timed out with N out of M bytes received" (curl 28), a download that hangs, a page that is
half there, an upload that stands still.

How to fix.  What the server's TCP says to the client's close tells whom to ask.  It acknowledges, and its numbers show
that it had sent no more: the program stopped (a lock, a dead backend, a full disk).  Nothing at all comes: the path or
the machine went silent (a firewall or NAT that dropped the connection, a lost route, a crash); capture at the server.

Confused with.  Large packets that do not pass (TCP301) are shown by numbers that jump.  A client that reads slowly
shuts its window (TCP220).  Streams without an announced length may pause on purpose, and are not judged.

References.  RFC 9110 8.6, RFC 9293 3.8.6, RFC 5461.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from synfin.judge.engine import Context
from synfin.judge.facts import (
    acknowledged,
    by,
    client_side,
    first_close,
    missed,
    round_trip,
    spoke_after,
    stream_base,
)
from synfin.judge.model import Actor, Confidence, Finding, Severity
from synfin.judge.telling import SECOND, at, end, finding, numbers, span
from synfin.observe.story import Connection
from synfin.observe.story_http import HttpStory
from synfin.wire.tcpflags import ACK, FIN, RST

CODE = "HTP104"

#: What the observer says of a response whose head came in part.
CUT_HEAD = "head not complete"

#: A silence that is no pause: this long, and this many round trips.
SILENCE, TRIPS = 3 * SECOND // 2, 20

#: Who repeats more often than this what is never acknowledged, is not heard any more.
REPEATS = 2
#: When the first of it is sent later than this after the other side's last packet, nothing was under way any more.
IDLE = 10 * SECOND
#: Packets of more payload than this may be lost for their size.
LARGE = 1000
#: With a window of this a sender has no reason to wait (RFC 9293 3.8.6.2.1).
ROOM = 4096
#: So much acknowledged within a second is an upload, and no request.
MUCH = 20_000


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire when the client leaves a response of announced length, or its head, after a long silence in its middle."""
    if (silenced := _silenced(connection)) is not None:
        return silenced
    close = first_close(connection)
    if close is None or connection.tcp.source != "packets" or missed(connection):
        return None
    part = _part(connection, connection.http) if connection.http is not None else _part_of_record(connection)
    if part is None or part.sender == close.side:
        return None
    server, rows = part.sender, connection.rows
    carried = [i for i in range(close.place) if rows.sender[i] == server and rows.load_len[i]]
    if not carried or spoke_after(connection, server, close):
        return None
    last = carried[-1]
    silence = close.time - rows.time[last]
    if silence < max(SILENCE, TRIPS * round_trip(connection)):
        return None
    windows = [rows.window[i] for i in by(connection, 1 - server, ACK) if i < close.place]
    base = stream_base(connection, server)
    came_to = (rows.seq[last] + rows.load_len[last] - base) & 0xFFFFFFFF if base is not None else 0
    if (
        acknowledged(connection, server) < came_to
        or not windows
        or windows[-1] << _shift(connection, 1 - server) < part.room
    ):
        return None
    alive = next((i for i in by(connection, server, ACK) if i > close.place), None)
    if close.reset:
        then = "It closed with RST, which nobody answers, so the server's end was not heard again."
        todo = (
            "Server's operator: look for what the program waited for in the middle of its answer. If it went on "
            "sending: find what silences the connection on the way (firewall, NAT, route)."
        )
    elif alive is not None:
        then = f"The server's TCP answered the close (packet {rows.number[alive]}) and shows that it had sent no more."
        todo = "Server's operator: the program stopped in the middle of its answer; look for what it waited for."
    else:
        then = "The server's end did not answer the close either."
        todo = (
            "Network's operator: find what silences the connection after so long or so much (firewall, NAT, route), "
            "or whether the server's machine went away."
        )
    return finding(
        CODE,
        f"the answer of {end(connection, server)} stopped after {part.came}; the client gave up",
        f"The last octets came {at(connection, rows.time[last])} (packet {rows.number[last]}), and the client "
        f"acknowledged them. After {span(silence)} of silence it closed (packet {close.packet}). {then}",
        todo,
        [part.packet, rows.number[last], close.packet, None if alive is None else rows.number[alive]],
        actor=Actor.SERVER if alive is not None else Actor.UNDECIDABLE,
        sure=Confidence.LIKELY if alive is not None else Confidence.POSSIBLE,
        reason=f"{part.shown}, everything that came was acknowledged, and nothing more came",
        disproof="a capture at the server in which it goes on sending" if alive is None else "octets sent later",
        next_capture="at the server, to see whether it went on sending" if alive is None else "",
    )


def _shift(connection: Connection, side: int) -> int:
    """By how many bits the windows of ``side`` are to be shifted (RFC 7323 2.2)."""
    one, two = (connection.tcp.sides[place].syn for place in (side, 1 - side))
    return one.wscale or 0 if one is not None and two is not None and two.wscale is not None else 0


class _Part(NamedTuple):
    """A response of which a part came: whose, what came and why it is a part, and the window that rules out more."""

    sender: int
    packet: int
    came: str
    shown: str
    room: int


def _part(connection: Connection, http: HttpStory) -> _Part | None:
    """A response that can be read: its length says more than came, or its head has no end."""
    patience = max(SILENCE, TRIPS * round_trip(connection))
    resets = {event.stream: event for event in http.h2 if event.what == "rst_stream"}
    for response in http.messages:
        if response.kind != "response" or response.complete:
            continue
        reset = resets.get(response.stream)
        if reset is None or (reset.sender != response.sender and reset.time - response.end >= patience):
            break  # it was not ended, or given up after a silence
    else:
        return None
    if response.problem.startswith(CUT_HEAD):
        return _Part(response.sender, response.packets[0], "the beginning of its head", "its head is cut", 1)
    if response.framing not in ("length", "h2") or response.declared is None:
        return None
    came = f"{response.body} of {response.declared} octets of the body"
    return _Part(response.sender, response.packets[0], came, "the response says how long it is", 1)


def _part_of_record(connection: Connection) -> _Part | None:
    """Sealed: the server's last TLS record says more than came; no program can wait on purpose in a record."""
    tls = connection.tls
    record = next((r for r in reversed(tls.records) if r.sender != tls.client), None) if tls is not None else None
    if tls is None or not tls.handshake_done or record is None or record.complete or record.type != 23:
        return None
    came = connection.streams[record.sender].end - record.offset - 5
    if not 0 <= came < record.length:
        return None
    text = f"{came} of {record.length} octets of a TLS record"
    return _Part(record.sender, record.packet, text, "the record says how long it is", ROOM)


def _silenced(connection: Connection) -> Finding | None:
    """A transfer that was under way when every packet of one side ceased, what the other repeats unheard too."""
    tcp, tls = connection.tcp, connection.tls
    if tcp.handshake != "complete" or (connection.http is None and (tls is None or not tls.handshake_done)):
        return None
    client, rows = client_side(connection), connection.rows
    for sender in (client, 1 - client):
        heard = [i for i in range(len(rows)) if rows.sender[i] != sender]
        if not heard or rows.flags[heard[-1]] & (FIN | RST):
            continue
        last = heard[-1]
        if sender == client and not rows.load_len[last] and not _uploading(connection, last):
            continue  # nothing was under way: an idle connection is TCP401
        unheard = [i for i in range(last + 1, len(rows)) if rows.load_len[i] > 1 or rows.flags[i] & FIN]
        if not unheard or rows.time[unheard[0]] - rows.time[last] > IDLE:
            continue
        times = Counter([rows.seq[i] for i in unheard])
        again = [i for i in unheard if times[rows.seq[i]] > REPEATS]
        if again and rows.time[again[-1]] - rows.time[again[0]] >= SILENCE:
            return _ceased(connection, sender, last, again)
    return None


def _uploading(connection: Connection, last: int) -> bool:
    """Whether the client was in the middle of sending much when the server's last packet, at ``last``, came."""
    rows, sender = connection.rows, 1 - connection.rows.sender[last]
    since, until = rows.time[last] - SECOND, rows.time[last] + SECOND
    near = [i for i in range(len(rows)) if rows.sender[i] == sender and rows.load_len[i] and since < rows.time[i]]
    near = [i for i in near if rows.time[i] < until]
    before = [i for i in near if i < last and 0 < (rows.ack[last] - rows.seq[i]) & 0xFFFFFFFF < 0x80000000]
    return sum(rows.load_len[i] for i in before) > MUCH and any(
        0 < (rows.seq[i] + rows.load_len[i] - rows.ack[last]) & 0xFFFFFFFF < 0x80000000 for i in near
    )


def _ceased(connection: Connection, sender: int, last: int, again: list[int]) -> Finding:
    """``sender`` repeats the packets at ``again``, and the other side's last word is the one at ``last``."""
    rows = connection.rows
    client = client_side(connection)
    asking = sender == client
    large = max(rows.load_len[i] for i in again) > LARGE
    silent = end(connection, 1 - sender)
    return finding(
        CODE,
        f"everything from {silent} ceased in the middle of "
        f"{'the answer' if not asking else 'its answer' if rows.load_len[last] else 'what it was sent'}",
        f"The last packet of {silent} came {at(connection, rows.time[last])} (packet {rows.number[last]}), and data "
        f"was under way. Then {end(connection, sender)} sent the same octets {len(again)} times in "
        f"{span(rows.time[again[-1]] - rows.time[again[0]])} ({numbers([rows.number[i] for i in again])}) and nothing "
        "came back, no acknowledgment and no reset."
        + (" These packets are large: perhaps it is their size that does not pass (TCP301)." if large else ""),
        "Network's operator: find what silences the connection after so long or so much (firewall, NAT, route), or "
        f"whether the {'server' if asking else 'client'}'s machine went away.",
        [rows.number[last], *(rows.number[i] for i in again)],
        severity=None if asking else Severity.WARNING,
        sure=Confidence.LIKELY if asking else Confidence.POSSIBLE,
        reason="data was under way, and after it not even acknowledgments pass",
        disproof=f"a capture at the other end in which {silent} goes on sending, or these repetitions arrive",
        next_capture=f"at the {'server' if asking else 'client'}, to see whether it went on sending",
    )
