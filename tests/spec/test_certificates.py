"""Certificate facts: equal to what ``cryptography`` reads where it reads, and still there where it refuses."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.spec import der as d
from synfin.spec.certcheck import check_chain
from synfin.spec.certextensions import Subtree
from synfin.spec.certificates import CertificateFacts, certificate_facts
from synfin.spec.distinguished import name_text
from tests.support.minted import NOW, key, mint


def rich() -> bytes:
    """A certificate with every extension the facts know."""
    uri = x509.UniformResourceIdentifier
    access = x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(AuthorityInformationAccessOID.OCSP, uri("http://ocsp.test.example")),
            x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, uri("http://ca.test.example/ca.der")),
        ]
    )
    constraints = x509.NameConstraints(
        [x509.DNSName("test.example"), x509.IPAddress(ip_network("10.0.0.0/8"))], [x509.DNSName(".bad.test.example")]
    )
    usage = x509.KeyUsage(True, False, False, False, True, True, False, True, False)
    return mint(
        "test.example",
        sans=[
            x509.DNSName("test.example"),
            x509.DNSName("*.test.example"),
            x509.IPAddress(ip_address("192.0.2.7")),
            x509.IPAddress(ip_address("2001:db8::1")),
            x509.RFC822Name("who@test.example"),
            uri("https://test.example/"),
            x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "inner")])),
            x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4")),
        ],
        ca=True,
        path_length=3,
        extensions=[
            (usage, True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False),
            (access, False),
            (x509.SubjectKeyIdentifier(b"s" * 20), False),
            (x509.AuthorityKeyIdentifier(b"a" * 20, None, None), False),
            (constraints, True),
            (x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("2.23.140.1.2.1"), None)]), False),
            (x509.TLSFeature([x509.TLSFeatureType.status_request]), False),
        ],
    ).der


RICH = rich()


def test_every_known_extension_is_read() -> None:
    facts = certificate_facts(RICH)
    assert facts.parsed
    assert facts.problems == ()
    assert facts.sha256 == hashlib.sha256(RICH).hexdigest()
    assert facts.san_dns == ("test.example", "*.test.example")
    assert facts.san_ip == ("192.0.2.7", "2001:db8::1")
    assert facts.san_other == (
        ("email", "who@test.example"),
        ("uri", "https://test.example/"),
        ("directory", "CN=inner"),
        ("rid", "1.2.3.4"),
    )
    assert (facts.is_ca, facts.path_length) == (True, 3)
    assert facts.key_usage == ("digitalSignature", "keyAgreement", "keyCertSign", "encipherOnly")
    assert facts.usage_names == ("serverAuth", "clientAuth")
    assert (facts.ocsp, facts.ca_issuers) == (("http://ocsp.test.example",), ("http://ca.test.example/ca.der",))
    assert (facts.ski, facts.aki) == (b"s" * 20, b"a" * 20)
    assert facts.permitted == (Subtree("dns", "test.example"), Subtree("ip", "10.0.0.0/8"))
    assert facts.excluded == (Subtree("dns", ".bad.test.example"),)
    assert facts.policies == ("2.23.140.1.2.1",)
    assert facts.must_staple
    assert facts.subject_text == "O=Test, CN=test.example"
    assert facts.self_issued
    assert facts.self_signed
    assert len(facts.extensions) == 10


KINDS = ["rsa2048", "rsa1024", "p256", "p384", "p521", "ed25519", "ed448", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87"]
KEYS = [
    ("rsa", 2048),
    ("rsa", 1024),
    ("ec:secp256r1", 256),
    ("ec:secp384r1", 384),
    ("ec:secp521r1", 521),
    ("ed25519", 256),
    ("ed448", 456),
    ("ml-dsa-44", None),
    ("ml-dsa-65", None),
    ("ml-dsa-87", None),
]


@pytest.mark.parametrize(("kind", "expected"), list(zip(KINDS, KEYS, strict=True)))
def test_keys_and_signatures_of_every_kind(kind: str, expected: tuple[str, int | None]) -> None:
    certificate = mint("test.example", kind=kind)
    facts = certificate_facts(certificate.der)
    assert facts.key == expected
    assert facts.self_signed
    assert facts.sig_alg == certificate.certificate.signature_algorithm_oid.dotted_string
    assert facts.sig_name != facts.sig_alg
    other = certificate_facts(mint("test.example", kind=kind, number=1).der)
    assert facts.signed_by(other) is False
    family = certificate_facts(mint("test.example", kind="p256" if kind != "p256" else "rsa2048", number=2).der)
    assert facts.signed_by(family) is False


def test_rsa_pss_signature_and_hash() -> None:
    private = key("rsa2048")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pss")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .sign(private, SHA384(), rsa_padding=padding.PSS(padding.MGF1(SHA384()), 48))
    )
    facts = certificate_facts(certificate.public_bytes(Encoding.DER))
    assert (facts.sig_name, facts.hash, facts.self_signed) == ("rsassaPss", "sha384", True)


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
LABELS = st.from_regex(r"[a-z0-9*-]{1,12}\.example", fullmatch=True)


@given(
    names=st.lists(
        st.tuples(st.sampled_from([NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.LOCALITY_NAME]), NAMES),
        max_size=4,
    ),
    serial=st.integers(1, 2**159 - 1),
    start=st.datetimes(datetime(1951, 1, 1), datetime(2049, 1, 1)),
    days=st.integers(1, 100_000),
    sans=st.none() | st.lists(LABELS, min_size=1, max_size=4),
    ca=st.none() | st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_facts_equal_cryptography(
    names: list[tuple[x509.ObjectIdentifier, str]],
    serial: int,
    start: datetime,
    days: int,
    sans: list[str] | None,
    ca: bool | None,
) -> None:
    """The same certificate read by both: every field that both have is the same."""
    subject = x509.Name([x509.NameAttribute(kind, value) for kind, value in names])
    private = key("p256")
    end = start.replace(microsecond=0) + timedelta(days=days)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")]))
        .public_key(private.public_key())
        .serial_number(serial)
        .not_valid_before(start.replace(microsecond=0))
        .not_valid_after(end)
    )
    if sans is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(san) for san in sans]), False)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, None), True)
    certificate = builder.sign(private, SHA256())
    facts = certificate_facts(certificate.public_bytes(Encoding.DER))
    assert_equal(facts, certificate)


def assert_equal(facts: CertificateFacts, certificate: x509.Certificate) -> None:
    """Every field that ``cryptography`` has too."""
    pattern = "%Y-%m-%dT%H:%M:%SZ"
    assert facts.parsed
    assert facts.serial == certificate.serial_number
    assert facts.version == certificate.version.value + 1
    assert facts.not_before == int(certificate.not_valid_before_utc.timestamp()) * 1_000_000_000
    assert facts.not_after == int(certificate.not_valid_after_utc.timestamp()) * 1_000_000_000
    assert facts.not_after_text == certificate.not_valid_after_utc.strftime(pattern).rjust(20, "0")
    for mine, theirs in ((facts.subject, certificate.subject), (facts.issuer, certificate.issuer)):
        assert mine == tuple((attribute.oid.dotted_string, attribute.value) for attribute in theirs)
    assert facts.sig_alg == certificate.signature_algorithm_oid.dotted_string
    assert facts.tbs == certificate.tbs_certificate_bytes
    assert facts.signature == certificate.signature
    assert [extension.oid for extension in facts.extensions] == [e.oid.dotted_string for e in certificate.extensions]
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert facts.san_dns == tuple(san.get_values_for_type(x509.DNSName))
        assert facts.san_ip == tuple(str(address) for address in san.get_values_for_type(x509.IPAddress))
    except x509.ExtensionNotFound:
        assert facts.san_dns is None
    try:
        assert facts.is_ca == certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        assert facts.is_ca is None
    public = certificate.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        assert facts.key == ("rsa", public.key_size)


def test_rich_certificate_equals_cryptography() -> None:
    assert_equal(certificate_facts(RICH), x509.load_der_x509_certificate(RICH))


# ---------------------------------------------------------------- hostile and odd


def test_every_truncation_keeps_what_stands_before_it() -> None:
    whole = certificate_facts(RICH)
    for size in range(len(RICH)):
        facts = certificate_facts(RICH[:size])
        assert not facts.parsed
        assert facts.why
        assert facts.serial in (0, whole.serial)


@given(st.lists(st.tuples(st.integers(0, len(RICH) - 1), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=300)
def test_mutated_certificates_never_raise(changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(RICH)
    for at, value in changes:
        damaged[at] = value
    facts = certificate_facts(bytes(damaged))
    _read_all(facts)


@given(st.binary(max_size=300))
@settings(max_examples=200)
def test_random_bytes_never_raise(data: bytes) -> None:
    facts = certificate_facts(data)
    assert facts.der == data
    _read_all(facts)


def _read_all(facts: CertificateFacts) -> None:
    """Every property answers."""
    texts = (facts.label, facts.subject_text, facts.issuer_text, facts.not_before_text, facts.not_after_text)
    assert all(isinstance(text, str) for text in (*texts, facts.key_text, facts.sig_name, facts.serial_hex, facts.why))
    assert facts.self_signed in (True, False)
    assert isinstance(facts.usage_names, tuple)


def _patched(old: bytes, new: bytes) -> CertificateFacts:
    if len(old) != len(new) or old not in RICH:
        raise ValueError("a patch keeps lengths")
    return certificate_facts(RICH.replace(old, new, 1))


def test_negative_serial_is_read() -> None:
    certificate = mint("test.example", serial=0x7766554433221100)
    data = certificate.der.replace(bytes.fromhex("02087766554433221100"), bytes.fromhex("0208f766554433221100"))
    facts = certificate_facts(data)
    assert facts.parsed
    assert facts.serial < 0
    assert facts.serial_hex.startswith("-")
    assert "negative" in facts.problems[0]


def test_version_that_does_not_exist() -> None:
    facts = _patched(bytes.fromhex("a003020102"), bytes.fromhex("a003020106"))
    assert (facts.parsed, facts.version) == (True, 7)
    assert any("version 7" in problem for problem in facts.problems)


def test_numbers_too_large_to_print() -> None:
    """Python refuses to print integers of many digits; facts and sentences must not depend on that."""
    huge = b"\x02\x82\x40\x00" + b"\x7f" * 0x4000
    version = b"\xa0" + bytes([0x82]) + len(huge).to_bytes(2, "big") + huge
    inside = version + b"\x02\x01\x01"
    tbs = b"\x30\x82" + len(inside).to_bytes(2, "big") + inside
    facts = certificate_facts(b"\x30\x82" + len(tbs).to_bytes(2, "big") + tbs)
    assert "16384 octets" in facts.why
    constraints = b"\x30\x82" + len(huge).to_bytes(2, "big") + huge
    minted = mint(
        "test.example",
        extensions=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.19"), constraints), True)],
    )
    facts = certificate_facts(minted.der)
    assert facts.path_length is None
    assert "basicConstraints cannot be read" in facts.problems[0]


def test_control_characters_do_not_reach_a_terminal() -> None:
    facts = certificate_facts(mint("a\x1b[31m\n", sans=[x509.DNSName("x\x1b]0;y\x07.example")]).der)
    assert facts.san_dns == ("x\x1b]0;y\x07.example",)
    assert facts.label.isprintable()
    verdict = check_chain((facts.der,), name="other\x1b.example", when_ns=0)
    assert all(problem.sentence.isprintable() for problem in verdict.problems)


def test_bytes_after_the_certificate() -> None:
    facts = certificate_facts(RICH + b"\0\0")
    assert facts.parsed
    assert facts.cn == "test.example"
    assert "2 octets after" in facts.problems[0]


def test_wrong_date_is_a_problem_not_a_failure() -> None:
    stamp = (NOW - timedelta(days=10)).strftime("%y%m%d%H%M%SZ").encode()
    facts = _patched(stamp, stamp[:2] + b"13" + stamp[4:])
    assert facts.parsed
    assert facts.not_before is None
    assert facts.not_before_text == ""
    assert any("is no time" in problem for problem in facts.problems)


def test_an_extension_that_stands_twice_counts_once() -> None:
    facts = _patched(bytes.fromhex("0603551d0e"), bytes.fromhex("0603551d23"))
    assert any("stands twice" in problem for problem in facts.problems)


def test_a_default_that_is_written_out() -> None:
    facts = _patched(bytes.fromhex("30060101ff020103"), bytes.fromhex("3006010100020103"))
    assert facts.is_ca is False
    assert any("default value" in problem for problem in facts.problems)


@pytest.mark.parametrize(
    ("tag", "content", "expected"),
    [
        (d.UTC_TIME, b"491231235959Z", "2049-12-31T23:59:59Z"),
        (d.UTC_TIME, b"500101000000Z", "1950-01-01T00:00:00Z"),
        (d.UTC_TIME, b"9912312359Z", "1999-12-31T23:59:00Z"),
        (d.UTC_TIME, b"000101000000+0100", "1999-12-31T23:00:00Z"),
        (d.GENERALIZED_TIME, b"99991231235959Z", "9999-12-31T23:59:59Z"),
        (d.GENERALIZED_TIME, b"20500101000000.5Z", "2050-01-01T00:00:00Z"),
        (d.UTC_TIME, b"", None),
        (d.UTC_TIME, b"2602300000", None),
        (d.UTC_TIME, b"260101000000X", None),
        (d.GENERALIZED_TIME, b"2026010100000\xc2\xb2", None),
        (d.NULL, b"260101000000Z", None),
    ],
)
def test_times(tag: int, content: bytes, expected: str | None) -> None:
    moment = d.time_ns(tag, content)
    assert (None if moment is None else d.time_text(moment)) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("550403", "2.5.4.3"),
        ("2a864886f70d01010b", "1.2.840.113549.1.1.11"),
        ("883703", "2.999.3"),
        ("", ""),
        ("80", ""),
    ],
)
def test_object_identifiers(content: str, expected: str) -> None:
    assert d.oid_text(bytes.fromhex(content)) == expected


@given(NAMES)
def test_name_text_has_no_control_characters(value: str) -> None:
    text = name_text((("2.5.4.3", value), ("1.2.3", "x")))
    assert text.isprintable()
    assert text.startswith("CN=")
    assert text.endswith(", 1.2.3=x")


def test_strings_of_every_type() -> None:
    assert d.text(d.BMP_STRING, "Müller".encode("utf-16-be")) == "Müller"
    assert d.text(d.UNIVERSAL_STRING, "Müller".encode("utf-32-be")) == "Müller"
    assert d.text(d.T61_STRING, b"M\xfcller") == "Müller"
    assert d.text(d.BIT_STRING, b"\x00\x01") == "0001"
    assert d.text(d.BMP_STRING, b"\xd8") == "Ø"


def test_the_same_bytes_are_read_once() -> None:
    assert certificate_facts(bytes(RICH)) is certificate_facts(bytes(bytearray(RICH)))
