"""Grouping packets into connections."""

from __future__ import annotations

import numpy as np
import pytest

from synfin.capture.table import Batch, Kind
from synfin.observe.flows import FlowRows, Flows
from tests.support.packets import batch, tabulate
from tests.support.tcpflows import connections

OPEN = """
    0.0 a > b SYN
    0.1 b > a SYN,ACK
    0.2 a > b ACK
"""


def group(made: Batch, step: int | None = None, **limits: int) -> list[FlowRows]:
    flows = Flows(**limits)
    out: list[FlowRows] = []
    step = step or max(len(made.rows), 1)
    for at in range(0, len(made.rows), step):
        part = Batch(made.rows[at : at + step].copy(), made.data, made.extra, made.links, made.wraps, made.problems)
        out += flows.add(part)
    return out + list(flows.finish())


def test_both_directions_belong_together_and_a_is_the_opener() -> None:
    (flow,) = group(batch("0.0 b > a SYN\n0.1 a > b SYN,ACK\n0.2 b > a ACK"))
    assert (str(flow.a), str(flow.b), flow.opened_by) == ("10.0.0.2:443", "10.0.0.1:40001", "syn")
    assert flow.rows.sender == [0, 1, 0]
    assert flow.rows.number == [1, 2, 3]


def test_a_is_who_gets_the_first_syn_ack_where_no_syn_was_seen() -> None:
    (flow,) = group(batch("0.0 a > b ACK seq=1 ack=1\n0.1 b > a SYN,ACK seq=5000"))
    assert (flow.a.port, flow.opened_by) == (40001, "synack")
    (flow,) = group(batch("0.0 b > a ACK\n0.1 a > b ACK"))
    assert (flow.a.port, flow.opened_by) == (443, "first")


def test_ids_count_first_packets_and_ipv6_is_written_as_usual() -> None:
    flows = group(
        batch("x = [2001:db8:0:0::7]:1\ny = [2001:db8::8]:2\n0 c > b SYN\n1 x > y SYN\n2 a > b SYN\n3 c > b SYN")
    )
    assert [(flow.id, flow.rows.number) for flow in flows] == [(0, [1, 4]), (1, [2]), (2, [3])]
    assert str(flows[1].a) == "[2001:db8::7]:1"


REUSE = {
    "another number": (OPEN + "1.0 a > b PSH,ACK len=9\n2.0 a > b SYN seq=9000\n2.1 b > a SYN,ACK seq=7", [4, 2]),
    "the same number is a repeat": (OPEN + "1.0 a > b SYN seq=1000", [4]),
    "the same number after RST": (OPEN + "1.0 a > b RST\n2.0 a > b SYN seq=1000", [5]),
    "from the other end": (OPEN + "2.0 b > a SYN seq=9000", [3, 1]),
    "the other end's own number": (OPEN + "2.0 b > a SYN seq=5000", [4]),
    "after a middle": ("0 a > b ACK seq=1000 ack=5000 len=1\n1 a > b SYN seq=1000", [1, 1]),
    "after a middle, its own number": ("0 a > b ACK seq=1000 ack=5000 len=1\n1 a > b SYN seq=999", [2]),
    "known from the peer's acknowledgment": ("0 a > b ACK seq=1000 ack=5000\n1 b > a SYN seq=4999", [2]),
    "unlike the peer's acknowledgment": ("0 a > b ACK seq=1000 ack=5000\n1 b > a SYN seq=5000", [1, 1]),
    "simultaneous open": ("0 a > b SYN\n1 b > a SYN seq=77\n2 b > a SYN,ACK seq=77\n3 a > b SYN,ACK seq=1000", [4]),
    "twice more": (OPEN + "1 a > b SYN seq=2000\n2 a > b SYN seq=3000\n3 b > a RST,ACK", [3, 1, 2]),
}


@pytest.mark.parametrize("name", REUSE)
def test_port_reuse(name: str) -> None:
    text, sizes = REUSE[name]
    flows = group(batch(text))
    assert [len(flow.rows) for flow in flows] == sizes
    assert [flow.reused for flow in flows] == [False] + [True] * (len(sizes) - 1)


def test_an_end_that_talks_to_itself_does_not_disturb() -> None:
    (flow,) = group(batch("a = 127.0.0.1:7\n0 a > a SYN\n1 a > a SYN,ACK\n2 a > a ACK len=4"))
    assert flow.rows.sender == [0, 0, 0]
    assert flow.a == flow.b


def test_wraps_are_told_once_in_order() -> None:
    (flow,) = group(batch("0 a > b SYN vlan=7\n1 b > a SYN,ACK vlan=3\n2 a > b ACK vlan=7\n3 a > b ACK"))
    assert [wrap.vlans for wrap in flow.wraps] == [(7,), (3,)]


def test_cut_headers_keep_their_numbers() -> None:
    made = batch(OPEN + "1.0 a > b SYN seq=9999 cut=50\n1.1 a > b SYN seq=9999 cut=50")
    assert made.rows["kind"].tolist() == [Kind.TCP] * 3 + [Kind.CUT] * 2
    assert [len(flow.rows) for flow in group(made)] == [3, 2]


def test_pdus_are_connections_of_their_own() -> None:
    made = batch(OPEN + "1.0 a > b PSH,ACK len=5\n1.1 b > a PSH,ACK len=6")
    made.rows["kind"][3:] = Kind.PDU
    assert [len(flow.rows) for flow in group(made)] == [3, 2]


def test_no_packets_no_connections() -> None:
    assert group(batch("")) == []


def story_of(flows: list[FlowRows]) -> list[tuple[object, ...]]:
    return [
        (flow.id, flow.a, flow.b, flow.opened_by, flow.rows.number, flow.rows.sender, flow.counts, flow.plain)
        for flow in sorted(flows, key=lambda flow: flow.id)
    ]


def test_steps_do_not_matter_when_all_is_grouped_at_the_end() -> None:
    made = tabulate(connections(7, 60, polite=0.5))
    assert story_of(group(made)) == story_of(group(made, step=37))


def test_finished_connections_are_handed_out_and_ids_stay() -> None:
    text = "\n".join(
        f"{i * 10}.0 a:{1000 + i} > b SYN\n{i * 10}.1 b > a:{1000 + i} SYN,ACK\n{i * 10}.2 a:{1000 + i} > b RST"
        for i in range(100)
    )
    made = batch(text)
    flows = Flows(whole=20, most=60)
    early = list(flows.add(Batch(made.rows[:150], made.data, made.extra, made.links, made.wraps, [])))
    assert len(early) >= 40
    rest = list(flows.add(Batch(made.rows[150:], made.data, made.extra, made.links, made.wraps, [])))
    rest += flows.finish()
    assert story_of(early + rest) == story_of(group(made))
    assert flows.late_rows == 0 and flows.early == 0


def test_late_packets_are_counted() -> None:
    text = OPEN + "0.3 a > b RST\n" + "\n".join(f"{20 + i} c:{i} > b SYN" for i in range(1, 40))
    made = batch(text + "\n90 b > a ACK\n91 b > a ACK")
    flows = Flows(whole=10, most=1000)
    out = [flow for at in range(0, len(made.rows), 5) for flow in flows.add(tabulated(made, at, at + 5))]
    out += flows.finish()
    assert flows.late_rows == 2
    assert [flow.rows.number for flow in out if flow.a.port == 40001] == [[1, 2, 3, 4]]


def tabulated(made: Batch, begin: int, end: int) -> Batch:
    return Batch(made.rows[begin:end].copy(), made.data, made.extra, made.links, made.wraps, made.problems)


def test_a_flood_of_syns_stays_bounded() -> None:
    many = tabulate(connections(1, 1, polite=1.0)[:1])
    rows = np.repeat(many.rows, 5000)
    rows["src_lo"] = np.arange(5000)
    rows["number"] = np.arange(1, 5001)
    flows = Flows(whole=100, most=400)
    made = Batch(rows, many.data, many.extra, many.links, many.wraps, [])
    count = kept = 0
    for at in range(0, 5000, 50):
        count += len(list(flows.add(tabulated(made, at, at + 50))))
        kept = max(kept, at + 50 - count)
    assert kept <= 400
    assert flows.early == count
    assert count + len(list(flows.finish())) == 5000


def test_batches_over_other_bytes_keep_their_payload() -> None:
    one, two = batch(OPEN + '1.0 a > b ACK data="one"'), batch('2.0 a > b ACK seq=1004 ack=5001 data="two!"')
    two.rows["number"] += 4
    flows = Flows()
    assert [*flows.add(one), *flows.add(two)] == []
    (flow,) = flows.finish()
    assert [flow.rows.payload(i) for i in (3, 4)] == [b"one", b"two!"]


def test_fragments_of_several_batches_keep_their_payload() -> None:
    one, two = batch('0 a > b ACK data="one"'), batch('1 a > b ACK data="two!"')
    for made, text in ((one, b"..ONE"), (two, b"TWO!")):
        made.extra[:] = text
        made.rows["load_at"] = ~(len(text) - len(made.payload(0)))
    two.data = one.data
    flows = Flows()
    assert [*flows.add(one), *flows.add(two)] == []
    (flow,) = flows.finish()
    assert [flow.rows.payload(i) for i in (0, 1)] == [b"ONE", b"TWO!"]
