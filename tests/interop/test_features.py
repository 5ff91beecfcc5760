"""What has no column in the matrix: single features, each said to be there by a foreign program."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from synfin import tls
from synfin.drive.blocking import BlockingTls, serve_tls
from synfin.drive.capture import may_capture
from synfin.errors import PeerError
from synfin.pki import mint
from synfin.pki.keys import load_key
from synfin.spec.certroots import pem_certificates
from tests.interop import agree, browser, chains, matrix, ours
from tests.interop.cells import CELLS, CLIENT_NAME, HOST, NAME, Cell
from tests.interop.peer import between, get

FULL12, FULL13 = (next(cell for cell in CELLS if cell.id == f"{version} full") for version in ("1.2", "1.3"))
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
needs_gnutls = pytest.mark.skipif(shutil.which("gnutls-cli") is None, reason="gnutls-cli is not installed")


def s_client(port: int, *options: str, give: bytes = b"", alpn: str = "http/1.1") -> str:
    command = ["openssl", "s_client", "-connect", f"{HOST}:{port}", "-CAfile", chains.root_file(), "-ign_eof"]
    give = give or get(port, alpn)
    done = subprocess.run([*command, "-alpn", alpn, *options], input=give, capture_output=True, timeout=30, check=False)
    return done.stdout.decode("latin-1") + done.stderr.decode("latin-1")


@contextmanager
def client_of(config: tls.ServerConfig, *command: str) -> Iterator[tuple[BlockingTls, subprocess.Popen[bytes]]]:
    """A foreign client, "PORT" in its command being ours, when it has shaken hands with our server."""
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(20)
        port = str(listener.getsockname()[1])
        words = [word.replace("PORT", port) for word in command]
        with subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            try:
                peer, _ = listener.accept()
                peer.settimeout(20)
                with serve_tls(peer, config) as stream:
                    yield stream, process
            finally:
                process.kill()
                process.communicate()


def write(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


# ---------------------------------------------------------------- which certificate


def _signed(text: str) -> str:
    """How s_client says the server signed, in the newer spelling."""
    return (between(text, r"Peer signature type: (\S+)") or "").lower().replace("-", "_")


@needs_openssl
@pytest.mark.parametrize("cell", [FULL12, FULL13], ids=["1.2", "1.3"])
def test_names_and_signatures_choose_the_certificate(cell: Cell, tmp_path: Path) -> None:
    made = [chains.server("p256"), chains.server("rsa2048"), chains.server("p256", "other.example")]
    config = ours.server_config(cell, credentials=tuple(map(chains.credential, made)))
    with ours.serving(tmp_path / "c.pcapng", {"it": config}) as place:
        port = place.ports["it"]
        first = s_client(port, "-servername", NAME)
        second = s_client(port, "-servername", "other.example")
        rsa = s_client(port, "-servername", NAME, "-sigalgs", "rsa_pss_rsae_sha256:rsa_pkcs1_sha256")
    assert _signed(first).startswith("ecdsa")
    assert "subject=CN = localhost" in first
    assert "subject=CN = other.example" in second
    assert _signed(rsa).startswith("rsa_pss")


@needs_openssl
@pytest.mark.parametrize("cell", [FULL12, FULL13], ids=["1.2", "1.3"])
def test_a_key_for_rsa_pss_alone(cell: Cell, tmp_path: Path) -> None:
    """A key that openssl made for RSASSA-PSS only (RFC 4055 1.2), which signs as rsa_pss_pss_*."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = ["openssl", "genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(key)]
    sign = ["openssl", "req", "-x509", "-key", str(key), "-subj", "/CN=localhost", "-out", str(certificate)]
    for command in (make, sign):
        subprocess.run(command, capture_output=True, check=True, timeout=60)
    credential = tls.Credential(pem_certificates(certificate.read_bytes()), load_key(key.read_bytes()))
    config = ours.server_config(cell, credentials=(credential,))
    with ours.serving(tmp_path / "c.pcapng", {"it": config}) as place:
        text = s_client(place.ports["it"], "-sigalgs", "rsa_pss_pss_sha256", "-CAfile", str(certificate))
    assert _signed(text).startswith("rsa_pss")
    assert "Verify return code: 0 (ok)" in text
    assert "200 OK" in text


def staple(leaf: mint.Credential) -> bytes:
    now = datetime.now(UTC).replace(microsecond=0)
    root = chains.root()
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=leaf.certificate,
        issuer=root.certificate,
        algorithm=hashes.SHA1(),
        cert_status=ocsp.OCSPCertStatus.GOOD,
        this_update=now - timedelta(hours=1),
        next_update=now + timedelta(days=1),
        revocation_time=None,
        revocation_reason=None,
    )
    made = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, root.certificate).sign(root.key, hashes.SHA256())
    return made.public_bytes(Encoding.DER)


@needs_openssl
@pytest.mark.parametrize("cell", [FULL12, FULL13], ids=["1.2", "1.3"])
def test_openssl_sees_thestaple(cell: Cell, tmp_path: Path) -> None:
    leaf = chains.server("p256")
    credential = tls.Credential((leaf.der,), leaf.key, ocsp=staple(leaf))
    with ours.serving(tmp_path / "c.pcapng", {"it": ours.server_config(cell, credentials=(credential,))}) as place:
        text = s_client(place.ports["it"], "-servername", NAME, "-status")
    assert "OCSP Response Status: successful" in text
    assert "Cert Status: good" in text


@pytest.mark.skipif(bool(agree.missing() or browser.Chromium().missing()), reason="needs tshark and chromium")
def test_chromium_takes_a_compressed_certificate(tmp_path: Path) -> None:
    """Chromium asks for brotli, and tshark sees a CompressedCertificate (25) instead of a Certificate (11)."""
    peer = browser.Chromium()
    leaf = chains.server("rsa2048")
    config = ours.server_config(FULL13, credentials=(tls.Credential((leaf.der, chains.root().der), leaf.key),))
    with ours.serving(tmp_path / "c.pcapng", {"1.3 full": config}) as place:
        answer = peer.run({"1.3 full": FULL13}, place.ports, tmp_path)["1.3 full"]
    assert not isinstance(answer, str), answer
    read = agree.by_tshark(place.capture, set(place.ports.values()))
    assert any(25 in one.messages[1] for one in read.values()), read


# ---------------------------------------------------------------- after the handshake


def _asking(**more: object) -> tls.ServerConfig:
    return ours.server_config(FULL13, verify=tls.PathVerifier([chains.root().der]), alpn=(), **more)


def authenticated(stream: BlockingTls) -> list[tls.Event]:
    """Ask for the client's certificate and read until it says "done"; what it was."""
    endpoint = stream.endpoint
    assert isinstance(endpoint, tls.Server)
    endpoint.request_certificate()
    stream.send(b"who are you?\n")
    found: list[tls.Event] = []
    while not any(isinstance(event, tls.PeerAuthenticated) for event in found):
        data = stream.sock.recv(1 << 16)
        assert data, found
        endpoint.receive(data, datetime.now(UTC).timestamp())
        found += iter(endpoint.next_event, None)
    return [event for event in found if isinstance(event, tls.PeerAuthenticated)]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("openssl", "s_client", "-connect", f"{HOST}:PORT", "-enable_pha", "-cert"), marks=needs_openssl),
        pytest.param(
            ("gnutls-cli", "--insecure", "--post-handshake-auth", "-p", "PORT", HOST, "--x509certfile"),
            marks=needs_gnutls,
        ),
    ],
    ids=["openssl", "gnutls"],
)
def test_a_client_proves_itself_after_the_handshake(command: tuple[str, ...]) -> None:
    certificate, key, _ = chains.files("p256", of_client=True)
    option = "-key" if command[0] == "openssl" else "--x509keyfile"
    with client_of(_asking(), *command, certificate, option, key) as (stream, process):
        write(process, b"hello\n")
        assert stream.recv() == b"hello\n"
        (event,) = authenticated(stream)
        assert isinstance(event, tls.PeerAuthenticated)
        assert event.chain == (chains.client("p256").der,)
        assert CLIENT_NAME in chains.client("p256").certificate.subject.rfc4514_string()


@needs_openssl
def test_openssl_is_told_that_nothing_is_renegotiated() -> None:
    """``R`` makes s_client ask; no_renegotiation (RFC 5246 7.2.2) is an error to it, and it says so."""
    command = ("openssl", "s_client", "-connect", f"{HOST}:PORT", "-tls1_2", "-servername", NAME)
    with client_of(ours.server_config(FULL12, alpn=()), *command) as (stream, process):
        write(process, b"R\n")
        with pytest.raises((OSError, PeerError)):
            while stream.recv():
                pass
        out, _ = process.communicate(timeout=20)
    assert b"RENEGOTIATING" in out
    assert b"no renegotiation" in out


@pytest.mark.skipif(shutil.which("gnutls-serv") is None, reason="gnutls-serv is not installed")
@pytest.mark.skipif(bool(agree.missing() or may_capture()), reason=agree.missing() or may_capture())
@pytest.mark.parametrize("cell", [FULL12, FULL13], ids=["1.2", "1.3"])
def test_gnutls_keeps_to_our_record_size_limit(cell: Cell, tmp_path: Path) -> None:
    """RFC 8449: no record of it carries more, though its page is longer.  GnuTLS takes no limits below 512."""
    server = next(peer for peer in matrix.SERVERS if peer.name == "GnuTLS")
    config = ours.client_config(cell, record_size_limit=600)
    with (
        server.serving({cell.id: cell}, tmp_path) as ports,
        ours.capturing(tmp_path / "c.pcapng", [ports[cell.id]]),
    ):
        assert b"GnuTLS" in ours.ask(ports[cell.id], config).body
    sizes = agree.record_sizes(tmp_path / "c.pcapng", ports[cell.id])
    assert len(sizes) > 1
    assert max(sizes) <= 600 + 24
