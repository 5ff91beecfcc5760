"""A plain walk over both directions of a session that opens every record, written for tests only."""

from __future__ import annotations

from dataclasses import dataclass, field

from synfin.spec import keys
from synfin.spec.protection import Aead13, Protection, opener_13, openers_12, prf_hash
from synfin.spec.transcript import Transcript
from synfin.wire.tls.suites import suite


def records(data: bytes) -> list[tuple[int, int, bytes]]:
    """(type, version, fragment) of each record."""
    found = []
    at = 0
    while at + 5 <= len(data):
        size = int.from_bytes(data[at + 3 : at + 5], "big")
        found.append((data[at], int.from_bytes(data[at + 1 : at + 3], "big"), data[at + 5 : at + 5 + size]))
        at += 5 + size
    return found


@dataclass
class Hello:
    """What a ServerHello chose."""

    version: int
    cipher: int
    random: bytes
    extensions: dict[int, bytes] = field(default_factory=dict)


def server_hello(message: bytes) -> Hello:
    """Read a ServerHello, header included."""
    version = int.from_bytes(message[4:6], "big")
    random = message[6:38]
    at = 39 + message[38]
    hello = Hello(version, int.from_bytes(message[at : at + 2], "big"), random)
    at += 5
    while at + 4 <= len(message):
        size = int.from_bytes(message[at + 2 : at + 4], "big")
        hello.extensions[int.from_bytes(message[at : at + 2], "big")] = message[at + 4 : at + 4 + size]
        at += 4 + size
    if 43 in hello.extensions:
        hello.version = int.from_bytes(hello.extensions[43], "big")
    return hello


@dataclass
class Opened:
    """What was in a session: application data by sender, counts, and the Finished messages that were verified."""

    hello: Hello
    data: list[bytearray] = field(default_factory=lambda: [bytearray(), bytearray()])
    opened: int = 0
    finished: int = 0
    key_updates: int = 0


def _messages(buffer: bytearray) -> list[bytes]:
    found = []
    while len(buffer) >= 4 and len(buffer) >= 4 + int.from_bytes(buffer[1:4], "big"):
        size = 4 + int.from_bytes(buffer[1:4], "big")
        found.append(bytes(buffer[:size]))
        del buffer[:size]
    return found


def open_session(wire: tuple[bytes, bytes], secrets: dict[tuple[str, bytes], bytes]) -> Opened:
    """Open every protected record of both directions; any that does not open raises BadRecord."""
    client_hello = records(bytes(wire[0]))[0][2]
    client_random = client_hello[6:38]
    result = Opened(server_hello(records(bytes(wire[1]))[0][2]))
    hello = result.hello
    if hello.version == keys.TLS13:
        for side, name in enumerate(("CLIENT", "SERVER")):
            _open_13(result, side, bytes(wire[side]), name, secrets, client_random)
    else:
        master = secrets["CLIENT_RANDOM", client_random]
        pair = openers_12(hello.version, hello.cipher, master, client_random, hello.random, 22 in hello.extensions)
        for side in (0, 1):
            _open_12(result, side, bytes(wire[side]), pair[side])
        _finished_12(result, wire, pair, master, client_random)
    return result


def _open_13(
    result: Opened, side: int, wire: bytes, name: str, secrets: dict[tuple[str, bytes], bytes], random: bytes
) -> None:
    code = result.hello.cipher
    opener: Aead13 = opener_13(code, secrets[f"{name}_HANDSHAKE_TRAFFIC_SECRET", random])
    pending = bytearray()
    for kind, version, fragment in records(wire):
        if kind != 23:
            continue
        inner, plain = opener.open_record(kind, version, fragment)
        result.opened += 1
        if inner == 23:
            result.data[side] += plain
        elif inner == 22:
            pending += plain
            for message in _messages(pending):
                if message[0] == 20:
                    result.finished += 1
                    opener = opener_13(code, secrets[f"{name}_TRAFFIC_SECRET_0", random])
                elif message[0] == 24:
                    result.key_updates += 1
                    opener = opener.updated()


def _open_12(result: Opened, side: int, wire: bytes, opener: Protection) -> None:
    protected = False
    for kind, version, fragment in records(wire):
        if protected:
            inner, plain = opener.open_record(kind, version, fragment)
            result.opened += 1
            if inner == 23:
                result.data[side] += plain
        protected = protected or kind == 20


def _finished_12(
    result: Opened, wire: tuple[bytes, bytes], old: tuple[Protection, Protection], master: bytes, client_random: bytes
) -> None:
    """Verify both Finished of a full handshake with fresh openers (the first protected record of each side)."""
    hello = result.hello
    pair = openers_12(hello.version, hello.cipher, master, client_random, hello.random, 22 in hello.extensions)
    flights: list[list[bytes]] = [[], []]
    finished = [b"", b""]
    for side in (0, 1):
        pending = bytearray()
        for kind, version, fragment in records(bytes(wire[side])):
            if kind == 22:
                pending += fragment
            elif kind == 20:
                flights[side] = _messages(pending)
            if flights[side] and kind == 22:
                finished[side] = pair[side].open_record(kind, version, fragment)[1]
                break
    chosen = suite(hello.cipher)
    if chosen is None:
        raise ValueError("unknown suite")
    hash_name = prf_hash(chosen)
    transcript = Transcript()
    transcript.choose(*((hash_name,) if hello.version >= keys.TLS12 else ("md5", "sha1")))
    server = [message for message in flights[1] if message[0] != 4]
    tickets = [message for message in flights[1] if message[0] == 4]
    for message in (flights[0][0], *server, *flights[0][1:]):
        transcript.add(message)
    if keys.verify_data_12(hello.version, hash_name, master, "client", transcript) == finished[0][4:]:
        result.finished += 1
    for message in (finished[0], *tickets):
        transcript.add(message)
    if keys.verify_data_12(hello.version, hash_name, master, "server", transcript) == finished[1][4:]:
        result.finished += 1
