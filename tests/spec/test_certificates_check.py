"""Chains judged: minted faults by name, names by RFC 9525, and ``openssl verify`` as the foreign judge."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import MD5, SHA1
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.spec.certcheck import MAX_CHAIN, PROBLEMS, ChainVerdict, Severity, check_chain
from synfin.spec.certextensions import Subtree
from synfin.spec.certificates import CertificateFacts, certificate_facts
from synfin.spec.certnames import NameMatch, a_label, match_name, outside, u_label
from synfin.spec.certroots import RootSet, interception_product, pem_certificates
from tests.support.minted import NOW_NS, Minted, mint

OPENSSL = shutil.which("openssl")
NAME = "www.test.example"
DNS = x509.DNSName
CA_USAGE = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
SERVER = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
CLIENT = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
AIA = x509.AuthorityInformationAccess(
    [
        x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier("http://ca.test.example/")
        )
    ]
)


def authority(common: str, issuer: Minted | None = None, **more: object) -> Minted:
    settled: dict[str, object] = {"ca": True, "extensions": [(CA_USAGE, True)], "days": (-1000, 1000), "number": 10}
    return mint(common, issuer, **(settled | more))  # type: ignore[arg-type]


def server(issuer: Minted | None, **more: object) -> Minted:
    settled: dict[str, object] = {"sans": [DNS(NAME)], "ca": False, "extensions": [(SERVER, False)], "number": 12}
    return mint("site", issuer, **(settled | more))  # type: ignore[arg-type]


@dataclass
class Case:
    """A chain, what must be found (name, index), and what ``openssl verify`` must say (X509_V_ERR_*; 0: OK)."""

    chain: list[Minted]
    found: set[tuple[str, int | None]]
    openssl: set[int] | None
    trusted: bool | None = True
    name: str = NAME
    roots: list[Minted] | None = None
    options: list[str] = field(default_factory=list)


@lru_cache(maxsize=1)
def root() -> Minted:
    return authority("Root")


@lru_cache(maxsize=1)
def middle() -> Minted:
    return authority("Middle", root(), number=11)


def _good() -> Case:
    return Case([server(middle()), middle()], set(), {0})


def _expired_leaf() -> Case:
    return Case([server(middle(), days=(-80, -1)), middle()], {("expired", 0)}, {10})


def _expired_intermediate() -> Case:
    old = authority("Old", root(), days=(-80, -1), number=13)
    return Case([server(old), old], {("expired", 1)}, {10})


def _not_yet_valid() -> Case:
    return Case([server(middle(), days=(1, 80)), middle()], {("not_yet_valid", 0)}, {9})


def _wrong_name() -> Case:
    return Case([server(middle()), middle()], {("name_mismatch", 0)}, {62}, name="other.example")


def _common_name_only() -> Case:
    leaf = mint(NAME, middle(), ca=False, extensions=[(SERVER, False)], number=12)
    return Case([leaf, middle()], {("common_name_only", 0)}, None)


def _wildcard() -> Case:
    return Case([server(middle(), sans=[DNS("*.test.example")]), middle()], set(), {0})


def _wildcard_too_deep() -> Case:
    leaf = server(middle(), sans=[DNS("*.test.example")])
    return Case([leaf, middle()], {("wildcard_too_deep", 0)}, {62}, name="a.b.test.example")


def _address() -> Case:
    return Case(
        [server(middle(), sans=[x509.IPAddress(ip_address("192.0.2.1"))]), middle()], set(), {0}, name="192.0.2.1"
    )


def _address_as_name() -> Case:
    leaf = server(middle(), sans=[DNS("192.0.2.1")])
    return Case([leaf, middle()], {("name_mismatch", 0)}, {64}, name="192.0.2.1")


def _self_signed() -> Case:
    return Case([server(None)], {("self_signed", 0)}, {18}, trusted=False)


def _trusted_self_signed() -> Case:
    leaf = server(None)
    return Case([leaf], set(), {0}, roots=[leaf])


def _unknown_root() -> Case:
    own = authority("Own", number=14)
    return Case([server(own), own], {("unknown_root", 1)}, {19}, trusted=False)


def _unknown_issuer() -> Case:
    return Case([server(authority("Own", number=14))], {("unknown_issuer", 0)}, {20, 21}, trusted=False)


def _missing_intermediate() -> Case:
    leaf = server(middle(), extensions=[(SERVER, False), (AIA, False)])
    return Case([leaf], {("missing_intermediate", 0)}, {20, 21}, trusted=False)


def _upper_intermediate_missing() -> Case:
    lower = authority("Lower", middle(), number=15)
    return Case([server(lower), lower], {("unknown_issuer", 1)}, {20, 21}, trusted=False)


def _wrong_order() -> Case:
    lower = authority("Lower", middle(), number=15)
    return Case([server(lower), middle(), lower], {("wrong_order", None)}, {0})


def _leaf_not_first() -> Case:
    return Case(
        [middle(), server(middle())], {("wrong_order", 1), ("extra", 1), ("wrong_usage", 0), ("name_mismatch", 0)}, None
    )


def _extra() -> Case:
    return Case([server(middle()), middle(), authority("Stranger", number=16)], {("extra", 2)}, {0})


def _root_sent() -> Case:
    return Case([server(middle()), middle(), root()], set(), {0})


def _cross_signed() -> Case:
    """The root is trusted; its cross-signed twin and the expired root behind it were sent too and do not matter."""
    old = authority("Old root", days=(-1000, -1), number=17)
    cross = mint("Root", old, ca=True, extensions=[(CA_USAGE, True)], days=(-1000, -1), number=10)
    return Case([server(middle()), middle(), cross, old], set(), {0})


def _bad_signature() -> Case:
    twin = authority("Middle", root(), number=18)
    return Case([server(middle()), twin], {("bad_signature", 0)}, {7}, trusted=False)


def _rsa_1024() -> Case:
    return Case([server(middle(), kind="rsa1024"), middle()], {("weak_key", 0)}, {66})


def _weak_intermediate() -> Case:
    weak = authority("Weak", root(), kind="rsa1024", number=19)
    return Case([server(weak), weak], {("weak_key", 1)}, {67})


def _client_only() -> Case:
    return Case([server(middle(), extensions=[(CLIENT, False)]), middle()], {("wrong_usage", 0)}, {26})


def _usage_of_intermediate() -> Case:
    narrow = authority("Narrow", root(), extensions=[(CA_USAGE, True), (CLIENT, False)], number=20)
    return Case([server(narrow), narrow], {("wrong_usage", 1)}, {26, 79})


def _key_usage() -> Case:
    leaf = server(middle(), extensions=[(SERVER, False), (CA_USAGE, True)])
    return Case([leaf, middle()], {("wrong_usage", 0)}, {26})


def _not_a_ca() -> Case:
    plain = mint("Plain", root(), ca=False, days=(-100, 100), number=21)
    return Case([server(plain), plain], {("not_a_ca", 1)}, {24, 79})


def _no_basic_constraints() -> Case:
    plain = mint("Plain", root(), days=(-100, 100), number=21)
    return Case([server(plain), plain], {("not_a_ca", 1)}, {24, 79})


def _no_cert_sign() -> Case:
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    plain = authority("Plain", root(), extensions=[(usage, True)], number=21)
    return Case([server(plain), plain], {("no_cert_sign", 1)}, {24, 32, 79})


def _path_length() -> Case:
    short = authority("Short", root(), path_length=0, number=22)
    lower = authority("Lower", short, number=15)
    return Case([server(lower), lower, short], {("path_length", 2)}, {25})


def _path_length_kept() -> Case:
    short = authority("Short", root(), path_length=0, number=22)
    return Case([server(short), short], set(), {0})


def _constrained(*permitted: x509.GeneralName, excluded: tuple[x509.GeneralName, ...] = ()) -> Minted:
    constraints = x509.NameConstraints(list(permitted) or None, list(excluded) or None)
    return authority("Bound", root(), extensions=[(CA_USAGE, True), (constraints, True)], number=23)


def _name_permitted() -> Case:
    bound = _constrained(DNS("test.example"))
    return Case([server(bound), bound], set(), {0})


def _name_not_permitted() -> Case:
    bound = _constrained(DNS("other.example"))
    return Case([server(bound), bound], {("name_constraints", 1)}, {47})


def _name_excluded() -> Case:
    bound = _constrained(excluded=(DNS("test.example"),))
    return Case([server(bound), bound], {("name_constraints", 1)}, {48})


def _address_not_permitted() -> Case:
    bound = _constrained(x509.IPAddress(ip_network("10.0.0.0/8")))
    leaf = server(bound, sans=[DNS(NAME), x509.IPAddress(ip_address("192.0.2.1"))])
    return Case([leaf, bound], {("name_constraints", 1)}, {47})


def _unknown_critical() -> Case:
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    leaf = server(middle(), extensions=[(SERVER, False), (strange, True)])
    return Case([leaf, middle()], {("unknown_critical_extension", 0)}, {34})


def _too_long_life() -> Case:
    return Case([server(middle(), days=(-300, 300)), middle()], {("too_long_life", 0)}, {0})


def _ed25519() -> Case:
    return Case([server(middle(), kind="ed25519"), middle()], set(), {0})


def _ml_dsa() -> Case:
    quantum = authority("Quantum", root(), kind="ml-dsa-65", number=24)
    return Case([server(quantum, kind="ml-dsa-44"), quantum], set(), None)


def _no_subject() -> Case:
    leaf = mint(None, middle(), sans=[DNS(NAME)], ca=False, extensions=[(SERVER, False)], number=12)
    return Case([leaf, middle()], set(), {0})


CASES: dict[str, Callable[[], Case]] = {
    name[1:]: made
    for name, made in list(globals().items())
    if name.startswith("_") and getattr(made, "__annotations__", {}).get("return") == "Case"
}


def judge(case: Case, **more: object) -> ChainVerdict:
    roots = RootSet(minted.der for minted in case.roots or [root()])
    settled: dict[str, object] = {"name": case.name, "when_ns": NOW_NS, "roots": roots}
    return check_chain(tuple(minted.der for minted in case.chain), **(settled | more))  # type: ignore[arg-type]


@pytest.mark.parametrize("case_name", CASES)
def test_each_fault_is_named_and_nothing_else(case_name: str) -> None:
    case = CASES[case_name]()
    verdict = judge(case)
    found = {(problem.name, problem.index) for problem in verdict.problems if problem.name != "root_sent"}
    assert found == case.found
    assert verdict.trusted == case.trusted
    for problem in verdict.problems:
        assert problem.sentence
        assert "{" not in problem.sentence
    assert [p.severity for p in verdict.problems] == sorted((p.severity for p in verdict.problems), reverse=True)


@pytest.mark.skipif(OPENSSL is None, reason="openssl is missing")
@pytest.mark.parametrize("case_name", [name for name, made in CASES.items() if made().openssl is not None])
def test_openssl_verify_agrees(case_name: str, tmp_path: Path) -> None:
    """``openssl verify`` finds the fault that is expected, and refuses what we say clients refuse."""
    case = CASES[case_name]()
    leaf, rest = case.chain[0], case.chain[1:]
    (tmp_path / "leaf").write_bytes(leaf.pem)
    (tmp_path / "rest").write_bytes(b"".join(minted.pem for minted in rest))
    (tmp_path / "roots").write_bytes(b"".join(minted.pem for minted in case.roots or [root()]))
    check = ["-verify_ip", case.name] if case.name[0].isdigit() else ["-verify_hostname", case.name]
    command = [str(OPENSSL), "verify", "-no-CApath", "-no-CAstore", "-CAfile", str(tmp_path / "roots")]
    command += ["-purpose", "sslserver", "-auth_level", "2", "-attime", str(NOW_NS // 1_000_000_000), *check]
    command += ["-untrusted", str(tmp_path / "rest")] if rest else []
    answer = subprocess.run([*command, str(tmp_path / "leaf")], capture_output=True, text=True, check=False, timeout=10)
    codes = {int(code) for code in re.findall(r"error (\d+) at", answer.stderr)}
    assert (codes or {0}) & (case.openssl or set()), answer.stderr
    verdict = judge(case)
    assert verdict.refused or verdict.has("weak_key") if codes else not verdict.refused


def resigned(minted: Minted, signer: Minted, digest: str) -> bytes:
    """The same certificate signed with a hash that ``cryptography`` no longer takes for certificates."""
    number, algorithm = {"md5": (4, MD5()), "sha1": (5, SHA1())}[digest]
    prefix = bytes.fromhex("06092a864886f70d0101")
    whole = minted.der.replace(prefix + b"\x0b", prefix + bytes([number]))
    facts = certificate_facts(whole)
    return whole.replace(facts.signature, signer.key.sign(facts.tbs, PKCS1v15(), algorithm))


@pytest.mark.parametrize("digest", ["sha1", "md5"])
def test_weak_signatures(digest: str) -> None:
    issuer = authority("Issuer", kind="rsa2048", number=30)
    leaf = resigned(server(issuer), issuer, digest)
    verdict = check_chain((leaf, issuer.der), name=NAME, when_ns=NOW_NS, roots=RootSet([issuer.der]))
    assert [(p.name, p.index) for p in verdict.problems if p.name != "root_sent"] == [("weak_signature", 0)]
    assert verdict.trusted is True
    assert certificate_facts(leaf).signed_by(certificate_facts(issuer.der)) is True


def test_a_weak_hash_on_a_root_does_not_matter() -> None:
    issuer = authority("Issuer", kind="rsa2048", number=30)
    old_root = resigned(issuer, issuer, "sha1")
    assert certificate_facts(old_root).hash == "sha1"
    assert certificate_facts(old_root).self_signed
    verdict = check_chain((server(issuer).der, old_root), name=NAME, when_ns=NOW_NS)
    assert not verdict.has("weak_signature")


# ---------------------------------------------------------------- trust without roots, purposes, staples


def test_without_roots_trust_is_not_judged() -> None:
    verdict = judge(_good(), roots=None)
    assert (verdict.trusted, verdict.problems) == (None, ())
    assert judge(_unknown_root(), roots=None).trusted is None
    assert judge(_self_signed(), roots=None).has("self_signed", 0)
    missing = judge(_missing_intermediate(), roots=None)
    assert missing.has("missing_intermediate", 0)
    assert missing.trusted is None
    assert not judge(_unknown_issuer(), roots=None).problems


def test_client_purpose() -> None:
    case = _client_only()
    assert not judge(case, name=None, purpose="client").problems
    assert judge(_good(), name=None, purpose="client").has("wrong_usage", 0)


@pytest.mark.parametrize(("stapled", "found"), [(None, False), (True, False), (False, True)])
def test_must_staple(stapled: bool | None, found: bool) -> None:
    feature = x509.TLSFeature([x509.TLSFeatureType.status_request])
    leaf = server(middle(), extensions=[(SERVER, False), (feature, False)])
    verdict = check_chain((leaf.der, middle().der), name=NAME, when_ns=NOW_NS, stapled=stapled)
    assert verdict.has("must_staple", 0) == found


def test_the_time_decides() -> None:
    case = _good()
    leaf = certificate_facts(case.chain[0].der)
    for when, name in (
        (leaf.not_before, ""),
        (leaf.not_after, ""),
        ((leaf.not_before or 0) - 1, "not_yet_valid"),
        ((leaf.not_after or 0) + 1, "expired"),
    ):
        verdict = judge(case, when_ns=when)
        assert [problem.name for problem in verdict.problems] == ([name] if name else [])


def test_odd_chains_do_not_break_it() -> None:
    assert check_chain((), name=NAME, when_ns=NOW_NS).problems == ()
    broken = check_chain((b"\x30\x80", middle().der), name=NAME, when_ns=NOW_NS)
    assert broken.has("unparsable", 0)
    assert broken.trusted is None
    many = check_chain((server(middle()).der, *[middle().der] * 200), name=NAME, when_ns=NOW_NS)
    assert many.has("too_many")
    assert len(many.certificates) == MAX_CHAIN
    loop = tuple(minted.der for minted in (server(middle()), middle(), middle(), server(middle())))
    assert check_chain(loop, name=NAME, when_ns=NOW_NS).path[:2] == (0, 1)


@given(st.lists(st.binary(max_size=40) | st.sampled_from([0, 1, 2]), max_size=6))
@settings(max_examples=50, deadline=None)
def test_any_mixture_is_judged(parts: list[bytes | int]) -> None:
    known = (server(middle()).der, middle().der, root().der)
    chain = tuple(part if isinstance(part, bytes) else known[part] for part in parts)
    verdict = check_chain(chain, name=NAME, when_ns=NOW_NS, roots=RootSet([root().der]))
    assert all(problem.sentence for problem in verdict.problems)


def test_interception_is_recognised() -> None:
    proxy = authority("Zscaler Intermediate Root CA", number=31)
    verdict = check_chain((server(proxy).der,), name=NAME, when_ns=NOW_NS)
    assert verdict.interception == "Zscaler"
    assert interception_product("O=Let's Encrypt, CN=R3") == ""


def test_roots_are_read_from_pem() -> None:
    pem = b"# comment\n" + root().pem + middle().pem + b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"
    roots = RootSet(pem_certificates(pem))
    assert len(roots) == 2
    assert roots.has(certificate_facts(root().der))
    assert not roots.has(certificate_facts(server(middle()).der))


def test_every_problem_has_a_severity_and_a_sentence() -> None:
    for severity, sentence in PROBLEMS.values():
        assert isinstance(severity, Severity)
        assert not sentence.endswith(".")


# ---------------------------------------------------------------- names (RFC 9525)


def named(*names: str, cn: str = "", ips: tuple[str, ...] = ()) -> CertificateFacts:
    subject = (("2.5.4.3", cn),) if cn else ()
    return CertificateFacts(b"", "", True, subject=subject, san_dns=names or None, san_ip=ips or None)


@pytest.mark.parametrize(
    ("names", "wanted", "expected"),
    [
        (("example.com",), "example.com", NameMatch.MATCH),
        (("example.com",), "EXAMPLE.com.", NameMatch.MATCH),
        (("example.com",), "www.example.com", NameMatch.MISMATCH),
        (("*.example.com",), "www.example.com", NameMatch.MATCH),
        (("*.example.com",), "a.b.example.com", NameMatch.WILDCARD_TOO_DEEP),
        (("*.example.com",), "example.com", NameMatch.WILDCARD_NOT_BASE),
        (("*.com",), "example.com", NameMatch.MISMATCH),
        (("w*.example.com",), "www.example.com", NameMatch.MISMATCH),
        (("www.*.com",), "www.example.com", NameMatch.MISMATCH),
        (("*",), "localhost", NameMatch.MISMATCH),
        (("bücher.example",), "xn--bcher-kva.example", NameMatch.MATCH),
        (("xn--bcher-kva.example",), "Bücher.example", NameMatch.MATCH),
        (("*.xn--bcher-kva.example",), "www.bücher.example", NameMatch.MATCH),
        (("192.0.2.1",), "192.0.2.1", NameMatch.ADDRESS_AS_NAME),
        ((), "example.com", NameMatch.NO_NAMES),
    ],
)
def test_names(names: tuple[str, ...], wanted: str, expected: NameMatch) -> None:
    assert match_name(named(*names), wanted) is expected


def test_addresses_and_common_names() -> None:
    assert match_name(named(ips=("2001:db8::1",)), "2001:DB8:0:0::1") is NameMatch.MATCH
    assert match_name(named(ips=("2001:db8::1",)), "[2001:db8::1]") is NameMatch.MATCH
    assert match_name(named(ips=("192.0.2.1",)), "192.0.2.2") is NameMatch.MISMATCH
    assert match_name(named(cn="example.com"), "example.com") is NameMatch.COMMON_NAME_ONLY
    assert match_name(named(cn="192.0.2.1"), "192.0.2.1") is NameMatch.COMMON_NAME_ONLY
    assert match_name(named("other.example", cn="example.com"), "example.com") is NameMatch.MISMATCH
    assert match_name(named(cn="somebody"), "example.com") is NameMatch.MISMATCH


def test_labels_of_either_kind() -> None:
    assert a_label("Straße.example") == "xn--strae-oqa.example"
    assert u_label("xn--bcher-kva.example") == "bücher.example"
    assert u_label("xn--\u00fc") == "xn--\u00fc"


@given(st.text(max_size=30), st.text(max_size=30))
@settings(max_examples=200)
def test_any_names_are_compared(pattern: str, wanted: str) -> None:
    assert match_name(named(pattern), wanted) in NameMatch


@pytest.mark.parametrize(
    ("base", "name", "within"),
    [
        ("example.com", "example.com", True),
        ("example.com", "a.b.example.com", True),
        ("example.com", "*.example.com", True),
        ("example.com", "notexample.com", False),
        (".example.com", "www.example.com", True),
        (".example.com", "example.com", False),
        ("", "anything.example", True),
        ("EXAMPLE.com", "www.example.COM", True),
        ("www.example.com", "example.com", False),
    ],
)
def test_name_constraints_on_names(base: str, name: str, within: bool) -> None:
    trees = (Subtree("dns", base),)
    assert (outside(named(name), trees, ()) == "") == within
    assert (outside(named(name), (), trees) == "") == (not within)


@given(
    st.lists(st.ip_addresses(), min_size=1, max_size=5),
    st.lists(st.tuples(st.ip_addresses(), st.integers(0, 128)), min_size=1, max_size=5),
)
@settings(max_examples=100)
def test_name_constraints_on_addresses_equal_the_plain_way(
    addresses: list[IPv4Address | IPv6Address], bases: list[tuple[IPv4Address | IPv6Address, int]]
) -> None:
    networks = [ip_network((base, min(size, base.max_prefixlen)), strict=False) for base, size in bases]
    facts = named(ips=tuple(str(address) for address in addresses))
    inside = [any(address in network for network in networks) for address in addresses]
    trees = tuple(Subtree("ip", str(network)) for network in networks)
    assert (outside(facts, trees, ()) == "") == all(inside)
    assert (outside(facts, (), trees) == "") == (not any(inside))


def test_many_names_under_many_trees() -> None:
    names = tuple(f"n{number}.example" for number in range(5000))
    trees = tuple(Subtree("dns", f"t{number}.example") for number in range(5000))
    assert outside(named(*names), (), trees) == ""
    assert outside(named(*names), trees, ()) == names[0]
