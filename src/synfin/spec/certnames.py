"""Whether a certificate is for a name (RFC 9525 6), and whether a name lies within a CA's name constraints.

Only subjectAltName counts.  A wildcard is the whole left-most label and stands for exactly one label.  Addresses match
iPAddress entries only.  International names are compared as A-labels, whichever way either side wrote them (RFC 5890).
The answer names the near misses that people ask about: the name stands in the common name only, the wildcard is one
label too high, the address is written as a DNS name.  A wildcard directly under a top-level domain matches nothing,
as in every browser; RFC 9525 leaves that to the client.
"""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from functools import lru_cache

import idna

from synfin.spec.certextensions import Subtree
from synfin.spec.certificates import CertificateFacts

#: Longest name in characters that is converted (RFC 1035 2.3.4: 255 octets).
MAX_NAME = 255


class NameMatch(StrEnum):
    """How a certificate stands to a name."""

    MATCH = "match"
    MISMATCH = "mismatch"
    COMMON_NAME_ONLY = "common name only"  # no subjectAltName, but the common name would match
    WILDCARD_TOO_DEEP = "wildcard too deep"  # *.example.com asked for a.b.example.com
    WILDCARD_NOT_BASE = "wildcard without the base name"  # *.example.com asked for example.com
    ADDRESS_AS_NAME = "address as DNS name"  # the address stands in a dNSName entry
    NO_NAMES = "no names"  # neither subjectAltName nor common name


def a_label(name: str) -> str:
    """``name`` in lower case, without final dot, U-labels as A-labels; as it is where that cannot be done."""
    name = name.rstrip(".").lower()
    return name if name.isascii() or len(name) > MAX_NAME else _encode(name)


def u_label(name: str) -> str:
    """``name`` with A-labels as people read them; as it is where that cannot be done."""
    return _decode(name) if "xn--" in name and len(name) <= MAX_NAME else name


@lru_cache(maxsize=1024)
def _encode(name: str) -> str:
    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return name


@lru_cache(maxsize=1024)
def _decode(name: str) -> str:
    try:
        return idna.decode(name)
    except (idna.IDNAError, UnicodeError):
        return name


def address(name: str) -> str | None:
    """``name`` in the usual form of an address (RFC 5952) where it is one, with or without brackets, else None."""
    text = name.removeprefix("[").removesuffix("]")
    if not text or not (text[0].isdecimal() or ":" in text):
        return None
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def match_name(certificate: CertificateFacts, name: str) -> NameMatch:
    """How ``certificate`` stands to ``name``, a host name or an address."""
    names = certificate.san_dns or ()
    wanted = address(name)
    if wanted is not None:
        if wanted in (certificate.san_ip or ()):
            return NameMatch.MATCH
        if any(address(entry) == wanted for entry in names):
            return NameMatch.ADDRESS_AS_NAME
        return _without_match(certificate, certificate.cn is not None and address(certificate.cn) == wanted)
    host = a_label(name)
    patterns = [a_label(entry) for entry in names]
    if any(_covers(pattern, host) for pattern in patterns):
        return NameMatch.MATCH
    wild = [pattern[2:] for pattern in patterns if pattern.startswith("*.") and pattern.count(".") > 1]
    if any(host.endswith(f".{base}") for base in wild):
        return NameMatch.WILDCARD_TOO_DEEP
    if host in wild:
        return NameMatch.WILDCARD_NOT_BASE
    return _without_match(certificate, certificate.cn is not None and _covers(a_label(certificate.cn), host))


def _without_match(certificate: CertificateFacts, common_name_matches: bool) -> NameMatch:
    if certificate.san_dns or certificate.san_ip:
        return NameMatch.MISMATCH
    if common_name_matches:
        return NameMatch.COMMON_NAME_ONLY
    return NameMatch.MISMATCH if certificate.cn else NameMatch.NO_NAMES


def _covers(pattern: str, host: str) -> bool:
    if pattern == host:
        return bool(host) and not host.startswith("*")
    if not pattern.startswith("*."):
        return False
    label, dot, rest = host.partition(".")
    return bool(label and dot) and rest == pattern[2:] and "." in rest


# ---------------------------------------------------------------- name constraints (RFC 5280 4.2.1.10)


def outside(certificate: CertificateFacts, permitted: tuple[Subtree, ...], excluded: tuple[Subtree, ...]) -> str:
    """The first DNS name or address of ``certificate`` that the constraints forbid, else "".

    Trees are looked up, not walked, so that thousands of names under thousands of trees take no time to speak of.
    """
    allowed, forbidden = _Trees(permitted), _Trees(excluded)
    names = [a_label(entry) for entry in certificate.san_dns or ()]
    if certificate.san_dns is None and certificate.cn and "." in certificate.cn and " " not in certificate.cn:
        names.append(a_label(certificate.cn))
    for name in names:
        if (allowed.names and not allowed.has_name(name)) or forbidden.has_name(name):
            return name
    for entry in certificate.san_ip or ():
        if (allowed.networks and not allowed.has_address(entry)) or forbidden.has_address(entry):
            return entry
    return ""


class _Trees:
    """Subtrees of one kind of constraint: base names, and networks as (version, host bits, network >> host bits)."""

    __slots__ = ("names", "networks", "sizes")

    def __init__(self, trees: tuple[Subtree, ...]) -> None:
        self.names = {a_label(tree.value) for tree in trees if tree.kind == "dns"}
        self.networks = set()
        for tree in trees:
            if tree.kind == "ip":
                try:
                    network = ipaddress.ip_network(tree.value)
                except ValueError:
                    continue
                rest = network.max_prefixlen - network.prefixlen
                self.networks.add((network.version, rest, int(network.network_address) >> rest))
        self.sizes = {(version, rest) for version, rest, _ in self.networks}

    def has_name(self, name: str) -> bool:
        """Whether ``name`` is a base or below one; "" is above all names, and ".base" is met as "base" too."""
        if not self.names:
            return False
        labels = name.removeprefix("*.").split(".")[-128:]
        tails = [".".join(labels[at:]) for at in range(len(labels))]
        return (
            "" in self.names
            or any(tail in self.names for tail in tails)
            or any(f".{tail}" in self.names for tail in tails[1:])
        )

    def has_address(self, entry: str) -> bool:
        """Whether the address lies in one of the networks."""
        if not self.networks:
            return False
        try:
            found = ipaddress.ip_address(entry)
        except ValueError:
            return False
        sizes = (rest for version, rest in self.sizes if version == found.version)
        return any((found.version, rest, int(found) >> rest) in self.networks for rest in sizes)
