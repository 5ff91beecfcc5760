"""How a client answered the server's request for its certificate, in clear or by the shape of its records."""

from __future__ import annotations

from typing import NamedTuple

from synfin.errors import WireError
from synfin.judge.facts import first_close, messages, missed, round_trip
from synfin.judge.records import EMPTY_CERTIFICATE_13, protected
from synfin.judge.signs import ALERT_LENGTHS, EMPTY_AND_FINISHED_LENGTHS, FINISHED_ALONE_LENGTHS
from synfin.observe.story import Connection
from synfin.observe.story_tls import AlertFact
from synfin.spec.distinguished import name_text, read_name
from synfin.wire.tls.certificate import CertificateRequest
from synfin.wire.tls.extensions import CERTIFICATE_REQUEST, decode_extension
from synfin.wire.tls.registry import is_tls13
from synfin.wire.tls.shapes import CertificateAuthorities

#: A refusal comes as soon as the client's flight was read; later a record of that size is an idle server's close.
_AT_ONCE = 1_000_000_000
#: The extension certificate_authorities (RFC 8446 4.2.4).
_AUTHORITIES = 47


class ClientCertificate(NamedTuple):
    """``sent`` is "none", "empty" or "some"; ``seen`` False: told from record lengths, TLS 1.3 without secrets."""

    requested: bool
    sent: str
    seen: bool
    packets: tuple[int, ...]


class Refusal(NamedTuple):
    """The server's last word: an alert that can be read, or a record of an alert's size (``description`` None).

    ``wordless``: it had none, and closed or reset.
    """

    description: int | None
    packet: int
    time: int
    wordless: bool = False

    @property
    def told(self) -> str:
        """What there is where no alert can be read."""
        if self.wordless:
            return f"hung up without a word (packet {self.packet})"
        return f"sent a record of an alert's size and nothing more (packet {self.packet})"


def client_certificate(connection: Connection) -> ClientCertificate:
    """What the client answered to CertificateRequest."""
    tls = connection.tls
    if tls is None:
        return ClientCertificate(False, "none", True, ())
    server = 1 - tls.client
    asked = [m.packets[0] for m in messages(tls, server, "certificate_request") if m.packets]
    answers = messages(tls, tls.client, "certificate")
    if answers:
        chain = next((c for c in tls.chains if c.sender == tls.client), None)
        answer = answers[0]
        empty = (chain is None or not chain.der) and answer.length <= 16
        return ClientCertificate(True, "empty" if empty else "some", True, (*asked[:1], *answer.packets))
    if tls.certificate_requested or asked:
        return ClientCertificate(True, "none", True, tuple(asked[:1]))
    before: list[int] = []
    where: list[int] = []
    for record in protected(tls):
        if record.sender != tls.client:
            continue
        if not record.guess:
            return ClientCertificate(False, "none", True, ())
        if record.length in EMPTY_AND_FINISHED_LENGTHS and not before:
            return ClientCertificate(True, "empty", False, (record.packet,))
        if record.length in FINISHED_ALONE_LENGTHS:
            break
        before.append(record.length)
        where.append(record.packet)
    else:
        return ClientCertificate(False, "none", False, ())
    before = [size for size in before if size not in ALERT_LENGTHS]
    if before and before[0] in EMPTY_CERTIFICATE_13:
        return ClientCertificate(True, "empty", False, tuple(where[:1]))
    if before and max(before) > 200:
        return ClientCertificate(True, "some", False, tuple(dict.fromkeys(where)))
    return ClientCertificate(False, "none", False, ())


def refusing_page(connection: Connection) -> tuple[int, int, int] | None:
    """Status, packet and time of a page that complains about the client's certificate, where it can be read."""
    tls, http = connection.tls, connection.http
    if tls is None or tls.data is None or http is None:
        return None
    for message in http.messages:
        if message.kind == "response" and message.status in (400, 403, 495, 496):
            body = tls.data[message.sender].read(message.offset, 2048)
            if b"SSL certificate" in body or b"client certificate" in body.lower():
                return message.status, message.packets[0], message.start
    return None


def admitted(connection: Connection) -> tuple[str, ...]:
    """The issuers of which the server takes certificates, as it told them; () for any."""
    tls = connection.tls
    asked = messages(tls, 1 - tls.client, "certificate_request") if tls is not None else ()
    body = asked[0].body if asked else None
    if not isinstance(body, CertificateRequest):
        return ()
    ders = body.authorities or ()
    try:
        for one in body.extensions or ():
            if one.type == _AUTHORITIES and isinstance(
                listed := decode_extension(one, CERTIFICATE_REQUEST), CertificateAuthorities
            ):
                ders = listed.values
        return tuple([name_text(read_name(der)) for der in ders])
    except WireError:
        return ()


def hung_up(connection: Connection) -> Refusal | None:
    """The server's close or reset, right after the client's answer to its question and without a word."""
    tls, close = connection.tls, first_close(connection)
    if tls is None or close is None or close.side == tls.client:
        return None
    server = 1 - tls.client
    answers = messages(tls, tls.client, "certificate")
    answered = answers[0].time if answers else _answered_unseen(connection)
    if answered is None or not 0 <= close.time - answered <= _AT_ONCE:
        return None
    said = [
        a for a in tls.alerts if a.packet <= close.packet and (a.sender == server or a.description not in (None, 0))
    ]
    if said or tls.close_notify[server] is not None:
        return None
    if any(p.sender == server and p.what == "data" and p.time >= answered for p in protected(tls)):
        return None
    return Refusal(None, close.packet, close.time, wordless=True)


def _answered_unseen(connection: Connection) -> int | None:
    """When the client's Finished came behind a certificate of its own, in records that cannot be read; or None."""
    tls = connection.tls
    if tls is None or client_certificate(connection)[1:3] != ("some", False) or missed(connection):
        return None
    return next((p.time for p in protected(tls) if p.sender == tls.client and p.length in FINISHED_ALONE_LENGTHS), None)


def refusal(connection: Connection) -> Refusal | None:
    """The server's alert that ended the connection after the client's certificate, readable or by its size."""
    tls = connection.tls
    if tls is None:
        return None
    server = 1 - tls.client
    alert: AlertFact | None = None
    for item in tls.alerts:
        if item.sender == server and item.description not in (None, 0, 90, 100):
            alert = item
            break
    if alert is not None:
        return Refusal(alert.description, alert.packet, alert.time)
    if silent := hung_up(connection):
        return silent
    if not is_tls13(tls.version):
        return None
    shown = protected(tls)
    mine = [p for p in shown if p.sender == server]
    if not mine or not mine[-1].guess or mine[-1].what != "alert":
        return None
    last = mine[-1]
    done = [p for p in shown if p.sender == tls.client and p.what == "handshake"]
    if not done or not 0 <= last.time - done[-1].time <= _AT_ONCE:
        return None
    bye = next((p.time for p in shown if p.sender == tls.client and p.what == "alert" and p.time <= last.time), None)
    asked = any(p.sender == tls.client and p.what == "data" for p in shown)
    if bye is not None and not (asked and bye - done[-1].time < round_trip(connection)):
        return None  # the client had said good-bye first, and not just along with its request
    answered = any(p.sender == server and p.what == "data" for p in shown[shown.index(done[-1]) :])
    return None if answered else Refusal(None, last.packet, last.time)
