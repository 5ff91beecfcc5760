"""The head of an HTTP/1.x message: start line and fields, read tolerantly (RFC 9112 sections 2 to 6, RFC 9110 5).

Decides what a head says and what is malformed in it, each fault with its offset and its source; never raises.  Where
a body ends is decided by ``observe.http1``, which knows the request that a response answers.  We differ from a
server's parser on purpose: bare LF, obs-fold, spaces in targets and wrong versions are read and named, because a
watcher that stops at the first fault is blind to the rest.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple


class Fault(NamedTuple):
    """Something malformed: offset from the start of the head, what it is in, what is wrong, and the RFC section."""

    offset: int
    field: str
    why: str


class Head(NamedTuple):
    """Start line and fields of one message.  ``length`` is the Content-Length, the least of several."""

    kind: str  # "request" or "response"
    version: str  # "1.1", "1.0", "0.9", or what was written
    method: str | None
    target: str | None
    status: int | None
    reason: str
    fields: tuple[tuple[str, str], ...]
    length: int | None
    chunked: bool
    coded: bool  # a Transfer-Encoding is there (chunked or not)
    host: str | None
    upgrade: str  # Upgrade tokens, lower case
    connection: str  # Connection options, lower case
    faults: tuple[Fault, ...]


_MOST_FAULTS = 16

#: The methods that may open a Simple-Request (HTTP/0.9 has GET only; others are seen in the wild).
_SIMPLE = re.compile(rb"(GET|POST|HEAD|PUT)[ \t]+(/\S*|https?://\S*)[ \t]*\r?\n?")
#: A request line with something else where the version belongs; other protocols borrow the form and are told apart.
_LOOSE = re.compile(rb"(?:GET|POST|HEAD|PUT|OPTIONS|DELETE)[ \t]+(?:/|https?://)\S*[ \t]+(?!RTSP/|SIP/|ICAP/|DAAP/)\S")
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}")
_VERSION = re.compile(rb"([0-9]{1,8})\.([0-9]{1,8})")
_STATUS = re.compile(rb"(?:HTTP/(?:([0-9]{1,8})\.([0-9]{1,8})|[^ \t\r\n]{0,16})|ICY)[ \t]+([0-9]{3})([0-9]*)")

#: What a message may begin with, to find the next one after octets that are missing or senseless.
METHODS = (
    b"GET ", b"POST ", b"HEAD ", b"PUT ", b"DELETE ", b"OPTIONS ", b"CONNECT ", b"TRACE ", b"PATCH ", b"PROPFIND ",
    b"PROPPATCH ", b"MKCOL ", b"COPY ", b"MOVE ", b"LOCK ", b"UNLOCK ", b"REPORT ", b"SEARCH ", b"SUBSCRIBE ",
    b"UNSUBSCRIBE ", b"NOTIFY ", b"M-SEARCH ", b"PURGE ", b"MERGE ", b"MKACTIVITY ", b"MKWORKSPACE ", b"CHECKOUT ",
    b"CHECKIN ", b"UNCHECKOUT ", b"BIND ", b"UNBIND ", b"REBIND ", b"LINK ", b"UNLINK ", b"ACL ", b"MKCALENDAR ",
    b"RPC_IN_DATA ", b"RPC_OUT_DATA ", b"RPC_CONNECT ", b"BITS_POST ", b"QUERY ",
)  # fmt: skip
_STARTS = (b"HTTP/1.", b"ICY ", *METHODS)


def starts_message(data: bytes, at: int = 0) -> bool:
    """Whether a status line or the request line of a known method plainly stands at ``at`` (to resynchronise)."""
    if not data.startswith(_STARTS, at):
        return False
    end = data.find(b"\n", at, at + 65536)
    line = data[at : end + 1] if end >= 0 else data[at : at + 65536]
    if line.startswith((b"HTTP/", b"ICY ")):
        return _STATUS.match(line) is not None
    return _request_line(line) is not None


def looks_like_head(data: bytes, at: int = 0) -> bool:
    """Whether a message of any method, or an HTTP/0.9 request, begins at ``at``; the line may be cut at the end."""
    if data.startswith((b"HTTP/", b"ICY "), at):
        return True
    end = data.find(b"\n", at, at + 65536)
    if end < 0:
        return data.startswith(METHODS, at)
    line = data[at : end + 1]
    return _request_line(line) is not None or _SIMPLE.fullmatch(line) is not None or _LOOSE.match(line) is not None


def read_head(data: bytes) -> Head:
    """The head in ``data``, start line to blank line; what cannot be read becomes a ``Fault``."""
    if len(data) <= 4096:
        return _cached(data)
    return _read(data)


def text(data: bytes) -> str:
    """Octets of a head as text, one character for each octet (ISO-8859-1, RFC 9110 5.5), so that nothing is lost."""
    return data.decode("latin-1")


def _request_line(line: bytes) -> tuple[bytes, bytes, str] | None:
    """Method, target and version of a request line; None where it is none.  Linear in the line, whatever it holds."""
    line = line.rstrip(b"\r\n \t")
    at = line.rfind(b"HTTP/")
    if at < 1 or line[at - 1] not in b" \t":
        return None
    version = _VERSION.fullmatch(line, at + 5)
    token = _TOKEN.match(line)
    if version is None or token is None or line[token.end()] not in b" \t":
        return None
    return token[0], line[token.end() + 1 : at - 1], f"{int(version[1])}.{int(version[2])}"


def _read(data: bytes) -> Head:
    faults: list[Fault] = []
    end = data.find(b"\n") + 1 or len(data)
    line = data[:end]
    method = target = status = None
    reason = ""
    if line.startswith((b"HTTP/", b"ICY ")):
        kind = "response"
        match = _STATUS.match(line)
        if match:
            version = f"{int(match[1])}.{int(match[2])}" if match[1] else "1.0"
            status = int(match[3])
            reason = text(line[match.end() :].strip(b"\r\n \t"))
            if status < 100 or match[4]:
                faults.append(Fault(0, "status-line", "status code not of three digits from 100 on (RFC 9110 15)"))
            if not match[1] and line[0] == 72:
                faults.append(Fault(0, "status-line", "bad version (RFC 9112 2.3)"))
        else:
            version = "1.1"
            faults.append(Fault(0, "status-line", "bad status line (RFC 9112 4)"))
    else:
        kind = "request"
        found = _request_line(line)
        if found:
            method = found[0].decode()
            target = text(found[1])
            version = found[2]
            words = target.split(None, 1)
            if words != [target]:
                faults.append(Fault(0, "request-line", "white space where none may be (RFC 9112 3)"))
                target = words[0] if words else ""
        else:
            version = "0.9"
            method, _, target = text(line).strip().partition(" ")
            target = target.strip().partition(" ")[0]
            if not _SIMPLE.fullmatch(line):
                version = "1.0" if end < len(data) else "0.9"
                faults.append(Fault(0, "request-line", "bad request line (RFC 9112 3)"))
    if b"\x00" in data:
        faults.append(Fault(data.find(b"\x00"), "head", "NUL in the head (RFC 9110 5.5)"))
    if line.endswith(b"\n") and not line.endswith(b"\r\n"):
        faults.append(Fault(len(line) - 1, "start-line", "line ends with LF alone (RFC 9112 2.2)"))
    fields = _fields(data, end, faults)
    if version == "0.9" and fields:
        version = "1.0"
        faults.append(Fault(0, "request-line", "no version in the request line (RFC 9112 3)"))
    return Head(kind, version, method, target, status, reason, fields, *_meaning(fields, faults), tuple(faults))


_cached = lru_cache(1024)(_read)


def _fields(data: bytes, at: int, faults: list[Fault]) -> tuple[tuple[str, str], ...]:
    """The field lines from ``at`` on: obs-fold joined by one space, white space around values dropped."""
    fields: list[tuple[str, str]] = []
    for raw in text(data[at:]).split("\n"):
        line = raw[:-1] if raw.endswith("\r") else raw
        name, colon, value = line.partition(":")
        why = ""
        if line and line[0] in " \t":
            why = "white space before the first field (RFC 9112 2.2)"
            if fields:
                name, before = fields[-1]
                fields[-1] = (name, f"{before} {line.strip()}".strip(" "))
                why = "field continued on a new line, obs-fold (RFC 9112 5.2)"
        elif colon:
            if name[-1:] in (" ", "\t"):
                name = name.rstrip(" \t")
                why = "white space before the colon (RFC 9112 5.1)"
            fields.append((name, value.strip(" \t")))
        elif line:
            why = "field line without a colon (RFC 9112 5)"
        if why and len(faults) < _MOST_FAULTS:
            faults.append(Fault(at, name[:64], why))
        at += len(raw) + 1
    return tuple(fields)


def _meaning(
    fields: tuple[tuple[str, str], ...], faults: list[Fault]
) -> tuple[int | None, bool, bool, str | None, str, str]:
    """What the fields say of framing and routing: length, chunked, coded, host, upgrade, connection."""
    lengths: list[str] = []
    codings: list[str] = []
    host: str | None = None
    upgrade = connection = ""
    for name, value in fields:
        key = name.lower()
        if key == "content-length":
            lengths += [part.strip() for part in value.split(",")]
        elif key == "transfer-encoding":
            codings += [part.strip().lower() for part in value.split(",")]
        elif key == "host":
            if host is None:
                host = value
            else:
                faults.append(Fault(0, "Host", "more than one Host field (RFC 9112 3.2)"))
        elif key == "upgrade":
            upgrade = value.lower()
        elif key == "connection":
            connection = f"{connection},{value.lower()}" if connection else value.lower()
    length: int | None = None
    if lengths:
        good = [part for part in lengths if part.isascii() and part.isdigit() and len(part) <= 19]
        if len(good) != len(lengths):
            faults.append(Fault(0, "Content-Length", "Content-Length is not a number (RFC 9112 6.3)"))
        elif len({int(part) for part in good}) > 1:
            faults.append(Fault(0, "Content-Length", "different lengths (RFC 9112 6.3)"))
        if good:
            length = min(int(part) for part in good)  # of different ones the least: what follows it stays visible
    codings = [coding for coding in codings if coding and coding != "identity"]  # RFC 2616's word for none
    chunked = bool(codings) and codings[-1] == "chunked"
    if codings and lengths:
        faults.append(Fault(0, "Content-Length", "Content-Length beside Transfer-Encoding (RFC 9112 6.1)"))
    return length, chunked, bool(codings), host, upgrade, connection
