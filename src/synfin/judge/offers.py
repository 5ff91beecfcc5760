"""What a ClientHello offers, as text and sets, without GREASE (RFC 8701)."""

from __future__ import annotations

from synfin.observe.story_tls import TlsStory
from synfin.wire.tls.hello import ClientHello
from synfin.wire.tls.registry import SIGNALS, cipher_name, group_name, is_grease, signature_name, version_name


def hello_of(tls: TlsStory) -> ClientHello | None:
    """The parsed ClientHello (the second one after a HelloRetryRequest)."""
    for fact in (tls.client_hello_2, tls.client_hello):
        if fact is not None and isinstance(fact.body, ClientHello):
            return fact.body
    return None


def real(codes: tuple[int, ...]) -> tuple[int, ...]:
    """Codes without GREASE values and the cipher signals, which are no ciphers."""
    return tuple(code for code in codes if not is_grease(code) and code not in SIGNALS)


def versions(hello: ClientHello) -> tuple[int, ...]:
    """Versions offered, newest first; from legacy_version alone where the extension is missing (RFC 8446 4.2.1)."""
    listed = real(hello.supported_versions)
    return tuple(sorted(listed, reverse=True)) if listed else (hello.legacy_version,)


def versions_text(hello: ClientHello) -> str:
    """``TLS 1.3, TLS 1.2`` or ``TLS 1.0 at most``."""
    if real(hello.supported_versions):
        return ", ".join(version_name(code) for code in versions(hello))
    return f"{version_name(hello.legacy_version)} at most"


def _few(codes: tuple[int, ...], name: object, most: int) -> str:
    shown = ", ".join(name(code) for code in codes[:most])  # type: ignore[operator]
    return f"{shown} and {len(codes) - most} more" if len(codes) > most else shown or "none"


def ciphers_text(hello: ClientHello, most: int = 4) -> str:
    """The first ciphers offered, and how many more."""
    return _few(real(hello.cipher_suites), cipher_name, most)


def groups_text(hello: ClientHello, most: int = 6) -> str:
    """The groups offered."""
    return _few(real(hello.groups), group_name, most)


def signatures_text(hello: ClientHello, most: int = 4) -> str:
    """The signature schemes offered."""
    return _few(real(hello.signature_algorithms), signature_name, most)
