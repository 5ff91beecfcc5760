"""Records that OpenSSL made, opened: every suite it has, every version, and TLS 1.3 with key updates."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from synfin.spec.protection import Unsupported
from synfin.wire.tls.suites import SUITES
from tests.spec.opening import open_session
from tests.support.minted import mint
from tests.support.tlspair import OP_NO_ENCRYPT_THEN_MAC, OPENSSL, contexts, memory, openssl, read_keylog

TALK = [(0, b"GET / HTTP/1.0\r\n\r\n"), (1, b"x" * 40_000), (1, b"bye"), (0, b"y" * 17_000)]


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("keys")
    made = []
    for kind in ("rsa2048", "p256"):
        minted = mint("test.example", kind=kind)
        path = folder / f"{kind}.pem"
        path.write_bytes(minted.pem + minted.key_pem)
        made.append(path)
    return made


def _ciphers() -> list[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    listed = context.get_ciphers()
    return [
        c["name"]
        for c in listed
        if c["protocol"] != "TLSv1.3"
        and (c["kea"] == "kx-rsa" or (c["kea"] == "kx-ecdhe" and c["auth"] in ("auth-rsa", "auth-ecdsa", "auth-null")))
    ]


VERSIONS = [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2]


@pytest.mark.parametrize("encrypt_then_mac", [True, False], ids=["etm", "mte"])
@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_suite_of_openssl(
    version: ssl.TLSVersion, encrypt_then_mac: bool, chains: list[Path], tmp_path: Path
) -> None:
    keylog = tmp_path / "keys"
    opened, unsupported = [], set()
    for cipher in _ciphers():
        options = 0 if encrypt_then_mac else OP_NO_ENCRYPT_THEN_MAC
        client, server = contexts(chains, keylog, version, cipher, options)
        try:
            session = memory(client, server, TALK)
        except ssl.SSLError:
            continue  # the suite does not exist in this version
        try:
            seen = open_session((bytes(session.wire[0]), bytes(session.wire[1])), read_keylog(keylog))
        except Unsupported as error:
            unsupported.add(error.name)
            continue
        assert (bytes(seen.data[0]), bytes(seen.data[1])) == session.said, cipher
        assert seen.finished == 2, cipher
        with_mac = any(
            word in SUITES[seen.hello.cipher] for word in ("CBC", "NULL")
        )  # OpenSSL agrees to it for NULL too
        assert (22 in seen.hello.extensions) == (encrypt_then_mac and with_mac)
        opened.append(cipher)
    assert all("ARIA" in name for name in unsupported)
    assert len(opened) >= (40 if version == ssl.TLSVersion.TLSv1_2 else 12)


@pytest.mark.skipif(OPENSSL is None, reason="openssl is missing")
@pytest.mark.parametrize(
    "name",
    [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_CCM_SHA256",
        "TLS_AES_128_CCM_8_SHA256",
    ],
)
def test_tls13_suites_with_key_updates(name: str, chains: list[Path], tmp_path: Path) -> None:
    session = openssl(
        ["-cert", str(chains[1]), "-rev", "-ciphersuites", name, "-record_padding", "512"],
        ["-tls1_3", "-ciphersuites", name],
        [b"first line\n", b"K\n", b"second line\n", b"k\n", b"third line\n", b"Q\n"],
        tmp_path / "keys",
    )
    seen = open_session((bytes(session.wire[0]), bytes(session.wire[1])), session.secrets)
    assert SUITES[seen.hello.cipher] == name
    assert bytes(seen.data[0]) == b"first line\nsecond line\nthird line\n"
    assert bytes(seen.data[1]).startswith(b"enil tsrif\n")
    assert seen.finished == 2
    assert seen.key_updates == 3  # K asks the server to update too
