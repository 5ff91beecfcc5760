"""Foreign servers for our client that serve all cells from one process: nginx and haproxy."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.interop import chains
from tests.interop.cells import HOST, Cell, Told
from tests.interop.clients import NOT_QUANTUM
from tests.interop.ours import Asked, body_json, free_ports
from tests.interop.peer import between


@contextmanager
def running(*command: str, ports: list[int], cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program from when it listens at every port to its end."""
    with (cwd / "program.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=cwd)
    try:
        for port in ports:
            wait_for(port, process, cwd / "program.log")
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    tables = [table for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if table.exists()]
    if tables:
        lines = [line for table in tables for line in table.read_text().splitlines()]
        return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in lines)
    with socket.socket() as probe:  # no table here, and no capture either
        return probe.connect_ex((HOST, port)) == 0


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until somebody listens, seen in the kernel's table: a connection would be one more in the capture."""
    for _ in range(1000):
        if _listens(port):
            return
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise OSError(f"{process.args!r} does not listen: {log.read_text(errors='replace')[-600:]}")


class _OpenSslServer:
    """What a server built on OpenSSL answers with: one JSON object of its variables."""

    program = ""

    def missing(self) -> str:
        return "" if shutil.which(self.program) else f"{self.program} is not installed"

    def cannot(self, cell: Cell) -> str:
        return NOT_QUANTUM if cell.postquantum else ""

    def told(self, cell: Cell, asked: Asked) -> Told:
        said = body_json(asked.body)
        return Told(
            version=said["version"],
            suite=said["suite"],
            group=said.get("group") or None,
            resumed=said["resumed"] in ("r", "1", "true"),
            alpn=said["alpn"],
            client=said["client"] if said["verified"] in ("SUCCESS", "0", "NONE") else f"not verified: {said}",
            status=asked.status,
        )


class Nginx(_OpenSslServer):
    name = program = "nginx"

    def missing(self) -> str:
        if why := super().missing():
            return why
        number = tuple(int(part) for part in self.version().partition("/")[2].split(".") if part.isdigit())
        return "" if number >= (1, 21, 4) else "nginx tells of ALPN and groups from 1.21.4 on"

    def version(self) -> str:
        return between(chains.version_of("nginx", "-v"), r"(nginx/\S+)") or ""

    @contextmanager
    def serving(self, cells: dict[str, Cell], folder: Path) -> Iterator[dict[str, int]]:
        ports = dict(zip(cells, free_ports(len(cells)), strict=True))
        servers = "\n".join(self._server(cell, ports[name]) for name, cell in cells.items())
        (folder / "nginx.conf").write_text(
            f"""daemon off; master_process off; pid {folder}/pid; error_log stderr warn; worker_processes 1;
            events {{ worker_connections 128; }}
            http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
            fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
            ssl_session_cache shared:all:1m; {servers} }}"""
        )
        with running("nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), ports=[*ports.values()], cwd=folder):
            yield ports

    def _server(self, cell: Cell, port: int) -> str:
        certificate, key, _ = chains.files(cell.kind)
        names = {
            "version": "ssl_protocol", "suite": "ssl_cipher", "group": "ssl_curve", "resumed": "ssl_session_reused",
            "alpn": "ssl_alpn_protocol", "client": "ssl_client_s_dn", "verified": "ssl_client_verify",
        }  # fmt: skip
        answer = ", ".join(f'"{name}": "${variable}"' for name, variable in names.items())
        asking = f"ssl_client_certificate {chains.root_file()}; ssl_verify_client on;" if cell.client else ""
        return f"""server {{ listen {HOST}:{port} ssl {"http2" if cell.alpn == "h2" else ""};
            ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv{cell.version}; {asking}
            {"ssl_ecdh_curve secp384r1;" if cell.retry else ""}
            location / {{ default_type application/json; return 200 '{{{answer}}}'; }} }}"""


class Haproxy(_OpenSslServer):
    name = program = "haproxy"

    def version(self) -> str:
        return between(chains.version_of("haproxy", "-v"), r"(HAProxy version \S+)") or ""

    @contextmanager
    def serving(self, cells: dict[str, Cell], folder: Path) -> Iterator[dict[str, int]]:
        ports = dict(zip(cells, free_ports(len(cells)), strict=True))
        binds = "\n".join(self._bind(cell, ports[name]) for name, cell in cells.items())
        fetches = {
            "version": "ssl_fc_protocol", "suite": "ssl_fc_cipher", "resumed": "ssl_fc_is_resumed",
            "alpn": "ssl_fc_alpn", "client": "ssl_c_s_dn", "verified": "ssl_c_verify",
        }  # fmt: skip
        answer = ", ".join(rf"\"{name}\": \"%[{fetch}]\"" for name, fetch in fetches.items())
        (folder / "haproxy.cfg").write_text(
            "global\n  nbthread 1\n  tune.ssl.default-dh-param 2048\ndefaults\n  mode http\n  timeout client 20s\n"
            f"  timeout http-request 20s\nfrontend all\n{binds}\n"
            f'  http-request return status 200 content-type application/json lf-string "{{{answer}}}"\n'
        )
        with running("haproxy", "-db", "-f", "haproxy.cfg", ports=[*ports.values()], cwd=folder):
            yield ports

    def _bind(self, cell: Cell, port: int) -> str:
        options = f"ssl crt {chains.files(cell.kind)[2]} alpn {cell.alpn} ssl-min-ver TLSv{cell.version}"
        options += f" ssl-max-ver TLSv{cell.version}"
        if cell.client:
            options += f" ca-file {chains.root_file()} verify required"
        return f"  bind {HOST}:{port} {options}{' curves secp384r1' if cell.retry else ''}"


class OneEach:
    """A server program that is started for every cell."""

    logs: dict[str, Path]

    @contextmanager
    def serving(self, cells: dict[str, Cell], folder: Path) -> Iterator[dict[str, int]]:
        ports = dict(zip(cells, free_ports(len(cells)), strict=True))
        self.logs = {name: folder / f"{ports[name]}.log" for name in cells}
        processes: list[subprocess.Popen[bytes]] = []
        try:
            for name, cell in cells.items():
                command = self.command(cell, ports[name])
                with self.logs[name].open("wb") as log:
                    processes.append(
                        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
                    )
            for name, process in zip(cells, processes, strict=True):
                wait_for(ports[name], process, self.logs[name])
            yield ports
        finally:
            for process in processes:
                process.kill()
                process.wait()

    def command(self, cell: Cell, port: int) -> list[str]:
        raise NotImplementedError


class OpenSslServer(OneEach):
    """``openssl s_server -www``: its status page."""

    name = "openssl"

    def missing(self) -> str:
        return "" if shutil.which("openssl") else "openssl is not installed"

    def version(self) -> str:
        return " ".join(chains.version_of("openssl", "version").split()[:2])

    def cannot(self, cell: Cell) -> str:
        if cell.alpn == "h2":
            return "speaks no HTTP/2"
        return NOT_QUANTUM if cell.postquantum else ""

    def command(self, cell: Cell, port: int) -> list[str]:
        certificate, key, _ = chains.files(cell.kind)
        command = ["openssl", "s_server", "-accept", f"{HOST}:{port}", "-cert", certificate, "-key", key, "-www"]
        command += ["-alpn", cell.alpn, f"-tls{cell.version.replace('.', '_')}"]
        if cell.client:
            command += ["-CAfile", chains.root_file(), "-Verify", "2", "-verify_return_error"]
        return command + (["-groups", "P-384"] if cell.retry else [])

    def told(self, cell: Cell, asked: Asked) -> Told:
        text = asked.body.decode("latin-1")
        return Told(
            version=between(text, r"Protocol\s*: (\S+)"),
            suite=between(text, r"Cipher is (\S+)"),
            resumed="\nReused, " in text,
            client=between(text, r"Subject: (.*)") if "no client certificate available" not in text else "",
            status=asked.status,
        )


class GnuTlsServer(OneEach):
    """``gnutls-serv --http``: its page about the session, and what it prints of the connection."""

    name = "GnuTLS"

    def missing(self) -> str:
        return "" if shutil.which("gnutls-serv") else "gnutls-serv is not installed"

    def version(self) -> str:
        return chains.version_of("gnutls-serv", "--version")

    def cannot(self, cell: Cell) -> str:
        if cell.alpn == "h2":
            return "speaks no HTTP/2"
        return "no ML-KEM and ML-DSA before GnuTLS 3.8.9" if cell.postquantum else ""

    def command(self, cell: Cell, port: int) -> list[str]:
        certificate, key, _ = chains.files(cell.kind)
        priority = f"NORMAL:-VERS-ALL:+VERS-TLS{cell.version}" + (":-GROUP-ALL:+GROUP-SECP384R1" if cell.retry else "")
        command = ["gnutls-serv", "--http", "-p", str(port), "--x509certfile", certificate, "--x509keyfile", key]
        command += ["--priority", priority, "--alpn", cell.alpn]
        if cell.client:
            return [*command, "--x509cafile", chains.root_file(), "--require-client-cert", "--verify-client-cert"]
        return [*command, "--disable-client-cert"]

    def told(self, cell: Cell, asked: Asked) -> Told:
        text = asked.body.decode("latin-1")
        printed = self.logs[cell.id].read_text(errors="replace").partition(f"127.0.0.1 port {asked.port} on")[2]
        return Told(
            resumed="*** This is a resumed session" in printed.partition("* Accepted")[0] if printed else None,
            version=between(text, r"Protocol version:</TD><TD>\s*(\S+?)<"),
            suite=between(text, r"<TD>Cipher(?:suite)?:?</TD><TD>([^<]+)<"),
            group=between(text, r"\(ECDHE-([A-Z0-9]+)\)"),
            client=between(text, r"\tSubject: (.*)") or "",
            status=asked.status,
        )
