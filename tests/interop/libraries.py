"""Foreign servers for our client that are libraries: Python's ssl, tlslite-ng, Node.js, Java's HttpsServer."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.interop import chains
from tests.interop.cells import HOST, HYBRID, Cell, Told
from tests.interop.clients import PythonSsl
from tests.interop.ours import Asked, body_json
from tests.interop.runtimes import HERE, Java, Node


@contextmanager
def in_threads(
    answer: Callable[[Cell, socket.socket], None],
    cells: dict[str, Cell],
    refusals: tuple[type[Exception], ...] = (OSError,),
) -> Iterator[dict[str, int]]:
    """A listener and a thread for each cell; ``answer`` handles one connection, ``refusals`` it raises for bad ones."""
    listeners = {name: socket.create_server((HOST, 0)) for name in cells}

    def serve(name: str) -> None:
        while True:
            try:
                peer, _ = listeners[name].accept()
            except OSError:
                return
            with peer, suppress(*refusals):
                peer.settimeout(20)
                answer(cells[name], peer)

    threads = [threading.Thread(target=serve, args=(name,), daemon=True) for name in cells]
    for thread in threads:
        thread.start()
    try:
        yield {name: listener.getsockname()[1] for name, listener in listeners.items()}
    finally:
        for listener in listeners.values():
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for thread in threads:
            thread.join(20)


def http_answer(words: dict[str, Any]) -> bytes:
    body = json.dumps(words).encode()
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class PythonServer(PythonSsl):
    """A server in this process."""

    def cannot(self, cell: Cell) -> str:
        return "speaks no HTTP/2" if cell.alpn == "h2" else super().cannot(cell)

    @contextmanager
    def serving(self, cells: dict[str, Cell], folder: Path) -> Iterator[dict[str, int]]:
        contexts = {}
        for cell in cells.values():
            context = contexts[cell] = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            wanted = ssl.TLSVersion.TLSv1_2 if cell.version == "1.2" else ssl.TLSVersion.TLSv1_3
            context.minimum_version, context.maximum_version = wanted, wanted
            context.load_cert_chain(chains.files(cell.kind)[2])
            context.set_alpn_protocols([cell.alpn])
            if cell.retry and not cell.hybrid:
                context.set_ecdh_curve("secp384r1")
            if cell.client:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(chains.root_file())

        def answer(cell: Cell, peer: socket.socket) -> None:
            with contexts[cell].wrap_socket(peer, server_side=True) as sock:
                sock.recv(1 << 16)
                suite, certificate = sock.cipher(), sock.getpeercert()
                words = {
                    "version": sock.version(), "suite": suite and suite[0], "resumed": sock.session_reused,
                    "alpn": sock.selected_alpn_protocol() or "", "client": str((certificate or {}).get("subject", "")),
                }  # fmt: skip
                sock.sendall(http_answer(words))
                sock.unwrap()

        with in_threads(answer, cells) as ports:
            yield ports

    def told(self, cell: Cell, asked: Asked) -> Told:
        return Told(**body_json(asked.body), status=asked.status)


class TlsLite:
    """A TLS implementation in Python by others."""

    name = "tlslite-ng"

    def missing(self) -> str:
        return "" if find_spec("tlslite") else "tlslite-ng is not installed"

    def version(self) -> str:
        return f"tlslite-ng {metadata.version('tlslite-ng')}"

    def cannot(self, cell: Cell) -> str:
        if cell.alpn == "h2":
            return "speaks no HTTP/2"
        if cell.client:
            return "leaves the verdict on client certificates to its user"
        return "no ML-KEM and ML-DSA" if cell.postquantum else ""

    @contextmanager
    def serving(self, cells: dict[str, Cell], folder: Path) -> Iterator[dict[str, int]]:
        api = import_module("tlslite.api")
        made = {}
        for cell in cells.values():
            certificate, key, _ = chains.files(cell.kind)
            chain = api.X509CertChain()
            chain.parsePemList(Path(certificate).read_text())
            settings = api.HandshakeSettings()
            settings.minVersion = settings.maxVersion = (3, 3) if cell.version == "1.2" else (3, 4)
            settings.ticketKeys = [bytes(range(32))]
            if cell.retry:
                settings.eccCurves, settings.keyShares = ["secp384r1"], ["secp384r1"]
            made[cell] = chain, api.parsePEMKey(Path(key).read_text(), private=True), settings, api.SessionCache()

        def answer(cell: Cell, peer: socket.socket) -> None:
            chain, key, settings, cache = made[cell]
            tls = api.TLSConnection(peer)
            tls.handshakeServer(
                certChain=chain, privateKey=key, settings=settings, sessionCache=cache, alpn=[cell.alpn.encode()]
            )
            tls.recv(1 << 16)
            words = {
                "version": tls.getVersionName(), "suite": tls.getCipherName(),
                "alpn": (tls.session.appProto or b"").decode(),
                "resumed": tls.resumed if cell.version == "1.2" else None,  # it says so of TLS 1.2 only
            }  # fmt: skip
            tls.sendall(http_answer(words))
            tls.close()

        with in_threads(answer, cells, (OSError, import_module("tlslite.errors").TLSError)) as ports:
            yield ports

    def told(self, cell: Cell, asked: Asked) -> Told:
        said = body_json(asked.body)
        suite = said.pop("suite").replace("aes128gcm", "AES128GCM").replace("aes256gcm", "AES256GCM")
        return Told(**said, suite=suite, status=asked.status)


class NodeServer(Node):
    """https and http2 servers of Node.js."""

    @contextmanager
    def serving(self, cells: dict[str, Cell], folder: Path) -> Iterator[dict[str, int]]:
        options = {}
        for name, cell in cells.items():
            certificate, key, _ = chains.files(cell.kind)
            version = f"TLSv{cell.version}"
            options[name] = {
                "cert": certificate, "key": key, "minVersion": version, "maxVersion": version,
                "ALPNProtocols": [cell.alpn],
                **({"ecdhCurve": HYBRID if cell.hybrid else "P-384"} if cell.retry or cell.hybrid else {}),
                **({"ca": chains.root_file(), "requestCert": True, "rejectUnauthorized": True} if cell.client else {}),
            }  # fmt: skip
        command = [self.program, str(HERE / "node_server.js"), json.dumps(options)]
        with ended(command, folder) as process:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline() or b"{}")

    def told(self, cell: Cell, asked: Asked) -> Told:
        return Told(**body_json(asked.body), status=asked.status)


class JavaServer(Java):
    """com.sun.net.httpserver.HttpsServer."""

    def cannot(self, cell: Cell) -> str:
        if cell.alpn == "h2":
            return "HttpsServer speaks no HTTP/2"
        if cell.retry:
            return "has one list of groups for a whole process"
        return super().cannot(cell)

    @contextmanager
    def serving(self, cells: dict[str, Cell], folder: Path) -> Iterator[dict[str, int]]:
        lines = [
            f"TLSv{cell.version} {chains.pkcs12(cell.kind)} {chains.root_file() if cell.client else '-'}\n"
            for cell in cells.values()
        ]
        command = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", str(HERE / "Server.java")]
        with ended(command, folder) as process:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write("".join([*lines, "\n"]).encode())
            process.stdin.flush()
            ports = map(int, process.stdout.readline().split())
            yield dict(zip(cells, ports, strict=True))

    def told(self, cell: Cell, asked: Asked) -> Told:
        return Told(**body_json(asked.body), status=asked.status)


@contextmanager
def ended(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program that ends when its stdin does."""
    with (folder / "program.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
    try:
        yield process
    finally:
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
