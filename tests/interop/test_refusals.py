"""Foreign programs refuse what our engine does wrong on purpose, each with an alert that is known of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.interop import faults, faults_client, refusals
from tests.interop.peer import ClientPeer, ServerPeer


def why_not(peer: ClientPeer | ServerPeer) -> str:
    """Why a program cannot be held to the page; empty where it can."""
    if missing := peer.missing():
        return missing
    found = re.fullmatch(r"Go (\d+)\.(\d+).*", peer.version())
    old = found is not None and (int(found[1]), int(found[2])) < (1, 24)
    return f"{peer.version()} sends other alerts than the one of PyPI (make judges)" if old else ""


@pytest.mark.parametrize("peer", refusals.CLIENTS, ids=[peer.name for peer in refusals.CLIENTS])
def test_what_our_server_does_wrong(peer: ClientPeer, tmp_path: Path) -> None:
    if why := why_not(peer):
        pytest.skip(why)
    found = faults.of_client(peer, tmp_path)
    wrongs = {wrong.name: wrong for wrong in faults.WRONG}
    assert {name: one for name, one in found.items() if not one.known(wrongs[name].right, wrongs[name].otherwise)} == {}
    assert all(one.taken or one.words for one in found.values())
    assert sum(bool(one.alert) or bool(one.words) for one in found.values()) >= 9


@pytest.mark.parametrize("peer", refusals.SERVERS, ids=[peer.name for peer in refusals.SERVERS])
def test_what_our_client_does_wrong(peer: ServerPeer, tmp_path: Path) -> None:
    if why := why_not(peer):
        pytest.skip(why)
    found = faults_client.of_server(peer, tmp_path)
    wrongs = {wrong.name: wrong for wrong in faults_client.WRONG}
    assert {name: one for name, one in found.items() if not one.known(wrongs[name].right, wrongs[name].otherwise)} == {}
    assert sum(not one.taken for one in found.values()) >= 7


def test_the_page_has_every_peer_and_fault() -> None:
    text = refusals.PAGE.read_text()
    for heading, peers, wrongs in (
        ("## A server does wrong", refusals.CLIENTS, [one.name for one in faults.WRONG if one.right != ("",)]),
        ("## A client does wrong", refusals.SERVERS, [one.name for one in faults_client.WRONG]),
    ):
        table = text.partition(heading)[2].partition("\n## ")[0]
        assert all(f"| {peer.name} |" in table for peer in peers), "make interop"
        assert all(f"\n| {name} |" in table for name in wrongs), "make interop"
