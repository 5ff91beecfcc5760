"""Names for people: protocol versions, and what a connection speaks in a few words.

Registries belong to ``wire.tls``; here is only how they are said in a story.
"""

from __future__ import annotations

from functools import lru_cache

from synfin.observe.story import Connection
from synfin.views.words import clean
from synfin.wire.tls.registry import version_name

_PROTOCOLS = {
    "http": "HTTP",
    "h2": "HTTP/2",
    "ssh": "SSH",
    "smtp": "SMTP",
    "imap": "IMAP",
    "pop3": "POP3",
    "ftp": "FTP",
    "tls": "TLS",
    "quic": "QUIC",
}


def spoken(connection: Connection) -> str:
    """What is spoken, outermost first: ``SMTP, TLS 1.2``, ``TLS 1.3 h2``, ``HTTP/1.1``; empty for silence."""
    parts = [preamble.protocol.upper().replace("HTTP-CONNECT", "CONNECT") for preamble in connection.preambles]
    tls, http = connection.tls, connection.http
    if tls is not None:
        text = version_name(tls.version) if tls.version is not None else "SSL 2.0" if tls.sslv2 else "TLS"
        inside = tls.alpn or ""
        if http is not None and http.tls and not inside:
            inside = _http_version(connection)
        parts.append(f"{text} {clean(inside)}".rstrip())
    elif http is not None:
        parts.append(_http_version(connection))
        if http.switched:
            parts.append(clean(http.switched))
    elif connection.protocol and not parts:
        parts.append(_PROTOCOLS.get(connection.protocol, clean(connection.protocol)))
    return ", ".join(parts)


@lru_cache(maxsize=1 << 10)
def summary_spoken(tls_version: int | None, alpn: str, http_version: str) -> str:
    """The same for a line of the quick listing (see ``observe.listing.Summary``)."""
    if tls_version is not None:
        chosen = version_name(tls_version) if tls_version else "TLS"
        return f"{chosen} {clean(alpn)}".rstrip()
    return f"HTTP/{http_version}" if http_version else ""


def _http_version(connection: Connection) -> str:
    http = connection.http
    if http is None:
        return ""
    if http.protocol == "h2":
        return "HTTP/2"
    for message in http.messages:
        if message.version:
            return f"HTTP/{message.version}"
    return "HTTP"
