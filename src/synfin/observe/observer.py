"""Capture to story: the one path from packets to connections.

``Observation`` pulls batches from a capture, lets the collectors (DNS, ICMP, QUIC) look at each, groups TCP segments
into connections and runs the watchers over every connection that is finished: TCP, then what is spoken on its
streams, then TLS, then HTTP over the clear or the decrypted streams.  Connections are handed out as they finish and
are not kept; memory does not grow with the capture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synfin.capture.keylog import KeyLog
from synfin.capture.reader import CaptureFile
from synfin.capture.table import Batch
from synfin.observe.dnswatch import DnsLog
from synfin.observe.flows import FlowRows, Flows, FlowTable
from synfin.observe.httpwatch import watch_http
from synfin.observe.icmpwatch import IcmpLog
from synfin.observe.quicwatch import QuicLog
from synfin.observe.story import A, B, Connection, Quality
from synfin.observe.story_http import HttpStory
from synfin.observe.story_tcp import TcpStory
from synfin.observe.stream import ByteStream
from synfin.observe.tcpwatch import watch_tcp
from synfin.observe.tlswatch import SessionCache, TlsResult, watch_tls

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_METHODS = (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"DELE", b"CONN", b"PATC", b"TRAC", b"PRI ")


class Observation:
    """The story of one capture: iterate it once for its connections, in the order they finished.

    ``quality`` is complete after the iteration.  ``keylog`` and ``rsa_keys`` open encrypted records; secrets embedded
    in the capture are used as well.
    """

    def __init__(
        self,
        capture: CaptureFile,
        *,
        keylog: KeyLog | None = None,
        rsa_keys: Sequence[RSAPrivateKey] = (),
        embedded: bool = True,
    ) -> None:
        self.capture = capture
        self._keylog = KeyLog.parse(b"")
        if keylog is not None:
            self._keylog.merge(keylog)
        self._embedded = embedded
        self._merged = 0
        self._rsa_keys = rsa_keys
        self._sessions = SessionCache()
        self._dns = DnsLog()
        self._icmp = IcmpLog()
        self._quic = QuicLog()
        self.flows = Flows()
        self._one_sided = 0
        self._starts_late = 0
        self._opened = 0
        self._snaplen_cut = 0
        self._time_backwards = 0
        self._last_time = 0

    def __enter__(self) -> Observation:
        return self

    def __exit__(self, *_: object) -> None:
        self.capture.__exit__(None, None, None)

    def __iter__(self) -> Iterator[Connection]:
        for table in self._tables():
            for flow in self.flows.connections(table):
                yield self.connection(flow)
            self.capture.forget()  # payload was looked at again; who keeps a connection reads it from the file

    def _tables(self) -> Iterator[FlowTable]:
        for batch in self.look(self.capture.batches()):
            yield from self.flows.tables(batch)
        yield from self.flows.last_tables()

    def look(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Pass ``batches`` on, each after all that is not TCP in it was noted."""
        for batch in batches:
            self._secrets()
            self._dns.add(batch)
            self._icmp.add(batch)
            self._quic.add(batch)
            self._count(batch.rows["time"], batch.rows["caplen"], batch.rows["wirelen"])
            yield batch
        self._secrets()

    @property
    def quality(self) -> Quality:
        """What kind of capture this was."""
        notes = self.capture.notes
        return Quality(
            packets=notes.packets,
            snaplen_cut=self._snaplen_cut,
            one_sided=self._one_sided,
            starts_late=self._starts_late,
            time_backwards=self._time_backwards,
            unread=tuple(notes.unread.most_common()),
            problems=tuple(str(problem) for problem in notes.problems),
            more_problems=notes.more_problems,
            quic=self._quic.packets,
            opened=self._opened,
            early=self.flows.early,
            late=self.flows.late_rows,
        )

    def _secrets(self) -> None:
        if not self._embedded:
            return
        for text in self.capture.secrets[self._merged :]:
            self._keylog.merge(KeyLog.parse(text))
        self._merged = len(self.capture.secrets)

    def _count(self, time: NDArray[np.int64], caplen: NDArray[np.int32], wirelen: NDArray[np.int32]) -> None:
        self._snaplen_cut += int((caplen < wirelen).sum())
        if len(time):
            self._time_backwards += int((time[1:] < time[:-1]).sum()) + int(time[0] < self._last_time)
            self._last_time = int(time[-1])

    def connection(self, flow: FlowRows) -> Connection:
        """The story of one finished connection."""
        rows = flow.rows
        icmp = self._icmp.for_connection(flow.a, flow.b, rows.time[0], rows.time[-1])
        tcp, streams = watch_tcp(flow, icmp)
        for stream in streams:
            stream.forget = self.capture.forget
        watched = watch_tls(streams, keylog=self._keylog, rsa_keys=self._rsa_keys, sessions=self._sessions)
        http, outer = _http(tcp, streams, watched)
        if tcp.source == "packets":  # exported PDUs never have a handshake, and lack nothing by that
            self._one_sided += not (tcp.sides[A].packets and tcp.sides[B].packets)
            self._starts_late += tcp.handshake == "none"
        if watched.tls is not None and watched.tls.data is not None:
            self._opened += 1
        return Connection(
            id=flow.id,
            a=flow.a,
            b=flow.b,
            opened_by=flow.opened_by,
            rows=rows,
            tcp=tcp,
            streams=streams,
            tls=watched.tls,
            http=http,
            outer_http=outer,
            preambles=watched.preambles,
            protocol=watched.protocol or (http.protocol if http else ""),
            dns=self._dns.before(flow.a.ip, flow.b.ip, rows.time[0]),
            vlans=tuple([str(vlan) for vlan in dict.fromkeys([v for wrap in flow.wraps for v in wrap.vlans])]),
            tunnels=tuple(dict.fromkeys([name for wrap in flow.wraps for name in wrap.tunnels])),
        )


def _http(
    tcp: TcpStory, streams: tuple[ByteStream, ByteStream], watched: TlsResult
) -> tuple[HttpStory | None, HttpStory | None]:
    """HTTP inside TLS (or on the clear streams), and the clear HTTP around TLS or around what else a proxy passed."""
    ended = (tcp.sides[A].fins > 0, tcp.sides[B].fins > 0)
    tls = watched.tls
    if tls is None:
        proxied = any(fact.protocol == "http-connect" for fact in watched.preambles)
        if watched.protocol not in ("", "http", "h2") and not proxied:
            return None, None
        story = watch_http(streams, client=_requester(streams), tls=False, ended=ended)
        return story, story if proxied else None
    outer = inner = None
    if tls.start != (0, 0):
        outer = watch_http(streams, client=_requester(streams), tls=False, ended=ended)
    if tls.data is not None:
        closed = tls.close_notify
        done = (ended[A] or closed[A] is not None, ended[B] or closed[B] is not None)
        inner = watch_http(tls.data, client=tls.client, tls=True, alpn=tls.alpn, ended=done)
    return inner or outer, outer


def _requester(streams: tuple[ByteStream, ByteStream]) -> int:
    """The side whose octets begin like a request; A unless only B's do."""
    heads = [stream.octets(0)[:4] if stream.layout()[0] else b"" for stream in streams]
    return B if heads[B] in _METHODS and heads[A] not in _METHODS else A
