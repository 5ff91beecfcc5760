"""The filter that the kernel runs over every packet for us: a classic BPF program, assembled here.

It decides which packets reach a live capture at all: segments and datagrams between watched addresses and ports, and
the ICMP errors that may speak of them (which of those do is looked at later, as they quote a packet).  The packets
begin with their IP header, as a cooked packet socket delivers them, so one program serves every kind of link.  Left
out: later fragments (TCP avoids them, RFC 9293 3.7.5) and segments behind IPv6 extension headers.

The machine is the kernel's (Documentation/networking/filter.rst): an accumulator, an index, jumps forward only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

TCP, UDP = 6, 17
#: How much of a packet the kernel hands over; all of it.
WHOLE = 0x40000
#: Instructions of a program at most, so that with ``once`` they are as many as the kernel takes (BPF_MAXINSNS).
MOST = 4096 - 5

_LD_WORD, _LD_HALF, _LD_BYTE, _LD_HALF_X, _LD_BYTE_X = 0x20, 0x28, 0x30, 0x48, 0x50
_LDX_HEADER = 0xB1  # X = 4 * (octet & 15): where an IPv4 header ends
#: Where loads do not read the packet but what the kernel knows of it (SKF_AD_OFF).
_ANCILLARY = 0xFFFFF000
_AND, _JEQ, _JSET, _RET = 0x54, 0x15, 0x45, 0x06


class Instruction(NamedTuple):
    """One instruction as the kernel takes it: code, how far to jump when true and when false, operand."""

    code: int
    true: int
    false: int
    k: int


class Watch(NamedTuple):
    """What to take: packets between ``server`` at ``port`` and anybody, both ways; ``client_port`` narrows it.

    ``server`` None is any address.
    """

    server: IPv4Address | IPv6Address | None
    port: int
    client_port: int | None = None
    protocol: int = TCP


def program(watches: Iterable[Watch]) -> list[Instruction]:
    """The program that takes what any of ``watches`` takes.  ValueError for more of them than the kernel takes."""
    listed = list(watches)
    if not listed:
        return [Instruction(_RET, 0, 0, 0)]
    four = _family(4, [watch for watch in listed if not isinstance(watch.server, IPv6Address)])
    six = _family(6, [watch for watch in listed if not isinstance(watch.server, IPv4Address)])
    code = [
        Instruction(_LD_BYTE, 0, 0, 0),
        Instruction(_AND, 0, 0, 0xF0),
        Instruction(_JEQ, 1, 0, 0x40),
        Instruction(0x05, 0, 0, len(four)),  # ja: not IPv4
        *four,
        Instruction(_JEQ, 1, 0, 0x60),
        Instruction(_RET, 0, 0, 0),
        *six,
    ]
    if len(code) > MOST:
        raise ValueError(f"{len(listed)} connections are more than one kernel filter takes")
    return code


def once() -> list[Instruction]:
    """What goes before a program so that packets on loopback, which pass twice, are taken when they come in only."""
    return [
        Instruction(_LD_WORD, 0, 0, _ANCILLARY + 4),  # the packet's kind
        Instruction(_JEQ, 0, 3, 4),  # PACKET_OUTGOING
        Instruction(_LD_WORD, 0, 0, _ANCILLARY + 28),  # the kind of its device
        Instruction(_JEQ, 0, 1, 772),  # ARPHRD_LOOPBACK
        Instruction(_RET, 0, 0, 0),
    ]


def packed(code: list[Instruction]) -> bytes:
    """The program as an array of struct sock_filter."""
    return b"".join([struct.pack("@HBBI", *one) for one in code])


def _family(version: int, watches: list[Watch]) -> list[Instruction]:
    """What is done with a packet of one IP version; every path ends in it."""
    code = [Instruction(_LDX_HEADER, 0, 0, 0)] if version == 4 else []
    if version == 4:
        code += [Instruction(_LD_HALF, 0, 0, 6), Instruction(_JSET, 0, 1, 0x1FFF), Instruction(_RET, 0, 0, 0)]
    for watch in watches:
        code += _directions(version, watch)
    code.append(Instruction(_LD_BYTE, 0, 0, 9 if version == 4 else 6))
    code += [Instruction(_JEQ, 1, 0, 1 if version == 4 else 58), Instruction(_RET, 0, 0, 0)]
    code.append(Instruction(_LD_BYTE_X, 0, 0, 0) if version == 4 else Instruction(_LD_BYTE, 0, 0, 40))
    for kind in (3, 11, 12) if version == 4 else (1, 2, 3, 4):  # ICMP errors
        code += [Instruction(_JEQ, 0, 1, kind), Instruction(_RET, 0, 0, WHOLE)]
    return [*code, Instruction(_RET, 0, 0, 0)]


def _directions(version: int, watch: Watch) -> list[Instruction]:
    return [*_one_way(version, watch, to_server=True), *_one_way(version, watch, to_server=False)]


def _one_way(version: int, watch: Watch, *, to_server: bool) -> list[Instruction]:
    """Take the packet when everything fits; else go on behind this."""
    pairs = [(Instruction(_LD_BYTE, 0, 0, 9 if version == 4 else 6), watch.protocol)]
    if watch.server is not None:
        octets = watch.server.packed
        start = (16 if to_server else 12) if version == 4 else (24 if to_server else 8)
        pairs += [
            (Instruction(_LD_WORD, 0, 0, start + at), int.from_bytes(octets[at : at + 4], "big"))
            for at in range(0, len(octets), 4)
        ]
    code = Instruction(_LD_HALF_X, 0, 0, 0) if version == 4 else Instruction(_LD_HALF, 0, 0, 40)
    pairs.append((code._replace(k=code.k + (2 if to_server else 0)), watch.port))
    if watch.client_port is not None:
        pairs.append((code._replace(k=code.k + (0 if to_server else 2)), watch.client_port))
    out: list[Instruction] = []
    for place, (load, value) in enumerate(pairs):
        out += [load, Instruction(_JEQ, 0, 2 * (len(pairs) - place) - 1, value)]
    return [*out, Instruction(_RET, 0, 0, WHOLE)]
