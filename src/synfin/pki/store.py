"""A CA in a plain folder that a person can read; it and ``plainfiles`` alone of ``pki`` touch files.

    README.txt                     what is what
    root/                          one folder for each authority
        certificate.pem
        key.pem                    mode 0600, encrypted where a password was given
        authority.json             who is above it, how many CRLs it made, where clients find them
        ledger.jsonl               one line for each certificate it issued: number, names, dates, whether revoked
        crl.pem                    the last CRL
    issued/1a2b3c4d-www.example.com/   certificate.pem, chain.pem, and key.pem where the key was made here

The ledger (``ledger`` has its lines) is the truth; CRLs and OCSP answers are made from it.  A crash leaves the old or
the new file, a full disk nothing half done; a lock keeps two writers apart.  Nothing outside of the folder is read or
written, least of all a system trust store.  What goes wrong with files is a UsageError of one line.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from synfin.errors import UsageError, WireError
from synfin.pki import mint, revocation
from synfin.pki.keys import PrivateKey, key_pem, load_key, make_key, spki
from synfin.pki.ledger import Entry, find, read_ledger, serial_of, write_ledger
from synfin.pki.mint import Credential, Order
from synfin.pki.plainfiles import read, told, whole, write
from synfin.pki.revocation import Revoked
from synfin.pki.walk import IssueWalk, apply, issue
from synfin.spec.certificates import certificate_facts
from synfin.spec.certroots import pem_certificates

README = """A small certificate authority, kept by synfin.

root/ and its neighbours are the authorities: certificate.pem is public, key.pem is secret (mode 0600).
ledger.jsonl lists what an authority issued, one line each; crl.pem is its last list of revoked certificates.
issued/ holds what was issued: give certificate.pem or chain.pem, and key.pem, to the server.
To trust all of it in one program, give that program root/certificate.pem.
"""

#: In a URL, the name of the authority it is for.
AUTHORITY = "{authority}"
_URLS = ("ocsp_url", "issuer_url", "crl_url")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")


@dataclass(frozen=True, slots=True)
class Issued:
    """What came of issuing: the walk, and the folder it lies in."""

    walk: IssueWalk
    folder: Path


class Store:
    """The CA in ``folder``.  ``password`` opens (and for new keys, closes) the authorities' keys."""

    def __init__(self, folder: Path, password: bytes | None = None) -> None:
        self.folder = folder
        self.password = password
        self._opened: dict[str, Credential] = {}
        with told():
            found = (folder / "root" / "certificate.pem").is_file()
        if not found:
            raise UsageError(f"{folder} holds no certificate authority; synfin ca init {folder} makes one")

    @classmethod
    def create(cls, folder: Path, order: Order, *, kind: str = "p256", password: bytes | None = None) -> Store:
        """A new CA with a root by ``order``.  Raises UsageError where the folder exists and is not empty."""
        root = mint.self_signed(order, make_key(kind))
        with told():
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise UsageError(f"{folder} is not empty: a new CA wants a new folder")
            (folder / "issued").mkdir()
            with whole(folder / "issued", folder / "root", folder / "README.txt"):
                write(folder / "README.txt", README.encode())
                _authority(folder / "root", root, "", password)
        return cls(folder, password)

    # ---------------------------------------------------------------- authorities

    def authorities(self) -> tuple[str, ...]:
        """The names of the authorities, the root first."""
        found = sorted(path.parent.name for path in self.folder.glob("*/authority.json"))
        return tuple(sorted(found, key=lambda name: name != "root"))

    def certificate(self, authority: str = "root") -> bytes:
        """An authority's certificate, DER.  Raises UsageError where there is none of that name."""
        if not _NAME.fullmatch(authority):
            raise UsageError(f"{authority!r} is no name of an authority; there are {', '.join(self.authorities())}")
        if not (self.folder / authority / "authority.json").exists():
            raise UsageError(f"there is no authority {authority!r}; there are {', '.join(self.authorities())}")
        found = pem_certificates(read(self.folder / authority / "certificate.pem"))
        try:
            x509.load_der_x509_certificate(found[0])
        except (IndexError, *mint.UNREADABLE) as error:
            raise UsageError(f"{self.folder / authority / 'certificate.pem'} holds no certificate") from error
        return found[0]

    def authority(self, name: str = "root") -> Credential:
        """An authority with its key, opened once: passwords are slow on purpose.  UsageError for a wrong password."""
        if name not in self._opened:
            der = self.certificate(name)
            path = self.folder / name / "key.pem"
            key = load_key(read(path), self.password, where=str(path))
            if spki(mint.public_of(key)) != certificate_facts(der).spki:
                raise UsageError(f"{path} is not the key of the certificate beside it")
            self._opened[name] = Credential(der, key)
        return self._opened[name]

    def locked(self) -> bool:
        """Whether the keys want a password."""
        return b"ENCRYPTED" in read(self.folder / "root" / "key.pem")

    def above(self, name: str) -> tuple[bytes, ...]:
        """``name``'s certificate and those above it, to the root (DER)."""
        return tuple(map(self.certificate, self._upwards(name)))

    def _upwards(self, name: str) -> list[str]:
        found: list[str] = []
        while name and name not in found:
            found.append(name)
            name = str(self._about(name).get("above", ""))
        return found

    def add_authority(self, name: str, order: Order, now: datetime, *, by: str = "root", kind: str = "p256") -> Issued:
        """A new intermediate ``name`` below ``by``."""
        if not _NAME.fullmatch(name) or name == "issued":
            raise UsageError(f"{name!r} is no name for an authority: small letters, digits and dashes")
        if (self.folder / name).exists():
            raise UsageError(f"there is an authority {name} already")
        key = make_key(kind)
        done = self._issue(order, apply(order, key), now, by, lambda _: self.folder / name)
        above = self._about(by)
        urls = {url: str(above.get(url, "")) for url in _URLS}
        urls = {url: text for url, text in urls.items() if text and (url == "ocsp_url" or AUTHORITY in text)}
        with told(), whole(self.folder / name):
            _authority(self.folder / name, Credential(done.walk.certificate, key), by, self.password, urls)
        return done

    # ---------------------------------------------------------------- issuing

    def issue(
        self,
        order: Order,
        now: datetime,
        *,
        by: str = "root",
        kind: str = "p256",
        request: bytes | None = None,
        key_password: bytes | None = None,
    ) -> Issued:
        """A certificate by ``order``: for the key of ``request`` (PKCS#10), or for a key made here and kept beside it.

        ``key_password`` closes that key.  The walk's checks decide; what they refuse is a UsageError, and nothing is
        written.
        """
        key: PrivateKey | None = None
        if request is None:
            key = make_key(kind)
            request = apply(order, key)
        return self._issue(order, request, now, by, self._folder_of, key, key_password)

    def _issue(
        self,
        order: Order,
        request: bytes,
        now: datetime,
        by: str,
        place: Callable[[IssueWalk], Path],
        key: PrivateKey | None = None,
        key_password: bytes | None = None,
    ) -> Issued:
        ca, above, about = self.authority(by), self.above(by), self._about(by)
        for name in self._upwards(by):
            taken = self.revoked(name)
            if taken is not None:  # clients that ask would believe nothing that is signed below
                raise UsageError(f"{by} cannot issue: {name} was revoked on {taken.revoked[:10]}: {taken.reason}")
        urls = {name: str(about.get(name, "")).replace(AUTHORITY, by) for name in _URLS}
        order = replace(
            order,
            ocsp_url=order.ocsp_url or urls["ocsp_url"],
            issuer_url=order.issuer_url or urls["issuer_url"],
            crl_url=order.crl_url or urls["crl_url"],
        )
        walk = issue(ca, order, request, now, above[1:])
        folder: Path = place(walk)
        facts = certificate_facts(walk.certificate)
        entry = Entry(
            facts.serial_hex,
            facts.subject_text,
            order.names,
            facts.not_before_text,
            facts.not_after_text,
            str(folder.relative_to(self.folder)),
        )
        with self._locked(), told():
            entries = [*self.ledger(by), entry]  # a ledger that cannot be read is told before anything is written
            folder.mkdir()
            with whole(folder):
                if key is not None:
                    write(folder / "key.pem", key_pem(key, key_password), 0o600)
                write(folder / "certificate.pem", mint.pem(walk.certificate))
                write(folder / "chain.pem", mint.pem(walk.certificate, *above[:-1]))
                self._keep(by, entries)
        return Issued(walk, folder)

    def revoked(self, authority: str) -> Entry | None:
        """The ledger line of an authority's certificate where that was revoked, else None."""
        serial = certificate_facts(self.certificate(authority)).serial_hex
        above = str(self._about(authority).get("above", ""))
        entries = self.ledger(above) if above else ()
        return next((entry for entry in entries if entry.serial == serial and entry.revoked), None)

    def _folder_of(self, walk: IssueWalk) -> Path:
        name = re.sub(r"[^A-Za-z0-9.-]", "_", walk.identity[0])[:60].lstrip(".")
        return self.folder / "issued" / f"{certificate_facts(walk.certificate).serial_hex[:8].lower()}-{name}"

    def ledger(self, authority: str = "root") -> tuple[Entry, ...]:
        """What an authority issued, oldest first.  Raises UsageError with the line that cannot be read."""
        self.certificate(authority)
        path = self.folder / authority / "ledger.jsonl"
        return read_ledger(read(path), path)

    # ---------------------------------------------------------------- taking back

    def find(self, what: str) -> tuple[str, Entry]:
        """The authority and ledger line of a certificate, as ``ledger.find``."""
        every = ((name, entry) for name in self.authorities() for entry in self.ledger(name))
        return find(what, every, self.folder)

    def revoke(self, serial: str, now: datetime, reason: str = "unspecified") -> Entry:
        """Revoke the certificate with that number (hex), by whichever authority issued it, and make its new CRL."""
        revocation.reason_flag(reason)
        wanted = serial_of(serial)
        for name in self.authorities():
            with self._locked():
                entries = list(self.ledger(name))
                place = next((at for at, entry in enumerate(entries) if entry.serial == wanted), None)
                if place is None:
                    continue
                if entries[place].revoked:
                    taken = entries[place].revoked
                    raise UsageError(f"{serial} was revoked on {taken[:10]} at {taken[11:19]} UTC already")
                when = now.astimezone(UTC).replace(microsecond=0)
                entries[place] = replace(entries[place], revoked=when.isoformat(), reason=reason)
                self._keep(name, entries)
            self.make_crl(name, now)
            return entries[place]
        raise UsageError(f"no certificate with the serial number {serial} was issued here")

    def make_crl(self, authority: str, now: datetime, *, life: timedelta = revocation.CRL_LIFE) -> bytes:
        """A new CRL (DER) of ``authority``, good for ``life``, written as its crl.pem."""
        ca = self.authority(authority)
        with self._locked():
            about = self._about(authority)
            number = about.get("crls", 0) + 1
            taken = [entry.taken for entry in self.ledger(authority)]
            crl = revocation.make_crl(ca, [one for one in taken if one], number, now, life=life)
            with told():
                write(self.folder / authority / "authority.json", _json({**about, "crls": number}))
                text = x509.load_der_x509_crl(crl).public_bytes(Encoding.PEM)
                write(self.folder / authority / "crl.pem", text)
        return crl

    def answer(self, request: bytes, now: datetime, *, life: timedelta = revocation.OCSP_LIFE) -> bytes:
        """The OCSP response (DER) to ``request``, by the authority it is about; whatever a client sent is answered."""
        name = self._asked(request) or "root"
        entries = {int(entry.serial, 16): entry for entry in self.ledger(name)}

        def look(serial: int) -> Revoked | bool:
            entry = entries.get(serial)
            return (entry.taken or True) if entry else False

        return revocation.answer(request, self.authority(name), look, now, life=life)

    def _asked(self, request: bytes) -> str | None:
        try:
            asked = revocation.read_request(request)
        except WireError:
            return None
        for name in self.authorities():
            certificate = x509.load_der_x509_certificate(self.certificate(name))
            if revocation.issuer_hashes(certificate, asked.algorithm) == (asked.name_hash, asked.key_hash):
                return name
        return None

    # ---------------------------------------------------------------- files

    def set_urls(self, authority: str, *, ocsp_url: str = "", issuer_url: str = "", crl_url: str = "") -> None:
        """Where clients find what: written into every certificate that ``authority`` issues from now on.

        ``AUTHORITY`` stands for its name.  Authorities made below it later take over what serves them too: the URL of
        OCSP, and each that has ``AUTHORITY`` in it.  Raises UsageError for what is no URL; then nothing is written.
        """
        urls = {"ocsp_url": ocsp_url, "issuer_url": issuer_url, "crl_url": crl_url}
        for text in filter(None, urls.values()):
            mint.url(text)
        with self._locked(), told():
            write(self.folder / authority / "authority.json", _json({**self._about(authority), **urls}))

    def _about(self, authority: str) -> dict[str, Any]:
        path = self.folder / authority / "authority.json"
        try:
            found = json.loads(read(path))
        except ValueError as error:
            raise UsageError(f"{path} cannot be read: {error}") from error
        if not isinstance(found, dict):
            raise UsageError(f"{path} cannot be read: it is no JSON object")
        if not isinstance(found.get("crls", 0), int):
            raise UsageError(f"{path} cannot be read: crls is no number")
        return found

    def _keep(self, authority: str, entries: list[Entry]) -> None:
        with told():
            write(self.folder / authority / "ledger.jsonl", write_ledger(entries))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other writers out; the lock is on the folder itself and goes with the process."""
        with told():
            handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _authority(
    folder: Path, credential: Credential, above: str, password: bytes | None, urls: dict[str, str] | None = None
) -> None:
    folder.mkdir(exist_ok=True)
    write(folder / "key.pem", key_pem(credential.key, password), 0o600)
    write(folder / "certificate.pem", credential.pem)
    write(folder / "ledger.jsonl", b"")
    write(folder / "authority.json", _json({"above": above, "crls": 0, **(urls or {})}))


def _json(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"
