"""The certificates of the matrix, as every peer takes them: a folder of PEM files made once in each process."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from synfin import tls
from synfin.pki import mint
from synfin.pki.keys import key_pem, make_key
from tests.interop.cells import CLIENT_NAME, HOST, NAME

PASSWORD = "synfin"


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@cache
def folder() -> Path:
    """Where the files are; gone when the process ends."""
    path = Path(tempfile.mkdtemp(prefix="synfin-interop-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@cache
def root() -> mint.Credential:
    made = mint.self_signed(mint.root_order("Interop root", now()), make_key("p256"))
    (folder() / "root.pem").write_bytes(made.pem)
    return made


@cache
def server(kind: str, name: str = NAME) -> mint.Credential:
    names = (name, HOST) if name == NAME else (name,)
    return mint.signed(mint.leaf_order(names, now(), life=timedelta(days=30)), make_key(kind), root())


@cache
def client(kind: str) -> mint.Credential:
    return mint.signed(mint.client_order(CLIENT_NAME, now()), make_key(kind), root())


def credential(made: mint.Credential) -> tls.Credential:
    return tls.Credential((made.der,), made.key)


def root_file() -> str:
    root()
    return str(folder() / "root.pem")


@cache
def files(kind: str, *, of_client: bool = False) -> tuple[str, str, str]:
    """Certificate, key, and both in one, in PEM."""
    made = client(kind) if of_client else server(kind)
    stem = f"{'client' if of_client else 'server'}-{kind}"
    paths = tuple(folder() / f"{stem}{end}" for end in (".crt", ".key", ".pem"))
    for path, data in zip(paths, (made.pem, key_pem(made.key), made.pem + key_pem(made.key)), strict=True):
        path.write_bytes(data)
    return str(paths[0]), str(paths[1]), str(paths[2])


@cache
def pkcs12(kind: str, *, of_client: bool = False) -> str:
    """Certificate and key for Java."""
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
    from cryptography.hazmat.primitives.serialization import pkcs12 as p12

    made = client(kind) if of_client else server(kind)
    path = folder() / f"{'client' if of_client else 'server'}-{kind}.p12"
    sealed = BestAvailableEncryption(PASSWORD.encode())
    path.write_bytes(p12.serialize_key_and_certificates(b"it", made.key, made.certificate, None, sealed))  # type: ignore[arg-type]
    return str(path)


@cache
def version_of(*command: str) -> str:
    """The first line a program prints of itself."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0].strip() if lines else ""
