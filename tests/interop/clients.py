"""Foreign clients of our server: programs that are asked cell by cell, and Python's own libraries."""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import requests

from tests.interop import chains
from tests.interop.cells import HOST, NAME, Cell, Told
from tests.interop.peer import EachCell, between, complaint, get, tls_of

NOT_QUANTUM = "ML-KEM and ML-DSA need OpenSSL 3.5"
NOT_FIRST = "sends a share of it at once"


class _Program(EachCell):
    program = ""
    #: Where it says what is wrong.
    complaints: tuple[str, ...] = ()

    def answer(self, out: bytes, text: str) -> Any:
        """The ``tls`` part of /connection.  ValueError with its complaint, where it has no answer or exits with one."""
        try:
            return tls_of(out)
        except ValueError:
            raise ValueError(complaint(text, *self.complaints)) from None

    def missing(self) -> str:
        return "" if shutil.which(self.program) else f"{self.program} is not installed"

    def version(self) -> str:
        return chains.version_of(self.program, "--version")

    def cannot(self, cell: Cell) -> str:
        return NOT_QUANTUM if cell.postquantum else ""

    def output(self, *command: str, give: bytes = b"") -> tuple[bytes, str]:
        done = subprocess.run([self.program, *command], input=give, capture_output=True, timeout=30, check=False)
        return done.stdout, done.stdout.decode("latin-1") + done.stderr.decode("latin-1")


class Curl(_Program):
    name = program = "curl"
    complaints = (r"(curl: \(\d+\).*)",)

    def version(self) -> str:
        words = super().version().split()
        return " ".join([*words[:2], *(word for word in words if word.startswith("OpenSSL/"))])

    def ask(self, cell: Cell, port: int, folder: Path) -> tuple[Any, Told]:
        url = f"https://{NAME}:{port}/connection"
        command = [
            "-sSv",
            "--noproxy",
            "*",
            "--cacert",
            chains.root_file(),
            "--http2" if cell.alpn == "h2" else "--http1.1",
        ]
        command += ["--resolve", f"{NAME}:{port}:{HOST}"]
        if cell.client:
            certificate, key, _ = chains.files(cell.client, of_client=True)
            command += ["--cert", certificate, "--key", key]
        if cell.resumed:
            command += ["-H", "Connection: close", "-o", str(folder / "first"), url]
        out, text = self.output(*command, url)
        chosen = [line for line in text.splitlines() if "SSL connection using" in line]
        version, suite = (between(" ".join(chosen[-1:]), pattern) for pattern in (r"using (\S+) /", r"/ (\S+)"))
        return self.answer(out, text), Told(
            version=version,
            suite=suite,
            resumed=re.search("SSL re-?using session", text) is not None,
            alpn=between(text, r"ALPN: server accepted (\S+)"),
            status=int(between(text, r"< HTTP/\S+ (\d+)") or 0),
        )


class OpenSsl(_Program):
    name = program = "openssl"
    complaints = (r"(verify error:.*)", r"error:[0-9A-F]+:(.*)")

    def version(self) -> str:
        return " ".join(chains.version_of("openssl", "version").split()[:2])

    def ask(self, cell: Cell, port: int, folder: Path) -> tuple[Any, Told]:
        command = ["s_client", "-connect", f"{HOST}:{port}", "-servername", NAME, "-CAfile", chains.root_file()]
        command += ["-verify_return_error", "-ign_eof", "-alpn", cell.alpn]
        if cell.client:
            certificate, key, _ = chains.files(cell.client, of_client=True)
            command += ["-cert", certificate, "-key", key]
        if cell.resumed:
            session = str(folder / f"openssl-{cell.version}")
            self.output(*command, "-sess_out", session, give=get(port, cell.alpn))
            command += ["-sess_in", session]
        out, text = self.output(*command, give=get(port, cell.alpn))
        return self.answer(out, text), Told(
            version=between(text, r"(?:New|Reused), (\S+), Cipher"),
            suite=between(text, r"Cipher is (\S+)"),
            group=between(text, r"(?:Server|Peer) Temp Key: (?:ECDH, )?([^,\s]+)"),
            resumed="\nReused, " in text,
            alpn=between(text, r"ALPN protocol: (\S+)"),
        )


class GnuTls(_Program):
    name, program = "GnuTLS", "gnutls-cli"
    complaints = (
        r"(Status: The certificate is NOT trusted.*)",
        r"(Received alert \[\d+\]: .*)",
        r"\*\*\* (Fatal error: .*)",
    )

    def version(self) -> str:
        return chains.version_of(self.program, "--version")

    def cannot(self, cell: Cell) -> str:
        if cell.version == "1.2" and cell.kind == "ed448":
            return ""
        return super().cannot(cell) and "no ML-KEM and ML-DSA before GnuTLS 3.8.9"

    def ask(self, cell: Cell, port: int, folder: Path) -> tuple[Any, Told]:
        command = ["--x509cafile", chains.root_file(), "--alpn", cell.alpn, "-p", str(port), NAME]
        if cell.client:
            certificate, key, _ = chains.files(cell.client, of_client=True)
            command += ["--x509certfile", certificate, "--x509keyfile", key]
        if cell.resumed:
            command += ["--resume"]
        out, text = self.output(*command, give=get(port, cell.alpn))
        described = between(text.rpartition("- Description: ")[2], r"^(\S+)") or ""
        return self.answer(out, text), Told(
            version=described[1:8],
            suite=described,
            group=between(described, r"\(ECDHE-([A-Z0-9]+)\)"),
            resumed="*** This is a resumed session" in text,
            alpn=between(text, r"- Application protocol: (\S+)"),
        )


class PythonSsl(EachCell):
    name = "Python ssl"

    def missing(self) -> str:
        return ""

    def version(self) -> str:
        return f"Python ssl with {' '.join(ssl.OPENSSL_VERSION.split()[:2])}"

    def cannot(self, cell: Cell) -> str:
        if cell.postquantum and ssl.OPENSSL_VERSION_INFO < (3, 5):
            return NOT_QUANTUM
        return NOT_FIRST if cell.hybrid and cell.retry else ""

    def ask(self, cell: Cell, port: int, folder: Path) -> tuple[Any, Told]:
        context = ssl.create_default_context(cafile=chains.root_file())
        context.set_alpn_protocols([cell.alpn])
        if cell.client:
            context.load_cert_chain(chains.files(cell.client, of_client=True)[2])
        session = self._ask(context, cell, port, None)[2] if cell.resumed else None
        told, answer, _ = self._ask(context, cell, port, session)
        return tls_of(answer), told

    def _ask(
        self, context: ssl.SSLContext, cell: Cell, port: int, session: ssl.SSLSession | None
    ) -> tuple[Told, bytes, ssl.SSLSession | None]:
        raw = socket.create_connection((HOST, port), 20)
        with context.wrap_socket(raw, server_hostname=NAME, session=session) as sock:
            sock.sendall(get(port, cell.alpn))
            answer = b""
            while part := sock.recv(1 << 16):
                answer += part
            suite = sock.cipher()
            told = Told(
                version=sock.version(),
                suite=suite[0] if suite else None,
                resumed=sock.session_reused,
                alpn=sock.selected_alpn_protocol() or "",
            )
            return told, answer, sock.session


class Requests(EachCell):
    name = "requests"

    def missing(self) -> str:
        return ""

    def version(self) -> str:
        return f"requests {metadata.version('requests')}"

    def cannot(self, cell: Cell) -> str:
        if cell.resumed:
            return "keeps no TLS sessions"
        if cell.alpn == "h2":
            return "speaks no HTTP/2"
        return PythonSsl().cannot(cell)

    def ask(self, cell: Cell, port: int, folder: Path) -> tuple[Any, Told]:
        with requests.Session() as session:
            session.trust_env = False
            session.verify = chains.root_file()
            if cell.client:
                session.cert = chains.files(cell.client, of_client=True)[:2]
            answer = session.get(f"https://{NAME}:{port}/connection", timeout=20, stream=True)
            sock = answer.raw.connection.sock
            told = Told(version=sock.version(), suite=sock.cipher()[0], status=answer.status_code)
            return json.loads(answer.content)["tls"], told
