"""From an order to a certificate (RFC 5280 4): roots, intermediates, leaves and client certificates.

An ``Order`` is what shall stand in the certificate; ``mint`` writes and signs it and judges nothing, since the
catalogue of faults needs orders that no CA should fill.  The functions that make ordinary orders hold the profile:
which usages, which extensions are critical, which lives.

Names are given as people write them.  An address becomes an iPAddress, a name with umlauts its A-labels (RFC 5890), a
wildcard stays a wildcard; the common name repeats the first host name that fits into 64 characters, and clients ignore
it.  An address never stands there: OpenSSL and GnuTLS would hold it against the name constraints of hosts.
Validity starts an hour early so that a client whose clock is slow can already use the certificate.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from synfin.errors import UsageError
from synfin.pki.keys import PrivateKey, PublicKey, signing_hash
from synfin.spec.certificates import CertificateFacts, certificate_facts
from synfin.spec.certnames import a_label, address

#: How much earlier than now a certificate becomes valid.
SLACK = timedelta(hours=1)
ROOT_LIFE, INTERMEDIATE_LIFE, LEAF_LIFE = timedelta(days=3650), timedelta(days=1825), timedelta(days=47)

#: All that ``cryptography`` raises for octets it cannot read; not all of it is ValueError.
UNREADABLE = (
    ValueError,
    TypeError,
    NotImplementedError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)

#: Name constraints of all hosts and of all addresses.
WHOLE = HOSTS, ADDRESSES_4, ADDRESSES_6 = "", "0.0.0.0/0", "::/0"

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate (DER) and the private key that belongs to it."""

    der: bytes
    key: PrivateKey

    @property
    def certificate(self) -> x509.Certificate:
        """As ``cryptography`` reads it; ValueError where it refuses (some faults are refused)."""
        return x509.load_der_x509_certificate(self.der)

    @property
    def facts(self) -> CertificateFacts:
        """As ``spec`` reads it."""
        return certificate_facts(self.der)

    @property
    def pem(self) -> bytes:
        """The certificate in PEM."""
        return pem(self.der)


@dataclass(frozen=True, slots=True)
class Order:
    """What shall stand in a certificate.  None or empty leaves the extension out.

    ``common`` "" gives an empty subject.  ``key_usage`` holds RFC 5280 names (``digitalSignature``); ``permitted`` and
    ``excluded`` are name constraints: DNS names ("": all of them) or networks (``10.0.0.0/8``).  The URLs are where
    clients find OCSP, the issuer's certificate and the CRL.  ``serial`` 0 draws 159 random bits, ``extra`` extensions
    are added as they are.
    """

    common: str
    not_before: datetime
    not_after: datetime
    organisation: str = ""
    names: tuple[str, ...] = ()
    ca: bool | None = None
    path_length: int | None = None
    key_usage: tuple[str, ...] = ()
    usages: tuple[x509.ObjectIdentifier, ...] = ()
    permitted: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    must_staple: bool = False
    ocsp_url: str = ""
    issuer_url: str = ""
    crl_url: str = ""
    serial: int = 0
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = ()

    @property
    def subject(self) -> x509.Name:
        """The distinguished name."""
        parts = ((NameOID.ORGANIZATION_NAME, self.organisation), (NameOID.COMMON_NAME, self.common))
        return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts if value])


# ---------------------------------------------------------------- ordinary orders


def root_order(
    common: str,
    now: datetime,
    *,
    life: timedelta = ROOT_LIFE,
    organisation: str = "synfin",
    permitted: tuple[str, ...] = (),
    excluded: tuple[str, ...] = (),
) -> Order:
    """A root: CA, no limit on how much is below; ``permitted`` and ``excluded`` are its ``bounds``."""
    permitted, excluded = bounds(permitted, excluded)
    return Order(
        common,
        now - SLACK,
        now + life,
        organisation,
        ca=True,
        key_usage=("keyCertSign", "cRLSign", "digitalSignature"),
        permitted=permitted,
        excluded=excluded,
    )


def intermediate_order(
    common: str,
    now: datetime,
    *,
    life: timedelta = INTERMEDIATE_LIFE,
    path_length: int | None = 0,
    permitted: tuple[str, ...] = (),
    excluded: tuple[str, ...] = (),
    organisation: str = "synfin",
) -> Order:
    """A CA below a root; ``permitted`` and ``excluded`` are its ``bounds``."""
    order = root_order(common, now, life=life, organisation=organisation, permitted=permitted, excluded=excluded)
    return replace(order, path_length=path_length, usages=(SERVER, CLIENT))


def bounds(permitted: tuple[str, ...], excluded: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name constraints that hold for hosts and addresses alike, as they stand in a certificate.

    A constraint speaks of names of its own kind only (RFC 5280 4.2.1.10): a CA permitted for domains alone could still
    sign for every address, and the other way round.  Kinds of which nothing is permitted are therefore excluded as a
    whole, as the baseline requirements of browsers want it (7.1.5).  UsageError for what is neither domain nor network.
    """
    permitted, excluded = tuple(map(_tree, permitted)), tuple(map(_tree, excluded))
    kinds = set(map(_whole, permitted))
    return permitted, (*excluded, *(whole for whole in WHOLE if kinds and whole not in kinds))


def _whole(tree: str) -> str:
    """The tree of all names of this one's kind."""
    return HOSTS if "/" not in tree else ADDRESSES_6 if ":" in tree else ADDRESSES_4


def _tree(text: str) -> str:
    """A name constraint: a network, or a DNS name with all below it."""
    if text.startswith("*"):
        raise UsageError(f"{text!r}: bounds have no wildcards; a domain stands for itself and all below it")
    if "/" not in text and not address(text):
        return plain_name(text.removeprefix("."))
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise UsageError(f"{text!r} is no network: {error}") from error


def leaf_order(
    names: tuple[str, ...], now: datetime, *, life: timedelta = LEAF_LIFE, must_staple: bool = False
) -> Order:
    """A TLS server's certificate for ``names``: hosts, addresses, wildcards, international names."""
    names = tuple(dict.fromkeys(map(plain_name, names)))
    if not names:
        raise UsageError("a server certificate needs a name or an address")
    common = next((name for name in names if len(name) <= 64 and not address(name)), "")
    return Order(
        common,
        now - SLACK,
        now + life,
        names=names,
        ca=False,
        key_usage=("digitalSignature",),
        usages=(SERVER,),
        must_staple=must_staple,
    )


def client_order(who: str, now: datetime, *, life: timedelta = LEAF_LIFE) -> Order:
    """A client's certificate for ``who``, a person or a program; an e-mail address becomes an rfc822Name too."""
    if not who or len(who) > 64 or not who.isprintable():
        raise UsageError("a client certificate needs a name of 1 to 64 characters")
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    if "@" in who and who.isascii():
        try:
            extra = ((x509.SubjectAlternativeName([x509.RFC822Name(who)]), False),)
        except ValueError as error:
            raise UsageError(f"{who!r} is no e-mail address") from error
    return Order(who, now - SLACK, now + life, ca=False, key_usage=("digitalSignature",), usages=(CLIENT,), extra=extra)


def within(life: timedelta, issuer: bytes, now: datetime) -> timedelta:
    """``life``, but no longer than that of ``issuer`` (DER); an issuer that has expired is left to who checks it."""
    text = certificate_facts(issuer).not_after_text
    rest = datetime.fromisoformat(text) - now if text else life
    return min(life, rest) if rest > timedelta() else life


def plain_name(name: str) -> str:
    """``name`` as it stands in a certificate: address in its usual form, host in lower case A-labels.

    Raises UsageError for what is neither (RFC 1035 2.3.1, RFC 5890): no label, a label too long, a stray character, a
    number at the end (RFC 1123 2.1: that is a mistyped address).
    """
    found = address(name)
    if found is not None:
        return found
    host = a_label(name.strip()).removesuffix(".")
    labels = host.removeprefix("*.").split(".")
    fine = (
        not labels[-1].isdecimal()
        and len(host) <= 253
        and all(
            1 <= len(label) <= 63
            and label.isascii()
            and label.replace("-", "").replace("_", "").isalnum()
            and not (label.startswith("-") or label.endswith("-"))
            for label in labels
        )
    )
    if not fine:
        raise UsageError(f"{name!r} is neither a host name nor an address")
    return host


# ---------------------------------------------------------------- writing


def mint(order: Order, public: PublicKey, signer: PrivateKey, issuer: bytes | None = None) -> bytes:
    """The certificate (DER) for ``public``, signed by ``signer`` in the name of ``issuer`` (DER; None: self-signed)."""
    above = x509.load_der_x509_certificate(issuer) if issuer else None
    builder = (
        x509.CertificateBuilder()
        .subject_name(order.subject)
        .issuer_name(above.subject if above else order.subject)
        .public_key(public)
        .serial_number(order.serial or x509.random_serial_number())
        .not_valid_before(order.not_before)
        .not_valid_after(order.not_after)
    )
    for extension, critical in extensions(order, public, above):
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, signing_hash(signer)).public_bytes(Encoding.DER)


def self_signed(order: Order, key: PrivateKey) -> Credential:
    """A root, or whatever else signs itself."""
    return Credential(mint(order, public_of(key), key), key)


def signed(order: Order, key: PrivateKey, issuer: Credential) -> Credential:
    """A certificate for ``key`` below ``issuer``."""
    return Credential(mint(order, public_of(key), issuer.key, issuer.der), key)


def public_of(key: PrivateKey) -> PublicKey:
    """The public half."""
    return key.public_key()


def extensions(
    order: Order, public: PublicKey, issuer: x509.Certificate | None
) -> list[tuple[x509.ExtensionType, bool]]:
    """The extensions of ``order`` with their critical flags, in the order they are written."""
    found: list[tuple[x509.ExtensionType, bool]] = []
    if order.ca is not None:
        found.append((x509.BasicConstraints(order.ca, order.path_length), True))
    if order.key_usage:
        found.append((_key_usage(_useful(order, public)), True))
    if order.usages:
        found.append((x509.ExtendedKeyUsage(order.usages), False))
    found.append((x509.SubjectKeyIdentifier.from_public_key(public), False))
    if issuer is not None:
        found.append((_authority(issuer), False))
    if order.names:
        names = [general_name(name) for name in order.names]
        found.append((x509.SubjectAlternativeName(names), not (order.common or order.organisation)))
    if order.permitted or order.excluded:
        trees = [[_subtree(name) for name in names] or None for names in (order.permitted, order.excluded)]
        found.append((x509.NameConstraints(*trees), True))
    access = [
        x509.AccessDescription(method, url(text))
        for method, text in (
            (AuthorityInformationAccessOID.OCSP, order.ocsp_url),
            (AuthorityInformationAccessOID.CA_ISSUERS, order.issuer_url),
        )
        if text
    ]
    if access:
        found.append((x509.AuthorityInformationAccess(access), False))
    if order.crl_url:
        point = x509.DistributionPoint([url(order.crl_url)], None, None, None)
        found.append((x509.CRLDistributionPoints([point]), False))
    if order.must_staple:
        found.append((x509.TLSFeature([x509.TLSFeatureType.status_request]), False))
    return [*found, *order.extra]


def _authority(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """The issuer's key identifier as it wrote it, or made from its key where it wrote none."""
    try:
        ski = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski.value)
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(cast(PublicKey, issuer.public_key()))


def _useful(order: Order, public: PublicKey) -> tuple[str, ...]:
    """A server's RSA key may encrypt too, as static RSA demands of its certificate (RFC 5246 7.4.2)."""
    server = order.key_usage == ("digitalSignature",) and SERVER in order.usages
    return (*order.key_usage, "keyEncipherment") if server and isinstance(public, rsa.RSAPublicKey) else order.key_usage


def _key_usage(names: tuple[str, ...]) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature="digitalSignature" in names,
        content_commitment="nonRepudiation" in names,
        key_encipherment="keyEncipherment" in names,
        data_encipherment="dataEncipherment" in names,
        key_agreement="keyAgreement" in names,
        key_cert_sign="keyCertSign" in names,
        crl_sign="cRLSign" in names,
        encipher_only="encipherOnly" in names,
        decipher_only="decipherOnly" in names,
    )


def general_name(name: str) -> x509.GeneralName:
    """``name``, plain, as an entry of subjectAltName."""
    found = address(name)
    return x509.IPAddress(ipaddress.ip_address(found)) if found else x509.DNSName(name)


def _subtree(tree: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_network(tree)) if "/" in tree else x509.DNSName(tree)


def url(text: str) -> x509.UniformResourceIdentifier:
    """``text`` as certificates hold it (RFC 5280 4.2.2.1).  Raises UsageError for what is no HTTP URL in ASCII."""
    if not re.fullmatch(r"https?://[!-~]+", text):
        raise UsageError(f"{text!r} is no URL of http or https in plain ASCII")
    return x509.UniformResourceIdentifier(text)


def pem(*ders: bytes, label: str = "CERTIFICATE") -> bytes:
    """Certificates in PEM (RFC 7468), one after the other; octets as they are, readable or not."""
    blocks = []
    for der in ders:
        text = base64.b64encode(der).decode("ascii")
        lines = [text[at : at + 64] for at in range(0, len(text), 64)]
        blocks.append("\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]))
    return "".join(blocks).encode("ascii")
