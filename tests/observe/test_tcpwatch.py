"""The TCP story: opening, closing, sides, times, stalls; and tshark's truth on real captures."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synfin.capture import open_capture
from synfin.capture.table import Kind
from synfin.observe.flows import FlowRows, Flows
from synfin.observe.story_tcp import TcpStory
from synfin.observe.tcpstates import states
from synfin.observe.tcpwatch import watch_tcp
from synfin.observe.tcpwatch_options import options
from tests.support.packets import START, batch, tabulate
from tests.support.shared import SHARED
from tests.support.tcpflows import connections

OPEN = """
    0.00 a > b SYN win=64240 <mss 1460, sackOK, TS 1 0, wscale 7> ttl=63
    0.02 b > a SYN,ACK win=65160 <mss 1000, wscale 2>
    0.03 a > b ACK win=502
"""


def story(text: str) -> TcpStory:
    flows = Flows()
    assert not list(flows.add(batch(text)))
    (flow,) = flows.finish()
    return watch_tcp(flow)[0]


HANDSHAKES = {
    "complete": OPEN,
    "syn_synack": "0 a > b SYN\n1 b > a SYN,ACK\n2 b > a SYN,ACK",
    "syn_only": "0 a > b SYN\n1 a > b SYN",
    "refused": "0 a > b SYN\n0.1 b > a RST,ACK seq=0\n0.5 a > b SYN seq=1000\n0.6 b > a RST,ACK seq=0",
    "syn_no_synack": "0 a > b SYN\n1 a > b ACK seq=1001 ack=9\n2 a > b RST seq=1001",
    "synack_only": "0 b > a SYN,ACK\n1 a > b ACK",
    "none": "0 a > b ACK",
}


@pytest.mark.parametrize("handshake", HANDSHAKES)
def test_handshake(handshake: str) -> None:
    assert story(HANDSHAKES[handshake]).handshake == handshake


CLOSES = {
    "open": ("", ("open", False, None, None)),
    "A only": ("1 a > b FIN,ACK", ("half_a", False, None, 0)),
    "B only": ("1 b > a FIN,ACK", ("half_b", False, None, 1)),
    "both": ("1 b > a FIN,ACK\n2 a > b FIN,ACK", ("fin", False, None, 1)),
    "RST": ("1 a > b FIN,ACK\n2 b > a RST", ("rst", False, 1, 0)),
    "RST after both": ("1 a > b FIN,ACK\n2 b > a FIN,ACK\n3 a > b RST", ("rst", True, 0, 0)),
    "RST, then FINs": ("1 a > b RST\n2 b > a FIN,ACK\n3 a > b FIN,ACK", ("rst", False, 0, 1)),
}


@pytest.mark.parametrize("name", CLOSES)
def test_close(name: str) -> None:
    text, wanted = CLOSES[name]
    told = story(OPEN + text)
    assert (told.close, told.rst_after_fin, told.rst_first_by, told.fin_first_by) == wanted


def test_sides_count_what_they_sent() -> None:
    told = story(
        OPEN
        + """
        1.00 a > b PSH,ACK len=1500 win=502
        1.02 b > a ACK win=16000
        1.03 b > a PSH,ACK len=10 win=15000
        1.50 a > b PSH,ACK len=1500 seq=1001 win=501
        2.00 a > b FIN,ACK
        """
    )
    a, b = told.sides
    assert (a.packets, a.payload, a.unique_payload, a.max_segment, a.over_mss) == (5, 3000, 1500, 1500, 2)
    assert (a.fins, a.fin_packet, a.syns, a.first_payload_packet, a.last_payload_packet) == (1, 8, 1, 4, 7)
    assert a.smallest_window == 501 << 7 and b.smallest_window == 15000 << 2
    assert a.wire_bytes == 74 + 54 + 1554 * 2 + 54
    assert a.syn is not None and (a.syn.mss, a.syn.wscale, a.syn.sack_permitted, a.syn.ttl) == (1460, 7, True, 63)
    assert b.syn is not None and (b.syn.mss, b.syn.timestamps, b.syn.packet) == (1000, False, 2)
    assert told.initial_rtt == 30_000_000 and told.syn_to_synack == 20_000_000
    assert told.completeness == 1 + 2 + 4 + 8 + 16


def test_windows_are_not_scaled_when_one_side_did_not_offer_it() -> None:
    told = story("0 a > b SYN <wscale 7>\n1 b > a SYN,ACK\n2 a > b ACK win=100\n3 b > a ACK win=99")
    assert [side.smallest_window for side in told.sides] == [100, 99]


def test_round_trips_are_measured_per_direction_and_not_over_repeats() -> None:
    told = story(
        OPEN
        + """
        1.00 a > b PSH,ACK len=10
        1.04 b > a ACK
        2.00 b > a PSH,ACK len=10
        2.01 b > a PSH,ACK len=10
        2.02 a > b ACK
        3.00 a > b PSH,ACK len=10
        3.50 a > b PSH,ACK len=10 seq=-10
        3.51 b > a ACK
        """
    )
    assert told.sides[1].rtt == (40_000_000,) * 3
    assert told.sides[0].rtt == (10_000_000,) * 3


def test_timestamps_tell_which_copy_was_answered() -> None:
    text = """
        0.0 a > b SYN <TS 1 0>
        0.1 b > a SYN,ACK <TS 1 1>
        0.2 a > b ACK <TS 2 1>
        1.0 a > b PSH,ACK len=10 <TS 100 1>
        1.5 a > b PSH,ACK len=10 seq=1001 <TS 150 1>
        1.6 b > a ACK <TS 9 {}>
    """
    assert story(text.format(100)).sides[1].rtt == (600_000_000,) * 3
    assert story(text.format(150)).sides[1].rtt == (100_000_000,) * 3
    assert story(text.format(77)).sides[1].rtt is None


def test_stalls() -> None:
    told = story(
        OPEN
        + """
        1.0 b > a ACK win=0
        2.0 a > b ACK len=1
        2.1 b > a ACK ack=1001 win=0
        3.0 b > a ACK ack=1001 win=9000
        4.0 a > b PSH,ACK len=50 seq=1001
        4.3 a > b PSH,ACK len=50 seq=1001
        4.9 a > b PSH,ACK len=50 seq=1001
        5.0 b > a ACK
        """
    )
    seconds = [(s.kind, s.sender, (s.start - START) / 1e9, (s.end - START) / 1e9, s.packets) for s in told.stalls]
    assert seconds == [
        ("zero_window", 0, 1.0, 3.0, (4, 6, 7)),
        ("retransmission_timeout", 0, 4.0, 4.9, (8, 9, 10)),
    ]


def test_an_unanswered_syn_is_a_stall_with_its_gaps() -> None:
    (stall,) = story("0 a > b SYN\n1 a > b SYN\n3 a > b SYN\n7 a > b SYN").stalls
    assert (stall.kind, stall.sender, stall.end - stall.start, stall.packets) == (
        "syn_retry",
        0,
        7 * 10**9,
        (1, 2, 3, 4),
    )


def test_exported_pdus_have_streams_and_no_tcp_facts() -> None:
    made = batch('0 a > b ACK data="one"\n1 b > a ACK data="answer"\n2 a > b ACK data="two"')
    made.rows["kind"] = Kind.PDU
    flows = Flows()
    assert not list(flows.add(made))
    (flow,) = flows.finish()
    told, (a, b) = watch_tcp(flow)
    assert (told.source, told.handshake, told.marks) == ("pdu", "none", [])
    assert (a.read(0, 99), b.read(0, 99)) == (b"onetwo", b"answer")
    assert states(flow.rows, told.source) == []


@pytest.mark.parametrize(
    "data",
    [
        "",
        "02",
        "0204",
        "0203",
        "020405",
        "0200",
        "05",
        "0509aabbccddeeff11",
        "08020000",
        "fe02",
        "ff",
        "00ff",
        "2202f989",
    ],
)
def test_broken_options_are_read_as_far_as_they_go(data: str) -> None:
    told = options(bytes.fromhex(data))
    assert told.mss is None and told.timestamps is None and told.sack == ()


def test_damaged_tables_never_raise() -> None:
    chance = random.Random(5)
    made = tabulate(connections(21, 120))
    rows = made.rows
    for name, top in (("seq", 1 << 32), ("ack", 1 << 32), ("flags", 512), ("window", 1 << 16), ("kind", 6)):
        hit = np.array([chance.random() < 0.05 for _ in range(len(rows))])
        rows[name][hit] = [chance.randrange(top) for _ in range(int(hit.sum()))]
    hit = np.array([chance.random() < 0.05 for _ in range(len(rows))])
    rows["load_cap"][hit] //= 2
    rows["time"] -= np.array([chance.choice([0, 0, 0, 10**10]) for _ in range(len(rows))])
    flows = Flows()
    assert not list(flows.add(made))
    seen = 0
    for flow in flows.finish():
        told, streams = watch_tcp(flow)
        seen += len(flow.rows)
        if told.source == "packets":
            assert len(told.marks) == len(flow.rows)
        for stream in streams:
            reached = 0
            for piece in stream.pieces:
                assert piece.offset >= reached and piece.data
                reached = piece.offset + len(piece.data)
    assert seen == int(np.isin(rows["kind"], (Kind.TCP, Kind.CUT, Kind.PDU)).sum())


TRUTH = sorted((SHARED / "truth").glob("*.jsonl")) if SHARED else []


@pytest.mark.skipif(not TRUTH, reason="the shared captures are not here")
def test_the_plain_facts_of_real_captures_are_those_of_the_truth() -> None:
    assert SHARED is not None
    known = {
        entry["id"]: SHARED / "captures" / entry["file"] for entry in json.loads((SHARED / "index.json").read_text())
    }
    wrong = []
    count = 0
    for truth in TRUTH:
        told = {flow.rows.number[0]: flow for flow in flows_of(known[truth.stem])}
        for line in truth.read_text().splitlines():
            wanted = json.loads(line)
            flow = told.get(wanted["first_frame"])
            count += 1
            if flow is None:
                wrong.append((truth.stem, wanted["first_frame"], "missing"))
                continue
            for name, value in facts(flow).items():
                if value != expected(wanted, name):
                    wrong.append((truth.stem, wanted["first_frame"], name))
    assert count > 150
    assert wrong == []


def flows_of(path: Path) -> list[FlowRows]:
    flows = Flows()
    with open_capture(path) as capture:
        out = [flow for made in capture.batches() for flow in flows.add(made)]
        return [detached(flow) for flow in [*out, *flows.finish()]]


def detached(flow: FlowRows) -> FlowRows:
    """The flow with its own copy of the bytes, usable after the capture was closed."""
    flow.rows.data = bytes(flow.rows.data)
    return flow


@pytest.mark.parametrize(
    ("flags", "sum"), [("SYN", 1), ("SYN,ACK", 0), ("ACK", 0), ("RST", 0), ("SYN,RST", 1), ("SYN len=9", 9)]
)
def test_one_packet_is_a_conversation_only_if_it_is_a_syn(flags: str, sum: int) -> None:
    told = story(f"0.00 a > b {flags}")
    assert told.completeness == sum


def test_a_timestamp_offer_is_seen_though_the_snap_length_cut_its_echo() -> None:
    syn = story("0 a > b SYN <mss 1460, sackOK, TS 1 0, wscale 7> cut=68").sides[0].syn
    assert syn is not None and (syn.mss, syn.sack_permitted, syn.timestamps, syn.wscale) == (1460, True, True, None)


def facts(flow: FlowRows) -> dict[str, Any]:
    told, _ = watch_tcp(flow)
    side = {None: None, 0: "ab", 1: "ba"}
    out: dict[str, Any] = {
        "frames": len(flow.rows),
        "last_frame": flow.rows.number[-1],
        "handshake": told.handshake,
        "close": told.close,
        "rst_after_fin": told.rst_after_fin,
        "rst_first_by": side[told.rst_first_by],
        "fin_first_by": side[told.fin_first_by],
        "completeness": told.completeness,
        "initial_rtt": None if told.initial_rtt is None else round(told.initial_rtt / 1e9, 5),
    }
    for name, mine in zip(("ab", "ba"), told.sides, strict=True):
        out |= {
            f"{name}.packets": mine.packets,
            f"{name}.bytes": mine.wire_bytes,
            f"{name}.payload": mine.payload,
            f"{name}.unique_payload": mine.unique_payload,
            f"{name}.fin": mine.fins,
            f"{name}.rst": mine.rsts,
            f"{name}.fin_frame": mine.fin_packet,
            f"{name}.rst_frame": mine.rst_packet,
            f"{name}.flags": mine.marks,
            f"{name}.syn": mine.syn and [mine.syn.mss, mine.syn.wscale, mine.syn.window, mine.syn.seq],
        }
    return out


def expected(wanted: dict[str, Any], name: str) -> Any:
    value: Any = wanted
    for part in name.split("."):
        value = value[part]
    if name == "initial_rtt":
        return None if value is None else round(value, 5)
    if name.endswith(".syn") and value is not None:
        return [value["mss"], value["wscale"], value["window"], value["seq"]]
    return value
