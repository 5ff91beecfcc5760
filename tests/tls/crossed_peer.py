"""The other end of a client, that says what a test tells it to and keeps no rules of its own but those of form.

The client works in memory, or anywhere behind two verbs.  What is put is cut as the test likes it; what the client says
is opened, held against the syntax of the RFCs, and kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from cryptography.exceptions import InvalidTag

from tests.tls.crossed_keys import Keys, vec

CCS, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
HRR = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


class Hello:
    """A ClientHello, read strictly (RFC 8446 4.1.2, RFC 5246 7.4.1.2)."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        assert raw[0] == 1
        self.at, self.body = 0, raw[4:]
        assert len(self.body) == int.from_bytes(raw[1:4], "big")
        self.version = self.take(2)
        self.random = self.take(32)
        self.session_id = self.vec(1)
        suites = self.vec(2)
        self.suites = [int.from_bytes(suites[i : i + 2], "big") for i in range(0, len(suites), 2)]
        self.compressions = self.vec(1)
        rest = self.vec(2)
        assert self.at == len(self.body)
        assert self.version == b"\3\3"
        assert self.compressions == b"\0"
        assert len(self.session_id) <= 32
        self.extensions: dict[int, bytes] = {}
        self.order: list[int] = []
        at = 0
        while at < len(rest):
            number = int.from_bytes(rest[at : at + 2], "big")
            size = int.from_bytes(rest[at + 2 : at + 4], "big")
            body = rest[at + 4 : at + 4 + size]
            assert len(body) == size
            assert number not in self.extensions
            self.extensions[number] = body
            self.order.append(number)
            at += 4 + size
        assert 41 not in self.extensions or self.order[-1] == 41

    def take(self, size: int) -> bytes:
        found = self.body[self.at : self.at + size]
        assert len(found) == size
        self.at += size
        return found

    def vec(self, prefix: int) -> bytes:
        return self.take(int.from_bytes(self.take(prefix), "big"))

    def list16(self, number: int, prefix: int = 2) -> list[int]:
        body = self.extensions.get(number)
        if body is None:
            return []
        assert len(body) == prefix + int.from_bytes(body[:prefix], "big")
        assert len(body) > prefix
        return [int.from_bytes(body[i : i + 2], "big") for i in range(prefix, len(body), 2)]

    @property
    def shares(self) -> dict[int, bytes]:
        body = self.extensions[51]
        assert len(body) == 2 + int.from_bytes(body[:2], "big")
        found: dict[int, bytes] = {}
        at = 2
        while at < len(body):
            group, size = int.from_bytes(body[at : at + 2], "big"), int.from_bytes(body[at + 2 : at + 4], "big")
            assert group not in found
            found[group] = body[at + 4 : at + 4 + size]
            at += 4 + size
        return found

    @property
    def keys(self) -> tuple[list[tuple[bytes, int]], list[bytes], int]:
        """Identities with ages, binders, and octets of the binders' list."""
        body = self.extensions[41]
        size = int.from_bytes(body[:2], "big")
        first, second = body[2 : 2 + size], body[2 + size :]
        identities, binders, at = [], [], 0
        while at < len(first):
            length = int.from_bytes(first[at : at + 2], "big")
            identities.append(
                (first[at + 2 : at + 2 + length], int.from_bytes(first[at + 2 + length : at + 6 + length], "big"))
            )
            at += 6 + length
        assert int.from_bytes(second[:2], "big") == len(second) - 2
        at = 2
        while at < len(second):
            binders.append(second[at + 1 : at + 1 + second[at]])
            at += 1 + second[at]
        assert len(identities) == len(binders)
        return identities, binders, len(second)


class AlertError(Exception):
    """The client ended it."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content.hex())
        self.level, self.description = content


class SilenceError(Exception):
    """The client says nothing, where something was expected."""


class End(Protocol):
    """A client of ours, or what leads to one."""

    def receive(self, data: bytes, now: float) -> None: ...

    def take_output(self, now: float) -> bytes | bytearray: ...


class Peer:
    """One connection with a client.

    ``cut`` is how many octets of a flight a record holds (0: as many as it may), ``joined`` whether messages share
    records, ``step`` how many octets are delivered at once (0: all that there is, -1: record for record), ``pad`` the
    padding of each record.
    """

    def __init__(
        self, client: End, *, now: float, cut: int = 0, joined: bool = False, step: int = -1, pad: int = 0
    ) -> None:
        self.client, self.now = client, now
        self.cut, self.joined, self.step, self.pad = cut, joined, step, pad
        self.new = False  # TLS 1.3
        self.limit = 1 << 14  # octets of content and padding that the client takes in a record
        self.said = b""  # the transcript
        self.out: Keys | None = None
        self.into: Keys | None = None
        self.skips = False  # early data that was refused may come
        self.records: list[tuple[int, bytes, bytes]] = []  # what the client sent: type, version, content
        self.pads: list[int] = []
        self.last = b""  # the client's last record, as it came
        self.data = b""
        self.closed = False
        self.intruder: tuple[bytes, int, Callable[[], None]] | None = None
        self._messages: list[bytes] = []
        self._partial = b""
        self._inbox = b""
        self._held = b""

    # ------------------------------------------------------------ out

    def deliver(self, octets: bytes) -> None:
        """Octets as they are."""
        if self.step == -1:
            self.client.receive(octets, self.now)
        else:
            self._held += octets

    def flush(self) -> None:
        """Deliver what is held."""
        held, self._held = self._held, b""
        step = self.step if self.step > 0 else len(held) or 1
        for at in range(0, len(held), step):
            self.client.receive(held[at : at + step], self.now)

    def put(self, kind: int, content: bytes, pad: int | None = None) -> None:
        """One record."""
        if self.out is None:
            self.deliver(bytes([kind]) + b"\3\3" + vec(content))
            return
        pad = self.pad if pad is None else pad
        self.deliver(self.out.seal(kind, content, min(pad, self.limit - len(content)) if self.new else pad))

    def pour(self, kind: int, content: bytes) -> None:
        """Content in as many records as this connection's cut makes of it."""
        most = min(self.cut or self.limit, self.limit)
        for at in range(0, len(content), most):
            self.put(kind, content[at : at + most])

    def say(self, *raws: bytes, later: bool = False) -> None:
        """Handshake messages; ``later`` ones are in no transcript, or in it already."""
        if not later:
            self.said += b"".join(raws)
        part = b""
        for raw in raws:
            if self.intruder is not None and raw is self.intruder[0]:
                _, at, act = self.intruder
                self.intruder = None
                self.pour(HANDSHAKE, part + raw[:at])
                act()
                part, raw = b"", raw[at:]
            part += raw
            if not self.joined:
                self.pour(HANDSHAKE, part)
                part = b""
        self.pour(HANDSHAKE, part)

    def change(self) -> None:
        """A ChangeCipherSpec in clear."""
        self.deliver(b"\x14\3\3\0\1\1")

    # ------------------------------------------------------------ in

    def next_record(self) -> tuple[int, bytes] | None:
        """The client's next record, opened; None where there is none."""
        while True:
            while len(self._inbox) < 5 or len(self._inbox) < 5 + int.from_bytes(self._inbox[3:5], "big"):
                self.flush()
                found = bytes(self.client.take_output(self.now))
                if not found:
                    assert not self._inbox
                    return None
                self._inbox += found
            size = 5 + int.from_bytes(self._inbox[3:5], "big")
            raw, self._inbox = self._inbox[:size], self._inbox[size:]
            self.last = raw
            if self.skips and raw[0] == DATA and not self._reads(raw):
                continue
            return self._opened(raw)

    def _reads(self, raw: bytes) -> bool:
        """Whether a record beside early data that was refused is none of it."""
        if self.into is None:
            return False
        try:
            self.into.open(raw)
        except InvalidTag:
            return False
        finally:
            self.into.sequence = 0
        self.skips = False
        return True

    def _opened(self, raw: bytes) -> tuple[int, bytes]:
        kind, content = raw[0], raw[5:]
        clear = self.into is None or (self.new and kind in (CCS, ALERT))
        if not clear and self.into is not None:
            kind, content, pad = self.into.open(raw)
            self.pads.append(pad)
        self.records.append((kind, raw[1:3], content))
        return kind, content

    def _heard(self, content: bytes) -> None:
        assert content
        self._partial += content
        while len(self._partial) >= 4 and len(self._partial) >= (size := 4 + int.from_bytes(self._partial[1:4], "big")):
            self._messages.append(self._partial[:size])
            self._partial = self._partial[size:]

    def hear(self, *kinds: int) -> bytes:
        """The next handshake message, of one of these kinds; data and ChangeCipherSpec are taken, an alert raised."""
        while not self._messages:
            found = self.next_record()
            if found is None:
                raise SilenceError(kinds)
            kind, content = found
            if kind == ALERT:
                raise AlertError(content)
            if kind == HANDSHAKE:
                self._heard(content)
            else:
                assert kind in (DATA, CCS)
                assert not self._partial
                self.data += content if kind == DATA else b""
        raw = self._messages.pop(0)
        assert raw[0] in kinds, (raw[0], kinds)
        return raw

    def hear_change(self) -> None:
        """The ChangeCipherSpec of TLS 1.2 is next, between messages."""
        found = self.next_record()
        if found is None:
            raise SilenceError(CCS)
        if found[0] == ALERT:
            raise AlertError(found[1])
        assert found == (CCS, b"\1")
        self.between()

    def between(self) -> None:
        """No message has begun, as where keys change."""
        assert not self._messages
        assert not self._partial

    def drain(self) -> bytes:
        """The data in all that the client says now; an alert other than close_notify is raised."""
        while (found := self.next_record()) is not None:
            kind, content = found
            assert kind in (ALERT, DATA)
            if kind == DATA:
                self.data += content
            elif content == b"\1\0":
                self.closed = True
            else:
                raise AlertError(content)
        data, self.data = self.data, b""
        return data
