"""The RFC 9293 states of both ends after every packet, from evidence only.

An end's state is SEEN when a segment it sent shows it, PROVED when the other end's acknowledgment shows that it sent
what the capture missed, and ASSUMED where the usual course is taken: a listener before its first segment, the silent
steps on the arrival of an acknowledgment (``Sent.NOTHING`` rows of ``spec.tcp_states``), the end after a RST.  A FIN
that passes moves its sender only; its receiver moves when its own acknowledgment covers the FIN.  So two FINs that
cross are read as a simultaneous close, where a watcher that moves the far end at once sees an orderly one.

An assumption is taken back when the end's own later segment speaks against it.  TIME_WAIT is not left: nothing on the
wire tells when 2 MSL are over.  The transitions are those of the table in ``spec.tcp_states``.
"""

from __future__ import annotations

from synfin.observe.rows import Rows
from synfin.observe.story_tcp import EndState, Knowledge
from synfin.spec.tcp_states import Cause, Sent, State, by_cause, by_sent
from synfin.wire.tcpflags import ACK, FIN, RST, SYN

_M = 0xFFFFFFFF

_PAIRS: dict[tuple[str, Knowledge], EndState] = {
    (state, how): EndState(str(state), how) for state in State for how in Knowledge
}
_SEEN, _PROVED, _ASSUMED = Knowledge.SEEN, Knowledge.PROVED, Knowledge.ASSUMED
_ESTABLISHED_SEEN = _PAIRS[State.ESTABLISHED, _SEEN]
_ESTABLISHED_ASSUMED = _PAIRS[State.ESTABLISHED, _ASSUMED]
_SYN_SENT_PROVED = _PAIRS[State.SYN_SENT, _PROVED]
_LISTENING = _PAIRS[State.LISTEN, _ASSUMED]
_CLOSED, _CLOSED_SEEN = _PAIRS[State.CLOSED, _ASSUMED], _PAIRS[State.CLOSED, _SEEN]
_BEFORE = (State.CLOSED, State.LISTEN, State.SYN_SENT)

States = tuple[EndState, EndState]


def states(rows: Rows, source: str) -> list[States]:
    """Both ends' states after each packet; none where the ``source`` of the story is no packets (exported PDUs)."""
    out: list[States] = []
    if source == "packets":
        follow(rows, out)
    return out


def follow(rows: Rows, out: list[States] | None = None) -> tuple[States, tuple[str, ...]]:
    """Walk the packets; returns the final states and the shape words found, and appends each step to ``out``."""
    ends = _Ends(rows)
    step = ends.step
    quiet = False  # both ends are known to be established: a segment without FIN, SYN, RST changes nothing
    for i, flags in enumerate(rows.flags):
        if not quiet or flags & 7:
            step(i, flags)
            quiet = ends.quiet()
        if out is not None:
            out.append((ends.now[0], ends.now[1]))
    return (ends.now[0], ends.now[1]), tuple(ends.words)


class _Ends:
    """Both ends and the control octets that passed between them."""

    __slots__ = ("_rows", "acked_fin", "fin", "now", "seen", "syn", "words")

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        if rows.flags[0] & (SYN | ACK) == SYN:
            self.now = [_CLOSED, _LISTENING]
            if rows.sender[0]:
                self.now.reverse()
        else:
            self.now = [_ESTABLISHED_ASSUMED, _ESTABLISHED_ASSUMED]
        self.seen = [self.now[0], self.now[1]]  # the last state before a RST that is not assumed
        self.syn: list[int | None] = [None, None]  # the number after each SYN
        self.fin: list[int | None] = [None, None]  # the number after each FIN
        self.acked_fin = [False, False]  # the end has acknowledged the other's FIN
        self.words: dict[str, None] = {}

    def quiet(self) -> bool:
        """Whether both ends are known to be established."""
        return self.now[0] is _ESTABLISHED_SEEN and self.now[1] is _ESTABLISHED_SEEN

    def show(self, end: int, state: str, how: Knowledge) -> None:
        """A segment shows or proves the state of ``end``."""
        self.now[end] = self.seen[end] = _PAIRS[state, how]

    def step(self, i: int, flags: int) -> None:
        """Packet ``i`` passed: first what it shows of its sender, then what its receiver is assumed to do."""
        rows = self._rows
        one = rows.sender[i]
        two = 1 - one
        if flags & RST:
            self.now[one] = _CLOSED_SEEN
            if self.now[two].state not in (State.LISTEN, State.CLOSED):
                self.now[two] = _CLOSED
        elif flags & SYN:
            self.opening(one, two, flags, (rows.seq[i] + 1) & _M, rows.ack[i])
        else:
            size = rows.load_len[i]
            self.sender(one, two, flags, (rows.seq[i] + size) & _M, rows.ack[i], size)
            if flags & ACK:
                self.receiver(two, rows.ack[i])

    def opening(self, one: int, two: int, flags: int, after: int, ack: int) -> None:
        """A SYN or SYN-ACK of ``one``."""
        own, other = self.now[one], self.now[two]
        self.syn[one] = after
        if not flags & ACK:
            if own.state in _BEFORE:
                if self.syn[two] is not None and other.state in (State.SYN_SENT, State.SYN_RECEIVED):
                    self.words["simultaneous_open"] = None
                self.show(one, State.SYN_SENT, _SEEN)
            return
        if own.state in _BEFORE or own.knowledge is _ASSUMED:
            self.show(one, State.SYN_RECEIVED, _SEEN)
        if self.syn[two] is None:
            self.syn[two] = ack
            self.show(two, State.SYN_SENT, _PROVED)
        elif other.state == State.SYN_RECEIVED and ack == self.syn[two]:
            self.assume(two, Cause.ACK_OF_SYN)

    def sender(self, one: int, two: int, flags: int, after: int, ack: int, size: int) -> None:
        """What a segment without SYN and RST shows of its sender."""
        state = self.now[one].state
        if state == State.CLOSED:
            if self.fin[one] is not None and not size and not flags & FIN:
                return  # an answer after the last acknowledgment changes nothing
            state = self.seen[one].state  # it still speaks: the RST did not end it
        if flags & ACK:
            if state in _BEFORE and self.syn[two] in (None, ack):
                if self.syn[two] is None and self.now[two].state == State.LISTEN:
                    self.syn[two] = ack
                    self.show(two, State.SYN_RECEIVED, _PROVED)
                state = State.ESTABLISHED
            elif state == State.SYN_RECEIVED:
                state = State.ESTABLISHED
            if ack == self.fin[two]:
                row = by_cause(state, Cause.FIN)
                if row is not None:
                    state = row.next
        if flags & FIN:
            if self.fin[one] is None:
                rows = by_sent(state, Sent.FIN)
                if rows:
                    state = rows[0].next
                    self.closing(one, two, ack)
            self.fin[one] = (after + 1) & _M
        elif size and state == State.CLOSE_WAIT:
            self.words["half_close"] = None
        if flags & ACK and ack == self.fin[two]:
            self.acked_fin[one] = True
        self.show(one, state, _SEEN)

    def closing(self, one: int, two: int, ack: int) -> None:
        """The word for how the second FIN came."""
        if self.fin[two] is not None:
            if ack != self.fin[two]:
                word = "simultaneous_close"
            else:
                word = "four_segment_close" if self.acked_fin[one] else "three_segment_close"
            self.words[word] = None

    def receiver(self, two: int, ack: int) -> None:
        """What an acknowledgment does to its receiver once it arrives: the silent rows of the table."""
        now = self.now[two]
        if ack == self.fin[two]:
            self.assume(two, Cause.ACK_OF_FIN)
        elif now.state == State.SYN_RECEIVED:
            if ack == self.syn[two]:
                self.assume(two, Cause.ACK_OF_SYN)
        elif now is _ESTABLISHED_ASSUMED and self.syn[two] is None:
            self.show(two, State.ESTABLISHED, _PROVED)  # it sent what is acknowledged
        elif now is _SYN_SENT_PROVED:
            self.show(two, State.ESTABLISHED, _PROVED)  # without its ACK the other end would not go on

    def assume(self, end: int, cause: Cause) -> None:
        """Take the silent step of ``cause``, if the table has one."""
        row = by_cause(self.now[end].state, cause)
        if row is not None and row.sends == Sent.NOTHING:
            self.now[end] = _PAIRS[row.next, _ASSUMED]
