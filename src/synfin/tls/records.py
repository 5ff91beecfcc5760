"""Records in and out (RFC 8446 5, RFC 5246 6.2): cutting, opening, sealing, and what no record may look like.

What records carry goes to ``_handshake``, ``_alert`` and ``_application``, which ``core`` fills in.  Handshake messages
wait in a flight until ``flush``, so that they share records; keys change between records only.
"""

from __future__ import annotations

from collections.abc import Callable

from synfin.errors import PeerError
from synfin.spec.protection import Aead13, BadRecord, Protection, read_header, record_header
from synfin.tls.config import TLS12, TLS13, Limits
from synfin.tls.events import Facts
from synfin.wire.codec import Buffer
from synfin.wire.tls.registry import CONTENT_TYPES

CCS, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
MAX_PLAIN = 1 << 14


class Records:
    """The record layer of one end, both directions."""

    __slots__ = (
        "__weakref__", "_ccs_allowed", "_ccs_early", "_ccs_expected", "_deaf", "_early", "_empty", "_flight",
        "_fragment", "_held", "_limit_agreed", "_limit_in", "_limit_out", "_limit_passed", "_most", "_mute", "_need",
        "_new", "_opened_any", "_opener", "_out", "_padding", "_partial", "_record_version", "_sealer", "_skip_early",
        "_turned", "facts", "limits", "version",
    )  # fmt: skip

    ROLE = ""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.version = 0  # 0 until negotiated
        self._new = False  # TLS 1.3 may still be negotiated
        # in
        self._opener: Protection | None = None
        self._held = bytearray()  # the beginning of a record
        self._need = 5
        self._partial = bytearray()  # the beginning of a handshake message
        self._opened_any = False
        self._turned = False  # the reading keys changed with this message
        self._empty = 0
        self._limit_in = MAX_PLAIN
        self._fragment = 0  # max_fragment_length, which holds for records in clear too; 0: none
        self._limit_agreed = True  # the limit we told holds from the peer's answer on (RFC 8449 4)
        self._limit_passed = 0  # content of a record before that, where it was longer
        self._ccs_allowed = False  # TLS 1.3 compatibility mode: between the hello and Finished
        self._ccs_early = False  # one came in compatibility mode's way
        self._ccs_expected: Callable[[], None] | None = None  # TLS 1.2: what ChangeCipherSpec does
        self._skip_early = 0  # octets of refused early data that may still be thrown away
        self._early = False  # what comes is early data
        self.facts: Facts | None = None  # set when the handshake is done
        self._deaf = False
        # out
        self._sealer: Protection | None = None
        self._out: list[bytes | bytearray] = []
        self._flight = bytearray()  # handshake messages not yet in a record
        self._limit_out = MAX_PLAIN
        self._most = limits.records_per_key
        self._padding: Callable[[int], int] | None = None
        self._mute = False
        self._record_version = 0x0303

    def _handshake(self, content: bytes) -> None:
        raise NotImplementedError

    def _alert(self, content: bytes) -> None:
        raise NotImplementedError

    def _application(self, content: bytes) -> None:
        raise NotImplementedError

    def _opened(self, content: bytes | bytearray) -> None:
        raise NotImplementedError

    # ------------------------------------------------------------ records out

    def say_later(self, raw: bytes) -> None:
        """Queue a message after the handshake: it belongs to no transcript of ours."""
        self._flight += raw

    def flush(self) -> None:
        """Put queued handshake messages into records."""
        flight = bytes(self._flight)
        self._flight.clear()
        if flight:
            self.seal(HANDSHAKE, flight)

    def seal(self, kind: int, content: Buffer) -> None:
        """Content of any length out, in as many records as it takes, under the keys that hold; what is queued first."""
        if self._flight:
            self.flush()
        sealer, limit = self._sealer, self._limit_out
        if sealer is None or self._padding is not None:
            self._seal_each(sealer, kind, content)
        elif len(content) <= limit or kind != APPLICATION_DATA:
            self._out.append(sealer.seal_run(kind, content, limit))
        else:  # not beyond what these keys may protect
            while (run := max(1, self._most - sealer.sequence) * limit) < len(content):
                self._out.append(sealer.seal_run(kind, content[:run], limit))
                content = memoryview(content)[run:]
                self.keys_used_up()
                if self._sealer is sealer or self._sealer is None:  # TLS 1.2 has no others
                    break
                sealer = self._sealer
            self._out.append(sealer.seal_run(kind, content, limit))
        if sealer is not None and sealer.sequence >= self._most and kind == APPLICATION_DATA:
            self.keys_used_up()

    def _seal_each(self, sealer: Protection | None, kind: int, content: Buffer) -> None:
        """In clear, or with padding: record for record."""
        limit, pad = self._limit_out, self._padding
        if sealer is None:
            limit = self._fragment or MAX_PLAIN  # record_size_limit is for what is protected (RFC 8449 4)
        for at in range(0, len(content) or 1, limit):
            part = bytes(content[at : at + limit])
            size = len(part)
            if sealer is None:
                self._out += record_header(kind, self._record_version, size), part
            else:
                padding = max(0, min(pad(size), limit - size)) if pad else 0
                self._out.append(sealer.seal_record(kind, part, padding))

    def keys_used_up(self) -> None:
        """The sending keys have protected as many records as they should; TLS 1.3 roles change them."""

    def alert(self, level: int, description: int) -> None:
        """An alert record."""
        self.seal(ALERT, bytes([level, description]))

    def send_ccs(self) -> None:
        """A ChangeCipherSpec record, always in clear here."""
        self._out.append(b"\x14\x03\x03\x00\x01\x01")

    # ------------------------------------------------------------ keys

    def read_keys(self, opener: Protection | None) -> None:
        """From the next record on, open with ``opener``; a message that goes on across this is a violation."""
        self._opener = opener
        self._turned = True

    def write_keys(self, sealer: Protection | None) -> None:
        """What was queued leaves under the old keys; from now on seal with ``sealer``."""
        if self._flight:
            self.flush()
        self._sealer = sealer

    # ------------------------------------------------------------ records in

    def _records(self, data: Buffer) -> None:
        pos = 0
        if self._held:
            pos = self._complete(data)
            if pos < 0 or self._deaf:
                return
        end = len(data)
        while end - pos >= 5:
            if (
                self.facts is not None
                and (opener := self._opener) is not None
                and not self._early
                and not self._partial
            ):
                pos, content = opener.open_run(data, pos, self._limit_in)
                if content:
                    self._opened(content)
                    if pos == end:
                        break
                    continue
            view = memoryview(data)
            kind, version, length = read_header(data, pos)
            opener = self._opener
            self._header(kind, version, length, view, pos)
            stop = pos + 5 + length
            if stop > end:
                self._held += view[pos:]
                self._need = 5 + length
                return
            if opener is not None and (kind == APPLICATION_DATA or self.version != TLS13):
                self._protected(opener, kind, version, view[pos + 5 : stop])
            else:
                self._clear(kind, bytes(view[pos + 5 : stop]))
            pos = stop
            if self._deaf:
                return
        if pos < end:
            self._held += memoryview(data)[pos:]

    def _complete(self, data: Buffer) -> int:
        """Add what is missing to the record that began before, and take it: how much of ``data`` went, -1 for all."""
        held, view, pos = self._held, memoryview(data), 0
        while True:
            missing = self._need - len(held)
            held += view[pos : pos + missing]
            if len(held) < self._need:
                return -1
            pos += missing
            if self._need > 5:
                break
            kind, version, length = read_header(held)
            self._header(kind, version, length, memoryview(bytes(held)), 0)
            if not length:
                break
            self._need = 5 + length
        record = bytes(held)
        held.clear()
        self._need = 5
        self._records(record)
        return pos

    def _header(self, kind: int, version: int, length: int, view: memoryview, pos: int) -> None:
        """Refuse what no record of any version may look like; TLS 1.3 ignores newer versions (RFC 8446 5.1, D.5)."""
        major = version >> 8
        if major > 3 and (self.version == TLS13 or (self._new and not self.version)):
            major = 3
        elif self.version == TLS12 and version != TLS12:
            raise PeerError("bad_record_version", "0x0303", f"0x{version:04x}")
        if not CCS <= kind <= APPLICATION_DATA or major != 3:
            if CCS <= kind <= APPLICATION_DATA:
                raise PeerError("bad_record_version", "3.x", str(major))
            if self._opened_any or self.version:
                raise PeerError("unknown_content_type", "20 to 23", str(kind))
            head = bytes(view[pos : pos + 5])
            if head.partition(b" ")[0] in _METHODS:
                raise PeerError("plain_http_sent", "a TLS record", repr(head)[1:])
            if head[0] & 0x80 and head[2] == 1 and head[3] in (0, 2, 3):  # an SSL 2.0 CLIENT-HELLO (RFC 8446 D.5)
                raise PeerError("no_common_version", "TLS 1.2 or 1.3", "SSL 2.0")
            raise PeerError("not_tls", "a TLS record", head.hex())
        protected = self._opener is not None
        most = MAX_PLAIN + ((256 if self.version == TLS13 else 2048) if protected or self._skip_early else 0)
        if length > most:
            raise PeerError("record_overflow", f"at most {most} octets", str(length))
        early = self._early or self._skip_early  # sent before the length was agreed
        if self._fragment and not early and length > self._fragment + (_EXPANSION if protected else 0):
            raise PeerError("record_size_limit_exceeded", f"at most {self._fragment} octets", str(length))

    def _protected(self, opener: Protection, kind: int, version: int, fragment: memoryview) -> None:
        try:
            inner, content = opener.open_record(kind, version, fragment)
        except BadRecord as error:
            if "no content type" in error.why:
                raise PeerError("record_without_content_type", "a content type", "padding only") from None
            if self._skip_early and self.version == TLS13 and not self._opened_any:
                self._skip(len(fragment))
                return
            raise
        self._skip_early = 0
        self._opened_any = True
        if len(fragment) > self._limit_in:  # else its content cannot be longer than that either
            self._measure(opener, fragment, content)
        if inner == APPLICATION_DATA:
            self._application(content)
        elif inner == HANDSHAKE:
            self._handshake(content)
        elif inner == ALERT:
            self._alert(content)
        elif inner == CCS:
            raise PeerError("bad_change_cipher_spec", "none here", "one inside a protected record")
        else:
            raise PeerError("unknown_content_type", "20 to 23", str(inner))

    def _skip(self, size: int) -> None:
        """Refused early data is thrown away within bounds (RFC 8446 4.2.10); the bound stays above 0."""
        if size > self._skip_early:
            raise PeerError("early_data_too_long", "less of it", "more")
        self._skip_early = max(1, self._skip_early - max(1, size))

    def _measure(self, opener: Protection, fragment: memoryview, content: bytes) -> None:
        """Refuse a record with more content than we take."""
        size = len(content)
        if type(opener) is Aead13:  # padding and content type count too (RFC 8446 5.4, RFC 8449 4)
            size = len(fragment) - opener.tag - 1
        if size > self._limit_in and (size > MAX_PLAIN or not self._early):  # early data may not know our limit yet
            if size > MAX_PLAIN:
                raise PeerError("plaintext_overflow", "at most 16384 octets", str(size))
            if not self._limit_agreed:
                self._limit_passed = size
                return
            raise PeerError("record_size_limit_exceeded", f"at most {self._limit_in} octets", str(size))

    def _clear(self, kind: int, content: bytes) -> None:
        """A record that is not protected, or must not be."""
        if kind == CCS:
            self._change_cipher_spec(content)
            return
        alert_fits = self.ROLE == "server" and (self._early or not self._opened_any)  # no keys yet (RFC 8446 A.1)
        if self._opener is not None and not (kind == ALERT and alert_fits):
            raise PeerError("unprotected_record", "protected records", CONTENT_TYPES.get(kind, str(kind)))
        if kind == HANDSHAKE:
            self._handshake(content)
        elif kind == ALERT:
            self._alert(content)
        elif self._skip_early and not self._partial:
            self._skip(len(content))
        else:
            raise PeerError("unexpected_message", "a handshake", "application data")

    def _change_cipher_spec(self, content: bytes) -> None:
        if self._partial:
            raise PeerError("bad_change_cipher_spec", "the rest of a message", "ChangeCipherSpec")
        if content != b"\1":
            raise PeerError("bad_change_cipher_spec", "one octet 1", content[:8].hex())
        if self._ccs_expected is not None:
            change, self._ccs_expected = self._ccs_expected, None
            change()
            self._turned = False
        elif self._ccs_allowed:
            self._ccs_early = True
            self._idle()
        else:
            raise PeerError("bad_change_cipher_spec", "none here", "one")

    def _idle(self) -> None:
        """A record without content or effect: some are allowed."""
        self._empty += 1
        if self._empty > self.limits.empty_records:
            raise PeerError("too_many_empty_records", f"at most {self.limits.empty_records} in a row", "more")


#: The most that protection adds in TLS 1.2: IV, MAC and padding (RFC 6066 4 has records beyond it refused unopened).
_EXPANSION = 16 + 48 + 256
_METHODS = frozenset({b"GET", b"POST", b"HEAD", b"PUT", b"OPTIO", b"CONNE", b"DELET", b"PATCH", b"TRACE", b"PRI"})
