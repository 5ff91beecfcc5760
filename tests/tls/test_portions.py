"""What a transport cuts, joins or delays changes nothing: every way of cutting gives the same data."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.tls import Client, Closed, Data, KeyUpdated, Limits, Server
from tests.tls.ends import NOW, client_config, events, pump, said, server_config
from tests.tls.ends import client as make_client
from tests.tls.ends import server as make_server


def connected(version: int, limits: Limits | None = None) -> tuple[Client, Server]:
    """Both ends after their handshake."""
    one = make_client(client_config(min_version=version, max_version=version, limits=limits or Limits()))
    other = make_server(server_config())
    pump(one, other)
    events(one), events(other)
    return one, other


@pytest.mark.parametrize("version", [0x0303, 0x0304])
@settings(max_examples=25, deadline=None)
@given(
    sends=st.lists(st.integers(1, 70_000), min_size=1, max_size=6),
    portions=st.lists(st.integers(1, 40_000), min_size=1, max_size=40),
    updates=st.sets(st.integers(0, 5)),
)
def test_data_does_not_depend_on_portions(
    version: int, sends: list[int], portions: list[int], updates: set[int]
) -> None:
    client, server = connected(version)
    sent, wire = b"", b""
    for number, size in enumerate(sends):
        if number in updates and version == 0x0304:
            client.update_keys()
        content = bytes([number + 1]) * size
        client.send(content)
        sent += content
        wire += client.take_output(NOW)
    client.close()
    wire += client.take_output(NOW)
    at, turn = 0, 0
    while at < len(wire):
        size = portions[turn % len(portions)]
        server.receive(wire[at : at + size], NOW)
        at += size
        turn += 1
    found = events(server)
    assert said(found) == sent
    assert found[-1] == Closed(clean=True)


def test_keys_are_changed_inside_a_long_send() -> None:
    client, server = connected(0x0304, limits=Limits(records_per_key=3))
    content = bytes(range(256)) * 1024
    client.send(content)
    server.receive(client.take_output(NOW), NOW)
    found = events(server)
    assert said(found) == content
    assert sum(isinstance(event, KeyUpdated) for event in found) == 5


def test_keys_that_last_for_little_and_a_long_send() -> None:
    """However often keys change, or cannot (TLS 1.2)."""
    for version in (0x0303, 0x0304):
        client, server = connected(version, limits=Limits(records_per_key=1))
        size = 1200 << 14
        client.send(bytes(size))
        out = client.take_output(NOW)
        assert len(out) > size
        server.receive(out[: 1 << 20], NOW)
        assert len(said(events(server))) >= 1 << 19


def told(version: int, sizes: list[int], odd: str, where: int, octet: int, portion: int) -> tuple[bytes, list[object]]:
    """What a server hears when something odd happens with one of the client's records, in portions of this size."""
    client, server = connected(version)
    for number, size in enumerate(sizes):
        here = odd if number == where else "nothing"
        if here == "update" and version == 0x0304:
            client.update_keys()
        if here == "warning":
            client.alert(1, 90)
        client.send(bytes([number + 1]) * size)
        if here == "close":
            client.close()
        if here == "abort":
            server.abort(80)
        if here == "end":
            server.receive_eof(NOW)
        wire = bytearray(client.take_output(NOW))
        if here == "octet":
            wire[octet % len(wire)] ^= 1
        for at in range(0, len(wire), portion):
            server.receive(bytes(wire[at : at + portion]), NOW)
        if here == "close":
            break
    found = events(server)
    return said(found), [event for event in found if not isinstance(event, Data)]


@pytest.mark.parametrize("version", [0x0303, 0x0304])
@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.sampled_from([1, 100, 100, 100, 4096]), min_size=1, max_size=8),
    odd=st.sampled_from(["nothing", "octet", "update", "warning", "close", "abort", "end"]),
    where=st.integers(0, 7),
    octet=st.integers(0, 40),
)
def test_the_short_way_of_single_records_hides_nothing(
    version: int, sizes: list[int], odd: str, where: int, octet: int
) -> None:
    """A record a portion, of lengths that repeat, and something else among them: as when octets come one by one."""
    assert told(version, sizes, odd, where, octet, 1 << 20) == told(version, sizes, odd, where, octet, 1)


@pytest.mark.parametrize("version", [0x0303, 0x0304])
@pytest.mark.parametrize("octet", [*range(14), -1])
def test_each_octet_of_a_usual_record_counts(version: int, octet: int) -> None:
    sizes = [100] * 4
    heard, after = told(version, sizes, "octet", 3, octet, 1 << 20)
    assert (heard, after) == told(version, sizes, "octet", 3, octet, 1)
    assert heard == b"".join(bytes([number + 1]) * 100 for number in range(3))
    assert after or octet in (3, 4)  # more octets were announced, and are waited for
