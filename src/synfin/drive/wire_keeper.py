"""The keeper of the programs on a wire: the first process of their process namespace.

It starts the servers, then, when told, the client; says how they end; and takes all of them with it when it ends.  It
ends when told, and when the process that made it does, which the socket between the two shows.  Lines pass there:
"start", "kill 15" and "end" one way; "client 0", "server 1 0" (code, which), "failed ..." and "note ..." the other.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from synfin.drive import namespace as ns
from synfin.drive.namespace import Namespace

#: Where the copy of /etc/hosts is made, in a file system in memory that only the programs have.
_SCRATCH = "/tmp"
_HOSTS = "/etc/hosts"
#: How long servers may take to end when they are asked to, in seconds.
_GRACE = 1.0


@dataclass(frozen=True, slots=True)
class Orders:
    """What the keeper is to run, and where.  ``hosts``: lines for /etc/hosts; ``place``: a folder to delete at last."""

    client: Sequence[str]
    servers: Sequence[str]
    client_space: Namespace
    server_space: Namespace
    hosts: str
    environment: dict[str, str]
    place: Path
    devices: Sequence[int]  # descriptors that are not the keeper's business


class Keeper:
    """Our end of it."""

    def __init__(self, orders: Orders) -> None:
        ours, theirs = socket.socketpair()
        ns.unshare(ns.NEWPID)
        self._left = b""
        self._pid = os.fork()
        if not self._pid:
            ours.close()
            for fd in orders.devices:
                os.close(fd)
            _keep(theirs, orders)
        theirs.close()
        self._link = ours

    @property
    def fd(self) -> int:
        """Readable when there is something to hear."""
        return self._link.fileno()

    def tell(self, order: str) -> None:
        """One order."""
        try:
            self._link.sendall(order.encode() + b"\n")
        except OSError:
            pass  # it is gone, which ``hear`` will say

    def hear(self) -> list[list[str]]:
        """What it said: ["client", code], ["server", code, which], ["failed", text], ["note", text], ["gone"]."""
        data = self._link.recv(65536)
        if not data:
            return [["gone"]]
        *lines, self._left = (self._left + data).split(b"\n")
        said = []
        for line in lines:
            word, _, rest = line.decode("utf-8", "replace").partition(" ")
            said.append([word, *(rest.split() if word in ("client", "server") else [rest])])
        return said

    def __enter__(self) -> Keeper:
        return self

    def __exit__(self, *_: object) -> None:
        self.tell("end")
        self._link.shutdown(socket.SHUT_WR)
        os.waitpid(self._pid, 0)
        self._link.close()


def _keep(link: socket.socket, orders: Orders) -> NoReturn:
    """The keeper's whole life; what goes wrong in it is said, and ends it."""
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, _nothing)
        _Household(link, orders).live()
        code = 0
    except OSError as error:
        _say(link, f"failed {error}")
    finally:
        shutil.rmtree(orders.place, ignore_errors=True)
        os._exit(code)  # the kernel ends all that is left of the process namespace


def _nothing(*_: object) -> None:
    """A handler: unlike an ignored signal it is not handed down to programs."""


def _say(link: socket.socket, text: str) -> None:
    try:
        link.sendall(" ".join(text.split()).encode() + b"\n")
    except OSError:
        pass


class _Household:
    """What the keeper knows: the programs by their process number."""

    def __init__(self, link: socket.socket, orders: Orders) -> None:
        self.link, self.orders = link, orders
        self.client: subprocess.Popen[bytes] | None = None
        self.servers: list[subprocess.Popen[bytes]] = []
        self.wake, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def live(self) -> None:
        """Until told to end, or nobody is left to tell it."""
        self._names()
        for command in self.orders.servers:
            self.servers.append(self._start(["/bin/sh", "-c", command], self.orders.server_space, server=True))
        left = b""
        while True:
            ready, _, _ = select.select([self.link.fileno(), self.wake], [], [])
            if self.wake in ready:
                os.read(self.wake, 4096)
                self._reap()
            if self.link.fileno() in ready:
                data = self.link.recv(4096)
                *lines, left = (left + data).split(b"\n")
                for line in lines:
                    if not self._obey(line.decode()):
                        data = b""
                if not data:
                    break
        self._end()

    def _obey(self, order: str) -> bool:
        """One order; False: it is over."""
        word, _, argument = order.partition(" ")
        if word == "start":
            try:
                self.client = self._start(list(self.orders.client), self.orders.client_space, server=False)
            except OSError as error:
                name = self.orders.client[0]
                _say(self.link, f"failed cannot run {name}: {os.strerror(error.errno or 0)}")
        elif word == "kill" and self.client is not None:
            os.kill(self.client.pid, int(argument))
        elif word == "kill":
            _say(self.link, f"client {128 + int(argument)}")
        return word != "end"

    def _start(self, command: Sequence[str], space: Namespace, *, server: bool) -> subprocess.Popen[bytes]:
        enter: Callable[[], None] = space.enter
        return subprocess.Popen(
            command,
            preexec_fn=enter,
            env=self.orders.environment,
            stdin=subprocess.DEVNULL if server else None,
            stdout=sys.stderr.fileno() if server else None,
        )

    def _reap(self) -> None:
        """Take notice of who has ended, orphans too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            code = os.waitstatus_to_exitcode(status)
            code = 128 - code if code < 0 else code
            if self.client is not None and pid == self.client.pid:
                _say(self.link, f"client {code}")
            for place, server in enumerate(self.servers):
                if pid == server.pid:
                    _say(self.link, f"server {code} {place}")

    def _end(self) -> None:
        """Ask the servers to end, so that they can tidy up."""
        try:
            os.kill(-1, signal.SIGTERM)  # all of the namespace but us
        except ProcessLookupError:
            return
        until = time.monotonic() + _GRACE
        while time.monotonic() < until:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                time.sleep(0.01)

    def _names(self) -> None:
        """Give the programs /proc of their own process namespace, and names; both only for them."""
        try:
            ns.unshare(ns.NEWNS)
            ns.mount("none", "/", "", ns.MS_REC | ns.MS_PRIVATE)
            known = Path(_HOSTS).read_text() if Path(_HOSTS).exists() else ""
            ns.mount("synfin", _SCRATCH, "tmpfs", 0)
            try:
                copy = Path(_SCRATCH, "hosts")
                copy.write_text(self.orders.hosts + known)
                copy.chmod(0o644)
                ns.mount(str(copy), _HOSTS, "", ns.MS_BIND)
            finally:
                ns.unmount(_SCRATCH)
        except OSError as error:
            _say(self.link, f"note names are not to be had here ({error.strerror}): write {{server}} for the address")
        try:
            ns.mount("proc", "/proc", "proc", 0)
        except OSError:
            pass  # a container may keep it closed: programs then see other processes' numbers, no harm done
