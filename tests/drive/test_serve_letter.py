"""The server on a real socket, by the letter: one right alert, then FIN and no RST, and the next client is served."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec

import pytest

from synfin import tls
from synfin.drive.server import Patience
from tests.drive.letter import REQUEST, Evil, Lie, Seen, Talk, edited, extended
from tests.drive.serving import Site, site
from tests.support.tlsoctets import NEW, OLD, flip, message, record

UNEXPECTED, BAD_MAC, OVERFLOW, FAILURE, ILLEGAL, DECODE, DECRYPT, VERSION = (
    "2:10", "2:20", "2:22", "2:40", "2:47", "2:50", "2:51", "2:70",
)  # fmt: skip
VERSIONS = pytest.mark.parametrize("version", [NEW, OLD], ids=["1.3", "1.2"])
PATIENCE = Patience(handshake=3, head=2, idle=2, body=2)
#: pre_shared_key of one identity and one binder.
KEY = b"\0\7\0\1x" + bytes(4) + b"\0\x21\x20" + bytes(32)
Play = Callable[[int], Seen]
P = ParamSpec("P")
Row = tuple[str, str, Play]


def shaken(version: int, **more: Any) -> Play:
    """A handshake with lies in it, and a request if it is done."""

    def play(port: int) -> Seen:
        talk = Talk(port, version, **more)
        return talk.ask() if talk.shake() else talk.finish()

    return play


def after(version: int, act: Callable[[Talk], Any], *, ask: bool = False, **more: Any) -> Play:
    """A handshake, then ``act``."""

    def play(port: int) -> Seen:
        talk = Talk(port, version, **more)
        assert talk.shake(), talk.seen
        act(talk)
        return talk.ask() if ask else talk.finish()

    return play


def sealed(kind: int, content: bytes, count: int = 1) -> Callable[[Talk], None]:
    def act(talk: Talk) -> None:
        for _ in range(count):
            talk.end.seal(kind, content)

    return act


def clear(data: bytes, *, eof: bool = False) -> Play:
    """Octets instead of a handshake."""

    def play(port: int) -> Seen:
        talk = Talk(port)
        talk.end.take_output(0)
        talk.send(data)
        if eof:
            talk.sock.shutdown(socket.SHUT_WR)
        return talk.finish()

    return play


def damaged(talk: Talk) -> None:
    talk.end.send(REQUEST)
    talk.send(flip(bytes(talk.end.take_output(0))))


def over(talk: Talk) -> None:
    sealer = talk.end._sealer
    assert sealer is not None
    talk.send(sealer.seal_record(23, bytes(16385)))


def both_at_once(talk: Talk) -> None:
    talk.end.send(REQUEST)
    talk.end.close()


def close_and_more(talk: Talk) -> None:
    talk.end.close()
    talk.push()
    talk.send(bytes(9999))


def renegotiate(talk: Talk) -> None:
    other = Evil(talk.end.config, "localhost", now=time.time(), entropy=os.urandom)
    talk.end.seal(22, bytes(other.take_output(0))[5:])


def both(version: int) -> list[Row]:
    """What holds for either version."""

    def fin(body: bytes) -> dict[int, Any]:
        return {20: lambda raw: message(20, body)}

    rows: list[Row] = [
        ("sane", "ok", shaken(version)),
        ("messages in records of one octet", "ok", shaken(version, cutter=1)),
        ("HTTP/1.0 with bare LF", "ok", lambda port: _asked(port, version, b"GET /json HTTP/1.0\n\n")),
        ("request and close_notify at once", "ok", after(version, both_at_once)),
        ("Finished damaged", DECRYPT, shaken(version, lies={20: flip})),
        ("Finished empty", DECODE, shaken(version, lies=fin(b""))),
        ("Finished short", DECODE, shaken(version, lies={20: lambda raw: message(20, raw[4:-1])})),
        ("Finished long", DECODE, shaken(version, lies={20: lambda raw: message(20, raw[4:] + b"\0")})),
        ("no Finished", UNEXPECTED, shaken(version, lies={20: lambda raw: message(15, b"\4\3\0\1x")})),
        ("close_notify", "1:0", after(version, lambda t: t.end.close())),
        ("close_notify, then garbage", "1:0", after(version, close_and_more)),
        ("fatal alert", "", after(version, sealed(21, b"\2\x28"))),
        ("alert of no level", ILLEGAL, after(version, sealed(21, b"\7\x28"))),
        ("empty alert", UNEXPECTED, after(version, sealed(21, b""))),
        ("empty handshake record", UNEXPECTED, after(version, sealed(22, b""))),
        ("a few empty records", "ok", after(version, sealed(23, b"", 9), ask=True)),
        ("empty records without end", UNEXPECTED, after(version, sealed(23, b"", 999))),
        ("warnings without end", UNEXPECTED, after(version, sealed(21, b"\1\x5a", 99))),
        ("damaged record", BAD_MAC, after(version, damaged)),
        ("long record", OVERFLOW, after(version, over)),
        (
            "ChangeCipherSpec late",
            UNEXPECTED if version == NEW else BAD_MAC,
            after(version, lambda t: t.send(record(b"\1", 20))),
        ),
        ("ServerHello late", UNEXPECTED, after(version, sealed(22, message(2, bytes(9))))),
        ("no null compression", ILLEGAL, shaken(version, lies={1: lambda raw: edited(raw, compression_methods=(1,))})),
        ("no suite of ours", FAILURE, shaken(version, lies={1: lambda raw: edited(raw, cipher_suites=(0xABCD,))})),
        ("no suites", DECODE, shaken(version, lies={1: lambda raw: edited(raw, cipher_suites=())})),
        ("long session id", DECODE, shaken(version, lies={1: lambda raw: edited(raw, session_id=bytes(33))})),
        ("trailing octet", DECODE, shaken(version, lies={1: lambda raw: message(1, raw[4:] + b"\0")})),
        ("no schemes of ours", FAILURE, shaken(version, lies={1: extended(13, b"\0\2\xab\xcd")})),
        ("schemes empty", DECODE, shaken(version, lies={1: extended(13, b"\0\0")})),
        ("groups cut", DECODE, shaken(version, lies={1: extended(10, b"\0\4\0\x1d")})),
        ("unknown protocol", "2:120", shaken(version, alpn=(b"gopher",))),
        ("heartbeat ignored", "ok", shaken(version, lies={1: extended(15, b"\1")})),
    ]
    return rows


def _asked(port: int, version: int, request: bytes) -> Seen:
    talk = Talk(port, version)
    assert talk.shake()
    return talk.ask(request)


def of_13() -> list[Row]:
    def early(end: Evil) -> None:
        end._out.append(record(b"\1", 20) * 5)

    def update(body: bytes) -> Play:
        return after(NEW, sealed(22, message(24, body)))

    def many(talk: Talk) -> None:
        for _ in range(200):
            talk.end.update_keys(True)

    return [
        ("schemes absent", "2:109", shaken(NEW, lies={1: extended(13, None)})),
        ("shares absent", "2:109", shaken(NEW, lies={1: extended(51, None)})),
        ("groups absent", "2:109", shaken(NEW, lies={1: extended(10, None)})),
        ("share of zero", ILLEGAL, shaken(NEW, lies={1: extended(51, b"\0\x24\0\x1d\0\x20" + bytes(32))})),
        ("versions unknown", VERSION, shaken(NEW, lies={1: extended(43, b"\2\3\5")})),
        ("a key that is not last", ILLEGAL, shaken(NEW, lies={1: extended(41, KEY)})),
        ("another share wanted", "ok", shaken(NEW, shares=0)),
        ("ChangeCipherSpec five times", "ok", shaken(NEW, change=early)),
        ("ChangeCipherSpec of 2", UNEXPECTED, shaken(NEW, change=lambda end: end._out.append(record(b"\2", 20)))),
        ("no Finished, later keys", BAD_MAC, shaken(NEW, lies={20: lambda raw: b""})),
        ("KeyUpdate", "ok", after(NEW, lambda t: t.end.update_keys(True), ask=True)),
        ("KeyUpdate of 2", ILLEGAL, update(b"\2")),
        ("KeyUpdate empty", DECODE, update(b"")),
        ("KeyUpdate long", DECODE, update(b"\0\0")),
        ("KeyUpdates without end", UNEXPECTED, after(NEW, many)),
        ("ClientHello late", UNEXPECTED, after(NEW, sealed(22, message(1, bytes(41))))),
        ("padded records", "ok", shaken(NEW, padding=lambda size: 300)),
        ("alert of any level is fatal", "", after(NEW, sealed(21, b"\1\x28"))),
    ]  # fmt: skip


def of_12() -> list[Row]:
    def exchange(body: bytes | Callable[[bytes], bytes]) -> dict[int, Any]:
        return {16: lambda raw: message(16, body if isinstance(body, bytes) else body(raw[4:]))}

    scsv: dict[int, Any] = {1: lambda raw: edited(raw, cipher_suites=(0x5600, 0xC02B))}
    return [
        ("fallback", "2:86", shaken(OLD, lies=scsv)),
        ("TLS 1.1", VERSION, shaken(OLD, lies={1: lambda raw: edited(raw, legacy_version=0x0302)})),
        ("schemes absent", FAILURE, shaken(OLD, lies={1: extended(13, None)})),
        ("renegotiation_info not empty", FAILURE, shaken(OLD, lies={1: extended(0xFF01, b"\1x")})),
        ("key exchange empty", DECODE, shaken(OLD, lies=exchange(b""))),
        ("key exchange trailing", DECODE, shaken(OLD, lies=exchange(lambda body: body + b"\0"))),
        ("point of zero", ILLEGAL, shaken(OLD, lies=exchange(b"\x20" + bytes(32)))),
        ("point short", ILLEGAL, shaken(OLD, lies=exchange(lambda body: b"\x1f" + body[1:32]))),
        ("point of another", BAD_MAC, shaken(OLD, lies=exchange(flip))),
        ("certificate unasked", UNEXPECTED, shaken(OLD, lies={16: lambda raw: message(11, b"\0\0\0")})),
        ("no ChangeCipherSpec", UNEXPECTED, shaken(OLD, change=lambda end: None)),
        ("ChangeCipherSpec of 2", UNEXPECTED, shaken(OLD, change=lambda end: end._out.append(record(b"\2", 20)))),
        ("renegotiation", "1:100 ok", after(OLD, renegotiate, ask=True)),
        ("warning passed over", "ok", after(OLD, sealed(21, b"\1\x5a"), ask=True)),
        ("record version", VERSION, after(OLD, lambda t: t.send(record(bytes(40), 23, 0x0302)))),
        ("no extended_master_secret", "ok", shaken(OLD, lies={1: extended(23, None)})),
    ]


CLEAR: list[Row] = [
    ("HTTP", UNEXPECTED, clear(b"GET / HTTP/1.1\r\n\r\n")),
    ("SSL 2", VERSION, clear(b"\x80\x2e\1\0\2\0\x15" + bytes(39))),
    ("garbage", UNEXPECTED, clear(b"\xff" * 70_000)),
    ("long record", OVERFLOW, clear(b"\x16\3\1\x40\1" + bytes(16385))),
    ("giant hello", DECODE, clear(b"\x16\3\1\0\4\1\xff\xff\xff")),
    ("empty hello", DECODE, clear(record(message(1, b"")))),
    ("empty record", UNEXPECTED, clear(record(b""))),
    ("data first", UNEXPECTED, clear(record(b"x", 23))),
    ("ChangeCipherSpec first", UNEXPECTED, clear(record(b"\1", 20))),
    ("heartbeat", UNEXPECTED, clear(record(bytes(9), 24))),
    ("alert of three octets", DECODE, clear(record(b"\2\x28\0", 21))),
    ("close_notify first", "1:0", clear(record(b"\1\0", 21))),
    ("fatal alert first", "", clear(record(b"\2\x28", 21))),
    ("nothing", "", clear(b"", eof=True)),
    ("silence", "", clear(b"")),
    ("half a header", "", clear(b"\x16\3", eof=True)),
    ("half a hello", "", clear(b"\x16\3\1\2\0\1\0\1\xfc", eof=True)),
    ("a slow hello", "", clear(b"\x16\3\1\2\0\1\0\1\xfc")),
]


def in_a_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


async def _quiet(at: Site) -> None:
    """Wait until the server has let go of every connection."""
    for _ in range(100):
        if not at.server.connections:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{at.server.connections} connections are left")


def _open_files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


async def _played(at: Site, rows: Iterable[Row]) -> list[str]:
    """Rows whose verdict is another than theirs."""
    listed = list(rows)

    def play(row: Row) -> str:
        return row[2](at.port).verdict

    def all_of_them() -> list[str]:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(play, listed))
        return [
            f"{what}: {found}, not {want}"
            for (what, want, _), found in zip(listed, found, strict=True)
            if found != want
        ]

    wrong = await asyncio.to_thread(all_of_them)
    await at.alive()
    return wrong


@VERSIONS
@in_a_loop
async def test_alerts_and_ends(tmp_path: Path, version: int) -> None:
    async with site(tmp_path, patience=PATIENCE) as at:
        assert await _played(at, [*both(version), *(of_13() if version == NEW else of_12())]) == []


@in_a_loop
async def test_other_things_than_a_handshake(tmp_path: Path) -> None:
    async with site(tmp_path, patience=PATIENCE) as at:
        assert await _played(at, CLEAR) == []


def _session(port: int, version: int, **more: Any) -> Any:
    talk = Talk(port, version, **more)
    assert talk.shake()
    seen = talk.ask()
    return next(event.session for event in seen.events if isinstance(event, tls.Ticket))


@VERSIONS
@in_a_loop
async def test_tickets_by_the_letter(tmp_path: Path, version: int) -> None:
    """What cannot be opened leads to a full handshake; a wrong binder or a lost extended master secret ends it."""

    def full(change: Callable[[Any], Any], **more: Any) -> Play:
        def play(port: int) -> Seen:
            talk = Talk(port, version, session=change(_session(port, version)), **more)
            if not talk.shake():
                return talk.finish()
            assert talk.end.facts is not None and talk.end.facts.resumed == (change is bytes_kept)
            return talk.ask()

        return play

    def bytes_kept(session: Any) -> Any:
        return session

    rows: list[Row] = [
        ("kept", "ok", full(bytes_kept)),
        ("damaged", "ok", full(lambda s: replace(s, ticket=flip(s.ticket)))),
        ("cut", "ok", full(lambda s: replace(s, ticket=s.ticket[:20]))),
        ("garbage", "ok", full(lambda s: replace(s, ticket=os.urandom(200)))),
        ("long", "ok", full(lambda s: replace(s, ticket=s.ticket + bytes(9999)))),
        ("another name", "ok", full(lambda s: replace(s, server_name="127.0.0.1"), name="127.0.0.1")),
    ]
    if version == NEW:
        rows.append(("another secret", DECRYPT, full(lambda s: replace(s, secret=flip(s.secret)))))
    else:
        lost: Lie = lambda raw: edited(raw, cipher_suites=(0xCCA9,))  # noqa: E731
        rows.append(("suite of the session not offered", ILLEGAL, full(bytes_kept, lies={1: lost})))
        rows.append(("not extended", FAILURE, full(bytes_kept, lies={1: extended(23, None)})))
    async with site(tmp_path, patience=PATIENCE) as at:
        assert await _played(at, rows) == []


@in_a_loop
async def test_refused_early_data_is_skipped_within_bounds(tmp_path: Path) -> None:
    """RFC 8446 4.2.10."""

    def early(*sizes: int, **more: Any) -> Play:
        def play(port: int) -> Seen:
            session = replace(_session(port, NEW), max_early_data=1 << 20)
            talk = Talk(port, NEW, session=session, early_data=True, **more)
            for size in sizes:
                talk.end.send_early(bytes(size))
            return talk.ask() if talk.shake() else talk.finish()

        return play

    rows: list[Row] = [
        ("some", "ok", early(5)),
        ("more", "ok", early(100, 1000, 16000)),
        ("before a retry", "ok", early(100, shares=0)),
        ("too much", UNEXPECTED, early(*[16000] * 9)),
    ]
    async with site(tmp_path, patience=PATIENCE) as at:
        assert await _played(at, rows) == []


@in_a_loop
async def test_nothing_is_left_of_a_thousand_bad_connections(tmp_path: Path) -> None:
    async with site(tmp_path, patience=PATIENCE) as at:
        await at.alive()
        await _quiet(at)
        before, tasks = _open_files(), len(asyncio.all_tasks())
        quick = [row for row in CLEAR if row[0] not in ("silence", "a slow hello")]
        assert await _played(at, quick * 65) == []
        await _quiet(at)
        assert len(asyncio.all_tasks()) == tasks
        assert _open_files() <= before + 2
        assert "Traceback" not in at.log
