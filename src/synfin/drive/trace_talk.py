"""A TLS client that tells each message of its connection the moment it passes, whole and in the clear.

It decides nothing and changes nothing: what it overrides are the places at which the engine takes messages in and
lets them out (``tls.core``).  What a message says is read where it is told to people, not while the peer waits.  A
server may say post-handshake messages without end, so only so many are told; the capture has all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from synfin import tls

#: Messages of one connection that are told.
MOST_TOLD = 200
#: What stands for a message's kind where it is none of the handshake's.
ALERT, CHANGE_CIPHER_SPEC = "alert", "change_cipher_spec"


class Message(NamedTuple):
    """One TLS message: ``kind`` is "handshake", "alert" or "change_cipher_spec", ``raw`` its octets with their header.

    ``at`` is in seconds since 1970: when the octets it came in were read, or when its octets went out.
    """

    sent: bool
    kind: str
    raw: bytes
    at: float


class TalkingClient(tls.Client):
    """``tls.Client``, and ``told`` hears every message."""

    def __init__(
        self,
        config: tls.ClientConfig,
        server_name: str | None,
        told: Callable[[Message], None],
        *,
        now: float,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._told = told
        self._left = MOST_TOLD
        self._begun = bytearray()  # of a message that has not come whole
        self._leaving: deque[tuple[str, bytes]] = deque()  # kind and octets of what has not gone out
        super().__init__(config, server_name, now=now, entropy=entropy)

    def _tell(self, sent: bool, kind: str, raw: bytes, at: float) -> None:
        if self._left:
            self._left -= 1
            self._told(Message(sent, kind, raw, at))

    # ------------------------------------------------------------ out

    def take_output(self, now: float) -> bytes | bytearray:
        """See ``Endpoint``; what leaves now is told now."""
        out = super().take_output(now)
        while self._leaving:
            kind, raw = self._leaving.popleft()
            self._tell(True, kind, raw, now)
        return out

    def flush(self) -> None:
        """See ``Records``."""
        self._leaving += [("handshake", raw) for raw in _messages(bytes(self._flight))[0]]
        super().flush()

    def alert(self, level: int, description: int) -> None:
        """See ``Records``."""
        self.flush()
        self._leaving.append((ALERT, bytes((level, description))))
        super().alert(level, description)

    def send_ccs(self) -> None:
        """See ``Records``."""
        self.flush()
        self._leaving.append((CHANGE_CIPHER_SPEC, b"\1"))
        super().send_ccs()

    # ------------------------------------------------------------ in

    def _handshake(self, content: bytes) -> None:
        if self._left:
            begun = self._begun
            begun += content
            if len(begun) >= 4 + int.from_bytes(begun[1:4], "big"):  # once for each message, not for each record
                whole, rest = _messages(bytes(begun))
                self._begun = bytearray(rest)
                for raw in whole:
                    self._tell(False, "handshake", raw, self.now)
        super()._handshake(content)

    def _alert(self, content: bytes) -> None:
        self._tell(False, ALERT, bytes(content[:2]), self.now)
        super()._alert(content)

    def _change_cipher_spec(self, content: bytes) -> None:
        self._tell(False, CHANGE_CIPHER_SPEC, bytes(content[:1]), self.now)
        super()._change_cipher_spec(content)


def _messages(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole handshake messages at the start of ``data``, and what is left."""
    found, at = [], 0
    while len(data) - at >= 4:
        stop = at + 4 + int.from_bytes(data[at + 1 : at + 4], "big")
        if stop > len(data):
            break
        found.append(data[at:stop])
        at = stop
    return found, data[at:]
