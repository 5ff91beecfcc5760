"""The judge: asks the rules about one connection and keeps one root cause.

A connection without any sign of trouble is dismissed before a rule is called.  Otherwise every rule whose signs show
is asked; of the findings of WARNING or above the first in the order of cause (``judge.codes``) is the root and the
others become its symptoms.  Notes below WARNING that a root explains fold under it too: one connection, one story.

A second look is possible with ``Neighbours``: what the other connections of the same capture did (the same server
answered others; the client went on over the other address family; a scan).  It only makes findings milder or better
explained, never adds one, so a capture may be judged as it streams and looked at again at its end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from synfin.judge import siblings
from synfin.judge.chains import is_content, verdict
from synfin.judge.codes import CODES, ORDER, TABLE, Code, matches
from synfin.judge.facts import acknowledged
from synfin.judge.hello import ONE_PACKET
from synfin.judge.model import Confidence, Finding, NotJudged, Severity
from synfin.judge.signs import Sign, signs
from synfin.judge.telling import SECOND
from synfin.observe.story import Connection, Quality

#: So many ports of one host tried in vain are a scan.
SCAN = 5
#: Servers that said nothing, and pairs of hosts that did not reach each other, are remembered up to this many: a
#: scan of the whole Internet must not fill memory.
MOST = 65_536
#: Connections that wait for the rest of the capture, at most; the one that waited longest is judged by what is known.
KEPT = 20_000
#: What is said of certificates of a client that left without a word.
OF_LEAVING = frozenset({"CRT101", "CRT102", "CRT201", "CRT202", "CRT301", "CRT401", "TLS211"})


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What the connections of a capture did, as far as it explains another one; filled by ``note``."""

    answered: dict[tuple[str, int], int] = field(default_factory=dict)  # server -> TCP handshakes completed
    open_hosts: set[str] = field(default_factory=set)  # server addresses that completed any handshake
    tls_servers: set[tuple[str, int]] = field(default_factory=set)  # servers that answered a ClientHello
    tls_names: dict[tuple[str, int], set[str]] = field(default_factory=dict)  # server -> names it finished TLS for
    opened: dict[tuple[int, bool, int], tuple[int, int]] = field(default_factory=dict)  # port, IPv6, second -> starts
    silent: dict[tuple[str, int], int] = field(default_factory=dict)  # server -> connections it sent no octet on
    held: set[tuple[str, int]] = field(default_factory=set)  # of these, servers whose TCP took octets on one of them
    short_hellos: dict[tuple[str, int], bool] = field(default_factory=dict)  # server -> one was answered with TLS
    failed: dict[tuple[str, str], set[int]] = field(default_factory=dict)  # client, server -> ports not answered
    taken: dict[tuple[str, str, int, str], list[siblings.Taken]] = field(default_factory=dict)  # who was content

    def note(self, connection: Connection) -> None:
        """Take note of one more connection."""
        server = (connection.b.ip, connection.b.port)
        tcp = connection.tcp
        if tcp.handshake == "complete":
            self.answered[server] = self.answered.get(server, 0) + 1
            self.open_hosts.add(connection.b.ip)
            place = (connection.b.port, ":" in connection.b.ip, connection.start // SECOND)
            first, last = self.opened.get(place, (connection.start, connection.start))
            self.opened[place] = (min(first, connection.start), max(last, connection.start))
        if not tcp.sides[1].payload and (tcp.sides[0].payload or not (tcp.sides[1].rsts or tcp.sides[1].fins)):
            known = self.silent.get(server, 0)
            if known or len(self.silent) < MOST:
                self.silent[server] = known + 1
                if acknowledged(connection, 0) > 1:
                    self.held.add(server)
        if tcp.handshake in ("refused", "syn_only", "syn_no_synack"):
            pair = (connection.a.ip, connection.b.ip)
            ports = self.failed.get(pair)
            if ports is None and len(self.failed) < MOST:
                self.failed[pair] = {connection.b.port}
            elif ports is not None and len(ports) < SCAN:
                ports.add(connection.b.port)
        tls = connection.tls
        if tls is not None and tls.client_hello is not None and tls.client_hello.length < ONE_PACKET:
            answered = tls.server_hello is not None
            if answered or tcp.fin_first_by == 1 or tcp.rst_first_by == 1:
                self.short_hellos[server] = answered or self.short_hellos.get(server, False)
        if tls is not None and tls.server_hello is not None:
            self.tls_servers.add(server)
            if tls.handshake_done and tls.sni:
                self.tls_names.setdefault(server, set()).add(tls.sni)
            self._note_taken(connection)

    def _note_taken(self, connection: Connection) -> None:
        place = siblings.key(connection)
        known = self.taken.get(place)
        if known is None and len(self.taken) < MOST:
            known = self.taken[place] = []
        if known is not None and len(known) < 16 and (one := siblings.taken(connection)) is not None:
            known.append(one)

    def content(self, connection: Connection) -> bool:
        """Whether a client that left this server without a word had just gone on with it on another connection."""
        said = verdict(connection)
        known = self.taken.get(siblings.key(connection), [])
        return said.kind in ("left", "quit") and siblings.contents(connection, said.time, known)

    def fell_back(self, connection: Connection) -> bool:
        """Whether the same port was reached over the other address family within three seconds (RFC 8305)."""
        other, begin = ":" not in connection.b.ip, connection.start
        for second in range(begin // SECOND, (begin + 3 * SECOND) // SECOND + 1):
            first, last = self.opened.get((connection.b.port, other, second), (begin - 1, begin - 1))
            if begin <= last and first <= begin + 3 * SECOND:
                return True
        return False

    def scanned(self, connection: Connection) -> bool:
        """Whether this client tried five or more ports of this host in vain: a scan, not a failure."""
        return len(self.failed.get((connection.a.ip, connection.b.ip), ())) >= SCAN


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
    near = context.neighbours
    if near is not None and any(item.code in OF_LEAVING for item in findings) and near.content(connection):
        findings = [_milder(item) if item.code in OF_LEAVING else item for item in findings]
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


def _milder(item: Finding) -> Finding:
    """What a client's departure seemed to say, when the same client is content with the server elsewhere."""
    return replace(
        item,
        severity=min(item.severity, Severity.NOTICE),
        confidence=Confidence.POSSIBLE,
        reason="the same program had just gone on with this server on another connection: more probably this one was "
        "not needed any more, or the program was stopped",
    )


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


@dataclass(frozen=True, slots=True)
class Judged:
    """A connection that has something to tell, and what was found about it."""

    connection: Connection
    judgement: Judgement


def judge_each(connections: Iterable[Connection], context: Context) -> Iterator[Judged]:
    """Judge a stream of connections; those with findings are looked at again once the others are known.

    Healthy connections are handed out at once.  At most ``KEPT`` others wait for the end; past that the oldest is
    judged by what is known so far, so memory is bounded however much is wrong.
    """
    neighbours = Neighbours()
    kept: deque[Connection] = deque()
    last = context.end or 0
    for connection in connections:
        neighbours.note(connection)
        last = max(last, connection.end)
        judgement = judge(connection, context)
        if not (judgement.findings or judgement.not_judged or needs_end(connection)):
            yield Judged(connection, judgement)
            continue
        kept.append(connection)
        if len(kept) > KEPT:
            oldest = kept.popleft()
            yield Judged(oldest, judge(oldest, replace(context, end=last, neighbours=neighbours)))
    full = replace(context, end=last, neighbours=neighbours)
    while kept:
        oldest = kept.popleft()
        yield Judged(oldest, judge(oldest, full))


def judge_all(connections: Iterable[Connection], context: Context, total: list[int] | None = None) -> Iterator[Judged]:
    """``judge_each``, without the connections of which nothing is to say; ``total`` (of one number) counts them all."""
    for judged in judge_each(connections, context):
        if total is not None:
            total[0] += 1
        if judged.judgement.findings or judged.judgement.not_judged:
            yield judged


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
    "judge_each",
    "needs_end",
    "rules_for",
]
