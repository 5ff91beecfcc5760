"""Two namespaces joined by a link of ours, and the programs that are put into them.

``Wire`` makes both ends: a network namespace each with a TUN device that neither cuts nor sums for us, so that packets
pass here as a wire would have them.  ``run`` carries them over a ``wire_link.Link`` until the client's program ends.

All programs live under one keeper, the first process of a process namespace: when the keeper ends, for whatever
reason, the kernel ends every one of them, daemons too; and the keeper ends when we do.  Namespaces and devices have no
names anybody could forget to delete: they end with the last process and descriptor.  Names ("server", "client") are
in a copy of /etc/hosts that only these programs see, kept in memory.

One loop, one thread (a process that has made a process namespace cannot start threads); the kernel's timers are asked
for the exact microsecond, so a delay is met to a tenth of a millisecond on an idle machine.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from synfin.capture.writer import PcapngWriter
from synfin.drive import namespace as ns
from synfin.drive.capture_file import private_file
from synfin.drive.namespace import Namespace
from synfin.drive.tun import Tun
from synfin.drive.wire_keeper import Keeper, Orders
from synfin.drive.wire_link import Link
from synfin.errors import UsageError
from synfin.sim.tap import RAW

CLIENT4, SERVER4, CLIENT6, SERVER6 = "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"
_LISTEN = "0A"
_LONGEST = 65535
#: Packets taken from one side before the other gets its turn.
_AT_ONCE = 64
#: How long a program that was asked to end may take, in seconds.
_GRACE = 3.0


class Tap:
    """A capture of what passes one end; the secrets the programs leave are put before the packets at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.packets = 0
        self._file = private_file(path, "-w ", read_back=True)
        self._writer = PcapngWriter(self._file, RAW)
        self._start = self._file.tell()
        self._offset = time.time_ns() - time.monotonic_ns()

    def see(self, now: int, data: bytes, note: str = "") -> None:
        """A packet passes at a time of the monotonic clock."""
        self.packets += 1
        self._writer.packet(now + self._offset, data, note)

    def close(self, keylog: bytes = b"") -> None:
        """Finish the file; ``keylog`` goes where readers need it, before the packets."""
        if keylog and not self._file.closed:
            with tempfile.TemporaryFile() as rest:
                self._file.seek(self._start)
                shutil.copyfileobj(self._file, rest)
                self._file.seek(self._start)
                self._file.truncate()
                self._writer.secrets(keylog)
                rest.seek(0)
                shutil.copyfileobj(rest, self._file)
        self._file.close()


@dataclass(slots=True)
class End:
    """One end of the link: a namespace and its device."""

    space: Namespace
    tun: Tun
    tap: Tap | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run.  ``servers``: shell commands; ``client``: a program and its arguments; ``wait``: seconds."""

    client: Sequence[str]
    servers: Sequence[str] = ()
    names: Sequence[str] = ()
    six: bool = False
    wait: float = 10.0


@dataclass(slots=True)
class Outcome:
    """How it went: the client's exit code, seconds, and what to tell the user besides."""

    code: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


class Wire:
    """Two ends and the link between them.  UsageError where the kernel does not allow it."""

    def __init__(self, link: Link, taps: tuple[Path | None, Path | None] = (None, None)) -> None:
        self.link = link
        ns.become_admin()
        self.ends: list[End] = []
        try:
            for path, four, six in ((taps[0], CLIENT4, CLIENT6), (taps[1], SERVER4, SERVER6)):
                space = Namespace.make()
                with space.inside():
                    tun = Tun.open([f"{four}/24", f"{six}/64"], name="wire", offload=False)
                    _open_up()
                self.ends.append(End(space, tun))
                self.ends[-1].tap = Tap(path) if path is not None else None
        except BaseException:
            self.close()
            raise

    def close(self, keylog: bytes = b"") -> None:
        """Let go of devices and namespaces, finish the captures."""
        for end in self.ends:
            end.tun.close()
            end.space.close()
            if end.tap is not None:
                end.tap.close(keylog)
        self.ends = []

    def run(self, plan: Plan) -> Outcome:
        """Start the servers, then the client, and carry packets until it ends."""
        place = Path(tempfile.mkdtemp(prefix="synfin-wire-"))
        keylog = Path(os.environ.get("SSLKEYLOGFILE") or place / "keys.log")
        known = len(_read(keylog))
        outcome = Outcome()
        try:
            with Keeper(self._orders(plan, place, keylog)) as keeper:
                try:
                    Relay(self, keeper, plan, outcome).run()
                finally:
                    secrets = _read(keylog)[known:]
            self.close(secrets)
        finally:
            shutil.rmtree(place, ignore_errors=True)
            self.close()
        return outcome

    def _orders(self, plan: Plan, place: Path, keylog: Path) -> Orders:
        client, server = (CLIENT6, SERVER6) if plan.six else (CLIENT4, SERVER4)
        lines = [f"{client} client", f"{server} {' '.join(('server', *plan.names))}"]
        lines += [f"{CLIENT6} client6", f"{SERVER6} server6"]

        def filled(text: str) -> str:
            return text.replace("{server}", server).replace("{client}", client)

        return Orders(
            client=[filled(word) for word in plan.client],
            servers=[filled(text) for text in plan.servers],
            client_space=self.ends[0].space,
            server_space=self.ends[1].space,
            hosts="".join(f"{line}\n" for line in lines),
            environment={**os.environ, "SSLKEYLOGFILE": str(keylog)},
            place=place,
            devices=[end.tun.fd for end in self.ends],
        )

    def listening(self) -> bool:
        """Whether anybody listens in the server's namespace."""
        with self.ends[1].space.inside():
            for name in ("tcp", "tcp6"):
                try:
                    lines = Path(f"/proc/thread-self/net/{name}").read_text().splitlines()
                except OSError:
                    continue
                if any(line.split()[3] == _LISTEN for line in lines[1:]):
                    return True
        return False


def _open_up() -> None:
    """Let programs that are not root use low ports and ping here, where the kernel allows to say so."""
    for name, value in (("ip_unprivileged_port_start", "0"), ("ping_group_range", "0 2147483647")):
        try:
            Path(f"/proc/sys/net/ipv4/{name}").write_text(value)
        except OSError:
            pass


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


class Relay:
    """The loop: packets from either device into the link, and out of it to the other when their time has come."""

    def __init__(self, wire: Wire, keeper: Keeper, plan: Plan, outcome: Outcome) -> None:
        self.wire, self.keeper, self.plan, self.outcome = wire, keeper, plan, outcome
        self._stopping = 0.0  # when to end by force

    def run(self) -> None:
        """Until the client ends, and what it sent last has arrived."""
        keeper, plan, outcome = self.keeper, self.plan, self.outcome
        ns.exact_timers()
        asked = time.monotonic() + plan.wait
        look = 0.0
        started = None
        with _signals() as wake:
            while True:
                now = time.monotonic()
                if started is None and now >= look:
                    look = now + 0.01
                    ready = not plan.servers or self.wire.listening()
                    if ready or now >= asked:
                        if not ready:
                            outcome.notes.append(
                                f"nothing listened on TCP after {plan.wait:g} s; started the client anyway"
                            )
                        keeper.tell("start")
                        started = now
                ready_fds = self._turn(wake, look if started is None else None)
                if wake in ready_fds:
                    self._signal(os.read(wake, 64))
                if keeper.fd in ready_fds and self._heard(started is not None):
                    break
                if self._stopping and time.monotonic() > self._stopping:
                    outcome.code = outcome.code or 128 + signal.SIGTERM
                    break
            outcome.seconds = time.monotonic() - started if started is not None else 0.0
            self._settle()

    def _heard(self, started: bool) -> bool:
        """What the keeper says; True: the client has ended."""
        outcome, servers = self.outcome, self.plan.servers
        for word, *rest in self.keeper.hear():
            if word in ("client", "gone"):
                outcome.code = int(rest[0]) if rest else 128 + signal.SIGKILL
                return True
            if word == "failed":
                raise UsageError(rest[0])
            if word == "note":
                outcome.notes.append(rest[0])
            elif word == "server":
                said = f"ended with exit code {rest[0]}: {servers[int(rest[1])]}"
                if not started and rest[0] != "0":
                    raise UsageError(f"the server {said}")
                if rest[0] != "0":
                    outcome.notes.append(f"the server {said}")
        return False

    def _settle(self) -> None:
        """Carry the last packets (FIN, RST): a moment without news, and no more than the longest way takes."""
        link = self.wire.link
        slowest = max(way.conditions.delay + way.conditions.jitter for way in (link.up, link.down)) / 1e9
        until = time.monotonic() + min(3 * slowest + 0.05, 2.0)
        while (left := until - time.monotonic()) > 0:
            self._turn(-1, time.monotonic() + left)

    def _turn(self, wake: int, until: float | None) -> list[int]:
        """Wait for something to do, and do what concerns packets; the other descriptors that are ready."""
        link, ends = self.wire.link, self.wire.ends
        when = link.next_time()
        limit = 1.0
        if until is not None:
            limit = max(until - time.monotonic(), 0.0)
        if when is not None:
            limit = min(limit, max(when - time.monotonic_ns(), 0) / 1e9)
        client, server = ends
        watched = [client.tun.fd, server.tun.fd] + ([wake, self.keeper.fd] if wake >= 0 else [])
        ready, _, _ = select.select(watched, [], [], limit)
        self._deliver()
        for upward, end in ((True, client), (False, server)):
            if end.tun.fd in ready:
                self._collect(upward, end)
        self._deliver()
        return ready

    def _collect(self, upward: bool, end: End) -> None:
        send, tap, fd = self.wire.link.send, end.tap, end.tun.fd
        for _ in range(_AT_ONCE):
            try:
                data = os.read(fd, _LONGEST)
            except (BlockingIOError, InterruptedError):
                return
            now = time.monotonic_ns()
            fate = send(upward, data, now)
            if tap is not None:
                tap.see(now, data, fate)

    def _deliver(self) -> None:
        link = self.wire.link
        if link.next_time() is None:
            return
        now = time.monotonic_ns()
        for arrival in link.due(now):
            end = self.wire.ends[1 if arrival.upward else 0]
            if end.tap is not None:
                end.tap.see(now, arrival.data, arrival.note)
            try:
                os.write(end.tun.fd, arrival.data)
            except OSError:
                pass  # the kernel does not take what is damaged beyond its liking

    def _signal(self, numbers: bytes) -> None:
        """Ctrl-C at a terminal reaches the client by itself; every other wish to end is handed on, once in earnest."""
        for number in numbers:
            if number == signal.SIGINT and sys.stdin is not None and sys.stdin.isatty():
                continue
            if number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                self.outcome.code = 128 + number
                self.keeper.tell(f"kill {number}")
                self._stopping = self._stopping or time.monotonic() + _GRACE


_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def _signals() -> Iterator[int]:
    """A descriptor that says which signals came; afterwards they do again what they did before."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    old = {number: signal.signal(number, lambda *_: None) for number in _STOPS}
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(before)
        for number, handler in old.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)
