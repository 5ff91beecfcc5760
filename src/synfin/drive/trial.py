"""The best judge of whether a program trusts a root: a handshake of that program with a server whose root it is.

``Trial`` is such a server on the loopback address, on this house's own engine, for as long as its context is open.  Its
certificate is made in memory, lives an hour, is for ``localhost`` and loopback addresses, and is forgotten afterwards.
A program trusts the root when it says something after the handshake; one that does not sends an alert or goes away.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from synfin import tls
from synfin.drive.blocking import serve_tls
from synfin.drive.streams import AlertError, TruncatedError
from synfin.errors import PeerError
from synfin.pki.keys import make_key
from synfin.pki.mint import Credential, leaf_order, within
from synfin.pki.walk import apply, issue
from synfin.wire.tls.registry import alert_name

NAME = "localhost"
SECONDS = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the program trusted the server (None: it never came), and what it said."""

    accepted: bool | None
    told: str
    output: str = ""


class Trial:
    """A server whose chain ends in the root of ``ca``.  Raises UsageError where ``ca`` may not sign for localhost."""

    def __init__(self, ca: Credential, now: datetime, above: Sequence[bytes] = ()) -> None:
        order = leaf_order((NAME, "127.0.0.1"), now, life=within(timedelta(hours=1), ca.der, now))
        key = make_key("p256")
        walk = issue(ca, order, apply(order, key), now, above)
        chain = (walk.certificate, ca.der, *above[:-1]) if above else (walk.certificate,)
        self.config = tls.ServerConfig(credentials=(tls.Credential(chain, key),), handshake_seconds=10)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self.port = int(self._socket.getsockname()[1])
        self._heard: list[Verdict] = []
        self._talks: list[threading.Thread] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Trial:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    @property
    def url(self) -> str:
        """What the program is asked to fetch."""
        return f"https://{NAME}:{self.port}/"

    def put(self, command: Sequence[str], environment: Mapping[str, str]) -> Verdict:
        """Let ``command`` talk to the server; what came of it."""
        self._heard.clear()
        self._talks.clear()
        try:
            done = subprocess.run(
                list(command),
                env={**environment, "NO_PROXY": "*", "no_proxy": "*"},
                input=b"GET / HTTP/1.0\r\n\r\n",
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
            output = (done.stdout + done.stderr).decode(errors="replace")
        except subprocess.TimeoutExpired:
            output = f"it did not end within {SECONDS} seconds"
        except OSError as error:
            return Verdict(None, f"it cannot be started: {os.strerror(error.errno or 0)}")
        for talk in list(self._talks):
            talk.join(SECONDS)
        heard = sorted(self._heard, key=lambda one: one.accepted is not True)
        if not heard:
            return Verdict(None, "it never came to the server", output)
        return Verdict(heard[0].accepted, heard[0].told, output)

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                sock, _ = self._socket.accept()
            except TimeoutError:
                continue
            sock.settimeout(5)
            talk = threading.Thread(target=lambda one=sock: self._heard.append(self._serve(one)), daemon=True)
            self._talks.append(talk)
            talk.start()

    def _serve(self, sock: socket.socket) -> Verdict:
        try:
            stream = serve_tls(sock, self.config)
        except AlertError as error:
            return Verdict(False, f"alert {alert_name(error.description)}")
        except TruncatedError:
            return Verdict(False, "it closed during the handshake")
        except PeerError as error:
            silent = error.violation == "silent_end"
            return Verdict(False, "it closed during the handshake" if silent else f"the handshake failed: {error}")
        except OSError as error:
            return Verdict(False, f"the handshake failed: {error}")
        try:
            said = stream.recv()
            if said:
                stream.send(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return Verdict(bool(said), "it asked" if said else "it closed after the handshake")
        except AlertError as error:
            return Verdict(False, f"alert {alert_name(error.description)}")
        except TruncatedError:
            return Verdict(False, "it closed after the handshake")
        except (PeerError, OSError) as error:
            return Verdict(False, f"it said nothing after the handshake: {error}")
        finally:
            stream.close(drain=0.2)
