"""OpenSSL's server and the tables of RFC 8446: where it does otherwise than ours is written down, and nothing else is.

The raw client and the tables are ours, so their judge is a foreign server: the OpenSSL of Python's ``ssl``.
"""

from __future__ import annotations

import os
import ssl

import pytest

from tests.tls.ends import Foreign, ssl_context
from tests.tls.raw13 import AlertError, OldError, Raw13
from tests.tls.test_must13_server import ROWS

#: Why OpenSSL 3.0 does otherwise -> beginnings of the rows.
DIFFERENT: dict[str, tuple[str, ...]] = {
    "it knows no such extension, or no use for it": (
        "4.2 oid_filters", "RFC 8449", "RFC 8879", "RFC 6066 4 no length", "6 signed_certificate_timestamp", "6 cookie",
        "6 compress_certificate", "6 record_size_limit", "4.2.2 a cookie nobody gave",
    ),
    "it has no such group": ("ecdhe-mlkem",),
    "it speaks TLS 1.3 alone here": (
        "4.1.2 no extensions at all", "4.2.1 no list", "4.2.1 a list without", "RFC 7507 a fallback",
        "4.1.4 TLS 1.2 alone",
    ),
    "it looks less closely, which RFC 8446 allows": (
        "4.2 an unknown extension twice", "4.2.8 a share of a group not listed", "4.2.8 two shares of a group",
        "4.1.2 another random", "4.1.2 another session id", "4.1.2 another legacy_version", "4.1.2 an extension",
        "4.1.2 other groups", "4.1.2 a key for the first time", "4.1.2 a key more", "RFC 6066 3 an empty name",
        "RFC 6066 3 not ASCII", "6 certificate_authorities of nothing", "4.6.3 KeyUpdates without end",
    ),
    "it looks less closely, which RFC 8446 does not allow": (
        "5.1 nothing within a hello", "5.1 an alert within Finished", "5.4 16384 octets and", "5.4 0 octets and 16385",
        "D.5 version 0300",
    ),
    "it looks more closely": ("RFC 6066 3 another kind of name", "4.2.3 no chain by its schemes"),
    "it has another alert where RFC 8446 leaves it open": ("RFC 6066 3 two names",),
    "it has another alert than section 6 or section 5 names": (
        "4.1.2 no suites", "4.1.2 compressions", "6 supported_versions", "6 an alert of one octet", "5.1 an alert of",
        "6 a hello of 2^24-1", "6 Finished of 999", "6 KeyUpdate of", "5 ChangeCipherSpec of",
    ),
    "it does not begin before it has more, or ends without a word": (
        "5.4 an empty record", "5.1 a record of 16385", "6 a fatal alert", "6.1 close_notify", "6.1 user_canceled and",
        "5.1 record version 0400", "5.1 record version ffff", "D.5 record version 0200",
    ),
}  # fmt: skip
ELSEWHERE = tuple(words for rows in DIFFERENT.values() for words in rows)
ALIKE = [
    row for name in ("hello", "flights") for row in ROWS[name] if not str(row).startswith(ELSEWHERE) and not row.more
]
#: Other versions may have changed their mind about some.
MOST = 0 if ssl.OPENSSL_VERSION_INFO[:2] == (3, 0) else 20


class OpenSsl:
    """A server of OpenSSL in memory, as ``Raw13`` takes it."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.end = Foreign(context, True)
        self.out = b""

    def send(self, data: bytes) -> None:
        self.out += self.end.turn(data)

    def recv(self) -> bytes:
        out, self.out = self.out, b""
        return out


def test_openssl_says_the_same() -> None:
    context = ssl_context(True, (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3))
    wrong = []
    for row in ALIKE:
        way = OpenSsl(context)
        c = Raw13(way, entropy=os.urandom)
        found: int | str | None = None
        try:
            row.act(c)  # type: ignore[call-arg]
            c.late()
            if way.end.error is None and not way.end.closed:
                found = "ok" if way.end.done else "waits"
        except AlertError as error:
            found = error.alert
        except OldError:
            found = "old"
        if found != row.want:
            wrong.append(f"{row}: {found}, not {row.want}")
    assert len(ALIKE) > 350
    assert wrong[MOST:] == []


@pytest.mark.parametrize("reason", DIFFERENT)
def test_each_difference_is_of_a_row(reason: str) -> None:
    rows = [str(row) for name in ("hello", "flights") for row in ROWS[name]]
    for words in DIFFERENT[reason]:
        assert any(row.startswith(words) for row in rows), words
