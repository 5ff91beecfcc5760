"""Whether a RST is the work of the end it names, or of somebody between: what about it does not fit.

TTL, sequence number, IP identification, timestamps and the time it came at are compared with the end's other packets.
"""

from __future__ import annotations

from synfin.judge.facts import by
from synfin.judge.telling import MILLI, numbers, span
from synfin.observe.story import Connection
from synfin.wire.tcpflags import ACK, RST


def forger_signs(connection: Connection, index: int) -> tuple[list[str], list[str]]:
    """What about the RST at ``index`` does not fit its supposed sender: ``(strong, weak)`` sentences.

    Compared with the sender's other packets: TTL, sequence number, life after death (strong); IP identification and
    an answer faster than the path allows (weak).
    """
    rows = connection.rows
    side = rows.sender[index]
    strong: list[str] = []
    weak: list[str] = []
    others = [i for i in range(len(rows)) if rows.sender[i] == side and not rows.flags[i] & RST]
    before = [i for i in others if i < index]
    ttls = {rows.ttl[i] for i in others}
    if ttls and rows.ttl[index] not in ttls:
        strong.append(
            f"its TTL is {rows.ttl[index]}, every other packet of that end has {' or '.join(map(str, sorted(ttls)))}"
        )
    rtt = connection.tcp.syn_to_synack or 0
    alive = rows.time[index] + max(rtt, 5 * MILLI)  # until then packets may have overtaken each other
    later = [i for i in others if i > index and (rows.load_len[i] or rows.time[i] > alive)]
    if later:
        strong.append(f"that end went on sending after it ({numbers([rows.number[i] for i in later])})")
    syn = connection.tcp.sides[side].syn
    if syn is not None and syn.timestamps and rows.flags[index] & ACK and rows.opt_len[index] < 10:
        weak.append("it lacks the timestamps that the other packets of that end carry")
    seqs = [rows.seq[i] for i in by(connection, side, RST)]
    if len(set(seqs)) > 1 and index == next(by(connection, side, RST)):
        weak.append("several RSTs came with different sequence numbers")
    ids = [rows.ip_id[i] for i in before if rows.ip_id[i]]
    if ids and rows.ip_id[index] and ((rows.ip_id[index] - ids[-1]) & 0xFFFF) > 2048:
        weak.append(f"its IP identification {rows.ip_id[index]} does not continue from {ids[-1]}")
    asked = [i for i in range(index) if rows.sender[i] != side and rows.load_len[i]]
    if asked and rtt > 4 * MILLI and rows.time[index] - rows.time[asked[-1]] < rtt * 3 // 5:
        waited = rows.time[index] - rows.time[asked[-1]]
        weak.append(f"it came {span(waited)} after the packet it answers, and the path takes {span(rtt)}")
    return strong, weak
