"""The judge: asks the rules about one connection and keeps one root cause.

A connection without any sign of trouble is dismissed before a rule is called.  Otherwise every rule whose signs show
is asked; of the findings of WARNING or above the first in the order of cause (``judge.codes``) is the root and the
others become its symptoms.  Notes below WARNING that a root explains fold under it too: one connection, one story.

A second look is possible with ``Neighbours``: what the other connections of the same capture did (the same server
answered others; the client went on over the other address family; a scan).  It only makes findings milder or better
explained, never adds one, so a capture may be judged as it streams and looked at again at its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from synfin.judge.chains import is_content
from synfin.judge.codes import CODES, ORDER, TABLE, Code, matches
from synfin.judge.model import Finding, NotJudged, Severity
from synfin.judge.signs import Sign, signs
from synfin.observe.story import Connection, Quality


@dataclass(slots=True)
class Neighbours:
    """What the connections of a capture did, as far as it explains another one; filled by ``note``."""

    answered: dict[tuple[str, int], int] = field(default_factory=dict)  # server -> TCP handshakes completed
    open_hosts: set[str] = field(default_factory=set)  # server addresses that completed any handshake
    tls_servers: set[tuple[str, int]] = field(default_factory=set)  # servers that answered a ClientHello
    tls_names: dict[tuple[str, int], set[str]] = field(default_factory=dict)  # server -> names it finished TLS for
    opened: dict[int, list[tuple[int, str]]] = field(default_factory=dict)  # server port -> (start, client address)
    silent: dict[tuple[str, int], int] = field(default_factory=dict)  # server -> connections it sent no octet on
    failed: dict[tuple[str, str], set[int]] = field(default_factory=dict)  # client, server -> ports not answered

    def note(self, connection: Connection) -> None:
        """Take note of one more connection."""
        server = (connection.b.ip, connection.b.port)
        tcp = connection.tcp
        if tcp.handshake == "complete":
            self.answered[server] = self.answered.get(server, 0) + 1
            self.open_hosts.add(connection.b.ip)
            self.opened.setdefault(connection.b.port, []).append((connection.start, connection.a.ip))
        if not tcp.sides[1].payload and not tcp.sides[1].rsts and not tcp.sides[1].fins:
            self.silent[server] = self.silent.get(server, 0) + 1
        if tcp.handshake in ("refused", "syn_only", "syn_no_synack"):
            self.failed.setdefault((connection.a.ip, connection.b.ip), set()).add(connection.b.port)
        tls = connection.tls
        if tls is not None and tls.server_hello is not None:
            self.tls_servers.add(server)
            if tls.handshake_done and tls.sni:
                self.tls_names.setdefault(server, set()).add(tls.sni)

    def fell_back(self, connection: Connection) -> bool:
        """Whether the same port was reached over the other address family within three seconds (RFC 8305)."""
        six = ":" in connection.b.ip
        return any(
            (":" in client) != six and 0 <= start - connection.start <= 3_000_000_000
            for start, client in self.opened.get(connection.b.port, ())
        )

    def scanned(self, connection: Connection) -> bool:
        """Whether this client tried five or more ports of this host in vain: a scan, not a failure."""
        return len(self.failed.get((connection.a.ip, connection.b.ip), ())) >= 5


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule may know beside its connection.

    ``end`` is the time of the capture's last packet, ns (None: not known yet).  ``neighbours`` is None on a first
    look.  ``select`` and ``ignore`` are prefixes of codes; an empty ``select`` means all.
    """

    end: int | None = None
    neighbours: Neighbours | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def wants(self, code: str) -> bool:
        """Whether findings of ``code`` were asked for."""
        return (not self.select or matches(code, self.select)) and not (self.ignore and matches(code, self.ignore))

    def waited(self, connection: Connection, since: int) -> int:
        """How long was listened after ``since``: to the capture's end, or to the connection's last packet, ns."""
        return max(connection.end, self.end or 0) - since


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found about one connection: roots first; and what could not be decided."""

    findings: tuple[Finding, ...] = ()
    not_judged: tuple[NotJudged, ...] = ()

    @property
    def worst(self) -> Severity | None:
        """The highest severity, or None."""
        return max((finding.severity for finding in self.findings), default=None)


HEALTHY = Judgement()


def judge(connection: Connection, context: Context) -> Judgement:
    """Judge one connection: the root cause with its symptoms, notes that stand alone, and what was not judged."""
    shown = signs(connection)
    if not shown:
        return HEALTHY
    if shown == Sign.CHAIN and is_content(connection):
        return HEALTHY
    blind = _blind(connection)
    if blind is not None:
        return Judgement((), (blind,)) if context.wants(blind.code) else HEALTHY
    findings: list[Finding] = []
    silent: list[NotJudged] = []
    for row in rules_for(shown):
        answer = row.load().check(connection, context)
        if isinstance(answer, Finding):
            findings.append(answer)
        elif isinstance(answer, NotJudged):
            silent.append(answer)
    if context.select or context.ignore:
        silent = [item for item in silent if context.wants(item.code)]
        findings = [item for item in findings if context.wants(item.code)]
    if not findings:
        return Judgement((), tuple(silent)) if silent else HEALTHY
    return Judgement(_fold(findings), tuple(silent))


def _blind(connection: Connection) -> NotJudged | None:
    """Why nothing can be said of a connection: one direction only, or it began before the capture."""
    tcp = connection.tcp
    if tcp.source != "packets" or tcp.handshake == "syn_only":
        return None
    if not all(side.packets for side in tcp.sides):
        return NotJudged("CAP102", "only one direction was captured")
    if tcp.handshake == "none":
        return NotJudged("CAP103", "the capture starts after the connection")
    return None


def _fold(findings: list[Finding]) -> tuple[Finding, ...]:
    """One root of WARNING or above carries the rest; without one, notes stand side by side."""
    findings.sort(key=lambda item: ORDER[item.code])
    heavy = [item for item in findings if item.severity >= Severity.WARNING]
    if not heavy:
        return tuple(findings)
    root = heavy[0]
    return (replace(root, symptoms=tuple(item for item in findings if item is not root)),)


_BY_SIGNS: dict[Sign, tuple[Code, ...]] = {}


def rules_for(shown: Sign) -> tuple[Code, ...]:
    """The rows of the code table whose rules the signs call for, in order of cause."""
    rows = _BY_SIGNS.get(shown)
    if rows is None:
        rows = _BY_SIGNS[shown] = tuple(row for row in TABLE if row.signs & shown)
    return rows


def judge_capture(quality: Quality) -> tuple[Finding, ...]:
    """Facts about the capture that limit what can be said of any connection in it; NOTICE at most."""
    answers = (row.load().check(quality) for row in TABLE if not row.signs)
    return tuple(answer for answer in answers if answer is not None)


@dataclass(slots=True)
class Judged:
    """A connection that has something to tell, and what was found about it."""

    connection: Connection
    judgement: Judgement


def judge_all(connections: Iterable[Connection], context: Context, total: list[int] | None = None) -> Iterator[Judged]:
    """Judge a stream of connections; those with findings are looked at again once all others are known.

    Healthy connections are dropped at once, so memory is bounded by what is wrong.  ``total`` (a list of one number)
    counts the connections seen.
    """
    neighbours = Neighbours()
    kept: list[Connection] = []
    last = context.end or 0
    for connection in connections:
        if total is not None:
            total[0] += 1
        neighbours.note(connection)
        last = max(last, connection.end)
        judgement = judge(connection, context)
        if judgement.findings or judgement.not_judged or needs_end(connection):
            kept.append(connection)
    full = replace(context, end=last, neighbours=neighbours)
    for connection in kept:
        judgement = judge(connection, full)
        if judgement.findings or judgement.not_judged:
            yield Judged(connection, judgement)


def needs_end(connection: Connection) -> bool:
    """Whether the verdict depends on how long the capture listened: nothing was answered so far."""
    tls = connection.tls
    if connection.tcp.handshake != "complete":
        return connection.tcp.source == "packets"
    return tls is not None and not tls.handshake_done


__all__ = [
    "CODES",
    "Context",
    "Judged",
    "Judgement",
    "Neighbours",
    "judge",
    "judge_all",
    "judge_capture",
    "needs_end",
    "rules_for",
]
