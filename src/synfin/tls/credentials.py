"""Which of our credentials a peer gets: by name, by what its signatures may be, by what it says about issuers.

A server prefers leaves that may sign handshakes, then chains whose signatures the client can check (RFC 8446 4.2.3,
4.4.2.2), then the authorities the client lists (4.2.4).  A client sends only what the request's authorities and filters
admit (4.2.4, 4.2.5; RFC 5246 7.4.4), and nothing where nothing fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from synfin.errors import PeerError, WireError
from synfin.spec import der as d
from synfin.spec import oids
from synfin.spec.certextensions import READERS
from synfin.spec.certificates import certificate_facts
from synfin.tls import checks, signing
from synfin.tls.config import TLS13, Credential
from synfin.tls.signing import SIGNING, allows
from synfin.wire.tls.bodies import CertificateAuthorities, OidFilter

if TYPE_CHECKING:
    from synfin.tls.hello import Hello
    from synfin.tls.server import Server

#: Signature of a certificate (family, hash) -> schemes that stand for it.
_SCHEMES: dict[tuple[str, str], tuple[int, ...]] = {
    ("rsa", "sha1"): (0x0201,),
    ("rsa", "sha256"): (0x0401,),
    ("rsa", "sha384"): (0x0501,),
    ("rsa", "sha512"): (0x0601,),
    ("rsa-pss", "sha256"): (0x0804, 0x0809),
    ("rsa-pss", "sha384"): (0x0805, 0x080A),
    ("rsa-pss", "sha512"): (0x0806, 0x080B),
    ("ecdsa", "sha1"): (0x0203,),
    ("ecdsa", "sha256"): (0x0403,),
    ("ecdsa", "sha384"): (0x0503,),
    ("ecdsa", "sha512"): (0x0603,),
    ("ed25519", ""): (0x0807,),
    ("ed448", ""): (0x0808,),
    ("ml-dsa", ""): (0x0904, 0x0905, 0x0906),
}


@lru_cache(maxsize=256)
def chain_schemes(chain: tuple[bytes, ...]) -> tuple[tuple[int, ...], ...]:
    """For each signature in a chain the schemes that name it; a self-signed certificate's own does not count."""
    found = []
    for der in chain:
        facts = certificate_facts(der)
        known = oids.SIGNATURES.get(facts.sig_alg)
        if known is not None and not facts.self_issued:
            found.append(_SCHEMES.get((known.family, facts.hash), ()))
    return tuple(found)


def _checkable(credential: Credential, schemes: tuple[int, ...]) -> bool:
    return all(any(code in schemes for code in codes) for codes in chain_schemes(credential.chain))


def candidates(end: Server, hello: Hello) -> tuple[Credential, ...]:
    """A server's credentials for the name a client asks for, best first.

    All of them where none is for it; PeerError unrecognized_name where names are strict.
    """
    name, config = hello.server_name, end.config
    found = config.credentials
    if name:
        fitting = tuple([c for c in found if c.names(name)])
        if not fitting and config.strict_sni:
            raise PeerError("unrecognized_name", "a name we serve", name)
        found = fitting or found
    if len(found) == 1:
        return found
    schemes = hello.codes(checks.SCHEMES_CERT) or hello.codes(checks.SCHEMES)
    listed = hello.decoded.get(checks.AUTHORITIES)
    wanted = Wanted(listed.values if isinstance(listed, CertificateAuthorities) else (), (), schemes)

    def order(credential: Credential) -> tuple[bool, bool, bool]:
        unfit = hello.version == TLS13 and not allows(credential.chain[0], SIGNING)
        unlisted = bool(wanted.authorities) and not wanted.fits(credential)
        return unfit, bool(schemes) and not _checkable(credential, schemes), unlisted

    return tuple(sorted(found, key=order))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a peer says beyond the schemes of the handshake's signature: DER names, filters, schemes of the chain."""

    authorities: tuple[bytes, ...] = ()
    filters: tuple[OidFilter, ...] = ()
    schemes: tuple[int, ...] = ()

    def choose(self, credentials: tuple[Credential, ...]) -> tuple[Credential, ...]:
        """Those that fit, with chains the server can check first."""
        fitting = [c for c in credentials if self.fits(c)]
        return tuple(sorted(fitting, key=lambda credential: not _checkable(credential, self.schemes)))

    def fits(self, credential: Credential) -> bool:
        """Whether an authority issued something in the chain, and the leaf passes every filter we understand."""
        issuers = {certificate_facts(der).issuer_der for der in credential.chain}
        if self.authorities and issuers.isdisjoint(self.authorities):
            return False
        return all(_passes(credential.chain[0], *one) for one in self.filters)


#: Extensions of which a filter may speak: key usage and extended key usage; others are ignored.
_FILTERED = {"2.5.29.15": "key_usage", "2.5.29.37": "extended_key_usage"}


def _passes(leaf: bytes, oid: bytes, values: bytes) -> bool:
    """Whether a certificate has all that a filter names.  PeerError decode_error for one that is not DER."""
    try:
        start, stop = d.expect(oid, 0, len(oid), d.OID, "certificate_extension_oid")
        name = d.oid_text(oid[start:stop])
        if name not in _FILTERED or not values:
            return True
        asked = READERS[name](values)[_FILTERED[name]]
    except WireError as error:
        raise PeerError("decode_error", "oid_filters in DER", str(error)) from None
    return set(asked) <= set(getattr(certificate_facts(leaf), _FILTERED[name]) or ())


def pick(
    credentials: tuple[Credential, ...], offered: tuple[int, ...], ours: tuple[int, ...], version: int
) -> tuple[Credential, int] | None:
    """The first credential that can sign with a scheme both have, and that scheme."""
    for credential in credentials:
        code = signing.choose(credential.kind, offered, version, ours)
        if code is not None:
            return credential, code
    return None
