"""How fast the TCP endpoint and the simulated network are: bulk data, connections, floods, memory.

    python -m benches.tcp_speed [large]

``large`` adds a run of 100,000 connections.

Bulk: two hosts hand each other records with nothing between them, so every octet passes a sender and a receiver in one
process; super-segments of 64 KiB are what a TUN device with offload carries.
"""

from __future__ import annotations

import gc
import resource
import sys
import time
import tracemalloc

from synfin.sim import Conditions, Network, Talk, Talks
from synfin.tcp import Config, Connection, Host, Packet
from synfin.tcp.config import MILLISECOND, SECOND

SECRET = b"a secret for speed"
BULK = 2_000_000_000


def main() -> None:
    if "large" in sys.argv:
        connections(100_000)
    connections(10_000)
    for name, config, size in (
        ("super-segments", Config(super_segment=65160, receive_buffer=4 << 20, send_buffer=4 << 20), BULK),
        ("single segments", Config(receive_buffer=4 << 20, send_buffer=4 << 20), BULK // 20),
    ):
        speed, packets = bulk(config, size)
        print(f"bulk, {name}: {speed:.2f} GB/s, {packets / 1e3:.0f} k packets/s")
    per_segment()
    lossy(10_000_000)
    flood(1_000_000)
    memory(2_000)


def bulk(config: Config, size: int) -> tuple[float, float]:
    """(GB/s, packets/s) through two endpoints."""
    one, two, a, b = standing(config)
    block = bytes(1 << 20)
    now, left, got, packets = SECOND, size, 0, 0
    begin = time.perf_counter()
    while got < size:
        while left and (taken := one.send(a, memoryview(block)[: min(left, len(block))], now)):
            left -= taken
        now += MILLISECOND // 10
        for packet in one.take_output(now):
            two.receive(packet, now)
            packets += 1
        for piece in two.recv_buffers(b, now):
            got += len(piece)
        for packet in two.take_output(now):
            one.receive(packet, now)
            packets += 1
        for host in (one, two):
            if (when := host.next_timer()) is not None and when <= now:
                host.timer_fired(now)
            while host.next_event() is not None:
                pass
    spent = time.perf_counter() - begin
    return size / 1e9 / spent, packets / spent


def standing(config: Config) -> tuple[Host, Host, Connection, Connection]:
    """Two hosts and a connection between them."""
    one, two = Host(["10.0.0.1"], SECRET, config), Host(["10.0.0.2"], SECRET, config)
    listener = two.listen(80)
    a = one.connect("10.0.0.2", 80, 0)
    for _ in range(3):
        for source, target in ((one, two), (two, one)):
            for packet in source.take_output(0):
                target.receive(packet, 0)
    b = listener.accept()
    if b is None:
        raise RuntimeError("no connection")
    return one, two, a, b


def lossy(size: int) -> None:
    """Segments a second of the simulator, on a link that loses, reorders and doubles."""
    network = Network(1, keep=False)
    config = Config(receive_buffer=1 << 20, send_buffer=1 << 20)
    a, b = network.host("a", "10.0.0.1", config=config), network.host("b", "10.0.0.2", config=config)
    network.link(a, b, Conditions(loss=0.005, reorder=0.005, duplicate=0.005, rate=1_000_000_000))
    Talks(b).listen(80, lambda: Talk(patient=True, keep=False))
    talk = Talks(a).connect("10.0.0.2", 80, Talk(bytes(size)))
    begin = time.perf_counter()
    network.run()
    spent = time.perf_counter() - begin
    packets = sum(network.truth.counts.values())
    print(f"simulated transfer with faults: {packets / spent / 1e3:.0f} k segments/s, done: {talk.done}")


def per_segment() -> None:
    """Microseconds that a super-segment costs its sender (acknowledgments included) and its receiver."""
    config = Config(super_segment=65160, receive_buffer=4 << 20, send_buffer=4 << 20)
    one, two, a, b = standing(config)
    block, now, packets = bytes(1 << 20), SECOND, 0
    clock = time.perf_counter
    sending = receiving = 0.0
    while packets < 20_000:
        begin = clock()
        while one.send(a, block, now):
            pass
        now += MILLISECOND // 10
        out = one.take_output(now)
        sent = clock()
        for packet in out:
            two.receive(packet, now)
        two.recv_buffers(b, now)
        acks = two.take_output(now)
        received = clock()
        for packet in acks:
            one.receive(packet, now)
        for host in (one, two):
            if (when := host.next_timer()) is not None and when <= now:
                host.timer_fired(now)
            while host.next_event() is not None:
                pass
        packets += len(out)
        sending += sent - begin + clock() - received
        receiving += received - sent
    each = 1e6 / packets
    print(f"a super-segment: {sending * each:.1f} us for its sender, {receiving * each:.1f} us for its receiver")


def connections(count: int) -> None:
    """Short exchanges, in the simulator, a thousand new ones every simulated second."""
    network = Network(1, keep=False)
    a, b = network.host("a", "10.0.0.1"), network.host("b", "10.0.0.2")
    network.link(a, b)
    servers, talks = Talks(b), Talks(a)
    for port in range(4):  # one would run out of the client's ports: each rests for four minutes
        servers.listen(80 + port, lambda: Talk(bytes(3000), patient=True, keep=False), backlog=4096)
    good = opened = 0
    waiting: list[Talk] = []

    def open_one() -> None:
        nonlocal good, opened
        waiting.append(talks.connect("10.0.0.2", 80 + opened % 4, Talk(b"GET / HTTP/1.1\r\n\r\n", keep=False)))
        if len(waiting) >= 1000:
            good += sum(talk.done for talk in waiting)
            waiting[:] = [talk for talk in waiting if not talk.done]
        opened += 1
        if opened < count:
            network.after(MILLISECOND, open_one)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    network.at(0, open_one)
    network.run()
    spent = time.perf_counter() - begin
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    good += sum(talk.done for talk in waiting)
    segments = sum(network.truth.counts.values())
    print(
        f"{count} connections: {spent:.1f} s, {count / spent:.0f}/s, {segments / spent / 1e3:.0f} k segments/s, "
        f"peak memory +{grown / 1024:.0f} MiB, all done: {good == count}"
    )


def flood(count: int) -> None:
    """SYNs from everywhere, and one honest client in the middle of them."""
    server, client = Host(["10.0.0.2"], SECRET), Host(["10.0.0.9"], SECRET + b"!")
    listener = server.listen(80)
    there = server.addresses[0]
    honest = None
    spent = 0.0
    begin = time.perf_counter()
    for number in range(count):
        source = (0xC0000000 + number).to_bytes(4, "big")
        server.receive(Packet(source, there, number & 0xFFFF | 1, 80, number, 0, 2, 1000), number * 1000)
        server.take_output(number * 1000)
        if number == count // 2:  # timed up to here, weighed from here
            spent = time.perf_counter() - begin
            tracemalloc.start()
            honest = client.connect("10.0.0.2", 80, number * 1000)
            for _ in range(3):
                for one, two in ((client, server), (server, client)):
                    for packet in one.take_output(number * 1000):
                        two.receive(packet, number * 1000)
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    served = honest is not None and listener.accept() is not None
    print(f"flood of {count} SYNs: {count / 2 / spent / 1e3:.0f} k/s, grew {grown / 1024:.0f} KiB, served: {served}")


def memory(count: int) -> None:
    """Octets of an idle connection, and of one in TIME_WAIT (one end)."""
    server, client = Host(["10.0.0.2"], SECRET), Host(["10.0.0.9"], SECRET)
    listener = server.listen(80, backlog=count)
    tracemalloc.start()
    made = [client.connect("10.0.0.2", 80, 0) for _ in range(count)]
    for _ in range(3):
        for one, two in ((client, server), (server, client)):
            for packet in one.take_output(0):
                two.receive(packet, 0)
    while listener.accept() is not None:
        pass
    for host in (client, server):
        while host.next_event() is not None:
            pass
    gc.collect()
    idle = tracemalloc.get_traced_memory()[0] / count / 2
    for connection in made:
        client.close(connection, 0)
    del connection
    made.clear()
    exchange(client, server)
    for connection in list(server.connections.values()):
        server.shutdown(connection, 0)
    del connection
    exchange(server, client)
    gc.collect()
    waiting = tracemalloc.get_traced_memory()[0] / count
    tracemalloc.stop()
    resting = len(client.resting.records)
    print(f"memory: {idle / 1024:.1f} KiB an idle connection, {waiting / 1024:.1f} KiB one in TIME_WAIT ({resting})")


def exchange(one: Host, two: Host) -> None:
    """Carry packets until nobody has anything to say."""
    busy = True
    while busy:
        busy = False
        for source, target in ((one, two), (two, one)):
            for packet in source.take_output(0):
                target.receive(packet, 0)
                busy = True
            while source.next_event() is not None:
                pass


if __name__ == "__main__":
    main()
