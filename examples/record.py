"""Record the sample captures: curl against nginx and `openssl s_server` in two network namespaces.

Needs root (namespaces, packet capture), curl, nginx, openssl, tcpdump, dnsmasq and iproute2.  Everything it makes -
a small CA, certificates, namespaces - is temporary and removed again; what stays are the captures beside this file,
with the TLS secrets embedded (Decryption Secrets Block), so that synfin and Wireshark can open the encrypted part.

    python -m examples.record [NAME ...]
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from synfin.capture import open_capture
from synfin.capture.keylog import KeyLog
from synfin.capture.writer import PcapngWriter

HERE = Path(__file__).resolve().parent
CLIENT, SERVER = "synfin-client", "synfin-server"
CLIENT_IP, SERVER_IP = "192.0.2.10", "192.0.2.80"
NAME = "www.synfin.example"


def run(*command: str, ok: bool = True, env: dict[str, str] | None = None, **more: object) -> None:
    """Run a command; raise with its output when it fails and ``ok`` is asked for."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(env or {})}, check=False)
    if ok and done.returncode:
        raise SystemExit(f"{' '.join(command)} failed ({done.returncode}): {done.stderr.strip()[-400:]}")


def inside(space: str, *command: str) -> tuple[str, ...]:
    """The command, run inside a network namespace."""
    return ("ip", "netns", "exec", space, *command)


@contextmanager
def network() -> Iterator[None]:
    """Two namespaces joined by a pair of virtual Ethernet devices without offload, one resolver entry."""
    for space in (CLIENT, SERVER):
        run("ip", "netns", "del", space, ok=False)
        run("ip", "netns", "add", space)
    try:
        run("ip", "link", "add", "wire0", "netns", CLIENT, "type", "veth", "peer", "name", "wire1", "netns", SERVER)
        for space, device, address in ((CLIENT, "wire0", CLIENT_IP), (SERVER, "wire1", SERVER_IP)):
            run(*inside(space, "ip", "address", "add", f"{address}/24", "dev", device))
            run(*inside(space, "ip", "link", "set", device, "up"))
            run(*inside(space, "ip", "link", "set", "lo", "up"))
            run(*inside(space, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"), ok=False)
            run(
                *inside(space, "ethtool", "-K", device, "tso", "off", "gso", "off", "gro", "off", "tx", "off"), ok=False
            )
        resolver = Path("/etc/netns") / CLIENT
        resolver.mkdir(parents=True, exist_ok=True)
        (resolver / "resolv.conf").write_text(f"nameserver {SERVER_IP}\n")
        yield
    finally:
        shutil.rmtree(Path("/etc/netns") / CLIENT, ignore_errors=True)
        for space in (CLIENT, SERVER):
            run("ip", "netns", "del", space, ok=False)


@contextmanager
def daemon(*command: str, wait: float = 0.3) -> Iterator[None]:
    """A program that runs while the block runs."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        time.sleep(wait)
        try:
            yield
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()


def mint(folder: Path) -> None:
    """Root, intermediate, a good leaf and an expired one, all by the openssl program."""
    config = folder / "ca.cnf"
    config.write_text(
        f"""[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash
[leaf]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment
extendedKeyUsage=serverAuth\nsubjectAltName=DNS:{NAME}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"""
    )

    def make(name: str, subject: str, section: str, issuer: str | None, start: str, end: str) -> None:
        key, csr, pem = (str(folder / f"{name}.{suffix}") for suffix in ("key", "csr", "pem"))
        run("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", csr, "-subj", subject)
        (folder / "index.txt").write_text("")
        by = ["-selfsign", "-keyfile", key] if issuer is None else ["-cert", str(folder / f"{issuer}.pem")]
        by += [] if issuer is None else ["-keyfile", str(folder / f"{issuer}.key")]
        minimal = folder / "minimal.cnf"
        minimal.write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index.txt\nnew_certs_dir={folder}\nrand_serial=yes\n"
            "default_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\norganizationName=optional\n"
        )
        run(
            *("openssl", "ca", "-batch", "-notext", "-config", str(minimal), "-in", csr, "-out", pem),
            *("-startdate", start, "-enddate", end, "-extfile", str(config), "-extensions", section, *by),
        )

    now = time.time()

    def at(days: float) -> str:
        return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(now + days * 86400))

    make("root", "/O=Synfin Examples/CN=Synfin Example Root", "ca", None, at(-400), at(3650))
    make("middle", "/O=Synfin Examples/CN=Synfin Example Intermediate", "ca", "root", at(-300), at(1825))
    make("good", f"/CN={NAME}", "leaf", "middle", at(-1), at(89))
    make("expired", f"/CN={NAME}", "leaf", "middle", at(-91), at(-1))
    middle = (folder / "middle.pem").read_text()
    for leaf in ("good", "expired"):
        (folder / f"{leaf}-chain.pem").write_text((folder / f"{leaf}.pem").read_text() + middle)


def nginx_config(folder: Path) -> Path:
    """One server, plain on 80, TLS on 443 (good certificate) and 8443 (expired)."""
    site = folder / "site"
    site.mkdir()
    (site / "index.html").write_text("<h1>It works</h1>\n" + "<p>Twelve steps from SYN to FIN.</p>\n" * 120)

    def tls(port: int, leaf: str) -> str:
        return (
            f"server {{ listen {port} ssl http2; server_name {NAME}; root {site};"
            f" ssl_certificate {folder}/{leaf}-chain.pem; ssl_certificate_key {folder}/{leaf}.key; }}\n"
        )

    path = folder / "nginx.conf"
    path.write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        "events { worker_connections 256; }\nhttp { access_log off; keepalive_timeout 5s; default_type text/html;\n"
        f"client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;"
        f"uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e; ssl_protocols TLSv1.2 TLSv1.3;\n"
        f"server {{ listen 80; server_name {NAME}; root {site}; }}\n{tls(443, 'good')}{tls(8443, 'expired')}}}\n"
    )
    return path


@dataclass(frozen=True)
class Sample:
    """One capture: its file name, what it shows, and curl's options; or another client or server instead."""

    name: str
    shows: str
    options: tuple[str, ...]
    server: tuple[str, ...] = ()
    client: tuple[str, ...] = ()


def samples(folder: Path) -> list[Sample]:
    """All sample captures."""
    trust = ("--cacert", str(folder / "root.pem"))
    url = f"https://{NAME}"
    request = f"(printf 'GET / HTTP/1.1\\r\\nHost: {NAME}\\r\\n\\r\\n'; sleep 0.2)"
    s_client = (
        f"openssl s_client -quiet -no_ign_eof -tls1_2 -servername {NAME} -CAfile {folder}/root.pem -connect {NAME}:443"
    )
    s_client += f" -keylogfile {folder}/tls12-ticket.keys"
    s_server = (
        *("openssl", "s_server", "-quiet", "-www", "-accept", "4433", "-cert", str(folder / "good.pem")),
        *("-cert_chain", str(folder / "middle.pem"), "-key", str(folder / "good.key")),
    )
    return [
        Sample("http", "plain HTTP/1.1", (f"http://{NAME}/",)),
        Sample("https-tls12", "HTTPS, TLS 1.2, HTTP/1.1", (*trust, "--http1.1", "--tls-max", "1.2", f"{url}/")),
        Sample("tls12-ticket", "TLS 1.2 with a session ticket", (), client=("sh", "-c", f"{request} | {s_client}")),
        Sample("https-tls13", "HTTPS, TLS 1.3, HTTP/2", (*trust, f"{url}/")),
        Sample("openssl-tls13", "openssl s_server, TLS 1.3", (*trust, f"{url}:4433/"), s_server),
        Sample("expired", "expired certificate, refused by curl", (*trust, f"{url}:8443/")),
        Sample("refused", "nothing listens on the port", (f"{url}:9443/",)),
    ]


def record(sample: Sample, folder: Path) -> None:
    """Capture one run of the client at the client's device; join packets and secrets into a pcapng."""
    raw, keys = folder / f"{sample.name}.pcap", folder / f"{sample.name}.keys"
    dump = inside(CLIENT, "tcpdump", "-i", "wire0", "--immediate-mode", "-U", "-w", str(raw), "tcp or udp or icmp")
    with daemon(*dump, wait=0.8):
        ask = inside(CLIENT, *(sample.client or ("curl", "-sS", "-o", "/dev/null", *sample.options)))
        with daemon(*inside(SERVER, *sample.server), wait=1.0) if sample.server else nullcontext():
            run(*ask, ok=False, env={"SSLKEYLOGFILE": str(keys)})
        time.sleep(0.6)
    target = HERE / f"{sample.name}.pcapng"
    with target.open("wb") as out, open_capture(raw) as capture:
        writer = PcapngWriter(out, link_type=1)
        secrets = keys.read_bytes() if keys.exists() else b""
        if len(KeyLog.parse(secrets)):  # curl makes the file for plain HTTP and for refused connections too
            writer.secrets(secrets)
        for batch in capture.batches():
            for row in batch.rows:
                start, size = int(row["frame_at"]), int(row["caplen"])
                writer.packet(int(row["time"]), bytes(batch.data[start : start + size]))
    print(f"{target.name}: {sample.shows}")


def main(wanted: list[str]) -> int:
    """Record the samples named, or all."""
    missing = [tool for tool in ("ip", "curl", "nginx", "openssl", "tcpdump", "dnsmasq") if not shutil.which(tool)]
    if missing or os.geteuid():
        why = f"missing: {', '.join(missing)}" if missing else "it makes network namespaces"
        print(f"record.py must run as root with its programs installed ({why})", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as place, network():
        folder = Path(place)
        folder.chmod(0o755)
        mint(folder)
        config = nginx_config(folder)
        names = inside(
            SERVER, "dnsmasq", "-k", "-C", "/dev/null", "-R", "-h", "-S", f"/{NAME}/", "-A", f"/{NAME}/{SERVER_IP}"
        )
        with daemon(*names), daemon(*inside(SERVER, "nginx", "-c", str(config)), wait=0.8):
            for sample in samples(folder):
                if not wanted or sample.name in wanted:
                    record(sample, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
