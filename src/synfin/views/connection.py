"""The whole story of one connection: who, what came of it, the findings, the ladder, the time, the details."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from synfin.judge.model import Finding, NotJudged
from synfin.observe.story import Connection
from synfin.observe.story_tls import Decryption, Opened, TlsStory
from synfin.views.budget import budget, budget_line
from synfin.views.certificates import certificate_lines
from synfin.views.findings import finding_lines
from synfin.views.ladder import ladder
from synfin.views.names import spoken
from synfin.views.outcome import SIDES, outcome
from synfin.views.paint import OUTCOME, PLAIN, SEVERITY, Paint
from synfin.views.timeline import timeline
from synfin.views.words import clean, clock, count, duration, listing, moment, wrap
from synfin.wire.tls.registry import cipher_name, group_name


def story(
    connection: Connection,
    findings: Sequence[Finding] = (),
    not_judged: Sequence[NotJudged] = (),
    width: int = 100,
    paint: Paint = PLAIN,
    *,
    brief: bool = False,
) -> Iterator[str]:
    """The lines of the story of ``connection`` in the normal depth, or in the ``brief`` one."""
    yield from heading(connection, width, paint, brief=brief)
    if findings:
        yield ""
    for finding in findings:
        if brief:
            head = f"{finding.severity.name.lower()} {finding.code}: {clean(finding.title)}"
            yield from (paint(SEVERITY[finding.severity], line) for line in wrap(head, width))
        else:
            yield from finding_lines(finding, width, paint)
    if not_judged and not brief:
        yield from wrap(f"not judged: {listing(f'{item.code} ({item.why})' for item in not_judged)}", width)
    yield ""
    steps = timeline(connection)
    yield from ladder(steps, connection.start, width, paint, brief=brief)
    if brief:
        if time := budget_line(connection):
            yield from wrap(f"Time: {time}", width)
        return
    for block in (
        budget(connection, width, paint),
        _certificates(connection, width, paint),
        _secrets(connection, width, paint),
    ):
        lines = list(block)
        if lines:
            yield ""
            yield from lines


def heading(connection: Connection, width: int, paint: Paint, *, brief: bool) -> Iterator[str]:
    """Who spoke to whom, what, when, and how it ended."""
    name = "" if connection.name in (connection.b.ip, str(connection.b)) else clean(connection.name)
    title = f"Connection {connection.id}: {connection.a} → {connection.b}" + (f" ({name})" if name else "")
    yield from (paint("title", line) for line in wrap(title, width))
    ended = outcome(connection)
    took = duration(connection.end - connection.start)
    rows = len(connection.rows)
    octets = sum(side.wire_bytes for side in connection.tcp.sides)
    facts = [
        f"{clock(connection.start)} UTC",
        took,
        f"{count(rows, 'packet')} ({_range(connection.first_packet, connection.last_packet)})",
        count(octets, "octet"),
    ]
    yield from wrap(listing(facts), width)
    what = spoken(connection)
    how = f"{what}: {clean(ended.words)}" if what else clean(ended.words)
    yield from (paint(OUTCOME.get(ended.kind, ""), line) for line in wrap(how, width))
    if brief:
        return
    tls = connection.tls
    if tls is not None:
        yield from wrap(_chosen(tls), width)
    around = [*(f"VLAN {clean(vlan)}" for vlan in connection.vlans), *(clean(tunnel) for tunnel in connection.tunnels)]
    if around:
        yield from wrap(f"inside {listing(around)}", width)
    for preamble in connection.preambles:
        target = f" to {clean(str(preamble.target))}" if preamble.target is not None else ""
        answer = f", answered {clean(preamble.status)}" if preamble.status else ""
        yield from wrap(f"begins as {preamble.protocol}{target}{answer}", width)
    if connection.dns is not None:
        dns = connection.dns
        took = f" in {duration(dns.end - dns.start)}" if dns.end is not None else ", no answer"
        before = moment(connection.start - dns.start)
        yield from wrap(
            f"DNS {dns.qtype} {clean(dns.name)} from {dns.server}: {clean(dns.rcode)}{took}, {before} s before", width
        )
    if connection.opened_by != "syn" and connection.tcp.source == "packets":
        how = "its SYN-ACK" if connection.opened_by == "synack" else "who sent the first packet"
        yield from wrap(f"the SYN was not captured; who is the client is told from {how}", width)
    for side, other in ((0, 1), (1, 0)):
        if connection.tcp.source == "packets" and not connection.tcp.sides[other].packets and len(connection.rows) > 1:
            yield f"only what the {SIDES[side]} sent was captured"
    for who, sent in zip(SIDES, connection.tcp.sides, strict=True):
        if sent.over_mss:
            big = f"{count(sent.over_mss, 'packet')} of the {who} hold more than the MSS"
            yield from wrap(f"{big}: captured where a network card joins segments (offload)", width)
    overlaps = connection.tcp.overlaps
    for overlap in overlaps[:3]:
        yield from wrap(
            f"packets {overlap.first_packet} and {overlap.second_packet} carry different octets for the same place "
            f"({count(overlap.length, 'octet')}); the first copy counts",
            width,
        )
    if len(overlaps) > 3:
        yield f"and {count(len(overlaps) - 3, 'more such place')}"


def _range(first: int, last: int) -> str:
    return f"{first} to {last}" if last > first else f"number {first}"


def _chosen(tls: TlsStory) -> str:
    words = []
    if tls.cipher is not None:
        words.append(cipher_name(tls.cipher))
    if tls.group is not None:
        words.append(f"group {group_name(tls.group)}")
    if tls.resumed:
        words.append(f"resumed by {tls.resumed.replace('_', ' ')}")
    if tls.early_data:
        words.append(f"early data {tls.early_data}")
    if tls.hello_retry is not None:
        words.append("after a HelloRetryRequest")
    if not tls.handshake_done:
        words.append("handshake not completed")
    if tls.chains and tls.chains[0].facts:
        leaf = tls.chains[0].facts[0]
        if leaf.parsed:
            words.append(f"certificate of {clean(leaf.label)} until {leaf.not_after_text[:10]}")
        else:
            words.append("certificate that cannot be read")
    return listing(words)


def _certificates(connection: Connection, width: int, paint: Paint) -> Iterator[str]:
    tls = connection.tls
    for chain in tls.chains if tls is not None else ():
        if chain.facts:
            yield paint("title", f"Certificates of the {SIDES[chain.sender]}")
            for line in certificate_lines(chain):
                yield from ("  " + part for part in wrap(line, width - 2, 2))


def _secrets(connection: Connection, width: int, paint: Paint) -> Iterator[str]:
    tls = connection.tls
    if tls is None:
        return
    for name, value in (("JA3", tls.ja3), ("JA3S", tls.ja3s), ("JA4", tls.ja4)):
        if value:
            yield f"{paint('title', f'{name:5}')}{clean(value)}"
    told = [_opened(opened) for opened in tls.decryption]
    if told[0] == told[1]:
        told = [told[0]]
    for words, who in zip(
        told, ["Records"] if len(told) == 1 else [f"Records of the {side}" for side in SIDES], strict=True
    ):
        if words:
            yield from wrap(f"{who}: {words}", width)


def _opened(opened: Decryption) -> str:
    """How far the records of one side could be read."""
    if opened.opened is Opened.NOTHING:
        return ""
    if opened.opened is Opened.ALL:
        return f"all {opened.records:,} decrypted"
    return (
        f"not opened, {clean(opened.why or opened.opened.value)}"
        if not opened.records
        else (f"{opened.opened.value}, {count(opened.records, 'record')}: {clean(opened.why)}")
    )
