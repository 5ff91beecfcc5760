"""Where TLS begins after a conversation in clear: STARTTLS and its cousins.

``upgrade`` reads the dialogue of one protocol as far as it needs: the client's command, the server's answer to it,
and the offsets in both streams where TLS takes over.  A refused upgrade is a fact too.  The answer to the command is
the first whole line the server said after the command was seen; pipelined answers before it do not matter, because
TLS records cannot be mistaken for a line of text and the first record after a line's end is where TLS begins.

Sources: RFC 3207 (SMTP, LMTP), RFC 9051 6.2.1 (IMAP), RFC 2595 (POP3), RFC 4217 (FTP), RFC 4642 (NNTP), RFC 5804
(Sieve), RFC 6120 5 (XMPP), RFC 4511 4.14 (LDAP), the protocol chapters of PostgreSQL and MySQL, IRCv3's old
``tls`` extension, [MS-RDPBCGR] 2.2.1.1.
"""

from __future__ import annotations

import re

from synfin.observe.proxies import LIMIT, Peeled, fact
from synfin.observe.stream import ByteStream

_LINES = {
    "smtp": rb"STARTTLS[ \t]*\r?\n",
    "lmtp": rb"STARTTLS[ \t]*\r?\n",
    "imap": rb"[^ \r\n]{1,64} STARTTLS[ \t]*\r?\n",
    "pop3": rb"STLS[ \t]*\r?\n",
    "ftp": rb"AUTH[ \t]+(?:TLS|TLS-C|TLS-P|SSL)[ \t]*\r?\n",
    "nntp": rb"STARTTLS[ \t]*\r?\n",
    "sieve": rb"STARTTLS[ \t]*\r?\n",
    "irc": rb"STARTTLS[ \t]*\r?\n",
}
_COMMAND = {name: re.compile(rb"(?im)^" + line) for name, line in _LINES.items()}
#: Protocols that can turn to TLS.
UPGRADES = frozenset(_LINES) | {"xmpp", "postgresql", "ldap", "mysql", "rdp"}
_YES = {
    "smtp": rb"220",
    "lmtp": rb"220",
    "imap": rb"(?i)\S+ OK",
    "pop3": rb"\+OK",
    "ftp": rb"[23]34",
    "nntp": rb"382",
    "sieve": rb"(?i)OK",
    "irc": rb"(?::\S+ )?670 ",
}
_ACCEPTED = {name: re.compile(line) for name, line in _YES.items()}
_NO = re.compile(rb"[45]\d\d[ -]|(?i:\S+ (?:NO|BAD) )|-ERR|(?i:NO|BYE)[ \r]|(?::\S+ )?(?:691|451|421) ")
_RECORD_AFTER_LINE = re.compile(rb"(?:^|\n)([\x14-\x16]\x03[\x00-\x04])")
_XMPP_ASK = re.compile(rb"<starttls[^<>]{0,200}(?:/>|>\s{0,20}</starttls\s{0,20}>)")
_XMPP_ANSWER = re.compile(rb"<(proceed|failure)[^<>]{0,200}(?:/>|>(?:\s{0,20}</proceed\s{0,20}>)?)")
_LDAP_OID = b"1.3.6.1.4.1.1466.20037"


def upgrade(name: str, streams: tuple[ByteStream, ByteStream], at: tuple[int, int], client: int) -> Peeled | None:
    """The upgrade to TLS in a dialogue of protocol ``name`` that starts at ``at``; None: nobody asked for one."""
    if name not in UPGRADES:
        return None
    begin, answer = at[client], at[1 - client]
    said = streams[client].read(begin, LIMIT)
    heard = streams[1 - client].read(answer, LIMIT)
    if name in _COMMAND:
        return _lines(name, streams, client, (begin, answer), said, heard)
    if name == "xmpp":
        if b"<stream:features" in said and b"<stream:features" not in heard:  # both sides open alike: this one serves
            client, begin, answer, said, heard = 1 - client, answer, begin, heard, said
        ask, reply = _XMPP_ASK.search(said), _XMPP_ANSWER.search(heard)
        if ask is None:
            return None
        spans = (ask.span(), reply.span() if reply else (0, 0))
        accepted = reply[1] == b"proceed" if reply else None
        return _peeled(name, streams, client, (begin, answer), spans, accepted, reply[1].decode() if reply else "")
    if name == "postgresql":
        return _postgresql(streams, client, (begin, answer), said, heard)
    if name == "ldap":
        return _ldap(streams, client, (begin, answer), said, heard)
    if name == "mysql":
        return _mysql(streams, client, (begin, answer), said, heard)
    return _rdp(streams, client, (begin, answer), said, heard)


def _peeled(
    name: str,
    streams: tuple[ByteStream, ByteStream],
    client: int,
    at: tuple[int, int],
    spans: tuple[tuple[int, int], tuple[int, int]],
    accepted: bool | None,
    status: str,
) -> Peeled:
    """A Peeled from spans relative to ``at`` (the client's, then the server's); its inside follows both spans."""
    (ask, asked), (reply, replied) = spans
    absolute = ((at[0] + ask, at[0] + asked), (at[1] + reply, at[1] + replied))
    told = fact(name, streams, client, absolute, accepted=accepted, status=status)
    inside = (at[0] + asked, at[1] + replied) if client == 0 else (at[1] + replied, at[0] + asked)
    return Peeled(told, inside if accepted else None)


def _lines(
    name: str,
    streams: tuple[ByteStream, ByteStream],
    client: int,
    at: tuple[int, int],
    said: bytes,
    heard: bytes,
) -> Peeled | None:
    asks = list(_COMMAND[name].finditer(said[: _text_end(said)]))
    if not asks:
        return None
    record = _RECORD_AFTER_LINE.search(heard)
    text = record.start(1) if record else _text_end(heard)
    ask = asks[-1]
    reply = _reply(name, streams, client, at, heard[:text], ask.end())
    line = heard[slice(*reply)].strip(b"\r\n")
    if record is not None and (not line or not _NO.match(line)):
        reply = (reply[0], record.start(1)) if reply[0] < record.start(1) else (record.start(1), record.start(1))
        accepted: bool | None = True
    else:
        accepted = True if _ACCEPTED[name].match(line) else False if _NO.match(line) else None
    return _peeled(name, streams, client, at, (ask.span(), reply), accepted, line.decode("latin-1")[:200])


def _text_end(data: bytes) -> int:
    """Where the lines of text end: at a TLS record after a line's end, or at the end."""
    record = _RECORD_AFTER_LINE.search(data)
    return record.start(1) if record else len(data)


def _reply(
    name: str, streams: tuple[ByteStream, ByteStream], client: int, at: tuple[int, int], text: bytes, asked: int
) -> tuple[int, int]:
    """The span of the server's line that answers a command whose last octet is at ``asked - 1``."""
    when = streams[client].ready(at[0] + asked - 1, 1)
    server = streams[1 - client]
    start = len(text)
    end = len(text)
    for line in re.finditer(rb"[^\n]*\n", text):
        after = server.ready(at[1] + line.start(), 1) >= when
        if after and (_ACCEPTED[name].match(line[0]) or _NO.match(line[0])):
            return line.span()
        if after and start == len(text):
            start, end = line.span()
    return start, end


def _postgresql(
    streams: tuple[ByteStream, ByteStream], client: int, at: tuple[int, int], said: bytes, heard: bytes
) -> Peeled | None:
    """SSLRequest, maybe after a refused GSSENCRequest; the answer is one octet, S or N."""
    for k in range(2):
        if said[8 * k : 8 * k + 8] == b"\x00\x00\x00\x08\x04\xd2\x16\x2f":
            answer = heard[k : k + 1]
            accepted = {b"S": True, b"N": False, b"E": False}.get(answer)
            spans = ((8 * k, 8 * k + 8), (k, k + len(answer)))
            return _peeled("postgresql", streams, client, at, spans, accepted, answer.decode("latin-1"))
    return None


def _element(data: bytes, at: int) -> tuple[int, int] | None:
    """The content's start and the end of the BER element at ``at`` (X.690 8.1.3, definite lengths)."""
    if at + 2 > len(data):
        return None
    size, start = data[at + 1], at + 2
    if size & 0x80:
        width = size & 0x7F
        if not 1 <= width <= 4 or start + width > len(data):
            return None
        size, start = int.from_bytes(data[start : start + width], "big"), start + width
    return start, start + size


def _ldap(
    streams: tuple[ByteStream, ByteStream], client: int, at: tuple[int, int], said: bytes, heard: bytes
) -> Peeled | None:
    """StartTLS is an ExtendedRequest with its own OID; the ExtendedResponse has the same message id."""
    pos = 0
    while pos < len(said) and said[pos] == 0x30:
        element = _element(said, pos)
        if element is None or element[1] > len(said):
            return None
        start, end = element
        if _LDAP_OID in said[start:end]:
            reply = _ldap_response(heard, said[start : start + 2 + said[start + 1]])
            spans = ((pos, end), reply[:2])
            return _peeled("ldap", streams, client, at, spans, reply[2], reply[3])
        pos = end
    return None


def _ldap_response(heard: bytes, message_id: bytes) -> tuple[int, int, bool | None, str]:
    pos = 0
    while pos < len(heard) and heard[pos] == 0x30:
        element = _element(heard, pos)
        if element is None or element[1] > len(heard):
            break
        start, end = element
        body = start + len(message_id)
        inner = _element(heard, body)
        if heard[start:body] == message_id and body < end and heard[body] == 0x78 and inner is not None:
            code = heard[inner[0] + 2] if inner[0] + 2 < end else 255
            return pos, end, code == 0, f"resultCode {code}"
        pos = end
    return 0, 0, None, ""


def _mysql(
    streams: tuple[ByteStream, ByteStream], client: int, at: tuple[int, int], said: bytes, heard: bytes
) -> Peeled | None:
    """A login packet cut short after its fixed part, with CLIENT_SSL set; the server does not answer it in clear."""
    if len(said) < 8 or said[3] != 1 or len(heard) < 4:
        return None
    size = int.from_bytes(said[:3], "little")
    if size != 32 or not int.from_bytes(said[4:8], "little") & 0x800:
        return None
    spans = ((0, 4 + size), (0, 4 + int.from_bytes(heard[:3], "little")))
    return _peeled("mysql", streams, client, at, spans, True, "")


def _rdp(
    streams: tuple[ByteStream, ByteStream], client: int, at: tuple[int, int], said: bytes, heard: bytes
) -> Peeled | None:
    """X.224 connection request and confirm with RDP_NEG_RSP (type 2) or RDP_NEG_FAILURE (type 3)."""
    if len(said) < 4 or len(heard) < 4 or heard[0] != 3:
        return None
    asked, answered = said[2] << 8 | said[3], heard[2] << 8 | heard[3]
    if answered < 19 or len(heard) < answered or heard[11] not in (2, 3):
        return None
    chosen = int.from_bytes(heard[15:19], "little")
    accepted = heard[11] == 2 and chosen != 0
    return _peeled("rdp", streams, client, at, ((0, asked), (0, answered)), accepted, f"protocol {chosen}")
