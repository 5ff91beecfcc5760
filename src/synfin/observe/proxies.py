"""What a client says to a proxy before the connection is its own: CONNECT, SOCKS, the PROXY protocol.

``peel`` takes one such preamble off both streams and says where what is inside begins; the caller asks again there,
so a SOCKS proxy behind a CONNECT proxy is peeled twice.  A refused request is a fact too (``accepted`` is False) and
ends the peeling.  HTTP heads are read only as far as the tunnel's start needs; their detail is the HTTP watcher's.

Sources: RFC 9110 9.3.6 (CONNECT), RFC 1928 and RFC 1929 (SOCKS5), the SOCKS4 and SOCKS4a notes of NEC and
Ying-Da Lee, HAProxy's "The PROXY protocol" versions 1 and 2.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from synfin.observe.story import Endpoint, PreambleFact
from synfin.observe.stream import ByteStream

#: No preamble is longer than this many octets.
LIMIT = 65536

_PROXY2 = b"\r\n\r\n\x00\r\nQUIT\n"
_CONNECT = re.compile(rb"CONNECT +([^ \r\n]+) +HTTP/1\.\d\r?\n")
_STATUS = re.compile(rb"HTTP/1\.\d +(\d\d\d)([^\r\n]*)\r?\n")
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d{1,15})[ \t]*\r?$")
_CHUNKED = re.compile(rb"(?im)^transfer-encoding:[^\r\n]*chunked")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]{0,200}\r?\n")
_TRAILER = re.compile(rb"(?:[^\r\n]+\r?\n)*\r?\n")


class Peeled(NamedTuple):
    """A preamble, and where the inside begins in the streams of A and B (None: there is no inside)."""

    fact: PreambleFact
    inside: tuple[int, int] | None


def fact(
    protocol: str,
    streams: tuple[ByteStream, ByteStream],
    client: int,
    spans: tuple[tuple[int, int], tuple[int, int]],
    *,
    target: Endpoint | None = None,
    accepted: bool | None = None,
    status: str = "",
) -> PreambleFact:
    """A PreambleFact over ``spans`` (offset and end in the client's stream, then in the server's)."""
    (ask, asked), (answer, answered) = spans
    requests, answers = streams[client], streams[1 - client]
    packets = set(requests.packets(ask, asked - ask)) if asked > ask else set()
    if answered > answer:
        packets.update(answers.packets(answer, answered - answer))
    start = requests.ready(ask, 1)
    end = requests.ready(ask, max(asked - ask, 1))
    if answered > answer:
        end = max(end, answers.ready(answer, answered - answer))
    return PreambleFact(protocol, target, accepted, status, start, end, tuple(sorted(packets)))


def peel(name: str, streams: tuple[ByteStream, ByteStream], at: tuple[int, int], client: int) -> Peeled | None:
    """Take the preamble ``name`` (as ``protocols`` names it) off both streams from ``at``; None: it is not one."""
    if name == "proxy":
        return _proxy_header(streams, at, client)
    if name == "http":
        return _connect(streams, at, client) if streams[client].read(at[client], 8) == b"CONNECT " else None
    if name == "socks5":
        return _socks5(streams, at, client)
    return _socks4(streams, at, client) if name == "socks4" else None


def _pair(client: int, of_client: int, of_server: int) -> tuple[int, int]:
    return (of_client, of_server) if client == 0 else (of_server, of_client)


def _endpoint(authority: str) -> Endpoint:
    host, _, port = authority.rpartition(":")
    if not host or not port.isdecimal():
        host, port = authority, "0"
    return Endpoint(host.strip("[]"), int(port[:6]))


def _connect(streams: tuple[ByteStream, ByteStream], at: tuple[int, int], client: int) -> Peeled | None:
    """CONNECT, with refused attempts before the one that was taken (407 first is usual)."""
    begin, answer_begin = at[client], at[1 - client]
    said = streams[client].read(begin, LIMIT)
    heard = streams[1 - client].read(answer_begin, LIMIT)
    asked = answered = 0
    while True:
        request = _CONNECT.match(said, asked)
        head = _HEAD_END.search(said, asked) if request else None
        if request is None or head is None:
            return None
        target = _endpoint(request[1].decode("latin-1"))
        status, code, answered = _response(heard, answered)
        asked = head.end()
        if 200 <= code < 300 or not _CONNECT.match(said, asked):
            break
    accepted = 200 <= code < 300 if code else None
    spans = ((begin, begin + asked), (answer_begin, answer_begin + answered))
    told = fact("http-connect", streams, client, spans, target=target, accepted=accepted, status=status)
    return Peeled(told, _pair(client, begin + asked, answer_begin + answered) if accepted else None)


def _response(heard: bytes, at: int) -> tuple[str, int, int]:
    """Status text, code and end of the final response at ``at`` (1xx skipped); code 0 where there is none."""
    while True:
        line = _STATUS.match(heard, at)
        head = _HEAD_END.search(heard, line.end() - 2) if line else None
        if line is None or head is None:
            return "", 0, at
        code = int(line[1])
        end = head.end()
        if code >= 300:
            fields = heard[at:end]
            length = _LENGTH.search(fields)
            if _CHUNKED.search(fields):
                end = _chunked_end(heard, end)
            elif length:
                end = min(end + int(length[1]), len(heard))
        at = end
        if code >= 200:
            return (line[1] + line[2]).decode("latin-1"), code, end


def _chunked_end(heard: bytes, at: int) -> int:
    """Where a chunked body that starts at ``at`` ends (RFC 9112 7.1); the end of what there is when it does not."""
    while chunk := _CHUNK.match(heard, at):
        size = int(chunk[1], 16)
        at = chunk.end()
        if not size:
            trailer = _TRAILER.match(heard, at)
            return trailer.end() if trailer else len(heard)
        at += size
        at += 2 if heard[at : at + 1] == b"\r" else 1
    return len(heard)


_SOCKS5_REPLY = (
    "succeeded",
    "general SOCKS server failure",
    "connection not allowed by ruleset",
    "network unreachable",
    "host unreachable",
    "connection refused",
    "TTL expired",
    "command not supported",
    "address type not supported",
)


def _address(data: bytes, at: int) -> tuple[str, int, int] | None:
    """A SOCKS5 address type, address and port (RFC 1928 5): host, port, end."""
    if at >= len(data):
        return None
    kind = data[at]
    size = {1: 4, 4: 16}.get(kind, 0)
    start = at + 1
    if kind == 3 and start < len(data):
        size = data[start]
        start += 1
    end = start + size + 2
    if not size or end > len(data):
        return None
    raw = data[start : end - 2]
    host = raw.decode("latin-1") if kind == 3 else str(ipaddress.ip_address(raw))
    return host, data[end - 2] << 8 | data[end - 1], end


def _socks5(streams: tuple[ByteStream, ByteStream], at: tuple[int, int], client: int) -> Peeled | None:
    begin, answer_begin = at[client], at[1 - client]
    said = streams[client].read(begin, 2048)
    heard = streams[1 - client].read(answer_begin, 2048)
    if len(said) < 2 or (heard and (heard[0] != 5 or len(heard) < 2)):
        return None
    asked, answered, method = 2 + said[1], 2, heard[1] if heard else 0
    status = "" if heard else "no answer"
    target: Endpoint | None = None
    accepted: bool | None = None
    inside = False
    if method == 2 and len(said) > asked + 1 and said[asked] == 1:  # RFC 1929
        user = said[asked + 1]
        secret = said[asked + 2 + user] if len(said) > asked + 2 + user else 0
        asked += 3 + user + secret
        answered += 2
        if len(heard) >= 4 and heard[3]:
            accepted, status = False, "user name or password refused"
    if method == 0xFF:
        accepted, status = False, "no acceptable authentication method"
    elif accepted is None and said[asked : asked + 1] == b"\x05":
        wanted = _address(said, asked + 3)
        if wanted is None:
            return None
        target = Endpoint(wanted[0], wanted[1])
        asked = wanted[2]
        if len(heard) > answered + 1:
            code = heard[answered + 1]
            accepted = code == 0
            status = _SOCKS5_REPLY[code] if code < len(_SOCKS5_REPLY) else f"reply {code}"
            bound = _address(heard, answered + 3)
            inside = accepted and bound is not None
            answered = bound[2] if bound is not None else len(heard)
    spans = ((begin, begin + min(asked, len(said))), (answer_begin, answer_begin + min(answered, len(heard))))
    told = fact("socks5", streams, client, spans, target=target, accepted=accepted, status=status)
    return Peeled(told, _pair(client, begin + asked, answer_begin + answered) if inside else None)


def _socks4(streams: tuple[ByteStream, ByteStream], at: tuple[int, int], client: int) -> Peeled | None:
    begin, answer_begin = at[client], at[1 - client]
    said = streams[client].read(begin, 1024)
    heard = streams[1 - client].read(answer_begin, 8)
    end = said.find(0, 8)
    if end < 0 or (heard and heard[0]):
        return None
    host = str(ipaddress.ip_address(said[4:8]))
    if said[4:7] == b"\0\0\0" and said[7]:  # SOCKS4a: the name follows the user
        last = said.find(0, end + 1)
        if last < 0:
            return None
        host, end = said[end + 1 : last].decode("latin-1"), last
    asked = end + 1
    accepted = heard[1] == 90 if len(heard) == 8 else None
    status = "" if accepted is None else "granted" if accepted else f"rejected ({heard[1]})"
    target = Endpoint(host, said[2] << 8 | said[3])
    spans = ((begin, begin + asked), (answer_begin, answer_begin + len(heard)))
    told = fact("socks4", streams, client, spans, target=target, accepted=accepted, status=status)
    return Peeled(told, _pair(client, begin + asked, answer_begin + 8) if accepted else None)


def _proxy_header(streams: tuple[ByteStream, ByteStream], at: tuple[int, int], client: int) -> Peeled | None:
    """A PROXY header names the connection's real ends; nobody answers it, so ``accepted`` stays None."""
    begin = at[client]
    head = streams[client].read(begin, 4096)
    target: Endpoint | None = None
    if head.startswith(_PROXY2):
        if len(head) < 16:
            return None
        size = head[14] << 8 | head[15]
        end, family, body = 16 + size, head[13] >> 4, head[16 : 16 + size]
        wide = {1: 4, 2: 16}.get(family, 0)
        if wide and len(body) >= 2 * wide + 4:
            ports = body[2 * wide : 2 * wide + 4]
            target = Endpoint(str(ipaddress.ip_address(body[wide : 2 * wide])), ports[2] << 8 | ports[3])
        status = "version 2"
    else:
        line = head.find(b"\r\n", 0, 108)
        if line < 0:
            return None
        words = head[:line].decode("latin-1").split(" ")
        if len(words) == 6 and words[5].isdecimal():
            target = Endpoint(words[3], int(words[5][:6]))
        end, status = line + 2, "version 1"
    spans = ((begin, begin + end), (at[1 - client], at[1 - client]))
    told = fact("proxy-protocol", streams, client, spans, target=target, status=status)
    return Peeled(told, _pair(client, begin + end, at[1 - client]))
