"""The TCP story of an ordinary connection, without a walk over its segments.

``flows_digest.plain`` has found that nothing on the connection needs a closer look: no segment is marked, both streams
lie in the file in order and whole.  Most of the story then follows from the first three packets and from counts that
were made for many connections at once; what takes a walk (states, round trips, the shape of the close) is made when
somebody asks.  ``watch_plain`` says exactly what ``tcpwatch`` says of the same packets (a property test holds them
equal) and leaves to it, by None, every connection that does not begin with SYN, SYN-ACK, ACK.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low
from typing import Any

from synfin.observe.flows import FlowRows
from synfin.observe.reassemble import in_order
from synfin.observe.rows import Rows
from synfin.observe.story_tcp import IcmpError, Mark, TcpStory, leave
from synfin.observe.stream import ByteStream
from synfin.observe.tcpstates import follow
from synfin.observe.tcpwatch_facts import close, completeness, cookie_look, side_facts, syn_facts
from synfin.wire.tcpflags import ACK, RST, SYN

_M = 0xFFFFFFFF
_H = 1 << 31
_REUSED = int(Mark.REUSED_PORTS)


def watch_plain(
    flow: FlowRows, icmp: Sequence[IcmpError] = ()
) -> tuple[TcpStory, tuple[ByteStream, ByteStream]] | None:
    """The TCP story and the streams of A and B of the ordinary connection ``flow``; None where it takes a walk."""
    rows = flow.rows
    flags, times = rows.flags, rows.time
    if len(flags) < 3 or flags[1] & SYN == 0 or flags[2] & (SYN | ACK | RST) != ACK or rows.sender[:3] != [0, 1, 0]:
        return None
    start, answered, opened = times[:3]
    if start == opened:
        return None
    one, two = syn_facts(rows, 0), syn_facts(rows, 1)
    if one.fast_open:
        return None
    streams = in_order(rows, 0), in_order(rows, 1)
    marks = {"reused_ports": 1} if flow.reused else {}
    sides = (
        side_facts(rows, 0, flow.counts[0], one, two, streams[0].end, marks, lambda _: _rtt(rows, 0)),
        side_facts(rows, 1, flow.counts[1], two, one, streams[1].end, {}, lambda _: _rtt(rows, 1)),
    )
    how, rst_after_fin, rst_by, fin_by = close(sides)

    def later(name: str) -> Any:
        if name == "marks":
            return [_REUSED if flow.reused else 0, *[0] * (len(flags) - 1)]
        if name == "completeness":
            return completeness(rows)
        final, shape = follow(rows)
        if name == "final":
            return final
        return (*shape, "syn_cookie_look") if cookie_look((one, two)) else shape

    story = TcpStory(
        source="packets",
        handshake="complete",
        close=how,
        rst_after_fin=rst_after_fin,
        rst_first_by=rst_by,
        fin_first_by=fin_by,
        completeness=0,
        initial_rtt=opened - start,
        syn_to_synack=answered - start,
        sides=sides,
        final=_UNASKED,
        shape=(),
        stalls=(),
        icmp=tuple(icmp),
        overlaps=(),
        reused_ports=flow.reused,
        marks=[],
        later=later,
    )
    leave(story, "completeness", "final", "shape", "marks")
    return story, streams


_UNASKED: Any = None


def _rtt(rows: Rows, side: int) -> tuple[int, int, int] | None:
    """Minimum, median and maximum time from the other side's data to ``side``'s acknowledgment of it, ns.

    Nothing was repeated and nothing is missing, so every acknowledgment answers the last segment it covers.
    """
    ends: list[int] = []
    times: list[int] = []
    done = 0
    samples: list[int] = []
    for sender, time, seq, ack, size in zip(rows.sender, rows.time, rows.seq, rows.ack, rows.load_len, strict=True):
        if sender != side:
            if size:
                ends.append((seq + size) & _M)
                times.append(time)
            continue
        if done < len(ends) and (ack - ends[done]) & _M < _H:
            done += 1
            while done < len(ends) and (ack - ends[done]) & _M < _H:
                done += 1
            samples.append(time - times[done - 1])
    return (min(samples), median_low(samples), max(samples)) if samples else None
