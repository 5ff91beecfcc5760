"""The roots a person trusts, and the names of products that put their own root in between.

Reading the operating system's bundle is the command's job; here a ``RootSet`` is made of its bytes.  A root vouches
for a certificate when subject, key identifier where both are there, and signature fit (RFC 5280 6.1).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

from synfin.spec.certificates import CertificateFacts, certificate_facts

_PEM = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----\s*(.*?)-----END", re.DOTALL)


def pem_certificates(data: bytes) -> tuple[bytes, ...]:
    """The DER of each certificate in PEM text; blocks that are not base64 are left out."""
    found = []
    for block in _PEM.findall(data):
        try:
            found.append(base64.b64decode(b"".join(block.split()), validate=True))
        except binascii.Error:
            continue
    return tuple(found)


class RootSet:
    """Trusted roots by subject.  ``len()`` is how many could be read."""

    __slots__ = ("_by_subject", "_count")

    def __init__(self, ders: Iterable[bytes]) -> None:
        self._by_subject: dict[bytes, list[CertificateFacts]] = {}
        self._count = 0
        for der in ders:
            facts = certificate_facts(der)
            if facts.parsed:
                self._by_subject.setdefault(facts.subject_der, []).append(facts)
                self._count += 1

    def __len__(self) -> int:
        return self._count

    def has(self, certificate: CertificateFacts) -> bool:
        """Whether this very name and key is a root."""
        return any(root.spki == certificate.spki for root in self._by_subject.get(certificate.subject_der, ()))

    def issuer(self, certificate: CertificateFacts) -> CertificateFacts | None:
        """The root that signed ``certificate``, or None."""
        for root in self._by_subject.get(certificate.issuer_der, ()):
            if certificate.aki and root.ski and certificate.aki != root.ski:
                continue
            if certificate.signed_by(root):
                return root
        return None

    def claimed(self, certificate: CertificateFacts) -> CertificateFacts | None:
        """The root that ``certificate`` names by name and key identifier, and that did not sign it; None for none."""
        for root in self._by_subject.get(certificate.issuer_der, ()):
            if certificate.aki and certificate.aki == root.ski and certificate.signed_by(root) is False:
                return root
        return None


#: Products that open TLS on its way, and words of the issuer names they use out of the box.
INTERCEPTORS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Avast", ("avast! web", "avast web/mail shield", "avg web/mail shield")),
    ("Barracuda", ("barracuda",)),
    ("Bitdefender", ("bitdefender",)),
    ("Blue Coat", ("blue coat", "bluecoat", "proxysg")),
    ("Burp Suite", ("portswigger",)),
    ("Charles", ("charles proxy",)),
    ("Check Point", ("check point", "checkpoint")),
    ("Cisco", ("cisco umbrella", "cisco secure access", "ironport")),
    ("ESET", ("eset ssl filter",)),
    ("Fiddler", ("do_not_trust_fiddlerroot", "fiddlerroot")),
    ("Forcepoint", ("forcepoint", "websense")),
    ("Fortinet", ("fortinet", "fortigate")),
    ("Kaspersky", ("kaspersky anti-virus personal root", "kaspersky web anti-virus")),
    ("McAfee", ("mcafee web gateway", "skyhigh")),
    ("mitmproxy", ("mitmproxy",)),
    ("Netskope", ("netskope",)),
    ("NordVPN Threat Protection", ("nordvpn",)),
    ("OWASP ZAP", ("owasp zed attack proxy", "owasp root ca", "zap root ca")),
    ("Palo Alto Networks", ("palo alto networks", "panw")),
    ("SonicWall", ("sonicwall",)),
    ("Sophos", ("sophos",)),
    ("Squid", ("squid",)),
    ("Symantec Web Security", ("symantec web security", "symantec cloud swg")),
    ("Untangle", ("untangle",)),
    ("WatchGuard", ("watchguard", "fireware https proxy")),
    ("Zscaler", ("zscaler",)),
)


def interception_product(issuer_text: str) -> str:
    """The product whose out-of-the-box issuer name ``issuer_text`` looks like, or ""."""
    text = issuer_text.lower()
    return next((product for product, words in INTERCEPTORS if any(word in text for word in words)), "")
