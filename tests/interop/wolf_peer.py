"""wolfSSL in both roles, by ctypes.  A program of its own: it speaks lines of JSON as go_peer.go does."""

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
Pointer, Text, Int = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_PEM, _VERIFY, _REQUIRE, _REFUSE_OTHERS, _ZERO_RETURN = 1, 1, 2, 4, 6
_PROTOTYPES: dict[str, tuple[Any, list[Any]]] = {
    "Init": (Int, []),
    "CTX_new": (Pointer, [Pointer]),
    "CTX_load_verify_locations": (Int, [Pointer, Text, Text]),
    "CTX_use_certificate_chain_file": (Int, [Pointer, Text]),
    "CTX_use_PrivateKey_file": (Int, [Pointer, Text, Int]),
    "CTX_set_verify": (None, [Pointer, Int, Pointer]),
    "new": (Pointer, [Pointer]),
    "free": (None, [Pointer]),
    "set_fd": (Int, [Pointer, Int]),
    "UseSNI": (Int, [Pointer, ctypes.c_ubyte, Text, ctypes.c_ushort]),
    "UseALPN": (Int, [Pointer, Text, ctypes.c_uint, ctypes.c_ubyte]),
    "ALPN_GetProtocol": (Int, [Pointer, ctypes.POINTER(Text), ctypes.POINTER(ctypes.c_ushort)]),
    "UseSessionTicket": (Int, [Pointer]),
    "set_groups": (Int, [Pointer, ctypes.POINTER(Int), Int]),
    "check_domain_name": (Int, [Pointer, Text]),
    "connect": (Int, [Pointer]),
    "accept": (Int, [Pointer]),
    "read": (Int, [Pointer, Pointer, Int]),
    "write": (Int, [Pointer, Text, Int]),
    "shutdown": (Int, [Pointer]),
    "get1_session": (Pointer, [Pointer]),
    "set_session": (Int, [Pointer, Pointer]),
    "session_reused": (Int, [Pointer]),
    "get_version": (Text, [Pointer]),
    "get_cipher_name": (Text, [Pointer]),
    "get_curve_name": (Text, [Pointer]),
    "get_error": (Int, [Pointer, Int]),
    "ERR_error_string": (Text, [ctypes.c_ulong, Text]),
    "get_peer_certificate": (Pointer, [Pointer]),
    "lib_version": (Text, []),
}
_LIBRARY = ctypes.CDLL(find_library("wolfssl") or "libwolfssl.so")


def call(name: str, *given: Any) -> Any:
    """``wolfSSL_name``."""
    function = getattr(_LIBRARY, f"wolfSSL_{name}")
    function.restype, function.argtypes = _PROTOTYPES[name]
    return function(*given)


def good(name: str, *given: Any) -> None:
    """The same, where everything but 1 is wrong; what, says the library of a connection, which is given first."""
    result = call(name, *given)
    if result != 1:
        code = call("get_error", given[0], result) if not name.startswith("CTX_") else result
        words = ctypes.create_string_buffer(160)
        call("ERR_error_string", code & 0xFFFFFFFFFFFFFFFF, words)
        raise OSError(f"{name}: {code} {words.value.decode()}")


def context(cell: dict[str, Any], role: str) -> Any:
    """What all connections of a cell share."""
    method = getattr(_LIBRARY, f"wolfTLSv1_{cell['version'] - 0x0301}_{role}_method")
    method.restype = Pointer
    made = call("CTX_new", method())
    if cell.get("ca"):
        good("CTX_load_verify_locations", made, cell["ca"].encode(), None)
        call("CTX_set_verify", made, _VERIFY | _REQUIRE, None)
    if cell.get("cert"):
        good("CTX_use_certificate_chain_file", made, cell["cert"].encode())
        good("CTX_use_PrivateKey_file", made, cell["key"].encode(), _PEM)
    return made


def connection(made: Any, sock: socket.socket, cell: dict[str, Any]) -> Any:
    tls = call("new", made)
    good("set_fd", tls, sock.fileno())
    alpn = cell["alpn"].encode()
    good("UseALPN", tls, alpn, len(alpn), _REFUSE_OTHERS)
    if cell["groups"]:
        good("set_groups", tls, (Int * len(cell["groups"]))(*cell["groups"]), len(cell["groups"]))
    return tls


def read(tls: Any) -> bytes:
    """Some octets, none at the end.  OSError for everything else."""
    room = ctypes.create_string_buffer(1 << 16)
    size = call("read", tls, room, len(room))
    if size > 0:
        return room.raw[:size]
    if call("get_error", tls, size) == _ZERO_RETURN:
        return b""
    words = ctypes.create_string_buffer(160)
    call("ERR_error_string", call("get_error", tls, size) & 0xFFFFFFFFFFFFFFFF, words)
    raise OSError(f"read: {call('get_error', tls, size)} {words.value.decode()}")


def words(tls: Any) -> dict[str, Any]:
    name, size = Text(), ctypes.c_ushort()
    found = call("ALPN_GetProtocol", tls, ctypes.byref(name), ctypes.byref(size)) == 1
    group = call("get_curve_name", tls)
    return {
        "version": call("get_version", tls).decode(),
        "suite": call("get_cipher_name", tls).decode(),
        "group": group.decode() if group else None,
        "resumed": call("session_reused", tls) == 1,
        "alpn": (name.value or b"")[: size.value].decode() if found else "",
    }


def ask(made: Any, cell: dict[str, Any], session: Any) -> tuple[dict[str, Any], bytes, Any]:
    with socket.create_connection((HOST, cell["port"])) as sock:
        tls = connection(made, sock, cell)
        name = cell["name"].encode()
        good("UseSNI", tls, 0, name, len(name))
        good("check_domain_name", tls, name)
        good("UseSessionTicket", tls)
        if session:
            good("set_session", tls, session)
        good("connect", tls)
        request, answer = base64.b64decode(cell["request"]), b""
        call("write", tls, request, len(request))
        while part := read(tls):
            answer += part
        found = words(tls), answer, call("get1_session", tls)
        call("shutdown", tls)
        call("free", tls)
        return found


def client(cell: dict[str, Any]) -> dict[str, Any]:
    try:
        made = context(cell, "client")
        session = ask(made, cell, None)[2] if cell["resumed"] else None
        told, answer, _ = ask(made, cell, session)
    except OSError as error:
        return {"error": str(error)}
    return {**told, "answer": base64.b64encode(answer).decode()}


def answer(made: Any, cell: dict[str, Any], sock: socket.socket) -> None:
    with sock:
        tls = connection(made, sock, cell)
        try:
            good("accept", tls)
            read(tls)
            certificate = call("get_peer_certificate", tls)
            body = json.dumps({**words(tls), "client": "certificate" if certificate else ""}).encode()
            head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
            call("write", tls, head.encode() + body, len(head) + len(body))
            call("shutdown", tls)
        except OSError as error:
            print(error, file=sys.stderr, flush=True)
        call("free", tls)


def serve(cell: dict[str, Any]) -> int:
    made = context(cell, "server")
    listener = socket.create_server((HOST, 0))

    def accept() -> None:
        while True:
            answer(made, cell, listener.accept()[0])

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1])


def main(role: str) -> None:
    """Until stdin ends."""
    call("Init")
    if role == "version":
        print(f"wolfSSL {call('lib_version').decode()}")
    elif role == "client":
        for line in sys.stdin:
            print(json.dumps(client(json.loads(line))), flush=True)
    else:
        cells = json.loads(sys.stdin.readline())
        print(json.dumps({name: serve(cell) for name, cell in cells.items()}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
