"""The story: what is known of each connection, as facts with their evidence.

Watchers (``tcpwatch``, ``tlswatch``, ``httpwatch``) read packets and streams and leave these dataclasses; views and
rules read nothing else.  Facts only: no prose, no judgement.  Sides are A (opened the connection) and B; a direction
is named by its sender.  Times are integer nanoseconds on the capture's clock.  Packet numbers are 1-based.

A far end is known only by what it sent and acknowledged, so what is said of an end's state carries how it is known:
SEEN (its own segment shows it), PROVED (the other end's acknowledgement shows it), ASSUMED (the usual course).

Here stands the connection as a whole; its parts are in ``story_tcp``, ``story_tls`` and ``story_http``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from synfin.observe.rows import Rows
from synfin.observe.story_http import HttpStory
from synfin.observe.story_tcp import TcpStory
from synfin.observe.story_tls import TlsStory
from synfin.observe.stream import ByteStream

A, B = 0, 1


class Endpoint(NamedTuple):
    """An address and a port; ``ip`` is in the usual text form (RFC 5952 for IPv6)."""

    ip: str
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class PreambleFact:
    """What was spoken before TLS on the same connection: a STARTTLS dialogue or a proxy's."""

    protocol: str  # smtp imap pop3 xmpp ldap ftp postgresql irc http-connect socks4 socks5 proxy-protocol
    target: Endpoint | None  # whom the proxy was asked to reach (ip may be a name)
    accepted: bool | None
    status: str  # the peer's answer, such as "200" or "220 ready"
    start: int
    end: int
    packets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Phase:
    """One stretch of a connection's time: ns from start to end, in round trips, and whom it waited for."""

    name: str  # dns tcp tls request wait transfer idle close
    start: int
    end: int
    round_trips: float | None
    waited_for: str  # client server network both ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DnsFact:
    """The name look-up that led here: query and answer packets of the same client, just before the first SYN."""

    name: str
    qtype: str
    query_packet: int
    answer_packet: int | None
    start: int
    end: int | None
    rcode: str
    addresses: tuple[str, ...]
    server: str
    queries: int = 1  # how often it was asked until the answer came (0: the question was not captured)


def host_of(authority: str) -> str:
    """``authority`` (a Host field, ``:authority``) without its port."""
    host, colon, port = authority.rpartition(":")
    return host if colon and port.isdigit() and (":" not in host or host.endswith("]")) else authority


@dataclass(slots=True)
class Connection:
    """One TCP connection, or one stream of exported PDUs.  Everything heavy hangs off it and is made when asked."""

    id: int  # order of first packets in the capture, from 0
    a: Endpoint
    b: Endpoint
    opened_by: str  # "syn" "synack" "first": how A is known to be the opener
    rows: Rows
    tcp: TcpStory
    streams: tuple[ByteStream, ByteStream]
    tls: TlsStory | None = None
    http: HttpStory | None = None  # the innermost HTTP that could be read
    outer_http: HttpStory | None = None  # the clear HTTP around it, such as the CONNECT dialogue with a proxy
    preambles: tuple[PreambleFact, ...] = ()
    protocol: str = ""  # what is spoken, by content: tls http h2 ssh smtp ... or ""
    dns: DnsFact | None = None
    vlans: tuple[str, ...] = ()
    tunnels: tuple[str, ...] = ()

    @property
    def first_packet(self) -> int:
        """Number of the first packet."""
        return self.rows.number[0]

    @property
    def last_packet(self) -> int:
        """Number of the last packet."""
        return self.rows.number[-1]

    @property
    def start(self) -> int:
        """Time of the first packet, ns."""
        return self.rows.time[0]

    @property
    def end(self) -> int:
        """Time of the last packet, ns."""
        return self.rows.time[-1]

    @property
    def name(self) -> str:
        """The name the client asked for, without a port: SNI, else Host, else what a proxy was asked for; or empty."""
        if self.tls is not None and self.tls.sni:
            return self.tls.sni
        if self.http is not None:
            for message in self.http.messages:
                if message.kind == "request" and message.authority:
                    return host_of(message.authority)
        for preamble in self.preambles:
            if preamble.target is not None:
                return preamble.target.ip
        return ""


@dataclass(frozen=True, slots=True)
class Quality:
    """What kind of capture this is, as far as it bears on what may be concluded."""

    packets: int
    snaplen_cut: int  # packets whose payload is cut
    one_sided: int  # connections with one direction only
    starts_late: int  # connections whose SYN was not captured
    time_backwards: int
    unread: tuple[tuple[str, int], ...]  # what was not understood -> packets
    problems: tuple[str, ...]  # damage of the file, with packet number and offset
    quic: int = 0  # QUIC packets: recognised, not judged yet
    opened: int = 0  # connections whose TLS was decrypted, at least in part
    early: int = 0  # connections told before they were finished, because too many packets waited
    late: int = 0  # packets of connections that had been told already
    more_problems: int = 0  # damage that was only counted
