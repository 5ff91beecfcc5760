"""Running ``synfin serve``: sockets, secrets, the first lines, signals, the end."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import resource
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from types import FrameType

from synfin.cli.serve_tls import Made, Wanted, configured
from synfin.cli.terminal import one_line
from synfin.drive.capture import LiveCapture, PduCapture, may_capture
from synfin.drive.capture_file import key_log_file, private_file
from synfin.drive.capture_pipe import TappedPipe
from synfin.drive.listening import listen
from synfin.drive.own import OwnStack
from synfin.drive.own_setup import OwnPlace, listen_own
from synfin.drive.pipe import Pipe, Source
from synfin.drive.server import Bounds, Patience, WebServer
from synfin.drive.server_files import Files
from synfin.drive.server_log import AccessLog, address
from synfin.errors import UsageError
from synfin.http.app import App
from synfin.http.app_echo import echo
from synfin.spec.certificates import certificate_facts
from synfin.views.words import count

_LOOPBACK = ("127.0.0.1", "::1")
_ANY = frozenset({"0.0.0.0", "::"})
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command line asked for; ``mode`` is "files", "echo" or "raw"."""

    mode: str
    directory: Path
    port: int
    http_port: int | None
    bind: tuple[str, ...]
    names: tuple[str, ...]
    wanted: Wanted
    keylog: Path | None
    write: Path | None
    patience: Patience
    bounds: Bounds
    quiet: bool
    json: bool
    own: OwnPlace | None = None  # our own TCP instead of the kernel's


def run(plan: Plan) -> int:
    """Serve until somebody stops it."""
    app: App | None = None
    if plan.mode == "files":
        if not plan.directory.is_dir():
            raise UsageError(
                f"{plan.directory}: {'a file, not a folder' if plan.directory.exists() else 'no such folder'}"
            )
        if not os.access(plan.directory, os.R_OK | os.X_OK):
            raise UsageError(f"{plan.directory}: Permission denied")
        app = Files(plan.directory)
    elif plan.mode == "echo":
        app = echo
    plan = replace(plan, bounds=replace(plan.bounds, connections=_allowed(plan.bounds.connections)))
    with ExitStack() as stack:
        return asyncio.run(_serve(plan, app, stack))


def _allowed(connections: int) -> int:
    """Raise the limit of open files for ``connections`` and a file for each; how many connections it allows."""
    wanted = 2 * connections + 64
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return min(connections, max(8, (most - 64) // 2))


def _lost_secrets(why: str) -> None:
    sys.stderr.write(f"synfin: warning: {one_line(why)}; no more secrets are kept\n")


async def _serve(plan: Plan, app: App | None, stack: ExitStack) -> int:
    hosts = plan.bind or _LOOPBACK
    sinks: list[Callable[[str], None]] = []
    if plan.keylog is not None:
        sinks.append(stack.enter_context(key_log_file(plan.keylog, _lost_secrets)))
    own = plan.own.stack() if plan.own is not None else None
    source = await _listening(hosts, plan.port, "--port", own)
    stack.callback(source.close)
    clear = None
    if plan.http_port is not None:
        clear = await _listening(hosts, plan.http_port, "--http-port", own)
        stack.callback(clear.close)
    capture = _capture(plan, stack)
    if capture is not None:
        for one in (source, clear):
            if isinstance(capture, LiveCapture) and one is not None:
                for host, port in one.addresses:
                    capture.watch(None if host in _ANY else host, port)
        capture.start()
        sinks.append(capture.key_log)
    plan.wanted.names = _names(plan, source)
    made = configured(plan.wanted, _all(sinks), raw=plan.mode == "raw")
    log = AccessLog(_write, as_json=plan.json, quiet=plan.quiet)
    tap = _tap(capture) if isinstance(capture, PduCapture) else None
    server = WebServer(app, log, patience=plan.patience, bounds=plan.bounds, on_pipe=tap)
    stopped = _signals()
    root = _root(made, stack)
    for warning in made.warnings:
        sys.stderr.write(f"synfin: warning: {one_line(warning)}\n")
    server.serve(source, made.config)
    if clear is not None:
        server.serve(clear, None)
    _announce(plan, made, source, clear, root, capture)
    await stopped.wait()
    log.flush()
    if not plan.quiet and not plan.json:
        _write("stopping: no new connections; requests under way may finish\n")
    loop = asyncio.get_running_loop()
    for number in _ENDS:
        if loop.remove_signal_handler(number):
            signal.signal(number, _at_once)
    await server.stop()
    if own is not None:
        await own.close()
    if capture is not None:
        await asyncio.to_thread(capture.close, 0.1)
    _farewell(plan, log, capture)
    return 0


def _at_once(_number: int, _frame: FrameType | None) -> None:
    """A second signal ends us at once; a third one does not disturb the tidying up."""
    for number in _ENDS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _signals() -> asyncio.Event:
    """What is set when somebody wants us to stop."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in _ENDS:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            loop.add_signal_handler(number, stopped.set)
    return stopped


# ---------------------------------------------------------------- what it needs


async def _listening(hosts: tuple[str, ...], port: int, option: str, own: OwnStack | None) -> Source:
    if own is not None:
        return listen_own(own, port)
    try:
        return await listen(hosts, port)
    except socket.gaierror as error:
        raise UsageError(f"--bind {', '.join(map(repr, hosts))}: {error.strerror}") from error
    except OSError as error:
        told = os.strerror(error.errno or 0)
        where = ", ".join(hosts)
        if error.errno == errno.EADDRNOTAVAIL:
            raise UsageError(f"--bind {where}: {told}; it has to be an address of this machine") from error
        raise UsageError(f"{option} {port} on {where}: {told}; choose another, or 0 for any free one") from error


def _names(plan: Plan, source: Source) -> tuple[str, ...]:
    """The names a certificate made here is for."""
    found = ["localhost", *_LOOPBACK]
    for host, _ in source.addresses:
        if host in _ANY:
            found.append(socket.gethostname())
        else:
            found.append(host.partition("%")[0])
    return tuple(dict.fromkeys([*found, *plan.names]))


def _all(sinks: list[Callable[[str], None]]) -> Callable[[str], None] | None:
    if not sinks:
        return None

    def each(line: str) -> None:
        for sink in sinks:
            sink(line)

    return each


def _capture(plan: Plan, stack: ExitStack) -> LiveCapture | PduCapture | None:
    if plan.write is None:
        return None
    if str(plan.write) == "-":
        raise UsageError("-w -: a capture goes to a file")
    file = private_file(plan.write, "-w ")
    capture = PduCapture(file) if may_capture() else LiveCapture(file)
    stack.callback(capture.close)
    return capture


def _tap(capture: PduCapture) -> Callable[[Pipe, bool], Pipe]:
    return lambda pipe, secure: TappedPipe(pipe, capture.tap(pipe.local, pipe.remote, tls=secure))


def _root(made: Made, stack: ExitStack) -> Path | None:
    """The root's file, in a folder of its own that goes when we go."""
    if made.root is None:
        return None
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="synfin-serve-"))
    path = Path(folder) / "root.pem"
    path.write_bytes(made.root)
    return path


# ---------------------------------------------------------------- what it says


class _Out:
    """Standard output; where that is full, the server goes on and says so once."""

    def __init__(self) -> None:
        self._lost = False

    def __call__(self, text: str) -> None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError as error:
            if not self._lost:
                sys.stderr.write(f"synfin: warning: standard output: {error.strerror}; lines of the log are lost\n")
            self._lost = True


_write = _Out()


def _url(scheme: str, source: Source, plan: Plan, made: Made) -> str:
    host, port = source.addresses[0]
    if host in _ANY or host in _LOOPBACK:
        host = "::1" if ":" in host else "localhost"  # where only IPv6 is listened on, localhost may mean the other
    if scheme == "https" and plan.wanted.certs and not made.config.credentials[0].names(host):
        named = certificate_facts(made.config.credentials[0].chain[0]).hosts
        names = [name for name in named if "*" not in name]
        host = names[0] if names else host
    return f"{scheme}://{address((host, port))}/"


def _curl(plan: Plan, url: str, root: Path | None, source: Source) -> str:
    if plan.mode == "raw":
        host, port = source.addresses[0]
        return f"openssl s_client -connect {address((host, port))}" + (f" -CAfile {root}" if root else "")
    words = ["curl"]
    if root is not None:
        words.append(f"--cacert {root}")
        return " ".join([*words, url])
    place, port = source.addresses[0]
    host = url.split("//")[1].rpartition(":")[0]
    if host not in (place, f"[{place}]", "[::1]") and (host != "localhost" or ":" in place):
        words.append(f"--resolve {host}:{port}:{f'[{place}]' if ':' in place else place}")
    return " ".join([*words, url])


def _announce(
    plan: Plan,
    made: Made,
    source: Source,
    clear: Source | None,
    root: Path | None,
    capture: LiveCapture | PduCapture | None,
) -> None:
    url = _url("https", source, plan, made)
    plain = None if clear is None else _url("http", clear, plan, made)
    curl = _curl(plan, url, root, source)
    listening = [address(one) for one in source.addresses]
    taken = (
        "" if capture is None else "packets" if isinstance(capture, LiveCapture) else f"TLS records ({may_capture()})"
    )
    if plan.json:
        _write(
            json.dumps(
                {
                    "event": "listening",
                    "url": url,
                    "http_url": plain,
                    "listening": listening,
                    "root": None if root is None else str(root),
                    "try": curl,
                    "serving": str(plan.directory) if plan.mode == "files" else plan.mode,
                    "capture": taken or None,
                }
            )
            + "\n"
        )
        return
    serving = {
        "files": f"files of {plan.directory.resolve()}",
        "echo": "an echo of each request",
        "raw": "an echo of each octet, without HTTP",
    }[plan.mode]
    lines = [
        f"synfin serve: {url if plan.mode != 'raw' else 'TLS'} on {', '.join(listening)}",
        f"  serving      {serving}",
        f"  certificate  {made.certificate}",
    ]
    if root is not None:
        lines.append(f"  its root     {root} (removed when this ends)")
    if made.config.verify is not None:
        lines.append(f"  clients      certificate {made.config.client_auth or 'asked for at /client-certificate'}")
    if made.config.max_early_data:
        lines.append(
            f"  early data   up to {made.config.max_early_data:,} octets with a resumed session; each hello's once"
        )
    if clear is not None:
        places = ", ".join(address(one) for one in clear.addresses)
        lines.append(f"  in clear     {f'TCP on {places}' if plan.mode == 'raw' else plain}")
    if plan.keylog is not None:
        lines.append(f"  secrets      appended to {plan.keylog}: whoever reads it reads the connections")
    if capture is not None:
        lines.append(f"  capture      {taken} to {plan.write}, with the TLS secrets inside")
    lines.append(f"  try          {curl}")
    if plan.own is not None:
        lines.append(
            f"  stack        our own TCP; the kernel's side is {', '.join(plan.own.kernel)}; no way beyond this machine"
        )
    elif not all(ip_address(host.partition("%")[0]).is_loopback for host, _ in source.addresses):
        lines.append("  note         others on the network can reach this")
    _write("\n".join([*lines, "Ctrl-C stops it.", ""]))


def _farewell(plan: Plan, log: AccessLog, capture: LiveCapture | PduCapture | None) -> None:
    if plan.json:
        told: dict[str, object] = {"event": "stopped", "requests": log.requests, "failures": log.failures}
        if capture is not None:
            told |= {"packets": capture.packets, "lost": capture.dropped, "broken": capture.sink.broken or None}
        _write(json.dumps(told) + "\n")
    else:
        done = "" if plan.mode == "raw" else f": {count(log.requests, 'request')}"
        failed = f"{',' if done else ':'} {count(log.failures, 'failed connection')}" if log.failures else ""
        _write(f"stopped{done}{failed}\n")
    if capture is not None and not plan.json:
        lost = f", {count(capture.dropped, 'packet')} lost by the kernel" if capture.dropped else ""
        broken = f", not complete ({capture.sink.broken})" if capture.sink.broken else ""
        what = count(capture.packets, "packet" if isinstance(capture, LiveCapture) else "PDU")
        story = f"; `synfin read {plan.write}` tells the story" if capture.packets else ""
        _write(f"{plan.write}: {what}{lost}{broken}{story}\n")
