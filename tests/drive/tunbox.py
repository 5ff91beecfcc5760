"""A namespace with our own TCP on one side of a TUN device and the kernel's on the other, for tests."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from synfin.drive import namespace
from synfin.drive.namespace import Namespace
from synfin.drive.own import BULK, OwnStack
from synfin.drive.own_link import LinkedStack
from synfin.drive.tun import Tun
from synfin.drive.wire_link import Link
from synfin.tcp import Config

KERNEL4, KERNEL6, OURS4, OURS6 = "192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2"
#: (the kernel's address, ours) of either version.
PLACES = {4: (KERNEL4, OURS4), 6: (KERNEL6, OURS6)}

needs_tun = pytest.mark.skipif(
    not (Path("/dev/net/tun").exists() and namespace.may_make_networks()),
    reason="needs /dev/net/tun, CAP_NET_ADMIN and CAP_SYS_ADMIN",
)


@dataclass
class Box:
    space: Namespace
    stack: OwnStack

    def socket(self, version: int = 4) -> socket.socket:
        """A TCP socket of the kernel, in the namespace."""
        with self.space.inside():
            made = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6)
        made.setblocking(False)
        return made

    async def run(self, *command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
        """A program in the namespace, to its end."""
        process = await self.start(*command, env=env)
        out, err = await asyncio.wait_for(process.communicate(), 30)
        return subprocess.CompletedProcess(command, process.returncode or 0, out, err)

    async def start(self, *command: str, env: dict[str, str] | None = None) -> asyncio.subprocess.Process:
        """A program in the namespace."""
        enter: Callable[[], None] = self.space.enter
        return await asyncio.create_subprocess_exec(
            *command,
            preexec_fn=enter,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )


@asynccontextmanager
async def box(link: Link | None = None, config: Config = BULK) -> AsyncIterator[Box]:
    """The namespace, the device, the stack; with ``link`` packets meet its faults."""
    space = Namespace.make()
    try:
        with space.inside():
            tun = Tun.open([f"{KERNEL4}/24", f"{KERNEL6}/64"], offload=link is None)
        config = replace(config, min_rto=200_000_000)  # as the kernel's: tests are not to wait
        addresses = [OURS4, OURS6]
        stack = OwnStack(tun, addresses, config) if link is None else LinkedStack(tun, addresses, link, config)
        try:
            yield Box(space, stack)
        finally:
            await stack.close(0.5)
    finally:
        space.close()
