"""From handshake octets to messages, and from messages to what they mean for the story.

``Messages`` puts handshake messages together across records (RFC 8446 5.1, RFC 5246 6.2.1), keeps each with its
packets, and takes from it what the story tells: versions, names, chains, tickets; ``Keys`` hears of those that change
keys.  A message that cannot be read, or was cut off, is a fact with its place; nothing raises.  Which octets are
handshake octets at all is decided by ``tlswatch_story``.

Bodies are not parsed here but for the few that the story needs: a ``MessageFact`` parses itself when asked.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from synfin.errors import WireError
from synfin.observe.decrypt import CLIENT, SERVER, Keys
from synfin.observe.evidence import Evidence
from synfin.observe.story_tls import AlertFact, ChainFact, MessageFact, TlsStory
from synfin.observe.stream import ByteStream
from synfin.observe.tlswatch_data import OpenedStream
from synfin.observe.tlswatch_records import Record
from synfin.spec.certificates import certificate_facts
from synfin.wire.codec import Reader
from synfin.wire.tls.bodies import ServerName
from synfin.wire.tls.messages import HRR_RANDOM, Certificate, ServerHello, parse_handshake
from synfin.wire.tls.registry import HANDSHAKES, is_tls13, suite

CLIENT_HELLO, SERVER_HELLO = 1, 2


class Side:
    """What is known of one sender."""

    __slots__ = (
        "alert", "at", "clear", "data", "encrypted", "finished", "first", "got", "last", "need", "next", "offset",
        "opened", "parts", "protected",
    )  # fmt: skip

    def __init__(self, stream: ByteStream, start: int) -> None:
        self.encrypted = False  # ChangeCipherSpec was sent (not TLS 1.3)
        self.protected = 0  # protected records
        self.first: Record | None = None  # first protected record
        self.last: Record | None = None
        self.finished: int | None = None  # when Finished was sent, known or by its place
        self.alert: AlertFact | None = None  # the last alert
        self.next = start  # where the next record should start
        # a handshake message not yet whole
        self.parts: list[bytes] = []
        self.got = 0
        self.need = 0
        self.at = 0  # where its first octet is
        self.offset = 0  # where the record of its first octet starts
        self.clear = True
        # decrypted application data
        self.data = OpenedStream(stream)
        self.opened = False  # its last protected record was opened


class Messages:
    """The handshake part of a watch over the streams of A and B; ``story`` grows as messages come."""

    def __init__(
        self, streams: tuple[ByteStream, ByteStream], start: tuple[int, int], client: int, keys: Keys | None
    ) -> None:
        self.story = TlsStory(client=client, start=start)
        self._streams = streams
        self._keys = keys
        self._sides = (Side(streams[0], start[0]), Side(streams[1], start[1]))
        self._version: int | None = None
        self._tls13 = False
        self._kex: str | None = None

    def _role(self, sender: int) -> int:
        return CLIENT if sender == self.story.client else SERVER

    def _problem(self, sender: int, offset: int, length: int, packet: int, why: str) -> None:
        self.story.problems.append((Evidence((packet,), sender, offset, length), why))

    def _handshake(self, sender: int, data: bytes, record: Record, *, clear: bool) -> bool:
        """Feed the handshake octets of one record; True where they are no handshake in clear."""
        side = self._sides[sender]
        base = record.offset + record.header
        size = len(data)
        if not side.parts and size > 3 and int.from_bytes(data[1:4], "big") == size - 4 and data[0] in HANDSHAKES:
            self._message(sender, data[0], data, record.offset, (base, base + size), record, clear)
            return False
        carried = 0
        at, offset = base, record.offset
        if side.parts:
            if side.clear != clear:
                self._unfinished(sender)
            else:
                side.parts.append(data)
                side.got += len(data)
                if side.got < side.need and record.complete:
                    return False
                carried = side.got - len(data)
                data = b"".join(side.parts)
                at, offset = side.at, side.offset
                side.parts = []
        pos, size = 0, len(data)
        while size - pos >= 4:
            kind = data[pos]
            stop = pos + 4 + (data[pos + 1] << 16 | data[pos + 2] << 8 | data[pos + 3])
            if clear and (kind not in HANDSHAKES or self._absurd(kind, stop - pos, size - pos)):
                self._unreadable(sender, record, at)
                return pos == 0
            if stop > size:
                break
            end = base + stop - carried if clear else record.offset + record.header + record.length
            self._message(sender, kind, data[pos:stop], offset, (at, end), record, clear)
            pos, offset = stop, record.offset
            at = base + pos - carried if clear else record.offset
        if pos < size or not record.complete:
            side.parts = [data[pos:]]
            side.got = size - pos
            side.need = 4 + int.from_bytes(data[pos + 1 : pos + 4], "big") if size - pos >= 4 else 4
            side.at, side.offset, side.clear = at, offset, clear
        return False

    def _absurd(self, kind: int, size: int, have: int) -> bool:
        """Whether a message cannot be one: octets that are encrypted, but whose ChangeCipherSpec was not captured."""
        if kind in (CLIENT_HELLO, SERVER_HELLO):
            return size < 38
        return size > have and self.story.client_hello is None and self.story.server_hello is None

    def _unreadable(self, sender: int, record: Record, at: int) -> None:
        """A handshake record that is none in clear: most likely encrypted, with its ChangeCipherSpec not captured."""
        self._problem(
            sender,
            at,
            record.offset + record.header + record.length - at,
            record.packet,
            "handshake octets that are no message: encrypted, or damaged",
        )
        self._sides[sender].protected += 1

    def _unfinished(self, sender: int) -> None:
        """The message begun will never be whole."""
        side = self._sides[sender]
        raw = b"".join(side.parts)
        side.parts = []
        if not raw:
            return
        stream = self._streams[sender]
        kind = raw[0]
        packets = stream.packets(side.at, len(raw))
        why = f"{len(raw)} of {side.need if side.need > 4 else '?'} octets"
        when = stream.ready(side.at, 1)
        if len(raw) < 4:
            self._problem(sender, side.at, len(raw), packets[-1] if packets else 0, f"a handshake message: {why}")
            return
        name = HANDSHAKES.get(kind, f"unknown_{kind}")
        fact = MessageFact(
            sender, kind, name, side.offset, side.need, packets, when, not side.clear, None, raw, f"cut off: {why}"
        )
        self.story.messages.append(fact)
        if kind == CLIENT_HELLO and side.clear and self.story.client_hello is None:
            self.story.client = sender
            self.story.sni = self.story.sni or _early_name(raw)

    def _message(
        self, sender: int, kind: int, raw: bytes, offset: int, span: tuple[int, int], record: Record, clear: bool
    ) -> None:
        """One whole handshake message: parse it, keep it, take from it what the story tells."""
        if record.octets and offset == record.offset:
            packets: tuple[int, ...] = (record.packet,)
            time = record.time
        else:
            stream = self._streams[sender]
            packets = stream.packets(span[0], span[1] - span[0])
            time = stream.ready(span[0], span[1] - span[0]) if clear else record.time
        name = HANDSHAKES.get(kind) or f"unknown_{kind}"
        if kind == SERVER_HELLO and raw[6:38] == HRR_RANDOM:
            name = "hello_retry_request"
        fact = MessageFact(
            sender,
            kind,
            name,
            offset,
            len(raw),
            packets,
            time,
            not clear,
            None,
            raw,
            "",
            self._version,
            self._kex,
            True,
        )
        self.story.messages.append(fact)
        meaning = _MEANING.get(kind)
        if meaning is not None:
            meaning(self, sender, fact)

    def _client_hello(self, sender: int, fact: MessageFact) -> None:
        story, hello = self.story, fact.body
        if story.client_hello is None:
            story.client_hello = fact
            story.client = sender
            if hello is None:
                return
            story.sni = hello.sni
            if hello.early_data:
                story.early_data = "offered"
        elif sender == story.client and story.client_hello_2 is None and story.server_hello is None:
            story.client_hello_2 = fact
            return
        if self._keys is not None and hello is not None:
            self._keys.client_hello(hello)

    def _server_hello(self, sender: int, fact: MessageFact) -> None:
        story, hello = self.story, fact.body
        if story.client_hello is None:
            story.client = 1 - sender
        if hello is None:
            return
        self._negotiated(hello)
        if hello.is_hello_retry_request:
            self._retry(sender, fact)
            return
        if story.server_hello is None:
            story.server_hello = fact
            story.version = self._version
            story.cipher = hello.cipher_suite
            story.group = hello.key_share_group
            story.alpn = hello.alpn
        if self._keys is not None and self._version is not None:
            self._keys.server_hello(hello, self._version)

    def _retry(self, sender: int, fact: MessageFact) -> None:
        """A HelloRetryRequest, in RFC 8446's form or as the drafts' message of its own; early data is lost by it."""
        story = self.story
        if story.hello_retry is None:
            story.hello_retry = fact
            story.early_data = "rejected" if story.early_data else None
        if story.client_hello is None:
            story.client = 1 - sender

    def _negotiated(self, hello: ServerHello) -> None:
        self._version = hello.selected_version
        self._tls13 = is_tls13(self._version)
        chosen = suite(hello.cipher_suite)
        self._kex = chosen.kex if chosen is not None else None
        if self._tls13:
            for side in self._sides:
                side.encrypted = False

    def _certificate(self, sender: int, fact: MessageFact) -> None:
        chain = _chain(fact.raw, self._tls13)
        self._told_chain(sender, fact, chain)

    def _compressed(self, sender: int, fact: MessageFact) -> None:
        if fact.body is None:
            return
        try:
            inside: Certificate = fact.body.certificate()
        except WireError as error:
            self._problem(sender, fact.offset, fact.length, fact.packets[-1], str(error))
            return
        self._told_chain(sender, fact, inside.certificates)

    def _told_chain(self, sender: int, fact: MessageFact, der: tuple[bytes, ...] | None) -> None:
        if der is not None:
            facts = tuple([certificate_facts(one) for one in der])
            self.story.chains.append(ChainFact(sender, fact.packets, fact.time, der, facts, len(fact.packets)))

    def _server_key_exchange(self, sender: int, fact: MessageFact) -> None:
        raw = fact.raw
        if self.story.group is None and self._kex and self._kex.startswith("EC") and len(raw) > 7 and raw[4] == 3:
            self.story.group = raw[5] << 8 | raw[6]  # named_curve (RFC 8422 5.4)

    def _client_key_exchange(self, sender: int, fact: MessageFact) -> None:
        if self._keys is not None and fact.body is not None:
            self._keys.key_exchange(fact.body.exchange, self._kex or "", self._transcript, self._server_spki())

    def _encrypted_extensions(self, sender: int, fact: MessageFact) -> None:
        story, body = self.story, fact.body
        if body is not None:
            story.alpn = body.alpn or story.alpn
            if story.early_data is not None:
                story.early_data = "accepted" if body.early_data else "rejected"

    def _new_session_ticket(self, sender: int, fact: MessageFact) -> None:
        self.story.new_session_ticket = True
        if self._keys is not None and not self._tls13 and fact.body is not None:
            self._keys.ticket(fact.body.ticket)

    def _certificate_request(self, sender: int, fact: MessageFact) -> None:
        self.story.certificate_requested = True

    def _certificate_status(self, sender: int, fact: MessageFact) -> None:
        self.story.certificate_status = True

    def _finished(self, sender: int, fact: MessageFact) -> None:
        side = self._sides[sender]
        if side.finished is None:
            side.finished = fact.time
        if self._tls13 and sender == self.story.client and self.story.early_data == "rejected":
            side.data.clear()  # nobody took the early data: it is no part of the conversation (RFC 8446 4.2.10)
        if self._keys is not None and self._tls13:
            self._keys.finished(self._role(sender))

    def _key_update(self, sender: int, fact: MessageFact) -> None:
        if self._keys is not None:
            self._keys.key_update(self._role(sender))

    def _end_of_early_data(self, sender: int, fact: MessageFact) -> None:
        if self._keys is not None:
            self._keys.end_of_early_data()

    def _server_spki(self) -> bytes | None:
        for chain in self.story.chains:
            if chain.sender != self.story.client and chain.facts:
                return chain.facts[0].spki or None
        return None

    def _transcript(self) -> bytes:
        """The messages of the handshake that is under way, for the extended master secret (RFC 7627 3)."""
        begin = 0
        for i, message in enumerate(self.story.messages):
            if message.type == CLIENT_HELLO:
                begin = i
        return b"".join(message.raw for message in self.story.messages[begin:] if message.type != 0)


#: What a handshake message means for the story, by its type; the others are only kept.
_MEANING: dict[int, Callable[[Messages, int, MessageFact], None]] = {
    1: Messages._client_hello,
    2: Messages._server_hello,
    4: Messages._new_session_ticket,
    5: Messages._end_of_early_data,
    6: Messages._retry,
    8: Messages._encrypted_extensions,
    11: Messages._certificate,
    12: Messages._server_key_exchange,
    13: Messages._certificate_request,
    16: Messages._client_key_exchange,
    20: Messages._finished,
    22: Messages._certificate_status,
    24: Messages._key_update,
    25: Messages._compressed,
}


@lru_cache(maxsize=2048)
def _chain(raw: bytes, tls13: bool) -> tuple[bytes, ...] | None:
    """The certificates in a Certificate message; None when it cannot be read.  Servers send the same one again."""
    try:
        body = parse_handshake(11, raw[4:], version=0x0304 if tls13 else None)
    except WireError:
        return None
    return body.certificates if isinstance(body, Certificate) else None


def _early_name(raw: bytes) -> str | None:
    """The server name in a ClientHello that was cut off behind it (RFC 8446 4.1.2, RFC 6066 3); None without one."""
    reader = Reader(raw, "client_hello", pos=4)
    try:
        reader.take(34, "version and random")
        reader.vec(1, "legacy_session_id")
        reader.vec(2, "cipher_suites")
        reader.vec(1, "legacy_compression_methods")
        reader.u16("extensions.length")
        while True:
            kind = reader.u16("extension.type")
            body = reader.vec(2, "extension")
            if kind == 0:
                name = ServerName.read(Reader(body, "server_name")).names[0].name
                return name.decode("ascii", "backslashreplace")
    except (WireError, IndexError):
        return None
