"""TLS 1.2 as others published it: a connection of which every octet is explained on tls12.xargs.org.

Its author, Michael Driscoll, made it with Go's crypto/tls and chance that counts up, and publishes it under the MIT
licence.  Here are its secrets, its Finished messages and its records (TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA): our key
schedule and record protection make the same, and open them.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from synfin.spec import keys
from synfin.spec.protection import openers_12, sealers_12

SUITE = 0xC013
CLIENT_RANDOM, SERVER_RANDOM = bytes(range(0x20)), bytes(range(0x70, 0x90))
CLIENT_PRIVATE, SERVER_PRIVATE = bytes(range(0x20, 0x40)), bytes(range(0x90, 0xB0))
MASTER = bytes.fromhex(
    "916abf9da55973e13614ae0a3f5d3f37b023ba129aee02cc9134338127cd7049781c8e19fc1eb2a7387ac06ae237344c"
)
#: Hash of the messages before each Finished, and the Finished.
FINISHED = {
    "client": (
        "061dda04b3c2217ff73bd79b9cf88a2bb6ec505404aac8722db03ef417b54cb4",
        "1400000ccf919626f1360c536aaad73a",
    ),
    "server": (
        "b2017ba28d0e27f03ae327456b6ff00b4d5bbf0ef7cda83ce1029b521c3e7c35",
        "1400000c844d3c10746dd722f92f0c7e",
    ),
}
#: What each side says under its keys, in order: content type, content, the record with its IV in front.
CLIENT = [
    (
        22,
        bytes.fromhex(FINISHED["client"][1]),
        "1603030040404142434445464748494a4b4c4d4e4f227bc9ba81ef30f2a8a78ff1df50844d5804b7eeb2e214c32b6892aca3db7b78077f"
        "dd90067c516bacb3ba90dedf720f",
    ),
    (
        23,
        b"ping",
        "1703030030000102030405060708090a0b0c0d0e0f6c421c71c42b183bfa06195d133d0a09d00fc7cb4e0f5d1cda59d147ec790c99",
    ),
    (
        21,
        b"\1\0",
        "1503030030101112131415161718191a1b1c1d1e1f0d83f97904750dd8fd8aa130218632634fd065e4628379b88bbf9efd1287a62d",
    ),
]
SERVER = [
    (
        22,
        bytes.fromhex(FINISHED["server"][1]),
        "16030300405152535455565758595a5b5c5d5e5f6018e075317b100315f6081fcbf313781aac73efe19fe25ba1af59c20be94fc01bda2d"
        "6800298b73a7e849d74bd494cf7d",
    ),
    (
        23,
        b"pong",
        "17030300306162636465666768696a6b6c6d6e6f709783488af5fa20bf7a2ef69debb534db9fb07a8c2721dee5409f77af0c3dde56",
    ),
]


def test_secrets() -> None:
    ours = x25519.X25519PrivateKey.from_private_bytes(CLIENT_PRIVATE)
    shared = ours.exchange(x25519.X25519PrivateKey.from_private_bytes(SERVER_PRIVATE).public_key())
    assert shared.hex() == "df4a291baa1eb7cfa6934b29b474baad2697e29f1f920dcc77c8a0a088447624"
    assert keys.master_secret(keys.TLS12, "sha256", shared, CLIENT_RANDOM, SERVER_RANDOM) == MASTER
    lengths = {"mac_length": 20, "key_length": 16, "iv_length": 16}
    block = keys.key_block(keys.TLS12, "sha256", MASTER, CLIENT_RANDOM, SERVER_RANDOM, **lengths)
    assert [part.hex() for part in block] == [
        "1b7d117c7d5f690bc263cae8ef60af0f1878acc2",
        "2ad8bdd8c601a617126f63540eb20906f781fad2",
        "f656d037b173ef3e11169f27231a84b6",
        "752a18e7a9fcb7cbcdd8f98dd8f769eb",
        "a0d2550c9238eebfef5c32251abb67d6",
        "434528db4937d540d393135e06a11bb8",
    ]


@pytest.mark.parametrize("sender", ["client", "server"])
def test_finished(sender: str) -> None:
    messages, finished = map(bytes.fromhex, FINISHED[sender])
    assert keys.prf(keys.TLS12, "sha256", MASTER, f"{sender} finished".encode(), messages, 12) == finished[4:]


@pytest.mark.parametrize(("side", "said"), [(0, CLIENT), (1, SERVER)], ids=["client", "server"])
def test_records_open(side: int, said: list[tuple[int, bytes, str]]) -> None:
    opener = openers_12(keys.TLS12, SUITE, MASTER, CLIENT_RANDOM, SERVER_RANDOM)[side]
    for kind, content, record in said:
        assert opener.open_record(kind, keys.TLS12, bytes.fromhex(record)[5:]) == (kind, content)


def _ivs(key: bytes, records: list[bytes]) -> Callable[[int], bytes]:
    """Chance that makes the records' IVs: the engine encrypts it, chained to the block before (RFC 5246 6.2.3.2)."""
    before = [bytes(16), *(record[-16:] for record in records)]
    cipher = Cipher(algorithms.AES(key), modes.ECB())  # one block at a time
    plain = (cipher.decryptor().update(record[5:21]) for record in records)
    left = [bytes(a ^ b for a, b in zip(*pair, strict=True)) for pair in zip(plain, before, strict=False)]
    return lambda size: left.pop(0)


@pytest.mark.parametrize(("side", "said"), [(0, CLIENT), (1, SERVER)], ids=["client", "server"])
def test_records_are_sealed(side: int, said: list[tuple[int, bytes, str]]) -> None:
    lengths = {"mac_length": 20, "key_length": 16, "iv_length": 0}
    block = keys.key_block(keys.TLS12, "sha256", MASTER, CLIENT_RANDOM, SERVER_RANDOM, **lengths)
    chance = _ivs((block.client_key, block.server_key)[side], [bytes.fromhex(record) for _, _, record in said])
    sealer = sealers_12(keys.TLS12, SUITE, MASTER, CLIENT_RANDOM, SERVER_RANDOM, entropy=chance)[side]
    for kind, content, record in said:
        assert sealer.seal_record(kind, content, 0).hex() == record
