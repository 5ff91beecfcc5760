"""Faults of the leaf itself: its time, its names, its use, its form.

The sentences say what was done and, where it is not plain, who refuses it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from cryptography import x509

from synfin.pki.examine import Presented
from synfin.pki.faultkit import DAY, HOST, Bench, Fault, dated, fault
from synfin.pki.forge import element, forge, integer
from synfin.pki.mint import CLIENT, SERVER, Credential
from synfin.spec import der as d

FAULTS: list[Fault] = []

# ---------------------------------------------------------------- time


@fault(FAULTS, "expired", 10)
def expired_leaf(bench: Bench) -> Presented:
    """The leaf expired three days ago: nobody renewed it."""
    return bench.presented(bench.leaf(dated(bench.order(), bench.now - 40 * DAY, bench.now - 3 * DAY)))


@fault(FAULTS, "expired", 10)
def expired_this_minute(bench: Bench) -> Presented:
    """The leaf expired a minute ago: a client whose clock is slow still accepts it."""
    end = bench.now - timedelta(minutes=1)
    return bench.presented(bench.leaf(dated(bench.order(), bench.now - 40 * DAY, end)))


@fault(FAULTS, "expired", 10)
def ends_before_it_starts(bench: Bench) -> Presented:
    """The leaf's notAfter is earlier than its notBefore: it never was valid."""

    def swap(fields: list[bytes]) -> None:
        validity = fields[4]
        half = 2 + (len(validity) - 2) // 2
        fields[4] = validity[:2] + validity[half:] + validity[2:half]

    return bench.presented(
        forge(
            dated(bench.order(), bench.now - 9 * DAY, bench.now - 3 * DAY),
            bench.key(number=2),
            bench.middle,
            change=swap,
        )
    )


@fault(FAULTS, "not_yet_valid", 9)
def future_leaf(bench: Bench) -> Presented:
    """The leaf becomes valid in two days: it was installed too early, or the client's clock is wrong."""
    return bench.presented(bench.leaf(dated(bench.order(), bench.now + 2 * DAY, bench.now + 40 * DAY)))


@fault(FAULTS, "too_long_life", 0)
def too_long_life(bench: Bench) -> Presented:
    """The leaf lives three years; browsers refuse that of public CAs (baseline requirements 6.3.2), others do not."""
    return bench.presented(bench.leaf(dated(bench.order(), bench.now - 5 * DAY, bench.now + 1090 * DAY)))


# ---------------------------------------------------------------- names


def _named(bench: Bench, asked: str, *names: str) -> Presented:
    """A leaf for ``names``, as they are, presented to a client that asks for ``asked``."""
    leaf = bench.leaf(replace(bench.order(), common="", organisation="Fault", names=names))
    return replace(bench.presented(leaf), name=asked)


@fault(FAULTS, "name_mismatch", 62)
def wrong_name(bench: Bench) -> Presented:
    """The leaf is for another host: the default certificate was served."""
    return _named(bench, HOST, "other.example.com")


@fault(FAULTS, "name_mismatch", 62)
def missing_www(bench: Bench) -> Presented:
    """The leaf is for example.com, and the client asks for www.example.com."""
    return _named(bench, HOST, "example.com")


@fault(FAULTS, "common_name_only", 0)
def common_name_only(bench: Bench) -> Presented:
    """The host stands in the common name only: no browser since 2017 looks there (RFC 9525 2), OpenSSL still does."""
    return bench.presented(bench.leaf(replace(bench.order(), names=())))


@fault(FAULTS, "wildcard_too_deep", 62)
def wildcard_too_deep(bench: Bench) -> Presented:
    """The leaf is for *.example.com, the client asks for a.b.example.com: a wildcard is one label (RFC 9525 6.3)."""
    return _named(bench, "a.b.example.com", "*.example.com")


@fault(FAULTS, "name_mismatch", 62)
def wildcard_without_base(bench: Bench) -> Presented:
    """The leaf is for *.example.com, and the client asks for example.com."""
    return _named(bench, "example.com", "*.example.com")


@fault(FAULTS, "name_mismatch", 62)
def wildcard_of_a_top_level_domain(bench: Bench) -> Presented:
    """The leaf is for *.com: nobody may own that."""
    return _named(bench, "example.com", "*.com")


@fault(FAULTS, "name_mismatch", 0)
def partial_wildcard(bench: Bench) -> Presented:
    """The leaf is for w*.example.com: RFC 9525 6.3 wants the wildcard alone in its label; OpenSSL accepts it."""
    return _named(bench, HOST, "w*.example.com")


@fault(FAULTS, "name_mismatch", 64)
def address_as_name(bench: Bench) -> Presented:
    """The address stands in a dNSName instead of an iPAddress (RFC 9525 6.2)."""
    leaf = bench.leaf(
        replace(
            bench.order(),
            common="",
            organisation="Fault",
            names=(),
            extra=((x509.SubjectAlternativeName([x509.DNSName("192.0.2.1")]), False),),
        )
    )
    return replace(bench.presented(leaf), name="192.0.2.1")


@fault(FAULTS, "name_mismatch", 64)
def wrong_address(bench: Bench) -> Presented:
    """The leaf is for another address."""
    return _named(bench, "192.0.2.1", "192.0.2.2")


@fault(FAULTS, "name_mismatch", 62)
def nul_in_name(bench: Bench) -> Presented:
    """The name holds a NUL: who reads it as a C string takes it for www.example.com (CVE-2009-2408)."""
    return _named(bench, HOST, "www.example.com\0.example.net")


@fault(FAULTS, "name_mismatch", 62)
def no_name(bench: Bench) -> Presented:
    """The leaf names nobody: no subjectAltName and no common name."""
    return bench.presented(bench.leaf(replace(bench.order(), common="", organisation="Fault", names=())))


# ---------------------------------------------------------------- use


@fault(FAULTS, "wrong_usage", 26)
def client_usage_on_server(bench: Bench) -> Presented:
    """The server presents a certificate that is for TLS clients only."""
    return bench.presented(bench.leaf(replace(bench.order(), usages=(CLIENT,))))


@fault(FAULTS, "wrong_usage", 26)
def server_usage_on_client(bench: Bench) -> Presented:
    """The client presents a certificate that is for TLS servers only."""
    leaf = bench.leaf(replace(bench.order(), usages=(SERVER,)))
    return replace(bench.presented(leaf), name=None, purpose="client")


@fault(FAULTS, "wrong_usage", 26)
def key_usage_for_cas_only(bench: Bench) -> Presented:
    """The leaf's key usage is signing CRLs: its key may make no handshake signature (RFC 5280 4.2.1.3)."""
    return bench.presented(bench.leaf(replace(bench.order(), key_usage=("cRLSign",))))


@fault(FAULTS, "unknown_critical_extension", 34)
def unknown_critical_extension(bench: Bench) -> Presented:
    """The leaf has a critical extension nobody knows: everybody must refuse it (RFC 5280 4.2)."""
    return bench.presented(bench.leaf(replace(bench.order(), extra=(_unknown_extension(),))))


def _unknown_extension() -> tuple[x509.ExtensionType, bool]:
    """Critical, under the enterprise number for examples (RFC 5612)."""
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.32473.7"), b"\x05\x00"), True


@fault(FAULTS, "unknown_critical_extension", 34)
def unknown_critical_extension_above(bench: Bench) -> Presented:
    """It is the intermediate that has a critical extension nobody knows."""
    return bench.under(replace(bench.middle_order(), extra=(_unknown_extension(),)))


@fault(FAULTS, "must_staple", 0)
def must_staple_without_staple(bench: Bench) -> Presented:
    """The leaf demands a stapled OCSP response (RFC 7633), and the server has none."""
    return bench.presented(bench.leaf(replace(bench.order(), must_staple=True)))


@fault(FAULTS, "key_mismatch", 0)
def mismatched_key(bench: Bench) -> Presented:
    """The server's private key belongs to another certificate: its handshake signature cannot verify."""
    return replace(bench.presented(), key=bench.key(number=9))


# ---------------------------------------------------------------- form


def _numbered(bench: Bench, serial: int) -> Presented:
    def number(fields: list[bytes]) -> None:
        fields[1] = integer(serial)

    return bench.presented(forge(bench.order(), bench.key(number=2), bench.middle, change=number))


@fault(FAULTS, "irregular", 0)
def negative_serial(bench: Bench) -> Presented:
    """The serial number is negative (RFC 5280 4.1.2.2)."""
    return _numbered(bench, -2026)


@fault(FAULTS, "irregular", 0)
def zero_serial(bench: Bench) -> Presented:
    """The serial number is zero (RFC 5280 4.1.2.2)."""
    return _numbered(bench, 0)


@fault(FAULTS, "irregular", 0)
def long_serial(bench: Bench) -> Presented:
    """The serial number has 33 octets, 20 are allowed (RFC 5280 4.1.2.2)."""
    return _numbered(bench, 1 << 256)


@fault(FAULTS, "duplicate_serial", 0)
def duplicate_serial(bench: Bench) -> Presented:
    """The CA gave the same serial number to two certificates: one cannot be revoked without the other."""
    first, second = (bench.leaf(replace(bench.order(), serial=4711)) for _ in range(2))
    return replace(bench.presented(second), seen=(first.der,))


@fault(FAULTS, "irregular", 0)
def version_1_with_extensions(bench: Bench) -> Presented:
    """The version says 1, where there are no extensions (RFC 5280 4.1.2.9)."""

    def drop(fields: list[bytes]) -> None:
        del fields[0]

    return bench.presented(forge(bench.order(), bench.key(number=2), bench.middle, change=drop))


@fault(FAULTS, "irregular", 20)
def extension_twice(bench: Bench) -> Presented:
    """The subjectAltName stands twice (RFC 5280 4.2): which of the two counts is anybody's guess."""

    def repeat(fields: list[bytes]) -> None:
        start, stop = d.expect(fields[7], 0, len(fields[7]), 0xA3, "extensions")
        start, stop = d.expect(fields[7], start, stop, d.SEQUENCE, "extensions")
        found = []
        at = start
        for _, _, end in d.children(fields[7], start, stop):
            found.append(fields[7][at:end])
            at = end
        names = next(one for one in found if b"\x55\x1d\x11" in one[:9])
        fields[7] = element(0xA3, element(d.SEQUENCE, *found, names))

    return bench.presented(forge(bench.order(), bench.key(number=2), bench.middle, change=repeat))


@fault(FAULTS, "irregular", 0)
def octets_after_the_certificate(bench: Bench) -> Presented:
    """Four octets follow the certificate in its entry."""
    leaf = bench.leaf()
    return bench.presented(Credential(leaf.der + b"\0\0\0\0", leaf.key))


@fault(FAULTS, "unparsable")
def cut_off(bench: Bench) -> Presented:
    """The last hundred octets of the leaf are missing."""
    leaf = bench.leaf()
    return bench.presented(Credential(leaf.der[:-100], leaf.key))


@fault(FAULTS, "huge", 0)
def huge_certificate(bench: Bench) -> Presented:
    """The leaf has 6,000 names and 130 KB: more than OpenSSL takes in a Certificate message unless it is told."""
    return bench.presented(bench.leaf(bench.order(HOST, *(f"host-{n:05}.example.com" for n in range(6000)))))
