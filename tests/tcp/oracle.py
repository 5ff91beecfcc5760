"""A TCP written straight from the sentences of RFC 9293 3.10, for comparison: small, without options and timers.

Numbers are of 32 bits and are compared on their circle, octets are counted one by one.  Where 3.10.7 leaves a choice
the one of ``synfin.tcp`` is taken; RFC 5961's checks are on, every text is acknowledged at once.
"""

from __future__ import annotations

from synfin.spec.tcp_states import State

MASK = 0xFFFFFFFF
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
SENDING = (State.ESTABLISHED, State.CLOSE_WAIT, State.FIN_WAIT_1, State.LAST_ACK)
TEXT = (State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2)

#: Flags (PSH aside), number, acknowledgment or None, octets of text.
Said = tuple[int, int, int | None, int]


def way(start: int, end: int) -> int:
    """How far it is from one number to another, the short way round."""
    return (end - start + (1 << 31) & MASK) - (1 << 31)


class Text:
    """One connection.  ``iss`` is the initial number it chooses, ``buffer`` what it can keep, ``mss`` the peer's."""

    def __init__(self, iss: int, buffer: int, mss: int = 536) -> None:
        self.state = State.CLOSED
        self.iss = self.una = self.nxt = iss
        self.wnd = self.max_wnd = self.wl1 = self.wl2 = 0
        self.irs = self.rcv = self.edge = self.up = 0
        self.buffer, self.mss = buffer, mss
        self.unread = self.queued = 0
        self.active = self.fin_sent = False
        self.held: set[int] = set()
        self.fin_at: int | None = None
        self.with_syn: tuple[int, int] | None = None
        self.out: list[Said] = []
        self.told: list[str] = []

    def say(self, flags: int, seq: int, ack: int = 0, size: int = 0) -> None:
        self.out.append((flags, seq & MASK, ack & MASK if flags & ACK else None, size))

    def acknowledge(self) -> None:
        self.say(ACK, self.nxt, self.rcv)

    # 3.10.1 to 3.10.5

    def listen(self) -> None:
        self.state = State.LISTEN

    def connect(self) -> None:
        self.state, self.active = State.SYN_SENT, True
        self.say(SYN, self.iss)
        self.nxt = self.iss + 1 & MASK

    def send(self, size: int) -> None:
        self.queued += size
        self.push()

    def push(self) -> bool:
        room = way(self.nxt, self.una + self.wnd & MASK)
        size = self.queued
        if not size or self.state not in SENDING or self.nxt != self.una or size > min(room, self.mss):
            return False
        self.say(ACK, self.nxt, self.rcv, size)
        self.nxt, self.queued = self.nxt + size & MASK, 0
        return True

    def shutdown(self) -> None:
        self.say(FIN | ACK, self.nxt, self.rcv)
        self.nxt, self.fin_sent = self.nxt + 1 & MASK, True
        self.state = State.LAST_ACK if self.state == State.CLOSE_WAIT else State.FIN_WAIT_1

    # 3.10.7

    def arrives(self, flags: int, seq: int, ack: int, wnd: int, size: int, urg: int) -> None:
        length = size + (flags & FIN) + (flags >> 1 & 1)
        if self.state == State.CLOSED:  # 3.10.7.1
            if not flags & RST:
                if flags & ACK:
                    self.say(RST, ack)
                else:
                    self.say(RST | ACK, 0, seq + length)
        elif self.state == State.LISTEN:  # 3.10.7.2
            if flags & ACK and not flags & RST:
                self.say(RST, ack)
            elif flags & SYN and not flags & RST:
                self.synchronize(seq, wnd)
                self.state = State.SYN_RECEIVED
                self.nxt = self.iss + 1 & MASK
                self.with_syn = (size, flags & FIN) if size or flags & FIN else None
                self.say(SYN | ACK, self.iss, self.rcv)
        elif self.state == State.SYN_SENT:
            self.syn_sent(flags, seq, ack, wnd, size, urg)
        else:
            self.others(flags, seq, ack, wnd, size, urg, length)

    def synchronize(self, seq: int, wnd: int) -> None:
        self.irs = self.wl1 = seq
        self.rcv = self.up = seq + 1 & MASK
        self.edge = self.rcv + self.buffer & MASK
        self.wnd = self.max_wnd = wnd
        self.wl2 = self.una

    def syn_sent(self, flags: int, seq: int, ack: int, wnd: int, size: int, urg: int) -> None:  # 3.10.7.3
        if flags & ACK and (way(self.iss, ack) <= 0 or way(self.nxt, ack) > 0):
            if not flags & RST:
                self.say(RST, ack)
        elif flags & RST:
            if flags & ACK:
                self.state = State.CLOSED
                self.told.append("refused")
        elif flags & SYN:
            self.synchronize(seq, wnd)
            if flags & ACK:
                self.una = self.wl2 = ack
                self.state = State.ESTABLISHED
                self.told.append("connected")
                over = max(size - self.buffer, 0)
                fin = flags & FIN if size < self.buffer else 0
                self.text(flags & URG | fin, seq + 1 & MASK, size - over, urg)
                self.acknowledge()
            else:
                self.state = State.SYN_RECEIVED
                self.with_syn = (size, flags & FIN) if size or flags & FIN else None
                self.say(SYN | ACK, self.iss, self.rcv)

    def inside(self, seq: int) -> bool:
        return 0 <= way(self.rcv, seq) < way(self.rcv, self.edge)

    def others(self, flags: int, seq: int, ack: int, wnd: int, size: int, urg: int, length: int) -> None:  # 3.10.7.4
        received = self.state == State.SYN_RECEIVED
        if received and self.active and flags & (SYN | ACK | RST) == SYN | ACK and seq == self.irs:
            flags, seq, length = flags & ~SYN, seq + 1 & MASK, length - 1  # figure 7
        window = way(self.rcv, self.edge)
        if flags & RST:  # second, with RFC 5961 3.2
            if seq == self.rcv:
                self.reset()
            elif self.inside(seq):
                self.acknowledge()
            return
        # first
        if length and window:
            fits = self.inside(seq) or self.inside(seq + length - 1 & MASK)
        else:
            fits = not length and (seq == self.rcv if not window else self.inside(seq))
        allowed = not fits and not window and seq == self.rcv and not flags & SYN  # "valid ACKs, URGs and RSTs"
        if not fits and not (allowed and flags & ACK):
            if self.state == State.TIME_WAIT and flags & (FIN | SYN) == FIN and seq + length & MASK == self.rcv:
                self.told.append("2 MSL")
            self.acknowledge()
            return
        start, end = seq, seq + size
        if received and flags & SYN and seq == self.irs:
            flags, start, end = flags & ~SYN, start + 1, end + 1  # before the window: cut off
        elif flags & SYN:  # fourth
            if received and not self.active:
                self.state = State.LISTEN
            else:
                self.acknowledge()
            return
        cut = allowed
        over = way(self.edge, end & MASK)
        if allowed:
            end, flags = start, flags & ~FIN
        elif over > 0 or (over == 0 and flags & FIN):
            end, flags, cut = end - max(over, 0), flags & ~FIN, True
        if flags & ACK and self.acknowledged(start & MASK, ack, wnd):
            held, self.with_syn = self.with_syn, None
            if held is not None:
                cut = self.text(held[1], self.irs + 1 & MASK, held[0], 0)
            answer = self.text(flags, start & MASK, end - start, urg) or cut
            if not self.push() and answer:
                self.acknowledge()

    def acknowledged(self, seq: int, ack: int, wnd: int) -> bool:  # fifth
        if self.state == State.SYN_RECEIVED:
            if not 0 < way(self.una, ack) <= way(self.una, self.nxt):
                self.say(RST, ack)
                return False
            self.state = State.ESTABLISHED
            self.told.append("connected")
            self.wnd, self.wl1, self.wl2 = wnd, seq, ack
            self.max_wnd = max(self.max_wnd, wnd)
        elif not -self.max_wnd <= way(self.una, ack) <= way(self.una, self.nxt):
            self.acknowledge()
            return False
        if way(self.una, ack) >= 0:
            self.una = ack
            if way(self.wl1, seq) > 0 or (self.wl1 == seq and way(self.wl2, ack) >= 0):
                self.wnd, self.wl1, self.wl2 = wnd, seq, ack
                self.max_wnd = max(self.max_wnd, wnd)
        ours = self.fin_sent and self.una == self.nxt
        if self.state == State.FIN_WAIT_1 and ours:
            self.state = State.FIN_WAIT_2
        elif self.state == State.CLOSING:
            self.state = State.TIME_WAIT if ours else self.state
            return ours
        elif self.state == State.LAST_ACK and ours:
            self.state = State.CLOSED
            self.told.append("closed")
            return False
        return True

    def reset(self) -> None:
        if self.state == State.SYN_RECEIVED:
            self.state = State.CLOSED if self.active else State.LISTEN
            self.told += ["refused"] if self.active else []
        else:
            last = self.state in (State.CLOSING, State.LAST_ACK, State.TIME_WAIT) and way(self.una, self.nxt) <= 1
            self.told.append("closed" if last else "reset")
            self.state = State.CLOSED

    def text(self, flags: int, start: int, size: int, urg: int) -> bool:  # sixth to eighth; whether to acknowledge
        standing = self.state in TEXT
        answer = bool(flags & FIN or (standing and size))
        up = start + urg & MASK
        if standing and flags & URG and way(self.up, up) > 0:
            self.up = up
            if way(self.rcv, up) > -self.unread:
                self.told.append("urgent")
        if standing and size:
            self.held |= {number & MASK for number in range(start, start + size) if way(self.rcv, number & MASK) >= 0}
            before = self.unread
            while self.rcv in self.held:
                self.held.remove(self.rcv)
                self.rcv = self.rcv + 1 & MASK
                self.unread += 1
            self.told += ["readable"] if self.unread > before else []
        if flags & FIN:
            at = start + size & MASK
            if standing and way(self.rcv, at) >= 0 and (self.fin_at is None or way(at, self.fin_at) > 0):
                self.fin_at = at
            elif self.state == State.TIME_WAIT:
                self.told.append("2 MSL")
        if standing and self.fin_at == self.rcv:
            answer = True
            self.held.clear()
            self.rcv = self.rcv + 1 & MASK
            self.told.append("peer closed")
            self.state = {
                State.ESTABLISHED: State.CLOSE_WAIT,
                State.FIN_WAIT_1: State.CLOSING,
                State.FIN_WAIT_2: State.TIME_WAIT,
            }[self.state]
        elif self.fin_at is not None and way(self.fin_at, self.rcv) > 0:
            self.fin_at = None
        return answer
