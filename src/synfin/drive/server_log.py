"""What a server says while it works: a line for each request, a line for each connection that went wrong.

Lines are gathered for a moment and written together, so that a busy server does not wait for its terminal.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from synfin.drive import clock
from synfin.drive.streams import AlertError
from synfin.errors import PeerError
from synfin.http.app import clean
from synfin.spec.violations import VIOLATIONS
from synfin.wire.tls.registry import ALERTS

_EVERY = 0.05
_LONGEST = 200


class AccessLog:
    """Writes lines by ``write``: for people, or with ``as_json`` one object each.  ``quiet`` keeps only what failed.

    Who came and left without a word, as checks of load balancers do, is no failure to a quiet log.
    """

    def __init__(self, write: Callable[[str], None], *, as_json: bool = False, quiet: bool = False) -> None:
        self._write = write
        self._json = as_json
        self._quiet = quiet
        self._lines: list[str] = []
        self._due: asyncio.TimerHandle | None = None
        self._stamp = (0, "")
        self.requests = self.failures = 0

    def _now(self) -> str:
        second = int(clock.now())
        if self._stamp[0] != second:
            self._stamp = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return self._stamp[1]

    def request(
        self, peer: tuple[str, int], method: str, target: str, spoken: str, status: int, octets: int, seconds: float
    ) -> None:
        """A request was answered: ``octets`` of body in ``seconds``; ``spoken`` such as "HTTP/2 TLS 1.3"."""
        self.requests += 1
        if self._quiet:
            return
        if self._json:
            self._put(
                event="request",
                method=method,
                target=target,
                protocol=spoken,
                status=status,
                octets=octets,
                seconds=round(seconds, 6),
                peer=peer,
            )
            return
        shown = clean(target if len(target) <= _LONGEST else target[:_LONGEST] + "...")
        took = f"{1000 * seconds:.1f} ms"
        self._line(f"{self._now()} {address(peer)} {clean(method)} {shown} {status} {octets} B {took} {spoken}")

    def failure(self, peer: tuple[str, int], where: str, error: BaseException | str) -> None:
        """A connection ended otherwise than it should; ``where`` such as "in the handshake"."""
        self.failures += 1
        told, name = explain(error)
        if self._quiet and name == "silent_end":
            return
        if self._json:
            self._put(event="failure", where=where, name=name, told=told, peer=peer)
        else:
            self._line(f"{self._now()} {address(peer)} failed {where}: {told}")

    def connection(self, peer: tuple[str, int], told: str, octets: int, seconds: float) -> None:
        """A connection without requests has ended."""
        if self._quiet:
            return
        if self._json:
            self._put(event="connection", told=told, octets=octets, seconds=round(seconds, 6), peer=peer)
        else:
            self._line(f"{self._now()} {address(peer)} {told} {octets} B {seconds:.1f} s")

    def _put(self, *, peer: tuple[str, int], **fields: Any) -> None:
        self._line(json.dumps({"time": self._now(), "peer": address(peer), **fields}))

    def _line(self, line: str) -> None:
        self._lines.append(line)
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(_EVERY, self.flush)

    def flush(self) -> None:
        """Write what was gathered."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if self._lines:
            text = "\n".join(self._lines) + "\n"
            self._lines.clear()
            self._write(text)


def address(peer: tuple[str, int]) -> str:
    """Address and port as in a URL."""
    host, port = peer
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def explain(error: BaseException | str) -> tuple[str, str]:
    """In words, and by name: the violation or alert where there is one."""
    if isinstance(error, PeerError):
        violation = VIOLATIONS.get(error.violation)
        told = str(error) if violation is None else _sentence(violation.sentence)
        if error.expected == "a certificate that holds":  # what was found in the chain is a sentence of its own
            told = clean(error.got[:1].lower() + error.got[1:])
        elif error.expected and error.got:
            told += f" (expected {clean(error.expected)}, got {clean(error.got)})"
        elif error.expected or error.got:
            told += f" ({clean(error.got or error.expected)})"
        sent = ""
        if violation is not None and violation.alert is not None:
            sent = f"; alert {ALERTS.get(violation.alert, violation.alert)} sent"
        return f"{told[: _LONGEST * 2]} [{error.violation}{sent}]", error.violation
    if isinstance(error, AlertError):
        return f"the client refused with the alert {error.name}", error.name
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return "the client reset the connection", "reset"
    if isinstance(error, TimeoutError):
        return "the client did not take what was sent", "stopped_reading"
    if isinstance(error, OSError):
        return (error.strerror or str(error) or type(error).__name__).lower(), type(error).__name__
    return str(error), ""


def _sentence(said: str) -> str:
    """A violation's sentence, which speaks of the peer, about our client."""
    if said.startswith("it "):
        return f"the client {said[3:]}"
    return f"the client's {said[4:]}" if said.startswith("its ") else said
