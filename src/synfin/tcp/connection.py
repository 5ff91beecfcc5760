"""One TCP connection: its variables (RFC 9293 3.3.1), the user's calls (3.10.1 to 3.10.6) and its transitions.

Drive it by five verbs: ``receive`` a packet, ask ``next_timer`` and call ``timer_fired``, ``take_output`` what may go
out, read ``next_event``.  Nothing here knows a clock or chance: ``now`` is an argument, and the initial sequence
number is given.  Calling ``timer_fired`` too early or twice does no harm.

What arrives is handled in ``arrives``, what acknowledgments mean for sending in ``recovery``, what goes out in
``output``, what time brings in ``timers``.  Sequence numbers are unwrapped integers; ``& MASK`` makes them 32 bits wide
where they meet the wire.
"""

from __future__ import annotations

from typing import NamedTuple

from synfin.spec.tcp_states import Cause, Sent, State, by_cause
from synfin.tcp import arrives, output, pathmtu, recovery, segments, timers
from synfin.tcp.config import MILLISECOND, SECOND, Config
from synfin.tcp.congestion import NewReno, Saved, controller
from synfin.tcp.names import NEVER, ONCE, Kind, Place, Step, Timer, default_mss, headers
from synfin.tcp.options import TS_SIZE
from synfin.tcp.packet import Icmp, Packet
from synfin.tcp.queues import ReceiveQueue, SendQueue
from synfin.tcp.rtt import Rtt
from synfin.tcp.scoreboard import Scoreboard
from synfin.tcp.segments import OPENING
from synfin.wire.codec import Buffer


class Event(NamedTuple):
    """One event; ``detail`` says more in words where there is more to say."""

    kind: Kind
    connection: Connection
    detail: str = ""


_NO_TIMERS = [NEVER] * (Timer.ORPHAN + 1)
#: States in which the user may still add data to the stream.
_MAY_SEND = frozenset((State.SYN_SENT, State.SYN_RECEIVED, State.ESTABLISHED, State.CLOSE_WAIT))
_HEARD_FIN = frozenset((State.CLOSE_WAIT, State.CLOSING, State.LAST_ACK, State.TIME_WAIT, State.CLOSED))


class Connection:
    """A connection in any of the eleven states; it begins CLOSED.

    ``local`` and ``remote`` may be given for an active open; a passive one learns ``remote`` from the SYN.
    ``iss`` is the initial send sequence number, ``clock_offset`` what is added to the timestamp clock (RFC 7323 5.4).
    """

    __slots__ = (
        "__weakref__", "ack_after", "ack_now", "ack_pending", "active", "again_end", "again_left", "again_start",
        "again_ts", "board", "challenges", "challenges_at", "config", "congestion", "cwr_due", "dsack", "due_syn",
        "ece_due", "ecn_on", "ecn_recover", "error", "events", "fin_at", "fin_wanted", "frto", "heard_at", "history",
        "icmp_error", "invalids", "irs", "iss", "last_ack_sent", "limited", "local", "max_snd_wnd", "mss", "mtu",
        "mtu_probe", "mtu_range", "must_resend", "orphan", "out", "peer_mss", "persists", "probes", "progress_at",
        "prr_base", "prr_delivered", "prr_out", "queue", "rcv_adv", "rcv_nxt", "rcv_up", "rcv_wscale", "received",
        "recover", "recovering", "remote", "retries", "rtt", "sack_on", "saved", "sent_at", "snd_nxt", "snd_una",
        "snd_up", "snd_wl1", "snd_wl2", "snd_wnd", "snd_wscale", "state", "timeout_due", "timeout_fixed", "timers",
        "tlp_again", "tlp_end", "ts_offset", "ts_on", "ts_recent", "ts_recent_at", "user_timeout", "wait_room",
        "with_syn", "wscale_on",
    )  # fmt: skip

    def __init__(self, config: Config, local: Place, remote: Place, iss: int, *, clock_offset: int = 0) -> None:
        self.config = config
        self.local = local
        self.remote = remote
        self.state = State.CLOSED
        self.active = False
        self.history: list[Step] = []
        self.events: list[Event] = []
        self.out: list[Packet] = []
        self.error: Kind | None = None  # why it ended, when not by both FINs
        self.icmp_error = ""  # the last soft error
        # send sequence space
        self.iss = iss
        self.snd_una = self.snd_nxt = iss
        self.snd_wnd = 0
        self.snd_wl1 = self.snd_wl2 = 0
        self.snd_up = iss
        self.max_snd_wnd = 0
        self.snd_wscale = 0
        self.queue = SendQueue(iss + 1)
        self.fin_wanted = False
        self.due_syn = False
        # receive sequence space
        self.irs = 0
        self.rcv_nxt = 0
        self.rcv_adv = 0  # right edge of the window told to the peer
        self.rcv_up = 0
        self.rcv_wscale = 0
        self.received = ReceiveQueue(0)
        self.fin_at: int | None = None
        self.with_syn: Packet | None = None  # what came with the peer's SYN, until the connection stands
        self.last_ack_sent = 0
        self.ack_now = False
        self.ack_pending = 0
        self.ack_after = 0  # octets that are not left without an acknowledgment, 2*RMSS of RFC 5681 4.2
        self.dsack: tuple[int, int] | None = None
        # options
        self.mtu = config.mtu
        self.mtu_range: pathmtu.Search | None = None
        self.mtu_probe: tuple[int, int] | None = None  # number after the probe's octets, its MTU
        self.peer_mss = 0
        self.ts_on = self.sack_on = self.ecn_on = self.wscale_on = False
        self.ts_offset = clock_offset
        self.ts_recent = 0
        self.ts_recent_at = 0
        self.ece_due = self.cwr_due = False
        self.ecn_recover = iss
        # recovery
        self.board = Scoreboard()
        self.rtt = Rtt(config)
        self.mss = default_mss(local.address)  # until the peer says more
        self.congestion: NewReno = controller(config, self.mss)
        self.recovering = ""  # "", "fast" or "timeout"
        self.recover = iss
        self.saved: Saved | None = None
        self.again_ts: int | None = None  # the timestamp clock at the first retransmission of a recovery
        self.again_start = iss  # SND.UNA when it began: D-SACKs of what is older say nothing
        self.again_end = iss  # the highest number sent again in it
        self.again_left = 0  # octets sent again that no D-SACK has named
        self.prr_base = self.prr_delivered = self.prr_out = 0  # RFC 9937: RecoverFS, prr_delivered, prr_out
        self.retries = 0
        self.frto = 0  # RFC 5682: 1 after a timeout, 2 may send new data, 3 waits what becomes of it
        self.must_resend = False  # the first retransmission of a recovery does not wait for room
        self.tlp_end: int | None = None
        self.tlp_again = False
        self.persists = 0
        self.probes = 0
        self.limited = False  # the congestion window held something back
        self.sent_at = 0
        self.heard_at = 0
        self.progress_at = 0
        self.challenges = self.invalids = self.challenges_at = 0
        self.user_timeout = config.user_timeout
        self.timeout_fixed = False  # the user chose it for this connection: the peer's wish does not count
        self.timeout_due = False  # an option is to tell it
        self.orphan = False
        self.wait_room = False
        self.timers = _NO_TIMERS.copy()

    # ------------------------------------------------------------ the five verbs

    def receive(self, packet: Packet, now: int) -> None:
        """SEGMENT ARRIVES (3.10.7)."""
        arrives.segment(self, packet, now)

    def receive_error(self, message: Icmp, now: int) -> None:
        """An ICMP error about a segment of this connection."""
        recovery.icmp(self, message, now)

    def next_timer(self) -> int | None:
        """When ``timer_fired`` is to be called next; None: nothing runs."""
        soonest = min(self.timers)
        return None if soonest == NEVER else soonest

    def timer_fired(self, now: int) -> None:
        """Do what is due."""
        timers.fire(self, now)

    def take_output(self, now: int) -> list[Packet]:
        """The packets that may go out now."""
        output.fill(self, now)
        out, self.out = self.out, []
        return out

    def next_event(self) -> Event | None:
        """The oldest event not read yet."""
        return self.events.pop(0) if self.events else None

    # ------------------------------------------------------------ user calls

    def listen(self, now: int) -> None:
        """Passive OPEN."""
        self.move(Cause.PASSIVE_OPEN, now)

    def open(self, now: int) -> None:
        """Active OPEN: a SYN will go out."""
        if self.move(Cause.ACTIVE_OPEN, now):
            self.active = True
            self.due_syn = True
            self.heard_at = self.progress_at = now
            self.timers[Timer.USER] = now + self.patience

    def send(self, data: Buffer, now: int, *, urgent: bool = False) -> int:
        """Add octets to the stream; how many the buffer took.

        0 when it is full, and when nothing may be sent any more.
        """
        if self.state not in _MAY_SEND or self.fin_wanted:
            return 0
        room = self.config.send_buffer - len(self.queue)
        size = len(data)
        if size > room:
            self.wait_room = True
            if room <= 0:
                return 0
            data = memoryview(data)[:room]
            size = room
        if size and self.timers[Timer.USER] == NEVER:
            self.progress_at = now
            self.timers[Timer.USER] = now + self.user_timeout
        self.queue.append(data)
        if urgent and size:
            self.snd_up = self.queue.end
        return size

    def recv(self, size: int | None = None) -> bytes:
        """Up to ``size`` octets that arrived in order (all, without it)."""
        return b"".join(self.recv_buffers(size))

    def recv_buffers(self, size: int | None = None) -> list[Buffer]:
        """The same without a copy: the buffers the octets came in."""
        taken = self.received.take(size)
        if taken:
            segments.window_opened(self)
        return taken

    @property
    def readable(self) -> int:
        """Octets that wait to be read."""
        return self.received.ready

    @property
    def urgent(self) -> int:
        """Octets from the next to be read up to the end of urgent data; 0 when there is none (MUST-33)."""
        return max(self.rcv_up - (self.received.nxt - self.received.ready), 0)

    @property
    def ended(self) -> bool:
        """The peer's FIN was reached: after what is readable nothing comes."""
        return self.state in _HEARD_FIN

    def choose(self, config: Config) -> None:
        """Other choices; what the SYN spoke of stays.  A keep-alive time counts from what was heard last."""
        before, self.config = self.config, config
        if config.keepalive != before.keepalive and self.state not in (*OPENING, State.TIME_WAIT, State.CLOSED):
            self.timers[Timer.KEEPALIVE] = NEVER if config.keepalive is None else self.heard_at + config.keepalive

    def choose_timeout(self, value: int) -> None:
        """The user's own choice (nanoseconds): told to the peer where that is on, and not changed by it any more."""
        self.user_timeout = value
        self.timeout_fixed = True
        self.timeout_due = self.config.timeout_option
        if self.timers[Timer.USER] != NEVER:
            self.timers[Timer.USER] = self.progress_at + self.patience

    @property
    def patience(self) -> int:
        """How long no progress is borne; the user timeout is "for any state" (3.10.8), a SYN has its own as well."""
        opening = self.state in OPENING
        return min(self.config.syn_timeout, self.user_timeout) if opening else self.user_timeout

    def adopt_timeout(self, wish: int) -> None:
        """The peer's user timeout option, in seconds: the longer one counts, within limits (RFC 5482 3.1)."""
        config = self.config
        if config.timeout_option and not self.timeout_fixed:
            least, most = config.timeout_limits
            self.user_timeout = min(most, max(config.user_timeout, wish * SECOND, least))

    def shutdown(self, now: int) -> None:
        """CLOSE of RFC 9293: no more to send.  What the peer sends can still be read."""
        if self.state in (State.LISTEN, State.SYN_SENT):
            self.move(Cause.CLOSE, now)
            self._gone(None)
        elif self.state in _MAY_SEND and not self.fin_wanted:
            self.fin_wanted = True
            if self.state == State.ESTABLISHED or (self.state == State.SYN_RECEIVED and not len(self.queue)):
                self.move(Cause.CLOSE, now)
            if self.timers[Timer.USER] == NEVER:
                self.progress_at = now
                self.timers[Timer.USER] = now + self.user_timeout

    def close(self, now: int) -> None:
        """Close both ways: a RST tells the peer when data was, or comes, that nobody will read (3.6.1, SHLD-3)."""
        if self.received.ready and self.state not in (State.CLOSED, State.TIME_WAIT, State.LAST_ACK, State.CLOSING):
            self.abort(now)
            return
        self.orphan = True
        self.shutdown(now)
        if self.state == State.FIN_WAIT_2:
            self.timers[Timer.ORPHAN] = now + self.config.orphan_timeout

    def abort(self, now: int) -> None:
        """ABORT: forget everything, tell the peer by a RST where there is one to tell."""
        row = by_cause(self.state, Cause.ABORT)
        if row is not None and row.sends == Sent.RST:
            segments.reset(self, now)
        self.move(Cause.ABORT, now)
        self._gone(None)

    # ------------------------------------------------------------ transitions

    def move(self, cause: Cause, now: int) -> bool:
        """Take the row of the table for ``cause``; False where there is none."""
        row = by_cause(self.state, cause)
        if row is None:
            return False
        self.history.append(Step(now, self.state, cause, row.next))
        self.state = row.next
        if row.next == State.TIME_WAIT:
            self.timers = _NO_TIMERS.copy()
            self.timers[Timer.TIME_WAIT] = now + 2 * self.config.msl
        elif row.next == State.FIN_WAIT_2 and self.orphan:
            self.timers[Timer.ORPHAN] = now + self.config.orphan_timeout
        return True

    def tell(self, kind: Kind, detail: str = "") -> None:
        """Leave an event; those of ``ONCE`` are told once until they are read."""
        if kind in ONCE:
            for event in self.events:
                if event.kind is kind:
                    return
        self.events.append(Event(kind, self, detail))

    def fail(self, cause: Cause, kind: Kind, now: int, detail: str = "") -> None:
        """The connection ends for a reason that is not the user's."""
        if self.move(cause, now):
            self._gone(kind, detail or self.icmp_error)

    def finish(self) -> None:
        """The connection ended in order."""
        self._gone(None)
        self.tell(Kind.CLOSED)

    def _gone(self, kind: Kind | None, detail: str = "") -> None:
        self.timers = _NO_TIMERS.copy()
        self.queue = SendQueue(self.queue.end)
        self.board = Scoreboard()
        self.ack_now = self.due_syn = False
        if kind is not None:
            self.error = kind
            self.tell(kind, detail)

    # ------------------------------------------------------------ derived

    @property
    def rcv_wnd(self) -> int:
        """RCV.WND: from RCV.NXT to the edge the peer was told."""
        return max(self.rcv_adv - self.rcv_nxt, 0)

    @property
    def fin_seq(self) -> int:
        """The number our FIN has or will have."""
        return self.queue.end

    @property
    def fin_sent(self) -> bool:
        """Whether our FIN went out."""
        return self.fin_wanted and self.snd_nxt > self.queue.end

    def clock(self, now: int) -> int:
        """The timestamp clock, one tick a millisecond (RFC 7323 5.4)."""
        return now // MILLISECOND + self.ts_offset & 0xFFFFFFFF

    def path_mss(self) -> int:
        """Octets of options and payload that the path's MTU leaves."""
        return max(self.mtu - headers(self.local.address), 8)

    def size_segments(self) -> None:
        """Set ``mss``, the payload of a full segment, from what peer and path allow."""
        option = TS_SIZE if self.ts_on else 0
        self.mss = max(min(self.peer_mss, self.path_mss()) - option, 8)
        self.congestion.mss = self.mss
        self.ack_after = 2 * min(self.mss, max(self.config.announced_mss(self.local.address) - option, 1))
