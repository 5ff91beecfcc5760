"""QUIC is recognised by its long headers; what follows on the same flow counts too."""

from __future__ import annotations

from synfin.observe.quicwatch import QuicLog
from synfin.observe.story import Endpoint
from tests.support.packets import START, batch

INITIAL = bytes.fromhex("c3 00000001 08 0001020304050607 00 00 4496".replace(" ", "")) + bytes(30)
SHORT = bytes.fromhex("4f0001020304050607") + bytes(20)
ENDS = "a = 10.0.0.1:50000\nb = 10.0.0.2:443\nc = 10.0.0.3:50001\nd = 10.0.0.2:444\n"


def read(*texts: str) -> QuicLog:
    log = QuicLog()
    for text in texts:
        log.add(batch(ENDS + text))
    return log


def udp(time: float, way: str, octets: bytes) -> str:
    return f"{time} {way} udp hex={octets.hex()}\n"


def test_a_flow_with_its_short_headers() -> None:
    log = read(
        udp(0.0, "a > b", INITIAL) + udp(0.1, "b > a", INITIAL) + udp(0.2, "a > b", SHORT) + udp(0.3, "c > b", SHORT),
        udp(1.0, "b > a", SHORT),
    )
    assert log.packets == 4
    (flow,) = log.flows
    assert (flow.a, flow.b, flow.version) == (Endpoint("10.0.0.1", 50000), Endpoint("10.0.0.2", 443), 1)
    assert (flow.first_packet, flow.packets, flow.start, flow.end) == (1, 4, START, START + 10**9)


def test_versions() -> None:
    for version, known in (
        ("6b3343cf", True),
        ("ff00001d", True),
        ("51303436", True),
        ("ff000040", False),
        ("00000000", False),
        ("deadbeef", False),
    ):
        log = read(udp(0.0, "a > b", INITIAL[:1] + bytes.fromhex(version) + INITIAL[5:]))
        assert (log.packets == 1) is known, version


def test_what_is_no_quic() -> None:
    others = [
        b"\x16\xfe\xfd" + bytes(20),
        b"\x80\x00\x00\x00\x01" + bytes(20),
        INITIAL[:5] + b"\x15" + bytes(30),
        b"\xc3",
        INITIAL[:6],
    ]
    log = read("".join(udp(n / 10, "a > b", octets) for n, octets in enumerate(others)))
    assert log.packets == 0 and log.flows == ()


def test_flows_are_apart_by_address_and_port() -> None:
    log = read(
        udp(0.0, "a > b", INITIAL) + udp(0.1, "a > d", INITIAL) + udp(0.2, "c > b", INITIAL) + udp(0.3, "b > c", SHORT)
    )
    assert [(flow.a.port, flow.b.port, flow.packets) for flow in log.flows] == [
        (50000, 443, 1),
        (50000, 444, 1),
        (50001, 443, 2),
    ]


def test_no_udp_costs_nothing_and_finds_nothing() -> None:
    log = QuicLog()
    log.add(batch("0.0 a > b SYN\n"))
    assert log.packets == 0


def test_datagrams_put_together_from_fragments() -> None:
    table = batch(ENDS + udp(0.0, "a > b", INITIAL))
    table.extra += b"before" + INITIAL
    table.rows["load_at"] = ~len(b"before")
    log = QuicLog()
    log.add(table)
    assert [flow.version for flow in log.flows] == [1]
