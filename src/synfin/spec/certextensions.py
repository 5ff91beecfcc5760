"""Reading the certificate extensions that carry facts (RFC 5280 4.2, RFC 6962 3.3, RFC 7633).

Each reader takes the content of the extension's OCTET STRING and returns fields of ``CertificateFacts`` by name, with
"problem" beside them where the octets can be read but break a rule.  What cannot be walked is a WireError, which
spoils that extension only.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any, NamedTuple

from synfin.errors import WireError
from synfin.spec import der as d
from synfin.spec import oids
from synfin.spec.distinguished import name_text, read_name

DEFAULT_WRITTEN = "writes out a default value, which DER forbids (X.690 11.5)"


class Subtree(NamedTuple):
    """One name constraint (RFC 5280 4.2.1.10): kind dns, ip, email, uri, directory or other; value as text."""

    kind: str
    value: str


def general_name(tag: int, content: bytes) -> tuple[str, str]:
    """(kind, text) of one GeneralName (RFC 5280 4.2.1.6): dns, ip, email, uri, directory, rid or other."""
    if tag == 0x82:
        return "dns", content.decode("ascii") if content.isascii() else content.decode("latin-1")
    if tag == 0x87:
        return "ip", _ip(content)
    if tag in (0x81, 0x86):
        return ("email" if tag == 0x81 else "uri"), content.decode("latin-1")
    if tag == 0xA4:
        return "directory", name_text(read_name(content))
    if tag == 0x88:
        return "rid", d.oid_text(content)
    return "other", content.hex()


def _ip(content: bytes) -> str:
    """An address, or in name constraints address/mask; hex where the size fits neither."""
    try:
        if len(content) in (4, 16):
            return str(ipaddress.ip_address(content))
        half = len(content) // 2
        mask = int.from_bytes(content[half:], "big")
        return str(ipaddress.ip_network((content[:half], mask.bit_count()), strict=False))
    except ValueError:
        return content.hex()


def _subject_alt_name(value: bytes) -> dict[str, Any]:
    start, stop = d.expect(value, 0, len(value), d.SEQUENCE, "")
    dns: list[str] = []
    ip: list[str] = []
    other: list[tuple[str, str]] = []
    for tag, at, end in d.children(value, start, stop):
        kind, shown = general_name(tag, value[at:end])
        if kind == "dns":
            dns.append(shown)
        elif kind == "ip":
            ip.append(shown)
        else:
            other.append((kind, shown))
    return {"san_dns": tuple(dns), "san_ip": tuple(ip), "san_other": tuple(other)}


def _basic_constraints(value: bytes) -> dict[str, Any]:
    start, stop = d.expect(value, 0, len(value), d.SEQUENCE, "")
    facts: dict[str, Any] = {"is_ca": False}
    for tag, at, end in d.children(value, start, stop):
        if tag == d.BOOLEAN:
            facts["is_ca"] = any(value[at:end])
            if not facts["is_ca"]:
                facts["problem"] = DEFAULT_WRITTEN
        elif tag == d.INTEGER:
            if end - at > 4:
                raise WireError(at, "pathLenConstraint", f"a number of {end - at} octets")
            facts["path_length"] = int.from_bytes(value[at:end], "big", signed=True)
    return facts


def _key_usage(value: bytes) -> dict[str, Any]:
    start, stop = d.expect(value, 0, len(value), d.BIT_STRING, "")
    bits = "".join(f"{octet:08b}" for octet in value[start + 1 : min(stop, start + 3)])
    return {"key_usage": tuple(name for name, bit in zip(oids.KEY_USAGES, bits, strict=False) if bit == "1")}


def _oid_list(value: bytes) -> tuple[str, ...]:
    start, stop = d.expect(value, 0, len(value), d.SEQUENCE, "")
    return tuple(d.oid_text(value[at:end]) for tag, at, end in d.children(value, start, stop) if tag == d.OID)


def _subject_key_id(value: bytes) -> dict[str, Any]:
    start, stop = d.expect(value, 0, len(value), d.OCTET_STRING, "")
    return {"ski": value[start:stop]}


def _authority_key_id(value: bytes) -> dict[str, Any]:
    start, stop = d.expect(value, 0, len(value), d.SEQUENCE, "")
    return {"aki": next((value[at:end] for tag, at, end in d.children(value, start, stop) if tag == 0x80), None)}


def _authority_info(value: bytes) -> dict[str, Any]:
    """AuthorityInfoAccess (RFC 5280 4.2.2.1): where the OCSP responder and the issuer's certificate are."""
    start, stop = d.expect(value, 0, len(value), d.SEQUENCE, "")
    found: dict[str, list[str]] = {"1.3.6.1.5.5.7.48.1": [], "1.3.6.1.5.5.7.48.2": []}
    for _, at, end in d.children(value, start, stop):
        oid, last = d.expect(value, at, end, d.OID, "accessMethod")
        tag, place, place_end = d.element(value, last, end)
        method = d.oid_text(value[oid:last])
        if tag == 0x86 and method in found:
            found[method].append(value[place:place_end].decode("latin-1"))
    ocsp, issuers = found.values()
    return {"ocsp": tuple(ocsp), "ca_issuers": tuple(issuers)}


def _policies(value: bytes) -> dict[str, Any]:
    start, stop = d.expect(value, 0, len(value), d.SEQUENCE, "")
    found = []
    for _, at, end in d.children(value, start, stop):
        oid, last = d.expect(value, at, end, d.OID, "policyIdentifier")
        found.append(d.oid_text(value[oid:last]))
    return {"policies": tuple(found)}


def _name_constraints(value: bytes) -> dict[str, Any]:
    start, stop = d.expect(value, 0, len(value), d.SEQUENCE, "")
    facts: dict[str, Any] = {}
    for tag, at, end in d.children(value, start, stop):
        trees = []
        for _, tree, tree_end in d.children(value, at, end):
            kind, base, base_end = d.element(value, tree, tree_end)
            trees.append(Subtree(*general_name(kind, value[base:base_end])))
        if tag in (0xA0, 0xA1):
            facts["permitted" if tag == 0xA0 else "excluded"] = tuple(trees)
    return facts


def _tls_feature(value: bytes) -> dict[str, Any]:
    """TLS feature (RFC 7633): status_request is 5."""
    start, stop = d.expect(value, 0, len(value), d.SEQUENCE, "")
    features = {int.from_bytes(value[at:end], "big") for _, at, end in d.children(value, start, stop)}
    return {"must_staple": 5 in features}


def _scts(value: bytes) -> dict[str, Any]:
    """SignedCertificateTimestampList (RFC 6962 3.3): counted, not verified."""
    start, stop = d.expect(value, 0, len(value), d.OCTET_STRING, "")
    pos, count = start + 2, 0
    while pos + 2 <= stop:
        pos += 2 + int.from_bytes(value[pos : pos + 2], "big")
        count += pos <= stop
    return {"scts": count}


#: Extension (dotted) -> its reader.
READERS: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "2.5.29.14": _subject_key_id,
    "2.5.29.15": _key_usage,
    "2.5.29.17": _subject_alt_name,
    "2.5.29.19": _basic_constraints,
    "2.5.29.30": _name_constraints,
    "2.5.29.32": _policies,
    "2.5.29.35": _authority_key_id,
    "2.5.29.37": lambda value: {"extended_key_usage": _oid_list(value)},
    "1.3.6.1.5.5.7.1.1": _authority_info,
    "1.3.6.1.5.5.7.1.24": _tls_feature,
    "1.3.6.1.4.1.11129.2.4.2": _scts,
}
