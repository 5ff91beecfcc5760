"""Key schedules and the transcript: RFC values first, then laws."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.spec import keys
from synfin.spec.transcript import Transcript
from tests.spec import rfc8448 as rfc

H = "sha256"


def _hellos() -> Transcript:
    transcript = Transcript()
    transcript.add(rfc.CLIENT_HELLO)
    transcript.choose(H)
    transcript.add(rfc.SERVER_HELLO)
    return transcript


def test_rfc8448_secrets_from_the_shared_secret_on() -> None:
    early = keys.early_secret(H)
    assert early == rfc.EARLY_SECRET
    handshake = keys.handshake_secret(H, early, rfc.SHARED)
    assert handshake == rfc.HANDSHAKE_SECRET
    hello_hash = _hellos().digest()
    assert hello_hash == rfc.HELLO_HASH
    assert keys.derive_secret(H, handshake, "c hs traffic", hello_hash) == rfc.CLIENT_HANDSHAKE
    assert keys.derive_secret(H, handshake, "s hs traffic", hello_hash) == rfc.SERVER_HANDSHAKE


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        (rfc.CLIENT_HANDSHAKE, rfc.CLIENT_HANDSHAKE_KEYS),
        (rfc.SERVER_HANDSHAKE, rfc.SERVER_HANDSHAKE_KEYS),
        (rfc.CLIENT_TRAFFIC, rfc.CLIENT_TRAFFIC_KEYS),
        (rfc.SERVER_TRAFFIC, rfc.SERVER_TRAFFIC_KEYS),
    ],
)
def test_rfc8448_traffic_keys(secret: bytes, expected: tuple[bytes, bytes]) -> None:
    assert keys.traffic_keys(H, 16, secret) == expected


def test_rfc8448_finished_and_what_follows() -> None:
    transcript = _hellos()
    transcript.add(rfc.SERVER_FLIGHT[: -len(rfc.SERVER_FINISHED)])
    assert keys.finished_key(H, rfc.SERVER_HANDSHAKE) == rfc.SERVER_FINISHED_KEY
    assert keys.verify_data_13(H, rfc.SERVER_HANDSHAKE, transcript.digest()) == rfc.SERVER_FINISHED[4:]
    transcript.add(rfc.SERVER_FINISHED)
    assert transcript.digest() == rfc.FINISHED_HASH
    for label, secret in (
        ("c ap traffic", rfc.CLIENT_TRAFFIC),
        ("s ap traffic", rfc.SERVER_TRAFFIC),
        ("exp master", rfc.EXPORTER_SECRET),
    ):
        assert keys.derive_secret(H, rfc.MAIN_SECRET, label, rfc.FINISHED_HASH) == secret
    assert keys.verify_data_13(H, rfc.CLIENT_HANDSHAKE, transcript.digest()) == rfc.CLIENT_FINISHED[4:]
    transcript.add(rfc.CLIENT_FINISHED)
    resumption = keys.derive_secret(H, rfc.MAIN_SECRET, "res master", transcript.digest())
    assert resumption == rfc.RESUMPTION_SECRET
    assert keys.ticket_psk(H, resumption, rfc.TICKET_NONCE) == rfc.TICKET_PSK


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
@given(st.binary(min_size=1, max_size=160), st.binary(max_size=64))
def test_finished_is_the_hmac_of_its_key(digest: str, secret: bytes, transcript: bytes) -> None:
    key = keys.finished_key(digest, secret)
    assert keys.verify_data_13(digest, secret, transcript) == hmac.digest(key, transcript, digest)


def test_hkdf_expand_takes_more_than_one_block() -> None:
    """RFC 5869 appendix A.1."""
    key = keys.hkdf_extract(H, bytes(range(13)), b"\x0b" * 22)
    assert key.hex() == "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
    info = bytes(range(0xF0, 0xFA))
    assert keys.hkdf_expand(H, key, info, 42).hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


def test_exporters_depend_on_label_and_context() -> None:
    seen = {
        keys.exporter_13(H, rfc.EXPORTER_SECRET, label, context, 32) for label in ("a", "b") for context in (b"", b"c")
    }
    assert len(seen) == 4
    old = {
        keys.exporter_12(H, b"m" * 48, "EXPORTER-x", b"c" * 32, b"s" * 32, context, 32) for context in (None, b"", b"c")
    }
    assert len(old) == 3


# ---------------------------------------------------------------- SSL 3.0 to TLS 1.2


#: Hash, secret, seed and output of the vectors that were posted to the TLS working group's list; most stacks use them.
PUBLISHED = [
    (
        "sha256",
        "9bbe436ba940f017b17652849a71db35",
        "a0ba9f936cda311827a6f796ffd5198c",
        "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def"
        "17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66",
    ),
    (
        "sha384",
        "b80b733d6ceefcdc71566ea48e5567df",
        "cd665cf6a8447dd6ff8b27555edb7465",
        "7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cde9ca0faa60be9fe34f82b1233c9146a0e534cb400fed27"
        "00884f9dc236f80edd8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd4abfdad05d9184259b5bf8cd4d90fa0d31e2dec479e4"
        "f1a26066f2eea9a69236a3e52655c9e9aee691c8f3a26854308d5eaa3be85e0990703d73e56f",
    ),
    (
        "sha512",
        "b0323523c1853599584d88568bbb05eb",
        "d4640e12e4bcdbfb437f03e6ae418ee5",
        "1261f588c798c5c201ff036e7a9cb5edcd7fe3f94c669a122a4638d7d508b283042df6789875c7147e906d868bc75c45e20eb40c1cf4a1"
        "713b27371f68432592f7dc8ea8ef223e12ea8507841311bf68653d0cfc4056d811f025c45ddfa6e6fec702f054b409d6f28dd0a3233e49"
        "8da41a3e75c5630eedbe22fe254e33a1b0e9f6b9826675bec7d01a845658dc9c397545401d40b9f46c7a400ee1b8f81ca0a60d1a397a10"
        "28bff5d2ef5066126842fb8da4197632bdb54ff6633f86bbc836e640d4d898",
    ),
]


@pytest.mark.parametrize(("digest", "secret", "seed", "output"), PUBLISHED, ids=[row[0] for row in PUBLISHED])
def test_tls12_prf_published_values(digest: str, secret: str, seed: str, output: str) -> None:
    made = keys.prf(keys.TLS12, digest, bytes.fromhex(secret), b"test label", bytes.fromhex(seed), len(output) // 2)
    assert made.hex() == output


def test_tls12_master_secret_published_value() -> None:
    """NIST's first vector with SHA-256; more in ``test_published_12``."""
    premaster = "f8938ecc9edebc5030c0c6a441e213cd24e6f770a50dda07876f8d55da062bcadb386b411fd4fe4313a604fce6c17fbc"
    client = "36c129d01a3200894b9179faac589d9835d58775f9b5ea3587cb8fd0364cae8c"
    server = "f6c9575ed7ddd73e1f7d16eca115415812a43c2b747daaaae043abfb50053fce"
    master = keys.master_secret(keys.TLS12, H, *map(bytes.fromhex, (premaster, client, server)))
    assert master.hex() == (
        "202c88c00f84a17a20027079604787461176455539e705be730890602c289a5001e34eeb3a043e5d52a65e66125188bf"
    )


@given(secret=st.binary(min_size=1, max_size=70), seed=st.binary(max_size=40), length=st.integers(1, 200))
@settings(max_examples=50)
def test_prf_is_prefix_stable_and_splits_the_secret(secret: bytes, seed: bytes, length: int) -> None:
    for version in (keys.TLS10, keys.TLS12):
        whole = keys.prf(version, H, secret, b"label", seed, 200)
        assert keys.prf(version, H, secret, b"label", seed, length) == whole[:length]


def test_key_block_is_cut_in_the_rfc_order() -> None:
    parts = keys.key_block(keys.TLS10, "", b"m" * 48, b"c" * 32, b"s" * 32, mac_length=20, key_length=16, iv_length=16)
    assert [len(part) for part in parts] == [20, 20, 16, 16, 16, 16]
    whole = keys.prf(keys.TLS10, "", b"m" * 48, b"key expansion", b"s" * 32 + b"c" * 32, 104)
    assert b"".join(parts) == whole


def test_ssl3_expansion_starts_as_rfc_6101_says() -> None:
    premaster, client, server = b"p" * 48, b"c" * 32, b"s" * 32
    first = hashlib.md5(premaster + hashlib.sha1(b"A" + premaster + client + server).digest()).digest()
    third = hashlib.md5(premaster + hashlib.sha1(b"CCC" + premaster + client + server).digest()).digest()
    master = keys.master_secret(keys.SSL30, "", premaster, client, server)
    assert (master[:16], master[32:], len(master)) == (first, third, 48)


# ---------------------------------------------------------------- transcript


@given(messages=st.lists(st.binary(max_size=60), max_size=8), chosen_after=st.integers(0, 8))
def test_transcript_hashes_all_messages_whenever_the_hash_is_chosen(messages: list[bytes], chosen_after: int) -> None:
    transcript = Transcript(keep=True)
    for at, message in enumerate(messages):
        if at == chosen_after:
            transcript.choose("md5", "sha1")
        transcript.add(message)
    if not transcript.chosen:
        transcript.choose("md5", "sha1")
    whole = b"".join(messages)
    assert transcript.digest() == hashlib.md5(whole).digest() + hashlib.sha1(whole).digest()
    assert transcript.messages() == whole
    fork = transcript.fork()
    fork.add(b"more")
    assert transcript.digest() != fork.digest()
    transcript.forget()
    with pytest.raises(ValueError, match="keep"):
        transcript.messages()


def test_transcript_replaces_the_first_hello_after_a_retry() -> None:
    """RFC 8446 4.4.1: Hash(message_hash || 00 00 Hash.length || Hash(ClientHello1) || HelloRetryRequest ...)."""
    transcript = Transcript()
    transcript.add(b"hello 1")
    with pytest.raises(ValueError, match="not chosen"):
        transcript.digest()
    transcript.choose("sha384")
    transcript.retry()
    transcript.add(b"retry")
    expected = b"\xfe\x00\x00\x30" + hashlib.sha384(b"hello 1").digest() + b"retry"
    assert transcript.digest() == hashlib.sha384(expected).digest()
    with pytest.raises(ValueError, match="already"):
        transcript.choose("sha384")
