"""Names to addresses, as this machine does it: the system's resolver, asked for both families at once.

``getaddrinfo`` is asked in threads, so hosts files, search lists and whatever else the machine is set up with count,
as for any other program.  A thread that the resolver does not give back is left behind: who asked goes on after its
own time-out.  ``fixed`` answers stand for a person's ``--resolve``.  Which DNS servers would be asked is read from
resolv.conf only to capture what passes (RFC 8305 3 asks for both families to be looked up; its order is ``eyeballs``').
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any

RESOLV_CONF = Path("/etc/resolv.conf")
#: Servers a resolver asks at most (resolv.conf(5)).
_MOST_SERVERS = 3
#: Addresses taken of one answer at most.
_MOST = 64

#: What the resolver's refusals mean, in words.
_REASONS = {
    "EAI_NONAME": "no such host",
    "EAI_NODATA": "no such host",
    "EAI_ADDRFAMILY": "no address of this family",
    "EAI_AGAIN": "no usable answer (silence, SERVFAIL or REFUSED) from the name servers",
    "EAI_FAIL": "an answer that cannot be used from the name servers",
    "EAI_SYSTEM": "the resolver failed",
}


@dataclass(frozen=True, slots=True)
class Lookup:
    """One family's answer: addresses in the resolver's order, or why there is none; seconds from question to answer.

    ``family`` is 4 or 6; ``source`` is "literal" (the name is an address), "given" or "system resolver".
    """

    name: str
    family: int
    addresses: tuple[str, ...]
    seconds: float
    source: str
    error: str = ""


async def look_up(
    name: str, families: Sequence[int] = (6, 4), fixed: Mapping[str, Sequence[str]] | None = None
) -> list[Lookup]:
    """Ask for ``name`` in each of ``families``; never raises for a name that is not there.

    Cancelled, it leaves the resolver's threads to themselves.
    """
    if fixed is not None and name.lower() in fixed:
        return _sorted_out(name, fixed[name.lower()], families, "given")
    try:
        ip_address(name.partition("%")[0])
    except ValueError:
        return list(await asyncio.gather(*[_ask(name, family) for family in families]))
    return _sorted_out(name, [name], families, "literal")


def _sorted_out(name: str, addresses: Sequence[str], families: Sequence[int], source: str) -> list[Lookup]:
    found = []
    for family in families:
        mine = tuple(one for one in addresses if ip_address(one.partition("%")[0]).version == family)
        if mine:
            found.append(Lookup(name, family, mine, 0.0, source))
    if not found and families:
        why = f"not an IPv{families[0]} address" if source == "literal" else f"no IPv{families[0]} address was given"
        found = [Lookup(name, families[0], (), 0.0, source, why)]
    return found


async def _ask(name: str, family: int) -> Lookup:
    begun = time.monotonic()
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[list[Any], str]] = loop.create_future()

    def tell(found: tuple[list[Any], str]) -> None:
        if not answer.done():
            answer.set_result(found)

    def ask() -> None:
        found = _system(name, family)
        try:
            loop.call_soon_threadsafe(tell, found)
        except RuntimeError:  # nobody waits any more
            return

    threading.Thread(target=ask, name="synfin lookup", daemon=True).start()
    infos, error = await answer
    addresses = [_text(info[4]) for info in infos]
    return Lookup(
        name,
        family,
        tuple(dict.fromkeys(addresses))[:_MOST],
        time.monotonic() - begun,
        "system resolver",
        error,
    )


def _system(name: str, family: int) -> tuple[list[Any], str]:
    kind = socket.AF_INET6 if family == 6 else socket.AF_INET
    try:
        return socket.getaddrinfo(name, None, kind, socket.SOCK_STREAM), ""
    except socket.gaierror as error:
        for word, reason in _REASONS.items():
            if error.errno == getattr(socket, word, None):
                asked = f" {', '.join(name_servers())}" if reason.endswith("servers") else ""
                return [], f"{reason}{asked}"
        return [], error.strerror or str(error)
    except (OSError, UnicodeError) as error:
        return [], str(error)


def _text(address: tuple[Any, ...]) -> str:
    """The address, with its scope where it has one."""
    text = str(address[0])
    if len(address) == 4 and address[3] and "%" not in text and IPv6Address(text).is_link_local:
        return f"{text}%{address[3]}"
    return text


def name_servers(path: Path = RESOLV_CONF) -> list[str]:
    """The addresses of the servers in resolv.conf; the local one where none is named (resolv.conf(5))."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        text = ""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                ip_address(words[1].partition("%")[0])
            except ValueError:
                continue
            found.append(words[1])
    return found[:_MOST_SERVERS] or ["127.0.0.1"]
