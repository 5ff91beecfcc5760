"""What both roles share: the five verbs, data, alerts, closing, and the limits on a peer's demands.

Bytes go in by ``receive``, out by ``take_output``; what happened comes from ``next_event``; ``next_timer`` and
``timer_fired`` are for the handshake's deadline.  Nothing here reads a clock or makes chance: ``now`` (seconds since
1970) and ``entropy`` are arguments.  Whatever a peer does wrong is a PeerError inside and becomes one fatal alert and
one ``Failed`` event; after that the endpoint is deaf and mute.

``say_raw``, ``seal`` and ``alert`` are the only ways out: scenarios that send wrong things override them in a subclass,
and the right path pays nothing for it.  Records are in ``records``, handshake messages and states in ``messages``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from synfin.errors import PeerError, UsageError, WireError
from synfin.spec.keys import exporter_13
from synfin.spec.protection import BadRecord, Protection
from synfin.spec.violations import VIOLATIONS
from synfin.tls.config import TLS12, TLS13, Limits
from synfin.tls.events import Closed, Data, Event, Facts, Failed, KeyUpdated, PeerAlert
from synfin.tls.messages import Messages
from synfin.tls.records import APPLICATION_DATA
from synfin.wire.codec import Buffer

_tuple = tuple.__new__  # makes a Data without the call of its own constructor
CLOSE_NOTIFY, INTERNAL_ERROR, USER_CANCELED, NO_RENEGOTIATION = 0, 80, 90, 100


class Endpoint(Messages):
    """One end of one connection; see the module.  Not thread safe."""

    __slots__ = (
        "_between", "_calm", "_deadline", "_eof", "_events", "_half_alert", "_said", "_update_answer", "_update_asked",
        "_updates", "_warnings", "early_exporter", "early_facts", "entropy", "now", "pair12",
    )  # fmt: skip

    def __init__(self, limits: Limits, entropy: Callable[[int], bytes], deadline: float | None) -> None:
        super().__init__(limits)
        self.entropy = entropy
        self.now = 0.0
        self.pair12: tuple[Protection, Protection] | None = None  # TLS 1.2: what seals, what opens
        self._deadline = deadline
        self._events: deque[Event] = deque()
        self._warnings = self._updates = 0
        self._said: tuple[Protection | None, int] = (None, 0)  # records out when the peer's last KeyUpdate came
        self._update_asked = False  # a KeyUpdate that asks for one waits for its answer
        self._between = False  # in the middle of a late answer, where no data may come (RFC 8446 4.6.2)
        self._update_answer: object = None  # the record with our last answer to one
        self.early_exporter: tuple[str, bytes] | None = None  # hash, early_exporter_master_secret
        self.early_facts: Facts | None = None  # a server's that takes 0-RTT data, before the handshake is done
        self._half_alert = b""  # TLS 1.2 may cut alerts
        self._eof = False
        self._calm: Protection | None = None  # what opens, while nothing but data is to be expected

    # ------------------------------------------------------------ the five verbs

    def receive(self, data: Buffer, now: float) -> None:
        """Take what the transport delivered.  Never raises for what is in it."""
        self.now = now
        if (opener := self._calm) is not None:
            pos, content = opener.open_run(data, 0, self._limit_in)
            if content:
                self._events.append(_tuple(Data, (content, False)))
                if pos == len(data):
                    return
                data = memoryview(data)[pos:]
            self._calm = None
        if self._deaf or not data:
            return
        try:
            self._records(data)
            if self.facts is not None and not (self._held or self._partial or self._between or self._early):
                self._calm = None if self._deaf or self._empty or self._updates else self._opener
        except PeerError as error:
            self._fail(error.violation, error.expected, error.got)
        except BadRecord as error:
            self._fail("bad_record_mac", "a record that opens", error.why)
        except WireError as error:
            self._fail("decode_error", "", str(error))

    def receive_eof(self, now: float) -> None:
        """The transport says that no more will come.  Without a close_notify before, that is truncation."""
        self.now = now
        if self._eof or self._deaf:
            return
        self._eof = self._deaf = True
        self._calm = None
        if self.facts is None:
            self._mute = True
            self._events.append(Failed("silent_end", None))
        self._events.append(Closed(clean=False))

    def next_timer(self) -> float | None:
        """When ``timer_fired`` wants to be called: seconds since 1970, or None."""
        return None if self.facts is not None or self._deaf else self._deadline

    def timer_fired(self, now: float) -> None:
        """Time has passed; harmless before ``next_timer``."""
        self.now = now
        timer = self.next_timer()
        if timer is not None and now >= timer:
            stalled = self.ROLE == "server" or self.version
            self._fail("handshake_stalled" if stalled else "no_answer", "a handshake in time", "silence")

    def take_output(self, now: float) -> bytes | bytearray:
        """Octets for the transport, empty where there are none."""
        self.now = now
        if self._flight:
            self.flush()
        out = self._out
        if len(out) == 1:
            return out.pop()
        if not out:
            return b""
        self._out = []
        return b"".join(out)

    def next_event(self) -> Event | None:
        """The oldest event not taken yet, or None."""
        return self._events.popleft() if self._events else None

    # ------------------------------------------------------------ what the application does

    @property
    def ready(self) -> bool:
        """Whether ``send`` may be called."""
        return (self.facts or self.early_facts) is not None and not self._mute

    @property
    def record_limits(self) -> tuple[int, int]:
        """Octets of content that a record holds at most: out, and in (RFC 8449)."""
        return self._limit_out, self._limit_in

    @property
    def closed(self) -> bool:
        """Whether nothing will come in any more."""
        return self._deaf

    def send(self, data: Buffer) -> None:
        """Application data.  UsageError before the handshake is done or after closing.

        A server that takes 0-RTT data may answer it at once, before the client's Finished (RFC 8446 2.3).
        """
        if self._mute or (self.facts or self.early_facts) is None:  # not ready, without a call
            raise UsageError("application data can be sent only between the end of the handshake and close()")
        if data:
            self.seal(APPLICATION_DATA, data)

    def close(self) -> None:
        """Send close_notify (RFC 8446 6.1); data may still come in.  Harmless when repeated."""
        if not self._mute:
            self.alert(1, CLOSE_NOTIFY)
            self._mute = True

    def abort(self, description: int) -> None:
        """Give up with a fatal alert of our choosing, such as 80 internal_error or 49 access_denied.

        user_canceled (90) is a warning, which close_notify follows (RFC 8446 6.1).
        """
        if not self._deaf or not self._mute:
            told = self._deaf
            if description == USER_CANCELED and not self._mute:
                self.alert(1, USER_CANCELED)
                self.close()
            self._end(description)
            if not told:
                self._events.append(Closed(clean=False))

    def export_early(self, label: str, context: bytes, length: int) -> bytes:
        """Keying material that 0-RTT data may use (RFC 8446 7.5).  UsageError where no early data goes or is taken."""
        if self.early_exporter is None:
            raise UsageError("early exporters exist where early data goes or is taken")
        name, secret = self.early_exporter
        return exporter_13(name, secret, label, context, length)

    # ------------------------------------------------------------ data in

    def _opened(self, content: bytes | bytearray) -> None:
        """Data that came when data may come: what ``_application`` would find."""
        if self._between:
            raise PeerError("unexpected_message", "the rest of the answer", "application data")
        self._empty = self._updates = 0
        self._events.append(_tuple(Data, (content, False)))

    def _application(self, content: bytes) -> None:
        if self._partial and self.version == TLS13:  # TLS 1.2 lets data come between (RFC 5246 6.2.1)
            raise PeerError("unexpected_message", "the rest of a message", "application data")
        if self._between:
            raise PeerError("unexpected_message", "the rest of the answer", "application data")
        if self.facts is None and not self._early:
            raise PeerError("unexpected_message", "a handshake", "application data")
        if not content:
            self._idle()
            return
        self._empty = self._updates = 0
        if self._early:
            self.early_data(len(content))
            self._events.append(Data(content, early=True))
        else:
            self._events.append(Data(content))

    def early_data(self, size: int) -> None:
        """Early data came: a server counts it."""

    # ------------------------------------------------------------ alerts

    def _alert(self, content: bytes) -> None:
        if self._partial and (self.version == TLS13 or (self._new and not self.version and self.ROLE == "server")):
            raise PeerError("unexpected_message", "the rest of a message", "an alert")
        if not content:
            raise PeerError("empty_handshake_record", "an alert", "nothing")
        if self.version == TLS12:  # fragments and several in one record are lawful (RFC 5246 6.2.1)
            content = self._half_alert + content
            while len(content) > 2 and not self._deaf:
                self._one_alert(content[0], content[1])
                content = content[2:]
            self._half_alert = content if len(content) == 1 else b""
            if self._deaf or len(content) == 1:
                return
        if len(content) != 2:
            raise PeerError("bad_alert", "two octets", str(len(content)))
        self._one_alert(content[0], content[1])

    def _one_alert(self, level: int, description: int) -> None:
        if level not in (1, 2):
            raise PeerError("illegal_parameter", "level 1 or 2", str(level))
        if description == CLOSE_NOTIFY:
            self._deaf = True
            if self.facts is None:
                self._events.append(PeerAlert(description, fatal=True))
                self.close()  # the answer that RFC 5246 7.2.1 demands
            self._events.append(Closed(clean=self.facts is not None))
            return
        warning = level == 1 if self.version == TLS12 else description == USER_CANCELED
        if warning or (level == 1 and self.version == 0 and description == 112):  # unrecognized_name: RFC 6066 3
            self._events.append(PeerAlert(description, fatal=False))
            self._warnings += 1
            if self._warnings > self.limits.warnings:
                raise PeerError("too_many_warnings", f"at most {self.limits.warnings}", "more")
            return
        self._deaf = self._mute = True
        self._forget()
        self._events.append(PeerAlert(description, fatal=True))
        self._events.append(Closed(clean=False))

    def _fail(self, violation: str, expected: str = "", got: str = "") -> None:
        found = VIOLATIONS.get(violation)
        if found is None:
            self._end(INTERNAL_ERROR)
            raise UsageError(f"a callback raised PeerError({violation!r}): synfin.spec.violations has no such name")
        description = found.alert
        self._end(description)
        self._events.append(Failed(violation, description, expected, got))
        self._events.append(Closed(clean=False))

    def _end(self, description: int | None) -> None:
        if description is not None and not self._mute:
            self.alert(2, description)
        self._deaf = self._mute = True
        self._calm = None
        self._held.clear()
        self._partial.clear()
        self._forget()

    def _forget(self) -> None:
        """A fatal end: sessions of this connection must not be resumed (RFC 5246 7.2.2)."""

    # ------------------------------------------------------------ for roles

    def emit(self, event: Event) -> None:
        """Hand an event to the driver."""
        self._events.append(event)

    def log(self, label: str, random: bytes, secret: bytes, sink: Callable[[str], None] | None) -> None:
        """A line for SSLKEYLOGFILE, where somebody asked for it."""
        if sink is not None:
            sink(f"{label} {random.hex()} {secret.hex()}")

    def updated(self, requested: bool) -> None:
        """The peer updated its keys: count and tell."""
        (before, count), sealer = self._said, self._sealer
        sent = sealer.sequence if sealer else 0
        if sent > (count if sealer is before else 0):  # who takes a long answer has no data to send
            self._updates = 0
        self._said = (sealer, sent)
        self._updates += 1
        if self._updates > self.limits.key_updates:
            raise PeerError("too_many_key_updates", f"at most {self.limits.key_updates} in a row", "more")
        self._events.append(KeyUpdated(requested))
