"""The OCSP responder of a CA on one HTTP port (RFC 6960 appendix A, RFC 5019), which also hands out its CRLs.

GET carries the request in the path, base64 in percent-encoding; POST carries it as it is.  Nonces are given back by
``pki.revocation``; an answer to a request without one may be cached until it runs out, and says so (RFC 5019 6).
What comes in is bounded: octets of a request, seconds of a connection, connections at a time; more are turned away.
The responder stops at SIGINT or SIGTERM after the answers under way.
"""

from __future__ import annotations

import base64
import binascii
import errno
import hashlib
import signal
import socket
import threading
import urllib.parse
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_crl, ocsp

from synfin.errors import UsageError
from synfin.pki.mint import UNREADABLE
from synfin.pki.revocation import CRL_LIFE, OCSP_LIFE
from synfin.pki.store import Store

#: Octets of a request; one with every field full has a few hundred.
MOST = 16 * 1024
#: Connections at a time, and seconds a client may keep one waiting.
CONNECTIONS = 64
SECONDS = 10


class Responder:
    """Listens from the start; ``serve`` answers until a signal or ``stop``.  UsageError where the port is taken."""

    def __init__(self, store: Store, host: str, port: int, *, life: timedelta = OCSP_LIFE) -> None:
        self.store = store
        self.life = life
        self.answered = 0
        self._told: Callable[[str], object] = lambda _: None
        try:
            self._server = _Server(host, port, self)
        except OSError as error:
            hint = "; --port chooses another" if error.errno == errno.EADDRINUSE else ""
            raise UsageError(f"cannot listen on {host} port {port}: {error.strerror or error}{hint}") from error

    def __enter__(self) -> Responder:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:8889/``."""
        host, port = self._server.server_address[:2]
        return f"http://[{host!s}]:{port}/" if ":" in str(host) else f"http://{host!s}:{port}/"

    def serve(self, told: Callable[[str], object] = lambda _: None, ready: Callable[[], object] = lambda: None) -> None:
        """Answer until SIGINT, SIGTERM or ``stop``; ``told`` gets one line for each request.

        ``ready`` is called when a signal would already end it gracefully.
        """
        self._told = told
        before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():

            def end(_number: int, _frame: FrameType | None) -> None:
                threading.Thread(target=self.stop).start()

            before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            ready()
            self._server.serve_forever(poll_interval=0.1)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop(self) -> None:
        """Take no more connections; ``serve`` returns soon."""
        self._server.shutdown()

    # ---------------------------------------------------------------- what is asked

    def answer(self, request: bytes) -> bytes:
        """The OCSP response to what a client sent, whatever it is."""
        try:
            found = self.store.answer(request, datetime.now(UTC).replace(microsecond=0), life=self.life)
        except UsageError as error:
            self._told(f"OCSP: {error}")
            return ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.INTERNAL_ERROR).public_bytes(
                Encoding.DER
            )
        self.answered += 1
        self._told(f"OCSP: {described(found)}")
        return found

    def file(self, path: str) -> tuple[str, bytes] | None:
        """Media type and octets of ``/NAME.crl`` and ``/NAME.cer``; a CRL that is missing or too old is made."""
        name, dot, kind = path.lstrip("/").rpartition(".")
        if not dot or kind not in ("crl", "cer") or name not in self.store.authorities():
            return None
        if kind == "cer":
            return "application/pkix-cert", self.store.certificate(name)
        now = datetime.now(UTC).replace(microsecond=0)
        try:
            kept = load_pem_x509_crl((self.store.folder / name / "crl.pem").read_bytes())
            if kept.next_update_utc is not None and kept.next_update_utc > now + CRL_LIFE / 14:
                return "application/pkix-crl", kept.public_bytes(Encoding.DER)
        except (OSError, *UNREADABLE):
            pass
        return "application/pkix-crl", self.store.make_crl(name, now)


def described(response: bytes) -> str:
    """An OCSP response in a few words."""
    found = ocsp.load_der_ocsp_response(response)
    if found.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return f"answered {found.response_status.name.lower()}"
    nonce = ", nonce given back" if len(found.extensions) else ""
    return f"{found.serial_number:X} is {found.certificate_status.name.lower()}{nonce}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: str, port: int, responder: Responder) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.responder = responder
        self._room = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind, and look up no name."""
        socket.socket.setsockopt(self.socket, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """One thread for each connection, as many as there is room for."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, then make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nobody's concern."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = SECONDS

    def do_POST(self) -> None:
        """RFC 6960 A.1: the request is the body."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self._refuse(411, "Content-Length is missing")
        elif int(length) > MOST:
            self._refuse(413, f"an OCSP request has at most {MOST} octets")
        else:
            body = self.rfile.read(int(length))
            if len(body) < int(length):
                self.close_connection = True
                return
            self._response(body, cacheable=False)

    def do_GET(self) -> None:
        """RFC 6960 A.1: the request is the path, base64; or a file."""
        if len(self.path) > MOST:
            self._refuse(414, "too long")
            return
        path = urllib.parse.unquote(self.path.partition("?")[0])
        try:
            found = self.server.responder.file(path)
        except UsageError as error:
            self._refuse(500, str(error))
            return
        if found is not None:
            self._send(found[0], found[1], {})
            return
        if path == "/":
            self._refuse(404, "an OCSP responder: POST a request, or GET /base64-of-it, /NAME.crl or /NAME.cer")
            return
        try:
            self._response(base64.b64decode(path[1:], validate=True), cacheable=True)
        except (binascii.Error, ValueError):
            self._refuse(404, "neither base64 of an OCSP request, nor NAME.crl or NAME.cer")

    do_HEAD = do_GET  # noqa: N815

    def _response(self, request: bytes, *, cacheable: bool) -> None:
        answer = self.server.responder.answer(request)
        found = ocsp.load_der_ocsp_response(answer)
        headers = {"Cache-Control": "no-store"}
        good = found.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
        if cacheable and good and found.next_update_utc is not None and not len(found.extensions):
            seconds = int((found.next_update_utc - datetime.now(UTC)).total_seconds())
            headers = {
                "Cache-Control": f"max-age={max(0, seconds)}, public, no-transform, must-revalidate",
                "Last-Modified": format_datetime(found.this_update_utc, usegmt=True),
                "Expires": format_datetime(found.next_update_utc, usegmt=True),
                "ETag": f'"{hashlib.sha256(answer).hexdigest()}"',
            }
        self._send("application/ocsp-response", answer, headers)

    def _refuse(self, code: int, why: str) -> None:
        self.close_connection = True
        self._send("text/plain; charset=utf-8", f"{why}\n".encode(), {"Connection": "close"}, code)

    def _send(self, kind: str, content: bytes, headers: dict[str, str], code: int = 200) -> None:
        self.send_response(code)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def version_string(self) -> str:
        """What the Server header says."""
        return "synfin"

    def log_message(self, format: str, *args: object) -> None:
        """What is told stands in ``Responder.answer``."""
