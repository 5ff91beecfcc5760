"""The TLS story of two walked streams: whose record means what, as far as can be seen from between the ends.

``Watch`` takes the records of both sides in the order of time and keeps, per side, what an observer can know: whether
it has switched on encryption, and its last record.  Handshake octets go to ``tlswatch_messages``; those after
ChangeCipherSpec, and all but the hellos in TLS 1.3, are seen only where ``Keys`` opens them.  What cannot be read is a
fact with its place; nothing raises.

What cannot be known without keys is told by its look, and only where the look is good: a TLS 1.3 record of an alert's
exact size as a side's last one is taken for close_notify, as a client's first one for a fatal alert (``guessed``); a
handshake is done when both sides sent a protected record where Finished belongs.

Where we differ from Wireshark 4.0: a record with a hole in it does not end the story of its side, and messages that
were captured whole inside such a record are told; a ChangeCipherSpec of a client whose server was not captured
does not hide a second ClientHello.
"""

from __future__ import annotations

from collections.abc import Iterator

from synfin.observe.decrypt import Keys
from synfin.observe.story_tls import AlertFact, Decryption, Opened, RecordFact, TlsStory
from synfin.observe.stream import ByteStream
from synfin.observe.tlswatch_messages import CLIENT_HELLO, Side
from synfin.observe.tlswatch_records import SSLV2, Fault, Record, fragment, walk, walk_sslv2
from synfin.observe.tlswatch_sslv2 import Sslv2Messages
from synfin.wire.tls.messages import ClientHello, ServerHello
from synfin.wire.tls.records import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE

CCM_8 = 0x1305
#: Server messages that a resumed handshake never has: Certificate, ServerKeyExchange, ServerHelloDone.
FULL_HANDSHAKE = {11, 12, 14}

#: Makes a NamedTuple from a tuple without a call to its Python constructor.
_new = tuple.__new__
#: Secrets a watch may use come as ``Keys``; without any, this is what a side with protected records says.
_NO_KEYS = Decryption(Opened.NO_SECRET, "no key log or key was given")
_NOTHING = Decryption(Opened.NOTHING)
_END = Record(1 << 127, 0, 0, 0, 0, 0, 0, False, b"", 0)


class Watch(Sslv2Messages):
    """Builds one ``TlsStory`` from the streams of A and B, whose TLS part starts at ``start``."""

    def __init__(
        self, streams: tuple[ByteStream, ByteStream], start: tuple[int, int], client: int, keys: Keys | None
    ) -> None:
        super().__init__(streams, start, client, keys)
        self._start = start
        self._records = self.story.records
        self._faults: tuple[list[Fault], list[Fault]] = ([], [])

    def run(self, sslv2_hello: bool = False) -> TlsStory:
        """The whole story."""
        walks: list[Iterator[Record]] = []
        for side in (0, 1):
            stream, start, faults = self._streams[side], self._start[side], self._faults[side]
            walks.append((walk_sslv2 if sslv2_hello else walk)(stream, start, faults))
        one, two = walks
        a, b = next(one, _END), next(two, _END)
        while True:
            if a <= b:
                if a is _END:
                    break
                self._record(0, a)
                a = next(one, _END)
            else:
                self._record(1, b)
                b = next(two, _END)
        self._finish()
        return self.story

    # ------------------------------------------------------------ records

    def _record(self, sender: int, record: Record) -> None:
        side = self._sides[sender]
        time, packet, offset, kind, version, length, header, complete, octets, at = record
        if offset != side.next:
            self._gap(sender, offset - side.next)
        side.next = offset + header + length
        side.last = record
        protected = True
        inner: int | None = None
        if kind == APPLICATION_DATA:
            if self._keys is None and side.finished is not None:  # bulk, and nothing to learn from it
                side.protected += 1
            else:
                inner = self._protected(sender, side, record)
        elif version == SSLV2:
            protected = self._sslv2_record(sender, record)
        elif not side.encrypted:
            if kind == HANDSHAKE:
                start = at + header
                data = octets[start : start + length] if octets else fragment(self._streams[sender], record)
                protected = self._handshake(sender, data, record, clear=True)
            elif kind == ALERT:
                protected = self._alert(sender, record)
            else:
                protected = False
                if kind == CHANGE_CIPHER_SPEC:
                    self._change_cipher_spec(sender)
        elif kind == HANDSHAKE and self._version is None and self._clear_hello(sender, record):
            side.encrypted = protected = False
            self._handshake(sender, fragment(self._streams[sender], record), record, clear=True)
        else:
            inner = self._protected(sender, side, record)
        if not complete and side.parts:
            self._unfinished(sender)
        self._records.append(
            _new(RecordFact, (sender, offset, kind, version, length, packet, time, protected, inner, complete))
        )

    def _gap(self, sender: int, length: int) -> None:
        """Octets before this record are missing or were no records: a message begun is lost."""
        side = self._sides[sender]
        if side.parts:
            self._unfinished(sender)
        if self._keys is not None:
            role = self._role(sender)
            self._keys.gap(role)
            if self._keys.live(role) and self._sends_data(side):
                side.data.lose(length)

    def _sends_data(self, side: Side) -> bool:
        """Whether protected records of this side, as far as is known, hold application data by now."""
        return bool(side.data.layout()[0]) or (side.protected > 0 and side.finished is not None)

    def _change_cipher_spec(self, sender: int) -> None:
        if self._tls13:
            return  # only there for middleboxes (RFC 8446 D.4)
        side = self._sides[sender]
        if side.parts:
            self._unfinished(sender)
        side.encrypted = True
        if self._keys is not None:
            self._keys.change_cipher_spec(self._role(sender))

    def _clear_hello(self, sender: int, record: Record) -> bool:
        """Whether a handshake record after ChangeCipherSpec is a second ClientHello after all (RFC 8446 D.4)."""
        head = fragment(self._streams[sender], record)
        return len(head) > 40 and head[0] == CLIENT_HELLO and 4 + int.from_bytes(head[1:4], "big") == record.length

    def _protected(self, sender: int, side: Side, record: Record) -> int | None:
        """A protected record: count it, open it where there are keys.  The TLS 1.3 content type inside, or None."""
        side.protected += 1
        if side.first is None:
            side.first = record
        kind = record.type
        if self._keys is not None:
            side.opened = False
            found = self._open(self._keys, sender, record)
            if found is not None:
                side.opened = True
                self._content(sender, found[0], found[1], record)
                return found[0] if self._tls13 else None
        if side.finished is None and self._looks_finished(sender, record):
            side.finished = record.time
        if kind == ALERT:
            self._alert_fact(sender, record, None, None, protected=True)
        elif kind == CHANGE_CIPHER_SPEC:
            self._change_cipher_spec(sender)
        return None

    def _open(self, keys: Keys, sender: int, record: Record) -> tuple[int, bytes] | None:
        role = self._role(sender)
        found: tuple[int, bytes] | None = None
        if not keys.live(role):
            keys.unopened(role, record.packet)
        elif record.complete:
            content = fragment(self._streams[sender], record)
            found = keys.open(role, record.type, record.version, content, record.packet)
        else:
            keys.lost(role, record.packet)
        if found is None and record.type == APPLICATION_DATA and keys.live(role):
            side = self._sides[sender]
            if not self._tls13 or self._sends_data(side):
                side.data.lose(record.length)
        return found

    def _looks_finished(self, sender: int, record: Record) -> bool:
        """Whether a record nobody opened is where Finished must be: the first protected one of a handshake."""
        if not self._tls13:
            return record.type == HANDSHAKE
        if sender != self.story.client:
            return True
        return self._sides[1 - sender].first is not None and record.length > self._alert_size()

    def _alert_size(self) -> int:
        """Octets of a TLS 1.3 record with an alert in it: two, the content type, the tag."""
        return 11 if self.story.cipher == CCM_8 else 19

    def _content(self, sender: int, kind: int, content: bytes, record: Record) -> None:
        """What was inside a record that could be opened."""
        side = self._sides[sender]
        if kind == APPLICATION_DATA:
            if content and self._keys is not None:
                side.data.add(content, record, self._keys.opener(self._role(sender)))
        elif kind == HANDSHAKE:
            self._handshake(sender, content, record, clear=False)
        elif kind == ALERT and len(content) >= 2:
            self._alert_fact(sender, record, content[0], content[1], protected=True, decrypted=True)
        elif kind == CHANGE_CIPHER_SPEC:
            self._change_cipher_spec(sender)

    # ------------------------------------------------------------ alerts

    def _alert(self, sender: int, record: Record) -> bool:
        """An alert record of a sender that has not switched on encryption; True where it looks encrypted."""
        content = fragment(self._streams[sender], record)
        pairs = [content[i : i + 2] for i in range(0, len(content) - 1, 2)]
        readable = len(content) == 2 or (0 < len(pairs) <= 4 and all(pair[0] in (1, 2) for pair in pairs))
        if not readable or len(content) % 2:
            self._alert_fact(sender, record, None, None, protected=True)
            return True
        for level, description in pairs:
            self._alert_fact(sender, record, level, description, protected=False)
        return False

    def _alert_fact(
        self,
        sender: int,
        record: Record,
        level: int | None,
        description: int | None,
        *,
        protected: bool = False,
        decrypted: bool = False,
        guessed: bool = False,
    ) -> None:
        fact = AlertFact(sender, level, description, protected, decrypted, record.packet, record.time, guessed)
        self.story.alerts.append(fact)
        self._sides[sender].alert = fact

    # ------------------------------------------------------------ the end

    def _finish(self) -> None:
        for sender, side in enumerate(self._sides):
            if side.parts:
                self._unfinished(sender)
            for fault in self._faults[sender]:
                self._problem(sender, fault.offset, fault.length, fault.packet, fault.why)
        self._resumption()
        self._done()
        self._closing()
        self._decryption()

    def _resumption(self) -> None:
        story = self.story
        hello = story.client_hello.body if story.client_hello is not None else None
        answer = story.server_hello.body if story.server_hello is not None else None
        if not isinstance(answer, ServerHello):
            return
        if self._tls13:
            story.resumed = "psk" if answer.psk_selected is not None else None
            if story.early_data == "offered" and answer.psk_selected is None:
                story.early_data = "rejected"
            return
        server = 1 - story.client
        sent = {message.type for message in story.messages if message.sender == server and not message.decrypted}
        if sent & FULL_HANDSHAKE:
            return
        same = bool(answer.session_id) and isinstance(hello, ClientHello) and hello.session_id == answer.session_id
        if same or self._sides[server].encrypted:
            ticket = isinstance(hello, ClientHello) and bool(hello.session_ticket)
            story.resumed = "ticket" if ticket or not same else "session_id"

    def _done(self) -> None:
        one, two = self._sides[0].finished, self._sides[1].finished
        if one is not None and two is not None:
            self.story.handshake_done = True
            self.story.handshake_done_time = max(one, two)

    def _closing(self) -> None:
        """Each side's close_notify: read, or by the look of its last record."""
        closed: list[int | None] = [None, None]
        for sender, side in enumerate(self._sides):
            last = side.last
            if last is None:
                continue
            if self._tls13 and last.type == APPLICATION_DATA and not side.opened:
                if last.length == self._alert_size():
                    self._alert_fact(sender, last, None, None, protected=True, guessed=True)
                    if last is not side.first:
                        closed[sender] = last.packet
                continue
            for alert in self.story.alerts:
                if alert.sender == sender and alert.description == 0:
                    closed[sender] = alert.packet
            if closed[sender] is None and last.type == ALERT and side.alert is not None and side.alert.level is None:
                closed[sender] = last.packet
        if any(alert.guessed for alert in self.story.alerts):
            self.story.alerts.sort(key=lambda alert: (alert.time, alert.packet))
        self.story.close_notify = (closed[0], closed[1])

    def _decryption(self) -> None:
        story = self.story
        if self._keys is None:
            first, second = (_NO_KEYS if side.protected else _NOTHING for side in self._sides)
            story.decryption = (first, second)
            return
        story.decryption = (self._keys.decryption(self._role(0)), self._keys.decryption(self._role(1)))
        if any(told.records for told in story.decryption):
            story.data = (self._sides[0].data.done(), self._sides[1].data.done())
