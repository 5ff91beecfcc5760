"""The catalogue of wrong certificates: one documented function each, minted when asked for, never stored.

``FAULTS`` has them by name: what was done, the one problem that ``examine`` must find and no other, the violation a
peer meets, and what ``openssl verify`` says.  They are for servers and clients made to go wrong on purpose, for
teaching, and for testing judges, ours first.  Faults of the leaf stand in ``faults_leaf``, those above it in
``faults_path``; here are those of keys and algorithms and of revocation, and the register.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from synfin.errors import UsageError
from synfin.pki import faults_leaf, faults_path
from synfin.pki.examine import Presented
from synfin.pki.faultkit import DAY, Bench, Fault, fault
from synfin.pki.forge import forge
from synfin.pki.mint import Credential, self_signed, signed
from synfin.pki.revocation import Revoked, make_crl, staple

_HERE: list[Fault] = []

# ---------------------------------------------------------------- keys and algorithms


@fault(_HERE, "weak_key", 66)
def rsa_1024(bench: Bench) -> Presented:
    """The leaf's key is RSA with 1024 bits."""
    return bench.presented(bench.leaf(kind="rsa1024"))


@fault(_HERE, "weak_key", 67)
def rsa_1024_intermediate(bench: Bench) -> Presented:
    """The intermediate's key is RSA with 1024 bits."""
    middle = signed(bench.middle_order(), bench.key("rsa1024", 1), bench.root)
    return bench.presented(bench.leaf(issuer=middle), middle)


@fault(_HERE, "weak_key", 66)
def p_192(bench: Bench) -> Presented:
    """The leaf's key is on the curve P-192."""
    return bench.presented(bench.leaf(kind="p192"))


@fault(_HERE, "weak_signature", 68)
def sha1_leaf(bench: Bench) -> Presented:
    """The leaf is signed with SHA-1, for which collisions are made (2017)."""
    return bench.presented(forge(bench.order(), bench.key(number=2), bench.middle, digest=hashes.SHA1()))


@fault(_HERE, "weak_signature", 68)
def sha1_intermediate(bench: Bench) -> Presented:
    """The intermediate is signed with SHA-1."""
    middle = forge(bench.middle_order(), bench.key(number=1), bench.root, digest=hashes.SHA1())
    return bench.presented(bench.leaf(issuer=middle), middle)


def _rsa_middle(bench: Bench) -> Credential:
    return signed(bench.middle_order(), bench.key("rsa2048", 1), bench.root)


@fault(_HERE, "weak_signature", 68)
def md5_leaf(bench: Bench) -> Presented:
    """The leaf is signed with MD5, for which a CA was forged (2008)."""
    middle = _rsa_middle(bench)
    return bench.presented(forge(bench.order(), bench.key(number=2), middle, digest=hashes.MD5()), middle)


@fault(_HERE, "irregular", 7)
def two_algorithms(bench: Bench) -> Presented:
    """Inside of what is signed stands another signature algorithm than outside (RFC 5280 4.1.1.2)."""
    leaf = forge(bench.order(), bench.key(number=2), bench.middle, digest=hashes.SHA1(), outer=hashes.SHA256())
    return bench.presented(leaf)


@fault(_HERE, "uncommon_key", 0)
def p_521_only(bench: Bench) -> Presented:
    """The leaf's key is on P-521, and there is no other certificate: Chromium does not offer its signatures."""
    return bench.presented(bench.leaf(kind="p521"))


@fault(_HERE, "uncommon_key", 0)
def ed25519_only(bench: Bench) -> Presented:
    """The leaf's key is Ed25519, and there is no other certificate: browsers do not offer it."""
    return bench.presented(bench.leaf(kind="ed25519"))


@fault(_HERE, "uncommon_key", 0)
def ed448_only(bench: Bench) -> Presented:
    """The leaf's key is Ed448, and there is no other certificate: browsers do not offer it."""
    return bench.presented(bench.leaf(kind="ed448"))


@fault(_HERE, "uncommon_key")
def ml_dsa_only(bench: Bench) -> Presented:
    """The leaf's key is ML-DSA-65 (RFC 9881), and there is no other certificate: few clients know it yet."""
    return bench.presented(bench.leaf(kind="ml-dsa-65"))


# ---------------------------------------------------------------- revocation


def _revoked(bench: Bench, one: Credential) -> Revoked:
    return Revoked(one.facts.serial, bench.now - DAY, "keyCompromise")


@fault(_HERE, "revoked", 0)
def revoked_by_staple(bench: Bench) -> Presented:
    """The leaf was revoked yesterday; the stapled OCSP response says so.  (``openssl verify`` sees no staple.)"""
    leaf = bench.leaf()
    return replace(
        bench.presented(leaf), stapled=staple(leaf.der, bench.middle, bench.now, revoked=_revoked(bench, leaf))
    )


@fault(_HERE, "revoked", 23)
def revoked_by_crl(bench: Bench) -> Presented:
    """The leaf was revoked yesterday; the CRL says so."""
    leaf = bench.leaf()
    return replace(bench.presented(leaf), crls=(make_crl(bench.middle, [_revoked(bench, leaf)], 1, bench.now),))


@fault(_HERE, "revoked", 23)
def revoked_intermediate(bench: Bench) -> Presented:
    """The intermediate was revoked yesterday; the root's CRL says so, and the leaf itself was not revoked."""
    lists = (
        make_crl(bench.middle, [], 1, bench.now),
        make_crl(bench.root, [_revoked(bench, bench.middle)], 1, bench.now),
    )
    return replace(bench.presented(), crls=lists)


@fault(_HERE, "bad_staple", 0)
def old_staple(bench: Bench) -> Presented:
    """The stapled OCSP response ran out: the server did not fetch a new one."""
    leaf = bench.leaf()
    return replace(bench.presented(leaf), stapled=staple(leaf.der, bench.middle, bench.now - 3 * DAY))


@fault(_HERE, "bad_staple", 0)
def staple_from_the_future(bench: Bench) -> Presented:
    """The stapled OCSP response is good from tomorrow on: the responder's clock is wrong."""
    leaf = bench.leaf()
    return replace(bench.presented(leaf), stapled=staple(leaf.der, bench.middle, bench.now + DAY))


@fault(_HERE, "bad_staple", 0)
def staple_for_another(bench: Bench) -> Presented:
    """The stapled OCSP response is about another certificate: it was not renewed with the certificate."""
    return replace(bench.presented(), stapled=staple(bench.leaf().der, bench.middle, bench.now))


@fault(_HERE, "bad_staple", 0)
def staple_by_a_stranger(bench: Bench) -> Presented:
    """The stapled OCSP response was signed by a key the issuer never authorised."""
    leaf = bench.leaf()
    order = replace(bench.order("ocsp.example.net"), usages=(ExtendedKeyUsageOID.OCSP_SIGNING,))
    stranger = self_signed(order, bench.key(number=8))
    return replace(bench.presented(leaf), stapled=staple(leaf.der, bench.middle, bench.now, responder=stranger))


#: Name -> fault, in the order of the catalogue.
FAULTS: Mapping[str, Fault] = {one.name: one for one in (*faults_leaf.FAULTS, *faults_path.FAULTS, *_HERE)}


def mint_fault(name: str, now: datetime, bench: Bench | None = None) -> Presented:
    """What the fault ``name`` presents at ``now``; a ``bench`` is given where many are made.  Raises UsageError."""
    if name not in FAULTS:
        raise UsageError(f"no certificate fault {name!r}; there are {', '.join(sorted(FAULTS))}")
    return FAULTS[name].make(bench or Bench(now))
