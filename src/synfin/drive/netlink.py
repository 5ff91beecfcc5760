"""The few words of rtnetlink (RFC 3549) that a TUN device needs: up, MTU, addresses, a default route.

Spoken by a socket of ours and not by the ``ip`` command, which small containers lack.  Every function works on the
network namespace the calling thread is in.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from ipaddress import IPv4Interface, IPv6Interface

from synfin.errors import UsageError

_NEWLINK, _NEWADDR, _NEWROUTE = 16, 20, 24
_REQUEST, _ACK, _REPLACE, _CREATE = 0x01, 0x04, 0x100, 0x400
_IFF_UP = 1
_IFLA_MTU, _IFLA_AF_SPEC, _ADDR_GEN_MODE, _GEN_NONE = 4, 26, 8, 1
_IFA_ADDRESS, _IFA_LOCAL, _NODAD = 1, 2, 0x02
_RTA_OIF, _MAIN_TABLE, _STATIC, _UNICAST = 4, 254, 4, 1
_ERROR = 2


def up(name: str, mtu: int = 0) -> None:
    """Bring a device up, with an MTU where one is given; it makes no link-local address of its own."""
    index = socket.if_nametoindex(name)
    quiet = _attribute(_IFLA_AF_SPEC, _attribute(socket.AF_INET6, _attribute(_ADDR_GEN_MODE, bytes((_GEN_NONE,)))))
    try:
        _ask(_NEWLINK, 0, struct.pack("=BxHiII", 0, 0, index, 0, 0) + quiet)
    except OSError:
        pass  # a kernel without IPv6 knows no such mode
    more = _attribute(_IFLA_MTU, struct.pack("=I", mtu)) if mtu else b""
    _ask(_NEWLINK, 0, struct.pack("=BxHiII", 0, 0, index, _IFF_UP, _IFF_UP) + more)


def add_address(name: str, address: IPv4Interface | IPv6Interface) -> None:
    """Give a device an address, usable at once (no duplicate address detection); UsageError when it cannot have it."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    head = struct.pack("=BBBBi", family, address.network.prefixlen, _NODAD, 0, socket.if_nametoindex(name))
    packed = address.ip.packed
    try:
        _ask(_NEWADDR, _CREATE | _REPLACE, head + _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed))
    except OSError as error:
        if address.version == 6 and error.errno in (errno.EOPNOTSUPP, errno.EACCES, errno.EPERM):
            raise UsageError(f"this machine has no IPv6 for {address}: leave that address out") from error
        raise UsageError(f"device {name} cannot have address {address}: {os.strerror(error.errno or 0)}") from error


def add_default_route(name: str, version: int) -> None:
    """Send what has no other way to a device."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    head = struct.pack("=BBBBBBBBI", family, 0, 0, 0, _MAIN_TABLE, _STATIC, 0, _UNICAST, 0)
    _ask(_NEWROUTE, _CREATE | _REPLACE, head + _attribute(_RTA_OIF, struct.pack("=i", socket.if_nametoindex(name))))


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


def _ask(kind: int, flags: int, body: bytes) -> None:
    """One request; OSError with the kernel's number when it is refused."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
        link.send(struct.pack("=IHHII", 16 + len(body), kind, flags | _REQUEST | _ACK, 1, 0) + body)
        answer = link.recv(65536)
    if struct.unpack_from("=H", answer, 4)[0] == _ERROR:
        code = -struct.unpack_from("=i", answer, 16)[0]
        if code:
            raise OSError(code, os.strerror(code))
