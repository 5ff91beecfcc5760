"""Requests and responses of real captures as tshark tells them.

Compared are methods, targets and hosts of requests and the statuses of responses, with tshark's usual answer or with
the one of its default preferences (bodies not waited for).  Where we differ on purpose: a response inside TLS whose
body ends with the connection is never shown by tshark (it waits for a FIN that TLS hides); HTTP/0.9 is not shown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from synfin.capture.keylog import KeyLog
from synfin.capture.reader import open_capture
from synfin.observe.observer import Observation
from synfin.observe.story_http import HttpStory
from tests.support.shared import SHARED, captures, index, needs_shared, truth

Told = tuple[list[tuple[Any, ...]], list[Any]]


def theirs(rows: list[dict[str, Any]] | None) -> Told:
    rows = rows or []
    requests = [row for row in rows if row["kind"] == "request"]
    asked = [
        (row["method"], row.get("uri", row.get("path")), row.get("host", row.get("authority"))) for row in requests
    ]
    return asked, [row["status"] for row in rows if row["kind"] == "response"]


def ours(story: HttpStory | None, version_2: bool) -> Told:
    messages = [m for m in story.messages if m.header_end and m.version != "0.9"] if story else []
    messages = [m for m in messages if (m.version == "2") is version_2]
    messages = [m for m in messages if not (m.tls and m.framing == "close")]
    asked = [(m.method, m.target, m.authority) for m in messages if m.kind == "request"]
    return asked, [m.status for m in messages if m.kind == "response"]


@needs_shared
@pytest.mark.parametrize("path", captures(), ids=lambda path: path.name)
def test_messages_agree(path: Path) -> None:
    assert SHARED is not None
    if path.name in ("http09.pcap", "ipv6-fragments.pcap"):
        pytest.skip("tshark shows no HTTP here (truth_gaps.json)")
    keys = index()[path.name]["keys"]
    keylog = KeyLog.parse((SHARED / "keys" / Path(keys).name).read_bytes()) if keys else None
    found = {}
    for connection in Observation(open_capture(path), keylog=keylog):
        found[connection.first_packet] = connection
    for row in truth(path.name):
        connection_or_none = found.get(row["first_frame"])
        if connection_or_none is None:
            continue
        http, outer = connection_or_none.http, connection_or_none.outer_http
        clear = http if http and not http.tls else outer
        accepted = [theirs(row.get("http1"))]
        if "http1" in (row.get("alt") or {}):
            accepted.append(theirs(row["alt"]["http1"]))
        told = ours(clear, False)
        assert told[0] in [answer[0] for answer in accepted] and told[1] in [answer[1] for answer in accepted]
        assert ours(clear, True) == theirs((row.get("http2") or {}).get("messages"))
        if row.get("decrypted"):
            inner = http if http and http.tls else None
            assert ours(inner, False) == theirs(row["decrypted"].get("http1"))
            assert ours(inner, True) == theirs((row["decrypted"].get("http2") or {}).get("messages"))
