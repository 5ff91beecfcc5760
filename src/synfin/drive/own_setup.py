"""Our own TCP for a command: which addresses it gets, the device, and how it reaches servers of this machine.

Nothing here leads beyond the machine: the device's networks are routed to it, no more, and only addresses of this
machine are connected to.  Loopback addresses cannot cross a device (the kernel takes them for forged), so they stand
for the kernel's address on it: a server that listens on all addresses answers there.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_address, ip_interface
from pathlib import Path

from synfin.drive.eyeballs import Attempt
from synfin.drive.own import BULK, OwnStack
from synfin.drive.own_pipe import OwnListener, OwnPipe
from synfin.drive.tun import Tun
from synfin.errors import UsageError
from synfin.tcp import Config

#: Ours, of networks that lead nowhere: documentation (RFC 5737) and a unique local prefix (RFC 4193).  The first IPv4
#: network that this machine does not use is taken.
FOUR = ("198.51.100.2/24", "203.0.113.2/24", "192.0.2.2/24")
SIX = "fd73:796e:6669:6e::2/64"
#: The port that stands for "any".
_ANY_PORT = 49152


@dataclass(frozen=True, slots=True)
class OwnPlace:
    """Our addresses with their networks; the kernel takes the first other address of each.  ``name``: the device."""

    addresses: tuple[IPv4Interface | IPv6Interface, ...]
    name: str = ""

    @property
    def kernel(self) -> tuple[str, ...]:
        """The kernel's addresses, with networks."""
        taken = {place.ip for place in self.addresses}
        found = []
        for network in dict.fromkeys(place.network for place in self.addresses):
            first = next(host for host in network.hosts() if host not in taken)
            found.append(f"{first}/{network.prefixlen}")
        return tuple(found)

    def stack(self, config: Config = BULK) -> OwnStack:
        """The device and the stack behind it, in the running loop; UsageError where it cannot be."""
        known = routed()
        for place in self.addresses:
            for device, network in known:
                if place.network.overlaps(network):
                    raise UsageError(
                        f"{place.network} overlaps {network}, which this machine reaches by {device}: "
                        "choose another network with --address"
                    )
        tun = Tun.open(self.kernel, name=self.name)
        try:
            return OwnStack(tun, [str(place.ip) for place in self.addresses], config)
        except BaseException:
            tun.close()
            raise


def own_place(addresses: Sequence[str] = (), name: str = "") -> OwnPlace:
    """What the options ``--address`` and ``--tun-name`` say; UsageError for what cannot be."""
    places = []
    for text in addresses or _defaults():
        try:
            place = ip_interface(text)
        except ValueError as error:
            raise UsageError(f"--address {text}: write an address with its network, like {FOUR[0]}") from error
        if place.network.num_addresses < 4:
            raise UsageError(f"--address {text}: that network has no room for the kernel's side; /24 or /64 would do")
        if place.is_loopback or place.is_multicast or place.is_unspecified:
            raise UsageError(f"--address {text}: no address for a host; write one like {FOUR[0]}")
        places.append(place)
    return OwnPlace(tuple(places), name)


def _defaults() -> tuple[str, ...]:
    used = [network for _, network in routed()]
    free = [text for text in FOUR if not any(ip_interface(text).network.overlaps(network) for network in used)]
    return (*(free[:1] or FOUR[:1]), SIX)


def routed() -> list[tuple[str, IPv4Network | IPv6Network]]:
    """(device, network) of every route of this network namespace but default ones and loopback."""
    found: list[tuple[str, IPv4Network | IPv6Network]] = []
    for line in _lines("/proc/thread-self/net/route")[1:]:
        words = line.split()
        target, mask = (IPv4Address(int(words[at], 16).to_bytes(4, sys.byteorder)) for at in (1, 7))
        if int(mask):
            found.append((words[0], IPv4Network(f"{target}/{mask}")))
    for line in _lines("/proc/thread-self/net/ipv6_route"):
        words = line.split()
        network = IPv6Network((int(words[0], 16), int(words[1], 16)))
        if network.prefixlen and words[-1] != "lo" and not network.is_link_local and not network.is_multicast:
            found.append((words[-1], network))
    return found


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []  # no such version of IP here


def listen_own(stack: OwnStack, port: int) -> OwnListener:
    """Listen on all addresses at ``port``; 0: one that is free."""
    if port:
        return stack.listen(port)
    for chosen in range(_ANY_PORT, 65536):
        try:
            return stack.listen(chosen)
        except UsageError:
            continue
    raise UsageError("every port is taken")


class OwnConnector:
    """Makes the connections of a race on our own stack; see ``eyeballs.race``."""

    def __init__(self, stack: OwnStack) -> None:
        self.stack = stack

    async def __call__(self, attempt: Attempt, before: Callable[[tuple[str, int], int], None] | None = None) -> OwnPipe:
        """Connect; OSError when that fails, UsageError for an address beyond this machine."""
        address = self._reachable(attempt.address.partition("%")[0])
        attempt.address = address

        def opening(port: int) -> None:
            if before is not None:
                before((address, attempt.port), port)

        attempt.start = asyncio.get_running_loop().time()
        return await self.stack.connect(address, attempt.port, before=opening)

    def _reachable(self, text: str) -> str:
        """The address of this machine that stands for ``text`` on the device."""
        wanted = ip_address(text)
        sides = [place.ip for place in self.stack.tun.kernel if place.version == wanted.version]
        if wanted.is_loopback:
            if not sides:
                raise OSError(f"our side has no address of IPv{wanted.version}")
            return str(sides[0])
        if not is_local(text):
            raise UsageError(
                f"{text} is not of this machine: our own stack reaches servers of this machine only; "
                f"one that listens on all addresses answers at {sides[0] if sides else 'none'}"
            )
        return text


def is_local(text: str) -> bool:
    """Whether an address is one of the kernel's own here."""
    with socket.socket(socket.AF_INET6 if ":" in text else socket.AF_INET) as probe:
        try:
            probe.bind((text, 0))
        except OSError:
            return False
    return True
