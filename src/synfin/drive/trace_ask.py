"""What a trace is asked to do: the URL taken apart, and everything a person may choose, as data.

URLs are read as RFC 3986 has them, with the liberties people know from curl: no scheme means http, no path "/".  Names
that are not ASCII go in their xn-- form (RFC 5891).  What cannot be asked for is a UsageError that says what to give.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from urllib.parse import quote, unquote, urljoin, urlsplit

import idna

from synfin.errors import UsageError
from synfin.http.client import Fields
from synfin.tls.config import GROUPS, SUITES_12, SUITES_13, TLS12, TLS13

#: Names that are looked up and sent in TLS; the underscore is no host's, yet some have it.
_HOST = re.compile(r"[A-Za-z0-9._-]+")
#: Addresses of fe80::/10 (RFC 4291 2.5.6).
_LINK_LOCAL = ("fe8", "fe9", "fea", "feb")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Url:
    """An http or https URL; ``host`` is ASCII, without brackets; ``target`` is path and query."""

    scheme: str
    host: str
    port: int
    target: str
    user: str = ""  # name:password

    @property
    def authority(self) -> str:
        """What Host says: the port only where it is not the scheme's own."""
        host = f"[{self.host.partition('%')[0]}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def named(self) -> bool:
        """Whether the host is a name, not an address."""
        try:
            ip_address(self.host.partition("%")[0])
        except ValueError:
            return True
        return False

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def parse_url(text: str) -> Url:
    """Take ``text`` apart.  UsageError when it is no http or https URL."""
    text = text.strip()
    if any(char.isspace() or ord(char) < 32 for char in text):
        raise UsageError(f"{text!r} is not a URL: it has blanks in it; write them as %20")
    if re.match(r"https?:(?!//)/?(?!\d*(?:[/?#]|$))", text, re.IGNORECASE):
        raise UsageError(f"{text!r} is not a URL: two slashes follow {text.partition(':')[0].lower()}:")
    if "://" not in text:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise UsageError(f"{text!r} is not a URL: {error}") from None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise UsageError(f"{scheme}:// cannot be traced; give an http:// or https:// URL")
    if not host:
        raise UsageError(f"{text!r} has no host; write it like https://www.example.org/")
    if port == 0:
        raise UsageError(f"{text!r}: ports go from 1 to 65535")
    target = quote(parts.path or "/", safe="/%!$&'()*+,;=:@-._~") or "/"
    if parts.query:
        target += "?" + quote(parts.query, safe="/?%!$&'()*+,;=:@-._~[]{}|\\^`\"<>")
    host = host.replace("%25", "%", 1) if ":" in host else host  # RFC 6874
    if ":" in host and host.lower().startswith(_LINK_LOCAL) and "%" not in host:
        raise UsageError(f"{host} is of one link only: name its interface too, as in http://[{host}%25eth0]/")
    user = "" if parts.username is None else f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Url(scheme, ascii_host(host), _DEFAULT_PORTS[scheme] if port is None else port, target, user)


def ascii_host(host: str) -> str:
    """``host`` as it is looked up and named in TLS.  UsageError when no such name can be."""
    if host.isascii():
        labels = host.rstrip(".").split(".")
        if ":" not in host and (len(host) > 254 or any(not 0 < len(label) < 64 for label in labels)):
            raise UsageError(f"{host[:80]!r} is no host name: labels have 1 to 63 characters")
        if ":" not in host and not _HOST.fullmatch(host):
            raise UsageError(f"{host[:80]!r} is no host name: it has letters, digits, hyphens and dots")
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode()
    except idna.IDNAError as error:
        raise UsageError(f"{host!r} is no host name: {error}") from None


def redirected(url: Url, location: str) -> Url:
    """Where ``location`` in an answer of ``url`` points.  UsageError when nowhere that can be asked."""
    joined = urljoin(str(url), location.strip())
    return parse_url(quote(joined, safe="/?#%!$&'()*+,;=:@-._~[]{}|\\^`\"<>"))


#: Fields that are for one host only.
_SECRET = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass(frozen=True, slots=True)
class Ask:
    """One trace, completely: request, TLS, time.  Seconds are None where there is no limit."""

    url: Url
    method: str = "GET"
    fields: Fields = ()
    body: bytes = field(default=b"", repr=False)
    follow: int = 0  # redirects
    insecure: bool = False
    versions: tuple[int, int] = (TLS12, TLS13)
    suites: tuple[int, ...] = SUITES_13 + SUITES_12
    groups: tuple[int, ...] = GROUPS
    alpn: tuple[bytes, ...] = (b"h2", b"http/1.1")
    prior_knowledge: bool = False  # HTTP/2 over plain TCP
    server_name: str | None = None  # for SNI and the certificate, where it is not the host
    families: tuple[int, ...] = (6, 4)
    connect_seconds: float | None = 30.0
    max_seconds: float | None = 60.0
    resolve: Mapping[tuple[str, int], tuple[str, ...]] = field(default_factory=dict)
    connect_to: tuple[tuple[str, int, str, int], ...] = ()
    most_body: int | None = 64 << 20  # octets read of a body that goes nowhere

    @property
    def place(self) -> tuple[str, int]:
        """Host and port to connect to, by ``connect_to``."""
        url = self.url
        for host, port, other, other_port in self.connect_to:
            if host in ("", url.host) and port in (0, url.port):
                return other or url.host, other_port or url.port
        return url.host, url.port

    @property
    def given(self) -> tuple[str, ...] | None:
        """The addresses that were given for the URL's host, None where none were."""
        url = self.url
        return self.resolve.get((url.host, url.port)) or self.resolve.get(("*", url.port))

    def redirected(self, status: int, location: str) -> Ask:
        """The ask after a redirect (RFC 9110 15.4); what is secret stays with its host.

        UsageError where ``location`` is nothing that can be asked.
        """
        url = redirected(self.url, location)
        method, body, fields = self.method, self.body, self.fields
        if status == 303 or (status in (301, 302) and method == "POST"):
            body = b""
            method = method if method == "HEAD" else "GET"
            fields = tuple(one for one in fields if one[0].lower() not in ("content-type", "content-length"))
        if (url.scheme, url.host, url.port) != (self.url.scheme, self.url.host, self.url.port):
            fields = tuple(one for one in fields if one[0].lower() not in _SECRET | {"host"})
        return replace(self, url=url, method=method, body=body, fields=fields)


def resolve_of(entries: Iterable[str]) -> dict[tuple[str, int], tuple[str, ...]]:
    """What ``--resolve HOST:PORT:ADDRESS[,ADDRESS]`` says; the host ``*`` is any.  UsageError for anything else."""
    found: dict[tuple[str, int], tuple[str, ...]] = {}
    for entry in entries:
        host, _, rest = entry.partition(":")
        port, _, listed = rest.partition(":")
        addresses = tuple(one.strip().strip("[]") for one in listed.split(",") if one.strip())
        if not host or not port.isdigit() or not addresses:
            raise UsageError(f"--resolve {entry}: write HOST:PORT:ADDRESS, such as www.example.org:443:192.0.2.1")
        _port(port, f"--resolve {entry}")
        for one in addresses:
            try:
                ip_address(one.partition("%")[0])
            except ValueError:
                raise UsageError(f"--resolve {entry}: {one!r} is no address") from None
        found["*" if host == "*" else ascii_host(host), int(port)] = addresses
    return found


def connect_to_of(entries: Iterable[str]) -> tuple[tuple[str, int, str, int], ...]:
    """What ``--connect-to HOST:PORT:HOST2:PORT2`` says; empty parts (0 for ports) stand for any, or the same."""
    found = []
    for entry in entries:
        parts = _split_hosts(entry)
        if len(parts) != 4 or any(part and not part.isdigit() for part in (parts[1], parts[3])):
            raise UsageError(f"--connect-to {entry}: write HOST:PORT:HOST2:PORT2")
        host, port, other, other_port = parts
        for one in (port, other_port):
            _port(one or "1", f"--connect-to {entry}")
        found.append(
            (ascii_host(host) if host else "", int(port or 0), ascii_host(other) if other else "", int(other_port or 0))
        )
    return tuple(found)


def _port(text: str, where: str) -> None:
    if not 0 < int(text) < 1 << 16:
        raise UsageError(f"{where}: ports go from 1 to 65535")


def _split_hosts(text: str) -> list[str]:
    """Split at colons that are not inside brackets, and take the brackets off."""
    parts, inside = [""], False
    for char in text:
        inside = char == "[" or (inside and char != "]")
        if char == ":" and not inside:
            parts.append("")
        elif char not in "[]":
            parts[-1] += char
    return parts
