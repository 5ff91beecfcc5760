"""The key schedules against others: a session of NIST's validation program, and OpenSSL's TLS13-KDF and TLS1-PRF."""

from __future__ import annotations

import random
import shutil
import subprocess
from functools import cache

import pytest

from synfin.spec import keys
from synfin.tls.schedule import Schedule

#: NIST's ACVP (TLS 1.3 KDF, PSK and DHE, SHA-256), the first session: inputs, then what comes of them.
PSK = "f8af6aea2d397baf2948a25b2834200692cff17eee9165e4e27babee9edefd05"
SHARED = "8e27fad32236cb11bb497eb878d636c3f1599f5ffdfae784cbf73e74746769d4"
HELLO = "7c92f68bd5bf3638ea338a6494722e1b44127e1b7e8aad535f2322a644ff22b3"
HELLOS = "78d80b86fb9b089fb73375e51ae5bcfd742df4cadbd84dea0aaa0ac9d07ba6dc"
SERVER_FINISHED = "fb3e78c3924a01fe4bf912bff8ddb120848ddf3e4b3cdd2cd661abbeff16a96e"
CLIENT_FINISHED = "db603b863e82a12147bd81a8e715d3273efe641d467436309e19ae0254461a35"


def test_a_session_of_nist() -> None:
    psk, shared, hello, hellos, server_finished, client_finished = map(
        bytes.fromhex, (PSK, SHARED, HELLO, HELLOS, SERVER_FINISHED, CLIENT_FINISHED)
    )
    early = keys.early_secret("sha256", psk)
    assert early.hex() == "153b6394a9c03cf3f5accc6e455a7693281138a1bcfa3803c26735dd1194d216"
    traffic = keys.derive_secret("sha256", early, "c e traffic", hello)
    assert traffic.hex() == "c80583a90e995c489600492a5da642e6b1f679ba674828792df087b939636171"
    exporter = keys.derive_secret("sha256", early, "e exp master", hello)
    assert exporter.hex() == "1fe336ab43b4a69b11ebc64c8343ed21a9c7f6724702d9d63970e8ff72a4bde7"
    schedule = Schedule(0x1301, psk, shared, hellos)
    assert schedule.client.hex() == "c2451ee08fd221331f3dabada534393ed1fc8f5983afa251c1d004ec94e823a2"
    assert schedule.server.hex() == "40eefbf66cb79c41c9ee1bf0be7f41696da165e7e69628ca8e342fee51827abd"
    schedule.application(server_finished)
    schedule.finish(client_finished)
    assert schedule.client_next.hex() == "b162c65cdc0f9425aa7cd8fb30a821c8c8f0e8f8f9eb42209d10d784dafadcb5"
    assert schedule.server_next.hex() == "6fe71fd9a81dffb3fecedd80c7a4801804116c79bc37b3605f54bc01a9cbed99"
    assert schedule.exporter_secret.hex() == "eb1069417c771402a32b4797099adc449fd2be22ac47fb771ccd319e1a11ce55"
    assert schedule.resumption_secret.hex() == "b4face4931df0e3380830805af22055bf29b030988a9e278f7d04f2b00f323e8"


# ---------------------------------------------------------------- the installed OpenSSL


def _kdf(name: str, length: int, *options: str) -> bytes | None:
    """What ``openssl kdf`` derives; None where it has no such function."""
    command = ["openssl", "kdf", "-keylen", str(length), "-binary"]
    for option in options:
        command += ["-kdfopt", option]
    done = subprocess.run([*command, name], capture_output=True, timeout=20, check=False)
    return done.stdout if done.returncode == 0 and len(done.stdout) == length else None


@cache
def _missing() -> str:
    if shutil.which("openssl") is None:
        return "the program openssl is not installed"
    if _kdf("TLS13-KDF", 32, "digest:SHA2-256", "mode:EXTRACT_ONLY", "hexkey:00") is None:
        return "this openssl has no TLS13-KDF"
    return ""


@pytest.fixture
def needs_kdf() -> None:
    if reason := _missing():
        pytest.skip(reason)


def _extract(digest: str, size: int, salt: bytes, secret: bytes) -> bytes | None:
    options = [f"digest:{digest}", "mode:EXTRACT_ONLY", "hexprefix:" + b"tls13 ".hex(), "hexlabel:" + b"derived".hex()]
    if salt:
        options.append(f"hexsalt:{salt.hex()}")
    if secret:
        options.append(f"hexkey:{secret.hex()}")
    return _kdf("TLS13-KDF", size, *options)


def _expand(digest: str, size: int, secret: bytes, label: bytes, context: bytes) -> bytes | None:
    options = [f"digest:{digest}", "mode:EXPAND_ONLY", "hexprefix:" + b"tls13 ".hex(), f"hexlabel:{label.hex()}"]
    return _kdf("TLS13-KDF", size, *options, f"hexkey:{secret.hex()}", f"hexdata:{context.hex()}")


@pytest.mark.usefixtures("needs_kdf")
@pytest.mark.parametrize(("suite", "digest", "size"), [(0x1301, "SHA2-256", 32), (0x1302, "SHA2-384", 48)])
@pytest.mark.parametrize("resumed", [False, True], ids=["full", "resumed"])
def test_tls13_with_openssl(suite: int, digest: str, size: int, resumed: bool) -> None:
    """Each secret of a schedule, from chance that is always the same."""
    chance = random.Random(f"{suite} {resumed}")
    psk = chance.randbytes(size) if resumed else b""
    shared, hellos, finished, whole = (chance.randbytes(n) for n in (56, size, size, size))
    ours = Schedule(suite, psk, shared, hellos)
    ours.application(finished)
    ours.finish(whole)
    early = _extract(digest, size, b"", psk)
    assert early is not None
    handshake = _extract(digest, size, early, shared)
    assert handshake is not None
    main = _extract(digest, size, handshake, b"")
    assert main is not None
    assert ours.client == _expand(digest, size, handshake, b"c hs traffic", hellos)
    assert ours.server == _expand(digest, size, handshake, b"s hs traffic", hellos)
    assert ours.client_next == _expand(digest, size, main, b"c ap traffic", finished)
    assert ours.server_next == _expand(digest, size, main, b"s ap traffic", finished)
    assert ours.exporter_secret == _expand(digest, size, main, b"exp master", finished)
    resumption = _expand(digest, size, main, b"res master", whole)
    assert ours.resumption_secret == resumption
    assert resumption is not None
    assert ours.ticket_psk(b"\0\7") == _expand(digest, size, resumption, b"resumption", b"\0\7")


@pytest.mark.usefixtures("needs_kdf")
@pytest.mark.parametrize("digest", ["sha256", "sha384"])
def test_tls12_with_openssl(digest: str) -> None:
    chance = random.Random(digest)
    premaster, client, server = chance.randbytes(48), chance.randbytes(32), chance.randbytes(32)

    def theirs(secret: bytes, label: bytes, seed: bytes, length: int) -> bytes | None:
        options = (f"digest:{digest.upper()}", f"hexsecret:{secret.hex()}", f"hexseed:{(label + seed).hex()}")
        return _kdf("TLS1-PRF", length, *options)

    master = keys.master_secret(keys.TLS12, digest, premaster, client, server)
    assert master == theirs(premaster, b"master secret", client + server, 48)
    session = chance.randbytes(keys.hash_length(digest))
    extended = keys.extended_master_secret(keys.TLS12, digest, premaster, session)
    assert extended == theirs(premaster, b"extended master secret", session, 48)
    lengths = {"mac_length": 20, "key_length": 32, "iv_length": 16}
    block = keys.key_block(keys.TLS12, digest, master, client, server, **lengths)
    assert b"".join(block) == theirs(master, b"key expansion", server + client, 136)
    exported = keys.exporter_12(digest, master, "EXPORTER-test", client, server, b"context", 77)
    assert exported == theirs(master, b"EXPORTER-test", client + server + b"\0\7context", 77)
