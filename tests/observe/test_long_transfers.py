"""Memory does not grow with what a connection carried, and every octet of it can still be read."""

from __future__ import annotations

import random
import ssl
import struct
import tracemalloc
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest
from hpack import Encoder

from synfin.capture.keylog import KeyLog
from synfin.judge.engine import Context, judge
from synfin.observe import observe, tlswatch_data
from synfin.observe.httpwatch import watch_http
from synfin.observe.story_http import HttpStory
from synfin.observe.story_tls import Opened, TlsStory
from synfin.observe.stream import ByteStream
from synfin.observe.tlswatch import watch_tls
from synfin.observe.tlswatch_data import KEPT, OpenedStream
from synfin.observe.tlswatch_records import walk
from synfin.spec.protection import opener_13, sealer_13
from synfin.views.follow import turns
from synfin.wire.http2 import PREFACE
from tests.support.packets import make, write_pcap
from tests.support.tlspeers import CLIENT, SERVER, contexts, converse, cut_every, streams

V = ssl.TLSVersion
MIB = 1 << 20
LONG, SHORT = 24 * MIB, 2 * MIB
#: What a longer transfer may take more: its records and pieces, about half a kilobyte for each 16 KiB.
MORE = 3 * MIB
INDEPENDENT = [(V.TLSv1_3, "DEFAULT"), (V.TLSv1_2, "AES128-GCM-SHA256"), (V.TLSv1_2, "AES128-SHA:@SECLEVEL=0")]


def body(size: int) -> bytes:
    """Octets that differ from place to place."""
    return array("Q", range(size // 8)).tobytes()


def http1(size: int) -> tuple[bytes, bytes]:
    return b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body(size)


def chunked(size: int) -> tuple[bytes, bytes]:
    data, step = body(size), 10_000
    chunks = [data[at : at + step] for at in range(0, size, step)]
    coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", head + coded + b"0\r\n\r\n"


def http2(size: int) -> tuple[bytes, bytes]:
    def frame(kind: int, flags: int, stream: int, data: bytes) -> bytes:
        return struct.pack("!BHBBI", len(data) >> 16, len(data) & 0xFFFF, kind, flags, stream) + data

    asked = Encoder().encode([(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a")])
    answer = Encoder().encode([(":status", "200"), ("content-length", str(size))])
    data, step = body(size), 16_384
    said = [frame(0, int(at + step >= size), 1, data[at : at + step]) for at in range(0, size, step)]
    settings = frame(4, 0, 0, b"")
    window = frame(8, 0, 0, struct.pack("!I", 1 << 30)) + frame(8, 0, 1, struct.pack("!I", 1 << 30))
    return PREFACE + settings + frame(1, 5, 1, asked) + window, settings + frame(1, 4, 1, answer) + b"".join(said)


def spoken(version: ssl.TLSVersion, ciphers: str, said: tuple[bytes, bytes]) -> tuple[list[tuple[int, bytes]], KeyLog]:
    """The conversation in TLS: request, then the answer."""
    answer = said[1]
    parts = [(SERVER, answer[at : at + 65536]) for at in range(0, len(answer), 65536)]
    talk, log = converse(*contexts(version, ciphers), ((CLIENT, said[0]), *parts))
    return talk.chunks, log


def watched(pair: tuple[ByteStream, ByteStream], log: KeyLog) -> tuple[TlsStory, HttpStory]:
    story = watch_tls(pair, keylog=log).tls
    assert story is not None and story.data is not None
    assert [told.opened for told in story.decryption] == [Opened.ALL, Opened.ALL]
    http = watch_http(story.data, client=CLIENT, tls=True, ended=(True, True))
    assert http is not None
    return story, http


@pytest.mark.parametrize(
    ("version", "ciphers", "make_talk"),
    [(*INDEPENDENT[0], http1), (*INDEPENDENT[0], http2), (*INDEPENDENT[1], chunked), (*INDEPENDENT[2], http1)],
    ids=["13-http1", "13-http2", "gcm-chunked", "cbc-http1"],
)
def test_memory_of_a_decrypted_transfer(
    version: ssl.TLSVersion, ciphers: str, make_talk: Callable[[int], tuple[bytes, bytes]]
) -> None:
    peaks = []
    for size in (SHORT, LONG):
        pair_of, log = spoken(version, ciphers, make_talk(size))
        pair = streams(pair_of, cut_every(60_000))
        tracemalloc.start()
        try:
            _, http = watched(pair, log)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        answer = http.messages[-1]
        assert (answer.status, answer.body, answer.complete, http.problems) == (200, size, True, [])
    assert peaks[1] < peaks[0] + MORE


@pytest.mark.parametrize(
    ("version", "ciphers"), [*INDEPENDENT, (V.TLSv1, "AES128-SHA:@SECLEVEL=0")], ids=["13", "gcm", "cbc", "cbc10"]
)
def test_every_octet_can_be_read_in_any_order(version: ssl.TLSVersion, ciphers: str) -> None:
    size = 3 * MIB
    assert size > 2 * KEPT
    said = http1(size)
    chunks, log = spoken(version, ciphers, said)
    story, _ = watched(streams(chunks, cut_every(1460)), log)
    assert story.data is not None
    stream = story.data[SERVER]
    chance = random.Random(7)
    for _ in range(200):
        at, many = chance.randrange(len(said[1])), chance.randrange(1, 40_000)
        assert stream.read(at, many) == said[1][at : at + many]
    assert b"".join(piece.data for piece in stream.pieces) == said[1]
    for piece in stream.pieces:
        for many in (1, 9, 10):
            assert stream.read(piece.offset, many) == said[1][piece.offset : piece.offset + many]
    assert stream.end == len(said[1])
    last = stream.pieces[-1]
    assert list(stream.brought_by(last.packet))[-1] == last
    assert stream.packets(last.offset, len(last.data)) == (last.packet,)
    assert stream.ready(last.offset, 1) == last.ready


def test_records_open_again_across_a_key_update(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tlswatch_data, "KEPT", 0)
    sealer, opener = sealer_13(0x1301, bytes(32)), opener_13(0x1301, bytes(32))
    said = [b"%d " % number * 100 for number in range(60)]
    sealed = []
    for number, text in enumerate(said):
        if number == 25:
            sealer = sealer.updated()
        sealed.append(sealer.seal_record(23, text))
    pair = streams([(SERVER, b"".join(sealed))], cut_every(500))
    found = OpenedStream(pair[SERVER])
    for number, record in enumerate(walk(pair[SERVER], 0, [])):
        if number == 25:
            opener = opener.updated()
        if number == 40:
            found.lose(700)
        kind, text = opener.open_record(
            record.type, record.version, pair[SERVER].read(record.offset + 5, record.length)
        )
        assert kind == 23
        found.add(text, record, opener)
    before = opener.sequence
    done = found.done()
    assert [(hole.offset, hole.length) for hole in done.holes] == [(sum(map(len, said[:40])), 700)]
    places = list(range(60))
    random.Random(3).shuffle(places)
    for at in places:
        assert done.octets(at) == said[at]
    assert done.octets(0) == said[0] and opener.sequence == before
    assert done.read(done.pieces[39].offset, 10_000) == said[39]


def test_memory_of_a_transfer_in_clear(tmp_path: Path) -> None:
    size = 8 * MIB
    asked, answer = http1(size)
    client, server = ("192.0.2.1", 50000), ("198.51.100.9", 80)
    time = 1_700_000_000 * 10**9
    packets = [
        make(time=time, src=client, dst=server, flags=2, seq=0),
        make(time=time + 1000, src=server, dst=client, flags=18, seq=0, ack=1),
        make(time=time + 2000, src=client, dst=server, flags=24, seq=1, ack=1, payload=asked),
    ]
    for at in range(0, len(answer), 60_000):
        time += 10_000
        part, seen = answer[at : at + 60_000], 1 + len(asked)
        packets.append(make(time=time, src=server, dst=client, flags=24, seq=1 + at, ack=seen, payload=part))
        packets.append(make(time=time + 5, src=client, dst=server, flags=16, seq=seen, ack=1 + at + len(part)))
    path = write_pcap(packets, tmp_path / "clear.pcap")
    (connection,) = observe(path)
    judge(connection, Context())  # what is imported and cached at the first time
    tracemalloc.start()
    try:
        judge(connection, Context())
        http = watch_http(connection.streams, client=CLIENT, tls=False)
        total = sum(len(piece.data) for piece in connection.streams[SERVER].pieces)
        portions = [len(turn.data) for turn in turns(connection, (SERVER,), most=MIB)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert http is not None and http.messages[-1].body == size
    assert total == sum(portions) == len(answer) and max(portions) < MIB + 60_000
    assert peak < 5 * MIB
