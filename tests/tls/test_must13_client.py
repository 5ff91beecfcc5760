"""What RFC 8446 (RFC 9846 where it says more) and RFC 8449 demand of a TLS 1.3 client, beside the letter's tables.

``test_must13_list`` has every requirement with its test; message by message they are in ``test_letter_client13``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from synfin.errors import UsageError
from synfin.spec.protection import opener_13
from synfin.tls import (
    Credential,
    Failed,
    Limits,
    PathVerifier,
    PeerAlert,
    ReplayGuard,
    Session,
    Ticket,
)
from synfin.tls import accept_any_certificate as anybody
from tests.spec.test_certificates_check import resigned
from tests.support.minted import mint
from tests.support.tlsoctets import (
    DECRYPT,
    ILLEGAL,
    NEW,
    OLD,
    OVERFLOW,
    UNEXPECTED,
    UNSUPPORTED,
    UNSUPPORTED_CERT,
    VERSION,
    block,
    message,
    record,
)
from tests.tls.bad_server import RETRY, Bad, carried, ends, judged
from tests.tls.edits import Edit, hello
from tests.tls.ends import (
    NAME,
    NOW,
    Teller,
    client,
    client_config,
    events,
    of,
    pump,
    said,
    server,
    server_config,
    ticket_keys,
)
from tests.tls.test_letter_client13 import WORDS, ee, signs, verify
from tests.tls.test_letter_client_records import STEPS, at, under

HANDSHAKE_STEPS = STEPS[NEW][:-1]

# ---------------------------------------------------------------- versions


@pytest.mark.parametrize("last", [b"\0", b"\1"])
@pytest.mark.parametrize(("low", "high", "alert"), [(OLD, NEW, ILLEGAL), (OLD, OLD, None), (NEW, NEW, VERSION)])
def test_a_server_of_tls12_that_could_do_more(last: bytes, low: int, high: int, alert: int | None) -> None:
    """RFC 8446 4.1.3: clients that offered TLS 1.3 look for the sentinel; others need not."""
    one, _ = ends(NEW, {}, client={"min_version": low, "max_version": high})
    answer = b"\3\3" + bytes(24) + b"DOWNGRD" + last + b"\0\xc0\x2b\0" + block((0xFF01, b"\0"), (23, b""))
    one.receive(record(message(2, answer)), NOW)
    if alert is None:
        assert not events(one)
    else:
        judged(one, alert)


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0302])
def test_older_versions(version: int) -> None:
    """RFC 8446 D.1: protocol_version."""
    carried(OLD, {2: hello(legacy_version=version)}, VERSION)


@pytest.mark.parametrize("low", [OLD, NEW])
@pytest.mark.parametrize("old", [0x0303, 0x0302])
def test_no_other_version_after_a_retry(low: int, old: int) -> None:
    """RFC 8446 4.1.4."""
    edit = hello((43, None), (51, None), legacy_version=old)
    carried(NEW, {2: edit}, ILLEGAL, server={"groups": (24,)}, client={"min_version": low})


def kept(**more: Any) -> Session:
    """A session that allows early data."""
    one, two = client(client_config(alpn=(b"h2",))), server(server_config(**early_server(), **more))
    pump(one, two)
    found: Session = of(events(one), Ticket)[0].session
    return found


def early_server() -> dict[str, Any]:
    more = {"ticket_keys": ticket_keys(), "max_early_data": 1000, "replay_guard": ReplayGuard()}
    return {"alpn": (b"h2",), **more}


EARLY_CLIENT = {"alpn": (b"h2",), "early_data": True}


def early(edits: dict[int, Edit], version: int = NEW, size: int = 5, **more: Any) -> tuple[Teller, Bad]:
    """A client with early data out and what came back from its server taken."""
    one, bad = ends(version, edits, session=kept(), client=EARLY_CLIENT, server={**early_server(), **more})
    one.send_early(bytes(size))
    out = bytes(one.take_output(NOW))
    first = 5 + int.from_bytes(out[3:5], "big")
    bad.receive(out if version == NEW else out[:first], NOW)
    one.receive(bad.take_output(NOW), NOW)
    return one, bad


def test_early_data_is_answered_in_tls13_or_not_at_all() -> None:
    """RFC 8446 D.3; the alert is in clear, since such a server could read no other."""
    one, _ = early({}, OLD)
    assert one.told == [(2, VERSION)]
    assert one.take_output(NOW) == b"\x15\3\3\0\2\2\x46"
    judged(one, VERSION)


# ---------------------------------------------------------------- early data


def test_the_end_of_early_data() -> None:
    """RFC 8446 4.5: told where it was taken, and only there."""
    one, bad = early({})
    bad.receive(one.take_output(NOW), NOW)
    assert bad.facts is not None
    assert bad.facts.early_data
    one, bad = early({8: ee((16, b"\0\3\2h2"))})
    assert one.facts is not None
    assert not one.facts.early_data
    kinds = _messages(one, bad)
    assert kinds == [20]


def _messages(one: Teller, bad: Bad) -> list[int]:
    """Types of the handshake messages that a client said under its handshake keys."""
    opener = opener_13(one.keys13.schedule.suite, one.keys13.schedule.client) if one.keys13 else None
    data, found = bytes(one.take_output(NOW)), []
    while data and opener is not None:
        size = 5 + int.from_bytes(data[3:5], "big")
        if data[0] == 23:
            kind, content = opener.open_record(23, 0x0303, memoryview(data)[5:size])
            while kind == 22 and content:
                found.append(content[0])
                content = content[4 + int.from_bytes(content[1:4], "big") :]
        data = data[size:]
    return found


@pytest.mark.parametrize("taken", [False, True])
def test_faults_beside_early_data_are_told_under_keys_that_the_server_reads(taken: bool) -> None:
    """RFC 8446 A.1: handshake keys where early data was refused."""
    answers = [(42, b"")] * taken + [(16, b"\0\3\2h2"), (0x1234, b"")]
    one, bad = early({8: ee(*answers)}, size=0, **({} if taken else {"max_early_data": 0}))
    assert one.told == [(2, UNSUPPORTED)]
    if not taken:
        bad.receive(one.take_output(NOW), NOW)
        assert of(events(bad), PeerAlert) == [PeerAlert(UNSUPPORTED, fatal=True)]


def test_early_data_ends_with_the_keys() -> None:
    """RFC 8446 5.5: those of early data cannot be changed."""
    config = client_config(**EARLY_CLIENT, limits=Limits(records_per_key=3))
    one = client(config, kept())
    for _ in range(3):
        one.send_early(b"x")
    with pytest.raises(UsageError):
        one.send_early(b"x")


def test_no_early_data_after_a_retry() -> None:
    """RFC 8446 4.2.10."""
    one, _ = early({RETRY: hello()}, groups=(24,))
    assert one.early_room == 0
    with pytest.raises(UsageError):
        one.send_early(b"x")


# ---------------------------------------------------------------- certificates


@pytest.mark.parametrize(
    ("usages", "alert"),
    [
        (("digital_signature",), None),
        ((), None),
        (("key_encipherment",), UNSUPPORTED_CERT),
        (("crl_sign",), UNSUPPORTED_CERT),
    ],
)
def test_the_key_must_be_for_signing(usages: tuple[str, ...], alert: int | None) -> None:
    """RFC 8446 4.4.2.2, whatever ``verify`` thinks."""
    names = "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign"
    fields = {name: name in usages for name in (*names.split(), "crl_sign", "encipher_only", "decipher_only")}
    extensions: list[tuple[x509.ExtensionType, bool]] = [(x509.KeyUsage(**fields), True)] if usages else []
    made = mint("test.example", None, kind="p256", number=1, sans=[x509.DNSName("test.example")], extensions=extensions)
    edit = _chain(made.der)
    carried(NEW, {11: edit}, alert, server={"certificate_compression": ()}, client={"verify": anybody})


def _chain(der: bytes) -> Edit:
    from tests.tls.test_letter_client13 import entries

    return lambda bad, raw: entries((der, b"\0\0"))


@pytest.mark.parametrize("digest", ["md5", "sha1"])
def test_hashes_of_the_past(digest: str) -> None:
    """RFC 8446 4.4.2.4: bad_certificate."""
    when = datetime.fromtimestamp(NOW, UTC)
    issuer = mint("An issuer", kind="rsa2048", number=30, ca=True, now=when)
    made = mint(NAME, issuer, number=1, sans=[x509.DNSName(NAME)], now=when)
    chain = (resigned(made, issuer, digest), issuer.der)
    two = server(server_config(credentials=(Credential(chain, made.key),), max_version=NEW))
    one = client(client_config(verify=PathVerifier([issuer.der])))
    pump(one, two)
    assert [(event.violation, event.alert) for event in of(events(one), Failed)] == [("certificate_weak_signature", 42)]


@pytest.mark.parametrize("salt", [0, 20, 31, 33, 48, 64])
def test_the_salt_is_as_long_as_the_hash(salt: int) -> None:
    """RFC 8446 4.2.3."""

    def edit(bad: Bad, raw: bytes) -> bytes:
        content = b" " * 64 + WORDS + b"\0" + bad.transcript.digest()
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt)
        return verify(0x0804, bad.config.credentials[0].key.sign(content, pss, hashes.SHA256()))

    carried(NEW, {15: edit}, DECRYPT, "rsa2048")


@pytest.mark.parametrize("mask", ["SHA1", "SHA512"])
def test_the_mask_is_of_the_same_hash(mask: str) -> None:
    """RFC 8446 4.2.3."""

    def edit(bad: Bad, raw: bytes) -> bytes:
        content = b" " * 64 + WORDS + b"\0" + bad.transcript.digest()
        pss = padding.PSS(padding.MGF1(getattr(hashes, mask)()), 32)
        return verify(0x0804, bad.config.credentials[0].key.sign(content, pss, hashes.SHA256()))

    carried(NEW, {15: edit}, DECRYPT, "rsa2048")


def test_all_before_it_is_signed() -> None:
    """RFC 8446 4.4.3: a signature of another handshake is none."""
    old: list[bytes] = []

    def keep(bad: Bad, raw: bytes) -> bytes:
        old.append(raw)
        return raw

    carried(NEW, {15: keep}, None)
    carried(NEW, {15: lambda bad, raw: old[0]}, DECRYPT)
    carried(NEW, {15: signs(WORDS)}, None)


# ---------------------------------------------------------------- records


@pytest.mark.parametrize("step", HANDSHAKE_STEPS)
def test_change_cipher_spec_is_dropped_in_the_handshake(step: str) -> None:
    """RFC 8446 5: whatever is expected."""
    one, _ = at(NEW, step)
    for _ in range(2):
        one.receive(b"\x14\3\3\0\1\1", NOW)
    assert not events(one)
    assert not one.closed


@pytest.mark.parametrize("step", STEPS[NEW][1:])
@pytest.mark.parametrize("content", [b"\2\x28", b"\1\0", b"\1\x5a"])
def test_no_alert_in_clear_once_there_are_keys(step: str, content: bytes) -> None:
    """RFC 8446 5 and 5.2: the server has had keys since its ServerHello."""
    one, _ = at(NEW, step)
    one.receive(record(content, 21), NOW)
    judged(one, UNEXPECTED)


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0304, 0x0400, 0x7F00, 0xFFFF])
def test_versions_of_records_in_clear_mean_nothing(version: int) -> None:
    """RFC 8446 5.1."""
    one, _ = at(NEW, "WaitServerHello")
    one.receive(record(b"\1\x5a", 21, version), NOW)
    assert events(one) == [PeerAlert(90, fatal=False)]


def test_a_record_of_the_longest_kind() -> None:
    """RFC 8446 5.2, 5.4: 2^14 octets of content, or as many with padding and type as 2^14 + 1."""
    one, _ = at(NEW, "ConnectedPlain")
    one.receive(under(one, 23, bytes(1 << 14)), NOW)
    assert one._opener is not None
    one._opener.sequence = 1
    one.receive(under(one, 23, b"x", (1 << 14) - 1), NOW)
    assert len(said(events(one))) == (1 << 14) + 1


LIMITED = {"record_size_limit": 200}


class Loud(Bad):
    """Does not care how much a client takes."""

    def seal(self, kind: int, content: Any) -> None:
        self._limit_out = 1 << 14
        super().seal(kind, content)


def loud(version: int, edits: dict[int, Edit], **more: Any) -> Teller:
    one, plain = ends(version, {}, client=LIMITED, server={"record_size_limit": 1 << 14, **more})
    bad = Loud(plain.config, now=NOW, entropy=plain.entropy)
    bad.edits = edits
    pump(one, bad)
    if one.facts is not None:
        bad.send(bytes(1000))
        pump(one, bad)
    return one


def test_a_limit_that_the_server_does_not_know_binds_nobody() -> None:
    """RFC 8449 4: it holds when the extension is negotiated."""
    for version, edits in ((NEW, {8: ee()}), (OLD, {2: hello((28, None))})):
        one = loud(version, edits)
        assert one.facts is not None
        assert len(said(events(one))) == 1000


def test_a_limit_that_was_agreed_binds_from_the_first_record() -> None:
    """RFC 8449 4: EncryptedExtensions agrees on it, in a record that is longer already."""
    judged(loud(NEW, {}), OVERFLOW)


def test_what_was_agreed_about_records() -> None:
    one, bad = ends(NEW, {}, client=LIMITED, server={"record_size_limit": 300})
    pump(one, bad)
    assert one.record_limits == (300, 200)
    assert bad.record_limits == (200, 300)
    one, bad = ends(NEW, {8: ee()}, client=LIMITED)
    pump(one, bad)
    assert one.record_limits == (1 << 14, 1 << 14)


@pytest.mark.parametrize("told", [True, False])
def test_early_data_keeps_to_the_limit_of_its_session(told: bool) -> None:
    """RFC 8449 4: of the handshake that made the keys; who did not know it then is borne with."""
    kinds = {"record_size_limit": 300, **early_server()}
    config = client_config(**EARLY_CLIENT, record_size_limit=1 << 14)
    one, two = client(config if told else client_config(**EARLY_CLIENT)), server(server_config(**kinds))
    pump(one, two)
    session = of(events(one), Ticket)[0].session
    assert session.record_limit == (300 if told else 1 << 14)
    one, two = client(config, session), server(server_config(**kinds))
    one.send_early(bytes(900))
    out = bytes(one.take_output(NOW))
    start = 5 + int.from_bytes(out[3:5], "big") + 6
    assert int.from_bytes(out[start + 3 : start + 5], "big") == (300 if told else 900) + 17
    two.receive(out, NOW)
    one.receive(two.take_output(NOW), NOW)
    two.receive(one.take_output(NOW), NOW)
    assert said(events(two)) == bytes(900)
    assert one.record_limits == (300, 1 << 14)


@pytest.mark.parametrize("limit", [64, 500, 1 << 14])
@pytest.mark.parametrize(("low", "high"), [(OLD, OLD), (OLD, NEW), (NEW, NEW)])
@pytest.mark.parametrize("version", [OLD, NEW])
def test_whatever_is_agreed_both_ends_mean_the_same(limit: int, low: int, high: int, version: int) -> None:
    """RFC 8449 4: the number told is one more where TLS 1.3 may be chosen, and means one more octet where it is not."""
    if not low <= version <= high:
        return
    more = {"record_size_limit": limit, "min_version": low, "max_version": high}
    one, bad = ends(version, {}, client=more, server={"record_size_limit": 700})
    pump(one, bad)
    told = limit + (version == OLD and high == NEW)
    assert one.record_limits == (700, min(told, 1 << 14))
    assert bad.record_limits == (min(told, 1 << 14), 700)
    bad.send(bytes(1 << 15))
    one.send(bytes(1 << 15))
    pump(one, bad)
    assert len(said(events(one))) == len(said(events(bad))) == 1 << 15
