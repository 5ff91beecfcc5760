"""Whom a trace trusts and who it says it is: root bundles, client certificates, and a verifier that remembers.

Roots come from ``--cacert``, else from SSL_CERT_FILE, else from where this system keeps its bundle.  The ``Witness``
around the verifier keeps what the server presented and why it was refused, so that both can be told; with ``insecure``
the refusal is kept and the connection goes on.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synfin.drive.bundle import system_bundle
from synfin.errors import PeerError, UsageError
from synfin.pki.keys import load_key
from synfin.pki.revocation import crls_in
from synfin.spec.certcheck import ChainVerdict, check_chain
from synfin.spec.certroots import RootSet, pem_certificates
from synfin.tls import Credential, PathVerifier, Presented


@dataclass(frozen=True, slots=True)
class Trust:
    """Roots (DER), where they come from, for people, and CRLs (DER) that were given."""

    roots: tuple[bytes, ...]
    source: str
    crls: tuple[bytes, ...] = ()

    def verifier(self) -> PathVerifier:
        """A verifier of paths to these roots; certificates that cannot be used as roots are left out."""
        try:
            return PathVerifier(self.roots, self.crls)
        except (ValueError, PeerError):
            pass
        usable = []
        for der in self.roots:
            try:
                PathVerifier([der])
            except (ValueError, PeerError):
                continue
            usable.append(der)
        if not usable:
            raise UsageError(f"{self.source}: holds no certificate that can be a root")
        return PathVerifier(usable, self.crls)


def load_trust(cacerts: Sequence[Path]) -> Trust:
    """The roots that count.  UsageError when a file has none, or when none is found anywhere."""
    if cacerts:
        ders: list[bytes] = []
        for path in cacerts:
            ders += _pem(path, "--cacert")
        return Trust(tuple(ders), ", ".join(str(path) for path in cacerts))
    named = os.environ.get("SSL_CERT_FILE")
    if named:
        return Trust(tuple(_pem(Path(named), "SSL_CERT_FILE")), named)
    paths = ssl.get_default_verify_paths()
    found = Path(paths.cafile) if paths.cafile and Path(paths.cafile).is_file() else system_bundle()
    if found is not None:
        return Trust(tuple(_pem(found, "the system's roots")), str(found))
    raise UsageError("no trusted roots were found on this system; give some with --cacert FILE")


def _pem(path: Path, what: str) -> tuple[bytes, ...]:
    data = _read(path, what)
    found = pem_certificates(data)
    if not found:
        raise UsageError(f"{what} {path}: holds no certificate in PEM")
    return found


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{what} {path}: {error.strerror or error}") from None


def load_crls(paths: Sequence[Path]) -> tuple[bytes, ...]:
    """CRLs in PEM or DER, as DER.  UsageError for what is none."""
    every: list[bytes] = []
    for path in paths:
        found = crls_in(_read(path, "--crlfile"))
        if not found:
            raise UsageError(f"--crlfile {path}: holds no CRL")
        every += found
    return tuple(every)


def load_credential(cert: Path, key: Path | None, password: str | None) -> Credential:
    """A client certificate with its chain and key.  UsageError for what is missing, damaged or does not fit."""
    data = _read(cert, "--cert")
    chain = pem_certificates(data)
    if not chain:
        raise UsageError(f"--cert {cert}: holds no certificate in PEM")
    where = f"--key {key}" if key is not None else f"--cert {cert}"
    key_data = _read(key, "--key") if key is not None else data
    if b"PRIVATE KEY-----" not in key_data:
        raise UsageError(f"{where}: holds no private key; give it with --key FILE")
    if password is None and b"ENCRYPTED" in key_data:
        raise UsageError(f"{where} is encrypted: give its password with --pass")
    secret = None if password is None else password.encode()
    private = load_key(key_data, secret, where=where)
    try:
        return Credential(chain, private)
    except (ValueError, PeerError) as error:
        raise UsageError(f"{where} and --cert {cert}: {error}") from None


class Witness:
    """A verifier that keeps what it saw: ``presented``, and the ``refusal`` of what must not be trusted."""

    def __init__(self, inner: PathVerifier, roots: RootSet, *, insecure: bool) -> None:
        self._inner = inner
        self._roots = roots
        self._insecure = insecure
        self.presented: Presented | None = None
        self.refusal: PeerError | None = None

    def __call__(self, presented: Presented) -> None:
        """Judge; see ``tls.Verifier``."""
        self.presented = presented
        try:
            self._inner(presented)
        except PeerError as error:
            self.refusal = error
            if not self._insecure:
                raise

    def verdict(self) -> ChainVerdict | None:
        """All that is wrong with the chain, in order of gravity; None where none was presented."""
        seen = self.presented
        if seen is None:
            return None
        return check_chain(
            seen.chain,
            name=seen.name,
            when_ns=int(seen.now * 1e9),
            roots=self._roots,
            stapled=seen.stapled is not None,
        )
