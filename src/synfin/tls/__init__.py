"""A TLS 1.2 and 1.3 endpoint without input and output: bytes, time and chance in; bytes and events out.

``Client`` and ``Server`` have five verbs: ``receive``, ``next_timer``, ``timer_fired``, ``take_output`` and
``next_event``.  TLS 1.3 is RFC 8446 (RFC 9846 keeps it), TLS 1.2 is RFC 5246 with RFC 5746, 7627, 7905,
7919, 8422 and 9325.
"""

from synfin.tls.client import Client
from synfin.tls.config import ClientConfig, Credential, Limits, ServerConfig
from synfin.tls.events import (
    Closed,
    Data,
    Event,
    Facts,
    Failed,
    HandshakeDone,
    KeyUpdated,
    PeerAlert,
    PeerAuthenticated,
    Ticket,
)
from synfin.tls.server import Server
from synfin.tls.session import ReplayGuard, Session, SessionCache, TicketKeys
from synfin.tls.verify import PathVerifier, Presented, Verifier, accept_any_certificate

__all__ = [
    "Client",
    "ClientConfig",
    "Closed",
    "Credential",
    "Data",
    "Event",
    "Facts",
    "Failed",
    "HandshakeDone",
    "KeyUpdated",
    "Limits",
    "PathVerifier",
    "PeerAlert",
    "PeerAuthenticated",
    "Presented",
    "ReplayGuard",
    "Server",
    "ServerConfig",
    "Session",
    "SessionCache",
    "Ticket",
    "TicketKeys",
    "Verifier",
    "accept_any_certificate",
]
