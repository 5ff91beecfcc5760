"""What an endpoint tells its driver, in order: one frozen dataclass per kind of event.

``Client.next_event`` and ``Server.next_event`` hand these out.  They carry facts, never prose; how a fault reads for
people is in ``spec.violations`` under the name that ``Failed`` carries.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from synfin.tls.session import Session
from synfin.wire.frozen import quick


@quick
@dataclass(frozen=True, slots=True)
class Facts:
    """What was negotiated.  Numbers are IANA's; None where there is none (a resumed TLS 1.2 session has no group).

    ``signature`` is the scheme the peer signed this handshake with, ``own_signature`` ours; ``peer_chain`` is DER,
    leaf first (of the first handshake where the session was resumed); ``retried`` says that a HelloRetryRequest
    happened; ``early_data`` that the server took 0-RTT data; ``stapled`` and ``scts`` came with the peer's leaf.
    ``authorities`` are the names (DER) in a server's request for a certificate, None where it asked for none.
    """

    version: int
    suite: int
    group: int | None = None
    signature: int | None = None
    own_signature: int | None = None
    resumed: bool = False
    retried: bool = False
    alpn: bytes | None = None
    server_name: str | None = None
    early_data: bool = False
    extended_master_secret: bool = True
    encrypt_then_mac: bool = False
    peer_chain: tuple[bytes, ...] = field(default=(), repr=False)
    stapled: bytes | None = field(default=None, repr=False)
    scts: bytes | None = field(default=None, repr=False)
    authorities: tuple[bytes, ...] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class HandshakeDone:
    """Both ends proved themselves; application data may be sent.  ``Client.export`` gives exporter values now."""

    facts: Facts


class Data(NamedTuple):
    """Application data, never empty.  ``early`` marks 0-RTT data, which an attacker may have replayed.

    Records that came whole in one ``receive`` are opened together, up to a MiB to an event; where records are opened
    in Python alone such data is a bytearray of the caller's own.  (A tuple is made in half the time of a record.)
    """

    data: bytes | bytearray
    early: bool = False


@dataclass(frozen=True, slots=True)
class Ticket:
    """A session that the client can resume with: hand it to the next connection's ``Client``."""

    session: Session


@dataclass(frozen=True, slots=True)
class KeyUpdated:
    """The peer changed its sending keys (TLS 1.3); ``requested`` says that it asked us to change ours, and we did."""

    requested: bool


@dataclass(frozen=True, slots=True)
class PeerAuthenticated:
    """The client answered a request after the handshake; ``chain`` is empty where it has no certificate."""

    chain: tuple[bytes, ...]
    signature: int | None


@dataclass(frozen=True, slots=True)
class PeerAlert:
    """An alert came.  A fatal one (``fatal``) ended the connection; a warning did not."""

    description: int
    fatal: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """We ended the connection: the violation's name, the alert sent (None: none), what was expected and what came."""

    violation: str
    alert: int | None
    expected: str = ""
    got: str = ""


@dataclass(frozen=True, slots=True)
class Closed:
    """No more data will come.  ``clean`` is False where the transport ended without close_notify: truncation."""

    clean: bool


Event = HandshakeDone | Data | Ticket | KeyUpdated | PeerAuthenticated | PeerAlert | Failed | Closed
