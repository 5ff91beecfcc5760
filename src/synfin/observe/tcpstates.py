"""The RFC 9293 states of both ends after every packet, from evidence only.

An end's state is SEEN when a segment it sent shows it, PROVED when the other end's acknowledgment shows that it sent
what the capture missed, and ASSUMED where the usual course is taken: a listener before its first segment, the silent
steps on the arrival of an acknowledgment (``Sent.NOTHING`` rows of ``spec.tcp_states``), the end after a RST.  A FIN
that passes moves its sender only; its receiver moves when its own acknowledgment covers the FIN.  So two FINs that cross
are read as a simultaneous close, where a watcher that moves the far end at once sees an orderly one.

An assumption is taken back when the end's own later segment speaks against it.  TIME_WAIT is not left: nothing on the
wire tells when 2 MSL are over.  The transitions are those of the table in ``spec.tcp_states``.
"""

from __future__ import annotations

from synfin.observe.flows import FlowRows
from synfin.observe.rows import Rows
from synfin.observe.story import EndState, Knowledge, TcpStory
from synfin.spec.tcp_states import Cause, Sent, State, by_cause, by_sent

FIN, SYN, RST, ACK = 1, 2, 4, 16
_M = 0xFFFFFFFF

_PAIRS = {(state, how): EndState(str(state), how) for state in State for how in Knowledge}
_SEEN, _PROVED, _ASSUMED = Knowledge.SEEN, Knowledge.PROVED, Knowledge.ASSUMED
_ESTABLISHED_SEEN = _PAIRS[State.ESTABLISHED, _SEEN]
_CLOSED = _PAIRS[State.CLOSED, _ASSUMED]
_TCP = 1

States = tuple[EndState, EndState]


def states(flow: FlowRows, story: TcpStory) -> list[States]:
    """Both ends' states after each packet of ``flow``, aligned with its rows; all CLOSED/ASSUMED for exported PDUs."""
    if story.source == "pdu":
        return [(_CLOSED, _CLOSED)] * len(flow.rows)
    out: list[States] = []
    follow(flow.rows, out)
    return out


def follow(rows: Rows, out: list[States] | None = None) -> tuple[States, tuple[str, ...]]:
    """Walk the packets; returns the final states and the shape words found, and appends each step to ``out``."""
    ends = _Ends(rows)
    step = ends.step
    quiet = False  # both ends are known to be established: a segment without FIN, SYN, RST changes nothing
    for i, flags in enumerate(rows.flags):
        if not quiet or flags & 7 or rows.kind[i] != _TCP:
            step(i, flags)
            quiet = ends.quiet()
        if out is not None:
            out.append((ends.now[0], ends.now[1]))
    return (ends.now[0], ends.now[1]), ends.shape()


class _Ends:
    """Both ends and the control octets that passed between them."""

    __slots__ = ("_closed", "_rows", "after", "crossing", "fin", "now", "seen", "syn", "words")

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        first = rows.flags[0]
        if first & (SYN | ACK) == SYN:
            opening = (State.CLOSED, State.LISTEN)
            self.now = [_PAIRS[state, _ASSUMED] for state in opening]
            if rows.sender[0]:
                self.now.reverse()
        else:
            self.now = [_PAIRS[State.ESTABLISHED, _ASSUMED]] * 2
        self.seen = [self.now[0], self.now[1]]  # the last state each end showed itself
        self.syn: list[int | None] = [None, None]  # the number after each SYN
        self.fin: list[int | None] = [None, None]  # the number after each FIN
        self.words: dict[str, None] = {}
        self.crossing = [False, False]  # the end's first FIN did not acknowledge the FIN of the other end
        self.after = False

    def quiet(self) -> bool:
        return self.now[0] is _ESTABLISHED_SEEN and self.now[1] is _ESTABLISHED_SEEN

    def show(self, end: int, state: State, how: Knowledge) -> None:
        pair = _PAIRS[state, how]
        self.now[end] = pair
        if how is not _ASSUMED:
            self.seen[end] = pair

    def shape(self) -> tuple[str, ...]:
        return tuple(self.words)

    def step(self, i: int, flags: int) -> None:
        """Packet ``i`` passed: first what it shows of its sender, then what its receiver is assumed to do."""
        rows = self._rows
        if rows.kind[i] != _TCP:
            return
        one = rows.sender[i]
        two = 1 - one
        seq, ack = rows.seq[i], rows.ack[i]
        if flags & RST:
            self.show(one, State.CLOSED, _SEEN)
            if self.now[two].state not in (State.LISTEN, State.CLOSED):
                self.now[two] = _CLOSED
            return
        if flags & SYN:
            self.opening(one, two, flags, (seq + 1) & _M, ack)
            return
        self.sender(one, two, flags, (seq + rows.load_len[i]) & _M, ack, rows.load_len[i])
        if flags & ACK:
            self.receiver(two, ack)

    def opening(self, one: int, two: int, flags: int, after: int, ack: int) -> None:
        """A SYN or SYN-ACK of ``one``."""
        state = self.now[one].state
        self.syn[one] = after
        if not flags & ACK:
            if state in (State.CLOSED, State.LISTEN, State.SYN_SENT):
                if self.syn[two] is not None and self.now[two].state in (State.SYN_SENT, State.SYN_RECEIVED):
                    self.words["simultaneous_open"] = None
                self.show(one, State.SYN_SENT, _SEEN)
            return
        if state in (State.CLOSED, State.LISTEN, State.SYN_SENT) or self.now[one].knowledge is _ASSUMED:
            self.show(one, State.SYN_RECEIVED, _SEEN)
        if self.syn[two] is None:
            self.syn[two] = ack
            self.show(two, State.SYN_SENT, _PROVED)
        elif self.now[two].state == State.SYN_RECEIVED and ack == self.syn[two]:
            self.assume(two, Cause.ACK_OF_SYN)

    def sender(self, one: int, two: int, flags: int, after: int, ack: int, size: int) -> None:
        """What a segment without SYN and RST shows of its sender."""
        if self.now[one].knowledge is _ASSUMED and self.now[one].state == State.CLOSED:
            if self.fin[one] is not None and not size and not flags & FIN:
                return  # answers after the last acknowledgment change nothing
            self.now[one] = self.seen[one]  # it still speaks: the RST did not reach it or was refused
        state = State(self.now[one].state)
        if flags & ACK:
            if state in (State.SYN_SENT, State.LISTEN, State.CLOSED) and self.syn[two] in (None, ack):
                if self.syn[two] is None and self.now[two].state == State.LISTEN:
                    self.syn[two] = ack
                    self.show(two, State.SYN_RECEIVED, _PROVED)
                state = State.ESTABLISHED
            elif state == State.SYN_RECEIVED or state == State.ESTABLISHED:
                state = State.ESTABLISHED
            if self.fin[two] is not None and ack == self.fin[two]:
                cause = Cause.FIN
                row = by_cause(state, cause)
                if row is not None:
                    state = row.next
        if flags & FIN:
            rows = by_sent(state, Sent.FIN)
            if rows and self.fin[one] is None:
                state = rows[0].next
                self.crossing[one] = not (self.fin[two] is not None and ack == self.fin[two])
                self.closing_shape(one, two, ack)
            self.fin[one] = (after + 1) & _M
        elif size and self.fin[two] is not None and state == State.CLOSE_WAIT:
            self.words["half_close"] = None
        self.show(one, state, _SEEN)

    def closing_shape(self, one: int, two: int, ack: int) -> None:
        """Words for the second FIN."""
        if self.fin[two] is None:
            return
        if self.crossing[one]:
            self.words["simultaneous_close"] = None
        elif self.seen[one].state == State.ESTABLISHED:
            self.words["three_segment_close"] = None
        else:
            self.words["four_segment_close"] = None

    def receiver(self, two: int, ack: int) -> None:
        """What an acknowledgment does to its receiver once it arrives: the silent rows of the table."""
        if self.fin[two] is not None and ack == self.fin[two]:
            self.assume(two, Cause.ACK_OF_FIN)
        elif self.now[two].state == State.SYN_RECEIVED and ack == self.syn[two]:
            self.assume(two, Cause.ACK_OF_SYN)
        elif self.syn[two] is None and self.now[two].knowledge is _ASSUMED and self.now[two].state == State.ESTABLISHED:
            self.show(two, State.ESTABLISHED, _PROVED)

    def assume(self, end: int, cause: Cause) -> None:
        row = by_cause(State(self.now[end].state), cause)
        if row is not None and row.sends == Sent.NOTHING:
            self.now[end] = _PAIRS[row.next, _ASSUMED]
