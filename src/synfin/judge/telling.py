"""The words of findings: a finding made from its parts, and ends, times and packets as its sentences name them.

Pure functions of the story; what is said about a connection is decided by the rules.
"""

from __future__ import annotations

from collections.abc import Sequence

from synfin.judge.codes import CODES
from synfin.judge.facts import client_side
from synfin.judge.model import Actor, Confidence, Finding, Severity
from synfin.observe.evidence import Evidence
from synfin.observe.story import A, Connection

SECOND = 1_000_000_000


MILLI = 1_000_000


def finding(
    code: str,
    title: str,
    cause: str,
    remedy: str,
    packets: Sequence[int | None],
    *,
    sure: Confidence,
    reason: str,
    disproof: str,
    actor: Actor | None = None,
    severity: Severity | None = None,
    next_capture: str = "",
    field: str = "",
) -> Finding:
    """A Finding whose severity and actor are the code table's unless given; packets that are None are left out."""
    row = CODES[code]
    return Finding(
        code=code,
        severity=row.severity if severity is None else severity,
        actor=row.actor if actor is None else actor,
        title=title,
        cause=cause,
        remedy=remedy,
        evidence=(Evidence(tuple(sorted({p for p in packets if p is not None})), field=field),),
        confidence=sure,
        reason=reason,
        disproof=disproof,
        next_capture=next_capture,
    )


def counted(code: str, title: str, cause: str, remedy: str) -> Finding:
    """A fact about the whole capture: a count, so nothing can be doubted and no packet is named."""
    return finding(code, title, cause, remedy, [], sure=Confidence.CERTAIN, reason="counted", disproof="")


def end(connection: Connection, side: int) -> str:
    """``client 10.0.0.1:50000`` or ``server 10.0.0.2:443``."""
    place = connection.a if side == A else connection.b
    return f"{'client' if side == client_side(connection) else 'server'} {place}"


def server_name(connection: Connection) -> str:
    """``server 10.0.0.2:443 (example.com)``; the name where the client said one."""
    name = connection.name
    text = end(connection, 1 - client_side(connection))
    return f"{text} ({name})" if name not in ("", connection.b.ip) else text


def at(connection: Connection, time: int) -> str:
    """When: seconds since the connection's first packet, as ``at 0.123 s``."""
    return f"at {(time - connection.start) / SECOND:.3f} s"


def span(ns: int) -> str:
    """A duration for people: ``40 µs``, ``1.4 ms``, ``23 ms``, ``3.1 s``."""
    if ns < MILLI:
        return f"{ns / 1000:.0f} µs"
    if ns < 10 * MILLI:
        return f"{ns / MILLI:.1f} ms"
    return f"{ns / MILLI:.0f} ms" if ns < SECOND else f"{ns / SECOND:.1f} s"


def numbers(packets: tuple[int, ...] | list[int], most: int = 6) -> str:
    """``packet 4`` or ``packets 4, 5 and 9`` or ``packets 4, 5, 6 ... 90``."""
    many = list(packets)
    if len(many) == 1:
        return f"packet {many[0]}"
    if len(many) > most:
        return f"packets {', '.join(map(str, many[: most - 1]))} ... {many[-1]}"
    return f"packets {', '.join(map(str, many[:-1]))} and {many[-1]}"
