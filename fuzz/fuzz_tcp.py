"""Fuzz target: any segments, calls and waits for a host, in every state.  Run: python -m fuzz.fuzz_tcp [corpus]

Needs atheris (pip install atheris); ``python -m fuzz.fuzz_tcp --without N`` makes N random inputs instead.  An input is
a first octet that chooses options and a list of steps; each step is a segment with numbers near those expected, raw
octets of an IP packet, a call, or time.  Whatever comes: no exception, no storm of answers, and memory with bounds.
"""

from __future__ import annotations

import random
import sys
import time

from synfin.spec.tcp_states import State
from synfin.tcp import Config, Connection, Host, Icmp, Packet
from synfin.tcp.fragments import MOST
from synfin.tcp.queues import MAX_CHUNKS

SECRET = b"a secret to fuzz with"
HERE, THERE = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
CONFIGS = (
    Config(delayed_ack=0, timestamps=False, sack=False, window_scale=None),
    Config(),
    Config(super_segment=65160, ecn="ask", timeout_option=True),
    Config(rack=False, receive_buffer=3000, congestion="newreno", keepalive=10_000_000_000),
)
OPENING = bytes.fromhex("020405b40402010303070101080a0000100000000000")
NEAR = (-70_000, -1461, -2, -1, 0, 0, 0, 1, 2, 5, 1460, 65_535, 1 << 31)


class Reader:
    """Numbers out of the input; zero behind its end."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def octet(self) -> int:
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def some(self, size: int) -> bytes:
        self.at += size
        return self.data[self.at - size : self.at]


def one_input(data: bytes) -> None:
    """Play one input; AssertionError for what must not be."""
    r = Reader(data)
    choice = r.octet()
    host = Host([HERE, bytes(15) + b"\1"], SECRET, CONFIGS[choice & 3])
    now = 1_000_000_000
    listener = host.listen(80, backlog=4)
    known: list[Connection] = []
    if choice & 4:
        known.append(host.connect(THERE, 5555, now, local_port=80))
    else:
        host.receive(Packet(THERE, HERE, 5555, 80, 4999, 0, 2, 65535, OPENING), now)
    host.take_output(now)
    known += host.connections.values()
    while r.at < len(data):
        if known[-1].state == State.CLOSED:  # begin again
            now += 1_000_000
            host.receive(Packet(THERE, HERE, 5555, 80, now // 1000 & 0xFFFFFFFF, 0, 2, 65535, OPENING), now)
            host.take_output(now)
            known += [c for c in host.connections.values() if c not in known]
        c = known[-1]
        now, answers = step(r, host, c, now)
        if answers > 50 + len(c.queue) // 8:
            raise AssertionError(f"{answers} answers to one step")
        while (waiting := listener.accept()) is not None:
            known.append(waiting)
        while host.next_event() is not None:
            pass
        bounded(host)
    for _ in range(3000):
        when = host.next_timer()
        if when is None:
            break
        now = max(now, when)
        host.timer_fired(now)
        host.take_output(now)
    bounded(host)


def step(r: Reader, host: Host, c: Connection, now: int) -> tuple[int, int]:
    """One step: (the time, packets sent)."""
    kind = r.octet()
    if kind < 150:
        size = (0, 0, 1, 10, 536, 1460, 20_000)[r.octet() % 7]
        seq, ack = c.rcv_nxt + NEAR[r.octet() % len(NEAR)], c.snd_nxt + NEAR[r.octet() % len(NEAR)]
        if kind & 1:
            ack = c.snd_una + (r.octet() * (c.snd_nxt - c.snd_una) >> 8)
        flags = r.octet() if kind < 60 else 16
        window = (0, 1, 100, 65535)[r.octet() & 3]
        raw = b""
        if kind % 5 == 1:
            raw = r.some(12)
        elif kind % 5 == 2:
            tick = now // 1_000_000 & 0xFFFFFFFF
            raw = b"\1\1\x08\x0a" + tick.to_bytes(4, "big") + (c.clock(now) & 0xFFFFFFFF).to_bytes(4, "big")
        elif kind % 5 == 3:
            edges = [c.snd_una + r.octet() * 300 & 0xFFFFFFFF for _ in range(4)]
            raw = bytes((1, 1, 5, 18)) + b"".join(edge.to_bytes(4, "big") for edge in edges)
        host.receive(
            Packet(
                THERE, HERE, 5555, 80, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, flags, window, raw + bytes(-len(raw) % 4),
                bytes(size), r.octet() << 8 if kind % 7 == 0 else 0, kind & 3 if kind % 11 == 0 else 0,
            ),
            now,
        )  # fmt: skip
    elif kind < 170:
        host.receive(r.some(r.octet()), now)
    elif kind < 180:
        mtu, what = r.octet() * 8, r.octet()
        message = Icmp(THERE, HERE, what & 15, what >> 4, mtu, THERE, 80, 5555, c.snd_una & 0xFFFFFFFF)
        host.receive(message, now)
    elif kind < 215:
        now += (1, 10, 50, 300, 1500, 70_000)[r.octet() % 6] * 1_000_000
        host.timer_fired(now)
    elif kind < 230:
        host.send(c, bytes(r.octet() * 300), now, urgent=kind == 215)
    elif kind < 245:
        host.recv(c, now, r.octet() * 100)
    elif kind < 250:
        host.shutdown(c, now)
    elif kind == 250:
        host.close(c, now)
    elif kind == 251:
        host.abort(c, now)
    return now, len(host.take_output(now))


def bounded(host: Host) -> None:
    """What may not grow with what a peer sends."""
    if len(host.connections) > 8 or len(host.fragments) > MOST:
        raise AssertionError(f"{len(host.connections)} connections, {len(host.fragments)} packets in part")
    for c in host.connections.values():
        window, queued = c.config.receive_buffer, c.received.ready
        if queued > window or c.received._waiting > MAX_CHUNKS or len(c.out) > 100 or len(c.events) > 50:
            raise AssertionError("a connection has grown")
        board = c.board
        flights = board._list[board._head :]
        if board.pipe != sum(f.end - f.start for f in flights if not f.sacked and not f.lost):
            raise AssertionError("the pipe is not what is in flight")
        if flights and (flights[0].start > c.snd_una or flights[-1].end != c.snd_nxt):
            raise AssertionError("flights are not what is outstanding")
        if not c.snd_una <= c.snd_nxt:
            raise AssertionError("SND.UNA passed SND.NXT")


def main() -> None:
    """Hand the target to atheris, or random inputs to the target."""
    if "--without" in sys.argv:
        count, begin = int(sys.argv[sys.argv.index("--without") + 1]), time.monotonic()
        for seed in range(count):
            chance = random.Random(seed)
            data = chance.randbytes(chance.randrange(400))
            try:
                one_input(data)
            except Exception:
                print(f"seed {seed}: {data.hex()}")
                raise
        print(f"{count} inputs in {time.monotonic() - begin:.0f} s, nothing found")
        return
    import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

    one_input(bytes(range(200)))  # so that everything is imported before it is instrumented
    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
