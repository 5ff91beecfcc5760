"""A TUN device of our own: the kernel's network on one side, our endpoint on the other.

The device carries super-segments of 64 KiB both ways and leaves checksums to the kernel (``vnet`` has the header), or
neither, for who wants packets as a wire has them.  It is never made persistent: when its descriptor is closed, by
whatever end of the process, the device is gone, with its addresses and routes.  ``kernel`` names the addresses the
kernel gets on it, with their networks; all other addresses of those networks are ours to answer for.

Linux only (tun.txt of the kernel's documentation); needs CAP_NET_ADMIN in the network namespace it is made in.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_interface

from synfin.drive import netlink
from synfin.drive.vnet import VNET_SIZE
from synfin.errors import UsageError

_SETIFF, _SETOFFLOAD, _SETVNETHDRSZ = 0x400454CA, 0x400454D0, 0x400454D8
_IFF_TUN, _NO_PI, _VNET_HDR = 0x0001, 0x1000, 0x4000
_F_CSUM, _F_TSO4, _F_TSO6 = 1, 2, 4
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,15}\Z")


@dataclass(slots=True)
class Tun:
    """An open device; ``offload``: reads and writes begin with a virtio-net header."""

    fd: int
    name: str
    offload: bool
    kernel: tuple[IPv4Interface | IPv6Interface, ...]

    @classmethod
    def open(
        cls, kernel: Sequence[str], *, name: str = "", mtu: int = 1500, offload: bool = True, route: bool = False
    ) -> Tun:
        """Make the device in this network namespace and bring it up.

        ``kernel``: addresses with networks ("192.0.2.1/24").  ``name`` "" lets the kernel choose.  ``route`` sends all
        that has no other way here too.  UsageError when there is no TUN, no right, no such address, or it is taken.
        """
        places = tuple(_interface(text) for text in kernel)
        if name and not _NAME.match(name):
            raise UsageError(f"{name!r} is no name for a device: at most 15 letters, digits, '.', '_' or '-'")
        if not 68 <= mtu <= 65535:
            raise UsageError(f"a device cannot have an MTU of {mtu}: choose 68 to 65535")
        fd, made = _device(name, offload)
        tun = cls(fd, made, offload, places)
        try:
            netlink.up(made, mtu)
            for place in places:
                netlink.add_address(made, place)
            if route:
                for version in sorted({place.version for place in places}):
                    netlink.add_default_route(made, version)
        except OSError as error:
            tun.close()
            raise UsageError(f"cannot set up device {made}: {error.strerror}") from error
        except BaseException:
            tun.close()
            raise
        return tun

    def close(self) -> None:
        """Close the descriptor: the device is gone."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Tun:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _interface(text: str) -> IPv4Interface | IPv6Interface:
    try:
        found = ip_interface(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no address with its network; write it like 192.0.2.1/24") from error
    if "/" not in text:
        raise UsageError(f"{text!r} says no network; write it like {text}/{24 if found.version == 4 else 64}")
    if found.is_unspecified or found.is_multicast or found.is_loopback or not found.network.prefixlen:
        raise UsageError(f"{text} is no address a device can have; write one like 192.0.2.1/24")
    return found


def _device(name: str, offload: bool) -> tuple[int, str]:
    """(descriptor, name) of a new device."""
    try:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
            raise UsageError(
                "there is no /dev/net/tun here: load the module `tun` (a container wants --device /dev/net/tun)"
            ) from error
        raise UsageError(f"cannot open /dev/net/tun: {error.strerror}") from error
    try:
        flags = _IFF_TUN | _NO_PI | (_VNET_HDR if offload else 0)
        answer = fcntl.ioctl(fd, _SETIFF, struct.pack("16sH22x", (name or "synfin%d").encode(), flags))
        if offload:
            fcntl.ioctl(fd, _SETVNETHDRSZ, struct.pack("i", VNET_SIZE))
            fcntl.ioctl(fd, _SETOFFLOAD, _F_CSUM | _F_TSO4 | _F_TSO6)
    except OSError as error:
        os.close(fd)
        if error.errno in (errno.EPERM, errno.EACCES):
            raise UsageError("needs CAP_NET_ADMIN to make a TUN device: run it as root") from error
        if error.errno in (errno.EBUSY, errno.EINVAL) and name:
            raise UsageError(f"device {name} is in use, or no TUN device: choose another name") from error
        raise UsageError(f"cannot make a TUN device: {error.strerror}") from error
    return fd, answer[:16].rstrip(b"\0").decode()
