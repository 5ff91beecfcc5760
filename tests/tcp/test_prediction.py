"""The short way for usual segments does what the long way does, whatever happens around it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.tcp import Config, Connection, Packet, prediction
from tests.tcp.dialogue import PLAIN, Dialogue

SLOTS = [name for name in Connection.__slots__ if name not in ("board", "received", "queue", "config", "congestion")]
CONFIGS = (
    PLAIN,
    Config(window_scale=2),
    replace(PLAIN, sack=True, delayed_ack=40_000_000, ecn="accept"),
    Config(delayed_ack=0, receive_buffer=5000),
)
OPENING = bytes.fromhex("020405b40402010303070101080a0000100000000000")


@st.composite
def steps(draw: st.DrawFn) -> tuple[Any, ...]:
    kind = draw(st.sampled_from(["data"] * 6 + ["odd"] * 2 + ["wait", "send", "recv"]))
    if kind == "data":
        return kind, 0, 0, draw(st.sampled_from([1, 100, 1460, 3000])), 24 * draw(st.booleans()), 0, 0
    if kind == "odd":
        return (
            kind, draw(st.integers(-50, 3000)), draw(st.integers(-2, 3)), draw(st.integers(0, 2000)),
            draw(st.sampled_from([1, 8, 32, 64, 128, 0])), draw(st.sampled_from([0, 3])), draw(st.integers(-9, 9)),
        )  # fmt: skip
    return (kind, draw(st.sampled_from([0.01, 0.05, 1.5])))


def play(config: Config, script: list[tuple[Any, ...]]) -> tuple[list[Packet], dict[str, Any]]:
    d = Dialogue(config).listen()
    d.host.receive(d.packet("SYN,ECE,CWR", 0, options=OPENING), d.now)
    d.said()
    c = d.connection
    assert c is not None
    tick = 0x1000

    def stamped(packet: Packet) -> Packet:
        raw = b"\1\1\x08\x0a" + (tick & 0xFFFFFFFF).to_bytes(4, "big") + bytes(4) if c is not None and c.ts_on else b""
        return packet._replace(options=raw, seq=packet.seq & 0xFFFFFFFF)

    packets: list[Packet] = []
    d.host.receive(stamped(d.packet("ACK", 1, 1)), d.now)
    for kind, *rest in script:
        tick += 1
        if kind == "wait":
            d.wait(rest[0])
        elif kind == "send":
            d.host.send(c, b"y" * 700, d.now)
        elif kind == "recv":
            packets += [d.packet("-", 0, payload=d.host.recv(c, d.now))]
        else:
            away, ack, size, extra, ecn, old = rest
            plain = d.packet("ACK", 0, 0, payload=bytes([tick & 255]) * size)
            tick += old
            d.host.receive(
                stamped(
                    plain._replace(
                        seq=c.rcv_nxt + away, ack=(c.snd_una if kind == "data" else c.snd_nxt + ack) & 0xFFFFFFFF,
                        flags=16 | extra, ecn=ecn, window=c.snd_wnd >> c.snd_wscale,
                    )
                ),
                d.now,
            )  # fmt: skip
        d.said()
        packets += d.packets
    state = {name: getattr(c, name) for name in SLOTS}
    state["events"] = d.events()
    state["received"] = (c.received.nxt, c.received.ready, c.received.blocks())
    return packets, {name: value for name, value in state.items() if name not in ("mtu_range", "rtt", "saved")}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(CONFIGS), st.lists(steps(), max_size=25))
def test_both_ways_are_equal(config: Config, script: list[tuple[Any, ...]]) -> None:
    short = play(config, script)
    with mock.patch.object(prediction, "in_order", lambda *_: False):
        assert play(config, script) == short


def test_the_short_way_is_taken() -> None:
    taken: list[bool] = []
    true = prediction.in_order

    def spy(*arguments: Any) -> bool:
        taken.append(true(*arguments))
        return taken[-1]

    with mock.patch.object(prediction, "in_order", spy):
        play(Config(), [("data", 0, 0, 1460, 0, 0, 0)] * 20)
    assert sum(taken) == 20
