"""What somebody on the path reads in a connection without any key: for lessons, and to compare HTTP with HTTPS.

``sniff`` is a pure function of a connection that was observed *without secrets* (``observe(..., embedded=False)``, no
key log): what is decrypted in a story no sniffer saw, so such a story is refused.  ``sniffer_lines`` says the same in
words, ``sniffer_json`` as plain data.

Over HTTP that is everything.  Over TLS it is addresses, times and sizes, the name in the ClientHello (RFC 6066 3), what
both ends can do, and before TLS 1.3 the certificates (RFC 8446 1.2).  Sizes of requests and answers are read from
record lengths, less what the cipher adds (RFC 8446 5.2, RFC 5288 3, RFC 7905 2); padding, session tickets and
HTTP/2's frames hide in them, so they are upper bounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from synfin.observe.story import Connection
from synfin.observe.story_http import HttpMessage
from synfin.observe.story_tls import RecordFact, TlsStory
from synfin.observe.stream import ByteStream
from synfin.views.outcome import SIDES
from synfin.views.paint import PLAIN, Paint
from synfin.views.words import clean, clock, count, duration, listing, moment, readable, shorten, wrap
from synfin.wire.tls.hello import ClientHello
from synfin.wire.tls.registry import alert_name, cipher_name, is_tls13, version_name
from synfin.wire.tls.suites import suite

#: Header fields that let their reader act as their sender.
SECRETS = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})

#: What TLS keeps from a sniffer once the handshake is done.
HIDDEN = ("path and query", "header fields", "cookies", "passwords", "the content")

#: Octets of a body that are shown.
_START = 300
#: What a record of TLS 1.3 adds: the inner type and the tag.
_ADDED_13 = 17
_LABEL = 13


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch in which one side sent sealed records; times in ns, ``octets`` of content at most."""

    sender: str
    start: int
    end: int
    records: int
    octets: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a certificate that passes in clear tells: whom it is for, who signed it, until when (ns)."""

    names: tuple[str, ...]
    issuer: str
    not_after: int | None


@dataclass(frozen=True, slots=True)
class Heard:
    """One HTTP message in clear: its start line, all its header fields, and how its body begins."""

    sender: str
    start_line: str
    headers: tuple[tuple[str, str], ...]
    body: int  # octets
    begins: str


@dataclass(frozen=True, slots=True)
class Sniffed:
    """All a sniffer has of one connection.  Empty and None: not seen.

    ``names`` says where each name was read: "DNS", "SNI", "certificate", "Host".
    """

    client: str
    server: str
    start: int  # ns since 1970
    duration: int  # ns
    packets: int
    octets: tuple[int, int]  # of TCP payload, client and server
    names: tuple[tuple[str, str], ...]
    version: str
    cipher: str
    offers: tuple[str, ...]  # ALPN protocols of the ClientHello
    chosen: str  # ALPN protocol, where that is in clear
    hidden_name: bool  # an encrypted ClientHello was offered: the SNI may be only that of its outer one
    ja3: str
    ja4: str
    certificates: tuple[Leaf, ...]
    alerts: tuple[tuple[str, str], ...]  # sender and name, those in clear
    turns: tuple[Turn, ...]
    messages: tuple[Heard, ...]
    clear: tuple[tuple[str, str], ...]  # sender and first line of what is in clear and not HTTP, or not TLS yet

    @property
    def reads_content(self) -> bool:
        """Whether requests and answers were in clear."""
        return bool(self.messages)


def sniff(connection: Connection) -> Sniffed:
    """What is seen of ``connection`` on the path.  ValueError when it was decrypted: observe it without secrets."""
    tls = connection.tls
    if tls is not None and tls.data is not None:
        raise ValueError("a decrypted connection is not what a sniffer sees: observe it without secrets")
    hello = tls.client_hello.body if tls is not None and tls.client_hello is not None else None
    leaves = tuple(_leaves(tls)) if tls is not None else ()
    return Sniffed(
        client=str(connection.a),
        server=str(connection.b),
        start=connection.start,
        duration=connection.end - connection.start,
        packets=len(connection.rows),
        octets=(connection.tcp.sides[0].unique_payload, connection.tcp.sides[1].unique_payload),
        names=tuple(_names(connection, leaves)),
        version=version_name(tls.version) if tls is not None and tls.version is not None else "",
        cipher=cipher_name(tls.cipher) if tls is not None and tls.cipher is not None else "",
        offers=hello.alpn if isinstance(hello, ClientHello) else (),
        chosen=(tls.alpn or "") if tls is not None else "",
        hidden_name=isinstance(hello, ClientHello) and hello.ech,
        ja3=(tls.ja3 or "") if tls is not None else "",
        ja4=(tls.ja4 or "") if tls is not None else "",
        certificates=leaves,
        alerts=tuple(_alerts(tls)) if tls is not None else (),
        turns=tuple(_turns(tls)) if tls is not None else (),
        messages=tuple(_heard(connection)),
        clear=tuple(_clear(connection)),
    )


def _names(connection: Connection, leaves: tuple[Leaf, ...]) -> Iterator[tuple[str, str]]:
    tls = connection.tls
    if connection.dns is not None:
        yield "DNS", connection.dns.name.rstrip(".")
    if tls is not None:
        if tls.sni:
            yield "SNI", tls.sni
        for name in leaves[0].names if leaves else ():
            yield "certificate", name
    for story in (connection.outer_http, connection.http):
        if story is not None and not story.tls:
            for message in story.messages:
                if message.kind == "request" and message.authority:
                    yield "Host", message.authority
                    return


def _leaves(tls: TlsStory) -> Iterator[Leaf]:
    for chain in tls.chains:
        for facts in chain.facts:
            if facts.parsed:
                yield Leaf(facts.hosts or (facts.label,), facts.issuer_text, facts.not_after)


def _alerts(tls: TlsStory) -> Iterator[tuple[str, str]]:
    for alert in tls.alerts:
        if alert.description is not None and not alert.protected:
            yield SIDES[alert.sender], alert_name(alert.description)


# ---------------------------------------------------------------- sealed records


def _turns(tls: TlsStory) -> Iterator[Turn]:
    """Who sent how much and when, after the handshake, from the lengths of sealed records."""
    added = _added(tls)
    new = added == _ADDED_13
    run: list[RecordFact] = []
    for record in _application(tls, new=new):
        if run and run[0].sender != record.sender:
            yield _turn(run, added)
            run = []
        run.append(record)
    if run:
        yield _turn(run, added)


def _application(tls: TlsStory, *, new: bool) -> Iterator[RecordFact]:
    """Records of application data.  In TLS 1.3 Finished looks like it, and an alert does, which has two octets."""
    skip = new
    for record in tls.records:
        if record.type != 23 or not record.protected:
            continue
        if skip:  # the server's flight, then the client's Finished
            skip = record.sender != tls.client
            continue
        if new and record.length == _ADDED_13 + 2:
            continue
        yield record


def _turn(run: list[RecordFact], added: int) -> Turn:
    content = sum(max(record.length - added, 0) for record in run)
    return Turn(SIDES[run[0].sender], run[0].time, run[-1].time, len(run), content)


def _added(tls: TlsStory) -> int:
    """Octets a record is longer than its content, at least."""
    if is_tls13(tls.version):
        return _ADDED_13
    found = suite(tls.cipher) if tls.cipher is not None else None
    if found is None or not found.aead:
        return 0
    return 16 if "CHACHA20" in found.name or "CCM_8" in found.name else 24


# ---------------------------------------------------------------- clear HTTP


def _heard(connection: Connection) -> Iterator[Heard]:
    seen: list[int] = []
    for story in (connection.outer_http, connection.http):
        if story is None or story.tls or id(story) in seen:
            continue
        seen.append(id(story))
        for message in story.messages:
            begins = _begins(message, connection.streams[message.sender])
            yield Heard(SIDES[message.sender], _start_line(message), message.headers, message.body, begins)


def _start_line(message: HttpMessage) -> str:
    if message.kind == "request":
        return f"{message.method or '?'} {message.target or '?'} HTTP/{message.version}"
    return f"HTTP/{message.version} {message.status} {message.reason}".rstrip()


def _begins(message: HttpMessage, stream: ByteStream) -> str:
    """How the body begins, where it is text that stands in the stream as it is."""
    if not message.body or message.framing not in ("length", "close"):
        return ""
    raw = stream.read(message.offset, 1 << 16)
    _, gap, body = raw.partition(b"\r\n\r\n")
    if not gap:
        return ""
    text = body[: min(_START, message.body)]
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        return text[: error.start].decode() if error.start >= len(text) - 3 else ""


def _clear(connection: Connection) -> Iterator[tuple[str, str]]:
    tls = connection.tls
    if connection.http is not None or connection.outer_http is not None:
        return
    for side, stream in enumerate(connection.streams):
        size = _START if tls is None else min(_START, tls.start[side])
        line = readable(stream.read(0, size), 100)
        if line:
            yield SIDES[side], line


# ---------------------------------------------------------------- for people, for programs


def sniffer_lines(connection: Connection, width: int = 100, paint: Paint = PLAIN) -> Iterator[str]:
    """What ``sniff`` finds, in lines of at most ``width`` cells: a label, then words.  ValueError as ``sniff``."""
    found = sniff(connection)
    for label, tone, text in _told(found):
        for at, line in enumerate(wrap(text, max(width - _LABEL, 24), 0)):
            yield paint("dim", f"{'' if at else label:<{_LABEL}}") + paint(tone, line)


def _told(found: Sniffed) -> Iterator[tuple[str, str, str]]:
    when = f"{clock(found.start)} UTC, {duration(found.duration)}"
    yield "who, when", "", f"{found.client} to {found.server}, {when}, {count(found.packets, 'packet')}"
    names: dict[str, list[str]] = {}
    for where, name in found.names:
        if where not in names.setdefault(name, []):
            names[name].append(where)
    if names:
        told = listing((f"{clean(name)} ({listing(where)})" for name, where in names.items()), 4)
        doubt = "; a ClientHello inside may say another" if found.hidden_name else ""
        yield "name", "bad", told + doubt
    if found.version or found.offers:
        offers = f"the client offers {clean(listing(found.offers))}" if found.offers else ""
        chosen = f"{clean(found.chosen)} chosen" if found.chosen else ""
        yield "speaks", "", listing(filter(None, (found.version, found.cipher, offers, chosen)))
    for leaf in found.certificates:
        until = f", until {clock(leaf.not_after)[:10]}" if leaf.not_after is not None else ""
        yield "certificate", "bad", f"{clean(listing(leaf.names, 4))}, signed by {clean(leaf.issuer)}{until}"
    if found.ja4:
        yield "fingerprint", "", f"JA4 {found.ja4} (which software the client is)"
    for sender, line in found.clear:
        yield "in clear", "bad", f"{sender}: “{line}”"
    for sender, name in found.alerts:
        yield "alert", "warn", f"{name} by {sender}"
    if found.turns:
        yield "sizes, times", "", _sizes(found)
    if found.reads_content:
        yield from _content(found)
    elif found.version or found.offers:
        yield "not seen", "good", listing(HIDDEN)


def _sizes(found: Sniffed) -> str:
    turns = [
        f"{turn.sender} {count(turn.octets, 'octet')} at {moment(turn.start - found.start)} s" for turn in found.turns
    ]
    return listing(turns, 6)


def _content(found: Sniffed) -> Iterator[tuple[str, str, str]]:
    for heard in found.messages[:4]:
        label = "request" if heard.sender == "client" else "answer"
        yield label, "bold", clean(heard.start_line)
        for name, value in heard.headers:
            tone = "bad" if name.lower() in SECRETS else ""
            yield "", tone, f"{clean(name)}: {shorten(clean(value), 120)}"
        if heard.begins:
            told = readable(" ".join(heard.begins.split()).encode(), 120)
            yield "", "bad", f"{count(heard.body, 'octet')} of content: “{told}”"
        elif heard.body:
            yield "", "bad", f"{count(heard.body, 'octet')} of content"
    if len(found.messages) > 4:
        yield "", "", f"and {count(len(found.messages) - 4, 'more message')}"


def sniffer_json(connection: Connection) -> dict[str, Any]:
    """What ``sniff`` finds as plain dicts, lists, strings and numbers.  ValueError as ``sniff``."""
    found = sniff(connection)
    made: dict[str, Any] = asdict(found)
    made["duration_ns"] = made.pop("duration")
    made["start_ns"] = made.pop("start")
    made["octets"] = dict(zip(SIDES, found.octets, strict=True))
    made["names"] = [{"where": where, "name": name} for where, name in found.names]
    made["clear"] = [{"sender": sender, "line": line} for sender, line in found.clear]
    made["alerts"] = [{"sender": sender, "name": name} for sender, name in found.alerts]
    made["reads_content"] = found.reads_content
    made["not_seen"] = [] if found.reads_content or not (found.version or found.offers) else list(HIDDEN)
    return made
