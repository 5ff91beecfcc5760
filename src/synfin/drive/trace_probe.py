"""A second try with a short ClientHello, where what was sent first made the server go without a word.

A ClientHello with a post-quantum key share does not fit one packet (RFC 8446 5.1 lets it span several), and servers
that read once fail on it; others go on every ClientHello.  From one connection the two cannot be told apart, from two
they can.  Likewise a server that goes without a word on a request in clear may be one that wants TLS: a ClientHello
tells.  Nothing is asked on the second connection, and its certificate does not matter.
"""

from __future__ import annotations

from synfin import tls
from synfin.drive import clock
from synfin.drive.pipe import Pipe
from synfin.drive.streams import AlertError, TlsStream
from synfin.errors import PeerError
from synfin.tls.groups import X25519MLKEM768

#: How servers go without a word (``spec.violations``).
WORDLESS = frozenset({"reset_in_handshake", "silent_end"})
#: The same where a request in clear was sent.
UNANSWERED = frozenset({"reset", "http_empty_reply"})


def shorter(groups: tuple[int, ...]) -> tuple[int, ...]:
    """``groups`` without those whose key shares are long; () where that would change nothing."""
    short = tuple(group for group in groups if group != X25519MLKEM768)
    return short if short != groups else ()


async def answers_short(pipe: Pipe, config: tls.ClientConfig, name: str | None) -> bool:
    """Whether the server at the other end of ``pipe``, which is closed then, has a word for this ClientHello."""
    stream = TlsStream(pipe, tls.Client(config, name, now=clock.now(), entropy=clock.entropy))
    try:
        await stream.handshake()
    except AlertError:
        return True
    except PeerError as error:
        return error.violation not in WORDLESS
    except OSError:
        return False
    finally:
        await stream.close(drain=0.2)
    return True


async def speaks_tls(pipe: Pipe, config: tls.ClientConfig, name: str | None) -> bool:
    """Whether the server at the other end of ``pipe``, which is closed then, answers a ClientHello with a record."""
    stream = TlsStream(pipe, tls.Client(config, name, now=clock.now(), entropy=clock.entropy))
    try:
        await stream.handshake()
    except (PeerError, OSError):
        return stream.opening[:2] in (b"\x16\x03", b"\x15\x03")
    finally:
        await stream.close(drain=0.2)
    return True
