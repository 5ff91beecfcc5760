"""Fingerprints of clients and servers by how their hellos are made: JA3, JA3S and JA4 (client).

JA3 and JA3S are Salesforce's (2017): numbers as sent, in decimal, GREASE left out, MD5 of the string.  JA4 is
FoxIO's (2023, BSD licence for this one only): counts and version in clear, SHA-256 of sorted suites and of sorted
extensions with the signature algorithms as sent, cut to twelve digits.  No other method of the JA4+ family is here.

Where descriptions are silent: the version in JA3 is the hello's own, never that of supported_versions.  JA4 takes the
highest offered version that is not GREASE, and has no letters for the TLS 1.3 drafts; a hello that offers one as
its highest has no JA4 here rather than an invented one.  A hello in SSL 2.0 format has no fingerprint at all.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import md5, sha256

from synfin.wire.tls.bodies import Protocols
from synfin.wire.tls.hello import ClientHello, ServerHello
from synfin.wire.tls.registry import is_grease

_JA4_VERSIONS = {
    0x0304: "13",
    0x0303: "12",
    0x0302: "11",
    0x0301: "10",
    0x0300: "s3",
    0x0002: "s2",
    0xFEFF: "d1",
    0xFEFD: "d2",
    0xFEFC: "d3",
}
_NOTHING = "000000000000"
_SNI, _ALPN = 0, 16


def _md5(full: str) -> str:
    return md5(full.encode(), usedforsecurity=False).hexdigest()


def _sha12(full: str) -> str:
    return sha256(full.encode()).hexdigest()[:12] if full else _NOTHING


@lru_cache(maxsize=4096)
def _plain(codes: tuple[int, ...]) -> tuple[int, ...]:
    """``codes`` without GREASE."""
    return tuple(code for code in codes if not is_grease(code))


@lru_cache(maxsize=4096)
def _dashed(codes: tuple[int, ...]) -> str:
    """Decimal numbers without GREASE, as JA3 joins them."""
    return "-".join(map(str, _plain(codes)))


@lru_cache(maxsize=4096)
def _hex(codes: tuple[int, ...]) -> str:
    """Four hex digits each, as JA4 joins them."""
    return ",".join(f"{code:04x}" for code in codes)


@lru_cache(maxsize=4096)
def _md5_of(full: str) -> tuple[str, str]:
    return _md5(full), full


_sha12_of = lru_cache(maxsize=4096)(_sha12)


def _types(hello: ClientHello | ServerHello) -> tuple[int, ...]:
    return tuple([extension[0] for extension in hello.extensions or ()])


def ja3(hello: ClientHello) -> tuple[str, str]:
    """JA3 of a client: (MD5, the string it is made of)."""
    formats = "-".join(map(str, hello.point_formats))
    return _md5_of(
        f"{hello.legacy_version},{_dashed(hello.cipher_suites)},{_dashed(_types(hello))},{_dashed(hello.groups)},{formats}"
    )


def ja3s(hello: ServerHello) -> tuple[str, str]:
    """JA3S of a server: (MD5, the string it is made of)."""
    return _md5_of(f"{hello.legacy_version},{hello.cipher_suite},{_dashed(_types(hello))}")


def _alpn_letters(hello: ClientHello) -> str:
    """First and last character of the first protocol; of its hex digits when either is not a letter or digit."""
    found = hello.decoded(_ALPN)
    if not isinstance(found, Protocols) or not found.values or not found.values[0]:
        return "00"
    first = found.values[0]
    ends = bytes((first[0], first[-1]))
    if ends.isalnum():
        return ends.decode("ascii")
    digits = first.hex()
    return digits[0] + digits[-1]


@lru_cache(maxsize=4096)
def _ja4_suites(suites: tuple[int, ...]) -> tuple[int, str]:
    """How many suites, and the sorted list."""
    plain = _plain(suites)
    return len(plain), _hex(tuple(sorted(plain)))


@lru_cache(maxsize=4096)
def _ja4_extensions(types: tuple[int, ...], schemes: tuple[int, ...]) -> tuple[int, str]:
    """How many extensions, and the sorted list without SNI and ALPN, with signature algorithms as sent."""
    plain = _plain(types)
    listed = _hex(tuple(sorted(code for code in plain if code not in (_SNI, _ALPN))))
    signatures = _hex(_plain(schemes))
    return len(plain), f"{listed}_{signatures}" if signatures else listed


def _ja4_parts(hello: ClientHello, transport: str) -> tuple[str, str, str] | None:
    """The clear part, the list of suites, the list of extensions; None for a version that JA4 has no letters for."""
    offered = _plain(hello.supported_versions)
    version = _JA4_VERSIONS.get(max(offered) if offered else hello.legacy_version)
    if version is None:
        return None
    types = _types(hello)
    suite_count, suites = _ja4_suites(hello.cipher_suites)
    extension_count, extensions = _ja4_extensions(types, hello.signature_algorithms)
    name = "d" if _SNI in types else "i"
    counts = f"{min(suite_count, 99):02d}{min(extension_count, 99):02d}"
    return f"{transport}{version}{name}{counts}{_alpn_letters(hello)}", suites, extensions


def ja4(hello: ClientHello, transport: str = "t") -> str | None:
    """JA4 of a client over ``transport`` ("t" TCP, "q" QUIC, "d" DTLS).

    None when the highest version offered is a draft or unknown: JA4 defines no letters for it.
    """
    parts = _ja4_parts(hello, transport)
    return None if parts is None else f"{parts[0]}_{_sha12_of(parts[1])}_{_sha12_of(parts[2])}"


def ja4_raw(hello: ClientHello, transport: str = "t") -> str | None:
    """JA4 with the lists in place of their hashes; None as in ``ja4``."""
    parts = _ja4_parts(hello, transport)
    return None if parts is None else "_".join(parts)
