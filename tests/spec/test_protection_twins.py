"""What is compiled does what its twin in Python does, with right and wrong octets and with wrong arguments."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.spec.protection_runs import COMPILED, RUN, PlainRuns, PlainRuns12, PlainRuns13, Runs12, Runs13

compiled = pytest.mark.skipif(not COMPILED, reason="synfin.spec._runs was not compiled: no C compiler at set-up")

KEY = bytes(range(32))
#: AEAD, octets of IV and of tag, whether the content type is inside.
SHAPES: dict[str, tuple[Any, int, int, int]] = {
    "1.3 GCM": (AESGCM(KEY[:16]), 12, 16, 1),
    "1.3 ChaCha20": (ChaCha20Poly1305(KEY), 12, 16, 1),
    "1.3 CCM-8": (AESCCM(KEY[:16], 8), 12, 8, 1),
    "1.2 GCM": (AESGCM(KEY), 4, 16, 0),
    "1.2 ChaCha20": (ChaCha20Poly1305(KEY), 12, 16, 0),
    "1.2 CCM": (AESCCM(KEY[:16]), 4, 16, 0),
}
each_shape = pytest.mark.parametrize("shape", SHAPES)
both = pytest.mark.parametrize("way", ["plain", pytest.param("compiled", marks=compiled)])


def made(way: str, shape: str, sequence: int = 0) -> PlainRuns:
    aead, iv, tag, inner = SHAPES[shape]
    kinds = (PlainRuns12, PlainRuns13) if way == "plain" else (Runs12, Runs13)
    runs = kinds[inner](aead, KEY[:iv], tag, inner)
    runs.sequence = sequence
    return runs


@compiled
@each_shape
@settings(max_examples=50, deadline=None)
@given(
    size=st.integers(0, 5000),
    limit=st.sampled_from([1, 17, 64, 1000, 16384]),
    sequence=st.sampled_from([0, 1, 255, 2**32, 2**64 - 5001]),
    kind=st.integers(20, 24),
)
def test_they_seal_alike(shape: str, size: int, limit: int, sequence: int, kind: int) -> None:
    content = bytes(n % 251 for n in range(size))
    one, two = made("compiled", shape, sequence), made("plain", shape, sequence)
    assert one.seal_run(kind, content, limit) == two.seal_run(kind, content, limit)
    assert one.sequence == two.sequence == sequence + max(1, -(-size // limit))


@compiled
@each_shape
@settings(max_examples=150, deadline=None)
@given(
    size=st.integers(0, 4000),
    limit=st.sampled_from([20, 64, 500]),
    told=st.sampled_from([19, 20, 64, 500]),
    pos=st.integers(0, 40),
    cut=st.integers(0, 60),
    damage=st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 255)), max_size=2),
    moved=st.booleans(),
)
def test_they_open_alike(
    shape: str, size: int, limit: int, told: int, pos: int, cut: int, damage: list[tuple[int, int]], moved: bool
) -> None:
    """Whatever was done to the octets, and wherever the looking begins."""
    octets = bytearray(made("plain", shape, 7).seal_run(23, bytes(size), limit))
    for at, change in damage:
        if at < len(octets):
            octets[at] ^= change
    data = bytes(pos if moved else 0) + octets[: max(0, len(octets) - cut)]
    for given_as in (data, bytearray(data), memoryview(data)):
        one, two = made("compiled", shape, 7), made("plain", shape, 7)
        assert one.open_run(given_as, pos, told) == two.open_run(given_as, pos, told)
        assert one.sequence == two.sequence


@compiled
@each_shape
@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200), limit=st.integers(1, 65000), pos=st.integers(0, 220))
def test_they_take_garbage_alike(shape: str, data: bytes, limit: int, pos: int) -> None:
    for octets in (data, b"\x17\x03\x03" + data):
        pos = min(pos, len(octets))
        for way in ("compiled", "plain"):
            runs = made(way, shape)
            assert runs.open_run(octets, pos, limit) == (pos, b"")
            assert runs.sequence == 0


@both
@each_shape
def test_a_run_has_an_end(way: str, shape: str) -> None:
    content = bytes(n % 251 for n in range(100 * (RUN + 3)))
    data = made(way, shape).seal_run(23, content, 100)
    runs = made(way, shape)
    pos, found = runs.open_run(data, 0, 100)
    assert (runs.sequence, found) == (RUN, content[: 100 * RUN])
    assert runs.open_run(data, pos, 100) == (len(data), content[100 * RUN :])
    assert runs.sequence == RUN + 3


@both
def test_sequence_numbers_end(way: str) -> None:
    """RFC 8446 5.3: they must not wrap."""
    runs = made(way, "1.3 GCM", 2**64 - 3)
    runs.seal_run(23, bytes(200), 100)
    assert runs.sequence == 2**64 - 1
    with pytest.raises(OverflowError):
        runs.seal_run(23, b"", 100)
    runs = made(way, "1.2 GCM", 2**64 - 2)
    with pytest.raises(OverflowError):
        runs.seal_run(23, bytes(200), 100)
    assert runs.sequence == 2**64 - 2
    data = runs.seal_run(23, b"last", 100)
    opener = made(way, "1.2 GCM", 2**64 - 2)
    assert opener.open_run(bytes(data) * 2, 0, 100) == (len(data), b"last")
    assert opener.open_run(data, 0, 100) == (0, b"")


@both
@pytest.mark.parametrize("shape", ["1.3 GCM", "1.2 GCM"])
def test_who_seals_meanwhile_has_other_numbers(way: str, shape: str) -> None:
    """Ciphers let other threads run: with the same number twice, keys would be lost (RFC 5116 5.1.1)."""
    aead, iv, tag, inner = SHAPES[shape]
    nonces: list[bytes] = []

    class Crowded:
        def encrypt_into(self, nonce: bytes, data: Any, covered: Any, out: Any) -> int:
            nonces.append(bytes(nonce))
            if len(nonces) == 2:
                runs.seal_run(23, bytes(200), 100)
            return int(aead.encrypt_into(nonce, data, covered, out))

        decrypt_into = encrypt_into

    kinds = (PlainRuns12, PlainRuns13) if way == "plain" else (Runs12, Runs13)
    cipher: Any = Crowded()
    runs: PlainRuns = kinds[inner](cipher, KEY[:iv], tag, inner)
    assert runs.seal_run(23, bytes(300), 100) == made(way, shape).seal_run(23, bytes(300), 100)
    assert runs.sequence == len(nonces) == len(set(nonces)) == 5


@compiled
def test_wrong_arguments_are_told() -> None:
    """From our own code only; nothing of it is read or written past its end."""
    aead = AESGCM(KEY)
    good: list[Any] = [aead, KEY[:12], 16, 1]
    makes: list[tuple[int, Any, type[Exception]]] = [
        (0, None, AttributeError), (1, KEY[:11], ValueError), (1, "iv", TypeError), (2, 0, ValueError),
        (2, 17, ValueError), (3, 2, ValueError),
    ]  # fmt: skip
    for at, value, error in makes:
        wrong: Any = [*good[:at], value, *good[at + 1 :]]
        with pytest.raises(error):
            Runs13(*wrong)
    runs: Any = Runs13(*good)
    seals: list[tuple[tuple[Any, ...], type[Exception]]] = [
        (("kind", b"", 9), TypeError), ((23, "content", 9), TypeError), ((23, b"", 0), ValueError),
        ((23, b"", 65535), ValueError), ((23, b""), TypeError), ((), TypeError),
    ]  # fmt: skip
    for arguments, error in seals:
        with pytest.raises(error):
            runs.seal_run(*arguments)
    opens: list[tuple[Any, ...]] = [(b"", "0", 9), ("", 0, 9), (b"", 0)]
    for arguments in opens:
        with pytest.raises(TypeError):
            runs.open_run(*arguments)
    data = runs.seal_run(23, b"content", 64)
    for pos in (-1, len(data), len(data) + 1):
        assert runs.open_run(data, pos, 64) == (pos, b"")
    with pytest.raises(TypeError, match="before"):
        runs.__init__(*good)
    bare: Any = Runs13.__new__(Runs13)
    with pytest.raises(TypeError):
        bare.seal_run(23, b"", 9)


@compiled
def test_a_cipher_that_fails_is_passed_on() -> None:
    """And what it kept of the memory that was lent to it is of no use any more."""
    kept: list[Any] = []

    class Broken:
        def encrypt_into(self, nonce: bytes, data: Any, covered: Any, out: Any) -> int:
            kept.extend((data, out))
            raise RuntimeError("out of order")

        decrypt_into = encrypt_into

    class Short:
        def encrypt_into(self, nonce: bytes, data: Any, covered: Any, out: Any) -> int:
            return len(out) - 1

        decrypt_into = encrypt_into

    data = made("compiled", "1.3 GCM").seal_run(23, b"content", 64)
    broken: list[tuple[Any, type[Exception], str]] = [
        (Broken(), RuntimeError, "out of order"),
        (Short(), SystemError, "wrote"),
    ]
    for aead, error, words in broken:
        runs = Runs13(aead, KEY[:12], 16, 1)
        with pytest.raises(error, match=words):
            runs.seal_run(23, b"content", 64)
        with pytest.raises(error, match=words):
            runs.open_run(data, 0, 64)
        assert runs.sequence == 1  # no number is used twice
    assert len(kept) == 4
    for view in kept:
        with pytest.raises(ValueError, match="released"):
            bytes(view)
