"""Which trust store a program uses, and whether a root is in it: by looking, and by letting the program try.

Looking means the files: the program (or its TLS library) says where they are, and ``trust_stores`` looks into them.
Where a store is compiled in, the program itself is asked to print it.  Trying is ``trial``: the program fetches a page
from a server of the CA.  Where the two disagree, believe the trial.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synfin.drive.programs import BROWSER
from synfin.drive.trust_stores import Look, TrustStore
from synfin.errors import UsageError

#: Where Debian and its kin compile OpenSSL's file and folder in.
OPENSSL = ("/usr/lib/ssl/cert.pem", "/usr/lib/ssl/certs")


@dataclass(frozen=True, slots=True)
class Patient:
    """A program, what it is, where it looks, and how it is made to fetch a page (``{url}``, ``{port}``; empty: not)."""

    path: str
    what: str
    stores: tuple[TrustStore, ...]
    fetch: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def command(self, url: str, port: int) -> list[str]:
        """The command that fetches ``url``."""
        return [word.replace("{url}", url).replace("{port}", str(port)) for word in self.fetch]


def examine_program(program: str, root: bytes, env: Mapping[str, str], folder: Path) -> Patient:
    """What ``program`` is and whom it trusts.  Raises UsageError where there is no such program."""
    found = shutil.which(program, path=env.get("PATH"))
    if found is None:
        raise UsageError(f"{program}: no such program")
    look = Look(found, root, env, folder)
    name = Path(program).name
    for pattern, examine in _KINDS:
        if re.match(pattern, name):
            return examine(look)
    interpreter = _script(found)
    if interpreter:
        return _python(Look(interpreter, root, env, folder), f"{name}, a script for {interpreter}")
    return _unknown(look)


def _script(path: str) -> str:
    """The Python that runs a script; "" where it is none."""
    try:
        with Path(path).open("rb") as file:
            first = file.read(256).split(b"\n", 1)[0].decode(errors="replace")
    except OSError:
        return ""
    words = first.removeprefix("#!").split()
    if not first.startswith("#!") or not words or "python" not in first:
        return ""
    return (shutil.which(words[-1]) or "") if words[0].endswith("/env") else words[0]


def _first(text: str, otherwise: str = "") -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), otherwise)


# ---------------------------------------------------------------- programs


def _openssl(look: Look) -> Patient:
    said = look.ask("version", "-d")
    found = re.search(r'OPENSSLDIR: "([^"]+)"', said)
    places = (f"{found.group(1)}/cert.pem", f"{found.group(1)}/certs") if found else OPENSSL
    host = ("-connect", "localhost:{port}", "-servername", "localhost", "-verify_hostname", "localhost")
    fetch = (look.path, "s_client", *host, "-verify_return_error", "-brief", "-ign_eof")
    return Patient(
        look.path,
        _first(look.ask("version"), "OpenSSL").partition(" (")[0],
        tuple(look.openssl(*places)),
        fetch,
    )


def _curl(look: Look) -> Patient:
    version = _first(look.ask("-V"), "curl")
    short = " ".join(re.findall(r"^curl \S+|(?:OpenSSL|GnuTLS|LibreSSL|BoringSSL|rustls|wolfSSL)\S*", version))
    stores = []
    for variable in ("CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        if look.env.get(variable):
            stores.append(look.file(look.env[variable], f"${variable}"))
            break
    else:
        said = look.ask("-sv", "--max-time", "5", "--noproxy", "*", _deaf())
        for kind, where in re.findall(r"CA(file|path): (/\S+)", said):
            stores.append((look.file if kind == "file" else look.directory)(where, "compiled in"))
        stores = stores or list(look.system("the system's"))
    fetch = (look.path, "-sS", "--max-time", "15", "--noproxy", "*", "{url}")
    return Patient(look.path, short or version, tuple(stores), fetch)


def _deaf() -> str:
    """A loopback address where somebody accepts and hangs up: curl names its store before it shakes hands."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(5)

    def hang_up() -> None:
        with server:
            try:
                server.accept()[0].close()
            except OSError:
                return

    threading.Thread(target=hang_up, daemon=True).start()
    return f"https://127.0.0.1:{server.getsockname()[1]}/"


_PYTHON_STORES = """
import json, ssl, sys
paths = ssl.get_default_verify_paths()
try:
    import certifi
    certifi = certifi.where()
except ImportError:
    certifi = ""
try:
    import requests
    requests = requests.__version__
except ImportError:
    requests = ""
print(json.dumps([sys.version.split()[0], ssl.OPENSSL_VERSION, paths.cafile or "", paths.capath or "",
                  paths.openssl_cafile, paths.openssl_capath, certifi, requests]))
"""


def _python(look: Look, what: str = "") -> Patient:
    said = _first(look.ask("-c", _PYTHON_STORES))
    try:
        version, library, _, _, file, folder, certifi, requests = json.loads(said)
    except ValueError as error:
        raise UsageError(f"{look.path} is no Python that has the ssl module") from error
    stores = look.openssl(file, folder, "ssl: ")
    variable = next((name for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if look.env.get(name)), "")
    if requests and variable:
        stores.append(look.file(look.env[variable], f"requests: ${variable}"))
    elif certifi:
        stores.append(look.file(certifi, "requests and others: certifi"))
    code = "import urllib.request as u; u.build_opener(u.ProxyHandler({})).open('{url}', timeout=15).read()"
    if requests:
        code = "import requests; requests.get('{url}', timeout=15)"
    told = what or f"Python {version} with {library}" + (f" and requests {requests}" if requests else "")
    notes = ("the trial was made with requests",) if requests else ()
    return Patient(look.path, told, tuple(stores), (look.path, "-c", code), notes)


def _node(look: Look) -> Patient:
    version = _first(look.ask("--version"), "")
    options = look.env.get("NODE_OPTIONS", "")
    stores = []
    if "--use-openssl-ca" in options:
        stores += look.openssl(*OPENSSL)
    else:
        printed = look.ask("-e", "console.log(require('tls').rootCertificates.join('\\n'))")
        stores.append(look.printed(printed, f"{look.path} itself", "compiled in"))
    extra = look.env.get("NODE_EXTRA_CA_CERTS")
    if extra:
        stores.append(look.file(extra, "$NODE_EXTRA_CA_CERTS, added"))
    code = "require('https').get('{url}', r => r.resume()).on('error', e => { console.error(e.code); process.exit(1) })"
    return Patient(look.path, f"Node {version}", tuple(stores), (look.path, "-e", code))


_JAVA_TRIAL = """import java.net.*;
public class Trial {
    public static void main(String[] words) throws Exception {
        new URL(words[0]).openConnection(Proxy.NO_PROXY).getInputStream().readAllBytes();
    }
}
"""


def _java(look: Look) -> Patient:
    said = look.ask("-XshowSettings:properties", "-version")
    home = re.search(r"java\.home = (\S+)", said)
    version = re.search(r"java\.version = (\S+)", said)
    if home is None:
        raise UsageError(f"{look.path} does not say where its files are: is it Java?")
    options = " ".join(look.env.get(name, "") for name in ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"))
    given = re.search(r"-Djavax\.net\.ssl\.trustStore=(\S+)", options)
    secret = re.search(r"-Djavax\.net\.ssl\.trustStorePassword=(\S+)", options)
    security = Path(home.group(1)) / "lib" / "security"
    own = next((path for path in (security / "jssecacerts", security / "cacerts") if path.exists()), security)
    where, why = (given.group(1), "javax.net.ssl.trustStore in $JAVA_TOOL_OPTIONS") if given else (str(own), "its own")
    keytool = Path(home.group(1)) / "bin" / "keytool"
    password = secret.group(1) if secret else "changeit"
    listed = look.ask("-list", "-rfc", "-keystore", where, "-storepass", password, program=str(keytool))
    source = look.folder / "Trial.java"
    source.write_text(_JAVA_TRIAL)
    return Patient(
        look.path,
        f"Java {version.group(1) if version else ''}".strip(),
        (look.printed(listed, where, why),),
        (look.path, str(source), "{url}"),
    )


def _gnutls(look: Look) -> Patient:
    fetch = (look.path, "-p", "{port}", "localhost")
    stores = look.system("GnuTLS: the system's")
    notes = ("no variable adds a root: gnutls-cli --x509cafile root/certificate.pem does",)
    return Patient(look.path, _first(look.ask("--version"), "gnutls-cli"), stores, fetch, notes)


def _wget(look: Look) -> Patient:
    version = look.ask("--version")
    library = "GnuTLS" if "+ssl/gnutls" in version else "OpenSSL" if "+ssl/openssl" in version else ""
    stores = list(look.system(f"{library or 'wget'}: the system's"))
    settings = Path(look.env.get("WGETRC") or Path(look.env.get("HOME", "/")) / ".wgetrc")
    if settings.is_file():
        text = settings.read_text(errors="replace")
        found = re.findall(r"^\s*ca_?certificate\s*=\s*(\S+)", text, re.MULTILINE | re.IGNORECASE)
        stores += [look.file(where, f"ca_certificate in {settings}") for where in found[-1:]]
    told = f"{_first(version).partition(' built')[0]} with {library}" if library else _first(version)
    fetch = (look.path, "-q", "-O", "/dev/null", "--no-proxy", "--tries=1", "--timeout=15", "{url}")
    return Patient(look.path, told, tuple(stores), fetch)


def _git(look: Look) -> Patient:
    setting = _first(look.ask("config", "--get", "http.sslCAInfo"))
    where = look.env.get("GIT_SSL_CAINFO") or setting
    why = "$GIT_SSL_CAINFO" if look.env.get("GIT_SSL_CAINFO") else "http.sslCAInfo"
    stores = (look.file(where, why),) if where else look.system("libcurl: the system's")
    fetch = (look.path, "-c", "http.proxy=", "ls-remote", "{url}")
    return Patient(look.path, _first(look.ask("--version"), "git"), stores, fetch)


def _chromium(look: Look) -> Patient:
    database = Path(look.env.get("HOME", "/")) / ".pki" / "nssdb"
    stores = [TrustStore(f"{look.path} itself", "Chrome root store, compiled in", None, False)]
    stores.append(look.nss(database))
    fetch = [look.path, "--headless", "--disable-gpu", f"--user-data-dir={look.folder / 'profile'}", "--dump-dom"]
    if os.geteuid() == 0:
        fetch.append("--no-sandbox")
    version = _first(look.ask("--version"), "Chromium")
    return Patient(look.path, version, tuple(stores), (*fetch, "{url}"))


def _firefox(look: Look) -> Patient:
    home = Path(look.env.get("HOME", "/"))
    found = sorted({path.parent for path in home.glob(".mozilla/firefox/*/cert9.db")})
    stores = [TrustStore(f"{look.path} itself", "Mozilla's roots, compiled in", None, False)]
    stores += [look.nss(profile) for profile in found]
    notes = ("no variable adds a root: import it into a profile (Settings, Certificates)",)
    return Patient(look.path, _first(look.ask("--version"), "Firefox"), tuple(stores), (), notes)


#: What ``ldd`` may show, and the store that library uses when a program says nothing else.
_LIBRARIES: tuple[tuple[str, str], ...] = (
    ("libssl", "OpenSSL"),
    ("libgnutls", "GnuTLS"),
    ("libnss3", "NSS"),
)


def _unknown(look: Look) -> Patient:
    """A program nobody here knows: its libraries tell which store it uses unless it says otherwise."""
    ldd = shutil.which("ldd", path=look.env.get("PATH"))
    said = look.ask(look.path, program=ldd) if ldd else ""
    library = next((name for part, name in _LIBRARIES if part in said), "")
    stores: Sequence[TrustStore] = ()
    if library == "OpenSSL":
        stores = look.openssl(*OPENSSL)
    elif library == "GnuTLS":
        stores = look.system("GnuTLS: the system's")
    told = f"a program linked with {library}" if library else "a program whose TLS library does not show"
    note = "not known here, so it was not tried: it may use a store of its own"
    return Patient(look.path, told, tuple(stores), (), (note,))


_KINDS: tuple[tuple[str, Callable[[Look], Patient]], ...] = (
    (r"curl$", _curl),
    (r"openssl(\d|$)", _openssl),
    (r"(python|pypy)[\d.]*$", _python),
    (r"node(js)?$", _node),
    (r"java$", _java),
    (r"gnutls-cli$", _gnutls),
    (r"wget$", _wget),
    (r"git$", _git),
    (BROWSER.pattern, _chromium),
    (r"firefox", _firefox),
)


def workplace() -> tempfile.TemporaryDirectory[str]:
    """A temporary folder for ``examine_program``."""
    return tempfile.TemporaryDirectory(prefix="synfin-doctor-", ignore_cleanup_errors=True)
