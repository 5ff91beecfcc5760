"""RSA-PSS keys (id-RSASSA-PSS) sign with the hash their parameters name, and with any where there are none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from synfin import tls
from synfin.errors import PeerError
from synfin.tls import signing

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make RSA-PSS keys")
#: What openssl is told of the parameters, and the schemes that fit.
BOUND = {
    "any": ("", (0x0809, 0x080A, 0x080B)),
    "sha256": ("md:sha256 mgf1_md:sha256 saltlen:32", (0x0809,)),
    "sha384": ("md:sha384 mgf1_md:sha384 saltlen:48", (0x080A,)),
    "two hashes": ("md:sha256 mgf1_md:sha384 saltlen:32", ()),
    "sha1": ("md:sha1 mgf1_md:sha1 saltlen:20", ()),
}


def made(folder: Path, parameters: str) -> tls.Credential:
    """A self-signed certificate of such a key; it can sign itself whatever TLS thinks of it."""
    words = [word for one in parameters.split() for word in ("-pkeyopt", f"rsa_pss_keygen_{one}")]
    key, pem = folder / "key.pem", folder / "cert.pem"
    command: list[str | Path] = [
        "openssl",
        "genpkey",
        "-algorithm",
        "rsa-pss",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        *words,
        "-out",
        key,
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    ask: list[str | Path] = [
        "openssl",
        "req",
        "-x509",
        "-key",
        key,
        "-out",
        pem,
        "-subj",
        "/CN=localhost",
        "-days",
        "2",
    ]
    digest = next((f"-{one[3:]}" for one in parameters.split() if one.startswith("md:")), "-sha256")
    subprocess.run([*ask, digest], check=True, capture_output=True, timeout=60)
    der = x509.load_pem_x509_certificate(pem.read_bytes()).public_bytes(Encoding.DER)
    return tls.Credential((der,), load_pem_private_key(key.read_bytes(), None))


@needs_openssl
@pytest.mark.parametrize("bound", BOUND)
def test_a_key_signs_with_its_own_hash(tmp_path: Path, bound: str) -> None:
    parameters, codes = BOUND[bound]
    credential = made(tmp_path, parameters)
    for version in (0x0303, 0x0304):
        fitting = tuple(code for code in signing.DEFAULT if signing.fits(credential.kind, code, version))
        assert fitting == codes
        chosen = signing.choose(credential.kind, signing.DEFAULT, version, signing.DEFAULT)
        assert chosen == (codes[0] if codes else None)
    for code in (0x0809, 0x080A):
        key = signing.peer_key(credential.chain[0])
        if code in codes:
            signature = signing.sign(credential.key, code, b"said")
            signing.verify(key, code, signature, b"said", version=0x0304, offered=signing.DEFAULT)
        else:
            with pytest.raises(PeerError, match="signature_of_other_key"):
                signing.verify(key, code, bytes(256), b"said", version=0x0304, offered=signing.DEFAULT)
