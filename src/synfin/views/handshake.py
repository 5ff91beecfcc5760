"""TLS in words: every handshake message with its fields, alerts, key switches, and what stayed encrypted.

A message is told at the packet that brought its last octet, with how many segments it took and why (the MSS); packets
before it say of which message they carry a part.  What is under encryption and was not opened is named by its place and
marked as such: a guess is never told as a reading.  What a message says is told by ``messages``.
"""

from __future__ import annotations

from collections.abc import Iterator

from synfin.observe.story import Connection
from synfin.observe.story_tls import AlertFact, MessageFact, RecordFact, TlsStory
from synfin.views.messages import message_lines
from synfin.views.told import DATA_PLACE, EVENT, PROBLEM, ROUTINE, TURN, Item, Note
from synfin.views.words import clean, count, readable
from synfin.wire.tls.certificate import Certificate, CompressedCertificate
from synfin.wire.tls.records import APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, HEADER, HEARTBEAT
from synfin.wire.tls.registry import alert_name, is_tls13

_RECORDS = {HANDSHAKE: "a handshake record", APPLICATION_DATA: "an application data record"}

_NAMES = {
    "client_hello": "ClientHello",
    "server_hello": "ServerHello",
    "hello_retry_request": "HelloRetryRequest",
    "certificate": "Certificate",
    "server_key_exchange": "ServerKeyExchange",
    "client_key_exchange": "ClientKeyExchange",
    "certificate_request": "CertificateRequest",
    "certificate_verify": "CertificateVerify",
    "certificate_status": "CertificateStatus",
    "server_hello_done": "ServerHelloDone",
    "new_session_ticket": "NewSessionTicket",
    "encrypted_extensions": "EncryptedExtensions",
    "end_of_early_data": "EndOfEarlyData",
    "compressed_certificate": "CompressedCertificate",
}


def title(name: str) -> str:
    """The message's name as the RFCs write it: ``ClientHello`` for ``client_hello``."""
    return _NAMES.get(name) or _camel(name)


def _camel(name: str) -> str:
    if name.startswith("v2_"):
        return f"SSL 2.0 {_camel(name[3:])}"
    return "".join(word.capitalize() for word in name.split("_"))


def notes(connection: Connection) -> Iterator[Note]:
    """Everything TLS said, each at the packet where it is told."""
    tls = connection.tls
    if tls is None:
        return
    for message in tls.messages:
        yield Note(_last(message), (0, message.offset), _message(message, tls, connection))
    for alert in tls.alerts:
        yield Note(alert.packet, (0, 1 << 62), _alert(alert, tls))
    yield from _records(tls)
    for evidence, why in tls.problems:
        for packet in evidence.packets[:1]:
            yield Note(packet, (PROBLEM, evidence.offset or 0), Item(f"TLS problem: {clean(why)}", (), EVENT, "warn"))


def parts(connection: Connection) -> Iterator[tuple[int, str]]:
    """Packets that only carry a part of a handshake message or record, and of which."""
    tls = connection.tls
    if tls is None:
        return
    for record in tls.records:
        carried = connection.streams[record.sender].packets(record.offset, record.length + HEADER)
        what = f"part of {_RECORDS.get(record.type, 'a record')} of {count(record.length, 'octet')}"
        for packet in carried[:-1]:
            yield packet, what
    for message in tls.messages:
        last = _last(message)
        number = len(message.packets)
        for place, packet in enumerate(message.packets, 1):
            if packet != last:
                yield packet, f"part of {title(message.name)} (segment {place} of {number})"


def _last(message: MessageFact) -> int:
    return max(message.packets, default=0)


# ---------------------------------------------------------------- records


def _records(tls: TlsStory) -> Iterator[Note]:
    """ChangeCipherSpec, what stayed encrypted, and application data, summed up per packet."""
    opened = {(message.sender, message.offset) for message in tls.messages if message.decrypted}
    sealed: dict[tuple[int, int, str], list[int]] = {}
    turn: int | None = None  # who sent application data last
    said = _said(tls)
    finished = [False, False]
    for record in tls.records:
        at = (record.sender, record.packet)
        if record.type == CHANGE_CIPHER_SPEC:
            after = (
                " (says nothing in TLS 1.3; for old middleboxes)"
                if is_tls13(tls.version)
                else ": from here on encrypted"
            )
            yield Note(record.packet, (0, record.offset), Item(f"ChangeCipherSpec{after}", short="ChangeCipherSpec"))
        elif record.type == HANDSHAKE and record.protected and (record.sender, record.offset) not in opened:
            name = "encrypted handshake message"
            if not finished[record.sender]:
                name = "Finished (encrypted; by its place)"
            finished[record.sender] = True
            yield Note(
                record.packet,
                (0, record.offset),
                Item(f"{name}, {count(record.length, 'octet')}", short=name.partition(" (")[0]),
            )
        elif record.type == HEARTBEAT:
            hidden = " (encrypted)" if record.protected else " in clear"
            yield Note(record.packet, (0, record.offset), Item(f"Heartbeat{hidden}, {count(record.length, 'octet')}"))
        elif record.type == APPLICATION_DATA and record.inner_type in (None, APPLICATION_DATA):
            kind = _data_kind(record, tls)
            sealed.setdefault((*at, kind), []).append(record.length)
    for (sender, packet, kind), lengths in sealed.items():
        total = count(sum(lengths), "octet")
        many = f" in {len(lengths)} records" if len(lengths) > 1 else ""
        weight = EVENT if kind.startswith("encrypted handshake") else ROUTINE if sender == turn else TURN
        if weight != EVENT:
            turn = sender
        text = f"{kind}, {total}{many}"
        if weight != EVENT and (line := said.get((sender, packet))):
            text = f"“{line}” ({total}, decrypted)"
        yield Note(packet, DATA_PLACE, Item(text, (), weight, "" if weight else "dim"))


def _said(tls: TlsStory) -> dict[tuple[int, int], str]:
    """The first line of decrypted data that is text, by sender and packet."""
    lines: dict[tuple[int, int], str] = {}
    for sender, stream in enumerate(tls.data or ()):
        for at in range(len(stream.layout()[0])):
            packet, _ = stream.origin(at)
            if (sender, packet) not in lines:
                lines[sender, packet] = readable(stream.octets(at))
    return lines


def _data_kind(record: RecordFact, tls: TlsStory) -> str:
    if record.inner_type == APPLICATION_DATA:
        return "application data (decrypted)"
    done = tls.handshake_done_time
    if is_tls13(tls.version) and (done is None or record.time <= done):
        if record.sender != tls.client:
            return "encrypted handshake (by its place EncryptedExtensions to Finished)"
        return "encrypted handshake (by its place the client's Finished)"
    return "application data (encrypted)" if record.protected else "application data in clear"


# ---------------------------------------------------------------- alerts


def _alert(alert: AlertFact, tls: TlsStory) -> Item:
    if alert.description is None:
        if alert.packet == tls.close_notify[alert.sender]:
            return Item("close_notify (encrypted alert; by its place)", short="close_notify")
        return Item("alert (encrypted)", (), EVENT, "warn" if not tls.handshake_done else "")
    name = alert_name(alert.description)
    how = " (decrypted)" if alert.decrypted else ""
    if alert.description == 0:
        return Item(f"close_notify{how}: will send no more TLS data", short="close_notify")
    level = "fatal alert" if alert.level == 2 else "alert"
    return Item(f"{level} {name}{how}", (), EVENT, "bad" if alert.level == 2 else "note")


# ---------------------------------------------------------------- messages


def _message(message: MessageFact, tls: TlsStory, connection: Connection) -> Item:
    text = title(message.name)
    size = count(message.length, "octet")
    how = " (decrypted)" if message.decrypted else ""
    if len(message.packets) > 1:
        syn = connection.tcp.sides[1 - message.sender].syn
        mss = f", MSS {syn.mss:,}" if syn is not None and syn.mss is not None else ""
        text += f"{how}, {size} over {len(message.packets)} segments{mss}"
    else:
        text += f"{how}, {size}"
    lines = list(message_lines(message.body))
    if isinstance(message.body, (Certificate, CompressedCertificate)):
        lines += _chain(message, tls)
    if message.problem:
        lines.append(f"could not be read: {clean(message.problem)}")
    return Item(text, tuple(lines), EVENT, "warn" if message.problem else "", title(message.name))


def _chain(message: MessageFact, tls: TlsStory) -> Iterator[str]:
    chain = next(
        (chain for chain in tls.chains if chain.sender == message.sender and set(chain.packets) & set(message.packets)),
        None,
    )
    if chain is not None:
        number = count(len(chain.facts), "certificate")
        yield f"{number}, the first for {clean(chain.facts[0].label)}" if chain.facts else number
