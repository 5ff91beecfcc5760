"""What one certificate says (RFC 5280), read so that the bad ones can be described too.

The facts come from our own walk over the DER, not from ``cryptography``'s objects: an observer meets certificates with
repeated extensions, written-out defaults, wrong versions or damaged tails, which a strict parser refuses as a whole,
and it wants the facts of an ordinary one in less than 100 microseconds.  A test holds both readings equal on everything
that ``cryptography`` accepts.  Signatures are verified by ``cryptography`` only (``spec.signatures``).

Nothing here raises: what cannot be read leaves ``parsed`` False and says why; what can be read but breaks RFC 5280
stands in ``problems``.  Whether a certificate serves a connection is ``spec.certcheck``'s question.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from synfin.errors import WireError
from synfin.spec import der as d
from synfin.spec import oids
from synfin.spec.certextensions import DEFAULT_WRITTEN, READERS, Subtree
from synfin.spec.distinguished import Name, name_text, printable, read_name
from synfin.spec.signatures import SMALL, signature_holds


class Extension(NamedTuple):
    """One extension as it stood: dotted identifier, critical flag, content of its OCTET STRING."""

    oid: str
    critical: bool
    value: bytes


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """Facts of one certificate; a field that could not be read, or is not there, is None or empty.

    Times are ns since 1970.  ``key`` is (kind, bits): ("rsa", 2048), ("ec:secp256r1", 256), ("ed25519", 256),
    ("ml-dsa-65", None).  ``san_dns`` is None where there is no subjectAltName at all, () where it has no DNS name.
    """

    der: bytes
    sha256: str  # lower case hex
    parsed: bool
    problems: tuple[str, ...] = ()
    version: int = 0
    serial: int = 0
    subject: Name = ()
    issuer: Name = ()
    subject_der: bytes = b""
    issuer_der: bytes = b""
    not_before: int | None = None
    not_after: int | None = None
    sig_alg: str = ""  # dotted, of the outer signatureAlgorithm
    hash: str = ""  # md5, sha1, sha256 ...; "" where the scheme has its own
    key: tuple[str, int | None] = ("", None)
    spki: bytes = b""  # SubjectPublicKeyInfo, DER
    tbs: bytes = b""  # what the issuer signed, DER
    signature: bytes = b""
    extensions: tuple[Extension, ...] = ()
    san_dns: tuple[str, ...] | None = None
    san_ip: tuple[str, ...] | None = None
    san_other: tuple[tuple[str, str], ...] = ()
    is_ca: bool | None = None
    path_length: int | None = None
    key_usage: tuple[str, ...] | None = None
    extended_key_usage: tuple[str, ...] | None = None  # dotted
    ski: bytes | None = None
    aki: bytes | None = None
    ocsp: tuple[str, ...] = ()
    ca_issuers: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    permitted: tuple[Subtree, ...] = ()
    excluded: tuple[Subtree, ...] = ()
    must_staple: bool = False  # TLS feature status_request (RFC 7633)
    scts: int = 0  # embedded signed certificate timestamps (RFC 6962)
    trailing: int = 0  # octets after its end

    @property
    def why(self) -> str:
        """Why it could not be read; "" where it could."""
        return "" if self.parsed else self.problems[0]

    @property
    def serial_hex(self) -> str:
        """The serial number in hex, upper case, without leading zeros (with a minus sign where it is negative)."""
        return f"{self.serial:X}"

    @property
    def subject_text(self) -> str:
        """The subject for people."""
        return name_text(self.subject)

    @property
    def issuer_text(self) -> str:
        """The issuer for people."""
        return name_text(self.issuer)

    @property
    def not_before_text(self) -> str:
        """``YYYY-MM-DDTHH:MM:SSZ`` or ""."""
        return d.time_text(self.not_before) if self.not_before is not None else ""

    @property
    def not_after_text(self) -> str:
        """``YYYY-MM-DDTHH:MM:SSZ`` or ""."""
        return d.time_text(self.not_after) if self.not_after is not None else ""

    @property
    def cn(self) -> str | None:
        """The last, most specific common name of the subject."""
        return next((value for kind, value in reversed(self.subject) if kind == oids.COMMON_NAME), None)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host names of subjectAltName, then its addresses."""
        return (*(self.san_dns or ()), *(self.san_ip or ()))

    @property
    def label(self) -> str:
        """The shortest name that tells people which certificate this is; "" where it could not be read that far."""
        if not self.subject_der:
            return ""
        short = self.cn or next(iter(self.hosts), "")
        return printable(short) or self.subject_text or f"serial {self.serial_hex}"

    @property
    def sig_name(self) -> str:
        """The signature algorithm's name, or its dotted form where it is not known."""
        known = oids.SIGNATURES.get(self.sig_alg)
        return known.name if known else self.sig_alg

    @property
    def key_text(self) -> str:
        """The key for people: ``RSA 2048``, ``EC secp256r1``, ``Ed25519``."""
        kind, bits = self.key
        if kind.startswith("ec:"):
            return f"EC {kind[3:]}"
        shown = kind.capitalize() if kind.startswith("ed") else kind.upper()
        return f"{shown} {bits}" if bits and kind in ("rsa", "dsa", "dh") else shown

    @property
    def usage_names(self) -> tuple[str, ...]:
        """Extended key usages by name."""
        return tuple(oids.EXTENDED_KEY_USAGES.get(oid, oid) for oid in self.extended_key_usage or ())

    @property
    def self_issued(self) -> bool:
        """Subject and issuer are the same name (RFC 5280 3.2)."""
        return bool(self.subject_der) and self.subject_der == self.issuer_der

    @property
    def self_signed(self) -> bool:
        """Self-issued, and its own key verifies its signature."""
        return self.self_issued and self.signed_by(self) is True

    def signed_by(self, issuer: CertificateFacts) -> bool | None:
        """Whether the key of ``issuer`` verifies this certificate's signature; None where that cannot be judged."""
        if not (self.tbs and issuer.spki):
            return None
        return signature_holds(issuer.spki, self.sig_alg, self.hash, self.signature, self.tbs)


def certificate_facts(der: bytes) -> CertificateFacts:
    """The facts of the certificate in ``der``.  Never raises; the same bytes are read once."""
    return _facts(der) if len(der) <= SMALL else _facts.__wrapped__(der)


@lru_cache(maxsize=2048)
def _facts(der: bytes) -> CertificateFacts:
    fields: dict[str, Any] = {}
    problems: list[str] = []
    try:
        _certificate(der, fields, problems)
        parsed = True
    except WireError as error:
        parsed = False
        problems.insert(0, str(error))
    return CertificateFacts(der, hashlib.sha256(der).hexdigest(), parsed, tuple(problems[:20]), **fields)


def _certificate(der: bytes, fields: dict[str, Any], problems: list[str]) -> None:
    """Certificate (RFC 5280 4.1): fills ``fields`` as far as it gets; WireError where the walk must stop."""
    start, stop = d.expect(der, 0, len(der), d.SEQUENCE, "certificate")
    if stop != len(der):
        fields["trailing"] = len(der) - stop
        problems.append(f"{len(der) - stop} octets after the certificate")
    tbs_start, tbs_stop = d.expect(der, start, stop, d.SEQUENCE, "tbsCertificate")
    fields["tbs"] = der[start:tbs_stop]
    inner = _tbs(der, tbs_start, tbs_stop, fields, problems)
    alg_start, alg_stop = d.expect(der, tbs_stop, stop, d.SEQUENCE, "signatureAlgorithm")
    _signature_algorithm(der[alg_start:alg_stop], fields)
    if der[alg_start:alg_stop] != inner:
        problems.append("signature algorithm differs inside and outside of what is signed (RFC 5280 4.1.1.2)")
    bits, bits_stop = d.expect(der, alg_stop, stop, d.BIT_STRING, "signatureValue")
    fields["signature"] = der[bits + 1 : bits_stop]
    if bits_stop != stop:
        problems.append(f"{stop - bits_stop} octets after the signature")


def _signature_algorithm(algorithm: bytes, fields: dict[str, Any]) -> None:
    start, stop = d.expect(algorithm, 0, len(algorithm), d.OID, "signatureAlgorithm.algorithm")
    oid = fields["sig_alg"] = d.oid_text(algorithm[start:stop])
    known = oids.SIGNATURES.get(oid)
    if oid == oids.PSS:
        fields["hash"] = _pss_hash(algorithm[stop:])
    elif known:
        fields["hash"] = known.hash


def _pss_hash(parameters: bytes) -> str:
    """hashAlgorithm of RSASSA-PSS-params (RFC 4055 3.1); SHA-1 is the default."""
    try:
        start, stop = d.expect(parameters, 0, len(parameters), d.SEQUENCE, "")
        for tag, at, end in d.children(parameters, start, stop):
            if tag == 0xA0:
                at, end = d.expect(parameters, at, end, d.SEQUENCE, "")
                at, end = d.expect(parameters, at, end, d.OID, "")
                oid = d.oid_text(parameters[at:end])
                return oids.HASHES.get(oid, oid)
    except WireError:
        return ""
    return "sha1"


def _tbs(der: bytes, pos: int, end: int, fields: dict[str, Any], problems: list[str]) -> bytes:
    """TBSCertificate (RFC 5280 4.1.2); returns the content of its signature field."""
    tag, start, stop = d.element(der, pos, end)
    version = 1
    if tag == 0xA0:
        start, stop = d.expect(der, start, stop, d.INTEGER, "version")
        if stop - start > 4:
            raise WireError(start, "version", f"a number of {stop - start} octets")
        version = int.from_bytes(der[start:stop], "big", signed=True) + 1
        if version not in (1, 2, 3):
            problems.append(f"version {version} does not exist")
        pos = stop
    fields["version"] = version
    start, stop = d.expect(der, pos, end, d.INTEGER, "serialNumber")
    serial = fields["serial"] = int.from_bytes(der[start:stop], "big", signed=True)
    if serial <= 0:
        problems.append(f"serial number is {'zero' if serial == 0 else 'negative'} (RFC 5280 4.1.2.2)")
    elif stop - start > 20:
        problems.append(f"serial number has {stop - start} octets, more than 20 (RFC 5280 4.1.2.2)")
    start, stop = d.expect(der, stop, end, d.SEQUENCE, "signature")
    inner = der[start:stop]
    pos = stop
    start, stop = d.expect(der, pos, end, d.SEQUENCE, "issuer")
    issuer = fields["issuer_der"] = der[pos:stop]
    fields["issuer"] = read_name(issuer)
    start, stop = d.expect(der, stop, end, d.SEQUENCE, "validity")
    _validity(der, start, stop, fields, problems)
    pos = stop
    start, stop = d.expect(der, pos, end, d.SEQUENCE, "subject")
    subject = fields["subject_der"] = der[pos:stop]
    fields["subject"] = read_name(subject)
    pos = stop
    start, stop = d.expect(der, pos, end, d.SEQUENCE, "subjectPublicKeyInfo")
    spki = fields["spki"] = der[pos:stop]
    fields["key"] = key_kind(spki)
    for tag, at, last in d.children(der, stop, end):
        if tag == 0xA3:
            at, last = d.expect(der, at, last, d.SEQUENCE, "extensions")
            if version != 3:
                problems.append(f"extensions in a version {version} certificate (RFC 5280 4.1.2.9)")
            _extensions(der, at, last, fields, problems)
    return inner


def _validity(der: bytes, pos: int, end: int, fields: dict[str, Any], problems: list[str]) -> None:
    for name in ("not_before", "not_after"):
        tag, start, pos = d.element(der, pos, end)
        content = der[start:pos]
        fields[name] = moment = d.time_ns(tag, content)
        if moment is None:
            problems.append(f"{name} {content[:32]!r} is no time")
        elif (tag == d.UTC_TIME) != (len(content) == 13) or content[-1:] != b"Z":
            problems.append(f"{name} {content[:32]!r} is not written as RFC 5280 4.1.2.5 asks")


def key_kind(spki: bytes) -> tuple[str, int | None]:
    """(kind, bits) of a SubjectPublicKeyInfo; an algorithm that is not known is named by its dotted form."""
    try:
        start, stop = d.expect(spki, 0, len(spki), d.SEQUENCE, "")
        alg, alg_stop = d.expect(spki, start, stop, d.SEQUENCE, "")
        oid, oid_stop = d.expect(spki, alg, alg_stop, d.OID, "")
        bits, bits_stop = d.expect(spki, alg_stop, stop, d.BIT_STRING, "")
        name = d.oid_text(spki[oid:oid_stop])
        kind = oids.KEYS.get(name, name)
        if kind == "rsa":
            start, stop = d.expect(spki, bits + 1, bits_stop, d.SEQUENCE, "")
            start, stop = d.expect(spki, start, stop, d.INTEGER, "")
            return kind, int.from_bytes(spki[start:stop], "big").bit_length()
        if kind == "ec":
            return _curve(spki[oid_stop:alg_stop], bits_stop - bits - 1)
        if kind in ("dsa", "dh"):
            start, stop = d.expect(spki, oid_stop, alg_stop, d.SEQUENCE, "")
            start, stop = d.expect(spki, start, stop, d.INTEGER, "")
            return kind, int.from_bytes(spki[start:stop], "big").bit_length()
    except WireError:
        return "unknown", None
    return kind, oids.KEY_BITS.get(kind)


def _curve(parameters: bytes, point: int) -> tuple[str, int]:
    """Kind and bits of an EC key by its parameters (RFC 5480 2.1.1); ``point`` is the octets of its point."""
    if parameters[:1] == bytes([d.OID]):
        oid = d.oid_text(parameters[2:])
        name, bits = oids.CURVES.get(oid, (oid, (point - 1) * 4))
        return f"ec:{name}", bits
    return "ec:explicit", (point - 1) * 4


def _extensions(der: bytes, pos: int, end: int, fields: dict[str, Any], problems: list[str]) -> None:
    """Extensions (RFC 5280 4.1.2.9): all are kept, those with facts are read; a bad one spoils only itself."""
    found: list[Extension] = []
    seen: set[str] = set()
    for tag, at, stop in d.children(der, pos, end):
        if tag != d.SEQUENCE:
            raise WireError(at, "extension", f"tag {tag:#04x} where {d.SEQUENCE:#04x} belongs")
        start, last = d.expect(der, at, stop, d.OID, "extension.extnID")
        oid = d.oid_text(der[start:last])
        tag, start, last = d.element(der, last, stop)
        critical = False
        if tag == d.BOOLEAN:
            critical = any(der[start:last])
            if not critical:
                problems.append(f"extension {oids.EXTENSIONS.get(oid, oid)} {DEFAULT_WRITTEN}")
            tag, start, last = d.element(der, last, stop)
        if tag != d.OCTET_STRING:
            raise WireError(start, f"extension {oid}", f"tag {tag:#04x} where {d.OCTET_STRING:#04x} belongs")
        value = der[start:last]
        found.append(Extension(oid, critical, value))
        if oid in seen:
            problems.append(f"extension {oids.EXTENSIONS.get(oid, oid)} stands twice (RFC 5280 4.2)")
            continue
        seen.add(oid)
        reader = READERS.get(oid)
        if reader is not None:
            try:
                facts = reader(value)
                if "problem" in facts:
                    problems.append(f"extension {oids.EXTENSIONS[oid]} {facts.pop('problem')}")
                fields.update(facts)
            except WireError as error:
                problems.append(f"extension {oids.EXTENSIONS[oid]} cannot be read: {error}")
    fields["extensions"] = tuple(found)
