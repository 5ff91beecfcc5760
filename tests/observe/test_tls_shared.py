"""The TLS part of the shared captures against what tshark says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from synfin.capture import open_capture
from synfin.capture.keylog import KeyLog, read_keylog
from synfin.observe.flows import Flows
from synfin.observe.story_tls import MessageFact, TlsStory
from synfin.observe.stream import ByteStream
from synfin.observe.tcpwatch import watch_tcp
from synfin.observe.tlswatch import SessionCache, TlsResult, watch_tls
from tests.support.shared import SHARED, captures, needs_shared, truth

pytestmark = needs_shared
WAY = ("ab", "ba")


def connections(path: Path, *, keys: bool) -> Iterator[tuple[int, tuple[ByteStream, ByteStream], TlsResult]]:
    """First packet, streams and what the watcher says of every connection."""
    assert SHARED is not None
    capture = open_capture(path)
    flows = Flows()
    found = [flow for batch in capture.batches() for flow in flows.add(batch)]
    found += flows.finish()
    log = KeyLog.parse(b"")
    file = SHARED / "keys" / f"{path.name.split('.')[0]}.keys"
    if file.exists():
        log.merge(read_keylog(file))
    for text in capture.secrets:
        log.merge(KeyLog.parse(text))
    sessions = SessionCache()
    for flow in found:
        streams = watch_tcp(flow)[1]
        yield flow.rows.number[0], streams, watch_tls(streams, keylog=log if keys else None, sessions=sessions)


def _seen(story: TlsStory, streams: tuple[ByteStream, ByteStream]) -> set[tuple[int, int]]:
    """Records that tshark shows as well: whole ones, and in each direction those before the first hole."""
    stop = [stream.holes[0].offset if stream.holes else 1 << 62 for stream in streams]
    return {
        (record.sender, record.offset)
        for record in story.records
        if record.complete and record.offset + record.length < stop[record.sender]
    }


def _names(story: TlsStory, seen: set[tuple[int, int]], decrypted: bool) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {"ab": [], "ba": []}
    for message in story.messages:
        if (message.sender, message.offset) in seen and not message.problem and (decrypted or not message.decrypted):
            told[WAY[message.sender]].append(message.name)
    return told


def _records(story: TlsStory, seen: set[tuple[int, int]], inner: bool) -> dict[str, dict[str, int]]:
    told: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for record in story.records:
        if (record.sender, record.offset) in seen and record.version != 2:
            told[record.sender][str(record.type)] += 1
            if inner and record.inner_type is not None:
                told[record.sender][str(record.inner_type)] += 1
    return {"ab": dict(told[0]), "ba": dict(told[1])}


def _body(message: MessageFact | None, name: str) -> Any:
    value = getattr(message.body, name) if message is not None and message.body is not None else None
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("path", captures(), ids=lambda path: path.name)
def test_clear_story(path: Path) -> None:
    expected = {entry["first_frame"]: entry for entry in truth(path.name)}
    for first, streams, found in connections(path, keys=False):
        entry = expected.get(first)
        if entry is None or entry.get("tls_doubtful"):
            continue
        tls, story = entry["tls"], found.tls
        assert (story is None) == (tls is None)
        if story is None:
            continue
        seen = _seen(story, streams)
        assert (story.version, story.cipher) == (tls["version"], tls["cipher"])
        assert _names(story, seen, False) == tls["handshake"]
        assert _records(story, seen, False) == tls["records"]
        assert (story.hello_retry is not None, story.sslv2) == (tls["hrr"], tls["sslv2"])
        tls13 = story.version is not None and (story.version == 0x0304 or story.version >> 8 == 0x7F)
        alerts = [(WAY[a.sender], a.description, a.level is None) for a in story.alerts if not (tls13 and a.guessed)]
        assert alerts == [(a["from"], a["desc"], a["encrypted"]) for a in tls["alerts"]]
        assert {WAY[chain.sender]: len(chain.der) for chain in story.chains} == {
            side: chain["count"] for side, chain in tls["certs"].items()
        }
        if tls["client_hello"] is not None:
            assert WAY[story.client] == tls["client"]
        if tls["client_hello"] is not None and not story.sslv2:
            hello = tls["client_hello"]
            assert story.sni == hello["sni"] and _body(story.client_hello, "alpn") == (hello["alpn"] or [])
            assert (story.ja3, story.ja4) == (hello["ja3"], hello["ja4"])
        assert (story.new_session_ticket, story.certificate_requested, story.certificate_status) == (
            tls["new_session_ticket"],
            tls["certificate_requested"],
            tls["certificate_status"],
        )


@pytest.mark.parametrize(
    "name",
    [
        "illustrated-tls12.pcap",
        "illustrated-tls13.pcap",
        "illustrated-tls13-dsb.pcapng",
        "tls12-all-ciphers.pcap",
        "tls13-h2-keylog.pcap",
    ],
)
def test_decrypted_story(name: str) -> None:
    assert SHARED is not None
    expected = {entry["first_frame"]: entry for entry in truth(name)}
    compared = 0
    for first, streams, found in connections(SHARED / "captures" / name, keys=True):
        decrypted = expected[first].get("decrypted")
        story = found.tls
        if not decrypted or not decrypted["tls"] or story is None:
            continue
        tls = decrypted["tls"]
        seen = _seen(story, streams)
        assert _names(story, seen, True) == tls["handshake"]
        assert _records(story, seen, True) == tls["records"]
        alerts = [(WAY[a.sender], a.level, a.description) for a in story.alerts if not a.guessed]
        assert alerts == [(a["from"], a["level"], a["desc"]) for a in tls["alerts"]]
        assert {WAY[chain.sender]: len(chain.der) for chain in story.chains} == {
            side: chain["count"] for side, chain in tls["certs"].items()
        }
        compared += 1
    assert compared >= 1


def test_a_certificate_of_340_kb() -> None:
    assert SHARED is not None
    ((_, _, found),) = connections(SHARED / "captures" / "fragmented-handshake.pcap.gz", keys=False)
    assert found.tls is not None
    (chain,) = found.tls.chains
    assert chain.segments > 200 and len(chain.der[0]) > 330_000
