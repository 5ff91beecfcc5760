"""pyOpenSSL in both roles: the OpenSSL inside the wheel of ``cryptography``, newer than most systems' own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.interop import chains
from tests.interop.cells import HOST, HYBRID, NAME, Cell, Told
from tests.interop.libraries import http_answer, in_threads
from tests.interop.ours import Asked, body_json
from tests.interop.peer import EachCell, get, tls_of


class PyOpenSsl(EachCell):
    """As a client."""

    name = "pyOpenSSL"

    def missing(self) -> str:
        return "" if find_spec("OpenSSL") else "pyOpenSSL is not installed"

    def version(self) -> str:
        api = import_module("OpenSSL")
        words = api.SSL.OpenSSL_version(api.SSL.OPENSSL_VERSION).decode().split()
        return f"pyOpenSSL {api.__version__} with {' '.join(words[:2])}"

    def cannot(self, cell: Cell) -> str:
        newer = import_module("OpenSSL.SSL").OPENSSL_VERSION_NUMBER >= 0x30500000
        return "" if newer or not cell.postquantum else "ML-KEM and ML-DSA need OpenSSL 3.5"

    def ask(self, cell: Cell, port: int, folder: Path) -> tuple[Any, Told]:
        context = self.context(cell)
        if cell.client:
            self._load(context, chains.files(cell.client, of_client=True))
        if cell.hybrid:
            self._groups(context, f"X25519:{HYBRID}" if cell.retry else HYBRID)
        context.set_alpn_protos([cell.alpn.encode()])
        context.load_verify_locations(chains.root_file())
        context.set_verify(import_module("OpenSSL.SSL").VERIFY_PEER)
        try:
            session = self._ask(context, cell, port, None)[2] if cell.resumed else None
            told, answer, _ = self._ask(context, cell, port, session)
        except import_module("OpenSSL.SSL").Error as error:
            raise OSError(str(error)) from error
        return tls_of(answer), told

    def _ask(self, context: Any, cell: Cell, port: int, session: Any) -> tuple[Told, bytes, Any]:
        api = import_module("OpenSSL.SSL")
        with socket.create_connection((HOST, port), 20) as raw:
            raw.settimeout(None)  # or it is not blocking, of which this API knows nothing
            tls = api.Connection(context, raw)
            tls.set_tlsext_host_name(NAME.encode())
            if session is not None:
                tls.set_session(session)
            tls.set_connect_state()
            tls.sendall(get(port, cell.alpn))
            answer = b""
            try:
                while True:
                    answer += tls.recv(1 << 16)
            except api.ZeroReturnError:
                tls.shutdown()
            return Told(**self._words(tls)), answer, tls.get_session()

    # ---------------------------------------------------------------- of both roles

    @staticmethod
    def _words(tls: Any) -> dict[str, Any]:
        return {
            "version": tls.get_protocol_version_name(), "suite": tls.get_cipher_name(), "group": tls.get_group_name(),
            "alpn": tls.get_alpn_proto_negotiated().decode(),
        }  # fmt: skip

    @staticmethod
    def context(cell: Cell) -> Any:
        api = import_module("OpenSSL.SSL")
        context = api.Context(api.TLS_METHOD)
        version = api.TLS1_2_VERSION if cell.version == "1.2" else api.TLS1_3_VERSION
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        return context

    @staticmethod
    def _load(context: Any, files: tuple[str, str, str]) -> None:
        context.use_certificate_chain_file(files[0])
        context.use_privatekey_file(files[1])

    @staticmethod
    def _groups(context: Any, names: str) -> None:
        """What pyOpenSSL has no method for, by the binding below it."""
        lib = import_module("cryptography.hazmat.bindings._rust")._openssl.lib
        if lib.SSL_CTX_set1_curves_list(context._context, names.encode()) != 1:
            raise ValueError(f"no such groups: {names}")


def _chosen(own: bytes, tls: Any, offered: list[bytes]) -> Any:
    """Our name of what is offered, or nothing."""
    return own if own in offered else import_module("OpenSSL.SSL").NO_OVERLAPPING_PROTOCOLS


class PyOpenSslServer(PyOpenSsl):
    """As a server in this process; its answer has what it exports, where asked for that."""

    exporting: tuple[str, int, bytes] | None = None

    def cannot(self, cell: Cell) -> str:
        return "speaks no HTTP/2" if cell.alpn == "h2" else super().cannot(cell)

    @contextmanager
    def serving(self, cells: dict[str, Cell], folder: Path) -> Iterator[dict[str, int]]:
        api = import_module("OpenSSL.SSL")
        contexts = {}
        for cell in cells.values():
            context = contexts[cell] = self.context(cell)
            self._load(context, chains.files(cell.kind))
            context.set_alpn_select_callback(partial(_chosen, cell.alpn.encode()))
            context.set_session_id(b"interop")
            if cell.retry or cell.hybrid:
                self._groups(context, HYBRID if cell.hybrid else "P-384")
            if cell.client:
                context.load_verify_locations(chains.root_file())
                context.set_verify(api.VERIFY_PEER | api.VERIFY_FAIL_IF_NO_PEER_CERT)

        def answer(cell: Cell, peer: socket.socket) -> None:
            peer.settimeout(None)
            tls = api.Connection(contexts[cell], peer)
            tls.set_accept_state()
            tls.recv(1 << 16)
            certificate = tls.get_peer_certificate(as_cryptography=True)
            client = certificate.subject.rfc4514_string() if certificate else ""
            words = {**self._words(tls), "client": client}
            if self.exporting is not None:
                label, length, given = self.exporting
                words["exported"] = tls.export_keying_material(label.encode(), length, given).hex()
            tls.sendall(http_answer(words))
            tls.shutdown()

        with in_threads(answer, cells, (OSError, api.Error)) as ports:
            yield ports

    def told(self, cell: Cell, asked: Asked) -> Told:
        return Told(**body_json(asked.body), status=asked.status)
