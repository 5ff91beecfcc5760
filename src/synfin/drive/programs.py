"""Running a program that trusts one more root, for its process (and those it starts) alone.

There is no one way to tell a program whom to trust: each TLS library has a variable of its own, which adds to its store
or replaces it.  ``trusting`` sets them all in an environment for one program, with files in a private temporary folder
that is gone afterwards.  Where a variable replaces the store, the roots trusted so far are kept beside ours.  System
trust stores and files of the user are only ever read.

Firefox takes roots from its profile alone, and no variable changes that.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from synfin.drive.bundle import system_bundle
from synfin.errors import UsageError
from synfin.pki.mint import UNREADABLE, pem
from synfin.spec.certroots import pem_certificates

#: Variables naming a file that replaces the store.
REPLACING = (
    "SSL_CERT_FILE",  # OpenSSL, and with it Python, Ruby, PHP; Go; rustls-native-certs
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "AWS_CA_BUNDLE",
    "HTTPLIB2_CA_CERTS",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "CARGO_HTTP_CAINFO",
    "NIX_SSL_CERT_FILE",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "WEBSOCKET_CLIENT_CA_BUNDLE",
    "PERL_LWP_SSL_CA_FILE",
    "BUNDLE_SSL_CA_CERT",
)
#: Variables naming a file that is added to the store.
ADDING = ("NODE_EXTRA_CA_CERTS", "DENO_CERT")
#: Java wants its store closed with some password; it protects nothing.
JAVA_PASSWORD = "changeit"
BROWSER = re.compile(r"(chrom|google-chrome|brave|msedge|microsoft-edge|vivaldi|opera)")

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_FROM_TERMINAL = 0x80  # si_code SI_KERNEL: the terminal sent it, to the program too


@dataclass(frozen=True, slots=True)
class Surroundings:
    """An environment for one program, and what its user should know."""

    environment: dict[str, str]
    notes: tuple[str, ...]


@contextmanager
def trusting(
    root: bytes, program: str, environment: Mapping[str, str], *, only: bool = False
) -> Iterator[Surroundings]:
    """``environment`` changed so that ``program`` trusts ``root`` (DER), and with ``only`` nothing else.

    The files it names are there as long as the context is.  Raises UsageError where they cannot be written.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="synfin-trust-"))
    except OSError as error:
        raise UsageError(f"no temporary folder can be made: {error.strerror}") from error
    try:
        yield _surround(folder, root, Path(program).name, dict(environment), only)
    except OSError as error:
        raise UsageError(f"{error.filename or folder}: {error.strerror}") from error
    finally:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)  # nothing ends us half-way
        shutil.rmtree(folder, ignore_errors=True)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _surround(folder: Path, root: bytes, program: str, env: dict[str, str], only: bool) -> Surroundings:
    notes: list[str] = []
    public = () if only else trusted_so_far(env)
    if not public and not only:
        notes.append("no file of public roots was found: the program trusts this root only")
    own = _put(folder / "root.pem", pem(root))
    bundle = _put(folder / "bundle.pem", pem(*public, root))
    env.update(dict.fromkeys(REPLACING, str(bundle)))
    empty = folder / "empty"
    empty.mkdir(mode=0o700)
    for name in ADDING:
        before = () if only else _certificates(env.get(name, ""))
        env[name] = str(_put(folder / f"{name.lower()}.pem", pem(*before, root)))
    if only:
        env["SSL_CERT_DIR"] = str(empty)
        env["NODE_OPTIONS"] = f"{env.get('NODE_OPTIONS', '')} --use-openssl-ca".strip()
    store = _put(folder / "truststore.p12", java_store([*public, root]))
    java = {"trustStore": str(store), "trustStoreType": "PKCS12", "trustStorePassword": JAVA_PASSWORD}
    options = " ".join(f"-Djavax.net.ssl.{name}={value}" for name, value in java.items())
    env["JAVA_TOOL_OPTIONS"] = f"{env.get('JAVA_TOOL_OPTIONS', '')} {options}".strip()
    env["WGETRC"] = str(_put(folder / "wgetrc", _wgetrc(env, own, empty if only else None)))
    if BROWSER.match(program):
        notes += _browser_home(folder, own, env)
    elif program.startswith("firefox"):
        notes.append("Firefox takes roots from its profile only: import root/certificate.pem there")
    return Surroundings(env, tuple(notes))


def trusted_so_far(env: Mapping[str, str]) -> tuple[bytes, ...]:
    """The roots (DER) of every file that ``env`` names, and of the system where it names none."""
    files = dict.fromkeys(env[name] for name in REPLACING if env.get(name))
    system = system_bundle()
    if not env.get("SSL_CERT_FILE") and system is not None:
        files[str(system)] = None
    return tuple(dict.fromkeys(der for file in files for der in _certificates(file)))


def _certificates(file: str) -> tuple[bytes, ...]:
    try:
        return pem_certificates(Path(file).read_bytes()) if file else ()
    except OSError:
        return ()


def _loaded(ders: Sequence[bytes]) -> list[x509.Certificate]:
    """Those that ``cryptography`` reads; it grumbles about some old public roots, which is no news to anybody here."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for der in ders:
            try:
                found.append(x509.load_der_x509_certificate(der))
            except UNREADABLE:
                continue
    return found


def java_store(ders: Sequence[bytes]) -> bytes:
    """A PKCS#12 file that Java takes as a trust store."""
    entries = [pkcs12.PKCS12Certificate(one, f"root-{number}".encode()) for number, one in enumerate(_loaded(ders))]
    return pkcs12.serialize_java_truststore(entries, BestAvailableEncryption(JAVA_PASSWORD.encode()))


def _wgetrc(env: Mapping[str, str], root: Path, empty: Path | None) -> bytes:
    """The user's own settings of wget, and our root."""
    home = Path(env.get("HOME", "/"))
    try:
        before = Path(env.get("WGETRC") or home / ".wgetrc").read_bytes()
    except OSError:
        before = b""
    only = f"ca_directory = {empty}\n" if empty else ""
    return before + f"\nca_certificate = {root}\n{only}".encode()


def _browser_home(folder: Path, root: Path, env: dict[str, str]) -> list[str]:
    """Chromium and its kin read ``~/.pki/nssdb`` (NSS): a home of its own, with such a database."""
    certutil = shutil.which("certutil", path=env.get("PATH"))
    if certutil is None:
        return ["certutil (libnss3-tools) is missing: the browser will not trust this root"]
    home = folder / "home"
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True, mode=0o700)
    place = ["-d", f"sql:{database}"]
    for arguments in (
        ["-N", *place, "--empty-password"],
        ["-A", *place, "-n", "synfin", "-t", "C,,", "-i", str(root)],
    ):
        done = subprocess.run([certutil, *arguments], capture_output=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            return [f"certutil failed: {done.stderr.decode(errors='replace').strip()}"]
    env["HOME"] = str(home)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        env.pop(name, None)
    return ["the browser has a home and a profile of its own, gone when it ends"]


def _put(path: Path, content: bytes) -> Path:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    return path


# ---------------------------------------------------------------- running


def run_program(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run ``command`` to its end; its exit code, or 128 and the number of the signal that ended it.

    Signals sent to us are passed on; those the terminal sends reach the program by themselves.  Raises UsageError
    where it cannot be started.
    """
    watched = {*_PASSED_ON, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    try:
        try:
            child = subprocess.Popen(
                list(command),
                env=dict(environment),
                preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before),
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            why = "no such program" if isinstance(error, FileNotFoundError) else getattr(error, "strerror", "") or error
            raise UsageError(f"{command[0]}: {why}") from error
        while (code := child.poll()) is None:
            came = signal.sigtimedwait(watched, 1.0)
            if came and came.si_signo != signal.SIGCHLD and came.si_code != _FROM_TERMINAL:
                child.send_signal(came.si_signo)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return code if code >= 0 else 128 - code
