"""What the options of ``synfin trace`` become: an ``Ask``, roots, a client certificate.

Every mistake is a UsageError of one line that names the option.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from synfin import __version__
from synfin.errors import UsageError

if TYPE_CHECKING:
    from synfin.drive.trace_ask import Ask
    from synfin.drive.trace_trust import Trust
    from synfin.tls import Credential

_VERSIONS = {"1.2": 0x0303, "1.3": 0x0304}
_MOST_REDIRECTS = 10


@dataclass(frozen=True, slots=True)
class Wish:
    """The options as they were typed."""

    url: str
    method: str = ""
    head: bool = False
    header: Sequence[str] = ()
    data: Sequence[str] = ()
    data_binary: Sequence[str] = ()
    data_raw: Sequence[str] = ()
    cookie: Sequence[str] = ()
    compressed: bool = False
    user: str = ""
    agent: str = ""
    referer: str = ""
    follow: bool = False
    insecure: bool = False
    sni: str = ""
    resolve: Sequence[str] = ()
    connect_to: Sequence[str] = ()
    ipv4: bool = False
    ipv6: bool = False
    http1: bool = False
    http2: bool = False
    prior: bool = False
    tls13: bool = False
    tls_max: str = ""
    ciphers: str = ""
    groups: str = ""
    connect_timeout: float = 30.0
    max_time: float = 60.0
    unbounded: bool = False


def ask_of(wish: Wish) -> Ask:
    """What is asked for.  UsageError for what cannot be."""
    from synfin.cli.tls_names import groups, suites
    from synfin.drive.trace_ask import Ask, ascii_host, connect_to_of, parse_url, resolve_of
    from synfin.http.client import Request, checked

    if wish.ipv4 and wish.ipv6:
        raise UsageError("choose one of -4 and -6")
    posts = bool(wish.data or wish.data_binary or wish.data_raw)
    if wish.head and posts:
        raise UsageError("choose one of -I and -d; -X HEAD -d sends a body with the question for the head")
    if wish.http1 + wish.http2 + wish.prior > 1:
        raise UsageError("choose one of --http1.1, --http2 and --http2-prior-knowledge")
    url = parse_url(wish.url)
    body = _body(wish)
    ask = Ask(
        url=url,
        method=wish.method or ("HEAD" if wish.head else "POST" if posts else "GET"),
        fields=_fields(wish, url.user, posts),
        body=body,
        follow=_MOST_REDIRECTS if wish.follow else 0,
        insecure=wish.insecure,
        versions=_versions(wish),
        alpn=(b"http/1.1",) if wish.http1 else (b"h2",) if wish.prior else (b"h2", b"http/1.1"),
        prior_knowledge=wish.prior,
        server_name=ascii_host(wish.sni) if wish.sni else None,
        families=(4,) if wish.ipv4 else (6,) if wish.ipv6 else (6, 4),
        connect_seconds=_seconds(wish.connect_timeout, "--connect-timeout"),
        max_seconds=_seconds(wish.max_time, "--max-time"),
        resolve=resolve_of(wish.resolve),
        connect_to=connect_to_of(wish.connect_to),
    )
    if wish.unbounded:
        ask = replace(ask, most_body=None)
    if wish.ciphers:
        ask = replace(ask, suites=suites(wish.ciphers))
    if wish.groups:
        ask = replace(ask, groups=groups(wish.groups))
    _offers(ask)
    checked(Request(ask.method, url.scheme, url.authority, url.target, ask.fields, ask.body))
    return ask


def _offers(ask: Ask) -> None:
    """Something must be left to offer."""
    low, high = ask.versions
    if high >= 0x0304 and not any(code >> 8 == 0x13 for code in ask.suites) and low == 0x0304:
        raise UsageError("--ciphers: none of these suites is of TLS 1.3")
    if high == 0x0303 and all(code >> 8 == 0x13 for code in ask.suites):
        raise UsageError("--ciphers: all of these suites are of TLS 1.3, which --tls-max 1.2 excludes")


def _versions(wish: Wish) -> tuple[int, int]:
    if wish.tls_max and wish.tls_max not in _VERSIONS:
        raise UsageError(f"--tls-max {wish.tls_max}: choose 1.2 or 1.3 (this engine speaks no older one)")
    low = _VERSIONS["1.3"] if wish.tls13 else _VERSIONS["1.2"]
    high = _VERSIONS[wish.tls_max or "1.3"]
    if low > high:
        raise UsageError("--tlsv1.3 and --tls-max 1.2 exclude each other")
    return low, high


def _seconds(value: float, option: str) -> float | None:
    if not 0 <= value < 1e9:
        raise UsageError(f"{option} {value:g}: give seconds, 0 for no limit")
    return value or None


def _fields(wish: Wish, user: str, form: bool) -> tuple[tuple[str, str], ...]:
    """The fields of the request: ours, then those that were given, which take the place of ours."""
    fields = {"User-Agent": wish.agent or f"synfin/{__version__}", "Accept": "*/*"}
    if wish.referer:
        fields["Referer"] = wish.referer
    if wish.compressed:
        fields["Accept-Encoding"] = "gzip, deflate, br, zstd"
    if wish.cookie:
        if wrong := next((one for one in wish.cookie if "=" not in one), ""):
            raise UsageError(f"-b {wrong}: write NAME=VALUE; files of cookies are not read")
        fields["Cookie"] = "; ".join(wish.cookie)
    name = wish.user or user
    if name:
        if ":" not in name:
            raise UsageError(f"-u {name}: write NAME:PASSWORD")
        fields["Authorization"] = "Basic " + base64.b64encode(name.encode()).decode()
    if form:
        fields["Content-Type"] = "application/x-www-form-urlencoded"
    given: list[tuple[str, str]] = []
    for line in wish.header:
        head, colon, value = line.partition(":")
        if not colon and line.endswith(";"):
            head, value = line[:-1], ""
        elif not colon:
            raise UsageError(f"-H {line!r}: write 'NAME: VALUE'")
        for ours in [one for one in fields if one.lower() == head.strip().lower()]:
            del fields[ours]
        if value.strip() or line.endswith(";"):
            given.append((head.strip(), value.strip()))
    return (*fields.items(), *given)


def _body(wish: Wish) -> bytes:
    parts = [_piece(one, "-d").replace(b"\r", b"").replace(b"\n", b"") if one[:1] == "@" else one.encode()
             for one in wish.data]  # fmt: skip
    parts += [one.encode() for one in wish.data_raw]
    parts += [_piece(one, "--data-binary") for one in wish.data_binary]
    return b"&".join(parts)


def _piece(text: str, option: str) -> bytes:
    if text[:1] != "@":
        return text.encode()
    if text == "@-":
        return sys.stdin.buffer.read()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise UsageError(f"{option} {text}: {error.strerror or error}") from None


def trust_of(ask: Ask, cacerts: Sequence[Path], crls: Sequence[Path], *, follow: bool) -> Trust | None:
    """Whose certificates count; None where no TLS can come up."""
    from synfin.drive.trace_trust import load_crls, load_trust

    if not (ask.url.scheme == "https" or follow or cacerts):
        return None
    return replace(load_trust(cacerts), crls=load_crls(crls))


def credential_of(cert: Path | None, key: Path | None, password: str | None) -> tuple[Credential, ...]:
    """Our client certificate, where one was given."""
    from synfin.drive.trace_trust import load_credential

    if cert is not None and password is None and not cert.exists() and ":" in cert.name:  # curl's CERT:PASSWORD
        path, _, password = str(cert).rpartition(":")
        cert = Path(path)
    if cert is None:
        for option, value in (("--key", key), ("--pass", password)):
            if value is not None:
                raise UsageError(f"{option} goes with --cert")
        return ()
    return (load_credential(cert, key, password),)
