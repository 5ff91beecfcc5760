"""Faults above the leaf: what was sent, who issued it, whether the root is known, what the issuers may do."""

from __future__ import annotations

from dataclasses import replace

from cryptography.x509.oid import ExtendedKeyUsageOID

from synfin.pki.examine import Presented
from synfin.pki.faultkit import DAY, Bench, Fault, dated, fault
from synfin.pki.forge import spoil_signature
from synfin.pki.mint import SERVER, Credential, Order, self_signed, signed

FAULTS: list[Fault] = []

# ---------------------------------------------------------------- time


@fault(FAULTS, "expired", 10)
def expired_intermediate(bench: Bench) -> Presented:
    """The intermediate expired three days ago, the leaf did not."""
    return bench.under(dated(bench.middle_order(), bench.now - 300 * DAY, bench.now - 3 * DAY))


@fault(FAULTS, "not_yet_valid", 9)
def future_intermediate(bench: Bench) -> Presented:
    """The intermediate becomes valid in two days."""
    return bench.under(dated(bench.middle_order(), bench.now + 2 * DAY, bench.now + 300 * DAY))


@fault(FAULTS, "expired_root", 10)
def expired_root(bench: Bench) -> Presented:
    """The trusted root itself expired three days ago, as AddTrust's did in 2020."""
    order = dated(Order("Old Root", bench.now, bench.now, ca=True), bench.now - 3000 * DAY, bench.now - 3 * DAY)
    root = self_signed(order, bench.key())
    middle = signed(bench.middle_order(), bench.key(number=1), root)
    return bench.presented(bench.leaf(issuer=middle), middle, roots=(root,))


# ---------------------------------------------------------------- what is sent


def _hinting(bench: Bench) -> Credential:
    """A leaf that says where its issuer's certificate is."""
    return bench.leaf(replace(bench.order(), issuer_url="http://ca.example.com/intermediate.cer"))


@fault(FAULTS, "missing_intermediate", 20)
def missing_intermediate(bench: Bench) -> Presented:
    """Only the leaf is sent.  Browsers may fetch the intermediate from the address in the leaf; curl fails."""
    leaf = _hinting(bench)
    return replace(bench.presented(leaf), chain=(leaf.der,))


@fault(FAULTS, "unknown_issuer", 20)
def missing_intermediate_without_hint(bench: Bench) -> Presented:
    """Only the leaf is sent, and it does not say where its issuer's certificate is."""
    leaf = bench.leaf()
    return replace(bench.presented(leaf), chain=(leaf.der,))


@fault(FAULTS, "unknown_issuer", 20)
def missing_upper_intermediate(bench: Bench) -> Presented:
    """Of two intermediates only the lower one is sent."""
    leaf, lower, _ = _two(bench)
    return bench.presented(leaf, lower)


def _two(bench: Bench) -> tuple[Credential, Credential, Credential]:
    """A leaf below two intermediates."""
    upper = signed(bench.middle_order(path_length=1, common="Fault Upper"), bench.key(number=1), bench.root)
    lower = signed(bench.middle_order(common="Fault Lower"), bench.key(number=3), upper)
    return bench.leaf(issuer=lower), lower, upper


@fault(FAULTS, "wrong_order", 0)
def wrong_order(bench: Bench) -> Presented:
    """The two intermediates are sent upper first: TLS 1.2 forbids it, most clients sort them."""
    leaf, lower, upper = _two(bench)
    return bench.presented(leaf, upper, lower)


@fault(FAULTS, "extra", 0)
def extra_certificate(bench: Bench) -> Presented:
    """A certificate that has nothing to do with the chain is sent along."""
    stranger = self_signed(replace(bench.order("stranger.example.net"), ca=True), bench.key(number=4))
    return bench.presented(bench.leaf(), bench.middle, stranger)


@fault(FAULTS, "extra", 0)
def leaf_twice(bench: Bench) -> Presented:
    """The leaf is sent twice: the file of the chain held it already."""
    leaf = bench.leaf()
    return bench.presented(leaf, leaf, bench.middle)


@fault(FAULTS, "root_sent", 0)
def root_sent(bench: Bench) -> Presented:
    """The root is sent along: it costs octets and proves nothing."""
    return bench.presented(bench.leaf(), bench.middle, bench.root)


@fault(FAULTS, "long_chain", 0)
def long_chain(bench: Bench) -> Presented:
    """Twelve certificates lead to the root: Mbed TLS and wolfSSL give up at about ten."""
    leaf, *above = _ladder(bench, 11)
    return bench.presented(leaf, *above)


@fault(FAULTS, "too_many", 0)
def endless_chain(bench: Bench) -> Presented:
    """Thirty-two certificates and the root are sent."""
    leaf, *above = _ladder(bench, 31)
    return bench.presented(leaf, *above, bench.root)


def _ladder(bench: Bench, count: int) -> list[Credential]:
    """A leaf and ``count`` intermediates above it, lowest first."""
    above = [bench.root]
    for number in range(count):
        order = bench.middle_order(path_length=None, common=f"Fault Step {number + 1}")
        above.append(signed(order, bench.key(number=10 + number % 2), above[-1]))
    return [bench.leaf(issuer=above[-1]), *above[:0:-1]]


# ---------------------------------------------------------------- trust


@fault(FAULTS, "self_signed", 18)
def self_signed_leaf(bench: Bench) -> Presented:
    """The leaf signed itself."""
    leaf = self_signed(bench.order(), bench.key(number=2))
    return replace(bench.presented(leaf), chain=(leaf.der,))


def _strange(bench: Bench, common: str) -> tuple[Credential, Credential, Credential]:
    """A sound chain below a root nobody trusts."""
    root = bench.root_of("p256", 5, common)
    middle = signed(bench.middle_order(common="Stranger"), bench.key(number=6), root)
    return bench.leaf(issuer=middle), middle, root


@fault(FAULTS, "unknown_root", 19)
def unknown_root(bench: Bench) -> Presented:
    """The chain ends in a root the client does not have, and the root is sent along."""
    return bench.presented(*_strange(bench, "Strange Root"))


@fault(FAULTS, "unknown_issuer", 20)
def unknown_root_not_sent(bench: Bench) -> Presented:
    """The chain ends below a root the client does not have."""
    return bench.presented(*_strange(bench, "Strange Root")[:2])


@fault(FAULTS, "unknown_issuer", 20)
def impostor_root(bench: Bench) -> Presented:
    """The chain ends below a root that has the name of a trusted one, and another key."""
    return bench.presented(*_strange(bench, "Fault Root")[:2])


@fault(FAULTS, "unknown_issuer", 20)
def circle(bench: Bench) -> Presented:
    """Two CAs issued each other, and no root either of them: who follows the issuers must not run in circles."""
    one, other = bench.key(number=1), bench.key(number=3)
    first = bench.middle_order(path_length=None, common="Fault First")
    second = bench.middle_order(path_length=None, common="Fault Second")
    lower = signed(first, one, self_signed(second, other))
    upper = signed(second, other, self_signed(first, one))
    return bench.presented(bench.leaf(issuer=lower), lower, upper)


# ---------------------------------------------------------------- what issuers may do


@fault(FAULTS, "not_a_ca", 24, 26, 79)
def no_ca_bit(bench: Bench) -> Presented:
    """The intermediate's basic constraints say that it is no CA (RFC 5280 4.2.1.9)."""
    return bench.under(replace(bench.middle_order(), ca=False, path_length=None))


@fault(FAULTS, "not_a_ca", 79, 24)
def no_basic_constraints(bench: Bench) -> Presented:
    """The intermediate has no basic constraints at all."""
    return bench.under(replace(bench.middle_order(), ca=None, path_length=None))


@fault(FAULTS, "not_a_ca", 24, 26, 32, 79)
def issued_by_a_leaf(bench: Bench) -> Presented:
    """The owner of a sound server certificate issued another one with it (CVE-2002-0862)."""
    return bench.under(bench.order("shop.example.net"))


@fault(FAULTS, "no_cert_sign", 26, 32, 79)
def no_cert_sign(bench: Bench) -> Presented:
    """The intermediate is a CA, and its key usage lacks keyCertSign (RFC 5280 4.2.1.3)."""
    return bench.under(replace(bench.middle_order(), key_usage=("digitalSignature", "cRLSign")))


@fault(FAULTS, "path_length", 25)
def path_length(bench: Bench) -> Presented:
    """The upper intermediate allows no CA below itself, and there is one (RFC 5280 4.2.1.9)."""
    upper = signed(bench.middle_order(path_length=0, common="Fault Upper"), bench.key(number=1), bench.root)
    lower = signed(bench.middle_order(common="Fault Lower"), bench.key(number=3), upper)
    return bench.presented(bench.leaf(issuer=lower), lower, upper)


@fault(FAULTS, "path_length", 25)
def root_allows_no_intermediate(bench: Bench) -> Presented:
    """The trusted root allows no CA below itself, and there is one; the root was not sent (RFC 5937)."""
    return _below_root(bench, path_length=0)


def _below_root(bench: Bench, *, path_length: int | None = None, permitted: tuple[str, ...] = ()) -> Presented:
    """A sound chain below a trusted root of its own, which may not do everything."""
    order = replace(bench.root_order(), path_length=path_length, permitted=permitted)
    root = self_signed(order, bench.key())
    middle = signed(bench.middle_order(), bench.key(number=1), root)
    return bench.presented(bench.leaf(issuer=middle), middle, roots=(root,))


@fault(FAULTS, "name_constraints", 47)
def outside_permitted_names(bench: Bench) -> Presented:
    """The intermediate may issue for example.org only (RFC 5280 4.2.1.10)."""
    return bench.under(replace(bench.middle_order(), permitted=("example.org",)))


@fault(FAULTS, "name_constraints", 47)
def outside_permitted_names_of_the_root(bench: Bench) -> Presented:
    """The trusted root may sign for example.org only; it was not sent, so only who knows it can tell (RFC 5937)."""
    return _below_root(bench, permitted=("example.org",))


@fault(FAULTS, "name_constraints", 48)
def inside_excluded_names(bench: Bench) -> Presented:
    """The intermediate may issue for everything but example.com."""
    return bench.under(replace(bench.middle_order(), excluded=("example.com",)))


@fault(FAULTS, "name_constraints", 47)
def outside_permitted_addresses(bench: Bench) -> Presented:
    """The intermediate may issue for addresses of 10.0.0.0/8 only."""
    order = replace(bench.middle_order(), permitted=("10.0.0.0/8",))
    return replace(bench.under(order, bench.order("192.0.2.1")), name="192.0.2.1")


@fault(FAULTS, "wrong_usage", 26)
def intermediate_of_other_usage(bench: Bench) -> Presented:
    """The intermediate is for signing code: web clients take that for what is below it too."""
    return bench.under(replace(bench.middle_order(), usages=(ExtendedKeyUsageOID.CODE_SIGNING,)))


# ---------------------------------------------------------------- signatures


@fault(FAULTS, "bad_signature", 7)
def bad_signature(bench: Bench) -> Presented:
    """One bit of the leaf's signature is wrong."""
    leaf = bench.leaf()
    return bench.presented(Credential(spoil_signature(leaf.der), leaf.key))


@fault(FAULTS, "bad_signature", 7, also=("root_sent",))
def bad_signature_on_intermediate(bench: Bench) -> Presented:
    """One bit of the intermediate's signature is wrong; the root is sent along, which tells whose it should be."""
    return bench.presented(bench.leaf(), Credential(spoil_signature(bench.middle.der), bench.middle.key), bench.root)


@fault(FAULTS, "bad_signature", 7)
def signed_by_another_key(bench: Bench) -> Presented:
    """The leaf names the intermediate as its issuer, and another key signed it."""
    return bench.presented(bench.leaf(issuer=Credential(bench.middle.der, bench.key(number=7))))


@fault(FAULTS, "bad_signature", 7)
def changed_after_signing(bench: Bench) -> Presented:
    """A name in the leaf was changed after it had been signed."""
    leaf = bench.leaf(replace(bench.order("wwx.example.com"), usages=(SERVER,)))
    return bench.presented(Credential(leaf.der.replace(b"wwx.example.com", b"www.example.com"), leaf.key))
