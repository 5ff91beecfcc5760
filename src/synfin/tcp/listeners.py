"""Listeners and SYN cookies: what a host keeps of those who knock, and what it does when too many do (RFC 4987 3.6).

A cookie is a SYN-ACK that keeps nothing here: MSS, time and a hash are its number, window scale and SACK hide in the
low bits of its timestamp.  The ACK that brings it back makes the connection.
"""

from __future__ import annotations

from collections import deque

from synfin.spec.tcp_segments import MASK
from synfin.spec.tcp_states import State
from synfin.tcp import options
from synfin.tcp.chance import Chance
from synfin.tcp.config import MILLISECOND, SECOND, Config
from synfin.tcp.connection import Connection
from synfin.tcp.names import Place, default_mss
from synfin.tcp.packet import Packet
from synfin.wire.tcpflags import ACK, SYN

Key = tuple[bytes, int, bytes, int]
_COOKIE_LIFETIME = 128 * SECOND


class Listener:
    """A port that is listened on; ``accept`` hands out connections that stand."""

    __slots__ = ("backlog", "config", "cookies_until", "half_open", "place", "queue")

    def __init__(self, place: Place, backlog: int, config: Config) -> None:
        self.place = place
        self.backlog = max(backlog, 1)
        self.config = config
        self.cookies_until = -1  # an ACK may answer a cookie until then
        self.half_open: dict[Key, Connection] = {}
        self.queue: deque[Connection] = deque()

    @property
    def state(self) -> State:
        """LISTEN: a listener never is anything else."""
        return State.LISTEN

    def accept(self) -> Connection | None:
        """The connection that waits longest; None when none does."""
        return self.queue.popleft() if self.queue else None


def cookie(chance: Chance, listener: Listener, packet: Packet, now: int) -> Packet:
    """The SYN-ACK for a SYN that nothing is kept of."""
    opts = options.read(packet.options)
    listener.cookies_until = now + _COOKIE_LIFETIME
    local, remote = Place(packet.dst, packet.dport), Place(packet.src, packet.sport)
    config = listener.config
    iss = chance.cookie(local, remote, packet.seq, opts.mss or default_mss(packet.src), now)
    stamps, scale, sack = None, None, False
    if opts.ts is not None and config.timestamps:
        sack = opts.sack_permitted and config.sack
        scale = config.scale if opts.wscale is not None else None
        offset = chance.clock_offset(local, remote)
        note = (opts.wscale if scale is not None and opts.wscale is not None else 15) | (16 if sack else 0)
        # The clock of the connection to be may not run back: the note takes the low bits of a past tick.
        stamps = (((now // MILLISECOND + offset & MASK) - 32 & ~31) | note, opts.ts[0])
    raw = options.opening(config.announced_mss(packet.src), scale, sack, stamps)
    window = min(config.receive_buffer, 65535)
    p = packet
    return Packet(p.dst, p.src, p.dport, p.sport, iss, p.seq + 1 & MASK, SYN | ACK, window, raw, ttl=config.ttl)


def cookie_back(chance: Chance, listener: Listener, packet: Packet, now: int) -> Connection | None:
    """The connection that an ACK of a cookie stands for, its SYN-ACK sent; None when it is none of ours."""
    if now > listener.cookies_until or len(listener.queue) >= listener.backlog:
        return None
    local, remote = Place(packet.dst, packet.dport), Place(packet.src, packet.sport)
    iss, irs = packet.ack - 1 & MASK, packet.seq - 1 & MASK
    mss = chance.open_cookie(local, remote, irs, iss, now)
    if mss is None:
        return None
    opts = options.read(packet.options)
    scale, sack, ts = None, False, None
    if opts.ts is not None and listener.config.timestamps:
        ts = (opts.ts[0], 0)
        scale = opts.ts[1] & 15 if opts.ts[1] & 15 != 15 else None
        sack = bool(opts.ts[1] & 16)
    connection = Connection(listener.config, local, remote, iss, clock_offset=chance.clock_offset(local, remote))
    connection.listen(now)
    syn = Packet(
        packet.src, packet.dst, packet.sport, packet.dport, irs, 0, SYN, packet.window,
        options.opening(mss, scale, sack, ts),
    )  # fmt: skip
    connection.receive(syn, now)
    connection.take_output(now)  # the SYN-ACK is out already
    return connection
