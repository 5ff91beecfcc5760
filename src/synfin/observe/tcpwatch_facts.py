"""Facts of a connection that need no walk: what a SYN said, what a side sent, how it closed, what was captured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from synfin.observe.flows_digest import SideCounts
from synfin.observe.rows import Rows
from synfin.observe.story_tcp import SynFacts, TcpSide, leave
from synfin.observe.tcpwatch_options import options
from synfin.wire.tcpflags import ACK, FIN, RST, SYN

_new = tuple.__new__  # makes a NamedTuple without a call to its Python constructor


def syn_facts(rows: Rows, i: int) -> SynFacts:
    """What packet ``i``, a SYN or SYN-ACK, says of its sender."""
    said = options(rows.options(i))
    return _new(
        SynFacts,
        (
            rows.number[i],
            rows.time[i],
            rows.seq[i],
            rows.window[i],
            said.mss,
            said.wscale,
            said.sack_permitted,
            said.timestamped,
            said.fast_open,
            said.all,
            rows.ttl[i],
        ),
    )


def side_facts(
    rows: Rows,
    side: int,
    count: SideCounts,
    own: SynFacts | None,
    peer: SynFacts | None,
    unique: int,
    marks: dict[str, int],
    later: Callable[[str], Any],
) -> TcpSide:
    """What ``side`` sent: ``unique`` octets of payload without repetitions; ``later`` measures round trips if asked."""
    mss = peer.mss if peer is not None else None
    over = 0
    if mss and count.max_segment > mss:
        over = sum([1 for who, size in zip(rows.sender, rows.load_len, strict=True) if size > mss and who == side])
    window = count.window
    if window is not None and own is not None and own.wscale and peer is not None and peer.wscale is not None:
        window <<= min(own.wscale, 14)  # RFC 7323 2.3
    told = TcpSide(
        count.packets,
        count.wire_bytes,
        count.payload,
        unique,
        count.fins,
        count.fin_packet,
        count.rsts,
        count.rst_packet,
        own,
        count.syns,
        marks,
        count.max_segment,
        over,
        window,
        count.first_payload_packet,
        count.last_payload_packet,
        None,
        later,
    )
    leave(told, "rtt")
    return told


def close(sides: tuple[TcpSide, TcpSide]) -> tuple[str, bool, int | None, int | None]:
    """How it ended, whether both FINs came before the first RST, and who sent the first RST and the first FIN."""
    fins = [side.fin_packet for side in sides]
    rsts = [side.rst_packet for side in sides]
    fin_by = _first(fins)
    rst_by = _first(rsts)
    if rst_by is not None:
        first = rsts[rst_by]
        orderly = all(fin is not None and first is not None and fin < first for fin in fins)
        return "rst", orderly, rst_by, fin_by
    if fins[0] is not None and fins[1] is not None:
        return "fin", False, None, fin_by
    if fin_by is not None:
        return ("half_a", "half_b")[fin_by], False, None, fin_by
    return "open", False, None, None


def _first(packets: list[int | None]) -> int | None:
    one, two = packets
    if one is None:
        return None if two is None else 1
    return 0 if two is None or one <= two else 1


def completeness(rows: Rows) -> int:
    """Wireshark's sum of what was captured: SYN 1, SYN-ACK 2, ACK 4, data 8, FIN 16, RST 32."""
    done = 1 if rows.flags[0] & (SYN | ACK) == SYN else 0
    if len(rows) == 1:  # as tshark has it: one stray segment is no conversation
        return done | 8 if done and rows.load_len[0] else done
    for flags, size in zip(rows.flags, rows.load_len, strict=True):
        if flags & SYN:  # a SYN's payload counts, a SYN-ACK's does not
            done |= 2 if flags & ACK else 8 if size else 0
        else:
            done |= 8 if size else 4 if flags & ACK else 0
        if flags & FIN and (flags & ACK or not flags & (SYN | RST)):
            done |= 16
        if flags & RST:
            done |= 32
    return done


def cookie_look(syns: tuple[SynFacts | None, SynFacts | None]) -> bool:
    """Whether B answered as SYN cookies make it: much was offered, only one of the few encodable MSS came back."""
    a, b = syns
    if a is None or b is None or a.wscale is None or not a.sack_permitted:
        return False
    return b.wscale is None and not b.sack_permitted and not b.timestamps and b.mss in (536, 1300, 1440, 1460)
