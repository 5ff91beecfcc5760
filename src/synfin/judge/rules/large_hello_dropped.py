"""TCP302: a ClientHello in several packets, or a very large one, does not pass the path.

What it sees.  TCP is set up, the large segments of the ClientHello are sent again and again and never acknowledged,
while the server acknowledges a small part of it (plainly or by SACK): small packets pass, large ones do not.

Why it matters.  ClientHellos with post-quantum key shares (X25519MLKEM768 adds 1,216 octets) fill more than one
packet.  Where the path's MTU is smaller than both ends believe, new browsers fail and old tools work.

How to fix.  Repair the path: lower the MTU of the interface or clamp the MSS on the tunnel or VPN
(`iptables -t mangle ... TCPMSS --clamp-mss-to-pmtu`), and let ICMP "fragmentation needed" pass.  As a test, send a
shorter ClientHello (curl `--curves X25519`).

Confused with.  A filter that drops every ClientHello, small ones too (TLS113).  A server that closes after the first
packet of a long ClientHello (TLS204).

References.  RFC 2923 2.1 (black holes), RFC 1191, RFC 8899, RFC 9293 3.7.5.
"""

from __future__ import annotations

from collections import Counter

from synfin.judge.engine import Context
from synfin.judge.hello import hello_fate, large_group
from synfin.judge.model import Actor, Confidence, Finding
from synfin.judge.telling import SECOND, end, finding, numbers, span
from synfin.observe.story import Connection

CODE = "TCP302"

#: Below this payload a packet passes every path that carries IPv6 (RFC 8200 5: 1,280 octets with headers).
ALWAYS_PASSES = 1200

#: When smaller packets are seen to pass, this is large.
LARGE = 1000


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire when large parts of the ClientHello are repeated in vain while smaller packets pass."""
    if connection.tls is not None and connection.tls.server_hello is not None:
        return None  # answered: no need to look for its packets
    fate = hello_fate(connection)
    if fate is None or fate.answered or fate.fully_acked:
        return None
    if fate.close is not None and fate.close.side != fate.client and fate.close.reset:
        return None
    rows = connection.rows
    syn = connection.tcp.sides[fate.client].syn
    base = syn.seq + 1 if syn is not None else 0
    missing = [i for i in fate.carried if ((rows.seq[i] - base) & 0xFFFFFFFF) + rows.load_len[i] > max(fate.acked, 0)]
    seqs = [rows.seq[i] for i in missing]
    if not missing or (waited := context.waited(connection, rows.time[missing[0]])) < SECOND:
        return None
    repeats = max(Counter(seqs).values()) - 1
    size = max(rows.load_len[i] for i in missing)
    errors = [error for error in connection.tcp.icmp if error.mtu]
    part = fate.sacked or fate.acked > fate.start
    if repeats < 1 or size < (LARGE if part else ALWAYS_PASSES) or not (part or errors):
        return None
    group = large_group(connection)
    passed = "by SACK" if fate.sacked else f"up to octet {fate.acked - fate.start}"
    said = (
        f" {errors[0].sender_ip} says by ICMP that its next link takes {errors[0].mtu} octets (packet "
        f"{errors[0].packet}), and the client does not act on it."
        if errors
        else ""
    )
    return finding(
        CODE,
        f"large packets of the ClientHello to {connection.b} do not pass",
        f"The ClientHello of {end(connection, fate.client)} is {fate.length} octets long"
        f"{f' (key share {group})' if group else ''}. Its packets of up to {size} octets of payload were sent "
        f"{repeats + 1} times in {span(waited)} ({numbers([rows.number[i] for i in missing])}) and never acknowledged, "
        f"while {'smaller ones were acknowledged ' + passed if part else 'nothing was acknowledged'}: the loss goes "
        f"by size.{said}",
        "Network's operator: lower the MTU or clamp the MSS where the path becomes narrower (VPN, tunnel, PPPoE), and "
        "let ICMP fragmentation needed / packet too big pass. Client meanwhile: a shorter ClientHello, for example "
        "without post-quantum groups.",
        [rows.number[i] for i in missing] + [error.packet for error in errors],
        actor=Actor.NETWORK,
        sure=Confidence.LIKELY,
        reason="small packets of the same connection pass and large ones never do",
        disproof="a large packet of this client that is acknowledged",
        next_capture="at the server, to see that the large packets do not arrive",
    )
