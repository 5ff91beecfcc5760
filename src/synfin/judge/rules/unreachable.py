"""TCP105: a router or host says by ICMP that the destination cannot be reached, and the connection failed.

What it sees.  An ICMP destination unreachable (IPv4 type 3, IPv6 type 1) that quotes the client's SYN, and no answer
to that SYN.

Why it matters.  The message names who gave up and why: no route, host down, or forbidden by policy.  Users see "No
route to host", EHOSTUNREACH, curl exit 7, ERR_ADDRESS_UNREACHABLE.

How to fix.  Look at the sender of the ICMP message: a router that has no route, the last router whose neighbour does
not answer ARP, or a packet filter ("administratively prohibited", and for TCP "port unreachable" too: a host where
nobody listens answers RST).  The remedy is there.

Confused with.  ICMP errors are soft while a connection works (RFC 5461): this rule is silent when the handshake
was completed.  Fragmentation needed (code 4) is about size and belongs to TCP301.

References.  RFC 792, RFC 1812 5.2.7.1, RFC 4443 3.1, RFC 5461.
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.model import Actor, Confidence, Finding, Severity
from synfin.judge.telling import at, end, finding
from synfin.observe.story import A, Connection
from synfin.observe.story_tcp import IcmpError

CODE = "TCP105"

#: ICMP codes that say a rule forbade the packet: IPv4 9, 10, 13 and IPv6 1, 5, 6; and for TCP the unreachable port,
#: as packet filters reject unless told otherwise, while TCP itself answers RST (RFC 9293 3.10.7.1).
_PROHIBITED = {4: (3, 9, 10, 13), 6: (1, 4, 5, 6)}

_WORDS = {
    (4, 0): "network unreachable",
    (4, 1): "host unreachable",
    (4, 2): "protocol unreachable",
    (4, 3): "port unreachable",
    (4, 9): "network administratively prohibited",
    (4, 10): "host administratively prohibited",
    (4, 13): "communication administratively prohibited",
    (6, 0): "no route to destination",
    (6, 1): "communication administratively prohibited",
    (6, 3): "address unreachable",
    (6, 4): "port unreachable",
    (6, 5): "source address failed ingress policy",
    (6, 6): "route rejected",
}


def is_unreachable(error: IcmpError) -> bool:
    """Whether an ICMP error says that the destination cannot be reached (size aside)."""
    return (error.version == 4 and error.type == 3 and error.code != 4) or (error.version == 6 and error.type == 1)


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on a SYN answered by ICMP unreachable only."""
    tcp = connection.tcp
    if tcp.handshake not in ("syn_only", "syn_no_synack") or tcp.completeness & 2:
        return None
    errors = [error for error in tcp.icmp if is_unreachable(error) and error.quoted_sender == A]
    if not errors:
        return None
    error = errors[0]
    prohibited = error.code in _PROHIBITED[error.version]
    words = _WORDS.get((error.version, error.code), error.name)
    host = error.sender_ip == connection.b.ip
    near = context.neighbours
    mild = near is not None and (near.fell_back(connection) or near.scanned(connection))
    return finding(
        CODE,
        f"{error.sender_ip} says by ICMP: {words}",
        f"The SYN of {end(connection, A)} to {connection.b} got no TCP answer; {at(connection, error.time)} "
        f"{error.sender_ip}, {'the destination itself' if host else 'a device on the path'}, sent ICMP type "
        f"{error.type} code {error.code}, {words} (packet {error.packet}), quoting that SYN"
        + (f"; {len(errors)} such messages in all." if len(errors) > 1 else "."),
        f"Operator of {error.sender_ip}: "
        + (
            f"its packet filter forbids TCP to port {connection.b.port}; allow it, or use a path that is allowed."
            if prohibited
            else "find out why it cannot deliver: route, link, or a host that does not answer ARP or neighbour "
            "discovery. Client: check that the address is right."
        ),
        [connection.first_packet, *(e.packet for e in errors)],
        actor=Actor.MIDDLEBOX if prohibited and not host else Actor.SERVER if host else Actor.NETWORK,
        severity=Severity.NOTICE if mild else None,
        sure=Confidence.CERTAIN,
        reason="the message quotes this SYN and no SYN,ACK ever came",
        disproof="a SYN,ACK for this SYN anywhere on the path back to the client",
    )
