"""From the options of ``synfin serve`` to a TLS configuration: certificates, versions, suites, groups, client CAs."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.x509 import ocsp

from synfin import tls
from synfin.cli.ca_common import opened, password_file
from synfin.cli.tls_names import groups, suites
from synfin.errors import PeerError, UsageError
from synfin.pki import mint
from synfin.pki.keys import KINDS, PrivateKey, load_key, make_key
from synfin.pki.store import Store
from synfin.spec.certificates import certificate_facts
from synfin.spec.certroots import pem_certificates
from synfin.tls.config import GROUPS, MOST_AUTHORITIES, SUITES_12, SUITES_13, TLS12, TLS13
from synfin.tls.signing import SIGNING, allows

_KEY_BLOCK = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
#: How long a certificate lives that is made for one run.
LIFE = timedelta(days=7)
#: The mode in which clients are asked after the handshake.
ON_REQUEST = "on-request"
#: Octets of early data at most: they are held where they have to wait.
EARLY = 1 << 20


@dataclass(slots=True)
class Wanted:
    """What the command line asked for."""

    certs: list[Path] = field(default_factory=list)
    keys: list[Path] = field(default_factory=list)
    password_file: Path | None = None
    ca_store: Path | None = None
    names: tuple[str, ...] = ()
    key_kinds: str = "p256"
    client_ca: Path | None = None
    client_cert: str = ""
    tls_min: str = "1.2"
    tls_max: str = "1.3"
    ciphers: str = ""
    groups: str = ""
    alpn: str = ""
    tickets: int = 2
    early_data: int = 0
    strict_sni: bool = False
    ocsp: Path | None = None
    handshake: float = 10.0


@dataclass(frozen=True, slots=True)
class Made:
    """A configuration, what to say of its certificate, what to warn of, and the root that clients have to be given."""

    config: tls.ServerConfig
    certificate: str
    warnings: tuple[str, ...]
    root: bytes | None  # PEM; None where the user brought certificates


def read(path: Path, option: str) -> bytes:
    """A file's content, or UsageError in one line."""
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError(f"{option} {path}: not a file")
            found = file.read((1 << 22) + 1)
    except OSError as error:
        raise UsageError(f"{option} {path}: {os.strerror(error.errno or 0)}") from error
    if len(found) > 1 << 22:
        raise UsageError(f"{option} {path}: too large for what it should be")
    return found


def configured(wanted: Wanted, key_log: Callable[[str], None] | None, *, raw: bool) -> Made:
    """The configuration for ``wanted``.  Raises UsageError with the option that cannot be had."""
    warnings: list[str] = []
    root: bytes | None = None
    if wanted.certs:
        if wanted.ca_store is not None:
            raise UsageError("choose one of --cert and --ca")
        credentials = _brought(wanted, warnings)
        told = "; ".join(_told(credential) for credential in credentials)
    else:
        if wanted.keys:
            raise UsageError("--key without --cert: a key needs its certificate")
        if wanted.ocsp is not None:
            raise UsageError("--ocsp without --cert: a response is for one certificate, which is made anew here")
        credentials, root, by = _issued(wanted)
        names = ", ".join(wanted.names)
        told = f"for {names}, {by}" if wanted.ca_store is not None else f"made for this run, for {names}; {by}"
    low, high = (
        _version(text, option) for text, option in ((wanted.tls_min, "--tls-min"), (wanted.tls_max, "--tls-max"))
    )
    if low > high:
        raise UsageError(f"--tls-min {wanted.tls_min} is above --tls-max {wanted.tls_max}")
    for option, listed in (("--ciphers", wanted.ciphers), ("--groups", wanted.groups), ("--alpn", wanted.alpn)):
        if listed and not listed.strip(" ,:"):
            raise UsageError(f"{option} {listed!r}: names, separated by commas")
    protocols = wanted.alpn or ("" if raw else "h2,http/1.1,http/1.0")
    alpn = tuple(word.strip().encode() for word in protocols.split(",") if word.strip() and wanted.alpn != "none")
    if any(len(word) > 255 or not word.decode().isprintable() or b" " in word for word in alpn):
        raise UsageError(f"--alpn {wanted.alpn}: names of 1 to 255 letters, separated by commas, such as h2,http/1.1")
    mode, verify, authorities = _clients(wanted)
    if not 0 <= wanted.tickets <= 32:
        raise UsageError(f"--tickets {wanted.tickets}: 0 to 32")
    if not 0 <= wanted.early_data <= EARLY:
        raise UsageError(f"--early-data {wanted.early_data}: 0 to {EARLY}")
    if wanted.early_data and (not wanted.tickets or high < TLS13):
        raise UsageError("--early-data needs tickets and TLS 1.3: it comes with a session that is resumed")
    tickets = tls.TicketKeys(os.urandom(32)) if wanted.tickets else None
    try:
        config = tls.ServerConfig(
            credentials=tuple(credentials),
            min_version=low,
            max_version=high,
            suites=suites(wanted.ciphers) or SUITES_13 + SUITES_12,
            groups=groups(wanted.groups) or GROUPS,
            alpn=alpn,
            client_auth=mode,
            verify=verify,
            client_authorities=authorities,
            strict_sni=wanted.strict_sni,
            ticket_keys=tickets,
            tickets=wanted.tickets,
            session_cache=tls.SessionCache() if wanted.tickets else None,
            max_early_data=wanted.early_data,
            replay_guard=tls.ReplayGuard() if wanted.early_data else None,
            handshake_seconds=wanted.handshake,
            key_log=key_log,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    if not config.suites_13 and not config.suites_12:
        raise UsageError("--ciphers leaves no cipher suite for the versions allowed")
    if low <= TLS13 == high and not config.suites_13:
        config = replace(config, max_version=TLS12)
        warnings.append("--ciphers has no suite for TLS 1.3: only TLS 1.2 is served")
    return Made(config, told, tuple(warnings), root)


# ---------------------------------------------------------------- certificates


def _brought(wanted: Wanted, warnings: list[str]) -> list[tls.Credential]:
    if len(wanted.keys) > len(wanted.certs):
        raise UsageError("more --key than --cert: give them in pairs, in the same order")
    password = None if wanted.password_file is None else password_file(wanted.password_file, "--password-file")
    staple = None if wanted.ocsp is None else _staple(wanted.ocsp, warnings)
    found = []
    for place, path in enumerate(wanted.certs):
        data = read(path, "--cert")
        chain = pem_certificates(data)
        if not chain:
            raise UsageError(f"--cert {path}: no certificate in PEM")
        where, pem = path, data
        if place < len(wanted.keys):
            where = wanted.keys[place]
            pem = read(where, "--key")
        elif not _KEY_BLOCK.search(data):
            raise UsageError(f"--cert {path}: no private key in it, and no --key given for it")
        block = _KEY_BLOCK.search(pem)
        if block is None:
            raise UsageError(f"--key {where}: no private key in PEM")
        encrypted = b"ENCRYPTED" in pem[block.start() :]
        if encrypted and password is None:
            raise UsageError(f"--key {where} is encrypted: give its password by --password-file")
        key = load_key(pem[block.start() :], password if encrypted else None, where=f"--key {where}")
        try:
            credential = tls.Credential(tuple(chain), key, ocsp=staple if place == 0 else None)
        except PeerError as error:
            raise UsageError(f"--cert {path}: a damaged certificate: {error.got or error}") from error
        except ValueError as error:
            raise UsageError(f"--cert {path} and --key {where}: {error}") from error
        found.append(credential)
        warnings += _lifetime(path, chain)
        if not allows(chain[0], SIGNING):
            warnings.append(f"--cert {path}: its key usage has no {SIGNING}, so only static RSA suites can use it")
    return found


def _staple(path: Path, warnings: list[str]) -> bytes:
    """An OCSP response; whether it is good is left to clients, as that may be what is tested."""
    data = read(path, "--ocsp")
    try:
        found = ocsp.load_der_ocsp_response(data)
        good = found.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
        end = found.next_update_utc if good else None
    except ValueError:
        raise UsageError(f"--ocsp {path}: no OCSP response in DER; synfin ca ocsp --staple makes one") from None
    if not good:
        warnings.append(f"--ocsp {path}: says {found.response_status.name.lower()}; clients will refuse it")
    elif end is not None and end < datetime.now(UTC):
        warnings.append(f"--ocsp {path}: ran out on {end:%Y-%m-%d}; clients will refuse it")
    return data


def _lifetime(path: Path, chain: tuple[bytes, ...]) -> list[str]:
    """Warnings of certificates outside of their time."""
    now = datetime.now(UTC).timestamp() * 1e9
    told = []
    for place, der in enumerate(chain):
        facts = certificate_facts(der)
        which = "the certificate" if place == 0 else f"issuer {place}"
        if facts.not_after is not None and facts.not_after < now:
            told.append(f"--cert {path}: {which} expired on {_day(facts.not_after)}; clients will refuse it")
        elif facts.not_before is not None and facts.not_before > now:
            told.append(f"--cert {path}: {which} is valid only from {_day(facts.not_before)}; clients will refuse it")
    return told


def _day(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).strftime("%Y-%m-%d")


def _told(credential: tls.Credential) -> str:
    """What a certificate is for, and how long."""
    facts = certificate_facts(credential.chain[0])
    names = facts.hosts
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    until = "" if facts.not_after is None else f", until {_day(facts.not_after)}"
    return f"{credential.kind.kind} for {shown or 'no name'}{until}"


def _issued(wanted: Wanted) -> tuple[list[tls.Credential], bytes, str]:
    """Credentials made now: by the CA in a folder, or by a root of this run."""
    kinds = [word.strip() for word in wanted.key_kinds.split(",") if word.strip()]
    unknown = next((kind for kind in kinds if kind not in KINDS), None)
    if unknown is not None or not kinds:
        raise UsageError(f"--key-kind {unknown or wanted.key_kinds}: choose from {', '.join(KINDS)}")
    now = datetime.now(UTC).replace(microsecond=0)
    found = []
    order = mint.leaf_order(wanted.names, now, life=LIFE)
    if wanted.ca_store is not None:
        store = opened(wanted.ca_store, file=wanted.password_file)
        lower = (name for name in store.authorities() if name != "root" and store.revoked(name) is None)
        by = next(lower, "root")
        above = store.above(by)
        order = replace(order, not_after=now + mint.within(LIFE, above[0], now))
        told = "issued"
        for kind in kinds:
            known = _known(store, by, order, kind, now)
            if known is None:
                folder = store.issue(order, now, by=by, kind=kind).folder
                known = (folder / "certificate.pem").read_bytes(), load_key((folder / "key.pem").read_bytes())
            else:
                told = "issued before"
            found.append(tls.Credential((*pem_certificates(known[0])[:1], *above[:-1]), known[1]))
        return found, mint.pem(above[-1]), f"{told} by {by} of {wanted.ca_store}"
    if wanted.password_file is not None:
        raise UsageError("--password-file without --cert or --ca: there is nothing to open")
    root = mint.self_signed(mint.root_order("synfin serve (this run only)", now, life=LIFE), make_key("p256"))
    for kind in kinds:
        leaf = mint.signed(order, make_key(kind), root)
        found.append(tls.Credential((leaf.der,), leaf.key))
    return found, root.pem, "by a root that nobody trusts yet"


def _known(store: Store, by: str, order: mint.Order, kind: str, now: datetime) -> tuple[bytes, PrivateKey] | None:
    """A certificate (PEM) and key that were issued before and still do for a day: the same names, the same kind."""
    for entry in reversed(store.ledger(by)):
        folder = store.folder / entry.folder
        late = datetime.fromisoformat(entry.not_after) < now + timedelta(days=1)
        if entry.revoked or late or not entry.names or set(entry.names) != set(order.names):
            continue
        try:
            certificate, key = (folder / "certificate.pem").read_bytes(), load_key((folder / "key.pem").read_bytes())
        except (OSError, UsageError):
            continue
        ders = pem_certificates(certificate)
        if ders and _like(key, kind) and not certificate_facts(ders[0]).must_staple:
            return certificate, key
    return None


def _like(key: PrivateKey, kind: str) -> bool:
    """Whether a key is of ``kind``."""
    curve, size = getattr(key, "curve", None), getattr(key, "key_size", None)
    if kind.startswith("rsa"):
        return curve is None and size == int(kind[3:])
    if curve is not None:
        return bool(curve.name == f"secp{kind[1:]}r1")
    return type(key).__name__.lower().startswith(kind.replace("-", ""))


def _clients(wanted: Wanted) -> tuple[str | None, tls.PathVerifier | None, tuple[bytes, ...]]:
    """Whether clients need certificates, who judges them, and the names of their CAs."""
    mode = wanted.client_cert
    if mode not in ("", "optional", "required", ON_REQUEST):
        raise UsageError(f"--client-cert {mode}: choose optional, required or {ON_REQUEST}")
    if wanted.client_ca is None:
        if mode:
            raise UsageError("--client-cert needs --client-ca FILE: the CAs whose clients are let in")
        return None, None, ()
    roots = pem_certificates(read(wanted.client_ca, "--client-ca"))
    facts = [certificate_facts(der) for der in roots]
    try:
        verify = tls.PathVerifier(roots)
    except (ValueError, PeerError) as error:
        raise UsageError(f"--client-ca {wanted.client_ca}: {error}") from error
    return None if mode == ON_REQUEST else mode or "required", verify, _authorities([one.subject_der for one in facts])


def _authorities(names: list[bytes]) -> tuple[bytes, ...]:
    """Names of CAs for requests; none, which is lawful, where they would not fit in (RFC 5246 7.4.4)."""
    return tuple(names) if sum([len(name) + 2 for name in names]) <= MOST_AUTHORITIES else ()


# ---------------------------------------------------------------- names of numbers


def _version(text: str, option: str) -> int:
    found = {"1.2": TLS12, "1.3": TLS13}.get(text.lower().removeprefix("tls").removeprefix("v"))
    if found is None:
        raise UsageError(f"{option} {text}: choose 1.2 or 1.3")
    return found
