"""The least an HTTPS server on asyncio and Python's ``ssl`` can do: every read is answered by the same octets.

python -m benches.serve_speed_peer PORT FOLDER SIZE
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path


class Constant(asyncio.Protocol):
    """Answers without looking."""

    answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """It asks something."""
        transport = self.transport
        if isinstance(transport, asyncio.WriteTransport):
            transport.write(self.answer)


async def serve(port: int, place: Path, size: int) -> None:
    """Until it is ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(place / "cert.pem", place / "key.pem")
    Constant.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    server = await asyncio.get_running_loop().create_server(Constant, "127.0.0.1", port, ssl=context, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
