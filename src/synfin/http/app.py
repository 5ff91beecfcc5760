"""Requests, answers, and the rules of RFC 9110 that need no socket and no file: conditions, dates, pages.

An answer's body is octets or a ``Body``, which is read piece by piece while it is sent.  Whatever speaks the protocol
(``server1``, ``server2``) adds what belongs to the message: Date, Content-Length, Connection.  Ranges: ``ranges``.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from typing import Protocol
from urllib.parse import unquote_to_bytes

#: Methods that somebody defined; another one is 501, one of these that is not served here is 405.
KNOWN_METHODS = frozenset(
    {
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "DELETE",
        "PATCH",
        "OPTIONS",
        "TRACE",
        "CONNECT",
        "PROPFIND",
        "MKCOL",
        "COPY",
        "MOVE",
    }
)
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request.  ``version`` is "1.0", "1.1" or "2"; header names are lower case; ``body`` is without coding.

    ``target`` is as it was sent, ``path`` its path without percent-encoding (latin-1, octet for octet), ``query``
    what follows the question mark, as sent.  ``keep`` says whether the connection may go on after the answer.
    """

    method: str
    target: str
    path: str
    query: str
    version: str
    headers: Headers
    body: bytes = b""
    keep: bool = True

    def header(self, name: str) -> str:
        """The values of ``name`` joined as RFC 9110 5.2 says; "" where there is none."""
        return ", ".join([value for key, value in self.headers if key == name])


class Body(Protocol):
    """What an answer's body is read from while it is sent."""

    @property
    def size(self) -> int:
        """Octets in all."""
        ...

    def read(self, at: int, count: int) -> bytes:
        """``count`` octets from ``at``; fewer mean that the body has become shorter than it said."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; ``close`` ends the connection after it.  ``length`` is Content-Length where a HEAD has no body."""

    status: int
    headers: Headers = ()
    body: bytes | Body = b""
    close: bool = False
    length: int | None = None

    @property
    def size(self) -> int:
        """Octets of the body."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.size


#: Answers one request.  With an attribute ``bodies`` that is false it takes no notice of a request's body.
App = Callable[[Request], Answer]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that cannot be understood or is too much: the status that says so, the violation, what was wrong.

    ``violation`` is "" for what only goes beyond our limits; ``asked`` is method and target where they were read.
    """

    status: int
    violation: str
    why: str
    asked: tuple[str, str] = ("-", "-")


class Budget:
    """Octets of bodies that a server holds at a time, over all connections."""

    __slots__ = ("left",)

    def __init__(self, most: int = 256 << 20) -> None:
        self.left = most

    def take(self, count: int) -> bool:
        """Take ``count`` octets; False where there is no room."""
        if count > self.left:
            return False
        self.left -= count
        return True

    def give(self, count: int) -> None:
        """Give them back."""
        self.left += count


def split_target(target: str) -> tuple[str, str]:
    """Path (decoded to latin-1) and query of a request target, in any of the forms of RFC 9112 3.2."""
    rest = target
    if not rest.startswith("/"):
        scheme, found, after = rest.partition("://")
        if found and scheme.isalpha():
            rest = after[after.find("/") :] if "/" in after else "/"
    rest, _, query = rest.partition("?")
    rest = rest.partition("#")[0]
    if "%" in rest:
        rest = unquote_to_bytes(rest.encode("latin-1", "replace")).decode("latin-1")
    return rest, query


def wrong_target(method: str, target: str) -> str:
    """What is wrong with a request target that is no URI, or "" (RFC 9112 3.2, RFC 9113 8.3.1)."""
    if target.startswith("/") or (target, method) == ("*", "OPTIONS"):
        return ""
    return "* is for OPTIONS" if target == "*" else "a target that does not start with a slash"


def reason(status: int) -> str:
    """The words beside a status code."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def told(status: int, why: str = "", headers: Headers = (), *, close: bool = False) -> Answer:
    """A short answer for people: the status, and in a line why."""
    line = f"{status} {reason(status)}"
    body = f"{line}\n{why}\n" if why else f"{line}\n"
    return Answer(status, (("content-type", "text/plain; charset=utf-8"), *headers), body.encode(), close)


def json_answer(value: object) -> Answer:
    """An answer that is JSON."""
    body = json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
    return Answer(200, (("content-type", "application/json"), ("cache-control", "no-store")), body)


def not_allowed(request: Request, methods: Iterable[str]) -> Answer:
    """501 for a method nobody knows, 405 with what is allowed for one that is not served here."""
    listed = ", ".join(methods)
    if request.method not in KNOWN_METHODS:
        return told(501, f"This server has no method {clean(request.method)}.")
    return told(405, f"Allowed here: {listed}.", (("allow", listed),))


def options(methods: Iterable[str]) -> Answer:
    """The answer to OPTIONS."""
    return Answer(204, (("allow", ", ".join(methods)),))


def clean(text: str) -> str:
    """``text`` without what could steer a terminal."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


# ---------------------------------------------------------------- conditions (RFC 9110 13)


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one version of a file from another; ``modified`` in whole seconds since 1970."""

    etag: str
    modified: int

    @property
    def headers(self) -> Headers:
        """As they stand in an answer."""
        return ("etag", self.etag), ("last-modified", formatdate(self.modified, usegmt=True))


def seconds_of(date: str) -> int | None:
    """An HTTP date in seconds since 1970; None where it is none."""
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _lists(field: str, etag: str, *, weak: bool) -> bool:
    if field.strip() == "*":
        return True
    tags = [tag.strip() for tag in field.split(",")]
    return etag in ([tag.removeprefix("W/") for tag in tags] if weak else tags)


def condition(request: Request, now: Validators) -> int:
    """What the request's conditions come to, in the order of RFC 9110 13.2.2: 200 go on, 304, or 412."""
    if match := request.header("if-match"):
        if not _lists(match, now.etag, weak=False):
            return 412
    elif date := request.header("if-unmodified-since"):
        since = seconds_of(date)
        if since is not None and now.modified > since:
            return 412
    if none := request.header("if-none-match"):
        if _lists(none, now.etag, weak=True):
            return 304 if request.method in ("GET", "HEAD") else 412
    elif (date := request.header("if-modified-since")) and request.method in ("GET", "HEAD"):
        since = seconds_of(date)
        if since is not None and now.modified <= since:
            return 304
    return 200


# ---------------------------------------------------------------- pages

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:56em;padding:0 1em;color:#222;background:#fff}"
    "h1{font-size:1.25em;font-weight:600;overflow-wrap:anywhere}table{border-collapse:collapse;width:100%}"
    "th{text-align:left;font-weight:600;border-bottom:1px solid #bbb}td,th{padding:.25em .75em .25em 0}"
    "tr:nth-child(even) td{background:#f6f6f6}td.n,th.n{text-align:right;white-space:nowrap;"
    "font-variant-numeric:tabular-nums}td:first-child{overflow-wrap:anywhere}a{color:#0b57a4;text-decoration:none}"
    "a:hover{text-decoration:underline}footer{margin-top:2em;color:#666;font-size:.87em}"
)
PAGE_HEADERS: Headers = (
    ("content-type", "text/html; charset=utf-8"),
    ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"),
    ("cache-control", "no-store"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a listing: the name shown, its link, size in octets (None for a folder), last change."""

    name: str
    link: str
    size: int | None
    modified: str


def listing(path: str, rows: Iterable[Row]) -> bytes:
    """The page of a folder."""
    lines = []
    for row in rows:
        size = "" if row.size is None else f"{row.size:,}"
        link = f'<a href="{html.escape(row.link)}">{html.escape(row.name)}</a>'
        lines.append(f'<tr><td>{link}</td><td class="n">{size}</td><td class="n">{row.modified}</td></tr>')
    title = html.escape(path)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1><table><thead><tr><th>Name</th>"
        '<th class="n">Bytes</th><th class="n">Changed (UTC)</th></tr></thead><tbody>\n'
        + "\n".join(lines)
        + '\n</tbody></table><footer>synfin serve · <a href="/connection">this connection as the server sees it</a>'
        "</footer></body></html>\n"
    ).encode("utf-8", "replace")
