"""Mbed TLS in both roles, by ctypes.  A program of its own: it speaks lines of JSON (see ``lines``).

Its structures are opaque here: each gets more room than any version of it needs.
"""

from __future__ import annotations

import base64
import ctypes
import json
import socket
import sys
import threading
from ctypes.util import find_library
from typing import Any

HOST = "127.0.0.1"
ROOM = 1 << 17
_CLOSE_NOTIFY, _REQUIRED = -0x7880, 2
_LIBRARIES = [
    ctypes.CDLL(find_library(name) or f"lib{name}.so", mode=ctypes.RTLD_GLOBAL)
    for name in ("mbedcrypto", "mbedx509", "mbedtls")
]


def function(name: str) -> Any:
    """``mbedtls_name``, in whichever library it is."""
    return next(found for library in _LIBRARIES if (found := getattr(library, f"mbedtls_{name}", None)) is not None)


def good(name: str, *given: Any) -> int:
    """Call it.  OSError with its words for what is below 0."""
    result = int(function(name)(*given))
    if result < 0:
        words = ctypes.create_string_buffer(200)
        function("strerror")(result, words, len(words))
        raise OSError(f"{name}: -0x{-result:04x} {words.value.decode()}")
    return result


def made(kind: str) -> Any:
    """A structure, initialised."""
    room = ctypes.create_string_buffer(ROOM)
    function(f"{kind}_init")(room)
    return room


class Settings:
    """What all connections of a cell share, kept alive with it."""

    def __init__(self, cell: dict[str, Any], server: bool) -> None:
        self.config, self.drbg, self.entropy = made("ssl_config"), made("ctr_drbg"), made("entropy")
        self.roots, self.own, self.key, self.cache = made("x509_crt"), made("x509_crt"), made("pk"), made("ssl_cache")
        self.names = (ctypes.c_char_p * 2)(cell["alpn"].encode(), None)
        good("ctr_drbg_seed", self.drbg, function("entropy_func"), self.entropy, None, ctypes.c_size_t(0))
        good("ssl_config_defaults", self.config, int(server), 0, 0)
        function("ssl_conf_rng")(self.config, function("ctr_drbg_random"), self.drbg)
        good("ssl_conf_alpn_protocols", self.config, self.names)
        function("ssl_conf_authmode")(self.config, _REQUIRED if cell["ca"] else 0)
        if cell["ca"]:
            good("x509_crt_parse_file", self.roots, cell["ca"].encode())
            function("ssl_conf_ca_chain")(self.config, self.roots, None)
        if cell["cert"]:
            good("x509_crt_parse_file", self.own, cell["cert"].encode())
            good("pk_parse_keyfile", self.key, cell["key"].encode(), None)
            good("ssl_conf_own_cert", self.config, self.own, self.key)
        if server:
            get, put = function("ssl_cache_get"), function("ssl_cache_set")
            function("ssl_conf_session_cache")(self.config, self.cache, get, put)


class Connection:
    """One connection over a socket."""

    def __init__(self, settings: Settings, sock: socket.socket) -> None:
        self.ssl, self.wire = made("ssl"), ctypes.c_int(sock.fileno())
        good("ssl_setup", self.ssl, settings.config)
        send, receive = function("net_send"), function("net_recv")
        function("ssl_set_bio")(self.ssl, ctypes.byref(self.wire), send, receive, None)

    def read(self) -> bytes:
        """Some octets, none at the end."""
        room = ctypes.create_string_buffer(1 << 14)
        size = int(function("ssl_read")(self.ssl, room, ctypes.c_size_t(len(room))))
        if size == _CLOSE_NOTIFY:
            return b""
        if size <= 0:
            good("ssl_read", self.ssl, room, ctypes.c_size_t(len(room)))
        return room.raw[:size]

    def write(self, octets: bytes) -> None:
        while octets:
            octets = octets[good("ssl_write", self.ssl, octets, ctypes.c_size_t(len(octets))) :]

    def words(self) -> dict[str, Any]:
        found = {}
        for what, name in (("version", "version"), ("suite", "ciphersuite"), ("alpn", "alpn_protocol")):
            get = function(f"ssl_get_{name}")
            get.restype = ctypes.c_char_p
            found[what] = (get(self.ssl) or b"").decode()
        peer = function("ssl_get_peer_cert")
        peer.restype = ctypes.c_void_p
        return {**found, "group": None, "client": "certificate" if peer(self.ssl) else ""}


def ask(settings: Settings, cell: dict[str, Any], session: Any, *, keep: bool) -> tuple[dict[str, Any], bytes, Any]:
    with socket.create_connection((HOST, cell["port"])) as sock:
        connection = Connection(settings, sock)
        good("ssl_set_hostname", connection.ssl, cell["name"].encode())
        if session is not None:
            good("ssl_set_session", connection.ssl, session)
        good("ssl_handshake", connection.ssl)
        connection.write(base64.b64decode(cell["request"]))
        answer = b""
        while part := connection.read():
            answer += part
        kept = made("ssl_session")
        if keep:
            good("ssl_get_session", connection.ssl, kept)
        words = connection.words()
        function("ssl_close_notify")(connection.ssl)
        return words, answer, kept


def client(cell: dict[str, Any]) -> dict[str, Any]:
    try:
        settings = Settings(cell, server=False)
        session = ask(settings, cell, None, keep=True)[2] if cell["resumed"] else None
        words, answer, _ = ask(settings, cell, session, keep=False)
    except OSError as error:
        return {"error": str(error)}
    return {**words, "answer": base64.b64encode(answer).decode()}


def answer(settings: Settings, sock: socket.socket) -> None:
    with sock:
        connection = Connection(settings, sock)
        try:
            good("ssl_handshake", connection.ssl)
            connection.read()
            body = json.dumps(connection.words()).encode()
            head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.write(head.encode() + body)
            function("ssl_close_notify")(connection.ssl)
        except OSError as error:
            print(error, file=sys.stderr, flush=True)


def serve(cell: dict[str, Any]) -> int:
    settings = Settings(cell, server=True)
    listener = socket.create_server((HOST, 0))

    def accept() -> None:
        while True:
            answer(settings, listener.accept()[0])

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1])


def main(role: str) -> None:
    """Until stdin ends."""
    if role == "version":
        words = ctypes.create_string_buffer(40)
        function("version_get_string_full")(words)
        print(words.value.decode())
    elif role == "client":
        for line in sys.stdin:
            print(json.dumps(client(json.loads(line))), flush=True)
    else:
        cells = json.loads(sys.stdin.readline())
        print(json.dumps({name: serve(cell) for name, cell in cells.items()}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
