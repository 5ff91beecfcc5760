"""s2n as a client, in the package awscrt.  A program of its own: it speaks lines of JSON (see ``lines``)."""

from __future__ import annotations

import base64
import json
import sys
from importlib import import_module
from io import BytesIO
from typing import Any

HOST = "127.0.0.1"


def ask(cell: dict[str, Any]) -> dict[str, Any]:
    """Fetch /connection; its words of the connection are only which HTTP it speaks."""
    io, http = import_module("awscrt.io"), import_module("awscrt.http")
    made = io.TlsContextOptions
    options = made.create_client_with_mtls_from_path(cell["cert"], cell["key"]) if cell["cert"] else made()
    options.override_default_trust_store_from_path(None, cell["ca"])
    options.min_tls_ver = io.TlsVersion.TLSv1_2 if cell["version"] == 0x0303 else io.TlsVersion.TLSv1_3
    options.alpn_list = [cell["alpn"]]
    if cell["groups"]:
        options.cipher_pref = io.TlsCipherPref.PQ_DEFAULT
    connecting = io.ClientTlsContext(options).new_connection_options()
    connecting.set_server_name(cell["name"])
    group = io.EventLoopGroup(1)
    bootstrap = io.ClientBootstrap(group, io.DefaultHostResolver(group))
    connection = http.HttpClientConnection.new(
        host_name=HOST, port=cell["port"], bootstrap=bootstrap, tls_connection_options=connecting
    ).result(20)
    request = http.HttpRequest("GET", "/connection")
    request.headers.add("host", f"{cell['name']}:{cell['port']}")
    body = BytesIO()

    def add(http_stream: Any, chunk: bytes, **more: Any) -> None:
        body.write(chunk)

    stream = connection.request(request, None, add)
    stream.activate()
    status = stream.completion_future.result(20)
    version = int(connection.version)
    connection.close().result(20)
    return {
        "status": status,
        "alpn": "h2" if version == 3 else "http/1.1",
        "answer": base64.b64encode(body.getvalue()).decode(),
    }


def main() -> None:
    """Until stdin ends."""
    failures = (RuntimeError, TimeoutError, import_module("awscrt.exceptions").AwsCrtError)
    for line in sys.stdin:
        try:
            said = ask(json.loads(line))
        except failures as error:
            said = {"error": str(error) or type(error).__name__}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
