"""The matrix as tests: one for each peer and role, so that a program is started once for all its cells."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop import agree, matrix
from tests.interop.cells import COLUMNS, POSTQUANTUM
from tests.interop.clients import PythonSsl
from tests.interop.peer import ClientPeer, ServerPeer


def _proved(batch: matrix.Batch) -> None:
    """No cell is wrong, the peer spoke in each, and the capture is read alike."""
    assert batch.wrong == []
    done = [result for result in batch.results if not result.empty]
    assert len(done) >= (5 if batch.peer.name in matrix.OLD else 10)
    assert all(result.told is not None and (result.told.version or hasattr(batch.peer, "silent")) for result in done)
    if not agree.missing():
        assert batch.misread() == []


@pytest.mark.parametrize("peer", matrix.CLIENTS, ids=[peer.name for peer in matrix.CLIENTS])
def test_our_server(peer: ClientPeer, tmp_path: Path) -> None:
    if why := peer.missing():
        pytest.skip(why)
    batch = matrix.with_client(peer, tmp_path)
    _proved(batch)
    if peer.name == "Chromium":  # the browsers' group, in their words
        assert {r.told.group for r in batch.results if r.told and r.cell.id == "1.3 full"} == {"X25519MLKEM768"}


@pytest.mark.parametrize("peer", matrix.SERVERS, ids=[peer.name for peer in matrix.SERVERS])
def test_our_client(peer: ServerPeer, tmp_path: Path) -> None:
    if why := peer.missing():
        pytest.skip(why)
    _proved(matrix.with_server(peer, tmp_path))


@pytest.mark.skipif(bool(agree.missing()), reason=agree.missing())
def test_captures_without_packets_are_read_alike(tmp_path: Path) -> None:
    """What ``serve -w`` writes where packets cannot be captured: exported PDUs."""
    _proved(matrix.with_client(PythonSsl(), tmp_path, pdu=True))


def test_the_page_has_every_peer_and_column() -> None:
    text = matrix.MARKDOWN.read_text()
    for peers, heading in ((matrix.CLIENTS, "## Our server"), (matrix.SERVERS, "## Our client")):
        table = text.partition(heading)[2].partition("\n## ")[0]
        for peer in peers:
            assert f"| {peer.name} | 1.3 |" in table, "make interop"
        assert " | ".join(COLUMNS) in table
    assert text.count(" | ".join(POSTQUANTUM)) == 2
    assert "✗" not in text
