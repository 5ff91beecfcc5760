"""A reader of ClientHellos that knows nothing of ``synfin.wire``, and the rules that each of them keeps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from synfin.tls import Client, Session
from tests.support.tlsoctets import NEW, OLD
from tests.tls.ends import NAME, NOW, client_config

GREASE = frozenset(0x0A0A + 0x1010 * index for index in range(16))
SHARES = {0x11EC: 1216, 29: 32, 23: 65, 24: 97, 25: 133, 30: 56, 256: 256, 257: 384}
#: Extensions that only TLS 1.3 has a use for, and only TLS 1.2.
ONLY_13, ONLY_12 = {27, 41, 42, 43, 44, 45, 49, 51}, {11, 22, 23, 35, 0xFF01}


class Octets:
    """Reads what must be there, and nothing else."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        assert self.at + size <= len(self.data), "cut short"
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, prefix: int) -> Octets:
        return Octets(self.take(self.number(prefix)))

    def rest(self) -> Iterator[Octets]:
        while self.at < len(self.data):
            yield self

    def numbers(self, size: int = 2) -> list[int]:
        return [one.number(size) for one in self.rest()]


def listed(body: bytes, prefix: int = 2, size: int = 2) -> list[int]:
    """The numbers of a body that is one vector."""
    octets = Octets(body)
    found = octets.vector(prefix).numbers(size)
    assert octets.at == len(body), "octets after the vector"
    return found


@dataclass
class Hello:
    """A ClientHello as it stands in its records."""

    records: list[tuple[int, int, int]]
    random: bytes
    session_id: bytes
    suites: list[int]
    extensions: list[tuple[int, bytes]]

    def body(self, number: int) -> bytes:
        return dict(self.extensions)[number]

    def has(self, number: int) -> bool:
        return number in dict(self.extensions)

    @property
    def groups(self) -> list[int]:
        return [group for group in listed(self.body(10)) if group not in GREASE] if self.has(10) else []

    @property
    def shares(self) -> list[tuple[int, bytes]]:
        octets = Octets(self.body(51))
        found = [(one.number(2), one.vector(2).data) for one in octets.vector(2).rest()]
        assert octets.at == len(octets.data)
        return found


def read(output: bytes) -> Hello:
    """The hello that ``output`` starts with; records after it are left."""
    octets, message, records = Octets(bytes(output)), b"", []
    while len(message) < 4 or len(message) < 4 + int.from_bytes(message[1:4], "big"):
        kind, version, part = octets.number(1), octets.number(2), octets.vector(2).data
        records.append((kind, version, len(part)))
        message += part
    inner = Octets(message)
    assert inner.number(1) == 1
    inner = inner.vector(3)
    assert 4 + len(inner.data) == len(message)  # the record ends with the message
    assert inner.number(2) == 0x0303
    random, session_id = inner.take(32), inner.vector(1).data
    suites = inner.vector(2).numbers()
    assert inner.vector(1).data == b"\0"
    extensions = [(one.number(2), one.vector(2).data) for one in inner.vector(2).rest()]
    assert inner.at == len(inner.data)
    return Hello(records, random, session_id, suites, extensions)


class Shown(Client):
    """A client that shows its offer."""

    @property
    def made(self) -> Any:
        return self.state.offer  # type: ignore[union-attr]


def checked(one: Shown, output: bytes, second: bool = False) -> Hello:
    """Read, and hold to every rule that needs no knowledge of what came before."""
    config, found = one.config, read(output)
    new, old = bool(config.suites_13), bool(config.suites_12)
    assert {record[:2] for record in found.records} == {(22, 0x0303 if second else 0x0301)}
    assert all(0 < record[2] <= 1 << 14 for record in found.records)
    numbers = [number for number, _ in found.extensions]
    assert len(set(numbers)) == len(numbers)
    plain = [number for number in numbers if number not in GREASE]
    assert len(numbers) - len(plain) == (2 if config.grease else 0)
    assert not ONLY_13.intersection(plain) if not new else not ONLY_12.intersection(plain) or old
    assert 41 not in numbers or numbers[-1] == 41
    suites = [code for code in found.suites if code not in GREASE]
    assert len(set(found.suites)) == len(found.suites)
    assert set(suites) <= set(config.suites)
    assert len(found.suites) - len(suites) == bool(config.grease)
    assert len(found.session_id) == (32 if new and config.middlebox_compatibility else 0) or one.made.old_session
    assert len(set(found.groups)) == len(found.groups)
    assert found.groups == [group for group in config.groups if group in found.groups]
    schemes = listed(found.body(13))
    assert schemes
    assert len(set(schemes)) == len(schemes)
    assert set(schemes) <= set(config.schemes)
    if new:
        versions = listed(found.body(43), 1)
        assert [v for v in versions if v not in GREASE] == [NEW] + [OLD] * old
        assert found.has(45) == (config.ask_tickets or found.has(41)) or second
        assert not found.has(45) or listed(found.body(45), 1, 1) == [1]
        shares = [(group, share) for group, share in found.shares if group not in GREASE]
        assert all(len(share) == SHARES[group] for group, share in shares)
        named = [group for group, _ in shares]
        assert named == [group for group in found.groups if group in named]
        assert all(group in listed(found.body(10)) for group, _ in found.shares)
        assert len({share for _, share in shares}) == len(shares)
    if old:
        elliptic = bool({23, 24, 25, 29, 30}.intersection(found.groups))
        ecdhe = any(code >> 8 in (0xC0, 0xCC) and code not in (0xC09C, 0xCCAA) for code in suites)
        assert found.has(11) == (elliptic and ecdhe)
        assert found.body(0xFF01) == b"\0"
        assert found.body(23) == b""
    if found.has(0):
        octets = Octets(Octets(found.body(0)).vector(2).data)
        assert (octets.number(1), octets.vector(2).data.decode()) == (0, one.server_name)
    if found.has(16):
        assert [v.vector(1).data for v in Octets(Octets(found.body(16)).vector(2).data).rest()] == list(config.alpn)
    if found.has(28):
        assert 64 <= int.from_bytes(found.body(28), "big") <= (1 << 14) + new
    for number in (49, 42, 22, 18):
        assert not found.has(number) or found.body(number) == b""
    assert found.has(44) <= second
    assert not found.has(42) or found.has(41)
    if found.has(41):
        octets = Octets(found.body(41))
        identities = [(one.vector(2).data, one.number(4)) for one in octets.vector(2).rest()]
        binders = [one.vector(1).data for one in octets.vector(2).rest()]
        assert octets.at == len(octets.data)
        assert len(identities) == len(binders) == 1
        assert identities[0][0]
        assert len(binders[0]) in (32, 48)
        assert any(binders[0])
    return found


def first(session: Session | None = None, name: str | None = NAME, **more: Any) -> Hello:
    one = Shown(client_config(**more), name, now=NOW, entropy=os.urandom, session=session)
    return checked(one, bytes(one.take_output(NOW)))
