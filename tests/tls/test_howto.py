"""The program of docs/howto/script-a-tls-test.md is run as it stands; it talks to openssl, and here to Python's ssl."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from dataclasses import fields
from pathlib import Path
from typing import Any

from synfin.tls import ClientConfig, Facts, ServerConfig
from tests.tls.test_programs import needs_openssl

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "script-a-tls-test.md"


def blocks() -> list[str]:
    found = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(found) == 17
    return found


def test_the_page_names_every_field() -> None:
    text = PAGE.read_text()
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    told = set(re.findall(r"`(\w+)`", prose)) | set(re.findall(r"facts\.(\w+)", text))
    named = {field.name for config in (ClientConfig, ServerConfig, Facts) for field in fields(config)}
    assert sorted(named - told) == []


@needs_openssl
def test_the_page_talks_to_openssl() -> None:
    names: dict[str, Any] = {}
    exec(compile("\n".join(blocks()), str(PAGE), "exec"), names)
    assert names["program"].returncode is not None


def test_the_page_is_true() -> None:
    names: dict[str, Any] = {}
    exec(compile("\n".join(block for block in blocks() if "openssl" not in block), str(PAGE), "exec"), names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    ours, theirs = socket.socketpair()
    said: list[bytes] = []

    def foreign() -> None:
        with context.wrap_socket(theirs, server_hostname="server.example") as tls:
            tls.sendall(b"hello over a socket")
            said.append(tls.recv(100))

    thread = threading.Thread(target=foreign)
    thread.start()
    with ours:
        ours.settimeout(20)
        server = names["Server"](names["server_config"], now=names["now"], entropy=names["os"].urandom)
        found = names["drive"](server, ours, names["Data"])
        assert found[-1] == names["Data"](b"hello over a socket")
        server.send(b"answer")
        server.close()
        ours.sendall(server.take_output(names["now"]))
        thread.join(20)
    assert said == [b"answer"]
